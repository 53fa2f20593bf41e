//! The only reading of inputs: agenda, registry and settings become a plan, or faults.

use crate::args::{LaunchArgs, RegistryArgs};
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_agenda::{Agenda, Plan, Serves};
use pop_document::{Fault, MAX_BYTES, Site, Source};
use pop_executor::{Inputs, Settings};
use pop_field_retriever::names::property;
use pop_field_retriever::{
    DefaultLaunchData, Defaults, Environment, FieldName, LaunchDataWrapper, LaunchType,
};
use pop_launchers::process::resolve;
use pop_registry::Catalog;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

const REGISTRY_BESIDE: [&str; 3] = ["registry.json", "registry.yaml", "registry.yml"];
const REGISTRY_IN_IMAGE: &str = "/app/config/registry.json";

/// Texts read from where the user says, before anything is made of them.
pub(crate) struct Texts {
    pub(crate) agenda: Source,
    pub(crate) registry: Option<Source>,
    pub(crate) home: Option<PathBuf>,
}

/// What is wrong in the texts.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) agenda: Vec<Fault>,
    pub(crate) registry: Vec<Fault>,
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

/// The launcher that operations are given to; one that is not here is told before anything starts.
pub(crate) fn launch_type(launch: &dyn LaunchDataWrapper) -> Result<LaunchType, CommandError> {
    let found = launch.external_launch_type();
    match found.value {
        LaunchType::Local => Ok(LaunchType::Local),
        other => {
            let message = format!("this version has no {other} launcher (asked for by {})", found.origin);
            Err(CommandError::new(Kind::Registry, message).hint("leave `--on` out, or use `--on local`"))
        }
    }
}

/// Reads a file, or standard input for `-`, up to the bound of a text.
fn read(path: &Path, what: &str, kind: Kind) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    match read {
        Ok(_) => Ok(bytes),
        Err(error) => {
            Err(CommandError::new(kind, format!("cannot read the {what} `{}`: {error}", path.display())))
        }
    }
}

fn source(name: &str, bytes: &[u8], kind: Kind) -> Result<Source, CommandError> {
    Source::new(name, bytes).map_err(|fault| {
        let error = CommandError::new(kind, format!("{name}: {}", fault.message));
        match fault.hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    })
}

/// Reads the agenda and the registry that goes with it.
pub(crate) fn texts(
    agenda: Option<&Path>,
    registry: &RegistryArgs,
    launch: &DefaultLaunchData,
) -> Result<Texts, CommandError> {
    let agenda_source = match agenda {
        Some(path) => {
            let name = if path == Path::new("-") { "<stdin>".to_owned() } else { path.display().to_string() };
            source(&name, &read(path, "agenda", Kind::Agenda)?, Kind::Agenda)?
        }
        None => match launch.payload() {
            Ok(payload) => source("<payload>", payload.value.as_bytes(), Kind::Agenda)?,
            Err(error) => return Err(no_agenda(error)),
        },
    };
    let folder =
        agenda.filter(|path| *path != Path::new("-")).and_then(Path::parent).unwrap_or(Path::new(""));
    let (registry, home) = self::registry(folder, registry, launch)?;
    Ok(Texts { agenda: agenda_source, registry, home })
}

/// Reads the registry that goes with agendas of a folder, and the folder that the registry itself is in.
pub(crate) fn registry(
    folder: &Path,
    args: &RegistryArgs,
    launch: &DefaultLaunchData,
) -> Result<(Option<Source>, Option<PathBuf>), CommandError> {
    let Some(path) = registry_path(folder, args, launch) else { return Ok((None, None)) };
    let bytes = read(&path, "registry", Kind::Registry)?;
    let home = path.parent().map(|home| if home.as_os_str().is_empty() { Path::new(".") } else { home });
    let home = home.and_then(|home| home.canonicalize().ok());
    Ok((Some(source(&path.display().to_string(), &bytes, Kind::Registry)?), home))
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

/// The catalogue of a registry; its faults are told by the caller.
pub(crate) fn catalog(registry: Option<&Source>, faults: &mut Vec<Fault>) -> Catalog {
    Catalog::build(registry, faults)
}

/// Makes a plan of the texts, or finds out why there is none.
pub(crate) fn plan(
    texts: &Texts,
    params: &[(String, String)],
    on: LaunchType,
    faults: &mut Faults,
) -> Option<Plan> {
    let catalog = catalog(texts.registry.as_ref(), &mut faults.registry);
    let root = match texts.agenda.read() {
        Ok(root) => with_params(root, params),
        Err(found) => {
            faults.agenda.extend(found);
            return None;
        }
    };
    let agenda = Agenda::parse(root, &mut faults.agenda)?;
    let plan = Plan::build(agenda, &catalog, on, &mut faults.agenda)?;
    if on == LaunchType::Local {
        find_programs(&plan, texts, faults);
    }
    (!faults.registry.iter().any(Fault::is_error)).then_some(plan)
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
    let folder = std::env::current_dir().unwrap_or_default();
    let mut seen = std::collections::HashSet::new();
    for (op, planned) in plan.operations() {
        match &planned.serves {
            Serves::Program(entry) if seen.insert(entry.name.clone()) => {
                let Some(program) = entry.command.as_ref().and_then(|argv| argv.first()) else { continue };
                let folder =
                    entry.working_directory.as_ref().map_or_else(|| folder.clone(), |own| folder.join(own));
                let beside = texts.home.as_ref().map(|home| resolve(&home.join(program), &folder, None));
                let is_beside = beside.is_some_and(|found| found.is_ok());
                if let Some(error) =
                    resolve(Path::new(program), &folder, path.as_deref()).err().filter(|_| !is_beside)
                {
                    let at = format!("/{}/command/0", entry.name.replace('~', "~0").replace('/', "~1"));
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
                    && resolve(Path::new(program), &folder, path.as_deref()).is_err()
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

impl Faults {
    /// Tells everything; an error if any of it is one, the agenda's first.
    pub(crate) fn tell(&self, texts: &Texts) -> Result<(), CommandError> {
        ui::tell_faults(&texts.agenda, &self.agenda);
        if let Some(registry) = &texts.registry {
            ui::tell_faults(registry, &self.registry);
        }
        let count = |faults: &[Fault]| faults.iter().filter(|fault| fault.is_error()).count();
        let (agenda, registry) = (count(&self.agenda), count(&self.registry));
        let mut wheres = Vec::new();
        for (count, name) in [
            (agenda, texts.agenda.name()),
            (registry, texts.registry.as_ref().map_or("the registry", |registry| registry.name())),
        ] {
            match count {
                0 => {}
                1 => wheres.push(format!("1 fault in {name}")),
                _ => wheres.push(format!("{count} faults in {name}")),
            }
        }
        let kind = match (agenda, registry) {
            (0, 0) => return Ok(()),
            (0, _) => Kind::Registry,
            _ => Kind::Agenda,
        };
        ui::say(&format!("{}; nothing was started (exit {})", wheres.join(", "), kind.exit_code()));
        Err(CommandError::told(kind))
    }
}

/// The frozen inputs of a run.
pub(crate) fn freeze(
    texts: &Texts,
    registry: &RegistryArgs,
    on: LaunchType,
    cid: String,
) -> Result<Inputs, CommandError> {
    let folder = std::env::current_dir().map_err(|error| {
        CommandError::new(Kind::Internal, format!("the current folder is not known: {error}"))
    })?;
    Ok(Inputs {
        settings: Settings {
            agenda: texts.agenda.name().to_owned(),
            registry: texts.registry.as_ref().map(|registry| registry.name().to_owned()),
            on: on.to_string(),
            folder,
            home: texts.home.clone(),
            params: registry.params.clone(),
            cid,
        },
        agenda: texts.agenda.text().as_bytes().to_vec(),
        registry: texts.registry.as_ref().map(|registry| registry.text().as_bytes().to_vec()),
    })
}

/// The texts of a run that has begun, and the plan that they make.
pub(crate) fn thaw(inputs: &Inputs) -> Result<(Plan, LaunchType), CommandError> {
    let settings = &inputs.settings;
    let on: LaunchType =
        settings.on.parse().map_err(|error| CommandError::new(Kind::Journal, format!("{error}")))?;
    let registry = match (&inputs.registry, &settings.registry) {
        (Some(bytes), Some(name)) => Some(source(name, bytes, Kind::Journal)?),
        _ => None,
    };
    let agenda = source(&settings.agenda, &inputs.agenda, Kind::Journal)?;
    let unfit = || CommandError::new(Kind::Journal, "the frozen agenda of the run does not plan any more");
    let mut faults = Vec::new();
    let catalog = catalog(registry.as_ref(), &mut faults);
    let root = agenda.read().map_err(|_| unfit())?;
    let agenda = Agenda::parse(with_params(root, &settings.params), &mut faults).ok_or_else(unfit)?;
    let plan = Plan::build(agenda, &catalog, on, &mut faults).ok_or_else(unfit)?;
    Ok((plan, on))
}
