//! Writing a journal: one write for each batch of events, at the end of a file that is nobody else's.

use super::format::{FORMAT, Header, encode};
use super::reader::Opened;
use super::storage::Storage;
use super::syncer::Syncer;
use super::{Journal, JournalError, Sync};
use crate::run_folder::RunFolder;
use pop_agenda::EventRecord;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A journal in a file.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    storage: Arc<dyn Storage>,
    syncer: Option<Syncer>,
    /// Lines on their way into one write; kept for its room.
    lines: Vec<u8>,
    /// Where the last whole line ends.
    length: u64,
    /// Whether a part of a failed write may stand beyond that.
    is_torn: bool,
}

impl FileJournal {
    /// Creates the journal of a new run. The inputs get to the disk with the first sync of the journal: at once with
    /// [`Sync::Each`], else at once in the background.
    pub fn begin(folder: &RunFolder, inputs: &str, sync: Sync) -> Result<Self, JournalError> {
        let path = folder.journal();
        let (file, length) = Self::headed(&path, inputs)?;
        let storage = NewRun { file, unsynced: Mutex::new(Some(folder.clone())) };
        if sync == Sync::Each {
            storage.sync().map_err(|source| JournalError::Io { path: path.clone(), source })?;
        }
        let journal = Self::over(Arc::new(storage), &path, length, sync)?;
        journal
            .syncer
            .as_ref()
            .map_or(Ok(()), Syncer::sync_now)
            .map_err(|source| JournalError::Io { path, source })?;
        Ok(journal)
    }

    /// Creates a journal outside of a run's folder; the file must not be there yet.
    pub fn create(path: &Path, inputs: &str, sync: Sync) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let (file, length) = Self::headed(path, inputs)?;
        if sync == Sync::Each {
            file.sync().map_err(io)?;
        }
        // a new file is only there after power loss if its folder is synced too
        let folder = path.parent().unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)?;
        Self::over(Arc::new(file), path, length, sync)
    }

    /// Creates the file of a journal with its header; returns its length, too.
    fn headed(path: &Path, inputs: &str) -> Result<(File, u64), JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        let mut line = Vec::new();
        let header = Header { format: FORMAT, inputs: inputs.to_owned() };
        encode(&header, &mut line).map_err(|error| io(error.into()))?;
        file.append(&line).map_err(io)?;
        Ok((file, line.len() as u64))
    }

    /// A journal to go on with; a torn tail is cut off first. One that was never begun is begun now.
    pub fn go_on(path: &Path, opened: &Opened, inputs: &str, sync: Sync) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        if opened.inputs.is_none() {
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
        let file = OpenOptions::new().append(true).open(path).map_err(io)?;
        if opened.torn > 0 {
            file.cut(opened.good).and_then(|()| file.sync()).map_err(io)?;
        }
        Self::over(Arc::new(file), path, opened.good, sync)
    }

    fn over(storage: Arc<dyn Storage>, path: &Path, length: u64, sync: Sync) -> Result<Self, JournalError> {
        let path = path.to_owned();
        let syncer = match sync {
            Sync::Behind => match Syncer::start(Arc::clone(&storage)) {
                Ok(syncer) => Some(syncer),
                Err(source) => return Err(JournalError::Io { path, source }),
            },
            Sync::Each => None,
        };
        Ok(Self { path, storage, syncer, lines: Vec::new(), length, is_torn: false })
    }

    fn write(&mut self, events: &[EventRecord]) -> io::Result<()> {
        self.lines.clear();
        for event in events {
            encode(event, &mut self.lines)?;
        }
        if self.is_torn {
            self.cut()?;
        }
        self.storage.append(&self.lines)?;
        // who syncs behind hears of it at the next write, when it is too late to try that again
        if self.syncer.is_none() { self.storage.sync() } else { Ok(()) }
    }

    fn cut(&mut self) -> io::Result<()> {
        self.storage.cut(self.length)?;
        self.is_torn = false;
        Ok(())
    }
}

/// The journal's file in the folder of a new run: its first sync begins with that folder, so that the disk never has an
/// event without the inputs that it belongs to.
#[derive(Debug)]
struct NewRun {
    file: File,
    /// The folder, until it is synced.
    unsynced: Mutex<Option<RunFolder>>,
}

impl Storage for NewRun {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.file.append(bytes)
    }

    fn sync(&self) -> io::Result<()> {
        let mut unsynced = self.unsynced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = unsynced.as_ref() {
            folder.sync()?;
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
            // at once if that is possible, else before the next try
            self.cut().ok();
            let path = self.path.clone();
            return Err(match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    JournalError::Full { path, source }
                }
                _ => JournalError::Io { path, source },
            });
        }
        self.length += self.lines.len() as u64;
        let synced = self.syncer.as_ref().map_or(Ok(()), Syncer::written);
        synced.map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_journal;
    use super::super::reader::read_bytes;
    use super::*;
    use pop_agenda::{OpIx, RunEvent, RunOptions, RunTime};

    fn events(count: u32) -> Vec<EventRecord> {
        let started = RunEvent::RunStarted {
            run: "r".into(),
            started: 7,
            options: RunOptions::default(),
            adopted: Vec::new(),
        };
        let first = EventRecord { at: RunTime(0), event: started };
        let more = (0..count).map(|number| EventRecord {
            at: RunTime(u64::from(number)),
            event: RunEvent::AttemptStarted { op: OpIx(number), attempt: 1 },
        });
        std::iter::once(first).chain(more).collect()
    }

    fn written(folder: &Path, count: u32, sync: Sync) -> PathBuf {
        let path = folder.join("journal");
        let mut journal = FileJournal::create(&path, "digest", sync).unwrap();
        for event in events(count) {
            journal.append(&[event]).unwrap();
        }
        path
    }

    #[test]
    fn what_is_written_is_read() {
        for sync in [Sync::Behind, Sync::Each] {
            let folder = tempfile::tempdir().unwrap();
            let opened = read_journal(&written(folder.path(), 3, sync)).unwrap();
            assert_eq!((opened.inputs.as_deref(), opened.torn), (Some("digest"), 0));
            assert_eq!(opened.events, events(3));
        }
    }

    #[test]
    fn f2_cut_at_every_byte_it_opens_at_the_last_good_line_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), 4, Sync::Behind);
        let bytes = std::fs::read(&path).unwrap();
        let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let all = events(4);
        for cut in 0..=bytes.len() {
            let part = &bytes[..cut];
            let whole_lines = part.split(|byte| *byte == b'\n').count() - 1;
            let opened = read_bytes(part, &path).unwrap();
            let known = whole_lines.saturating_sub(1);
            assert_eq!(opened.inputs.is_some(), cut >= header, "{cut}");
            assert_eq!(opened.events, all[..known], "{cut}");
            assert_eq!(opened.good + opened.torn, cut as u64, "{cut}");
            std::fs::write(&path, part).unwrap();
            let mut journal = FileJournal::go_on(&path, &opened, "digest", Sync::Behind).unwrap();
            journal.append(&all[known..]).unwrap();
            drop(journal);
            assert_eq!(read_journal(&path).unwrap().events, all, "{cut}");
        }
    }

    #[test]
    fn f2_a_flipped_bit_in_the_middle_is_refused_with_its_place_and_at_the_end_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), 4, Sync::Behind);
        let bytes = std::fs::read(&path).unwrap();
        let header = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        let last_line = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
        for at in header..bytes.len() {
            for bit in 0..8 {
                let mut flipped = bytes.clone();
                flipped[at] ^= 1 << bit;
                let read = read_bytes(&flipped, &path);
                // without its end the line before the last is one with the last, and both are the tail
                if at >= last_line - 1 {
                    let good = if at == last_line - 1 { 3 } else { 4 };
                    assert_eq!(read.unwrap().events.len(), good, "{at}.{bit}");
                } else {
                    assert!(matches!(read, Err(JournalError::Damaged { .. })), "{at}.{bit}");
                }
            }
        }
    }

    #[test]
    fn f2_trailing_zeros_are_a_torn_tail() {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), 2, Sync::Behind);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.extend_from_slice(&[0; 4096]);
        let opened = read_bytes(&bytes, &path).unwrap();
        assert_eq!((opened.events.len(), opened.torn), (3, 4096));
    }

    /// A disk that forgets what was not synced, and takes no more than it has room for.
    #[derive(Debug, Default)]
    struct Disk(Mutex<DiskState>);

    #[derive(Debug, Default)]
    struct DiskState {
        bytes: Vec<u8>,
        synced: usize,
        room: Option<usize>,
        /// Whether it refuses to give back what it took.
        keeps: bool,
    }

    impl Storage for Disk {
        fn append(&self, bytes: &[u8]) -> io::Result<()> {
            let mut disk = self.0.lock().unwrap();
            let taken = disk.room.map_or(bytes.len(), |room| (room - disk.bytes.len()).min(bytes.len()));
            disk.bytes.extend_from_slice(&bytes[..taken]);
            if taken == bytes.len() { Ok(()) } else { Err(ErrorKind::StorageFull.into()) }
        }

        fn sync(&self) -> io::Result<()> {
            let mut disk = self.0.lock().unwrap();
            disk.synced = disk.bytes.len();
            Ok(())
        }

        fn cut(&self, length: u64) -> io::Result<()> {
            let mut disk = self.0.lock().unwrap();
            if disk.keeps {
                return Err(ErrorKind::StorageFull.into());
            }
            disk.bytes.truncate(length as usize);
            disk.synced = disk.synced.min(length as usize);
            Ok(())
        }
    }

    /// A disk with a new journal on it.
    fn disk(sync: Sync) -> (Arc<Disk>, FileJournal) {
        let disk = Arc::new(Disk::default());
        let mut line = Vec::new();
        encode(&Header { format: FORMAT, inputs: "digest".to_owned() }, &mut line).unwrap();
        disk.append(&line).unwrap();
        let storage = Arc::clone(&disk) as Arc<dyn Storage>;
        let journal = FileJournal::over(storage, Path::new("j"), line.len() as u64, sync).unwrap();
        (disk, journal)
    }

    #[test]
    fn f3_with_each_write_synced_power_loss_takes_nothing_that_was_acted_upon() {
        let (disk, mut journal) = disk(Sync::Each);
        let all = events(20);
        for (number, event) in all.iter().enumerate() {
            journal.append(std::slice::from_ref(event)).unwrap();
            let disk = disk.0.lock().unwrap();
            let left = read_bytes(&disk.bytes[..disk.synced], Path::new("j")).unwrap();
            assert_eq!(left.events, all[..=number]);
        }
    }

    #[test]
    fn f3_synced_behind_power_loss_takes_an_end_and_nothing_else() {
        let (disk, mut journal) = disk(Sync::Behind);
        let all = events(20);
        for event in &all {
            journal.append(std::slice::from_ref(event)).unwrap();
            let disk = disk.0.lock().unwrap();
            for left in disk.synced..=disk.bytes.len() {
                let left = read_bytes(&disk.bytes[..left], Path::new("j")).unwrap();
                assert!(all.starts_with(&left.events));
            }
        }
        // a journal that is closed is synced to its end
        drop(journal);
        let disk = disk.0.lock().unwrap();
        assert_eq!(read_bytes(&disk.bytes[..disk.synced], Path::new("j")).unwrap().events, all);
    }

    #[test]
    fn f6_what_there_is_no_room_for_leaves_no_half_line_and_can_be_tried_again() {
        let all = events(3);
        for keeps in [false, true] {
            let (disk, mut journal) = disk(Sync::Each);
            journal.append(&all[..2]).unwrap();
            let before = disk.0.lock().unwrap().bytes.clone();
            for room in 0..40 {
                {
                    let mut disk = disk.0.lock().unwrap();
                    (disk.room, disk.keeps) = (Some(before.len() + room), keeps);
                }
                assert!(matches!(journal.append(&all[2..]), Err(JournalError::Full { .. })), "{room}");
                let disk = disk.0.lock().unwrap();
                assert!(keeps || disk.bytes == before, "{room}");
                assert_eq!(read_bytes(&disk.bytes, Path::new("j")).unwrap().events, all[..2], "{room}");
            }
            {
                let mut disk = disk.0.lock().unwrap();
                (disk.room, disk.keeps) = (None, false);
            }
            journal.append(&all[2..]).unwrap();
            assert_eq!(read_bytes(&disk.0.lock().unwrap().bytes, Path::new("j")).unwrap().events, all);
        }
    }

    #[test]
    fn f12_another_format_is_refused_by_its_number() {
        for (header, found) in [
            (serde_json::json!({"format": 1, "inputs": "digest"}), 1),
            (serde_json::json!({"format": 3, "new": true}), 3),
        ] {
            let mut line = Vec::new();
            encode(&header, &mut line).unwrap();
            let error = read_bytes(&line, Path::new("j")).unwrap_err();
            let words = format!("journal `j` has format {found}; this program reads format 2");
            assert_eq!(error.to_string(), words);
        }
    }
}
