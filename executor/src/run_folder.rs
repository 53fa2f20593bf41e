//! Where a run lives: a folder with its frozen inputs, its journal, its logs, and a lock for its one executor.

use crate::lock::{Lock, NoLock, executor};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const INPUTS: &str = "inputs";
const SETTINGS: &str = "settings.json";
const CONF_D: &str = "conf.d";
const JOURNAL: &str = "journal";
const LOGS: &str = "out";
const LOCK: &str = "lock";

/// What a run was started with, besides agenda and registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The name of the agenda as messages give it.
    pub agenda: String,
    /// The name of the registry, if there is one.
    pub registry: Option<String>,
    /// How operations are launched.
    pub on: String,
    /// The folder in which programs start.
    pub folder: PathBuf,
    /// The folder beside which the registry's relative programs are looked for.
    pub home: Option<PathBuf>,
    /// The agenda's params that were given on the command line.
    pub params: Vec<(String, String)>,
    /// The correlation id.
    pub cid: String,
    /// By what the run's programs are known, for a run whose id was chosen and may be another's too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// The dead letter that it repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<ReplayOf>,
    /// Where descriptors and their programs were looked for, if there are descriptors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conf_d: Option<ConfDSettings>,
}

/// A dead letter, by the run and the operation that it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayOf {
    /// The run.
    pub run: String,
    /// The operation.
    pub operation: String,
}

/// Where descriptors were found, and where the programs that they name are looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfDSettings {
    /// The folder of the descriptors as messages give it.
    pub folder: PathBuf,
    /// The folders in which programs are looked for before PATH.
    pub handlers: Vec<PathBuf>,
}

/// What a run was started with, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs {
    /// The settings.
    pub settings: Settings,
    /// The agenda.
    pub agenda: Vec<u8>,
    /// The registry.
    pub registry: Option<Vec<u8>>,
    /// The descriptors, by the names of their files.
    pub descriptors: BTreeMap<String, Vec<u8>>,
}

/// A run's folder that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file in it cannot be read or written.
    #[error("`{}` cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// New files would have no rights for their owner.
    #[error("with umask {umask:04o} this user could not use the files that pop makes")]
    Umask {
        /// The umask.
        umask: u32,
    },
    /// There is no such run.
    #[error("there is no run `{run}` in `{}`", .runs.display())]
    NoRun {
        /// The run asked for.
        run: String,
        /// The folder of all runs.
        runs: PathBuf,
    },
    /// Another executor is at it.
    #[error("run `{run}` is being executed by {owner}")]
    Held {
        /// The run.
        run: String,
        /// Who.
        owner: String,
    },
    /// The inputs are not those that the journal was begun with.
    #[error("the inputs of run `{run}` were changed since it began")]
    InputsChanged {
        /// The run.
        run: String,
    },
}

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder of a new run, with its inputs in it, and takes its lock. The disk gets them by [`RunFolder::sync`],
    /// which the journal calls with or before its own first sync.
    pub fn create(runs: &Path, run: &str, inputs: &Inputs) -> Result<(Self, Lock), FolderError> {
        make_runs_folder(runs)?;
        let folder = Self { path: runs.join(run) };
        make_folder(&folder.path, false)?;
        folder.filled(inputs)
    }

    /// The same for a run whose id was chosen: what is left of an executor that died while it did this is done anew.
    pub fn create_again(runs: &Path, run: &str, inputs: &Inputs) -> Result<(Self, Lock), FolderError> {
        make_runs_folder(runs)?;
        let folder = Self { path: runs.join(run) };
        make_folder(&folder.path, true)?;
        folder.filled(inputs)
    }

    fn filled(self, inputs: &Inputs) -> Result<(Self, Lock), FolderError> {
        let lock = self.lock()?;
        let settings = self.settings_path();
        if self.is_begun() {
            let source = io::ErrorKind::AlreadyExists.into();
            return Err(FolderError::Io { path: settings, source });
        }
        let kept = self.path.join(INPUTS);
        let conf_d = kept.join(CONF_D);
        // an executor that died here, or whose machine lost power, may have left some of another begin
        for left in [&self.logs(), &conf_d] {
            gone(left, fs::remove_dir_all(left))?;
        }
        gone(&self.journal(), fs::remove_file(self.journal()))?;
        make_folder(&kept, true)?;
        make_folder(&self.logs(), true)?;
        write(&kept.join("agenda"), &inputs.agenda)?;
        if let Some(registry) = &inputs.registry {
            write(&kept.join("registry"), registry)?;
        }
        if !inputs.descriptors.is_empty() {
            make_folder(&conf_d, true)?;
            for (name, bytes) in &inputs.descriptors {
                write(&conf_d.join(name), bytes)?;
            }
        }
        // settings last, and whole at once: a folder without them was never begun
        let unnamed = kept.join("settings.new");
        write(&unnamed, &settings_bytes(&inputs.settings))?;
        fs::rename(&unnamed, &settings).map_err(|source| FolderError::Io { path: settings, source })?;
        Ok((self, lock))
    }

    /// Makes the disk have the folder and all inputs. The settings come last of the inputs: after a loss of power, a
    /// folder whose settings have a content has all its inputs.
    pub fn sync(&self) -> io::Result<()> {
        let kept = self.path.join(INPUTS);
        let conf_d = kept.join(CONF_D);
        let descriptors = if conf_d.is_dir() { files(&conf_d)? } else { Vec::new() };
        let others = files(&kept)?.into_iter().filter(|path| !path.ends_with(SETTINGS));
        for file in descriptors.iter().chain([&conf_d].into_iter().filter(|folder| folder.is_dir())) {
            sync_path(file)?;
        }
        for path in others.chain([self.settings_path(), kept, self.path.clone()]) {
            sync_path(&path)?;
        }
        sync_path(self.path.parent().unwrap_or(Path::new(".")))
    }

    /// The folder that a journal is in, if that is the folder of a run.
    pub(crate) fn of_journal(journal: &Path) -> Option<Self> {
        let folder = Self { path: journal.parent()?.to_owned() };
        folder.is_begun().then_some(folder)
    }

    /// Whether the settings are there. A loss of power may leave an empty file of them: nothing of that run is on the disk.
    fn is_begun(&self) -> bool {
        fs::metadata(self.settings_path()).is_ok_and(|about| about.is_file() && about.len() > 0)
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
        self.path.join(INPUTS).join(SETTINGS)
    }

    /// The inputs that the run was started with.
    pub fn inputs(&self) -> Result<Inputs, FolderError> {
        let kept = self.path.join(INPUTS);
        let settings_path = self.settings_path();
        let settings: Settings = serde_json::from_slice(&read(&settings_path)?)
            .map_err(|error| FolderError::Io { path: settings_path, source: error.into() })?;
        let registry = kept.join("registry");
        let registry = if registry.exists() { Some(read(&registry)?) } else { None };
        let descriptors = match &settings.conf_d {
            Some(_) => descriptors(&kept.join(CONF_D))?,
            None => BTreeMap::new(),
        };
        Ok(Inputs { settings, agenda: read(&kept.join("agenda"))?, registry, descriptors })
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

impl Inputs {
    /// A digest of everything that decides what the run does.
    pub fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let settings = settings_bytes(&self.settings);
        for part in [Some(&settings), Some(&self.agenda), self.registry.as_ref()] {
            let part = part.map_or(&[] as &[u8], Vec::as_slice);
            // lengths keep the parts apart
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
        for (name, bytes) in &self.descriptors {
            for part in [name.as_bytes(), bytes] {
                hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
        }
        hasher.finalize().to_hex().to_string()
    }
}

fn settings_bytes(settings: &Settings) -> Vec<u8> {
    serde_json::to_vec(settings).unwrap_or_default()
}

/// Makes the folder of all runs, and has the disk have it.
fn make_runs_folder(runs: &Path) -> Result<(), FolderError> {
    check_umask(&fs::read_to_string("/proc/self/status").unwrap_or_default())?;
    let new =
        runs.ancestors().take_while(|above| !above.exists() && *above != Path::new("")).collect::<Vec<_>>();
    make_folder(runs, true)?;
    for folder in new.into_iter().filter_map(Path::parent) {
        let folder = if folder == Path::new("") { Path::new(".") } else { folder };
        sync_path(folder).map_err(|source| FolderError::Io { path: folder.to_owned(), source })?;
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

/// The result of a removal; that there was nothing to remove is no error.
fn gone(path: &Path, removed: io::Result<()>) -> Result<(), FolderError> {
    match removed {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(FolderError::Io { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn make_folder(path: &Path, with_parents: bool) -> Result<(), FolderError> {
    let made = DirBuilder::new().recursive(with_parents).mode(0o700).create(path);
    made.map_err(|source| FolderError::Io { path: path.to_owned(), source })
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(bytes));
    written.map_err(|source| FolderError::Io { path: path.to_owned(), source })
}

fn read(path: &Path) -> Result<Vec<u8>, FolderError> {
    fs::read(path).map_err(|source| FolderError::Io { path: path.to_owned(), source })
}

/// The descriptors that a run keeps.
fn descriptors(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, FolderError> {
    let failed = |source| FolderError::Io { path: folder.to_owned(), source };
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), read(&entry.path())?);
    }
    Ok(found)
}

/// The files of a folder; folders in it are left out.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_file()).collect())
}

/// Syncs a file or a folder. After a loss of power a new file exists only if its folder was synced, too.
fn sync_path(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
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
        Inputs { settings, agenda: b"{}".to_vec(), registry, descriptors: BTreeMap::new() }
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
        let digest = inputs().digest();
        fs::write(folder.path().join("inputs/agenda"), b"{ }").unwrap();
        assert_ne!(folder.inputs().unwrap().digest(), digest);
    }

    #[test]
    fn u9_descriptors_are_frozen_too_and_runs_without_them_keep_their_digest() {
        let runs = tempfile::tempdir().unwrap();
        let mut with = inputs();
        assert_eq!(with.digest(), "7e1c873742226d5b4169f041d14f3994222bda8642df7dba7749495a7be1736d");
        with.settings.conf_d =
            Some(ConfDSettings { folder: "conf.d".into(), handlers: vec!["/usr/lib/pop/handlers".into()] });
        with.descriptors =
            [("a.conf".to_owned(), b"\xff".to_vec()), ("b.conf".to_owned(), Vec::new())].into();
        let (folder, _lock) = RunFolder::create(runs.path(), "r1", &with).unwrap();
        assert_eq!(folder.inputs().unwrap(), with);
        let digest = with.digest();
        for (file, bytes) in [("a.conf", b"x".as_slice()), ("b.conf", b"x"), ("c.conf", b"")] {
            let path = folder.path().join("inputs/conf.d").join(file);
            let before = fs::read(&path).ok();
            fs::write(&path, bytes).unwrap();
            assert_ne!(folder.inputs().unwrap().digest(), digest, "{file}");
            before.map_or_else(|| fs::remove_file(&path), |before| fs::write(&path, before)).unwrap();
        }
        assert_eq!(folder.inputs().unwrap().digest(), digest);
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
        fs::create_dir(kept.join(CONF_D)).unwrap();
        fs::write(kept.join(CONF_D).join("old.conf"), "").unwrap();
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
}
