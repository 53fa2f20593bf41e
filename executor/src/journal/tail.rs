//! Reads a journal behind its writer: each call returns the events that have been added.

use super::JournalError;
use super::event_lines::EventReader;
use super::format::{checksum_of, decode, header};
use super::reader::event_in;
use pop_agenda::EventRecord;
use pop_launchers::open_regular_file;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes that are read at a time.
const CHUNK: u64 = 256 * 1024;

/// A line of a journal.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalLine {
    /// The event.
    pub record: EventRecord,
    /// Checksum of the line.
    pub checksum: u32,
}

/// A journal that is read while another process, or another thread, appends to it.
///
/// *Guarantees.* Each event is returned once, in order. A line that is not complete yet, or that a crash tore, is not
/// returned; a resumed run cuts it off and writes its events in its place.
#[derive(Debug)]
pub struct JournalTail {
    path: PathBuf,
    file: Option<File>,
    /// Length of the lines that were returned, in bytes.
    offset: u64,
    is_begun: bool,
    /// Bytes after `offset` that were read already.
    buffer: Vec<u8>,
    /// Bytes at the beginning of the buffer that have no line feed.
    scanned: usize,
    lines: u64,
    events: EventReader,
}

impl JournalTail {
    /// A tail that begins with the first event. The file may not exist yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: None,
            offset: 0,
            is_begun: false,
            buffer: Vec::new(),
            scanned: 0,
            lines: 0,
            events: EventReader::default(),
        }
    }

    /// Goes back to the first event.
    pub fn rewind(&mut self) {
        *self = Self::new(&self.path);
    }

    /// Reads up to `most` of the next events; fewer only if there are no more yet.
    pub fn read(&mut self, most: usize) -> Result<Vec<JournalLine>, JournalError> {
        let mut found = Vec::new();
        while found.len() < most {
            // lines in the buffer first
            let taken = self.take_lines(&mut found, most)?;
            if found.len() >= most {
                break;
            }
            let has_more =
                self.fill().map_err(|source| JournalError::Io { path: self.path.clone(), source })?;
            if !has_more && !taken {
                // what is left may be cut off, so that it is read again
                self.buffer.clear();
                self.scanned = 0;
                break;
            }
        }
        Ok(found)
    }

    /// Takes complete lines out of the buffer. Whether there were any.
    fn take_lines(&mut self, found: &mut Vec<JournalLine>, most: usize) -> Result<bool, JournalError> {
        let mut used = 0;
        while found.len() < most
            && let Some(end) = line_end(&self.buffer, used.max(self.scanned))
        {
            let line = &self.buffer[used..=end];
            let Some(bare) = line.strip_suffix(b"\n") else { break };
            if !self.is_begun {
                header(bare, &self.path)?;
                self.is_begun = true;
            } else if let Some(text) = decode(bare) {
                if let Some(record) = event_in(text, &mut self.events, self.lines + 1, &self.path)? {
                    found.push(JournalLine { record, checksum: checksum_of(bare) });
                }
            } else {
                break;
            }
            self.lines += 1;
            used = end + 1;
        }
        self.scanned = if found.len() < most && line_end(&self.buffer, used.max(self.scanned)).is_none() {
            self.buffer.len() - used
        } else {
            0
        };
        self.buffer.drain(..used);
        self.offset += used as u64;
        Ok(used > 0)
    }

    /// Reads more bytes. Whether there were any.
    fn fill(&mut self) -> io::Result<bool> {
        let file = match &mut self.file {
            Some(file) => file,
            None => match open_regular_file(&self.path) {
                Ok(file) => self.file.insert(file),
                // the executor has not written anything yet
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error),
            },
        };
        file.seek(SeekFrom::Start(self.offset + self.buffer.len() as u64))?;
        let count = file.take(CHUNK).read_to_end(&mut self.buffer)?;
        Ok(count > 0)
    }
}

/// The place of the first line feed from `from` on.
fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    bytes[from..].iter().position(|byte| *byte == b'\n').map(|end| from + end)
}

#[cfg(test)]
mod tests {
    use super::super::format::{FORMAT, Header, encode};
    use super::*;
    use pop_agenda::{OpIx, RunEvent, RunTime};
    use std::io::Write as _;

    fn line(op: u32) -> Vec<u8> {
        let event = RunEvent::AttemptStarted { op: OpIx(op), attempt: 1 };
        let mut line = Vec::new();
        encode(&EventRecord { at: RunTime(0), event }, &mut line).unwrap();
        line
    }

    fn ops(lines: &[JournalLine]) -> Vec<u32> {
        lines.iter().map(|line| line.record.event.operation().unwrap().0).collect()
    }

    #[test]
    fn lines_are_returned_once_and_only_when_they_are_complete() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut tail = JournalTail::new(&path);
        assert_eq!(tail.read(9).unwrap(), []);
        let mut file = File::create(&path).unwrap();
        let mut head = Vec::new();
        encode(&Header { format: FORMAT, inputs: "d".to_owned() }, &mut head).unwrap();
        file.write_all(&head[..5]).unwrap();
        assert_eq!(tail.read(9).unwrap(), []);
        file.write_all(&head[5..]).unwrap();
        (0..3).for_each(|op| file.write_all(&line(op)).unwrap());
        assert_eq!(ops(&tail.read(2).unwrap()), [0, 1]);
        let last = line(3);
        file.write_all(&last[..20]).unwrap();
        let found = tail.read(9).unwrap();
        let digits = String::from_utf8(line(2)[..8].to_vec()).unwrap();
        assert_eq!(format!("{:08x}", found[0].checksum), digits);
        assert_eq!(ops(&found), [2]);
        // a crash tore the line, and the next executor cuts it off
        file.write_all(b"torn\n").unwrap();
        assert_eq!(tail.read(9).unwrap(), []);
        let length = file.metadata().unwrap().len() - 25;
        file.set_len(length).unwrap();
        let mut file = File::options().append(true).open(&path).unwrap();
        (4..6).for_each(|op| file.write_all(&line(op)).unwrap());
        assert_eq!(ops(&tail.read(9).unwrap()), [4, 5]);
        tail.rewind();
        assert_eq!(ops(&tail.read(9).unwrap()), [0, 1, 2, 4, 5]);
    }

    #[test]
    fn line_longer_than_a_piece_is_read_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let mut bytes = Vec::new();
        encode(&Header { format: FORMAT, inputs: "d".to_owned() }, &mut bytes).unwrap();
        let result = std::sync::Arc::new(serde_json::Value::from("x".repeat(3 * CHUNK as usize)));
        let ending = pop_agenda::Ending::Succeeded { result };
        let event = RunEvent::Joined { op: OpIx(0), ending, outcome: pop_agenda::Outcome::Succeeded };
        encode(&EventRecord { at: RunTime(0), event }, &mut bytes).unwrap();
        bytes.extend_from_slice(&line(1));
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(ops(&JournalTail::new(&path).read(9).unwrap()), [0, 1]);
    }
}
