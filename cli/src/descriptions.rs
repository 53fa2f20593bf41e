//! What handlers say about themselves: read from files, or asked of their programs by `--describe` and remembered.

use pop_document::{Fault, Pointer};
use pop_executor::RunIdentity;
use pop_launchers::process::resolve;
use pop_launchers::{Captured, LaunchEvent, LaunchId, LaunchOrder, Launcher as _, ProcessLauncher, Program};
use pop_registry::contract::{DESCRIPTION_LIMIT, Description, Exit};
use pop_registry::{Catalog, Describe, Entry};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::mpsc;

/// How long a program may take to say what it is.
const PATIENCE: Duration = Duration::from_secs(10);

/// Learns what the handlers of these types say about themselves, where the registry says how; what cannot be learnt
/// is a warning.
pub(crate) fn learn(
    catalog: &mut Catalog,
    types: &HashSet<&str>,
    home: Option<&Path>,
    faults: &mut Vec<Fault>,
) {
    let wanted = |entry: &&Entry| entry.describe.is_some() && types.contains(entry.name.as_str());
    let entries: Vec<Entry> = catalog.entries().filter(wanted).cloned().collect();
    for entry in entries {
        let learnt = match &entry.describe {
            Some(Describe::File(file)) => from_file(file, home),
            Some(Describe::Ask) => asked(&entry, home),
            None => continue,
        };
        match learnt {
            Ok(description) => catalog.describe(&entry.id, description),
            Err(why) => {
                let message =
                    format!("what the handler of type `{}` takes and gives is not known: {why}", entry.name);
                let at = Pointer::root().join(&entry.id).join("describe");
                faults.push(Fault::value("no-description", at, message).warning());
            }
        }
    }
}

fn from_file(file: &str, home: Option<&Path>) -> Result<Description, String> {
    let path = home.map_or_else(|| PathBuf::from(file), |home| home.join(file));
    let failed = |error: std::io::Error| format!("`{}`: {error}", path.display());
    if !fs::metadata(&path).map_err(failed)?.is_file() {
        return Err(format!("`{}` is no file", path.display()));
    }
    let mut text = Vec::new();
    let file = File::open(&path).map_err(failed)?;
    file.take(DESCRIPTION_LIMIT as u64 + 1).read_to_end(&mut text).map_err(failed)?;
    Description::parse(&text).map_err(|error| format!("`{}`: {}", path.display(), with_causes(&error)))
}

/// Asks the program, unless the same one was asked before.
fn asked(entry: &Entry, home: Option<&Path>) -> Result<Description, String> {
    let Some(argv) = &entry.command else { return Err("it has no `command` that could be asked".to_owned()) };
    let mut argv = argv.clone();
    argv.push("--describe".to_owned());
    let program = Program {
        argv,
        home: home.map(Path::to_owned),
        env: entry.env_vars.clone(),
        working_directory: entry.working_directory.as_ref().map(PathBuf::from),
        ..Program::default()
    };
    let remembered = remembered(&program);
    if let Some(description) =
        remembered.as_ref().and_then(|path| Description::parse(&fs::read(path).ok()?).ok())
    {
        return Ok(description);
    }
    let shown = shlex::try_join(program.argv.iter().map(String::as_str)).unwrap_or_default();
    let text = ask(program).map_err(|why| format!("`{shown}` {why}"))?;
    let description = Description::parse(&text)
        .map_err(|error| format!("`{shown}` printed something else: {}", with_causes(&error)))?;
    if let Some(path) = remembered {
        remember(&path, &text);
    }
    Ok(description)
}

fn ask(program: Program) -> Result<Vec<u8>, String> {
    let folder = std::env::current_dir().unwrap_or_default();
    // what pop itself was given to do is not for the program that is asked
    let variables =
        std::env::vars_os().filter(|(name, _)| !name.to_str().is_some_and(RunIdentity::is_foreign));
    let launcher = ProcessLauncher::new(variables, folder);
    let order = LaunchOrder {
        name: "describe".to_owned(),
        program,
        captured: Captured::Whole,
        ..LaunchOrder::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("cannot be asked: {error}"))?;
    let ended = runtime.block_on(async {
        let (sender, mut heard) = mpsc::channel(8);
        launcher.launch(LaunchId(0), order, &sender);
        let end = async {
            loop {
                match heard.recv().await?.event {
                    LaunchEvent::Ended(ended) => return Some(ended),
                    LaunchEvent::Lost | LaunchEvent::Late(_) => return None,
                    _ => {}
                }
            }
        };
        tokio::pin!(end);
        let ended = tokio::time::timeout(PATIENCE, &mut end).await;
        if ended.is_err() {
            launcher.stop(LaunchId(0), true);
            end.await;
        }
        ended
    });
    let ended = ended.map_err(|_| format!("did not answer within {} seconds", PATIENCE.as_secs()))?;
    let ended = ended.ok_or("could not be followed")?;
    match ended.exit {
        Ok(Exit::Code(0)) => Ok(ended.stdout),
        Ok(exit) => {
            let last = ended.log_tail.last().map(|line| format!(": {line}")).unwrap_or_default();
            Err(format!("ended with {exit}{last}"))
        }
        Err(failure) => Err(failure.message),
    }
}

/// Where the answer of this very program is kept. Only that of a program that is alone in its file: what a script or an
/// interpreter answers may change with other files.
fn remembered(program: &Program) -> Option<PathBuf> {
    let [name, _] = program.argv.as_slice() else { return None };
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
    let folder = std::env::current_dir().ok()?;
    let folder = program.working_directory.as_ref().map_or_else(|| folder.clone(), |own| folder.join(own));
    let beside = program.home.as_ref().and_then(|home| resolve(&home.join(name), &folder, None).ok());
    let path = std::env::var_os("PATH");
    let file = beside.or_else(|| resolve(Path::new(name), &folder, path.as_deref()).ok())?;
    let mut bytes = File::open(file).ok()?;
    let mut magic = [0; 4];
    bytes.read_exact(&mut magic).ok()?;
    if magic != *b"\x7fELF" {
        return None;
    }
    let mut digest = blake3::Hasher::new();
    digest.update_reader(bytes).ok()?;
    for (name, value) in &program.env {
        digest.update(format!("{name}={value}\0").as_bytes());
    }
    Some(caches.join("pop/descriptions").join(format!("{}.json", digest.finalize().to_hex())))
}

/// Keeps an answer. One that cannot be kept is asked for again.
fn remember(path: &Path, text: &[u8]) {
    let part = path.with_extension(std::process::id().to_string());
    let kept = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&part, text));
    if kept.and_then(|()| fs::rename(&part, path)).is_err() {
        fs::remove_file(&part).ok();
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
