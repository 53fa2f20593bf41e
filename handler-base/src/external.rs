//! An external program that a handler calls: ffmpeg, for example.

use crate::{Exit, HandlerError, Line, OperationContext, Program, Stream};
use pop_launchers::{Captured, LaunchEvent, LaunchId, LaunchOrder};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How many last lines of each stream are kept.
const LAST_LINES: usize = 20;
/// The most standard output that is kept as a whole, in bytes.
const STDOUT_LIMIT: usize = 16 * 1024 * 1024;
/// How long a program that was asked to stop may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);
/// Numbers for external programs, far from those of operations, whose launcher they may share.
static NEXT_ID: AtomicU64 = AtomicU64::new(1 << 63);

type OnLine<'c> = Box<dyn FnMut(&Line, &mut OperationContext) + 'c>;

/// An external program about to be run.
pub struct External<'c> {
    context: &'c mut OperationContext,
    program: Program,
    on_line: Option<OnLine<'c>>,
}

/// How an external program ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalEnd {
    /// Its exit status or signal.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: String,
    /// The last lines of its standard error.
    pub last_errors: Vec<String>,
}

impl<'c> External<'c> {
    pub(crate) fn new(context: &'c mut OperationContext, program: Program) -> Self {
        Self { context, program, on_line: None }
    }

    /// Shows each line that the program prints to `on_line`, as it comes.
    #[must_use]
    pub fn on_line(mut self, on_line: impl FnMut(&Line, &mut OperationContext) + 'c) -> Self {
        self.on_line = Some(Box::new(on_line));
        self
    }

    /// Runs the program to its end; another exit status than 0 is an error with its last lines.
    pub async fn run(self) -> Result<ExternalEnd, HandlerError> {
        let name = self.program.argv.first().cloned().unwrap_or_default();
        let end = self.run_to_any_end().await?;
        if end.exit == Exit::Code(0) {
            return Ok(end);
        }
        let last = end.last_errors.last().map(|line| format!(": {line}")).unwrap_or_default();
        let error = HandlerError::new(format!("`{name}` ended with {}{last}", end.exit));
        Err(error.code("external").payload(end.last_errors))
    }

    /// Runs the program to its end, whatever that is.
    ///
    /// When the handler is asked to stop, the program is asked too, and killed after a while.
    pub async fn run_to_any_end(mut self) -> Result<ExternalEnd, HandlerError> {
        let launcher = self.context.launcher();
        let cancellation = self.context.cancellation().clone();
        let name = self.program.argv.first().cloned().unwrap_or_default();
        let order = LaunchOrder {
            name: format!("{}-external", self.context.cid()),
            program: std::mem::take(&mut self.program),
            captured: Captured::Lines,
            ..LaunchOrder::default()
        };
        // few events wait here: a program that prints faster than it is heard is held back
        let (sender, mut events) = mpsc::channel(16);
        let id = LaunchId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
        launcher.launch(id, order, &sender);
        let mut heard = Heard::default();
        let mut kill_at: Option<Instant> = None;
        loop {
            let heard_of = tokio::select! {
                heard_of = events.recv() => heard_of,
                () = cancellation.asked(), if kill_at.is_none() => {
                    launcher.stop(id, false);
                    kill_at = Some(Instant::now() + GRACE);
                    continue;
                }
                () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some_and(|at| at > Instant::now()) => {
                    launcher.stop(id, true);
                    continue;
                }
            };
            match heard_of.map(|launched| launched.event) {
                Some(LaunchEvent::Lines(lines)) => {
                    for line in lines {
                        if let Some(on_line) = &mut self.on_line {
                            on_line(&line, self.context);
                        }
                        heard.line(line);
                    }
                }
                Some(LaunchEvent::Ended(ended)) => {
                    if kill_at.is_some() {
                        return Err(HandlerError::new(format!("stopped while `{name}` was running"))
                            .code("cancelled"));
                    }
                    let exit = ended
                        .exit
                        .map_err(|failure| HandlerError::new(failure.message).code(failure.code))?;
                    return heard.end(exit);
                }
                Some(LaunchEvent::Running | LaunchEvent::Progress(_) | LaunchEvent::Silent) => {}
                Some(LaunchEvent::Lost) | None => {
                    return Err(HandlerError::new(format!("`{name}` was lost")).code("lost"));
                }
            }
        }
    }
}

/// What an external program printed, as far as it is kept.
#[derive(Default)]
struct Heard {
    stdout: String,
    is_too_long: bool,
    last_errors: VecDeque<String>,
}

impl Heard {
    fn line(&mut self, line: Line) {
        match line.stream {
            Stream::Stdout if self.stdout.len() + line.text.len() < STDOUT_LIMIT => {
                self.stdout.push_str(&line.text);
                self.stdout.push('\n');
            }
            Stream::Stdout => self.is_too_long = true,
            Stream::Stderr => {
                if self.last_errors.len() == LAST_LINES {
                    self.last_errors.pop_front();
                }
                self.last_errors.push_back(line.text);
            }
        }
    }

    fn end(self, exit: Exit) -> Result<ExternalEnd, HandlerError> {
        if self.is_too_long {
            return Err(HandlerError::new(format!("more than {STDOUT_LIMIT} bytes on standard output")));
        }
        Ok(ExternalEnd { exit, stdout: self.stdout, last_errors: self.last_errors.into() })
    }
}
