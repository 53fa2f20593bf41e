//! Dead letters: operations set aside in their run's folder, each with everything needed to repeat it.
//!
//! *Guarantees.* A letter is there whole or not at all, whoever is killed; writing it twice is as good as once, and
//! forgets no replay. One that is damaged is told as such and hides no other.

use crate::folder_error::FolderError;
use crate::host::hold;
use crate::journal::read_json;
use crate::run_folder::RunFolder;
use crate::whole_file::{self, Synced, make_folder, replace};
use pop_agenda::OperationName;
use pop_contract::{Failure, Millis};
use pop_launchers::read_regular_file;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const FOLDER: &str = "dead-letters";
const ENDING: &str = "json";
/// The number of the format of letters (docs/formats/dead-letters.md).
const FORMAT: u32 = 1;
/// The largest letter that is read, in bytes: a payload may be as large as an agenda.
const LETTER_LIMIT: u64 = 2 * pop_document::MAX_BYTES as u64;

/// An operation that was set aside, with all that is needed to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeadLetter {
    /// The run.
    pub run: String,
    /// The operation.
    pub operation: String,
    /// Its type.
    #[serde(rename = "type")]
    pub handler_type: String,
    /// The name of the agenda as messages give it.
    pub agenda: String,
    /// How it was launched.
    pub launcher: String,
    /// Its payload, references filled.
    pub payload: Value,
    /// Its params as they were written.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub params: Map<String, Value>,
    /// Why its last attempt failed.
    pub failure: Failure,
    /// All its attempts.
    pub attempts: Vec<PastAttempt>,
    /// When it was set aside.
    pub settled: Millis,
    /// The runs that repeated it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replays: Vec<String>,
}

/// One attempt at an operation that was set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Its number.
    pub number: u32,
    /// When it was launched.
    pub started: Millis,
    /// When it ended.
    pub ended: Millis,
    /// How it ended, in words.
    pub failure: String,
}

/// A letter that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    /// A file cannot be read or written.
    #[error("`{}` cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is no such letter.
    #[error("there is no dead letter `{id}`")]
    NoLetter {
        /// The letter asked for.
        id: String,
    },
    /// A file is no letter, or not all of one.
    #[error("the dead letter `{}` is damaged", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A letter was written by another pop.
    #[error("the dead letter `{}` has format {format}, not {FORMAT}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The number of its format.
        format: u64,
    },
}

/// The letters of one run.
#[derive(Debug, Clone)]
pub struct DeadLetters {
    run: String,
    folder: PathBuf,
}

/// A letter that nobody else changes meanwhile.
#[derive(Debug)]
pub struct HeldLetter {
    /// The letter.
    pub letter: DeadLetter,
    path: PathBuf,
    _guard: File,
}

/// What stands in a file.
#[derive(Serialize, Deserialize)]
struct Kept<L> {
    format: u32,
    id: String,
    letter: L,
}

impl DeadLetter {
    /// By what it is known: `RUN/OPERATION`.
    pub fn id(&self) -> String {
        id(&self.run, &self.operation)
    }
}

fn id(run: &str, operation: &str) -> String {
    format!("{run}/{operation}")
}

impl DeadLetters {
    /// The letters of the run that lives in this folder.
    pub fn of(run_folder: &Path) -> Self {
        let run = run_folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { run, folder: run_folder.join(FOLDER) }
    }

    /// All letters of all runs, oldest run first.
    pub fn all(runs: &Path) -> Result<Vec<Result<DeadLetter, LetterError>>, FolderError> {
        let folders = RunFolder::list(runs)?;
        Ok(folders.iter().flat_map(|folder| Self::of(folder.path()).list()).collect())
    }

    /// Puts a letter into the queue in the place of one of the same operation; its recorded replays stay.
    pub fn write(&self, letter: &DeadLetter) -> Result<(), LetterError> {
        make_folder(&self.folder).map_err(at(&self.folder))?;
        self.write_locked(letter, &LettersLock(self.guard()?))
    }

    /// The right to change the queue, if no other process has it.
    pub(crate) fn try_lock(&self) -> Result<Result<LettersLock, LettersWait>, LetterError> {
        make_folder(&self.folder).map_err(at(&self.folder))?;
        let (path, file) = self.lock_file()?;
        match file.try_lock() {
            Ok(()) => Ok(Ok(LettersLock(file))),
            Err(TryLockError::WouldBlock) => Ok(Err(LettersWait(file))),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    /// [`DeadLetters::write`] for a caller that may change the queue.
    pub(crate) fn write_locked(&self, letter: &DeadLetter, _lock: &LettersLock) -> Result<(), LetterError> {
        let path = self.path(&letter.operation).ok_or_else(|| self.none(&letter.operation))?;
        let replays = match read(&path) {
            Ok(there) => there.replays,
            // what is not there or cannot be read is written anew
            Err(_) => Vec::new(),
        };
        put(&path, &DeadLetter { replays, ..letter.clone() })
    }

    /// Whether there is a letter of an operation, or was one that somebody dropped.
    pub fn is_known(&self, operation: &str) -> bool {
        self.path(operation).is_some_and(|path| path.exists() || dropped(&path).exists())
    }

    /// The letters in the order of their files.
    pub fn list(&self) -> Vec<Result<DeadLetter, LetterError>> {
        let files = match files(&self.folder) {
            Ok(files) => files,
            Err(error) => return vec![Err(error)],
        };
        files.iter().map(|file| read(file)).collect()
    }

    /// The letter of an operation.
    pub fn find(&self, operation: &str) -> Result<DeadLetter, LetterError> {
        let path = self.path(operation).ok_or_else(|| self.none(operation))?;
        read(&path).map_err(|error| self.known(error, operation))
    }

    /// The letter of an operation, and the right to change it.
    pub fn hold(&self, operation: &str) -> Result<HeldLetter, LetterError> {
        // whoever asks for what is not there leaves nothing behind
        self.find(operation)?;
        let path = self.path(operation).ok_or_else(|| self.none(operation))?;
        let guard = self.guard()?;
        let letter = read(&path).map_err(|error| self.known(error, operation))?;
        Ok(HeldLetter { letter, path, _guard: guard })
    }

    /// Removes the letter of an operation, whatever it holds.
    pub fn drop(&self, operation: &str) -> Result<(), LetterError> {
        let path = self.path(operation).ok_or_else(|| self.none(operation))?;
        let known = |error| self.known(error, operation);
        let _guard = self.guard().map_err(known)?;
        if path.exists() {
            note_drop(&path)?;
        }
        fs::remove_file(&path).map_err(|error| known(at(&path)(error)))
    }

    /// Removes all letters, and tells how many.
    pub fn drop_all(&self) -> Result<usize, LetterError> {
        if files(&self.folder)?.is_empty() {
            return Ok(0);
        }
        let _guard = self.guard()?;
        let files = files(&self.folder)?;
        for file in &files {
            note_drop(file)?;
            fs::remove_file(file).map_err(at(file))?;
        }
        Ok(files.len())
    }

    /// The file of an operation's letter, if that can be an operation.
    fn path(&self, operation: &str) -> Option<PathBuf> {
        let name = OperationName::parse_any(operation).ok()?;
        Some(self.folder.join(format!("{}.{ENDING}", name.file_name())))
    }

    /// Takes the right to change the queue, and blocks while another process has it.
    fn guard(&self) -> Result<File, LetterError> {
        let (path, file) = self.lock_file()?;
        hold(&file).map_err(at(&path))?;
        Ok(file)
    }

    fn lock_file(&self) -> Result<(PathBuf, File), LetterError> {
        let path = self.folder.join("lock");
        let mut file = OpenOptions::new();
        let file =
            file.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(at(&path))?;
        Ok((path, file))
    }

    fn none(&self, operation: &str) -> LetterError {
        LetterError::NoLetter { id: id(&self.run, operation) }
    }

    /// A file that is not there is a letter that is not there.
    fn known(&self, error: LetterError, operation: &str) -> LetterError {
        match error {
            LetterError::Io { source, .. } if source.kind() == ErrorKind::NotFound => self.none(operation),
            error => error,
        }
    }
}

/// The right to change a run's dead-letter queue. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct LettersLock(#[expect(dead_code, reason = "the file is the lock")] File);

/// A dead-letter queue that another process changes.
#[derive(Debug)]
pub(crate) struct LettersWait(File);

impl LettersWait {
    /// Blocks until the queue may be changed.
    pub(crate) fn wait(self) -> io::Result<LettersLock> {
        hold(&self.0)?;
        Ok(LettersLock(self.0))
    }
}

impl HeldLetter {
    /// Notes the run that repeats it.
    pub fn note_replay(mut self, run: &str) -> Result<(), LetterError> {
        self.letter.replays.push(run.to_owned());
        put(&self.path, &self.letter)
    }
}

/// What is left of a letter that was dropped, so that a resumed run does not write it again.
fn dropped(path: &Path) -> PathBuf {
    path.with_extension("dropped")
}

fn note_drop(path: &Path) -> Result<(), LetterError> {
    let mark = dropped(path);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&mark);
    file.map(drop).map_err(at(&mark))
}

fn put(path: &Path, letter: &DeadLetter) -> Result<(), LetterError> {
    let kept = Kept { format: FORMAT, id: letter.id(), letter };
    replace(path, Synced::Yes, |file| Ok(serde_json::to_writer_pretty(file, &kept)?)).map_err(at(path))
}

fn read(path: &Path) -> Result<DeadLetter, LetterError> {
    let bytes = read_regular_file(path, LETTER_LIMIT).map_err(at(path))?;
    match read_json::<Kept<DeadLetter>>(&bytes) {
        Ok(Kept { format: FORMAT, letter, .. }) => Ok(letter),
        Ok(Kept { format, .. }) => Err(LetterError::Format { path: path.to_owned(), format: format.into() }),
        // another format may have other fields; its number is what is wanted then
        Err(source) => match read_json::<Value>(&bytes).ok().and_then(|value| value["format"].as_u64()) {
            Some(format) if format != u64::from(FORMAT) => {
                Err(LetterError::Format { path: path.to_owned(), format })
            }
            _ => Err(LetterError::Damaged { path: path.to_owned(), source }),
        },
    }
}

/// The files of letters in a folder, in the order of their names; none if it is not there.
fn files(folder: &Path) -> Result<Vec<PathBuf>, LetterError> {
    let mut files = whole_file::files(folder).map_err(at(folder))?;
    files.retain(|file| file.extension().is_some_and(|ending| ending == ENDING));
    Ok(files)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> LetterError {
    let path = path.to_owned();
    move |source| LetterError::Io { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_contract::Blame;
    use serde_json::json;
    use std::os::unix::fs::PermissionsExt as _;

    fn letter(operation: &str) -> DeadLetter {
        let failure = Failure::new(Blame::Handler, "exit", "ended with exit status 7");
        DeadLetter {
            run: "r1".to_owned(),
            operation: operation.to_owned(),
            handler_type: "exec".to_owned(),
            agenda: "a.yaml".to_owned(),
            launcher: "local".to_owned(),
            payload: json!({"command": ["false"], "n": 0.1}),
            params: Map::from_iter([("onFail".to_owned(), json!("DLQ"))]),
            attempts: vec![PastAttempt { number: 1, started: 5, ended: 9, failure: failure.message.clone() }],
            failure,
            settled: 9,
            replays: Vec::new(),
        }
    }

    fn letters() -> (tempfile::TempDir, DeadLetters) {
        let runs = tempfile::tempdir().unwrap();
        let letters = DeadLetters::of(&runs.path().join("r1"));
        (runs, letters)
    }

    #[test]
    fn r2_a_letter_is_kept_found_listed_and_dropped() {
        let (runs, letters) = letters();
        assert!(letters.list().is_empty());
        for name in ["b", "A b"] {
            letters.write(&letter(name)).unwrap();
            assert_eq!(letters.find(name).unwrap(), letter(name));
        }
        let listed: Vec<_> = letters.list().into_iter().map(|letter| letter.unwrap().id()).collect();
        assert_eq!(listed, ["r1/A b", "r1/b"]);
        let mode = |name: &str| {
            fs::metadata(runs.path().join("r1").join(FOLDER).join(name)).unwrap().permissions().mode() & 0o777
        };
        assert_eq!((mode(""), mode("b.json"), mode("lock")), (0o700, 0o600, 0o600));
        letters.drop("b").unwrap();
        for name in ["b", "../b", ""] {
            let error = letters.find(name).unwrap_err();
            assert_eq!(error.to_string(), format!("there is no dead letter `r1/{name}`"));
            assert!(matches!(letters.drop(name), Err(LetterError::NoLetter { .. })));
            assert!(matches!(letters.hold(name), Err(LetterError::NoLetter { .. })));
        }
        assert_eq!((letters.drop_all().unwrap(), letters.drop_all().unwrap()), (1, 0));
    }

    #[test]
    fn r2_a_letter_written_twice_is_one_and_keeps_its_replays() {
        let (_runs, letters) = letters();
        letters.write(&letter("a")).unwrap();
        letters.hold("a").unwrap().note_replay("r2").unwrap();
        letters.write(&letter("a")).unwrap();
        letters.hold("a").unwrap().note_replay("r3").unwrap();
        assert_eq!(
            letters.find("a").unwrap(),
            DeadLetter { replays: vec!["r2".into(), "r3".into()], ..letter("a") }
        );
    }

    #[test]
    fn f84_a_letter_cut_anywhere_is_told_as_damaged_and_hides_no_other() {
        let (_runs, letters) = letters();
        letters.write(&letter("a")).unwrap();
        letters.write(&letter("b")).unwrap();
        let path = letters.path("a").unwrap();
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(letters.find("a"), Err(LetterError::Damaged { .. })), "{length}");
            assert!(matches!(letters.hold("a"), Err(LetterError::Damaged { .. })), "{length}");
            let listed = letters.list();
            assert!(listed[0].is_err() && listed[1].as_ref().unwrap().operation == "b");
        }
        fs::write(&path, r#"{"format": 2, "message": {}}"#).unwrap();
        let error = letters.find("a").unwrap_err().to_string();
        assert_eq!(error, format!("the dead letter `{}` has format 2, not 1", path.display()));
        // a damaged one can be written anew, and dropped
        letters.write(&letter("a")).unwrap();
        fs::write(&path, "").unwrap();
        letters.drop("a").unwrap();
    }

    #[test]
    fn f84_a_store_that_cannot_be_written_is_an_error_with_its_place() {
        let (runs, letters) = letters();
        fs::create_dir_all(runs.path().join("r1")).unwrap();
        fs::write(runs.path().join("r1").join(FOLDER), "").unwrap();
        let error = letters.write(&letter("a")).unwrap_err();
        assert!(matches!(&error, LetterError::Io { path, .. } if path.ends_with(FOLDER)), "{error}");
    }

    #[test]
    fn r2_letters_of_all_runs_are_listed_and_a_payload_as_deep_as_may_be_is_read_back() {
        let (runs, letters) = letters();
        let deep = (0..130).fold(json!(1), |value, _| json!([value]));
        let letter = DeadLetter { payload: deep, ..letter("a") };
        letters.write(&letter).unwrap();
        assert_eq!(letters.find("a").unwrap(), letter);
        // a folder without settings is no run
        assert!(DeadLetters::all(runs.path()).unwrap().is_empty());
        fs::create_dir_all(runs.path().join("r1/inputs")).unwrap();
        fs::write(runs.path().join("r1/inputs/settings.json"), "{}").unwrap();
        assert_eq!(DeadLetters::all(runs.path()).unwrap().len(), 1);
    }
}
