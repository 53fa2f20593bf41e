//! The frozen inputs of a run: copies of the agenda, registry, descriptors and settings, written once and never
//! changed.

use crate::folder_error::FolderError;
use crate::journal::read_json;
use pop_agenda::ParentRun;
use pop_contract::Description;
use pop_launchers::{read_regular_file, write_private};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

const AGENDA: &str = "agenda";
const REGISTRY: &str = "registry";
const SETTINGS: &str = "settings.json";
const CONF_D: &str = "conf.d";
const DESCRIPTIONS: &str = "descriptions.json";
const FILES: &str = "agendas.json";
/// The file of the records of a rerun's parent, one line of JSON for each.
pub(crate) const PARENT: &str = "parent.jsonl";

/// Largest settings file that is read, in bytes.
const SETTINGS_LIMIT: u64 = 16 * 1024 * 1024;
/// Largest other input file that is read, in bytes: the size limit of an agenda.
const FILE_LIMIT: u64 = pop_document::MAX_BYTES as u64;

/// The settings of a run: its inputs besides agenda, registry and descriptors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The name of the agenda in messages.
    pub agenda: String,
    /// The name of the registry in messages, if there is one.
    pub registry: Option<String>,
    /// The launcher: `local`, `docker` or `kubernetes`.
    pub on: String,
    /// The folder in which programs start.
    pub folder: PathBuf,
    /// The registry's folder, in which relative programs of the registry are looked up.
    pub home: Option<PathBuf>,
    /// Params of the agenda that the command line set.
    pub params: Vec<(String, String)>,
    /// Values of the agenda's inputs.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Value>,
    /// The correlation id.
    pub cid: String,
    /// The mark of the run's programs, if the user set the run's id. Another run may have the same id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<String>,
    /// The dead letter that the run replays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay_of: Option<ReplayOf>,
    /// The run whose unchanged results the run reuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rerun_of: Option<RerunOf>,
    /// The folders of descriptors and of their programs, if there are descriptors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conf_d: Option<ConfDSettings>,
    /// The trace of the run, if it was started within one or sends its own spans.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceSettings>,
}

/// The trace context with which a run was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TraceSettings {
    /// The caller's `traceparent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<String>,
    /// The caller's `tracestate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whether the spans of the run are to be sent, so that handlers hang theirs below them.
    pub is_recorded: bool,
}

/// A reference to a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayOf {
    /// The run.
    pub run: String,
    /// The operation.
    pub operation: String,
}

/// The parent of a rerun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerunOf {
    /// The parent, and what runs even if nothing changed.
    #[serde(flatten)]
    pub parent: ParentRun,
    /// Digest of the frozen records of the parent's operations.
    pub records: String,
}

/// The folders of descriptors and of the programs that they name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfDSettings {
    /// The folder of the descriptors, as shown in messages.
    pub folder: PathBuf,
    /// Folders that are searched for programs before PATH.
    pub handlers: Vec<PathBuf>,
}

/// The inputs of a run, byte for byte.
#[derive(Debug, Clone, PartialEq)]
pub struct Inputs {
    /// The settings.
    pub settings: Settings,
    /// The agenda.
    pub agenda: Vec<u8>,
    /// The agendas that operations of type `agenda` name, by their names.
    pub files: BTreeMap<String, String>,
    /// The registry.
    pub registry: Option<Vec<u8>>,
    /// The descriptors, by file name.
    pub descriptors: BTreeMap<String, Vec<u8>>,
    /// Descriptions of handlers when the run began, by the ids of their entries. Runs of earlier versions have none.
    pub descriptions: BTreeMap<String, Description>,
    /// The records of the parent of a rerun, to be written. They may be large, so they are not read with the other inputs;
    /// the settings have their digest.
    pub parent: Option<Vec<u8>>,
}

impl Settings {
    /// Rejects paths that are not UTF-8, because JSON cannot contain them.
    pub(crate) fn check(&self) -> Result<(), FolderError> {
        let conf_d = self.conf_d.iter().flat_map(|conf_d| conf_d.handlers.iter().chain([&conf_d.folder]));
        let mut paths = self.home.iter().chain([&self.folder]).chain(conf_d);
        paths.try_for_each(|path| check_utf8(path))
    }

    fn to_bytes(&self) -> Result<Vec<u8>, FolderError> {
        self.check()?;
        serde_json::to_vec(self)
            .map_err(|error| FolderError::Io { path: PathBuf::from(SETTINGS), source: error.into() })
    }
}

/// Rejects a path that is not UTF-8.
pub(crate) fn check_utf8(path: &Path) -> Result<(), FolderError> {
    match path.to_str() {
        Some(_) => Ok(()),
        None => Err(FolderError::NotUtf8 { path: path.to_owned() }),
    }
}

impl Inputs {
    /// A digest of everything that determines the run.
    pub fn digest(&self) -> Result<String, FolderError> {
        let mut hasher = blake3::Hasher::new();
        let mut add = |part: &[u8]| {
            // the length separates the parts
            hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
        };
        add(&self.settings.to_bytes()?);
        add(&self.agenda);
        add(self.registry.as_deref().unwrap_or_default());
        if !self.files.is_empty() {
            add(FILES.as_bytes());
        }
        for (name, text) in &self.files {
            add(name.as_bytes());
            add(text.as_bytes());
        }
        for (name, bytes) in &self.descriptors {
            add(name.as_bytes());
            add(bytes);
        }
        if !self.descriptions.is_empty() {
            add(DESCRIPTIONS.as_bytes());
            add(&self.descriptions_bytes()?);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn descriptions_bytes(&self) -> Result<Vec<u8>, FolderError> {
        serde_json::to_vec(&self.descriptions)
            .map_err(|error| FolderError::Io { path: PathBuf::from(DESCRIPTIONS), source: error.into() })
    }

    /// Writes the inputs of a new run into a folder. The settings are written last and atomically, so a folder without them
    /// belongs to a run that never began. [`sync`] writes the files to disk.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), FolderError> {
        let settings_bytes = self.settings.to_bytes()?;
        // an earlier start of this run may have left files, if its executor died or the machine lost power
        let (conf_d, descriptions) = (folder.join(CONF_D), folder.join(DESCRIPTIONS));
        let files = folder.join(FILES);
        ignore_missing(&conf_d, fs::remove_dir_all(&conf_d))?;
        ignore_missing(&descriptions, fs::remove_file(&descriptions))?;
        ignore_missing(&files, fs::remove_file(&files))?;
        make_folder(folder, true)?;
        write(&folder.join(AGENDA), &self.agenda)?;
        if !self.files.is_empty() {
            let bytes =
                serde_json::to_vec(&self.files).map_err(|error| FolderError::io(&files)(error.into()))?;
            write(&files, &bytes)?;
        }
        if let Some(registry) = &self.registry {
            write(&folder.join(REGISTRY), registry)?;
        }
        if !self.descriptors.is_empty() {
            make_folder(&conf_d, true)?;
            for (name, bytes) in &self.descriptors {
                write(&conf_d.join(name), bytes)?;
            }
        }
        if !self.descriptions.is_empty() {
            write(&descriptions, &self.descriptions_bytes()?)?;
        }
        if let Some(parent) = &self.parent {
            write(&folder.join(PARENT), parent)?;
        }
        let unnamed = folder.join("settings.new");
        write(&unnamed, &settings_bytes)?;
        let settings = settings_path(folder);
        fs::rename(&unnamed, &settings).map_err(FolderError::io(&settings))
    }

    /// Reads the inputs of a run.
    pub(crate) fn read(folder: &Path) -> Result<Self, FolderError> {
        let path = settings_path(folder);
        let settings: Settings = serde_json::from_slice(&read(&path, SETTINGS_LIMIT)?)
            .map_err(|error| FolderError::io(&path)(error.into()))?;
        let descriptors = match &settings.conf_d {
            Some(_) => descriptors(&folder.join(CONF_D))?,
            None => BTreeMap::new(),
        };
        let path = folder.join(DESCRIPTIONS);
        let descriptions = match read_optional(&path)? {
            Some(bytes) => read_json(&bytes).map_err(|error| FolderError::io(&path)(error.into()))?,
            None => BTreeMap::new(),
        };
        let path = folder.join(FILES);
        let files = match read_optional(&path)? {
            Some(bytes) => read_json(&bytes).map_err(|error| FolderError::io(&path)(error.into()))?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            settings,
            files,
            agenda: read(&folder.join(AGENDA), FILE_LIMIT)?,
            registry: read_optional(&folder.join(REGISTRY))?,
            descriptors,
            descriptions,
            parent: None,
        })
    }
}

/// The file of the settings in a folder of frozen inputs.
pub(crate) fn settings_path(folder: &Path) -> PathBuf {
    folder.join(SETTINGS)
}

/// The frozen descriptors, by file name.
fn descriptors(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, FolderError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(FolderError::io(folder))? {
        let path = entry.map_err(FolderError::io(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| FolderError::NotUtf8 { path: path.clone() })?;
        found.insert(name.to_owned(), read(&path, FILE_LIMIT)?);
    }
    Ok(found)
}

/// Creates a folder that only the caller can read.
pub(crate) fn make_folder(path: &Path, with_parents: bool) -> Result<(), FolderError> {
    let made = DirBuilder::new().recursive(with_parents).mode(0o700).create(path);
    made.map_err(FolderError::io(path))
}

/// Syncs the inputs in a folder to disk, the settings last. After power loss, a folder whose settings have content has all
/// its inputs.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    let conf_d = folder.join(CONF_D);
    if conf_d.is_dir() {
        for file in files(&conf_d)? {
            sync_path(&file)?;
        }
        sync_path(&conf_d)?;
    }
    for file in files(folder)?.iter().filter(|path| !path.ends_with(SETTINGS)) {
        sync_path(file)?;
    }
    sync_path(&settings_path(folder))?;
    sync_path(folder)
}

/// The files of a folder, without its subfolders.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    Ok(entries.into_iter().map(|entry| entry.path()).filter(|path| path.is_file()).collect())
}

/// Syncs a file or a folder. A new file survives power loss only if its folder was synced, too.
pub(crate) fn sync_path(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), FolderError> {
    write_private(path, bytes).map_err(FolderError::io(path))
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, FolderError> {
    read_regular_file(path, limit).map_err(FolderError::io(path))
}

fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, FolderError> {
    match read_regular_file(path, FILE_LIMIT) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FolderError::io(path)(error)),
    }
}

/// The result of the removal of a file; a missing file is not an error.
pub(crate) fn ignore_missing(path: &Path, removed: io::Result<()>) -> Result<(), FolderError> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FolderError::io(path)(error)),
        _ => Ok(()),
    }
}
