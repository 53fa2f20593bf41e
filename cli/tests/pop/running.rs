//! A running `pop` that a test reads from, signals, limits and waits for.

use crate::bench::{Ended, PATIENCE};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getrlimit, kill_process, prlimit, waitid,
};
use std::fs;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

/// A `pop` that runs while the test does something.
pub(crate) struct Running {
    child: Child,
    folder: PathBuf,
    stdout: Heard,
    stderr: Heard,
}

/// Lines read from a stream.
struct Heard {
    lines: Receiver<String>,
    text: String,
}

impl Heard {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let mut stream = BufReader::new(stream);
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while stream.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                let text = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                if sender.send(text).is_err() {
                    break;
                }
            }
        });
        Self { lines, text: String::new() }
    }

    /// Waits for a line that holds these words.
    fn wait_for(&mut self, words: &str) {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| unreachable!("no {words:?} in {:?}", self.text));
            self.text.push_str(&line);
            if line.contains(words) {
                return;
            }
        }
    }

    /// Reads until the stream ends.
    fn until_end(mut self) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.text.push_str(&line),
                Err(RecvTimeoutError::Disconnected) => return self.text,
                Err(RecvTimeoutError::Timeout) => unreachable!("no end after {:?}", self.text),
            }
        }
    }
}

impl Running {
    /// Listens to a child that was just started in a folder.
    pub(crate) fn of(mut child: Child, folder: PathBuf) -> Self {
        let stdout = child.stdout.take().map_or_else(|| Heard::of(std::io::empty()), Heard::of);
        let stderr = Heard::of(child.stderr.take().unwrap());
        Self { child, folder, stdout, stderr }
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line on standard error that holds these words.
    pub(crate) fn says(&mut self, words: &str) {
        self.stderr.wait_for(words);
    }

    /// Waits for a line on standard output that holds these words.
    pub(crate) fn prints(&mut self, words: &str) {
        self.stdout.wait_for(words);
    }

    /// What it has printed on standard output, up to the words that the test waited for.
    pub(crate) fn printed(&self) -> &str {
        &self.stdout.text
    }

    /// The next line on standard output.
    pub(crate) fn line(&self) -> String {
        self.stdout.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Stops it, as Ctrl-Z does, and waits until it is.
    pub(crate) fn stop(&self) {
        self.signal(Signal::STOP);
        waitid(WaitId::Pid(Pid::from_child(&self.child)), WaitIdOptions::STOPPED).unwrap();
    }

    /// Lets it write as much and open as many files as it wants.
    pub(crate) fn is_set_free(&self) {
        self.limit(Resource::Fsize, None);
        self.limit(Resource::Nofile, Some(1024));
    }

    /// Lets it open no more files than it has open now.
    pub(crate) fn may_open_no_more(&self) {
        let is_free = |number: &u64| !Path::new(&format!("/proc/{}/fd/{number}", self.pid())).is_symlink();
        self.limit(Resource::Nofile, (0..1024).find(is_free));
    }

    fn limit(&self, what: Resource, current: Option<u64>) {
        let pid = Pid::from_child(&self.child);
        prlimit(Some(pid), what, Rlimit { current, maximum: getrlimit(what).maximum }).unwrap();
    }

    /// The most memory that it has had at a time, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self) -> Ended {
        let (stdout, stderr) = (self.stdout.until_end(), self.stderr.until_end());
        let status = self.child.wait().unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap());
        let ended = Ended { code, stdout, stderr, folder: self.folder };
        for said in [&ended.stdout, &ended.stderr] {
            assert!(!said.contains('\u{1b}'), "escape bytes go into no pipe: {said}");
            assert!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "{said}");
        }
        ended
    }

    /// Waits until it ends, which it must with this exit code.
    pub(crate) fn ends(self, code: i32) -> Ended {
        let ended = self.end();
        assert_eq!(ended.code, code, "{}", ended.stderr);
        ended
    }

    /// Waits for the end of the process and ignores its output.
    pub(crate) fn ended(mut self) {
        self.child.wait().unwrap();
    }

    /// Ends it as a crash does, and takes nothing more from it.
    pub(crate) fn crash(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
