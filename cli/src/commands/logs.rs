//! `pop logs`: prints the logs of operations; `-f` follows them until the run ends.

use super::machine::now;
use super::run_watch::RunWatch;
use super::saved_run::{operation, read, read_folder};
use crate::args::LogsArgs;
use crate::error::CommandError;
use crate::ui;
use pop_agenda::OpIx;
use pop_assembly::SavedRun;
use pop_contract::Millis;
use pop_executor::operation_log;
use pop_launchers::open_regular_file;
use pop_reporters::run::{visible, visible_text};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

pub(crate) fn logs(args: &LogsArgs) -> Result<u8, CommandError> {
    let mut saved = read(&args.runs.runs, &args.run)?;
    let operation = args.operation.as_deref().map(|name| operation(&saved, name)).transpose()?;
    let is_terminal = io::stdout().is_terminal();
    let since = args.since.map(|age| now().saturating_sub(age.as_millis() as Millis));
    let mut printer =
        Printer { operation, since, lines: args.lines, read: HashMap::new(), last: None, is_terminal };
    if !args.follow {
        printer.print(&saved)?;
        return Ok(0);
    }
    let watch = RunWatch::new(&saved.folder)?;
    loop {
        // check before reading the journal, so that the last events are not missed
        let is_held = saved.folder.is_held();
        saved = read_folder(saved.folder)?;
        printer.print(&saved)?;
        let is_settled = operation.is_some_and(|op| saved.history.operation(op).settled.is_some());
        if is_settled || saved.history.ended.is_some() || !is_held {
            return Ok(0);
        }
        watch.wait()?;
    }
}

/// Prints logs, each from the offset of the previous call.
struct Printer {
    operation: Option<OpIx>,
    /// Logs whose attempts ended before this time are left out, in epoch milliseconds.
    since: Option<Millis>,
    /// Number of last lines that are printed of each existing log; none for all, and for logs that appear later.
    lines: Option<usize>,
    read: HashMap<PathBuf, u64>,
    /// Log printed last; a different log begins with a heading.
    last: Option<PathBuf>,
    is_terminal: bool,
}

impl Printer {
    fn print(&mut self, saved: &SavedRun) -> io::Result<()> {
        // most operations of a large run print nothing, and one listing costs less than an attempt to open each log
        let folder = saved.folder.logs();
        let existing = if self.operation.is_none() { Some(files_in(&folder)?) } else { None };
        for (op, planned) in saved.plan.operations() {
            if self.operation.is_some_and(|wanted| wanted != op) {
                continue;
            }
            for attempt in &saved.history.operation(op).attempts {
                let ended = attempt.ended.as_ref().map(|(at, _)| saved.history.wall(*at));
                if ended.zip(self.since).is_some_and(|(ended, since)| ended < since) {
                    continue;
                }
                let path = operation_log(&folder, planned, attempt.number);
                if existing.as_ref().is_some_and(|files| !files.contains(&path)) {
                    continue;
                }
                let heading = match attempt.number {
                    1 => visible(&saved.plan.shown_name(op)),
                    number => format!("{} (attempt {number})", visible(&saved.plan.shown_name(op))),
                };
                self.print_log(path, &heading)?;
            }
        }
        self.lines = None;
        Ok(())
    }

    fn print_log(&mut self, path: PathBuf, heading: &str) -> io::Result<()> {
        let mut file = match open_regular_file(&path) {
            Ok(file) => file,
            // an operation without output has no log
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut at = match (self.read.get(&path), self.lines) {
            (Some(from), _) => *from,
            (None, Some(lines)) => start_of_last(&mut file, lines)?,
            (None, None) => 0,
        };
        let mut piece = vec![0; PIECE];
        loop {
            file.seek(SeekFrom::Start(at))?;
            let mut count = file.read(&mut piece)?;
            if count == 0 {
                break;
            }
            // print whole lines only, unless at the end, to keep characters intact
            if count == piece.len() {
                count = piece.iter().rposition(|byte| *byte == b'\n').map_or(count, |end| end + 1);
            }
            if self.last.as_ref() != Some(&path) {
                ui::print(&format!("==> {heading} <==\n"));
                self.last = Some(path.clone());
            }
            // a file gets the raw bytes; a terminal gets no control characters
            if self.is_terminal {
                ui::print(&visible_text(&String::from_utf8_lossy(&piece[..count])));
            } else {
                ui::print_bytes(&piece[..count]);
            }
            at += count as u64;
        }
        self.read.insert(path, at);
        Ok(())
    }
}

/// The files in a folder; none if there is no folder.
fn files_in(folder: &Path) -> io::Result<HashSet<PathBuf>> {
    match folder.read_dir() {
        Ok(entries) => entries.map(|entry| Ok(entry?.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(HashSet::new()),
        Err(error) => Err(error),
    }
}

/// Bytes of a log that are read at once.
const PIECE: usize = 64 * 1024;

/// Offset at which the last `lines` lines of a file begin. It reads the file from its end.
fn start_of_last(file: &mut File, lines: usize) -> io::Result<u64> {
    let end = file.seek(SeekFrom::End(0))?;
    let (mut to, mut found) = (if lines == 0 { 0 } else { end }, 0);
    while to > 0 {
        let from = to.saturating_sub(PIECE as u64);
        let mut piece = vec![0; (to - from) as usize];
        file.seek(SeekFrom::Start(from))?;
        file.read_exact(&mut piece)?;
        for (at, _) in piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let after = from + at as u64 + 1;
            // the line end of the last line begins no other line
            found += usize::from(after < end);
            if found == lines {
                return Ok(after);
            }
        }
        to = from;
    }
    Ok(if lines == 0 { end } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn last_lines_are_found_across_pieces() {
        let last = |text: &[u8], lines| {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text).unwrap();
            let at = start_of_last(&mut file, lines).unwrap();
            text[at as usize..].to_vec()
        };
        for (lines, wanted) in [(0, ""), (1, "c\n"), (2, "b\nc\n"), (3, "a\nb\nc\n"), (9, "a\nb\nc\n")] {
            assert_eq!(last(b"a\nb\nc\n", lines), wanted.as_bytes(), "{lines}");
        }
        assert_eq!(last(b"a\nb", 1), b"b");
        assert_eq!(last(b"", 3), b"");
        assert_eq!(last(b"\n\n", 1), b"\n");
        let long = [vec![b'x'; PIECE], b"\n".to_vec(), vec![b'y'; 2 * PIECE], b"\n".to_vec()].concat();
        assert_eq!(last(&long, 1).len(), 2 * PIECE + 1);
        assert_eq!(last(&long, 2), long);
    }
}
