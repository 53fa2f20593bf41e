//! Runs an external program of a handler, for example ffmpeg.

use crate::external_pod::external_pod;
use crate::{Exit, HandlerError, Line, OperationContext, Program, Stream};
use pop_field_retriever::LaunchType;
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, Launcher, StdoutUse, label};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Number of last lines of standard error in [`ExternalEnd`].
const LAST_LINES: usize = 20;
/// Time between the stop request and the kill.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);
/// Launch ids of external programs. They start far above those of operations, because both may share a launcher.
static NEXT_ID: AtomicU64 = AtomicU64::new(LaunchId::FIRST_EXTERNAL);

type OnLine<'c> = Box<dyn FnMut(&Line, &mut OperationContext) + 'c>;

/// An external program that is ready to run.
pub struct External<'c> {
    context: &'c mut OperationContext,
    program: Program,
    on_line: Option<OnLine<'c>>,
}

/// How an external program ended.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalEnd {
    /// Exit status or signal.
    pub exit: Exit,
    /// Standard output; empty if [`External::on_line`] observed the lines.
    pub stdout: String,
    /// Last lines of standard error, at most 20.
    pub last_errors: Vec<String>,
}

impl OperationContext {
    /// Prepares an external program. The launcher of `externalLaunchType` starts it.
    pub fn external(&mut self, program: Program) -> External<'_> {
        External { context: self, program, on_line: None }
    }
}

impl<'c> External<'c> {
    /// Calls `on_line` for each line that the program prints. [`ExternalEnd::stdout`] is empty then, because a program
    /// that reports progress for hours may print any amount.
    #[must_use]
    pub fn on_line(mut self, on_line: impl FnMut(&Line, &mut OperationContext) + 'c) -> Self {
        self.on_line = Some(Box::new(on_line));
        self
    }

    /// Runs the program to its end. Another exit status than 0 is an error with the last lines of standard error.
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

    /// Runs the program to its end and returns any exit status.
    ///
    /// When the handler is cancelled, the program gets a stop request, and is killed after 5 seconds.
    pub async fn run_to_any_end(mut self) -> Result<ExternalEnd, HandlerError> {
        let launcher = self.context.launcher();
        let cancellation = self.context.cancellation().clone();
        let name = self.program.argv.first().cloned().unwrap_or_default();
        let id = LaunchId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
        let order = self.launch_order()?;
        // a small buffer: a program that prints faster than the handler reads must wait
        let (sender, mut events) = mpsc::channel(16);
        launcher.launch(id, order, &sender);
        let mut running = RunningProgram { launcher: Arc::clone(&launcher), id, has_ended: false };
        let mut error_tail = ErrorTail::default();
        let mut kill_at: Option<Instant> = None;
        let mut is_killed = false;
        loop {
            let update = tokio::select! {
                update = events.recv() => update,
                () = cancellation.cancelled(), if kill_at.is_none() => {
                    launcher.stop(id, false);
                    kill_at = Some(Instant::now() + STOP_GRACE);
                    continue;
                }
                () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() && !is_killed => {
                    is_killed = true;
                    launcher.stop(id, true);
                    continue;
                }
            };
            match update.map(|update| update.event) {
                Some(LaunchEvent::Lines(lines)) => {
                    for line in lines {
                        if let Some(on_line) = &mut self.on_line {
                            on_line(&line, self.context);
                        }
                        error_tail.add(line);
                    }
                }
                Some(LaunchEvent::Ended(ended)) => {
                    running.has_ended = true;
                    launcher.release(id);
                    if kill_at.is_some() {
                        return Err(HandlerError::new(format!("stopped while `{name}` was running"))
                            .code("cancelled"));
                    }
                    return error_tail.into_end(*ended);
                }
                Some(
                    LaunchEvent::Running
                    | LaunchEvent::Progress(_)
                    | LaunchEvent::Silent
                    | LaunchEvent::Notice(_)
                    | LaunchEvent::Late(_),
                ) => {}
                Some(LaunchEvent::Lost) | None => {
                    return Err(HandlerError::new(format!("`{name}` was lost")).code("lost"));
                }
            }
        }
    }

    /// Takes the program and builds its launch order.
    fn launch_order(&mut self) -> Result<LaunchOrder, HandlerError> {
        let run = self.context.launch_data().run_id();
        if self.context.launch_data().external_launch_type().value != LaunchType::Local
            && self.program.pod.is_none()
        {
            self.program.pod = Some(Arc::new(external_pod(self.context.launch_data())?));
        }
        let pending = self.program.pod.as_ref().map(|pod| pod.scheduled_timeout);
        Ok(LaunchOrder {
            // the run's label: pop finds and ends programs that a handler leaves behind
            labels: run.map(|run| vec![(label::RUN.to_owned(), run.value)]).unwrap_or_default(),
            pending,
            // unique among all handlers and attempts
            name: format!("{}-external-{}", self.context.cid(), uuid::Uuid::new_v4()),
            program: std::mem::take(&mut self.program),
            // lines for the observer; without one, the exact bytes
            captured: if self.on_line.is_some() { StdoutUse::Lines } else { StdoutUse::Whole },
            ..LaunchOrder::default()
        })
    }
}

/// A running program. Dropping this value kills the program unless it has ended.
struct RunningProgram {
    launcher: Arc<dyn Launcher>,
    id: LaunchId,
    has_ended: bool,
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        if !self.has_ended {
            self.launcher.stop(self.id, true);
        }
    }
}

/// The last lines of a program's standard error.
#[derive(Default)]
struct ErrorTail(VecDeque<String>);

impl ErrorTail {
    fn add(&mut self, line: Line) {
        if line.stream == Stream::Stderr {
            if self.0.len() == LAST_LINES {
                self.0.pop_front();
            }
            self.0.push_back(line.text);
        }
    }

    fn into_end(self, ended: LaunchEnd) -> Result<ExternalEnd, HandlerError> {
        let exit = ended.exit.map_err(|failure| HandlerError::new(failure.message).code(failure.code))?;
        if !ended.said.breaches.is_empty() {
            return Err(HandlerError::new(ended.said.breaches.join("; ")));
        }
        let last_errors = if self.0.is_empty() { ended.log_tail } else { self.0.into() };
        Ok(ExternalEnd { exit, stdout: String::from_utf8_lossy(&ended.stdout).into_owned(), last_errors })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cancellation, ContextParts, StatusReporter};
    use pop_field_retriever::{Arguments, DefaultLaunchData, Defaults, Environment, Properties};
    use pop_launchers::{LaunchUpdate, Launcher};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    struct SilentReporter;
    impl StatusReporter for SilentReporter {
        fn report(&mut self, _: &crate::Progress, _: Option<&serde_json::Value>) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn context(launcher: Arc<dyn Launcher>, cancellation: Cancellation) -> OperationContext {
        let none = Arguments::parse(Vec::<String>::new(), &[]).unwrap();
        let environment = Environment::from_pairs(Vec::<(String, String)>::new());
        let defaults = Defaults::executor();
        let launch = DefaultLaunchData::from_parts(none, environment, Properties::default(), &defaults);
        OperationContext::new(ContextParts {
            launch: Arc::new(launch.unwrap()),
            reporter: Box::new(SilentReporter),
            cancellation,
            launcher,
            clock: || 0,
            cid: String::new(),
            prior: None,
            operation: None,
            log: Box::new(|_| {}),
        })
    }

    /// A program that continues to print after a stop request and ends when it is killed.
    #[derive(Default)]
    struct StubbornLauncher {
        events: std::sync::Mutex<Option<mpsc::Sender<LaunchUpdate>>>,
        is_killed: AtomicBool,
    }

    impl Launcher for StubbornLauncher {
        fn launch(&self, _: LaunchId, _: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
            *self.events.lock().unwrap() = Some(events.clone());
        }

        fn stop(&self, id: LaunchId, force: bool) {
            let events = self.events.lock().unwrap().clone().unwrap();
            if force {
                self.is_killed.store(true, Ordering::Relaxed);
                let ended = LaunchEnd::exited(Exit::Signal(9));
                events.try_send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(ended)) }).unwrap();
                return;
            }
            tokio::spawn(async move {
                // send the line first, so that line and deadline are both ready when the handler polls
                let line = Line { stream: Stream::Stdout, text: "still here".to_owned() };
                events.send(LaunchUpdate { id, event: LaunchEvent::Lines(vec![line]) }).await.ok();
                tokio::time::advance(STOP_GRACE + Duration::from_secs(1)).await;
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn program_that_continues_to_print_is_killed() {
        // `select!` polls its branches in random order, so one round proves nothing
        for _ in 0..32 {
            let launcher = Arc::new(StubbornLauncher::default());
            let (canceller, cancellation) = Cancellation::new();
            let mut context = context(Arc::clone(&launcher) as Arc<dyn Launcher>, cancellation);
            canceller.cancel();
            let program = Program { argv: vec!["yes".to_owned()], ..Program::default() };
            let end = tokio::time::timeout(Duration::from_mins(1), context.external(program).run()).await;
            assert_eq!(end.unwrap().unwrap_err().message(), "stopped while `yes` was running");
            assert!(launcher.is_killed.load(Ordering::Relaxed));
        }
    }

    /// A program that prints and ends at once.
    struct PrintingLauncher {
        stdout: &'static [u8],
        breaches: Vec<String>,
        captured: std::sync::Mutex<Vec<StdoutUse>>,
    }

    impl Launcher for PrintingLauncher {
        fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
            self.captured.lock().unwrap().push(order.captured);
            let mut ended = LaunchEnd { stdout: self.stdout.to_vec(), ..LaunchEnd::exited(Exit::Code(0)) };
            ended.said.breaches.clone_from(&self.breaches);
            events.try_send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(ended)) }).unwrap();
        }

        fn stop(&self, _: LaunchId, _: bool) {}
    }

    #[tokio::test]
    async fn output_is_exact_unless_its_lines_are_observed() {
        let printing = |breaches| {
            Arc::new(PrintingLauncher {
                stdout: b"a\r\n\n{}",
                breaches,
                captured: std::sync::Mutex::default(),
            })
        };
        let launcher = printing(Vec::new());
        let (_canceller, cancellation) = Cancellation::new();
        let mut context = context(Arc::clone(&launcher) as Arc<dyn Launcher>, cancellation.clone());
        let program = Program { argv: vec!["x".to_owned()], ..Program::default() };
        assert_eq!(context.external(program.clone()).run().await.unwrap().stdout, "a\r\n\n{}");
        context.external(program.clone()).on_line(|_, _| ()).run().await.unwrap();
        assert_eq!(*launcher.captured.lock().unwrap(), [StdoutUse::Whole, StdoutUse::Lines]);
        let too_long = printing(vec!["too long".to_owned()]);
        let mut context = self::context(too_long, cancellation);
        assert_eq!(context.external(program).run().await.unwrap_err().message(), "too long");
    }
}
