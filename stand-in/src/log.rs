//! What containers print, as the kubelet keeps it: by time, in pieces, and only so much of it.

use jiff::Timestamp;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The longest piece of a line that is kept as one; a container runtime cuts there too.
const PIECE: usize = 16 * 1024;

/// The logs of containers by pod and name, the latest last.
type Runs = HashMap<(String, String), Vec<Arc<ContainerLog>>>;

/// The logs of all containers, each with that of its run before.
#[derive(Debug)]
pub(crate) struct Logs {
    limit: usize,
    logs: Mutex<Runs>,
}

/// What is wanted of a log.
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
    kept: VecDeque<Piece>,
    /// The number of the first that is kept.
    first: u64,
    /// The number at which the file begins that a new reader gets.
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

    /// A new log for a container that is about to start.
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

    /// The log of a container's present run, or of the one before.
    pub(crate) fn find(&self, uid: &str, container: &str, is_previous: bool) -> Option<Arc<ContainerLog>> {
        let logs = self.locked();
        let runs = logs.get(&(uid.to_owned(), container.to_owned()))?;
        runs.len().checked_sub(1 + usize::from(is_previous)).map(|at| Arc::clone(&runs[at]))
    }

    /// Forgets the logs of a pod.
    pub(crate) fn forget(&self, uid: &str) {
        self.locked().retain(|(pod, _), _| pod != uid);
    }

    fn locked(&self) -> MutexGuard<'_, Runs> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ContainerLog {
    /// Keeps a line, or as much of it as was printed.
    pub(crate) fn append(&self, time: Timestamp, bytes: &[u8]) {
        {
            let mut pieces = self.locked();
            for part in bytes.chunks(PIECE) {
                let begins_line = pieces.kept.back().is_none_or(|last| last.bytes.ends_with(b"\n"));
                pieces.file_size += part.len();
                pieces.kept.push_back(Piece { time, bytes: part.to_vec(), begins_line });
            }
            if pieces.file_size > self.limit {
                // the file before this one is kept for those who read it; nobody finds it anew
                let file = pieces.file;
                while pieces.first < file {
                    pieces.kept.pop_front();
                    pieces.first += 1;
                }
                pieces.file = pieces.first + pieces.kept.len() as u64;
                pieces.file_size = 0;
            }
        }
        self.grown.send_replace(false);
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.grown.send_replace(true);
    }

    /// Told at each growth; true when nothing more will come.
    pub(crate) fn growth(&self) -> watch::Receiver<bool> {
        self.grown.subscribe()
    }

    /// The number of the first piece that a reader wants.
    pub(crate) fn start(&self, view: &View) -> u64 {
        let pieces = self.locked();
        let end = pieces.first + pieces.kept.len() as u64;
        let skipped = (pieces.file - pieces.first) as usize;
        let Some(tail) = view.tail else { return pieces.file };
        let mut lines = 0;
        let begins =
            pieces.kept.iter().enumerate().skip(skipped).rev().filter(|(_, piece)| piece.begins_line);
        for (at, _) in begins {
            lines += 1;
            if lines == tail {
                return pieces.first + at as u64;
            }
        }
        if tail == 0 { end } else { pieces.file }
    }

    /// The next piece from a number on, as it is to be shown, and the number after it.
    pub(crate) fn next(&self, from: u64, view: &View) -> Option<(Vec<u8>, u64)> {
        let pieces = self.locked();
        let from = from.max(pieces.first);
        let is_wanted = |piece: &&Piece| view.since.is_none_or(|since| piece.time >= since);
        let mut rest = pieces.kept.iter().enumerate().skip((from - pieces.first) as usize);
        let (at, piece) = rest.find(|(_, piece)| is_wanted(piece))?;
        let mut shown = Vec::new();
        if view.has_times && piece.begins_line {
            shown.extend_from_slice(format!("{:.9} ", piece.time).as_bytes());
        }
        shown.extend_from_slice(&piece.bytes);
        Some((shown, pieces.first + at as u64 + 1))
    }

    /// The last lines of it, for a message.
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
    fn a_view_is_part_of_the_log() {
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
    fn a_new_reader_gets_the_present_file_and_an_old_one_also_the_end_of_the_file_before() {
        let log = Logs::new(10).open("u", "c");
        for line in ["aaaa\n", "bbbb\n", "cccc\n", "dddd\n"] {
            log.append(Timestamp::UNIX_EPOCH, line.as_bytes());
        }
        assert_eq!(all(&log, &View::default()), "dddd\n");
        assert_eq!(log.next(1, &View::default()).unwrap().0, b"bbbb\n");
    }
}
