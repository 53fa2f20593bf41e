//! The dead-letter queue of a run: a folder with one file for each failed operation, with everything needed to repeat
//! the operation.
//!
//! *Guarantees.* A dead letter is written whole or not at all, even if a process is killed. A second write changes
//! nothing and does not remove the recorded replays. If one dead letter is damaged, the others stay readable.

use crate::atomic_file::{self, Durability, replace};
use crate::folder_error::FolderError;
use crate::journal::read_json;
use crate::locked_file::LockedFile;
use crate::run_folder::RunFolder;
use pop_agenda::OperationName;
use pop_contract::{Failure, Millis};
use pop_launchers::{make_private_folder, read_regular_file, write_private};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const FOLDER: &str = "dead-letters";
const EXTENSION: &str = "json";
/// Format number of dead letters (docs/formats/dead-letters.md).
const FORMAT: u32 = 1;
/// Largest dead letter that is read, in bytes: a payload may be as large as an agenda.
const LETTER_LIMIT: u64 = 2 * pop_document::MAX_BYTES as u64;

/// A failed operation with everything needed to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The run.
    pub run: String,
    /// The operation.
    pub operation: String,
    /// Type of the operation.
    #[serde(rename = "type")]
    pub handler_type: String,
    /// The name of the agenda in messages.
    pub agenda: String,
    /// The launcher of the run: `local`, `docker` or `kubernetes`.
    pub launcher: String,
    /// Payload of the operation, after its references were replaced.
    pub payload: Value,
    /// Pointers to maps that references put into `command` or `env` of type `exec`. They are data, although they may look
    /// like `{spread: …}`, `{json: …}` or `{file: …}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inserted_maps: Vec<String>,
    /// The operation's own params, and its lock keys.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// Failure of the last attempt.
    pub failure: Failure,
    /// All attempts, oldest first.
    pub attempts: Vec<PastAttempt>,
    /// Time at which the operation was settled, in epoch milliseconds.
    pub settled: Millis,
    /// Ids of the runs that replayed the dead letter.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replays: Vec<String>,
}

/// One attempt of an operation in the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// Time of the launch, in epoch milliseconds.
    pub started: Millis,
    /// Time of the end, in epoch milliseconds.
    pub ended: Millis,
    /// Failure of the attempt, as text.
    pub failure: String,
}

/// Why a dead letter cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// A file cannot be read or written.
    #[error("`{}` cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// There is no such dead letter.
    #[error("there is no dead letter `{id}`")]
    NoLetter {
        /// The id that was looked up.
        id: String,
    },
    /// A file is not a complete dead letter.
    #[error("the dead letter `{}` is damaged", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The parser's reason.
        #[source]
        source: serde_json::Error,
    },
    /// Another version of pop wrote the dead letter.
    #[error("the dead letter `{}` has format {format}, not {FORMAT}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Format number in the file.
        format: u64,
    },
}

/// The dead-letter queue of one run.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    run: String,
    folder: PathBuf,
}

/// A dead letter whose queue is locked, so that no other process changes it.
#[derive(Debug)]
pub struct LockedLetter {
    /// The dead letter.
    pub letter: DeadLetter,
    path: PathBuf,
    _lock: LettersLock,
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct LetterFile<L> {
    format: u32,
    id: String,
    letter: L,
}

impl DeadLetter {
    /// The id of the dead letter, `RUN/OPERATION`.
    pub fn id(&self) -> String {
        id(&self.run, &self.operation)
    }
}

fn id(run: &str, operation: &str) -> String {
    format!("{run}/{operation}")
}

impl DeadLetters {
    /// The queue of the run in this folder.
    pub fn of(run_folder: &Path) -> Self {
        let run = run_folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { run, folder: run_folder.join(FOLDER) }
    }

    /// The dead letters of all runs, oldest run first.
    pub fn all(runs: &Path) -> Result<Vec<Result<DeadLetter, LetterError>>, FolderError> {
        let folders = RunFolder::list(runs)?;
        Ok(folders.iter().flat_map(|folder| Self::of(folder.path()).list()).collect())
    }

    /// Writes a dead letter. If the operation has one already, it is replaced, without its recorded replays being lost.
    pub fn write(&self, letter: &DeadLetter) -> Result<(), LetterError> {
        make_private_folder(&self.folder).map_err(at(&self.folder))?;
        self.write_locked(letter, &self.lock()?)
    }

    /// Locks the queue, if no other process has locked it.
    pub(crate) fn try_lock(&self) -> Result<Result<LettersLock, LettersWait>, LetterError> {
        make_private_folder(&self.folder).map_err(at(&self.folder))?;
        let (path, file) = self.lock_file()?;
        let locked = LockedFile::try_lock(file).map_err(at(&path))?;
        Ok(locked.map(LettersLock).map_err(LettersWait))
    }

    /// [`DeadLetters::write`] for a caller that has locked the queue.
    pub(crate) fn write_locked(&self, letter: &DeadLetter, _lock: &LettersLock) -> Result<(), LetterError> {
        let path = self.path(&letter.operation)?;
        // a missing or damaged file has no recorded replays
        let replays = read(&path).map_or_else(|_| Vec::new(), |earlier| earlier.replays);
        write_file(&path, &DeadLetter { replays, ..letter.clone() })
    }

    /// Removes a dead letter whose operation has the result of its replay, for a caller that has locked the queue. The
    /// operation may get another one.
    pub(crate) fn remove_locked(&self, operation: &str, _lock: &LettersLock) -> Result<(), LetterError> {
        let path = self.path(operation)?;
        fs::remove_file(&path).map_err(|error| self.or_no_letter(at(&path)(error), operation))
    }

    /// Whether an operation has a dead letter, or had one that was dropped.
    pub fn is_known(&self, operation: &str) -> bool {
        self.path(operation).is_ok_and(|path| path.exists() || drop_marker(&path).exists())
    }

    /// The dead letters, ordered by file name.
    pub fn list(&self) -> Vec<Result<DeadLetter, LetterError>> {
        let files = match files(&self.folder) {
            Ok(files) => files,
            Err(error) => return vec![Err(error)],
        };
        files.iter().map(|file| read(file)).collect()
    }

    /// The dead letter of an operation.
    pub fn find(&self, operation: &str) -> Result<DeadLetter, LetterError> {
        read(&self.path(operation)?).map_err(|error| self.or_no_letter(error, operation))
    }

    /// Locks the queue and reads the dead letter of an operation.
    pub fn lock_letter(&self, operation: &str) -> Result<LockedLetter, LetterError> {
        // without a letter, no lock file may be created
        self.find(operation)?;
        let path = self.path(operation)?;
        let lock = self.lock()?;
        let letter = read(&path).map_err(|error| self.or_no_letter(error, operation))?;
        Ok(LockedLetter { letter, path, _lock: lock })
    }

    /// Removes the dead letter of an operation, even if it is damaged.
    pub fn drop(&self, operation: &str) -> Result<(), LetterError> {
        let path = self.path(operation)?;
        let or_no_letter = |error| self.or_no_letter(error, operation);
        let _lock = self.lock().map_err(or_no_letter)?;
        if path.exists() {
            write_drop_marker(&path)?;
        }
        fs::remove_file(&path).map_err(|error| or_no_letter(at(&path)(error)))
    }

    /// Removes all dead letters and returns their number.
    pub fn drop_all(&self) -> Result<usize, LetterError> {
        if files(&self.folder)?.is_empty() {
            return Ok(0);
        }
        let _lock = self.lock()?;
        let files = files(&self.folder)?;
        for file in &files {
            write_drop_marker(file)?;
            fs::remove_file(file).map_err(at(file))?;
        }
        Ok(files.len())
    }

    /// The file of an operation's dead letter; none if the string cannot be the name of an operation.
    fn path(&self, operation: &str) -> Result<PathBuf, LetterError> {
        let name = OperationName::parse_any(operation).map_err(|_| self.no_letter(operation))?;
        Ok(self.folder.join(format!("{}.{EXTENSION}", name.file_name())))
    }

    /// Locks the queue; blocks while another process has locked it.
    fn lock(&self) -> Result<LettersLock, LetterError> {
        let (path, file) = self.lock_file()?;
        LockedFile::lock(file).map(LettersLock).map_err(at(&path))
    }

    fn lock_file(&self) -> Result<(PathBuf, File), LetterError> {
        let path = self.folder.join("lock");
        let mut file = OpenOptions::new();
        let file =
            file.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(at(&path))?;
        Ok((path, file))
    }

    fn no_letter(&self, operation: &str) -> LetterError {
        LetterError::NoLetter { id: id(&self.run, operation) }
    }

    /// Turns the error of a missing file into [`LetterError::NoLetter`].
    fn or_no_letter(&self, error: LetterError, operation: &str) -> LetterError {
        match error {
            LetterError::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                self.no_letter(operation)
            }
            error => error,
        }
    }
}

/// The lock of a run's dead-letter queue; dropping it unlocks the queue.
#[derive(Debug)]
pub(crate) struct LettersLock(#[expect(dead_code, reason = "the file is the lock")] LockedFile);

/// A dead-letter queue that another process has locked.
#[derive(Debug)]
pub(crate) struct LettersWait(File);

impl LettersWait {
    /// Blocks until the queue is locked.
    pub(crate) fn wait(self) -> io::Result<LettersLock> {
        LockedFile::lock(self.0).map(LettersLock)
    }
}

impl LockedLetter {
    /// Records the run that replays the letter.
    pub fn note_replay(mut self, run: &str) -> Result<(), LetterError> {
        self.letter.replays.push(run.to_owned());
        write_file(&self.path, &self.letter)
    }
}

/// The file that marks a dropped letter, so that a resumed run does not write it again.
fn drop_marker(path: &Path) -> PathBuf {
    path.with_extension("dropped")
}

fn write_drop_marker(path: &Path) -> Result<(), LetterError> {
    let marker = drop_marker(path);
    write_private(&marker, &[]).map_err(at(&marker))
}

fn write_file(path: &Path, letter: &DeadLetter) -> Result<(), LetterError> {
    let content = LetterFile { format: FORMAT, id: letter.id(), letter };
    replace(path, Durability::Synced, |file| Ok(serde_json::to_writer_pretty(file, &content)?))
        .map_err(at(path))
}

fn read(path: &Path) -> Result<DeadLetter, LetterError> {
    let bytes = read_regular_file(path, LETTER_LIMIT).map_err(at(path))?;
    match read_json::<LetterFile<DeadLetter>>(&bytes) {
        Ok(LetterFile { format: FORMAT, letter, .. }) => Ok(letter),
        Ok(LetterFile { format, .. }) => {
            Err(LetterError::Format { path: path.to_owned(), format: format.into() })
        }
        // another format may have other fields; then the error shows its number
        Err(source) => match read_json::<Value>(&bytes).ok().and_then(|value| value["format"].as_u64()) {
            Some(format) if format != u64::from(FORMAT) => {
                Err(LetterError::Format { path: path.to_owned(), format })
            }
            _ => Err(LetterError::Damaged { path: path.to_owned(), source }),
        },
    }
}

/// The dead-letter files of a folder, ordered by name; none if there is no folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, LetterError> {
    let mut files = atomic_file::files(folder).map_err(at(folder))?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == EXTENSION));
    Ok(files)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> LetterError {
    let path = path.to_owned();
    move |source| LetterError::Io { path, source }
}

#[cfg(test)]
mod tests;
