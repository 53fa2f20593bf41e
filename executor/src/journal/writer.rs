//! Writes a journal: one write for each batch of events, at the end of a file that no other process writes.

use super::event_lines::EventWriter;
use super::format::{FORMAT, Header, encode};
use super::named_file::NamedFile;
use super::reader::JournalContent;
use super::storage::Storage;
use super::syncer::Syncer;
use super::{Journal, JournalError, Sync};
use crate::run_folder::RunFolder;
use pop_agenda::EventRecord;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A journal in a file.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    storage: Arc<dyn Storage>,
    syncer: Option<Syncer>,
    events: EventWriter,
    /// Lines of one write; the buffer is reused.
    lines: Vec<u8>,
    /// Length of the complete lines in bytes.
    length: u64,
    /// Whether a part of a failed write may follow them.
    is_torn: bool,
}

impl FileJournal {
    /// Creates the journal of a new run. The first sync of the journal also syncs the inputs: now with [`Sync::Each`],
    /// otherwise at once in the background.
    pub fn begin(folder: &RunFolder, inputs: &str, sync: Sync) -> Result<Self, JournalError> {
        let path = folder.journal();
        let (file, length) = Self::create_file(&path, inputs)?;
        let storage = NewRun { file, unsynced: Mutex::new(Some(folder.clone())) };
        if sync == Sync::Each {
            storage.sync().map_err(|source| JournalError::Io { path: path.clone(), source })?;
        }
        let journal = Self::with_storage(Arc::new(storage), &path, length, sync, FORMAT)?;
        journal
            .syncer
            .as_ref()
            .map_or(Ok(()), Syncer::sync_now)
            .map_err(|source| JournalError::Io { path, source })?;
        Ok(journal)
    }

    /// Creates a journal outside of a run folder. The file must not exist yet.
    pub fn create(path: &Path, inputs: &str, sync: Sync) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let (file, length) = Self::create_file(path, inputs)?;
        if sync == Sync::Each {
            file.sync().map_err(io)?;
        }
        // a new file survives power loss only if its folder is synced, too
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Self::with_storage(Arc::new(file), path, length, sync, FORMAT)
    }

    /// Creates the file of a journal with its header. The second value is its length in bytes.
    fn create_file(path: &Path, inputs: &str) -> Result<(NamedFile, u64), JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let file = NamedFile::create(path).map_err(io)?;
        let mut line = Vec::new();
        let header = Header { format: FORMAT, inputs: inputs.to_owned() };
        encode(&header, &mut line).map_err(io)?;
        file.append(&line).map_err(io)?;
        Ok((file, line.len() as u64))
    }

    /// Opens an existing journal for writing and cuts off its torn tail. A journal without a header is created again.
    pub fn reopen(
        path: &Path,
        content: &JournalContent,
        inputs: &str,
        sync: Sync,
    ) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        if content.inputs.is_none() {
            if let Err(error) = std::fs::remove_file(path)
                && error.kind() != ErrorKind::NotFound
            {
                return Err(io(error));
            }
            return match RunFolder::of_journal(path) {
                Some(folder) => Self::begin(&folder, inputs, sync),
                None => Self::create(path, inputs, sync),
            };
        }
        let file = NamedFile::open(path).map_err(io)?;
        if content.torn > 0 {
            file.cut(content.good).and_then(|()| file.sync()).map_err(io)?;
        }
        Self::with_storage(Arc::new(file), path, content.good, sync, content.format)
    }

    fn with_storage(
        storage: Arc<dyn Storage>,
        path: &Path,
        length: u64,
        sync: Sync,
        format: u32,
    ) -> Result<Self, JournalError> {
        let path = path.to_owned();
        let syncer = match sync {
            Sync::Behind => match Syncer::start(Arc::clone(&storage)) {
                Ok(syncer) => Some(syncer),
                Err(source) => return Err(JournalError::Io { path, source }),
            },
            Sync::Each => None,
        };
        let events = EventWriter::of(format);
        Ok(Self { path, storage, syncer, events, lines: Vec::new(), length, is_torn: false })
    }

    fn write(&mut self, events: &[EventRecord]) -> io::Result<()> {
        self.lines.clear();
        for event in events {
            self.events.write(event, &mut self.lines)?;
        }
        if self.is_torn {
            self.cut()?;
        }
        self.storage.append(&self.lines)?;
        // an error of a background sync appears at the next write, too late to repeat this one
        if self.syncer.is_none() { self.storage.sync() } else { Ok(()) }
    }

    fn cut(&mut self) -> io::Result<()> {
        self.storage.cut(self.length)?;
        self.is_torn = false;
        Ok(())
    }
}

/// The journal's file of a new run. Its first sync syncs the run folder first, so the disk never has an event without the
/// inputs of its run.
#[derive(Debug)]
struct NewRun {
    file: NamedFile,
    /// The run folder until it is synced; none after that.
    unsynced: Mutex<Option<RunFolder>>,
}

impl Storage for NewRun {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = unsynced.as_ref() {
            // if the journal is gone, its message is clearer than that of a missing input
            folder.sync().or_else(|error| self.file.check_name().and(Err(error)))?;
            *unsynced = None;
        }
        self.file.sync()
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }
}

impl Journal for FileJournal {
    fn append(&mut self, events: &[EventRecord]) -> Result<(), JournalError> {
        if events.is_empty() {
            return Ok(());
        }
        if let Err(source) = self.write(events) {
            self.is_torn = true;
            self.events.undo();
            // if this fails, the next write cuts first
            self.cut().ok();
            let path = self.path.clone();
            return Err(match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    JournalError::Full { path, source }
                }
                _ => JournalError::Io { path, source },
            });
        }
        self.events.keep();
        self.length += self.lines.len() as u64;
        let synced = self.syncer.as_ref().map_or(Ok(()), Syncer::written);
        synced.map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }

    fn close(&mut self) -> Result<(), JournalError> {
        let synced = self.syncer.take().map_or(Ok(()), Syncer::finish);
        synced.map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests;
