//! Container logs as the kubelet stores them: pieces with time stamps, rotated by size.

use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The longest piece of a line, in bytes; container runtimes split lines at the same size.
const PIECE: usize = 16 * 1024;

/// Logs by pod uid and container name, the latest run last.
type Runs = HashMap<(String, String), Vec<Arc<ContainerLog>>>;

/// The logs of all containers, each with the log of its previous run.
#[derive(Debug)]
pub(crate) struct Logs {
    limit: usize,
    logs: Mutex<Runs>,
}

/// The requested part of a log.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    pub(crate) since: Option<Timestamp>,
    pub(crate) tail: Option<usize>,
    pub(crate) has_times: bool,
}

/// The log of one run of a container.
#[derive(Debug)]
pub(crate) struct ContainerLog {
    limit: usize,
    pieces: Mutex<Pieces>,
    grown: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Pieces {
    stored: VecDeque<Piece>,
    /// Number of the first stored piece.
    first: u64,
    /// Number of the first piece in the current file; new readers start there.
    file: u64,
    file_size: usize,
}

#[derive(Debug, Clone)]
struct Piece {
    time: Timestamp,
    bytes: Vec<u8>,
    begins_line: bool,
}

impl Logs {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, logs: Mutex::default() }
    }

    /// Opens a log for a container that is about to start.
    pub(crate) fn open(&self, uid: &str, container: &str) -> Arc<ContainerLog> {
        let log = Arc::new(ContainerLog {
            limit: self.limit,
            pieces: Mutex::default(),
            grown: watch::Sender::new(false),
        });
        let mut logs = self.locked();
        let runs = logs.entry((uid.to_owned(), container.to_owned())).or_default();
        runs.push(Arc::clone(&log));
        if runs.len() > 2 {
            runs.remove(0);
        }
        log
    }

    /// The log of a container's current or previous run.
    pub(crate) fn find(&self, uid: &str, container: &str, is_previous: bool) -> Option<Arc<ContainerLog>> {
        let logs = self.locked();
        let runs = logs.get(&(uid.to_owned(), container.to_owned()))?;
        runs.len().checked_sub(1 + usize::from(is_previous)).map(|at| Arc::clone(&runs[at]))
    }

    /// Removes the logs of a pod.
    pub(crate) fn forget(&self, uid: &str) {
        self.locked().retain(|(pod, _), _| pod != uid);
    }

    fn locked(&self) -> MutexGuard<'_, Runs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ContainerLog {
    /// Appends a line or a part of one.
    pub(crate) fn append(&self, time: Timestamp, bytes: &[u8]) {
        {
            let mut pieces = self.locked();
            for part in bytes.chunks(PIECE) {
                let begins_line = pieces.stored.back().is_none_or(|last| last.bytes.ends_with(b"\n"));
                pieces.file_size += part.len();
                pieces.stored.push_back(Piece { time, bytes: part.to_vec(), begins_line });
            }
            if pieces.file_size > self.limit {
                // current readers may still read the previous file; new readers do not see it
                let file = pieces.file;
                while pieces.first < file {
                    pieces.stored.pop_front();
                    pieces.first += 1;
                }
                pieces.file = pieces.first + pieces.stored.len() as u64;
                pieces.file_size = 0;
            }
        }
        self.grown.send_replace(false);
    }

    /// Marks the log as complete.
    pub(crate) fn close(&self) {
        self.grown.send_replace(true);
    }

    /// Signals each append; true when the log is complete.
    pub(crate) fn growth(&self) -> watch::Receiver<bool> {
        self.grown.subscribe()
    }

    /// The number of the first piece of a view.
    pub(crate) fn start(&self, view: &View) -> u64 {
        let pieces = self.locked();
        let end = pieces.first + pieces.stored.len() as u64;
        let skipped = (pieces.file - pieces.first) as usize;
        let Some(tail) = view.tail else { return pieces.file };
        let mut lines = 0;
        let begins =
            pieces.stored.iter().enumerate().skip(skipped).rev().filter(|(_, piece)| piece.begins_line);
        for (at, _) in begins {
            lines += 1;
            if lines == tail {
                return pieces.first + at as u64;
            }
        }
        if tail == 0 { end } else { pieces.file }
    }

    /// The next piece of a view from a number on, formatted, and the number after it.
    pub(crate) fn next(&self, from: u64, view: &View) -> Option<(Vec<u8>, u64)> {
        let pieces = self.locked();
        let from = from.max(pieces.first);
        let is_wanted = |piece: &&Piece| view.since.is_none_or(|since| piece.time >= since);
        let mut rest = pieces.stored.iter().enumerate().skip((from - pieces.first) as usize);
        let (at, piece) = rest.find(|(_, piece)| is_wanted(piece))?;
        let mut text = Vec::new();
        if view.has_times && piece.begins_line {
            text.extend_from_slice(format!("{:.9} ", piece.time).as_bytes());
        }
        text.extend_from_slice(&piece.bytes);
        Some((text, pieces.first + at as u64 + 1))
    }

    /// The last lines of the log, at most this many bytes.
    pub(crate) fn tail(&self, lines: usize, bytes: usize) -> String {
        let view = View { tail: Some(lines), ..View::default() };
        let mut at = self.start(&view);
        let mut all = Vec::new();
        while let Some((piece, next)) = self.next(at, &view) {
            all.extend(piece);
            at = next;
        }
        String::from_utf8_lossy(&all[all.len().saturating_sub(bytes)..]).into_owned()
    }

    fn locked(&self) -> MutexGuard<'_, Pieces> {
        self.pieces.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(log: &ContainerLog, view: &View) -> String {
        let mut at = log.start(view);
        let mut all = String::new();
        while let Some((piece, next)) = log.next(at, view) {
            all += std::str::from_utf8(&piece).unwrap();
            at = next;
        }
        all
    }

    #[test]
    fn a_view_selects_by_time_and_last_lines() {
        let log = Logs::new(1_000).open("u", "c");
        let time = |seconds| Timestamp::from_second(seconds).unwrap();
        log.append(time(1), b"one\n");
        log.append(time(2), b"tw");
        log.append(time(3), b"o\n");
        log.append(time(4), b"three\n");
        let view = View::default();
        assert_eq!(all(&log, &view), "one\ntwo\nthree\n");
        assert_eq!(all(&log, &View { tail: Some(2), ..view.clone() }), "two\nthree\n");
        assert_eq!(all(&log, &View { tail: Some(0), ..view.clone() }), "");
        assert_eq!(all(&log, &View { tail: Some(9), ..view.clone() }), "one\ntwo\nthree\n");
        assert_eq!(all(&log, &View { since: Some(time(4)), ..view.clone() }), "three\n");
        let times = View { has_times: true, tail: Some(2), ..view };
        assert_eq!(
            all(&log, &times),
            "1970-01-01T00:00:02.000000000Z two\n1970-01-01T00:00:04.000000000Z three\n"
        );
        assert_eq!(log.tail(1, 4), "ree\n");
    }

    #[test]
    fn new_readers_get_the_current_file_and_old_ones_also_the_previous() {
        let log = Logs::new(10).open("u", "c");
        for line in ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n"] {
            log.append(Timestamp::UNIX_EPOCH, line.as_bytes());
        }
        assert_eq!(all(&log, &View::default()), "dddd\n");
        assert_eq!(log.next(1, &View::default()).unwrap().0, b"bbbb\n");
    }
}
