//! Writing a journal: one write for each batch of events, at the end of a file that is nobody else's.

use super::format::{FORMAT, Header, encode};
use super::reader::Opened;
use super::syncer::Syncer;
use super::{Journal, JournalError, Sync};
use pop_agenda::Recorded;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A journal in a file.
#[derive(Debug)]
pub struct FileJournal {
    path: PathBuf,
    file: File,
    syncer: Option<Syncer>,
    /// Lines on their way into one write; kept for its room.
    lines: Vec<u8>,
}

impl FileJournal {
    /// A new journal; the file must not be there yet.
    pub fn create(path: &Path, inputs: &str, sync: Sync) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        let mut line = Vec::new();
        let header = Header { format: FORMAT, inputs: inputs.to_owned() };
        encode(&header, &mut line).map_err(|error| io(error.into()))?;
        file.write_all(&line).map_err(io)?;
        if sync == Sync::Each {
            // a new file is only there after power loss if its folder is synced too
            let folder = path.parent().unwrap_or(Path::new("."));
            file.sync_data().and_then(|()| File::open(folder)?.sync_all()).map_err(io)?;
        }
        Self::of(path, file, sync)
    }

    /// A journal to go on with; a torn tail is cut off first. One that was never begun is begun now.
    pub fn go_on(path: &Path, opened: &Opened, inputs: &str, sync: Sync) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        if opened.inputs.is_none() {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
                _ => return Self::create(path, inputs, sync),
            }
        }
        let file = OpenOptions::new().append(true).open(path).map_err(io)?;
        if opened.torn > 0 {
            file.set_len(opened.good).and_then(|()| file.sync_data()).map_err(io)?;
        }
        Self::of(path, file, sync)
    }

    fn of(path: &Path, file: File, sync: Sync) -> Result<Self, JournalError> {
        let io = |source| JournalError::Io { path: path.to_owned(), source };
        let syncer = match sync {
            Sync::Behind => Some(Syncer::start(file.try_clone().map_err(io)?).map_err(io)?),
            Sync::Each => None,
        };
        Ok(Self { path: path.to_owned(), file, syncer, lines: Vec::new() })
    }

    fn write(&mut self, events: &[Recorded]) -> io::Result<()> {
        self.lines.clear();
        for event in events {
            encode(event, &mut self.lines)?;
        }
        self.file.write_all(&self.lines)?;
        match &self.syncer {
            Some(syncer) => syncer.written(),
            None => self.file.sync_data(),
        }
    }
}

impl Journal for FileJournal {
    fn append(&mut self, events: &[Recorded]) -> Result<(), JournalError> {
        if events.is_empty() {
            return Ok(());
        }
        self.write(events).map_err(|source| JournalError::Io { path: self.path.clone(), source })
    }
}

#[cfg(test)]
mod tests {
    use super::super::read_journal;
    use super::super::reader::read_bytes;
    use super::*;
    use pop_agenda::{OpIx, RunEvent, RunOptions, RunTime};

    fn events(count: u32) -> Vec<Recorded> {
        let started = RunEvent::RunStarted {
            run: "r".into(),
            started: 7,
            options: RunOptions::default(),
            adopted: Vec::new(),
        };
        let first = Recorded { at: RunTime(0), event: started };
        let more = (0..count).map(|number| Recorded {
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

    #[test]
    fn f12_another_format_is_refused_by_its_number() {
        let mut line = Vec::new();
        encode(&serde_json::json!({"format": 2, "new": true}), &mut line).unwrap();
        let error = read_bytes(&line, Path::new("j")).unwrap_err();
        assert_eq!(error.to_string(), "journal `j` has format 2; this program reads format 1");
    }
}
