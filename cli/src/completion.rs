//! Shell completion: names of runs, operations and types. It reads files, starts no program and prints no errors.

use crate::args::{RunsFolder, grammar};
use clap::ArgMatches;
use clap_complete::engine::{CompletionCandidate, PathCompleter};
use clap_complete::env::{CompleteEnv, Shells};
use pop_assembly::{KnownHandlers, Surroundings, TextFaults, TextFiles, read_text};
use pop_document::Source;
use pop_executor::{DeadLetters, RunFolder};
use pop_field_retriever::{DefaultLaunchData, Defaults, Environment};
use pop_policy::{CPU, MEMORY};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Variable in which a shell names itself when it asks for completions.
const VARIABLE: &str = "POP_COMPLETE";
/// Most runs that are offered, newest first.
const MOST_RUNS: usize = 100;
/// Most operations that are offered.
const MOST_OPERATIONS: usize = 1_000;
/// Largest agenda that is read for its operations, in bytes. Larger ones would make the shell wait.
const MOST_BYTES: usize = 1024 * 1024;

/// Answers a shell that asks for completions. False if this is a command to perform.
pub(crate) fn answer() -> bool {
    if std::env::var_os(VARIABLE).is_none() {
        return false;
    }
    let folder = std::env::current_dir().ok();
    let completion = CompleteEnv::with_factory(grammar).var(VARIABLE);
    completion.try_complete(std::env::args_os(), folder.as_deref()).unwrap_or_else(|error| error.exit())
}

/// The script that a shell reads to ask pop for completions.
pub(crate) fn script(shell: clap_complete::Shell) -> Vec<u8> {
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(&shell.to_string()) {
        // writing to memory does not fail
        shell.write_registration(VARIABLE, "pop", "pop", "pop", &mut script).ok();
    }
    script
}

/// Agenda files.
pub(crate) fn agendas() -> PathCompleter {
    let is_agenda = |path: &Path| {
        let ending = path.extension().and_then(|ending| ending.to_str());
        path.is_file() && ending.is_some_and(|ending| ["yaml", "yml", "json"].contains(&ending))
    };
    PathCompleter::any().filter(is_agenda).stdio()
}

/// Names of runs, newest first, and `last`.
pub(crate) fn runs() -> Vec<CompletionCandidate> {
    runs_of(|_| true)
}

/// Names of runs that a process executes.
pub(crate) fn running_runs() -> Vec<CompletionCandidate> {
    runs_of(RunFolder::is_held)
}

/// Names of runs with dead letters.
pub(crate) fn runs_with_dead_letters() -> Vec<CompletionCandidate> {
    runs_of(|folder| !DeadLetters::of(folder.path()).list().is_empty())
}

fn runs_of(is_wanted: impl Fn(&RunFolder) -> bool) -> Vec<CompletionCandidate> {
    let folders = RunFolder::list(&Line::typed().runs()).unwrap_or_default();
    let newest = folders.iter().rev().take(MOST_RUNS).filter(|folder| is_wanted(folder));
    let mut names: Vec<String> = newest.map(|folder| folder.run().to_owned()).collect();
    if !names.is_empty() {
        names.insert(0, "last".to_owned());
    }
    in_order(names)
}

/// Names of the operations in the agenda of the run on the command line.
pub(crate) fn operations() -> Vec<CompletionCandidate> {
    in_order(operations_of(&Line::typed()).unwrap_or_default())
}

fn operations_of(line: &Line) -> Option<Vec<String>> {
    let inputs = line.run()?.inputs().ok()?;
    if inputs.agenda.len() > MOST_BYTES {
        return None;
    }
    let agenda = Source::new(inputs.settings.agenda.as_str(), &inputs.agenda).ok()?.read().ok()?;
    let operations = agenda.get("operations")?.as_array()?.iter();
    let names = operations.filter_map(|operation| Some(operation.get("name")?.as_str()?.to_owned()));
    Some(names.take(MOST_OPERATIONS).collect())
}

/// Names of the operations with dead letters in the run on the command line.
pub(crate) fn dead_letters() -> Vec<CompletionCandidate> {
    let letters = Line::typed().run().map(|folder| DeadLetters::of(folder.path()).list());
    in_order(letters.into_iter().flatten().flatten().map(|letter| letter.operation).collect())
}

/// Handlers that are served now.
pub(crate) fn served_handlers() -> Vec<CompletionCandidate> {
    let ids = pop_handler_server::running_ids(&pop_handler_server::control_folder());
    ids.into_iter().map(CompletionCandidate::new).collect()
}

/// Operation types that a handler serves.
pub(crate) fn types() -> Vec<CompletionCandidate> {
    in_order(types_of(&Line::typed()).unwrap_or_default())
}

fn types_of(line: &Line) -> Option<Vec<String>> {
    let launch =
        DefaultLaunchData::load(Vec::<String>::new(), Environment::capture(), &Defaults::executor()).ok()?;
    let surroundings = Surroundings::capture().ok()?;
    let (registry, conf_d): (Option<PathBuf>, Option<PathBuf>) =
        (line.value("registry"), line.value("conf_d"));
    let files = TextFiles {
        registry: registry.as_deref(),
        conf_d: conf_d.as_deref(),
        handlers: &[],
        launch_data: &launch,
        surroundings: &surroundings,
    };
    let known = KnownHandlers::read(&files, Path::new(""), &mut TextFaults::default()).ok()?;
    Some(known.catalog.types().map(str::to_owned).collect())
}

/// Names of resources that the agenda on the command line needs, each with `=`. Names before a comma stay.
pub(crate) fn resources(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let before = typed.rfind(',').map_or("", |at| &typed[..=at]);
    let own = resources_of(&Line::typed()).unwrap_or_default();
    let names = own.into_iter().chain([CPU, MEMORY].map(str::to_owned)).collect::<BTreeSet<String>>();
    let is_open =
        |name: &String| !before.split(',').any(|part| part.split('=').next() == Some(name.as_str()));
    let words = names.into_iter().filter(is_open).map(|name| format!("{before}{name}="));
    in_order(words.filter(|word| word.starts_with(&*typed)).collect())
}

fn resources_of(line: &Line) -> Option<BTreeSet<String>> {
    let agenda = line.value::<PathBuf>("agenda").or_else(|| line.value::<PathBuf>("agendas"));
    let source = match agenda {
        Some(path) if path.metadata().ok()?.len() <= MOST_BYTES as u64 => {
            Source::new(path.to_string_lossy().as_ref(), &read_text(&path, "agenda").ok()?).ok()?
        }
        _ => return None,
    };
    let agenda = source.read().ok()?;
    let operations = agenda.get("operations").and_then(Value::as_array).into_iter().flatten();
    let needs =
        operations.chain([&agenda]).filter_map(|map| map.get("params")?.get("resources")?.as_object());
    Some(needs.flat_map(|needs| needs.keys().cloned()).collect())
}

/// Candidates that a shell shows in this order. bash inserts them as they are, so blanks in names of operations are escaped
/// for it; other shells do that themselves.
fn in_order(names: Vec<String>) -> Vec<CompletionCandidate> {
    let is_bash = std::env::var_os("_CLAP_COMPLETE_COMP_TYPE").is_some();
    let word = |name: String| if is_bash { name.replace(' ', "\\ ") } else { name };
    let names = names.into_iter().map(word).enumerate();
    names.map(|(at, name)| CompletionCandidate::new(name).display_order(Some(at))).collect()
}

/// The command line that the user is typing.
struct Line(Vec<ArgMatches>);

impl Line {
    /// The line after `--`, as the shell passes it. Incomplete and unknown words are ignored.
    fn typed() -> Self {
        let words: Vec<OsString> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
        let matches = grammar().ignore_errors(true).try_get_matches_from(words).ok();
        let next = |matches: &ArgMatches| matches.subcommand().map(|(_, inner)| inner.clone());
        Self(std::iter::successors(matches, next).collect())
    }

    /// The value of an argument of the command or of a subcommand.
    fn value<T: Clone + Send + std::marker::Sync + 'static>(&self, name: &str) -> Option<T> {
        self.0.iter().rev().find_map(|matches| matches.try_get_one::<T>(name).ok().flatten().cloned())
    }

    fn runs(&self) -> PathBuf {
        self.value("runs").unwrap_or_else(|| PathBuf::from(RunsFolder::DEFAULT))
    }

    fn run(&self) -> Option<RunFolder> {
        RunFolder::find(&self.runs(), &self.value::<String>("run")?).ok()
    }
}
