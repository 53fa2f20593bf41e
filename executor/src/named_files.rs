//! The files that an operation names: its program, and texts in its command and payload that are names of files.
//!
//! A run records their state after each success, so that a rerun notices a changed script, a changed input or a removed
//! output. Size and times of a file stand for its content: reading every file would delay the run.

use crate::exec_program::ExecProgram;
use pop_agenda::{NamedFile, Payload, PlannedOperation, RecordedFiles, Serves};
use pop_contract::LaunchType;
use pop_launchers::process::resolve_beside;
use serde_json::Value;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
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

impl FileFinder {
    /// The files that an operation with this payload names, as they are now.
    pub(crate) fn find(&self, planned: &PlannedOperation, payload: &Value) -> Vec<NamedFile> {
        let names = self.names(planned, payload).paths.into_iter();
        names.filter_map(|path| Some(self.named_file(&path, Stamp::of(&path)?, false))).collect()
    }

    fn named_file(&self, path: &Path, stamp: Stamp, changed: bool) -> NamedFile {
        NamedFile { path: self.shown(path), stamp: stamp.to_string().into(), changed }
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
    fn names(&self, planned: &PlannedOperation, payload: &Value) -> FoundNames {
        if !self.on.capabilities().uses_host_programs {
            return FoundNames::default();
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
            Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => return FoundNames::default(),
        };
        let folder = self.start.join(folder.unwrap_or_default());
        let own_path = payload["env"]["PATH"].as_str().map(OsString::from);
        let path = own_path.or_else(|| std::env::var_os("PATH"));
        let mut names = Names { folder: &folder, seen: BTreeSet::new(), paths: Vec::new() };
        let mut are_final = true;
        if let Some(program) = argv.first() {
            let found = resolve_beside(home, Path::new(program), &folder, path.as_deref());
            are_final = found.is_ok();
            names.add(&found.unwrap_or_else(|_| folder.join(program)));
        }
        argv.iter().skip(1).for_each(|argument| names.add_text(argument));
        names.add_value(payload);
        FoundNames { paths: names.paths, are_final }
    }
}

/// The names that an operation may mean as files.
#[derive(Debug, Default)]
struct FoundNames {
    paths: Vec<PathBuf>,
    /// Whether the program was found. The launcher looks a program up once, so its path stays.
    are_final: bool,
}

/// Records the named files of attempts. Many operations name the same files as the one before.
#[derive(Debug)]
pub(crate) struct AttemptFiles {
    finder: FileFinder,
    latest_names: Option<LatestNames>,
    latest_files: Option<LatestFiles>,
}

/// The names of a payload of the plan.
#[derive(Debug)]
struct LatestNames {
    payload: Arc<Payload>,
    serves: Serves,
    paths: Arc<[PathBuf]>,
}

/// Files that an attempt left unchanged.
#[derive(Debug)]
struct LatestFiles {
    paths: Arc<[PathBuf]>,
    stamps: Vec<Option<Stamp>>,
    files: Arc<[NamedFile]>,
}

/// The names that an operation may mean as files, and the state of each before an attempt.
#[derive(Debug, Clone, Default)]
pub(crate) struct FilesBefore {
    paths: Arc<[PathBuf]>,
    stamps: Vec<Option<Stamp>>,
}

impl AttemptFiles {
    pub(crate) fn new(finder: FileFinder) -> Self {
        Self { finder, latest_names: None, latest_files: None }
    }

    /// The state of the files before an attempt.
    pub(crate) fn before(&mut self, planned: &PlannedOperation, payload: &Value) -> FilesBefore {
        let paths = self.names(planned, payload);
        FilesBefore { stamps: stamps(&paths), paths }
    }

    /// The state of the files after the attempt.
    pub(crate) fn after(&mut self, before: FilesBefore) -> Arc<[NamedFile]> {
        let FilesBefore { paths, stamps: before } = before;
        let stamps = stamps(&paths);
        let is_known = |latest: &&LatestFiles| Arc::ptr_eq(&latest.paths, &paths) && latest.stamps == stamps;
        if before == stamps
            && let Some(latest) = self.latest_files.as_ref().filter(is_known)
        {
            return Arc::clone(&latest.files);
        }
        let files = paths.iter().zip(&stamps).zip(&before).filter_map(|((path, stamp), before)| {
            let changed = before.is_some_and(|before| Some(before) != *stamp);
            Some(self.finder.named_file(path, (*stamp)?, changed))
        });
        let files: Arc<[NamedFile]> = files.collect();
        if before == stamps {
            self.latest_files = Some(LatestFiles { paths, stamps, files: Arc::clone(&files) });
        }
        files
    }

    fn names(&mut self, planned: &PlannedOperation, payload: &Value) -> Arc<[PathBuf]> {
        let is_of_plan = std::ptr::eq(payload, planned.payload.template());
        let is_same = |latest: &&LatestNames| {
            is_of_plan
                && Arc::ptr_eq(&latest.payload, &planned.payload)
                && is_same_handler(&latest.serves, &planned.serves)
        };
        if let Some(latest) = self.latest_names.as_ref().filter(is_same) {
            return Arc::clone(&latest.paths);
        }
        let FoundNames { paths, are_final } = self.finder.names(planned, payload);
        let paths: Arc<[PathBuf]> = paths.into();
        if is_of_plan && are_final {
            let (payload, serves) = (Arc::clone(&planned.payload), planned.serves.clone());
            self.latest_names = Some(LatestNames { payload, serves, paths: Arc::clone(&paths) });
        }
        paths
    }
}

fn is_same_handler(one: &Serves, other: &Serves) -> bool {
    match (one, other) {
        (Serves::Exec, Serves::Exec) => true,
        (Serves::Program(one), Serves::Program(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    paths.iter().map(|path| Stamp::of(path)).collect()
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

/// Size and times of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stamp {
    Folder,
    File {
        size: u64,
        written: (i64, i64),
        /// Changes also if a program sets the other time.
        changed: (i64, i64),
    },
}

impl Stamp {
    /// The stamp of a file; none if there is no such file or folder.
    fn of(path: &Path) -> Option<Self> {
        let about = fs::metadata(path).ok()?;
        if about.is_dir() {
            return Some(Self::Folder);
        }
        about.is_file().then(|| Self::File {
            size: about.size(),
            written: (about.mtime(), about.mtime_nsec()),
            changed: (about.ctime(), about.ctime_nsec()),
        })
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => f.write_str(FOLDER),
            Self::File { size, written, changed } => {
                write!(f, "{size} {}.{:09} {}.{:09}", written.0, written.1, changed.0, changed.1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::{Agenda, OpIx, Plan};
    use pop_registry::Catalog;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt;

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
        let mut files = AttemptFiles::new(finder.clone());
        let before = files.before(planned, &payload);
        fs::write(folder.path().join("new"), "n").unwrap();
        fs::write(folder.path().join("in.txt"), "longer").unwrap();
        let files = files.after(before);
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
    #[test]
    fn files_of_equal_payloads_are_found_once_and_looked_at_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let tool = folder.path().join("tool");
        fs::write(&tool, "#!/bin/sh\n").unwrap();
        let finder = FileFinder { on: LaunchType::Local, home: None, start: folder.path().to_owned() };
        let plan = plan(&json!({"command": ["./tool", "new"]}));
        let planned = plan.operation(OpIx(0));
        let mut files = AttemptFiles::new(finder);
        let mut attempt = |during: &dyn Fn()| {
            let before = files.before(planned, planned.payload.template());
            during();
            files.after(before)
        };
        // the program cannot be started yet
        assert_eq!(names(&attempt(&|| {})), [("tool", false)]);
        fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).unwrap();
        let first = attempt(&|| {});
        assert!(Arc::ptr_eq(&first, &attempt(&|| {})));
        let written = attempt(&|| fs::write(folder.path().join("new"), "n").unwrap());
        assert_eq!(names(&written), [("tool", false), ("new", false)]);
        let changed = attempt(&|| fs::write(folder.path().join("new"), "longer").unwrap());
        assert_eq!(names(&changed), [("tool", false), ("new", true)]);
        let after = attempt(&|| {});
        assert_eq!(names(&after), [("tool", false), ("new", false)]);
        assert_eq!(after[1].stamp, changed[1].stamp);
        fs::remove_file(folder.path().join("new")).unwrap();
        assert_eq!(names(&attempt(&|| {})), [("tool", false)]);
    }
}
