//! An external program that a handler calls: ffmpeg, for example.

use crate::external_pod::external_pod;
use crate::{Exit, HandlerError, Line, OperationContext, Program, Stream};
use pop_field_retriever::LaunchType;
use pop_launchers::{LaunchEvent, LaunchId, LaunchOrder, Launcher, StdoutUse, label};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// How many last lines of each stream are kept.
const LAST_LINES: usize = 20;
/// How long a program that was asked to stop may take before it is killed.
pub(crate) const STOP_GRACE: Duration = Duration::from_secs(5);
/// Numbers for external programs, far from those of operations, whose launcher they may share.
static NEXT_ID: AtomicU64 = AtomicU64::new(LaunchId::FIRST_EXTERNAL);

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
    /// Its standard output; nothing if its lines were shown to somebody by [`External::on_line`].
    pub stdout: String,
    /// The last lines of its standard error.
    pub last_errors: Vec<String>,
}

impl<'c> External<'c> {
    pub(crate) fn new(context: &'c mut OperationContext, program: Program) -> Self {
        Self { context, program, on_line: None }
    }

    /// Shows each line that the program prints to `on_line`, as it comes. Its standard output is not kept then,
    /// for a program that tells of its progress for hours may print any amount.
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
        let id = LaunchId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
        let run = self.context.launch_data().run_id();
        if self.context.launch_data().external_launch_type().value != LaunchType::Local
            && self.program.pod.is_none()
        {
            self.program.pod = Some(Arc::new(external_pod(self.context.launch_data())?));
        }
        let pending = self.program.pod.as_ref().map(|pod| pod.scheduled_timeout);
        let order = LaunchOrder {
            // what a handler leaves behind is found with its run, and ended
            labels: run.map(|run| vec![(label::RUN.to_owned(), run.value)]).unwrap_or_default(),
            pending,
            // no other handler's, nor this one's in another attempt
            name: format!("{}-external-{}", self.context.cid(), uuid::Uuid::new_v4()),
            program: std::mem::take(&mut self.program),
            // lines for somebody who looks at them; otherwise what was printed, byte for byte
            captured: if self.on_line.is_some() { StdoutUse::Lines } else { StdoutUse::Whole },
            ..LaunchOrder::default()
        };
        // few events wait here: a program that prints faster than it is heard is held back
        let (sender, mut events) = mpsc::channel(16);
        launcher.launch(id, order, &sender);
        let mut at_work = AtWork { launcher: Arc::clone(&launcher), id, is_over: false };
        let mut heard = Heard::default();
        let mut kill_at: Option<Instant> = None;
        let mut is_killed = false;
        loop {
            let heard_of = tokio::select! {
                heard_of = events.recv() => heard_of,
                () = cancellation.asked(), if kill_at.is_none() => {
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
                    at_work.is_over = true;
                    launcher.release(id);
                    if kill_at.is_some() {
                        return Err(HandlerError::new(format!("stopped while `{name}` was running"))
                            .code("cancelled"));
                    }
                    let exit = ended
                        .exit
                        .map_err(|failure| HandlerError::new(failure.message).code(failure.code))?;
                    if ended.said.breaches.is_empty() {
                        return Ok(heard.end(exit, &ended.stdout, ended.log_tail));
                    }
                    return Err(HandlerError::new(ended.said.breaches.join("; ")));
                }
                Some(
                    LaunchEvent::Running
                    | LaunchEvent::Progress(_)
                    | LaunchEvent::Silent
                    | LaunchEvent::Late(_),
                ) => {}
                Some(LaunchEvent::Lost) | None => {
                    return Err(HandlerError::new(format!("`{name}` was lost")).code("lost"));
                }
            }
        }
    }
}

/// A program at work: whoever stops waiting for it ends it.
struct AtWork {
    launcher: Arc<dyn Launcher>,
    id: LaunchId,
    is_over: bool,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        if !self.is_over {
            self.launcher.stop(self.id, true);
        }
    }
}

/// What an external program printed on standard error, as far as it is kept.
#[derive(Default)]
struct Heard {
    last_errors: VecDeque<String>,
}

impl Heard {
    fn line(&mut self, line: Line) {
        if line.stream == Stream::Stderr {
            if self.last_errors.len() == LAST_LINES {
                self.last_errors.pop_front();
            }
            self.last_errors.push_back(line.text);
        }
    }

    fn end(self, exit: Exit, stdout: &[u8], log_tail: Vec<String>) -> ExternalEnd {
        let last_errors = if self.last_errors.is_empty() { log_tail } else { self.last_errors.into() };
        ExternalEnd { exit, stdout: String::from_utf8_lossy(stdout).into_owned(), last_errors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cancellation, LaunchEnd, StatusReporter, Surroundings};
    use pop_field_retriever::{Arguments, DefaultLaunchData, Defaults, Environment, Properties};
    use pop_launchers::{LaunchUpdate, Launcher};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    struct Unheard;
    impl StatusReporter for Unheard {
        fn report(&mut self, _: &crate::Progress, _: Option<&serde_json::Value>) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn context(launcher: Arc<dyn Launcher>, cancellation: Cancellation) -> OperationContext {
        let none = Arguments::parse(Vec::<String>::new(), &[]).unwrap();
        let environment = Environment::from_pairs(Vec::<(String, String)>::new());
        let defaults = Defaults::executor();
        let launch = DefaultLaunchData::from_parts(none, environment, Properties::default(), &defaults);
        OperationContext::new(Surroundings {
            launch: Arc::new(launch.unwrap()),
            reporter: Box::new(Unheard),
            cancellation,
            launcher,
            clock: || 0,
            cid: String::new(),
            prior: None,
            operation: None,
            log: Box::new(|_| {}),
        })
    }

    /// A program that prints on when it is asked to stop, and ends when it is killed.
    #[derive(Default)]
    struct Stubborn {
        events: std::sync::Mutex<Option<mpsc::Sender<LaunchUpdate>>>,
        is_killed: AtomicBool,
    }

    impl Launcher for Stubborn {
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
                // first the line, so that both it and the deadline are there when the handler looks next
                let line = Line { stream: Stream::Stdout, text: "still here".to_owned() };
                events.send(LaunchUpdate { id, event: LaunchEvent::Lines(vec![line]) }).await.ok();
                tokio::time::advance(STOP_GRACE + Duration::from_secs(1)).await;
            });
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_prints_on_is_killed_all_the_same() {
        // which of two things that are ready is looked at first is chance, so once is not enough
        for _ in 0..32 {
            let launcher = Arc::new(Stubborn::default());
            let (canceller, cancellation) = Cancellation::new();
            let mut context = context(Arc::clone(&launcher) as Arc<dyn Launcher>, cancellation);
            canceller.ask();
            let program = Program { argv: vec!["yes".to_owned()], ..Program::default() };
            let end = tokio::time::timeout(Duration::from_mins(1), context.external(program).run()).await;
            assert_eq!(end.unwrap().unwrap_err().message(), "stopped while `yes` was running");
            assert!(launcher.is_killed.load(Ordering::Relaxed));
        }
    }

    /// A program that ends at once with what it printed.
    struct Printing {
        stdout: &'static [u8],
        breaches: Vec<String>,
        captured: std::sync::Mutex<Vec<StdoutUse>>,
    }

    impl Launcher for Printing {
        fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
            self.captured.lock().unwrap().push(order.captured);
            let mut ended = LaunchEnd { stdout: self.stdout.to_vec(), ..LaunchEnd::exited(Exit::Code(0)) };
            ended.said.breaches.clone_from(&self.breaches);
            events.try_send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(ended)) }).unwrap();
        }

        fn stop(&self, _: LaunchId, _: bool) {}
    }

    #[tokio::test]
    async fn output_is_had_byte_for_byte_unless_its_lines_are_looked_at() {
        let printing = |breaches| {
            Arc::new(Printing { stdout: b"a\r\n\n{}", breaches, captured: std::sync::Mutex::default() })
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
