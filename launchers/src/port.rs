//! The launch port: an order to start one program, and what is heard of it until its end.

use pop_contract::{Exit, Failure, FinalReport, Progress, VALUE_LIMIT};
use pop_registry::{Capture, Cpu, Memory, PodConfig, Secret};
use serde_json::Value;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// The most standard output that is kept for a result, in bytes.
pub const CAPTURE_LIMIT: usize = VALUE_LIMIT;
/// How long a program may take to end after SIGTERM unless its order says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);

/// The labels of containers and pods.
pub mod label {
    /// The run that it belongs to.
    pub const RUN: &str = "pop.runId";
    /// The operation that it carries out.
    pub const OPERATION: &str = "pop.operation";
    /// The number of the attempt.
    pub const ATTEMPT: &str = "pop.attempt";
    /// The name of its launch, from which its own is made.
    pub const LAUNCH: &str = "pop.launch";
    /// The caller's number of its launch.
    pub const LAUNCH_ID: &str = "pop.launchId";
    /// Whether it goes when it has ended and its end is on record: `true` or `false`.
    pub const REAP: &str = "pop.reap";
}

/// The caller's own number of a launch, unique among those that it follows at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaunchId(pub u64);

impl LaunchId {
    /// The first number of external programs: those of operations are lower.
    pub const FIRST_EXTERNAL: u64 = 1 << 63;

    /// Whether it is an external program's.
    pub fn is_external(self) -> bool {
        self.0 >= Self::FIRST_EXTERNAL
    }
}

/// A program and what it is started with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Program {
    /// The arguments, the program itself first; never a shell line.
    pub argv: Vec<String>,
    /// A folder in which a relative program is looked for before `PATH`.
    pub home: Option<PathBuf>,
    /// Variables over those that every program is given.
    pub env: Vec<(String, String)>,
    /// Where it starts; none: where the launcher was told to start everything.
    pub working_directory: Option<PathBuf>,
    /// The image that holds it, for launchers that need one.
    pub image: Option<String>,
    /// How much CPU it is given, where that can be given, over what `pod` says.
    pub cpu: Option<Cpu>,
    /// How much memory it is given, where that can be given, over what `pod` says.
    pub memory: Option<Memory>,
    /// How its container or pod is made; none: as POP's defaults say.
    pub pod: Option<Arc<PodConfig>>,
    /// Variables whose values nobody else may see; they are looked up when the program is started.
    pub secrets: Vec<Secret>,
    /// Files of this machine that it must be able to read, at their own paths.
    pub files: Vec<PathBuf>,
}

impl Program {
    /// What the name of its container or pod begins with.
    pub fn prefix(&self) -> &str {
        self.pod.as_ref().and_then(|pod| pod.name_prefix.as_deref()).unwrap_or_default()
    }

    /// Whether its container or pod goes when it has ended. One that was given secrets always does.
    pub fn is_reaped(&self) -> bool {
        !self.secrets.is_empty() || self.pod.as_ref().is_none_or(|pod| pod.reap_completed)
    }
}

/// Use of a program's standard output. Only with [`Nothing`](Self::Nothing) may it hold report lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StdoutUse {
    /// Log, except report lines.
    #[default]
    Nothing,
    /// Log; report lines are log like any other line.
    Log,
    /// Data, read as one value at the end of the launch. It becomes log when the launch fails.
    Value(Capture),
    /// Data, handed over as bytes at the end of the launch.
    Whole,
    /// Lines of both streams, handed over as they come; none is logged here.
    Lines,
}

/// An order to start one program.
#[derive(Debug, Clone, Default)]
pub struct LaunchOrder {
    /// A name that no other launch bears: `run-operation-attempt`. Containers and pods are called so.
    pub name: String,
    /// The program.
    pub program: Program,
    /// Use of its standard output.
    pub captured: StdoutUse,
    /// Exit statuses that mean success; 0 if there are none. StdoutUse output of another end becomes log.
    pub success: Vec<i32>,
    /// How long it may take to end after SIGTERM, and how long what it left behind may go on after its end; none:
    /// [`DEFAULT_GRACE`].
    pub grace: Option<Duration>,
    /// The file of its log; made when there is something to write.
    pub log: Option<PathBuf>,
    /// After how long without a byte of output [`LaunchEvent::Silent`] is said.
    pub silence: Option<Duration>,
    /// Whether an earlier process of the caller may have launched it under this name: then it is found, or lost.
    pub again: bool,
    /// How long it may wait to be scheduled: for its image, for a node.
    pub pending: Option<Duration>,
    /// How long it may run; the caller ends it then, and a pod ends itself somewhat later if the caller is gone.
    pub limit: Option<Duration>,
    /// What containers and pods are labelled with, besides the launcher's own labels.
    pub labels: Vec<(String, String)>,
}

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// A line that a program printed, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Where.
    pub stream: Stream,
    /// What; bytes that are no UTF-8 are replaced.
    pub text: String,
}

/// How a launch ended.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchEnd {
    /// How the program ended, or why it could not be started or followed.
    pub exit: Result<Exit, Box<Failure>>,
    /// What it reported.
    pub said: FinalReport,
    /// Standard output of [`StdoutUse::Whole`].
    pub stdout: Vec<u8>,
    /// Standard output of [`StdoutUse::Value`], if the exit means success.
    pub captured: Option<Value>,
    /// The last lines of its log.
    pub log_tail: Vec<String>,
    /// How many processes it had left behind that did not end within the grace, and were ended.
    pub left: usize,
}

impl LaunchEnd {
    /// The end of a program that printed nothing to keep.
    pub fn exited(exit: Exit) -> Self {
        Self::of(Ok(exit))
    }

    /// The end of something that could not be started.
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
        }
    }
}

/// What is heard of a launch. The last event is `LaunchEnd` or `Lost`; after that only `Late` may be said.
#[derive(Debug, Clone, PartialEq)]
pub enum LaunchEvent {
    /// It has left its pending phase; processes have none and do not say this.
    Running,
    /// It reported progress; reports that follow fast are merged into the last.
    Progress(Box<Progress>),
    /// It printed lines, if they were asked for.
    Lines(Vec<Line>),
    /// It has printed nothing for the time given in the order; said once.
    Silent,
    /// It is over.
    Ended(Box<LaunchEnd>),
    /// It was launched earlier and is not to be found.
    Lost,
    /// It had been given up, and now its end is known after all; also said of what nobody follows.
    Late(Exit),
}

/// An event and the launch that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchUpdate {
    /// The launch.
    pub id: LaunchId,
    /// What is heard of it.
    pub event: LaunchEvent,
}

/// A future that a launcher gives.
pub type Doing<'l, T> = Pin<Box<dyn Future<Output = T> + Send + 'l>>;

/// Starts programs and follows them.
///
/// *Guarantees.* `launch` returns at once and never fails: what goes wrong is the launch's end. What a caller has not
/// [released](Self::release) can be found again by a later process of it, unless it is a mere process. *Assumptions.*
/// Called inside a Tokio runtime; the receiver is emptied by someone who does not wait for a launch meanwhile, for a
/// full channel holds the program's output back.
pub trait Launcher: Send + Sync {
    /// Starts a program; what is heard of it goes to `events`.
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>);

    /// Asks a launch to end, or ends it by force. One that is over is left alone.
    fn stop(&self, id: LaunchId, force: bool);

    /// Waits until the ends that have come, and the output that waits in pipes, were said or are about to be. To be
    /// called before a deadline decides over a launch: a loop that stood still may hear of the deadline first. The
    /// caller keeps on receiving meanwhile.
    fn settle(&self) -> Doing<'_, ()> {
        Box::pin(async {})
    }

    /// Stops everything that was launched (SIGSTOP), as far as it runs on this machine.
    fn pause(&self) {}

    /// Lets it go on (SIGCONT). Time limits of the launcher do not count the pause.
    fn resume(&self, _paused: Duration) {}

    /// The end of a launch is on record: what was kept so that it can be found again may go.
    fn release(&self, _id: LaunchId) {}

    /// Whether what it launches by can be reached.
    fn reach(&self) -> Doing<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    /// Waits until everything that was released is gone, for a while; nothing is launched after that.
    fn close(&self) -> Doing<'_, ()> {
        Box::pin(async {})
    }
}
