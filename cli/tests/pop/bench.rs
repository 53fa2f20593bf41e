//! Test bench: a private folder for each test, and the program run in it with a clean environment.

use crate::running::Running;
use crate::steady::steady;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde_json::Value;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long anything may be waited for: far more than it takes, so that a test that hangs fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// The variable that names the Engine of the tests; without it they use the machine's dockerd.
pub(crate) const ENGINE: &str = "POP_TEST_DOCKER_HOST";

/// A folder in which a test writes files and runs `pop`.
pub(crate) struct Bench {
    folder: TempDir,
}

/// Signals as a program of a terminal has them.
const DEFAULT: &str = "--default-signal=HUP,INT,TERM";

/// One call of `pop` that is being put together.
pub(crate) struct Call<'b> {
    bench: &'b Bench,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    stdin: Option<Vec<u8>>,
    stdout: Option<Stdio>,
    prelude: Option<String>,
    signals: &'static str,
}

/// Exit code and output of a call.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; 128 and more than that for a signal, as shells say it.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
    pub(crate) folder: PathBuf,
}

impl Bench {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A folder with one agenda in it, `a.yaml`.
    pub(crate) fn with_agenda(text: &str) -> Self {
        let bench = Self::new();
        bench.write("a.yaml", text);
        bench
    }

    /// The path of a file.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, and the folders above it.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes a program.
    pub(crate) fn program(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::OpenOptions::new();
        let mut file = file.write(true).create(true).truncate(true).mode(0o755).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The text of a file; empty if it is not there.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The lines of a file, sorted: what parallel operations appended has no order.
    pub(crate) fn sorted_lines(&self, name: &str) -> Vec<String> {
        let mut lines: Vec<String> = self.read(name).lines().map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    }

    /// Whether a file or folder is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// The folder of the only run, or of the newest.
    pub(crate) fn run_folder(&self) -> PathBuf {
        let runs = fs::read_dir(self.path(".pop/runs")).unwrap();
        runs.map(|entry| entry.unwrap().path()).max().unwrap()
    }

    /// Calls `pop` with arguments that have no spaces in them.
    pub(crate) fn call(&self, arguments: &str) -> Call<'_> {
        let arguments = arguments.split_whitespace().map(str::to_owned).collect();
        Call {
            bench: self,
            arguments,
            // the Engine that tests of the Docker launcher are run against
            variables: std::env::var(ENGINE)
                .map(|host| ("DOCKER_HOST".to_owned(), host))
                .into_iter()
                .collect(),
            stdin: None,
            stdout: None,
            prelude: None,
            signals: DEFAULT,
        }
    }

    /// Calls `pop`, which must end with this exit code.
    pub(crate) fn pop(&self, code: i32, arguments: &str) -> Ended {
        self.call(arguments).ends(code)
    }

    /// Output of `pop show last --output json`.
    pub(crate) fn shown(&self) -> Value {
        self.pop(0, "show last --output json").json()
    }

    /// One operation from `pop show last --output json`.
    pub(crate) fn operation(&self, name: &str) -> Value {
        let shown = self.shown();
        let mut operations = shown["operations"].as_array().unwrap().iter();
        operations.find(|operation| operation["name"] == name).unwrap().clone()
    }

    /// Waits until a file has this many lines.
    pub(crate) fn wait_for(&self, name: &str, lines: usize) {
        let changes = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).unwrap();
        let events = inotify::WatchFlags::CREATE | inotify::WatchFlags::MODIFY;
        inotify::add_watch(&changes, self.folder.path(), events).unwrap();
        while self.read(name).matches('\n').count() < lines {
            assert!(is_ready(&changes), "`{name}` has not got {lines} lines: {:?}", self.read(name));
            let mut piece = [0; 4096];
            while rustix::io::read(&changes, &mut piece).is_ok_and(|count| count > 0) {}
        }
    }

    /// Reads a process id from a file.
    pub(crate) fn process(&self, name: &str) -> Process {
        Process::of(self.read(name).trim().parse().unwrap())
    }

    /// Creates a named pipe: a reader waits until the test writes.
    pub(crate) fn fifo(&self, name: &str) {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, self.path(name), kind, mode, 0).unwrap();
    }
}

/// Waits until something is readable; false if it never is.
fn is_ready(what: &impl std::os::fd::AsFd) -> bool {
    let patience = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
    poll(&mut [PollFd::new(what, PollFlags::IN)], Some(&patience)).unwrap() > 0
}

/// A process that is watched, and not by its number alone.
pub(crate) struct Process(Option<std::os::fd::OwnedFd>);

impl Process {
    fn of(pid: i32) -> Self {
        Self(pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).ok())
    }

    /// Waits for its end.
    pub(crate) fn ends(&self) {
        assert!(self.0.as_ref().is_none_or(is_ready), "the process does not end");
    }
}

impl Call<'_> {
    /// One more argument, spaces and all.
    pub(crate) fn argument(mut self, text: &str) -> Self {
        self.arguments.push(text.to_owned());
        self
    }

    /// Sets a variable; there are none but a few harmless ones.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives a text on standard input, which is empty otherwise.
    pub(crate) fn stdin(mut self, text: &str) -> Self {
        self.stdin = Some(text.as_bytes().to_vec());
        self
    }

    /// Writes standard output into a file.
    pub(crate) fn into(mut self, file: &str) -> Self {
        self.stdout = Some(fs::OpenOptions::new().write(true).open(file).unwrap().into());
        self
    }

    /// Writes standard output to a reader of the test's own.
    pub(crate) fn to(mut self, writer: std::io::PipeWriter) -> Self {
        self.stdout = Some(writer.into());
        self
    }

    /// Writes standard output to a reader that is gone.
    pub(crate) fn into_closed_pipe(self) -> Self {
        self.to(std::io::pipe().unwrap().1)
    }

    /// Limits the address space to two gigabytes.
    pub(crate) fn within_two_gigabytes(self) -> Self {
        self.after("ulimit -v 2097152")
    }

    /// Has a shell do something before it becomes the program: set a limit, open a file.
    pub(crate) fn after(mut self, line: &str) -> Self {
        self.prelude = Some(line.to_owned());
        self
    }

    fn command(&mut self) -> Command {
        let program = env!("CARGO_BIN_EXE_pop");
        let mut command = match &self.prelude {
            // the parent of the tests may ignore signals, and children inherit that
            None => {
                let mut env = Command::new("/usr/bin/env");
                env.args([self.signals, program]);
                env
            }
            Some(line) => {
                let mut shell = Command::new("/bin/sh");
                let line = format!("{line}; exec \"$@\"");
                shell.args(["-c", &line, "sh", "/usr/bin/env", self.signals, program]);
                shell
            }
        };
        command.args(&self.arguments).current_dir(self.bench.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("TZ", "UTC");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command.stdout(self.stdout.take().unwrap_or_else(Stdio::piped)).stderr(Stdio::piped());
        command
    }

    /// With another option of `env` for the signals it is started with; `nohup` ignores one.
    pub(crate) fn signals(mut self, option: &'static str) -> Self {
        self.signals = option;
        self
    }

    /// Starts it.
    pub(crate) fn spawn(mut self) -> Running {
        let mut child = self.command().spawn().unwrap();
        if let Some(text) = &self.stdin {
            // a program that ends without reading is no fault of the one that writes
            child.stdin.take().unwrap().write_all(text).ok();
        }
        Running::of(child, self.bench.folder.path().canonicalize().unwrap())
    }

    /// Runs it to its end.
    pub(crate) fn run(self) -> Ended {
        self.spawn().end()
    }

    /// Runs it to its end, which must have this exit code.
    pub(crate) fn ends(self, code: i32) -> Ended {
        let arguments = self.arguments.join(" ");
        let ended = self.run();
        assert_eq!(ended.code, code, "pop {arguments}\n{}\n{}", ended.stdout, ended.stderr);
        ended
    }
}

impl Ended {
    /// Standard output as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Standard output as lines of JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Exit code and output, with placeholders for what differs between runs.
    pub(crate) fn screen(&self) -> String {
        let mut screen = format!("exit {}\n", self.code);
        for (name, said) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !said.is_empty() {
                screen.push_str("--- ");
                screen.push_str(name);
                screen.push('\n');
                screen.push_str(&self.steady(said));
            }
        }
        screen
    }

    /// Replaces everything that differs between runs by placeholders.
    pub(crate) fn steady(&self, text: &str) -> String {
        steady(text, &self.folder)
    }
}
