//! The files that an operation names: its program, and texts in its command and payload that are names of files.
//!
//! A run records their state after each success, so that a rerun notices a changed script, a changed input or a removed
//! output. Size and times of a file stand for its content: reading every file would delay the run.

use crate::exec_program::ExecProgram;
use pop_agenda::{NamedFile, PlannedOperation, RecordedFiles, Serves};
use pop_contract::LaunchType;
use pop_launchers::process::resolve_beside;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The stamp of a folder: its content is unknown.
pub(crate) const FOLDER: &str = "folder";
/// Longest path of a file, in bytes.
const LONGEST_PATH: usize = 4_096;
/// Longest text that is searched for names of files, in bytes.
const LONGEST_TEXT: usize = 64 * 1024;
/// Most names that are looked up for one operation.
const MOST_NAMES: usize = 2_000;
/// Characters that separate names in a text such as a shell script, besides white space.
const SEPARATORS: &str = ";|&<>()\"'`=,:{}";

/// Where the files of a run's operations are.
#[derive(Debug, Clone)]
pub(crate) struct FileFinder {
    pub(crate) on: LaunchType,
    /// The registry's folder, in which relative programs are looked up.
    pub(crate) home: Option<PathBuf>,
    /// The folder in which programs start.
    pub(crate) start: PathBuf,
}

/// The names that an operation may mean as files, and the state of each before an attempt.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilesBefore(Vec<(PathBuf, Option<Box<str>>)>);

impl FileFinder {
    /// The files that an operation with this payload names, as they are now.
    pub(crate) fn find(&self, planned: &PlannedOperation, payload: &Value) -> Vec<NamedFile> {
        let names = self.names(planned, payload).into_iter();
        let found = names.filter_map(|path| Some((stamp(&path)?, path)));
        found.map(|(stamp, path)| NamedFile { path: self.shown(&path), stamp, changed: false }).collect()
    }

    /// The state of the files before an attempt.
    pub(crate) fn before(&self, planned: &PlannedOperation, payload: &Value) -> FilesBefore {
        let names = self.names(planned, payload).into_iter();
        FilesBefore(names.map(|path| (stamp(&path), path)).map(|(stamp, path)| (path, stamp)).collect())
    }

    /// The state of the files after the attempt.
    pub(crate) fn after(&self, before: FilesBefore) -> Arc<[NamedFile]> {
        let after = before.0.into_iter().filter_map(|(path, before)| {
            let stamp = stamp(&path)?;
            let changed = before.is_some_and(|before| before != stamp);
            Some(NamedFile { path: self.shown(&path), stamp, changed })
        });
        after.collect()
    }

    /// The paths of declared files, as `find` gives them.
    pub(crate) fn declared_paths(&self, files: Option<&RecordedFiles>) -> BTreeSet<Box<str>> {
        let Some(files) = files else { return BTreeSet::new() };
        let folder = self.start.join(&*files.declared.folder);
        let lists = [&files.read, &files.written].into_iter().flatten();
        let paths = lists.flat_map(|list| list.iter()).map(|file| folder.join(&*file.path));
        paths.map(|path| self.shown(&path.components().collect::<PathBuf>())).collect()
    }

    fn shown(&self, path: &Path) -> Box<str> {
        path.strip_prefix(&self.start).unwrap_or(path).to_string_lossy().into()
    }

    /// Paths that may be files, without duplicates, the program first. None for operations whose files are not on this
    /// machine.
    fn names(&self, planned: &PlannedOperation, payload: &Value) -> Vec<PathBuf> {
        if !self.on.capabilities().uses_host_programs {
            return Vec::new();
        }
        let (argv, folder, home) = match &planned.serves {
            Serves::Exec => {
                let exec = ExecProgram::of(payload);
                (exec.command, exec.working_directory, None)
            }
            Serves::Program(entry) => (
                entry.command.clone().unwrap_or_default(),
                entry.working_directory.clone(),
                self.home.as_deref(),
            ),
            Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => return Vec::new(),
        };
        let folder = self.start.join(folder.unwrap_or_default());
        let own_path = payload["env"]["PATH"].as_str().map(OsString::from);
        let path = own_path.or_else(|| std::env::var_os("PATH"));
        let program = argv.first().map(|program| {
            let found = resolve_beside(home, Path::new(program), &folder, path.as_deref());
            found.unwrap_or_else(|_| folder.join(program))
        });
        let mut names = Names { folder: &folder, seen: BTreeSet::new(), paths: Vec::new() };
        if let Some(program) = program {
            names.add(&program);
        }
        argv.iter().skip(1).for_each(|argument| names.add_text(argument));
        names.add_value(payload);
        names.paths
    }
}

/// Paths in texts, without duplicates.
struct Names<'f> {
    folder: &'f Path,
    seen: BTreeSet<PathBuf>,
    paths: Vec<PathBuf>,
}

impl Names<'_> {
    fn add_value(&mut self, value: &Value) {
        match value {
            Value::String(text) => self.add_text(text),
            Value::Array(items) => items.iter().for_each(|item| self.add_value(item)),
            Value::Object(members) => members.values().for_each(|member| self.add_value(member)),
            _ => {}
        }
    }

    /// Adds a text that is a path, and the words of a text such as a script.
    fn add_text(&mut self, text: &str) {
        self.add_path(text);
        let is_separator = |letter: char| letter.is_whitespace() || SEPARATORS.contains(letter);
        if text.len() <= LONGEST_TEXT && text.contains(is_separator) {
            text.split(is_separator).for_each(|word| self.add_path(word));
        }
    }

    fn add_path(&mut self, text: &str) {
        let is_path = !text.is_empty() && text.len() <= LONGEST_PATH && !text.contains(['\0', '\n']);
        if !is_path || self.paths.len() >= MOST_NAMES {
            return;
        }
        self.add(&self.folder.join(text));
    }

    fn add(&mut self, path: &Path) {
        // without `.`, so that one file has one name
        let path: PathBuf = path.components().collect();
        if self.seen.insert(path.clone()) {
            self.paths.push(path);
        }
    }
}

/// Size and times of a file; none if there is no such file or folder.
fn stamp(path: &Path) -> Option<Box<str>> {
    let about = fs::metadata(path).ok()?;
    if about.is_dir() {
        return Some(FOLDER.into());
    }
    // the second time changes also if a program sets the first one
    about.is_file().then(|| {
        let (size, written, changed) = (about.size(), about.mtime(), about.ctime());
        format!("{size} {written}.{:09} {changed}.{:09}", about.mtime_nsec(), about.ctime_nsec()).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::{Agenda, OpIx, Plan};
    use pop_registry::Catalog;
    use serde_json::json;

    fn plan(payload: &Value) -> Plan {
        let agenda = json!({"operations": [{"name": "a", "type": "exec", "payload": payload}]});
        let agenda = Agenda::parse(agenda, &mut Vec::new()).unwrap();
        Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut Vec::new()).unwrap()
    }

    fn names(files: &[NamedFile]) -> Vec<(&str, bool)> {
        files.iter().map(|file| (&*file.path, file.changed)).collect()
    }

    #[test]
    fn files_in_commands_scripts_and_payloads_are_found() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["in.txt", "run.py", "opt", "used"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        fs::create_dir(folder.path().join("d")).unwrap();
        let finder = FileFinder { on: LaunchType::Local, home: None, start: folder.path().to_owned() };
        let payload = json!({"command": ["./tool", "in.txt", "--file=opt", "python3 run.py > out; ls d", "new"],
            "env": {"CONF": "used"}});
        let plan = plan(&payload);
        let planned = plan.operation(OpIx(0));
        fs::write(folder.path().join("tool"), "").unwrap();
        let before = finder.before(planned, &payload);
        fs::write(folder.path().join("new"), "n").unwrap();
        fs::write(folder.path().join("in.txt"), "longer").unwrap();
        let files = finder.after(before);
        let expected = [
            ("tool", false),
            ("in.txt", true),
            ("opt", false),
            ("run.py", false),
            ("d", false),
            ("new", false),
            ("used", false),
        ];
        assert_eq!(names(&files), expected);
        let now = finder.find(planned, &payload);
        let stamps = |files: &[NamedFile]| files.iter().map(|file| file.stamp.clone()).collect::<Vec<_>>();
        assert_eq!(stamps(&now), stamps(&files));
        fs::remove_file(folder.path().join("new")).unwrap();
        assert_eq!(finder.find(planned, &payload).len(), expected.len() - 1);
    }
}
