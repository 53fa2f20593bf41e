//! The folder of a run: frozen inputs, journal, logs, and the lock of the one process that executes the run.

use crate::folder_error::FolderError;
use crate::frozen_inputs::{
    Inputs, PARENT, check_utf8, ignore_missing, make_folder, settings_path, sync, sync_path,
};
use crate::lock::{ExecutorProcess, Lock, LockError, executor, remote_executor};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const INPUTS: &str = "inputs";
const JOURNAL: &str = "journal";
const LOGS: &str = "out";
const LOCK: &str = "lock";
const TRACES: &str = "traces";

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates the folder of a new run with the inputs, and takes the run's lock. [`RunFolder::sync`] syncs the inputs
    /// to disk; the journal calls it with or before its own first sync.
    pub fn create(runs: &Path, run: &str, inputs: &Inputs) -> Result<(Self, Lock), FolderError> {
        Self::make(runs, run, inputs, false)
    }

    /// Like [`RunFolder::create`], for a run whose id the user set. Replaces an incomplete folder, which an executor
    /// left that died while it created the run.
    pub fn create_or_replace(runs: &Path, run: &str, inputs: &Inputs) -> Result<(Self, Lock), FolderError> {
        Self::make(runs, run, inputs, true)
    }

    fn make(runs: &Path, run: &str, inputs: &Inputs, again: bool) -> Result<(Self, Lock), FolderError> {
        // programs get paths of this folder as text
        check_utf8(&std::path::absolute(runs).map_err(FolderError::io(runs))?)?;
        inputs.settings.check()?;
        make_runs_folder(runs)?;
        let folder = Self { path: runs.join(run) };
        make_folder(&folder.path, again)?;
        folder.fill(inputs)
    }

    fn fill(self, inputs: &Inputs) -> Result<(Self, Lock), FolderError> {
        let lock = self.lock()?;
        if self.is_begun() {
            let source = io::ErrorKind::AlreadyExists.into();
            return Err(FolderError::Io { path: self.settings_path(), source });
        }
        // an earlier start of this run may have left files, if its executor died or the machine lost power
        ignore_missing(&self.logs(), fs::remove_dir_all(self.logs()))?;
        ignore_missing(&self.journal(), fs::remove_file(self.journal()))?;
        make_folder(&self.logs(), true)?;
        inputs.write(&self.path.join(INPUTS))?;
        Ok((self, lock))
    }

    /// Syncs the folder and all inputs to disk.
    pub fn sync(&self) -> io::Result<()> {
        sync(&self.path.join(INPUTS))?;
        sync_path(&self.path)?;
        sync_path(self.path.parent().unwrap_or(Path::new(".")))
    }

    /// The folder of a journal, if it is the folder of a run.
    pub(crate) fn of_journal(journal: &Path) -> Option<Self> {
        let folder = Self { path: journal.parent()?.to_owned() };
        folder.is_begun().then_some(folder)
    }

    /// Whether the settings exist. Power loss may leave an empty file; then the run never began. Settings that are not a
    /// regular file count as existing, and reading them fails.
    fn is_begun(&self) -> bool {
        fs::metadata(self.settings_path()).is_ok_and(|about| !about.is_file() || about.len() > 0)
    }

    /// The folder of an existing run; `last` is the newest run.
    pub fn find(runs: &Path, run: &str) -> Result<Self, FolderError> {
        let no_run = || FolderError::NoRun { run: run.to_owned(), runs: runs.to_owned() };
        if run == "last" {
            let newest = Self::list(runs)?.pop();
            return newest.ok_or_else(|| FolderError::NoRuns { runs: runs.to_owned() });
        }
        let is_name = !run.is_empty() && !run.contains('/') && !run.starts_with('.');
        let folder = Self { path: runs.join(run) };
        if is_name && folder.is_begun() { Ok(folder) } else { Err(no_run()) }
    }

    /// The folders of all runs, oldest first.
    pub fn list(runs: &Path) -> Result<Vec<Self>, FolderError> {
        let entries = match fs::read_dir(runs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(FolderError::Io { path: runs.to_owned(), source }),
        };
        let mut folders: Vec<(SystemTime, Self)> = entries
            .filter_map(Result::ok)
            // the id of a run is UTF-8
            .filter(|entry| entry.file_name().to_str().is_some())
            .map(|entry| Self { path: entry.path() })
            .filter(Self::is_begun)
            // the settings are written once, at the start; an id that the user set does not have the time
            .filter_map(|folder| Some((fs::metadata(folder.settings_path()).ok()?.modified().ok()?, folder)))
            .collect();
        folders.sort_by(|(at, left), (other, right)| at.cmp(other).then_with(|| left.path.cmp(&right.path)));
        Ok(folders.into_iter().map(|(_, folder)| folder).collect())
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's file.
    pub fn journal(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }

    /// The folder of logs.
    pub fn logs(&self) -> PathBuf {
        self.path.join(LOGS)
    }

    /// The file with the mark up to which spans of the run have been sent.
    pub fn traces(&self) -> PathBuf {
        self.path.join(TRACES)
    }

    fn settings_path(&self) -> PathBuf {
        settings_path(&self.path.join(INPUTS))
    }

    /// The digest of the frozen records of the parent; none unless the run is a rerun.
    pub fn parent_digest(&self) -> io::Result<Option<String>> {
        let mut hasher = blake3::Hasher::new();
        match File::open(parent_file(&self.path)) {
            Ok(file) => hasher.update_reader(file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(hasher.finalize().to_hex().to_string()))
    }

    /// The inputs of the run.
    pub fn inputs(&self) -> Result<Inputs, FolderError> {
        Inputs::read(&self.path.join(INPUTS))
    }

    /// Takes the lock of the run. Fails at once if another process holds it.
    pub fn lock(&self) -> Result<Lock, FolderError> {
        let path = lock_file(&self.path);
        Lock::take(&path, &self.journal()).map_err(|error| match error {
            LockError::Held(owner) => FolderError::Held { run: self.run().to_owned(), owner },
            LockError::Io(source) => FolderError::Io { path, source },
        })
    }

    /// The process of this machine that executes the run, if any. Takes no lock, so that it never blocks an executor.
    pub fn executor(&self) -> Option<ExecutorProcess> {
        executor(&lock_file(&self.path))
    }

    /// The process of another host that executes the run or executed it last, as messages name it.
    pub fn remote_executor(&self) -> Option<String> {
        remote_executor(&lock_file(&self.path))
    }

    /// When the last executor took the lock or, if its guard noticed, ended.
    pub fn executor_time(&self) -> Option<SystemTime> {
        fs::metadata(lock_file(&self.path)).and_then(|about| about.modified()).ok()
    }

    /// Deletes the run with its journal, logs and dead letters. Fails at once if a process executes the run.
    pub fn delete(self) -> Result<(), FolderError> {
        let _lock = self.lock()?;
        // without settings the folder is no run, so a crash while the rest is deleted leaves no half of a run
        let settings = self.settings_path();
        fs::remove_file(&settings).map_err(FolderError::io(&settings))?;
        fs::remove_dir_all(&self.path).map_err(FolderError::io(&self.path))
    }

    /// Whether a process of this machine executes the run.
    pub fn is_held(&self) -> bool {
        self.executor().is_some()
    }
}

/// The file with the records of the parent in the folder of a rerun.
pub(crate) fn parent_file(folder: &Path) -> PathBuf {
    folder.join(INPUTS).join(PARENT)
}

/// The file of the lock in the folder of a run.
pub(crate) fn lock_file(folder: &Path) -> PathBuf {
    folder.join(LOCK)
}

/// Creates the folder of all runs and syncs it to disk.
fn make_runs_folder(runs: &Path) -> Result<(), FolderError> {
    check_umask(&fs::read_to_string("/proc/self/status").unwrap_or_default())?;
    let new =
        runs.ancestors().take_while(|above| !above.exists() && *above != Path::new("")).collect::<Vec<_>>();
    make_folder(runs, true)?;
    for folder in new.into_iter().filter_map(Path::parent) {
        let folder = if folder == Path::new("") { Path::new(".") } else { folder };
        sync_path(folder).map_err(FolderError::io(folder))?;
    }
    Ok(())
}

/// Rejects a umask that removes permissions of the owner. `status` is the content of `/proc/self/status`.
fn check_umask(status: &str) -> Result<(), FolderError> {
    const OF_OWNER: u32 = 0o700;
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    match umask.and_then(|umask| u32::from_str_radix(umask.trim(), 8).ok()) {
        Some(umask) if umask & OF_OWNER != 0 => Err(FolderError::Umask { umask }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
