//! The launch port: an order to start one program, and what is heard of it until its end.

use pop_registry::contract::{Exit, Failure, Progress, Said};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::mpsc;

/// The most standard output that is kept for a result.
pub const CAPTURE_LIMIT: usize = 16 * 1024 * 1024;

/// The caller's own number of a launch, unique among those that it follows at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LaunchId(pub u64);

/// A program and what it is started with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
    /// How much CPU it is given, where that can be given.
    pub cpu: Option<String>,
    /// How much memory it is given, where that can be given.
    pub memory: Option<String>,
}

/// What becomes of a program's standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Captured {
    /// It is log, except report lines.
    #[default]
    Nothing,
    /// It is kept, up to [`CAPTURE_LIMIT`], except report lines.
    Stdout,
    /// It is kept whole, up to [`CAPTURE_LIMIT`]; none of it is a report.
    Whole,
    /// Every line of both streams is handed on as it comes; none is a report and none is logged here.
    Lines,
}

/// An order to start one program.
#[derive(Debug, Clone, Default)]
pub struct LaunchOrder {
    /// A name that no other launch bears: `run-operation-attempt`. Containers and pods are called so.
    pub name: String,
    /// The program.
    pub program: Program,
    /// What becomes of its standard output.
    pub captured: Captured,
    /// The file of its log; made when there is something to write.
    pub log: Option<PathBuf>,
    /// After how long without a byte of output [`LaunchEvent::Silent`] is said.
    pub silence: Option<Duration>,
    /// Whether an earlier process of the caller may have launched it under this name: then it is found, or lost.
    pub again: bool,
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
pub struct Ended {
    /// How the program ended, or why it could not be started or followed.
    pub exit: Result<Exit, Box<Failure>>,
    /// What it reported.
    pub said: Said,
    /// The standard output that was to be kept.
    pub stdout: Vec<u8>,
    /// The last lines of its log.
    pub log_tail: Vec<String>,
}

impl Ended {
    /// The end of a program that printed nothing to keep.
    pub fn exited(exit: Exit) -> Self {
        Self { exit: Ok(exit), said: Said::default(), stdout: Vec::new(), log_tail: Vec::new() }
    }

    /// The end of something that could not be started.
    pub fn failed(failure: Failure) -> Self {
        Self { exit: Err(Box::new(failure)), said: Said::default(), stdout: Vec::new(), log_tail: Vec::new() }
    }
}

/// What is heard of a launch. The last event is `Ended` or `Lost`.
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
    Ended(Box<Ended>),
    /// It was launched earlier and is not to be found.
    Lost,
}

/// An event and the launch that it is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Launched {
    /// The launch.
    pub id: LaunchId,
    /// What is heard of it.
    pub event: LaunchEvent,
}

/// Starts programs and follows them.
///
/// *Guarantees.* `launch` returns at once and never fails: what goes wrong is the launch's end. After `Ended` or
/// `Lost` nothing more is said. *Assumptions.* Called inside a Tokio runtime; the receiver is emptied by someone who
/// does not wait for a launch meanwhile, for a full channel holds the program's output back.
pub trait Launcher: Send + Sync {
    /// Starts a program; what is heard of it goes to `events`.
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<Launched>);

    /// Asks a launch to end, or ends it by force. One that is over is left alone.
    fn stop(&self, id: LaunchId, force: bool);
}
