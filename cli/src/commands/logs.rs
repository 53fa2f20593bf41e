//! `pop logs`: prints the logs of operations; `-f` follows them until the run ends.

use super::saved_run::{operation, read, read_folder};
use crate::args::LogsArgs;
use crate::error::CommandError;
use crate::ui;
use pop_agenda::OpIx;
use pop_assembly::SavedRun;
use pop_executor::operation_log;
use pop_launchers::open_regular_file;
use pop_reporters::run::visible_text;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;
use std::collections::HashMap;
use std::io::{self, IsTerminal as _, Read as _, Seek as _, SeekFrom};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

pub(crate) fn logs(args: &LogsArgs) -> Result<u8, CommandError> {
    let mut saved = read(&args.runs.runs, &args.run)?;
    let operation = args.operation.as_deref().map(|name| operation(&saved, name)).transpose()?;
    let is_terminal = io::stdout().is_terminal();
    let mut printer = Printer { operation, read: HashMap::new(), last: None, is_terminal };
    if !args.follow {
        printer.print(&saved)?;
        return Ok(0);
    }
    let watch = Watch::new(&saved)?;
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
    read: HashMap<PathBuf, u64>,
    /// Log printed last; a different log begins with a heading.
    last: Option<PathBuf>,
    is_terminal: bool,
}

impl Printer {
    fn print(&mut self, saved: &SavedRun) -> io::Result<()> {
        for (op, planned) in saved.plan.operations() {
            if self.operation.is_some_and(|wanted| wanted != op) {
                continue;
            }
            for attempt in &saved.history.operation(op).attempts {
                let path = operation_log(&saved.folder.logs(), planned, attempt.number);
                let heading = match attempt.number {
                    1 => planned.name.to_string(),
                    number => format!("{} (attempt {number})", planned.name),
                };
                self.print_log(path, &heading)?;
            }
        }
        Ok(())
    }

    fn print_log(&mut self, path: PathBuf, heading: &str) -> io::Result<()> {
        let from = self.read.get(&path).copied().unwrap_or_default();
        let mut file = match open_regular_file(&path) {
            Ok(file) => file,
            // an operation without output has no log
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut piece = vec![0; 64 * 1024];
        let mut at = from;
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

/// Waits for a change in the run's folder, or for the end of its executor.
struct Watch {
    changes: OwnedFd,
    executor: Option<OwnedFd>,
}

impl Watch {
    fn new(saved: &SavedRun) -> io::Result<Self> {
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let events = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE;
        inotify::add_watch(&changes, saved.folder.logs(), events)?;
        inotify::add_watch(&changes, saved.folder.journal(), events)?;
        let executor = saved
            .folder
            .executor()
            .and_then(rustix::process::Pid::from_raw)
            .and_then(|pid| rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok());
        Ok(Self { changes, executor })
    }

    fn wait(&self) -> io::Result<()> {
        let mut watched = vec![PollFd::new(&self.changes, PollFlags::IN)];
        watched.extend(self.executor.iter().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)));
        poll(&mut watched, None)?;
        let mut piece = vec![0; 16 * 1024];
        // drain the queue, so that the next wait is for new changes
        while rustix::io::read(&self.changes, &mut piece).is_ok_and(|count| count > 0) {}
        Ok(())
    }
}
