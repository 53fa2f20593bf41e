//! `pop verify`: runs an agenda under several launchers, each in a copy of the current folder, and compares the results.

mod child;
mod comparison;
mod workspace;

use super::saved_run::read;
use crate::args::{Output, RegistryArgs, VerifyArgs};
use crate::error::{CommandError, Kind};
use crate::ui;
use child::Children;
use comparison::{Compared, Subject, operation_seen, run_seen, summary};
use pop_executor::Host;
use pop_field_retriever::LaunchType;
use pop_reporters::run::visible;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use workspace::{Content, scan};

/// Exit code if something differs; the same as for a failed operation.
const DIFFERENT: u8 = 10;
/// Exit codes of runs that cannot be compared: the run did not start, or pop could not continue.
const UNFIT: [u8; 6] = [1, 2, 3, 4, 14, 15];
/// Folder for workspaces, inside the current folder to stay on the same disk.
const WORKSPACES: &str = ".pop/verify";

pub(crate) fn verify(args: &VerifyArgs) -> Result<u8, CommandError> {
    let launchers = launchers(args)?;
    let here = std::env::current_dir()?;
    let mut without = BTreeSet::new();
    for path in &args.without {
        without.insert(below(&here, path)?);
    }
    let outputs = args.outputs.iter().map(|path| below(&here, path)).collect::<Result<Vec<_>, _>>()?;
    let content = Content::of(&here, &without)?;
    let agenda = AgendaInput::read(&args.agenda)?;
    let children = Children::listen()?;
    let base = here.join(WORKSPACES);
    fs::create_dir_all(&base).map_err(|error| failed("create", &base, &error))?;
    let verified =
        Verify { args, launchers: &launchers, content, agenda, outputs, children }.in_folder(&base);
    // remove the folders unless a workspace is kept in them
    let is_empty = fs::remove_dir(&base).is_ok();
    if is_empty && let Some(pop) = base.parent() {
        fs::remove_dir(pop).ok();
    }
    verified
}

/// Returns the launchers to compare: two or more, without duplicates.
fn launchers(args: &VerifyArgs) -> Result<Vec<LaunchType>, CommandError> {
    let mut launchers = Vec::new();
    for on in &args.on {
        if launchers.contains(on) {
            return Err(CommandError::new(Kind::Usage, format!("launcher {on} is named twice")));
        }
        launchers.push(*on);
    }
    if launchers.len() < 2 {
        let error = CommandError::new(Kind::Usage, "cannot compare a single launcher with itself");
        return Err(error.hint("name two or more: `--on local,docker`"));
    }
    Ok(launchers)
}

/// Makes a path of the command line relative to the current folder.
fn below(here: &Path, path: &Path) -> Result<PathBuf, CommandError> {
    let whole = std::path::absolute(path)?;
    let inner = whole.strip_prefix(here).ok().filter(|inner| !inner.iter().any(|step| step == ".."));
    let inner = inner.filter(|inner| *inner != Path::new(""));
    inner.map(Path::to_owned).ok_or_else(|| {
        let message = format!("`{}` is not inside the current folder", path.display());
        CommandError::new(Kind::Usage, message)
    })
}

/// Error of a file operation.
fn failed(what: &str, path: &Path, error: &std::io::Error) -> CommandError {
    CommandError::new(Kind::Internal, format!("cannot {what} `{}`: {error}", path.display()))
}

/// Agenda that every run reads.
enum AgendaInput {
    File(PathBuf),
    /// Standard input, which can be read only once.
    Text(Vec<u8>),
}

impl AgendaInput {
    fn read(path: &Path) -> Result<Self, CommandError> {
        if path != Path::new("-") {
            return Ok(Self::File(std::path::absolute(path)?));
        }
        let mut text = Vec::new();
        std::io::copy(&mut std::io::stdin().lock(), &mut text)?;
        Ok(Self::Text(text))
    }

    fn pass_to(&self, command: &mut Command) -> std::io::Result<()> {
        match self {
            Self::File(path) => command.arg(path).stdin(Stdio::null()),
            Self::Text(text) => {
                let mut file: File = tempfile::tempfile()?;
                file.write_all(text)?;
                file.rewind()?;
                command.arg("-").stdin(file)
            }
        };
        Ok(())
    }
}

/// Inputs of one verification.
struct Verify<'a> {
    args: &'a VerifyArgs,
    launchers: &'a [LaunchType],
    content: Content,
    agenda: AgendaInput,
    outputs: Vec<PathBuf>,
    children: Children,
}

impl Verify<'_> {
    fn in_folder(&self, base: &Path) -> Result<u8, CommandError> {
        // copy everything before the first run, so that later changes of this folder affect no copy
        let mut workspaces = Vec::new();
        for on in self.launchers {
            let made = tempfile::Builder::new().prefix(&format!("{on}-")).tempdir_in(base);
            let workspace = made.map_err(|error| failed("create a folder in", base, &error))?;
            self.content.copy_to(workspace.path())?;
            workspaces.push(workspace);
        }
        let code = self.compare(&workspaces);
        let is_kept = self.args.keep || matches!(code, Ok(DIFFERENT));
        for (on, workspace) in self.launchers.iter().zip(workspaces) {
            if is_kept {
                ui::say(&format!("kept workspace of {on}: {}", workspace.keep().display()));
            } else {
                let path = workspace.path().to_owned();
                workspace.close().map_err(|error| failed("remove", &path, &error))?;
            }
        }
        if is_kept {
            ui::say("hint: `pop show last --runs WORKSPACE/.pop/runs` shows the run of a workspace");
        }
        code
    }

    fn compare(&self, workspaces: &[TempDir]) -> Result<u8, CommandError> {
        let original = scan(workspaces[0].path())?;
        let mut saved_runs = Vec::new();
        let mut files = Vec::new();
        for (on, workspace) in self.launchers.iter().zip(workspaces) {
            let folder = workspace.path();
            let runs = folder.join(".pop/runs");
            let code = self.children.run(self.command(*on, folder, &runs)?, *on)?;
            if UNFIT.contains(&code) || code >= 128 {
                return Ok(code);
            }
            saved_runs.push(read(&runs, "last")?);
            files.push(scan(folder)?);
        }
        let folders: Vec<&Path> = workspaces.iter().map(TempDir::path).collect();
        let mut all = vec![Compared {
            subject: Subject::Run,
            name: self.args.agenda.display().to_string(),
            seen: saved_runs.iter().map(|saved| run_seen(&saved.history)).collect(),
        }];
        for (_, planned) in saved_runs[0].plan.operations() {
            let seen = saved_runs.iter().zip(&folders).map(|(saved, folder)| {
                let op = saved.plan.find(planned.name.as_str());
                op.map_or(Value::Null, |op| operation_seen(saved.history.operation(op), folder))
            });
            let name = planned.name.to_string();
            all.push(Compared { subject: Subject::Operation, name, seen: seen.collect() });
        }
        all.extend(self.changed_files(&original, &files));
        let is_equal = all.iter().all(Compared::is_equal);
        self.print(&all, &folders, is_equal);
        Ok(if is_equal { 0 } else { DIFFERENT })
    }

    /// Builds the `pop run` command for a workspace.
    fn command(&self, on: LaunchType, folder: &Path, runs: &Path) -> Result<Command, CommandError> {
        let args = self.args;
        let mut command = Command::new(std::env::current_exe()?);
        command.current_dir(folder).env("PWD", folder).arg("run");
        self.agenda.pass_to(&mut command)?;
        command.arg(format!("--on={on}")).arg("--runs").arg(runs);
        // launchers must not share cached results
        command.arg("--host-folder").arg(Host::of_runs(runs).folder());
        let RegistryArgs { registry, conf_d, handlers, .. } = &args.plan.registry;
        let named = [("--registry", registry), ("--prop-file", &args.prop_file), ("--conf-d", conf_d)];
        let named = named.into_iter().filter_map(|(name, path)| Some((name, path.as_ref()?)));
        for (name, path) in named.chain(handlers.iter().map(|folder| ("--handlers", folder))) {
            command.arg(name).arg(std::path::absolute(path)?);
        }
        command.args(args.plan.inputs.inputs.iter().map(|(name, value)| format!("--input={name}={value}")));
        for file in &args.plan.inputs.input_files {
            command.arg("--input-file").arg(std::path::absolute(file)?);
        }
        command
            .args(args.plan.policies.policies.iter().map(|(key, value)| format!("--policy={key}={value}")));
        let totals = args.resources.written();
        command.args((!totals.is_empty()).then(|| format!("--resources={}", totals.argument())));
        command.args(args.parallel.map(|count| format!("--parallel={count}")));
        command.args(args.keep_going.then_some("--keep-going"));
        command.args(args.launch_type.map(|launch_type| format!("--launch-type={launch_type}")));
        Ok(command)
    }

    /// Compares files that are new or changed in any workspace, limited to `--outputs`.
    fn changed_files(
        &self,
        original: &BTreeMap<PathBuf, Value>,
        files: &[BTreeMap<PathBuf, Value>],
    ) -> Vec<Compared> {
        let is_selected = |path: &Path| {
            self.outputs.is_empty() || self.outputs.iter().any(|output| path.starts_with(output))
        };
        let paths: BTreeSet<&PathBuf> = files.iter().chain([original]).flat_map(BTreeMap::keys).collect();
        let changed: Vec<&PathBuf> = paths
            .into_iter()
            .filter(|path| is_selected(path))
            .filter(|path| files.iter().any(|files| files.get(*path) != original.get(*path)))
            .collect();
        for output in &self.outputs {
            if !changed.iter().any(|path| path.starts_with(output)) {
                ui::say(&format!("warning: no launcher wrote anything at `{}`", output.display()));
            }
        }
        let compared = changed.into_iter().map(|path| Compared {
            subject: Subject::File,
            name: path.display().to_string(),
            seen: files.iter().map(|files| files.get(path).cloned().unwrap_or_default()).collect(),
        });
        compared.collect()
    }

    fn print(&self, all: &[Compared], folders: &[&Path], is_equal: bool) {
        let names: Vec<String> = self.launchers.iter().map(LaunchType::to_string).collect();
        let is_kept = self.args.keep || !is_equal;
        match self.args.output {
            Output::Text => {
                let titles = ["WHAT", "NAME"].map(str::to_owned).into_iter().chain(names.iter().cloned());
                let head: Vec<String> = titles.chain(["VERDICT".to_owned()]).collect();
                let rows = all.iter().map(|compared| {
                    let name = visible(&compared.name).replace(['\n', '\t'], "\u{fffd}");
                    let mut row = vec![compared.subject.word().to_owned(), name];
                    row.extend(compared.cells());
                    row.push(visible(&compared.verdict(&names)));
                    row
                });
                let table = ui::table(std::iter::once(head).chain(rows));
                ui::print(&format!("{table}\n{}\n", summary(all, &names)));
            }
            Output::Json => {
                let of = |subject| {
                    let rows = all.iter().filter(move |compared| compared.subject == subject);
                    rows.map(|compared| compared.as_json(&names)).collect::<Vec<_>>()
                };
                let kept = names.iter().zip(folders).map(|(name, folder)| (name.clone(), json!(folder)));
                ui::print(&format!(
                    "{:#}\n",
                    json!({
                        "agenda": self.args.agenda, "launchers": names, "equal": is_equal,
                        "run": of(Subject::Run).pop(), "operations": of(Subject::Operation), "files": of(Subject::File),
                        "workspaces": is_kept.then(|| kept.collect::<Map<_, _>>()),
                    })
                ));
            }
        }
    }
}
