//! Launch data (settings from command line, environment and properties file) of this process, and the files that the
//! command line names.

use crate::args::{InputArgs, LaunchArgs, PlanningArgs, RegistryArgs, StrictArg};
use crate::error::{CommandError, Kind, RENAME};
use crate::ui;
use pop_agenda::{GivenInput, GivenValue};
use pop_assembly::{AgendaOrigin, RunRequest, RunTexts, Surroundings, TextFaults, TextFiles, read_text};
use pop_document::{Fault, MAX_BYTES, Severity, Site, Source, kind_of};
use pop_field_retriever::{DefaultLaunchData, Defaults, Environment, LaunchDataWrapper as _};
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;

/// Loads launch data from command line, environment and properties file, and prints warnings of the properties file.
pub(crate) fn launch_data(args: &LaunchArgs, strict: StrictArg) -> Result<DefaultLaunchData, CommandError> {
    let mut argv = Vec::new();
    let words =
        [("launchType", args.launch_type), ("externalLaunchType", args.external_launch_type)].into_iter();
    argv.extend(words.filter_map(|(name, word)| Some(format!("--{name}={}", word?))));
    for (name, path) in [
        ("propFile", &args.prop_file),
        ("payloadFile", &args.payload_file),
        ("lastProgressFile", &args.last_progress_file),
        ("oauthCertPath", &args.oauth_cert_path),
        ("oauthTokenPath", &args.oauth_token_path),
    ] {
        if let Some(path) = path {
            argv.push(format!("--{name}={}", utf8(path)?));
        }
    }
    let launch = DefaultLaunchData::load(argv, Environment::capture(), &Defaults::executor())?;
    let severity = if strict.is_on { Severity::Error } else { Severity::Warning };
    let warnings = launch.properties().warnings();
    for warning in warnings {
        ui::say(&format!("{}: {warning}", severity.word()));
    }
    if strict.is_on && !warnings.is_empty() {
        return Err(CommandError::printed(Kind::Registry));
    }
    Ok(launch)
}

/// Returns the path as UTF-8, or an error.
fn utf8(path: &Path) -> Result<&str, CommandError> {
    path.to_str().ok_or_else(|| {
        let message = format!("the path `{}` is not UTF-8", path.display());
        CommandError::new(Kind::Usage, message).hint(RENAME)
    })
}

/// Captures environment and current folder of this process.
pub(crate) fn surroundings() -> Result<Surroundings, CommandError> {
    Surroundings::capture().map_err(|error| {
        CommandError::new(Kind::Internal, format!("cannot read the current folder: {error}"))
    })
}

/// Locations of registry, descriptors and handlers.
pub(crate) fn text_files<'f>(
    args: &'f RegistryArgs,
    launch_data: &'f DefaultLaunchData,
    surroundings: &'f Surroundings,
) -> TextFiles<'f> {
    TextFiles {
        registry: args.registry.as_deref(),
        conf_d: args.conf_d.as_deref(),
        handlers: &args.handlers,
        launch_data,
        surroundings,
    }
}

/// Builds the request for a run of the agenda on the command line. Adds faults of agenda, registry and descriptors to
/// `faults`.
pub(crate) fn request(
    agenda: Option<&Path>,
    args: &PlanningArgs,
    launch_data: &DefaultLaunchData,
    surroundings: &Surroundings,
    faults: &mut TextFaults,
) -> Result<RunRequest, CommandError> {
    let origin = match agenda {
        Some(path) if path == Path::new("-") => AgendaOrigin::Bytes("<stdin>", standard_input()),
        Some(path) => AgendaOrigin::File(path),
        None => AgendaOrigin::Payload,
    };
    let texts: RunTexts = text_files(&args.registry, launch_data, surroundings).read(origin, faults)?;
    let launcher = launch_data.external_launch_type().value;
    let (params, inputs) = (args.policies.policies.clone(), given_inputs(&args.inputs)?);
    Ok(RunRequest { params, inputs, ..RunRequest::new(texts, launcher) })
}

/// Reads a JSON or YAML file that an option names; `what` is its kind in messages. Prints its faults.
pub(crate) fn read_document(path: &Path, what: &str) -> Result<(Source, Value), CommandError> {
    let name = path.display().to_string();
    let read = read_text(path, what).and_then(|bytes| Source::new(name.as_str(), &bytes));
    let source = read.map_err(|fault| refused(&Source::empty(name.as_str()), &[fault]))?;
    let root = source.read().map_err(|faults| refused(&source, &faults))?;
    Ok((source, root))
}

/// Prints the faults of a file that an option names.
pub(crate) fn refused(source: &Source, faults: &[Fault]) -> CommandError {
    ui::print_faults(source, faults);
    CommandError::printed(Kind::Usage)
}

/// The values of the command line for inputs: those of files first, because `--input` takes precedence.
pub(crate) fn given_inputs(args: &InputArgs) -> Result<Vec<GivenInput>, CommandError> {
    let mut given = Vec::new();
    for path in &args.input_files {
        let (source, root) = read_document(path, "input file")?;
        let values = match root {
            Value::Object(values) => values,
            other => {
                let message =
                    format!("an input file must be a map of names to values, not {}", kind_of(&other));
                return Err(refused(&source, &[Fault::new("wrong-type", Site::Whole, message)]));
            }
        };
        given.extend(values.into_iter().map(|(input, value)| GivenInput {
            name: input,
            value: GivenValue::Value(value),
            origin: format!("`{}`", source.name()),
        }));
    }
    given.extend(args.inputs.iter().map(|(name, text)| GivenInput {
        name: name.clone(),
        value: GivenValue::Text(text.clone()),
        origin: "`--input`".to_owned(),
    }));
    Ok(given)
}

/// The bytes of an agenda; `-` is standard input.
pub(crate) fn agenda_bytes(path: &Path) -> Result<Vec<u8>, Fault> {
    if path == Path::new("-") { standard_input() } else { read_text(path, "agenda") }
}

fn standard_input() -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    // one byte more than the limit, so that a longer agenda is detected
    let read = std::io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| {
        Fault::new("unreadable", Site::Whole, format!("cannot read the agenda `-`: {error}"))
    })
}
