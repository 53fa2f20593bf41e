//! The only reading of inputs: agenda, registry and settings become a plan, or faults.

use crate::args::{LaunchArgs, RegistryArgs};
use crate::conf_d::ConfD;
use crate::descriptions;
use crate::error::{CommandError, Kind};
use crate::faults::Faults;
use crate::ui;
use pop_agenda::{Agenda, Plan, Serves};
use pop_document::{Fault, MAX_BYTES, Pointer, Site, Source, secret_literals, too_large};
use pop_executor::{Inputs, Settings};
use pop_field_retriever::names::property;
use pop_field_retriever::{
    DefaultLaunchData, Defaults, Environment, FieldName, LaunchDataWrapper, LaunchType,
};
use pop_launchers::Secrets;
use pop_launchers::process::resolve;
use pop_registry::{Catalog, Descriptor, Entry};
use serde_json::Value;
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const REGISTRY_BESIDE: [&str; 3] = ["registry.json", "registry.yaml", "registry.yml"];
const REGISTRY_IN_IMAGE: &str = "/app/config/registry.json";

/// What to do with a secret in an agenda.
const SECRETS_GO: &str = "an agenda is kept as it is: let the program read its environment, or give its type `secrets` in \
                          the registry";

/// Texts read from where the user says, before anything is made of them.
pub(crate) struct Texts {
    pub(crate) agenda: Source,
    pub(crate) registry: Option<Source>,
    pub(crate) home: Option<PathBuf>,
    /// The folder in which programs start.
    pub(crate) folder: PathBuf,
    pub(crate) conf_d: Option<ConfD>,
    /// Whether references in the agenda were filled before: it repeats a dead letter.
    pub(crate) is_filled: bool,
}

/// Launch data of this process, as the command line and its surroundings give them.
pub(crate) fn launch_data(args: &LaunchArgs) -> Result<DefaultLaunchData, CommandError> {
    let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.to_string_lossy().into_owned());
    let given = [
        ("launchType", args.launch_type.map(|word| word.to_string())),
        ("externalLaunchType", args.external_launch_type.map(|word| word.to_string())),
        ("propFile", path(&args.prop_file)),
        ("payloadFile", path(&args.payload_file)),
        ("lastProgressFile", path(&args.last_progress_file)),
        ("oauthCertPath", path(&args.oauth_cert_path)),
        ("oauthTokenPath", path(&args.oauth_token_path)),
    ];
    let argv = given.into_iter().filter_map(|(name, value)| Some(format!("--{name}={}", value?)));
    let launch = DefaultLaunchData::load(argv, Environment::capture(), &Defaults::executor())?;
    for warning in launch.properties().warnings() {
        ui::say(&format!("warning: {warning}"));
    }
    Ok(launch)
}

/// Reads a file, or standard input for `-`, up to the bound of a text.
pub(crate) fn read(path: &Path, what: &str) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: std::io::Error| {
        let message = format!("cannot read the {what} `{}`: {error}", path.display());
        Fault::new("unreadable", Site::Whole, message)
    };
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
        return Ok(bytes);
    }
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().is_ok_and(|about| about.len() >= limit) {
        return Err(too_large());
    }
    file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// A text of these bytes; one that cannot be had is an empty one, and a fault.
fn source(name: String, bytes: Result<Vec<u8>, Fault>, faults: &mut Vec<Fault>) -> Source {
    bytes.and_then(|bytes| Source::new(name.as_str(), &bytes)).unwrap_or_else(|fault| {
        faults.push(fault);
        Source::empty(name)
    })
}

/// Reads the agenda and the registry that goes with it; what cannot be read is a fault.
pub(crate) fn texts(
    agenda: Option<&Path>,
    args: &RegistryArgs,
    launch: &DefaultLaunchData,
    faults: &mut Faults,
) -> Result<Texts, CommandError> {
    let (name, bytes) = match agenda {
        Some(path) if path == Path::new("-") => ("<stdin>".to_owned(), read(path, "agenda")),
        Some(path) => (path.display().to_string(), read(path, "agenda")),
        None => {
            let payload = launch.payload().map_err(no_agenda)?;
            ("<payload>".to_owned(), Ok(payload.value.as_bytes().to_vec()))
        }
    };
    let agenda_source = source(name, bytes, &mut faults.agenda);
    let folder =
        agenda.filter(|path| *path != Path::new("-")).and_then(Path::parent).unwrap_or(Path::new(""));
    let (registry, home) = registry(folder, args, launch, &mut faults.registry);
    let conf_d = ConfD::read(folder, args, launch)?;
    let folder = std::env::current_dir().map_err(|error| {
        CommandError::new(Kind::Internal, format!("the current folder is not known: {error}"))
    })?;
    Ok(Texts { agenda: agenda_source, registry, home, folder, conf_d, is_filled: false })
}

/// Reads the registry that goes with agendas of a folder, and finds the folder that the registry itself is in.
pub(crate) fn registry(
    folder: &Path,
    args: &RegistryArgs,
    launch: &DefaultLaunchData,
    faults: &mut Vec<Fault>,
) -> (Option<Source>, Option<PathBuf>) {
    let Some(path) = registry_path(folder, args, launch) else { return (None, None) };
    let home = path.parent().map(|home| if home.as_os_str().is_empty() { Path::new(".") } else { home });
    let home = home.and_then(|home| home.canonicalize().ok());
    (Some(source(path.display().to_string(), read(&path, "registry"), faults)), home)
}

fn no_agenda(error: pop_field_retriever::LaunchDataError) -> CommandError {
    match error {
        pop_field_retriever::LaunchDataError::NoPayload => {
            CommandError::new(Kind::Usage, "no agenda was given").hint("name its file: `pop run agenda.json`")
        }
        other => other.into(),
    }
}

/// `--registry`, then the property, then beside the agenda, then in the image.
fn registry_path(folder: &Path, args: &RegistryArgs, launch: &DefaultLaunchData) -> Option<PathBuf> {
    let property = launch.field(&FieldName::of_property(property::REGISTRY_PATH_OVERRIDE));
    let named = args.registry.clone().or_else(|| property.map(|found| PathBuf::from(found.value)));
    named.or_else(|| {
        let beside = REGISTRY_BESIDE.iter().map(|name| folder.join(name));
        beside.chain([PathBuf::from(REGISTRY_IN_IMAGE)]).find(|path| path.is_file())
    })
}

/// The catalogue of a registry and of descriptors; the faults of the registry, with those of its reading, are told by the
/// caller.
pub(crate) fn catalog(registry: Option<&Source>, conf_d: Option<&ConfD>, faults: &mut Vec<Fault>) -> Catalog {
    let registry = registry.filter(|_| !faults.iter().any(is_of_reading));
    let descriptors = conf_d.map(ConfD::descriptors).unwrap_or_default();
    let mut catalog = Catalog::assemble(registry, descriptors, faults);
    if let Some(conf_d) = conf_d {
        conf_d.locate(&mut catalog);
    }
    catalog
}

/// Whether the fault is of the text as a whole, so that nothing is known of what is in it.
fn is_of_reading(fault: &Fault) -> bool {
    fault.is_error() && fault.pointer().is_empty()
}

/// Makes a plan of the texts, or finds out why there is none.
pub(crate) fn plan(
    texts: &Texts,
    params: &[(String, String)],
    on: LaunchType,
    faults: &mut Faults,
) -> Option<Plan> {
    let mut catalog = catalog(texts.registry.as_ref(), texts.conf_d.as_ref(), &mut faults.registry);
    faults.take_descriptors(&catalog);
    if faults.agenda.iter().any(is_of_reading) {
        return None;
    }
    let (root, spellings) = match texts.agenda.read() {
        Ok(root) => {
            secret_literals(texts.agenda.text(), &root, SECRETS_GO, &mut faults.agenda);
            let spellings = texts.agenda.spellings(&root);
            (with_params(root, params), spellings)
        }
        Err(found) => {
            faults.agenda.extend(found);
            return None;
        }
    };
    let agenda = Agenda::parse(root, &mut faults.agenda)?.spelled(spellings);
    let agenda = if texts.is_filled { agenda.filled() } else { agenda };
    let types: HashSet<&str> =
        agenda.operations.iter().map(|operation| operation.handler_type.as_str()).collect();
    faults.spare_descriptors(&types);
    let excused = excused(&agenda, faults);
    descriptions::learn(&mut catalog, &types, texts.home.as_deref(), &mut faults.registry);
    let plan = Plan::build(agenda, &catalog, on, &mut faults.agenda);
    let follows = ["unknown-type", "not-launchable"];
    faults.agenda.retain(|fault| !follows.contains(&fault.code) || !excused.contains(fault.pointer()));
    let plan = plan?;
    if on == LaunchType::Local {
        find_programs(&plan, texts, faults);
    }
    find_secrets(&plan, texts, on, faults);
    (!faults.of_handlers().any(Fault::is_error)).then_some(plan)
}

/// The places of types that handlers without their faults might serve: the fault is the registry's or a descriptor's.
fn excused(agenda: &Agenda, faults: &Faults) -> HashSet<String> {
    let is_unread = faults.registry.iter().any(is_of_reading);
    let errors = faults.registry.iter().filter(|fault| fault.is_error());
    // an entry is one step below the root, and so is the fault's pointer or what is below it
    let top = |pointer: &str| pointer.split('/').nth(1).map(|step| format!("/{step}"));
    let mut faulty: HashSet<String> = errors.filter_map(|fault| top(fault.pointer())).collect();
    let declared = faults.descriptors.iter().flat_map(|(_, faults)| faults).filter(|fault| fault.is_error());
    faulty
        .extend(declared.filter_map(Descriptor::type_of).map(|name| Pointer::root().join(name).to_string()));
    let operations = agenda.operations.iter();
    operations
        .filter(|operation| {
            is_unread || faulty.contains(Pointer::root().join(&operation.handler_type).as_str())
        })
        .map(|operation| operation.pointer.join("type").to_string())
        .collect()
}

/// Params of the command line over those of the agenda; a value that is JSON is taken as such.
fn with_params(mut root: Value, params: &[(String, String)]) -> Value {
    if let Value::Object(agenda) = &mut root
        && !params.is_empty()
    {
        let slot = agenda.entry("params").or_insert_with(|| Value::Object(serde_json::Map::new()));
        if slot.is_null() {
            *slot = Value::Object(serde_json::Map::new());
        }
        if let Value::Object(slot) = slot {
            for (key, text) in params {
                let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
                slot.insert(key.clone(), value);
            }
        }
    }
    root
}

/// Looks for every program before anything starts: a registry's must be there, a command's own should be.
fn find_programs(plan: &Plan, texts: &Texts, faults: &mut Faults) {
    let path = std::env::var_os("PATH");
    let mut seen = HashSet::new();
    for (op, planned) in plan.operations() {
        match &planned.serves {
            Serves::Program(entry) if entry.declared.is_some() => {
                if let Some(conf_d) = texts.conf_d.as_ref().filter(|_| seen.insert(entry.id.clone()))
                    && let Some(fault) = conf_d.no_program(entry)
                {
                    faults.blame_descriptor(&conf_d.file_of(entry), fault);
                }
            }
            Serves::Program(entry) if seen.insert(entry.id.clone()) => {
                let Some(program) = entry.command.as_ref().and_then(|argv| argv.first()) else { continue };
                let folder = entry
                    .working_directory
                    .as_ref()
                    .map_or_else(|| texts.folder.clone(), |own| texts.folder.join(own));
                let beside = texts.home.as_ref().map(|home| resolve(&home.join(program), &folder, None));
                let is_beside = beside.is_some_and(|found| found.is_ok());
                if let Some(error) =
                    resolve(Path::new(program), &folder, path.as_deref()).err().filter(|_| !is_beside)
                {
                    let at = Pointer::root().join(&entry.id).join("command").join(0);
                    let message = format!("type `{}`: {error}", entry.name);
                    let hint = "a relative program is looked for beside the registry file, then on PATH";
                    faults.registry.push(Fault::value("program-not-found", at, message).hint(hint));
                }
            }
            Serves::Exec => {
                let Some(program) = planned.payload.template()["command"][0].as_str() else { continue };
                let is_plain = !program.contains('/') && !program.contains("@<");
                if is_plain
                    && seen.insert(program.to_owned())
                    && resolve(Path::new(program), &texts.folder, path.as_deref()).is_err()
                {
                    let message =
                        format!("`{program}` is not on PATH now; operation `{}` may fail", planned.name);
                    let at = Site::Value(format!("/operations/{}/payload/command/0", op.0).into());
                    faults.agenda.push(Fault::new("program-not-found", at, message).warning());
                }
            }
            _ => {}
        }
    }
}

/// The handlers of a plan that are given secrets, each once; also those of operations that may come while it runs.
pub(crate) fn handlers_with_secrets(plan: &Plan) -> impl Iterator<Item = &Entry> {
    let planned = plan.operations().filter_map(|(_, planned)| match &planned.serves {
        Serves::Program(entry) => Some(entry.as_ref()),
        _ => None,
    });
    let mut seen = HashSet::new();
    let all = planned.chain(plan.handlers_to_come());
    all.filter(move |entry| !entry.secrets.is_empty() && seen.insert(entry.id.as_str()))
}

/// Looks for every secret before anything starts.
fn find_secrets(plan: &Plan, texts: &Texts, on: LaunchType, faults: &mut Faults) {
    for entry in handlers_with_secrets(plan) {
        let surroundings: Vec<_> = std::env::vars_os().collect();
        let secrets = Secrets::new(&entry.secrets, &surroundings, texts.home.clone());
        for secret in &entry.secrets {
            // what the cluster has is the cluster's to find
            if on == LaunchType::Kubernetes && secret.source.in_cluster.is_some() {
                continue;
            }
            if let Err(failure) = secrets.values(std::slice::from_ref(secret)) {
                let at = Pointer::root().join(&entry.id).join("secrets").join(&secret.variable);
                let message = format!("type `{}`: {}", entry.name, failure.message);
                faults.registry.push(Fault::key("no-secret", at, message));
            }
        }
    }
}

/// The frozen inputs of a run.
pub(crate) fn freeze(
    texts: &Texts,
    registry: &RegistryArgs,
    on: LaunchType,
    cid: String,
    mark: Option<String>,
) -> Inputs {
    // a folder without descriptors is as good as none
    let kept = texts.conf_d.as_ref().filter(|conf_d| !conf_d.kept().is_empty());
    Inputs {
        settings: Settings {
            agenda: texts.agenda.name().to_owned(),
            registry: texts.registry.as_ref().map(|registry| registry.name().to_owned()),
            on: on.to_string(),
            folder: texts.folder.clone(),
            home: texts.home.clone(),
            params: registry.params.clone(),
            cid,
            mark,
            replay_of: None,
            conf_d: kept.map(|conf_d| conf_d.settings.clone()),
        },
        descriptors: kept.map(ConfD::kept).unwrap_or_default(),
        agenda: texts.agenda.text().as_bytes().to_vec(),
        registry: texts.registry.as_ref().map(|registry| registry.text().as_bytes().to_vec()),
    }
}

/// The texts of a run that has begun, and the plan that they make.
pub(crate) fn thaw(inputs: &Inputs) -> Result<(Plan, LaunchType), CommandError> {
    let unfit = || CommandError::new(Kind::Journal, "the frozen agenda of the run does not plan any more");
    let settings = &inputs.settings;
    let on: LaunchType =
        settings.on.parse().map_err(|error| CommandError::new(Kind::Journal, format!("{error}")))?;
    let registry = kept_registry(inputs).map_err(|_| unfit())?;
    let agenda = Source::new(settings.agenda.as_str(), &inputs.agenda).map_err(|_| unfit())?;
    let mut faults = Vec::new();
    let catalog = catalog(registry.as_ref(), ConfD::of(inputs).as_ref(), &mut faults);
    let root = agenda.read().map_err(|_| unfit())?;
    let agenda = Agenda::parse(with_params(root, &settings.params), &mut faults).ok_or_else(unfit)?;
    let agenda = if settings.replay_of.is_some() { agenda.filled() } else { agenda };
    let plan = Plan::build(agenda, &catalog, on, &mut faults).ok_or_else(unfit)?;
    Ok((plan, on))
}

/// The registry that a run has kept.
pub(crate) fn kept_registry(inputs: &Inputs) -> Result<Option<Source>, Fault> {
    let kept = inputs.settings.registry.as_ref().zip(inputs.registry.as_ref());
    kept.map(|(name, bytes)| Source::new(name.as_str(), bytes)).transpose()
}
