//! Where a run lives: a folder with its frozen inputs, its journal, its logs, and a lock for its one executor.

use crate::folder_error::FolderError;
use crate::frozen_inputs::{Inputs, check_utf8, gone, make_folder, settings_path, sync, sync_path};
use crate::lock::{Lock, NoLock, executor};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const INPUTS: &str = "inputs";
const JOURNAL: &str = "journal";
const LOGS: &str = "out";
const LOCK: &str = "lock";

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run, with its inputs in it, and takes its lock. The disk gets them by [`RunFolder::sync`],
    /// which the journal calls with or before its own first sync.
    pub fn create(runs: &Path, run: &str, inputs: &Inputs) -> Result<(Self, Lock), FolderError> {
        Self::make(runs, run, inputs, false)
    }

    /// The same for a run whose id was chosen: what is left of an executor that died while it did this is done anew.
    pub fn create_again(runs: &Path, run: &str, inputs: &Inputs) -> Result<(Self, Lock), FolderError> {
        Self::make(runs, run, inputs, true)
    }

    fn make(runs: &Path, run: &str, inputs: &Inputs, again: bool) -> Result<(Self, Lock), FolderError> {
        // programs are told of files of this folder, as text
        check_utf8(&std::path::absolute(runs).map_err(FolderError::io(runs))?)?;
        inputs.settings.check()?;
        make_runs_folder(runs)?;
        let folder = Self { path: runs.join(run) };
        make_folder(&folder.path, again)?;
        folder.filled(inputs)
    }

    fn filled(self, inputs: &Inputs) -> Result<(Self, Lock), FolderError> {
        let lock = self.lock()?;
        if self.is_begun() {
            let source = io::ErrorKind::AlreadyExists.into();
            return Err(FolderError::Io { path: self.settings_path(), source });
        }
        // an executor that died here, or whose machine lost power, may have left some of another begin
        gone(&self.logs(), fs::remove_dir_all(self.logs()))?;
        gone(&self.journal(), fs::remove_file(self.journal()))?;
        make_folder(&self.logs(), true)?;
        inputs.write(&self.path.join(INPUTS))?;
        Ok((self, lock))
    }

    /// Makes the disk have the folder and all inputs.
    pub fn sync(&self) -> io::Result<()> {
        sync(&self.path.join(INPUTS))?;
        sync_path(&self.path)?;
        sync_path(self.path.parent().unwrap_or(Path::new(".")))
    }

    /// The folder that a journal is in, if that is the folder of a run.
    pub(crate) fn of_journal(journal: &Path) -> Option<Self> {
        let folder = Self { path: journal.parent()?.to_owned() };
        folder.is_begun().then_some(folder)
    }

    /// Whether the settings are there. A loss of power may leave an empty file of them: nothing of that run is on the disk.
    /// Settings that are no regular file are there too, and refused when they are read.
    fn is_begun(&self) -> bool {
        fs::metadata(self.settings_path()).is_ok_and(|about| !about.is_file() || about.len() > 0)
    }

    /// The folder of a run that is there; `last` is the newest.
    pub fn find(runs: &Path, run: &str) -> Result<Self, FolderError> {
        let no_run = || FolderError::NoRun { run: run.to_owned(), runs: runs.to_owned() };
        if run == "last" {
            return Self::list(runs)?.pop().ok_or_else(no_run);
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
            // the id of a run is text
            .filter(|entry| entry.file_name().to_str().is_some())
            .map(|entry| Self { path: entry.path() })
            .filter(Self::is_begun)
            // its settings are written once, when it is made; an id that was chosen says nothing of time
            .filter_map(|folder| Some((fs::metadata(folder.settings_path()).ok()?.modified().ok()?, folder)))
            .collect();
        folders.sort_by(|(at, left), (other, right)| at.cmp(other).then_with(|| left.path.cmp(&right.path)));
        Ok(folders.into_iter().map(|(_, folder)| folder).collect())
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        self.path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// The folder itself.
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

    fn settings_path(&self) -> PathBuf {
        settings_path(&self.path.join(INPUTS))
    }

    /// The inputs that the run was started with.
    pub fn inputs(&self) -> Result<Inputs, FolderError> {
        Inputs::read(&self.path.join(INPUTS))
    }

    /// Takes the right to execute the run; fails at once if another process has it.
    pub fn lock(&self) -> Result<Lock, FolderError> {
        let path = self.path.join(LOCK);
        Lock::take(&path).map_err(|error| match error {
            NoLock::Held(owner) => FolderError::Held { run: self.run().to_owned(), owner },
            NoLock::Io(source) => FolderError::Io { path, source },
        })
    }

    /// The process of this machine that is executing the run, if any. Takes no lock, so it is in nobody's way.
    pub fn executor(&self) -> Option<i32> {
        executor(&self.path.join(LOCK))
    }

    /// Whether some process of this machine is executing the run.
    pub fn is_held(&self) -> bool {
        self.executor().is_some()
    }
}

/// Makes the folder of all runs, and has the disk have it.
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

/// The umask as proc(5) tells it: one that takes rights from the owner is refused before anything is made.
fn check_umask(status: &str) -> Result<(), FolderError> {
    const OF_OWNER: u32 = 0o700;
    let umask = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    match umask.and_then(|umask| u32::from_str_radix(umask.trim(), 8).ok()) {
        Some(umask) if umask & OF_OWNER != 0 => Err(FolderError::Umask { umask }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frozen_inputs::{ConfDSettings, Settings};
    use pop_contract::Description;
    use std::collections::BTreeMap;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn inputs() -> Inputs {
        let settings = Settings {
            agenda: "a.json".into(),
            registry: None,
            on: "local".into(),
            folder: "/".into(),
            home: None,
            params: Vec::new(),
            cid: "c".into(),
            mark: None,
            replay_of: None,
            conf_d: None,
        };
        let registry = Some(b"{}".to_vec());
        Inputs {
            settings,
            agenda: b"{}".to_vec(),
            registry,
            descriptors: BTreeMap::new(),
            descriptions: BTreeMap::new(),
        }
    }

    #[test]
    fn fr_h17_a_umask_that_takes_the_owners_rights_is_refused_with_its_reason() {
        for (status, refused) in [
            ("Name:\tpop\nUmask:\t0777\nState:\tR\n", Some("umask 0777")),
            ("Umask:\t0200\n", Some("umask 0200")),
            ("Umask:\t0077\n", None),
            ("Umask:\t0022\n", None),
            ("", None),
        ] {
            let said = check_umask(status).err().map(|error| error.to_string());
            assert_eq!(said.is_some(), refused.is_some(), "{status}");
            assert!(said.unwrap_or_default().contains(refused.unwrap_or_default()));
        }
    }

    #[test]
    fn inputs_are_frozen_and_a_changed_byte_changes_the_digest() {
        let runs = tempfile::tempdir().unwrap();
        let (folder, _lock) = RunFolder::create(runs.path(), "r1", &inputs()).unwrap();
        assert_eq!(RunFolder::find(runs.path(), "r1").unwrap().inputs().unwrap(), inputs());
        assert_eq!(RunFolder::find(runs.path(), "last").unwrap().run(), "r1");
        // what only a replay has changes no digest of another run
        assert!(!fs::read_to_string(folder.settings_path()).unwrap().contains("replayOf"));
        let digest = inputs().digest().unwrap();
        fs::write(folder.path().join("inputs/agenda"), b"{ }").unwrap();
        assert_ne!(folder.inputs().unwrap().digest().unwrap(), digest);
    }

    #[test]
    fn u9_descriptors_are_frozen_too_and_runs_without_them_keep_their_digest() {
        let runs = tempfile::tempdir().unwrap();
        let mut with = inputs();
        assert_eq!(
            with.digest().unwrap(),
            "7e1c873742226d5b4169f041d14f3994222bda8642df7dba7749495a7be1736d"
        );
        with.settings.conf_d =
            Some(ConfDSettings { folder: "conf.d".into(), handlers: vec!["/usr/lib/pop/handlers".into()] });
        with.descriptors =
            [("a.conf".to_owned(), b"\xff".to_vec()), ("b.conf".to_owned(), Vec::new())].into();
        let (folder, _lock) = RunFolder::create(runs.path(), "r1", &with).unwrap();
        assert_eq!(folder.inputs().unwrap(), with);
        let digest = with.digest().unwrap();
        for (file, bytes) in [("a.conf", b"x".as_slice()), ("b.conf", b"x"), ("c.conf", b"")] {
            let path = folder.path().join("inputs/conf.d").join(file);
            let before = fs::read(&path).ok();
            fs::write(&path, bytes).unwrap();
            assert_ne!(folder.inputs().unwrap().digest().unwrap(), digest, "{file}");
            before.map_or_else(|| fs::remove_file(&path), |before| fs::write(&path, before)).unwrap();
        }
        assert_eq!(folder.inputs().unwrap().digest().unwrap(), digest);
    }

    #[test]
    fn f48_folders_and_files_are_the_callers_alone() {
        let runs = tempfile::tempdir().unwrap();
        let (folder, _lock) = RunFolder::create(&runs.path().join("runs"), "r1", &inputs()).unwrap();
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for dir in [folder.path().to_owned(), folder.logs(), folder.path().join(INPUTS)] {
            assert_eq!(mode(dir), 0o700);
        }
        for file in ["lock", "inputs/agenda", "inputs/settings.json"] {
            assert_eq!(mode(folder.path().join(file)), 0o600);
        }
    }

    #[test]
    fn f1_a_folder_that_was_made_and_not_filled_is_filled_and_a_filled_one_is_kept() {
        let runs = tempfile::tempdir().unwrap();
        let kept = runs.path().join("r1").join(INPUTS);
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("agenda"), "longer than what is to stand there").unwrap();
        fs::write(kept.join("settings.new"), "{\"agen").unwrap();
        fs::create_dir(kept.join("conf.d")).unwrap();
        fs::write(kept.join("conf.d").join("old.conf"), "").unwrap();
        let mut inputs = inputs();
        inputs.settings.conf_d = Some(ConfDSettings { folder: "conf.d".into(), handlers: Vec::new() });
        inputs.descriptors = [("new.conf".to_owned(), Vec::new())].into();
        assert!(matches!(RunFolder::find(runs.path(), "r1"), Err(FolderError::NoRun { .. })));
        assert!(matches!(RunFolder::create(runs.path(), "r1", &inputs), Err(FolderError::Io { .. })));
        let (folder, lock) = RunFolder::create_again(runs.path(), "r1", &inputs).unwrap();
        assert_eq!(folder.inputs().unwrap(), inputs);
        assert!(matches!(RunFolder::create_again(runs.path(), "r1", &inputs), Err(FolderError::Held { .. })));
        drop(lock);
        assert!(matches!(RunFolder::create_again(runs.path(), "r1", &inputs), Err(FolderError::Io { .. })));
    }

    #[test]
    fn f3_a_run_whose_settings_were_lost_with_the_power_was_never_begun() {
        let runs = tempfile::tempdir().unwrap();
        let (folder, lock) = RunFolder::create(runs.path(), "r1", &inputs()).unwrap();
        folder.sync().unwrap();
        assert!(RunFolder::of_journal(&folder.journal()).is_some());
        drop(lock);
        // a file system may keep the name of a file that was not synced, and none of its bytes
        fs::write(folder.settings_path(), "").unwrap();
        fs::write(folder.journal(), "").unwrap();
        fs::write(folder.logs().join("a.1.log"), "of the lost run").unwrap();
        assert!(RunFolder::of_journal(&folder.journal()).is_none());
        assert!(matches!(RunFolder::find(runs.path(), "r1"), Err(FolderError::NoRun { .. })));
        assert!(RunFolder::list(runs.path()).unwrap().is_empty());
        let (folder, _lock) = RunFolder::create_again(runs.path(), "r1", &inputs()).unwrap();
        assert_eq!(folder.inputs().unwrap(), inputs());
        assert!(!folder.journal().exists());
        assert_eq!(fs::read_dir(folder.logs()).unwrap().count(), 0);
    }

    #[test]
    fn names_that_lead_elsewhere_are_no_runs() {
        let runs = tempfile::tempdir().unwrap();
        for name in ["", "..", "../x", ".hidden", "none", "last"] {
            assert!(matches!(RunFolder::find(runs.path(), name), Err(FolderError::NoRun { .. })), "{name}");
        }
    }

    #[test]
    fn descriptions_are_frozen_and_a_changed_one_changes_the_digest() {
        let runs = tempfile::tempdir().unwrap();
        let about = Description::parse(br#"{"name": "size", "input": {"maximum": 0.1}}"#).unwrap();
        let with = Inputs { descriptions: [("size".to_owned(), about)].into(), ..inputs() };
        assert_ne!(with.digest().unwrap(), inputs().digest().unwrap());
        let (folder, _lock) = RunFolder::create(runs.path(), "r1", &with).unwrap();
        let read = folder.inputs().unwrap();
        assert_eq!((read.digest().unwrap(), &read), (with.digest().unwrap(), &with));
        let file = folder.path().join(INPUTS).join("descriptions.json");
        fs::write(&file, fs::read_to_string(&file).unwrap().replace("0.1", "0.2")).unwrap();
        assert_ne!(folder.inputs().unwrap().digest().unwrap(), with.digest().unwrap());
    }

    #[test]
    fn fr_h2_paths_that_are_not_utf8_are_refused_before_anything_is_written() {
        let runs = tempfile::tempdir().unwrap();
        let odd = PathBuf::from(OsStr::from_bytes(b"/odd\xff"));
        let confd = |folder: &Path, handlers: &Path| {
            Some(ConfDSettings { folder: folder.to_owned(), handlers: vec![handlers.to_owned()] })
        };
        let plain = Path::new("/plain");
        for settings in [
            Settings { folder: odd.clone(), ..inputs().settings },
            Settings { home: Some(odd.clone()), ..inputs().settings },
            Settings { conf_d: confd(&odd, plain), ..inputs().settings },
            Settings { conf_d: confd(plain, &odd), ..inputs().settings },
        ] {
            let inputs = Inputs { settings, ..inputs() };
            let error = RunFolder::create_again(runs.path(), "r1", &inputs).unwrap_err();
            assert!(matches!(error, FolderError::NotUtf8 { path } if path == odd));
            assert!(matches!(RunFolder::find(runs.path(), "r1"), Err(FolderError::NoRun { .. })));
        }
        let odd = runs.path().join(OsStr::from_bytes(b"\xff"));
        assert!(matches!(RunFolder::create(&odd, "r1", &inputs()), Err(FolderError::NotUtf8 { .. })));
        // a folder that pop did not make is no run
        fs::create_dir_all(odd.join(INPUTS)).unwrap();
        fs::write(odd.join(INPUTS).join("settings.json"), "{}").unwrap();
        assert!(RunFolder::list(runs.path()).unwrap().is_empty());
    }

    #[test]
    fn fr_h9_no_file_of_a_run_is_read_unless_it_is_a_regular_one() {
        let runs = tempfile::tempdir().unwrap();
        let conf_d = Some(ConfDSettings { folder: "conf.d".into(), handlers: Vec::new() });
        let inputs = Inputs {
            settings: Settings { conf_d, ..inputs().settings },
            descriptors: [("a.conf".to_owned(), Vec::new())].into(),
            descriptions: [("a".to_owned(), Description::default())].into(),
            ..inputs()
        };
        for file in ["settings.json", "agenda", "registry", "conf.d/a.conf", "descriptions.json"] {
            let (folder, lock) = RunFolder::create(runs.path(), "r1", &inputs).unwrap();
            let path = folder.path().join(INPUTS).join(file);
            fs::remove_file(&path).unwrap();
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).unwrap();
            let Err(FolderError::Io { path: refused, source }) = folder.inputs() else { unreachable!() };
            assert_eq!((refused, source.kind()), (path, io::ErrorKind::InvalidInput));
            drop(lock);
            // who holds the lock is read from a file, too
            fs::remove_file(folder.path().join(LOCK)).unwrap();
            rustix::fs::mknodat(rustix::fs::CWD, folder.path().join(LOCK), kind, mode, 0).unwrap();
            assert!(!folder.is_held());
            fs::remove_dir_all(folder.path()).unwrap();
        }
    }
}
