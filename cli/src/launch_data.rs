//! Launch data of this process, and the files that the command line names.

use crate::args::{LaunchArgs, PolicyArgs, RegistryArgs, StrictArg};
use crate::error::{CommandError, Kind, RENAME};
use crate::ui;
use pop_assembly::{AgendaOrigin, RunRequest, RunTexts, Surroundings, TextFaults, TextFiles};
use pop_document::{Fault, MAX_BYTES, Severity, Site};
use pop_field_retriever::{DefaultLaunchData, Defaults, Environment, LaunchDataWrapper as _};
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

/// Builds the request for a run of the agenda on the command line. Adds faults of its texts to `faults`.
pub(crate) fn request(
    agenda: Option<&Path>,
    args: &RegistryArgs,
    policies: &PolicyArgs,
    launch_data: &DefaultLaunchData,
    surroundings: &Surroundings,
    faults: &mut TextFaults,
) -> Result<RunRequest, CommandError> {
    let origin = match agenda {
        Some(path) if path == Path::new("-") => AgendaOrigin::Bytes("<stdin>", standard_input()),
        Some(path) => AgendaOrigin::File(path),
        None => AgendaOrigin::Payload,
    };
    let texts: RunTexts = text_files(args, launch_data, surroundings).read(origin, faults)?;
    let launcher = launch_data.external_launch_type().value;
    Ok(RunRequest { params: policies.policies.clone(), ..RunRequest::new(texts, launcher) })
}

fn standard_input() -> Result<Vec<u8>, Fault> {
    let mut bytes = Vec::new();
    // one byte more than the limit, so that a longer text is detected
    let read = std::io::stdin().lock().take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| {
        Fault::new("unreadable", Site::Whole, format!("cannot read the agenda `-`: {error}"))
    })
}
