//! The log of one launch: a file created at the first byte, with bounded head and tail, and the last lines in
//! memory.

use crate::last_lines::LastLines;
use pop_contract::{Blame, Failure};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

/// Bytes of a log that are written from its beginning.
pub const LOG_HEAD_LIMIT: u64 = 64 * 1024 * 1024;
/// Bytes of its end that are written if the log is longer.
const TAIL_BYTES: usize = 256 * 1024;

/// The log of one launch.
///
/// *Guarantees.* A launch that prints nothing creates no file. However much is printed, the file holds at most
/// [`LOG_HEAD_LIMIT`] bytes, a mark and a tail; memory holds at most the tail.
#[derive(Debug)]
pub struct Log {
    path: Option<PathBuf>,
    file: Option<File>,
    written: u64,
    seen: u64,
    /// The end of the output beyond the head.
    recent: Vec<u8>,
    last: LastLines,
    error: Option<io::Error>,
}

/// The result of a finished log.
#[derive(Debug, Default)]
pub struct LogSummary {
    /// The last lines.
    pub tail: Vec<String>,
    /// Why the log could not be written completely.
    pub error: Option<io::Error>,
}

impl Log {
    /// A log written to `path`; without a path only its last lines are available.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            file: None,
            written: 0,
            seen: 0,
            recent: Vec::new(),
            last: LastLines::default(),
            error: None,
        }
    }

    /// Deletes the log that an earlier process wrote for this launch.
    pub fn begin_anew(&mut self) {
        if let Some(path) = &self.path {
            // the file may not exist
            std::fs::remove_file(path).ok();
        }
    }

    /// Adds output.
    pub fn write(&mut self, bytes: &[u8]) {
        self.last.take(bytes);
        self.write_beside(bytes);
    }

    /// Adds output to the file only; the caller records its last lines.
    pub(crate) fn write_beside(&mut self, bytes: &[u8]) {
        self.seen += bytes.len() as u64;
        let room = (LOG_HEAD_LIMIT - self.written).min(bytes.len() as u64) as usize;
        let (head, beyond) = bytes.split_at(room);
        if !head.is_empty() && self.path.is_some() && self.error.is_none() {
            match self.write_file(head) {
                Ok(()) => self.written += head.len() as u64,
                Err(error) => self.error = Some(error),
            }
        }
        self.recent.extend_from_slice(&beyond[beyond.len().saturating_sub(TAIL_BYTES)..]);
        // trimmed rarely, so that each byte moves only a few times
        if self.recent.len() > 2 * TAIL_BYTES {
            self.recent.drain(..self.recent.len() - TAIL_BYTES);
        }
    }

    fn write_file(&mut self, bytes: &[u8]) -> io::Result<()> {
        let file = match (&mut self.file, &self.path) {
            (Some(file), _) => file,
            (None, Some(path)) => {
                let file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
                self.file.insert(file)
            }
            (None, None) => return Ok(()),
        };
        file.write_all(bytes)
    }

    /// Ends the log: marks omitted bytes and returns the last lines.
    pub fn finish(mut self) -> LogSummary {
        let beyond = self.seen - self.written;
        if beyond > 0 && self.file.is_some() && self.error.is_none() {
            let tail = self.recent.len().min(TAIL_BYTES);
            let left_out = beyond - tail as u64;
            let mark = if left_out > 0 { format!("\n[truncated {left_out} bytes]\n") } else { String::new() };
            let tail = self.recent[self.recent.len() - tail..].to_vec();
            let written = self.write_file(mark.as_bytes()).and_then(|()| self.write_file(&tail));
            self.error = written.err();
        }
        LogSummary { tail: self.last.finish(), error: self.error }
    }
}

/// The failure of a launch whose log could not be written.
pub fn log_failure(error: &io::Error) -> Failure {
    Failure::new(Blame::Platform, "storage", format!("its log could not be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silent_launch_creates_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let summary = Log::new(Some(path.clone())).finish();
        assert!(!path.exists() && summary.tail.is_empty());
    }

    #[test]
    fn last_ten_lines_are_returned() {
        let mut log = Log::new(None);
        for number in 0..50 {
            log.write(format!("line {number}\n").as_bytes());
        }
        let tail = log.finish().tail;
        assert_eq!((tail.len(), tail[0].as_str(), tail[9].as_str()), (10, "line 40", "line 49"));
    }

    #[test]
    fn f19_long_log_keeps_head_and_tail_and_marks_the_gap() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let mut log = Log::new(Some(path.clone()));
        let piece = [b"0123456789abcdef".repeat(4_095).as_slice(), b"-----end-------\n"].concat();
        for _ in 0..1_600 {
            log.write(&piece);
        }
        assert!(log.recent.capacity() < 2 * 1024 * 1024);
        log.write(b"the very last line\n");
        assert!(log.finish().tail.last().unwrap().contains("the very last line"));
        let text = std::fs::read(&path).unwrap();
        assert!(text.len() as u64 <= LOG_HEAD_LIMIT + TAIL_BYTES as u64 + 64);
        let text = String::from_utf8_lossy(&text);
        assert!(text.contains("[truncated ") && text.ends_with("the very last line\n"));
    }

    #[test]
    fn f7_unwritable_log_is_reported_and_keeps_the_last_lines() {
        let mut log = Log::new(Some(PathBuf::from("/nowhere/at/all.log")));
        log.write(b"x\n");
        let summary = log.finish();
        assert!(summary.error.is_some());
        assert_eq!(summary.tail, ["x"]);
    }
}
