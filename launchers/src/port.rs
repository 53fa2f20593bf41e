//! The launch port: an order to start one program, and the events until its end.

use pop_contract::{Blame, Exit, Failure, FinalReport, Progress, Usage, VALUE_LIMIT};
use pop_registry::{Capture, Cpu, Memory, PodConfig, Secret};
use pop_warm::PoolSettings;
use serde_json::Value;
use std::fmt;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Most bytes of standard output that can become a result.
pub const CAPTURE_LIMIT: usize = VALUE_LIMIT;
/// Default time between SIGTERM and SIGKILL.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// Label names of containers and pods.
pub mod label {
    /// The run.
    pub const RUN: &str = "pop.runId";
    /// The operation.
    pub const OPERATION: &str = "pop.operation";
    /// The number of the attempt, from 1.
    pub const ATTEMPT: &str = "pop.attempt";
    /// The name of the launch; the container or pod is named after it.
    pub const LAUNCH: &str = "pop.launch";
    /// The caller's number of the launch.
    pub const LAUNCH_ID: &str = "pop.launchId";
    /// Whether the container or pod is removed when its end is recorded: `true` or `false`.
    pub const REAP: &str = "pop.reap";
}

/// The caller's number of a launch, unique among the launches that the caller follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaunchId(pub u64);

impl LaunchId {
    /// The first number of external programs; operations have lower numbers.
    pub const FIRST_EXTERNAL: u64 = 1 << 63;

    /// Whether the launch is that of an external program, which a handler starts.
    pub fn is_external(self) -> bool {
        self.0 >= Self::FIRST_EXTERNAL
    }
}

/// A program and its settings.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Program {
    /// The arguments, beginning with the program; never a shell line.
    pub argv: Vec<String>,
    /// The folder in which a relative program is searched before `PATH`.
    pub home: Option<PathBuf>,
    /// Variables that override those of every program.
    pub env: Vec<(String, String)>,
    /// Working directory; `None`: that of the launcher.
    pub working_directory: Option<PathBuf>,
    /// The image that contains the program, for launchers that need one.
    pub image: Option<String>,
    /// CPU limit, for launchers that support it; overrides `pod`.
    pub cpu: Option<Cpu>,
    /// Memory limit, for launchers that support it; overrides `pod`.
    pub memory: Option<Memory>,
    /// Settings of the container or pod; `None`: the core defaults.
    pub pod: Option<Arc<PodConfig>>,
    /// Secret variables; their values are read when the program starts.
    pub secrets: Vec<Secret>,
    /// Files of this machine that the program can read at their own paths.
    pub files: Vec<PathBuf>,
    /// File of this machine that is its standard input; `None`: an empty one.
    pub stdin: Option<PathBuf>,
}

impl Program {
    /// The prefix of the name of the container or pod.
    pub fn prefix(&self) -> &str {
        self.pod.as_ref().and_then(|pod| pod.name_prefix.as_deref()).unwrap_or_default()
    }

    /// Whether the container or pod is removed after its end. One with secrets always is.
    pub fn is_reaped(&self) -> bool {
        !self.secrets.is_empty() || self.pod.as_ref().is_none_or(|pod| pod.reap_completed)
    }
}

/// Use of a program's standard output. Only [`Nothing`](Self::Nothing) recognises report lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StdoutUse {
    /// Log, except report lines.
    #[default]
    Nothing,
    /// Log; report lines are ordinary log lines.
    Log,
    /// Data, parsed as one value at the end of the launch. It becomes log if the launch fails.
    Value(Capture),
    /// Data, returned as bytes at the end of the launch.
    Whole,
    /// Lines of both streams, sent as events while the program runs; the launcher does not log them.
    Lines,
}

/// An order that an instance of a warm handler can serve (docs/warm.md).
///
/// The program of its [`LaunchOrder`] is that of the instance: it has no variable and no file of one attempt.
#[derive(Clone)]
pub struct WarmOrder {
    /// Limits of the handler's instances.
    pub settings: PoolSettings,
    /// Id of the handler.
    pub handler: String,
    /// Version of the handler.
    pub version: Option<String>,
    /// What the launch is an attempt of; crashes are counted by it.
    pub subject: u64,
    /// Orders of different lanes never share an instance.
    pub lane: Option<u32>,
    /// Variables of the attempt.
    pub variables: Vec<(String, String)>,
    /// The payload, as JSON. Without one the order only makes sure that an instance is ready, and then ends.
    pub payload: Option<Arc<str>>,
    /// Adds the attempt's variables, payload and files to an order whose program is run once.
    pub run_once: RunOnce,
}

/// Completes an order whose program is run once instead.
pub type RunOnce = Arc<dyn Fn(&mut LaunchOrder) -> Result<(), Failure> + Send + Sync>;

impl fmt::Debug for WarmOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handler, version, subject, .. } = self;
        write!(f, "WarmOrder({handler}, {version:?}, {subject})")
    }
}

/// An order to start one program.
#[derive(Debug, Clone, Default)]
pub struct LaunchOrder {
    /// Unique name of the launch: `run-operation-attempt`. The container or pod is named after the launch.
    pub name: String,
    /// The program.
    pub program: Program,
    /// Use of the program's standard output.
    pub captured: StdoutUse,
    /// Exit statuses that mean success; only 0 if empty. With any other exit, captured output becomes log.
    pub success: Vec<i32>,
    /// Time between SIGTERM and SIGKILL, and time that processes may continue that the program left behind; `None`:
    /// [`DEFAULT_GRACE`].
    pub grace: Option<Duration>,
    /// The log file, created at the first byte.
    pub log: Option<PathBuf>,
    /// Time without output after which [`LaunchEvent::Silent`] is sent.
    pub silence: Option<Duration>,
    /// Whether an earlier process of the caller may have launched this program under this name. The launcher then finds
    /// it, or reports it as lost.
    pub again: bool,
    /// Longest time until the program is scheduled, including the image pull and the wait for a node.
    pub pending: Option<Duration>,
    /// Longest time that the program may run. The caller then stops it. A pod ends somewhat later by itself, in case
    /// the caller is gone.
    pub limit: Option<Duration>,
    /// Labels of the container or pod, besides the launcher's own.
    pub labels: Vec<(String, String)>,
    /// How an instance of a warm handler serves the order. A launcher without instances ignores it.
    pub warm: Option<Box<WarmOrder>>,
    /// The socket of an instance of a warm handler.
    pub socket: Option<InstanceSocket>,
}

/// Path of the socket of an instance in its container.
pub const MOUNTED_SOCKET: &str = "/run/pop/warm.sock";

/// The socket of an instance of a warm handler, as its program gets it.
#[derive(Debug, Clone)]
pub enum InstanceSocket {
    /// A connected socket that a process inherits as descriptor
    /// [`SOCKET_DESCRIPTOR`](crate::process::SOCKET_DESCRIPTOR).
    Inherited(Arc<OwnedFd>),
    /// A listening socket of this machine. A container has it at [`MOUNTED_SOCKET`].
    Mounted(PathBuf),
}

impl InstanceSocket {
    /// The descriptor that a process inherits.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Inherited(socket) => Some(socket.as_fd()),
            Self::Mounted(_) => None,
        }
    }
}

/// An output stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that a program printed, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The stream.
    pub stream: Stream,
    /// The text; invalid UTF-8 is replaced.
    pub text: String,
}

/// How a launch ended.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchEnd {
    /// How the program ended, or why it could not be started or followed.
    pub exit: Result<Exit, Box<Failure>>,
    /// The reports of the program.
    pub said: FinalReport,
    /// Standard output of [`StdoutUse::Whole`].
    pub stdout: Vec<u8>,
    /// Standard output of [`StdoutUse::Value`], if the exit means success.
    pub captured: Option<Value>,
    /// The last lines of the log.
    pub log_tail: Vec<String>,
    /// Number of processes that the program left behind and that had to be stopped after the grace.
    pub left: usize,
    /// The instance of a warm handler that served the order.
    pub instance: Option<Box<str>>,
    /// What the program used; none if the platform does not tell.
    pub usage: Option<Usage>,
}

impl LaunchEnd {
    /// The end of a program without output or reports.
    pub fn exited(exit: Exit) -> Self {
        Self::of(Ok(exit))
    }

    /// The end of a launch of which nothing can be known any more.
    pub fn lost() -> Self {
        Self::failed(Failure::new(Blame::Platform, "lost", "the program can no longer be followed"))
    }

    /// The end of a launch that failed.
    pub fn failed(failure: Failure) -> Self {
        Self::of(Err(Box::new(failure)))
    }

    fn of(exit: Result<Exit, Box<Failure>>) -> Self {
        Self {
            exit,
            said: FinalReport::default(),
            stdout: Vec::new(),
            captured: None,
            log_tail: Vec::new(),
            left: 0,
            instance: None,
            usage: None,
        }
    }
}

/// An event of a launch. The last one is `Ended` or `Lost`; only `Late` may follow.
#[derive(Debug, Clone, PartialEq)]
pub enum LaunchEvent {
    /// The launch has left its pending phase. Processes have none and do not send this.
    Running,
    /// The program reported progress; reports in quick succession are merged.
    Progress(Box<Progress>),
    /// The program printed lines. Only with [`StdoutUse::Lines`].
    Lines(Vec<Line>),
    /// The program has printed nothing for the time set in the order; sent once.
    Silent,
    /// The launch has ended.
    Ended(Box<LaunchEnd>),
    /// The program was launched by an earlier process and cannot be found.
    Lost,
    /// What the user should know about the launch: one sentence.
    Notice(String),
    /// The end of a program that the launcher had given up, or that no launch followed.
    Late(Exit),
}

/// An event of one launch.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchUpdate {
    /// The launch.
    pub id: LaunchId,
    /// The event.
    pub event: LaunchEvent,
}

/// A boxed future returned by a launcher.
pub type Doing<'l, T> = Pin<Box<dyn Future<Output = T> + Send + 'l>>;

/// A launch that is announced but not started.
///
/// A stop request reaches it already. If this is dropped, nothing starts, and no event comes.
///
/// *Assumptions.* The thread that starts it has entered the runtime, and lives as long as the program may.
pub trait PreparedLaunch: Send {
    /// The launch.
    fn id(&self) -> LaunchId;

    /// Starts the program; the event loop follows it and sends all events.
    fn start(self: Box<Self>);

    /// Starts the program and follows it on this thread while it is short.
    ///
    /// If it ends meanwhile, `accept` gets its events once, the end last; the launch counts as running until `accept`
    /// returns. Otherwise `accept` is not called: the event loop follows the program and sends all events.
    fn run(self: Box<Self>, accept: &mut dyn FnMut(Vec<LaunchEvent>));
}

/// Starts programs and follows them to their end.
///
/// *Guarantees.* `launch` returns at once and never fails: any error becomes the end of the launch. A later
/// process of the caller can find a launch that is not [released](Self::release), unless it is a local process.
/// *Assumptions.* Runs inside a Tokio runtime. The caller receives events without waiting for a launch
/// meanwhile: a full channel blocks the program's output.
pub trait Launcher: Send + Sync {
    /// Starts a program; its events go to `events`.
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>);

    /// Prepares a launch for another thread, which starts the program. `None`: the program was launched as by
    /// [`launch`](Self::launch).
    fn prepare(
        &self,
        id: LaunchId,
        order: LaunchOrder,
        events: &mpsc::Sender<LaunchUpdate>,
    ) -> Option<Box<dyn PreparedLaunch>> {
        self.launch(id, order, events);
        None
    }

    /// Stops a launch: sends SIGTERM, or SIGKILL with `force`. Does nothing if the launch has ended.
    fn stop(&self, id: LaunchId, force: bool);

    /// Waits until all ends so far, and all output in pipes, have been sent or are about to be. Call it before a time
    /// limit is applied to a launch: if the event loop was suspended, the timer fires first. The caller must keep
    /// receiving events.
    fn settle(&self) -> Doing<'_, ()> {
        Box::pin(async {})
    }

    /// Suspends (SIGSTOP) all launched programs that run on this machine.
    fn pause(&self) {}

    /// Continues the suspended programs (SIGCONT). The launcher's time limits exclude the pause.
    fn resume(&self, _paused: Duration) {}

    /// Removes the container or pod, by which a later process could find the launch. Call it when the end of the launch
    /// is recorded.
    fn release(&self, _id: LaunchId) {}

    /// Ends the instances of a lane ([`WarmOrder::lane`]) after their orders in hand.
    fn retire(&self, _lane: u32) {}

    /// Checks whether the launcher can reach its Engine or cluster.
    fn reach(&self) -> Doing<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    /// Waits, for a limited time, until all released containers or pods are removed. No launch may follow.
    fn close(&self) -> Doing<'_, ()> {
        Box::pin(async {})
    }
}
