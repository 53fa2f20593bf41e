//! Follows one container to its end: reads its output and waits for its end, also across a restart of the Engine.
//!
//! The output comes byte for byte over a connection attached before the start. The connection itself does not
//! show whether it ended or was cut. So when the container has ended, the received output is compared with the
//! Engine's log.

use super::container::WaitAnswer;
use super::container_usage::usage_at_end;
use super::engine::Engine;
use super::error::ApiError;
use super::failure::{platform, unreachable};
use super::output_stream::OutputStream;
use super::received_output::{Addition, LogReading, ReceivedOutput};
use super::start_failure::StartFailure;
use super::verdict::{End, verdict};
use crate::backoff::Backoff;
use crate::output::Output;
use crate::port::{Doing, LaunchOrder, StdoutUse, Stream};
use crate::stop_request::StopRequest;
use hyper::body::Bytes;
use pop_contract::{Exit, Failure, Usage};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout};

/// Time for the rest of the output after the end of the container.
const DRAIN: Duration = Duration::from_secs(10);
/// Time within which an unreachable Engine must be reachable again.
const AWAY: Duration = Duration::from_mins(10);
/// Time that a container may run after the end of its output. After that its log is followed.
const SILENT_END: Duration = Duration::from_secs(1);
/// Time within which a container must end after SIGKILL.
const KILLED: Duration = Duration::from_mins(1);
/// Time until the log must hold all printed output.
const LOGGED: Duration = Duration::from_secs(2);
/// Time until the usage of an ended container must be read.
const COUNTED: Duration = Duration::from_millis(100);
/// Output up to this many bytes is compared with the whole log; of longer output only the last lines are.
const WHOLE_LOG: u64 = 64 * 1024 * 1024;
/// Number of last lines that are compared.
const LAST_LINES: usize = 10_000;

/// A followed container and the output read so far.
pub(super) struct Follow {
    engine: Arc<Engine>,
    name: String,
    output: OutputStream,
    /// Position in the log; `None` while the output comes from the container itself.
    reading: Option<LogReading>,
    is_over: bool,
    /// Whether the connection to the container's output is known to have been cut.
    is_cut: bool,
    received: ReceivedOutput,
    was_away: bool,
    /// Whether an earlier pop process started the container.
    is_found: bool,
    /// Set if the received output may differ from the printed output.
    lost: Option<Failure>,
    start_failure: StartFailure,
    /// Waits between requests to an Engine that does not report an end.
    tries: Backoff,
    /// Reads the usage of the container when it ends.
    counting: JoinSet<Option<Usage>>,
    /// Until the Engine has started the container.
    starting: Option<oneshot::Sender<Infallible>>,
}

/// What ended a wait.
enum ContainerEvent {
    Ended(Result<WaitAnswer, ApiError>),
    Output(Result<Option<(Stream, Bytes)>, ApiError>),
    StopRequest,
    Due,
    SilentEnd,
    Drained,
}

/// Times at which the follower must act even without an event.
#[derive(Default)]
struct Deadlines {
    drained: Option<Instant>,
    silent_end: Option<Instant>,
}

impl Follow {
    /// Follows a container that has not been started: its output is complete and byte for byte.
    pub(super) async fn attach(engine: Arc<Engine>, name: &str) -> Result<Self, ApiError> {
        let output = engine.api.attach(name).await?;
        Ok(Self::of(engine, name, output, false))
    }

    /// Follows a container that was started before: its output comes from the Engine's log.
    pub(super) fn of_log(engine: Arc<Engine>, name: &str, is_found: bool) -> Self {
        let output = engine.api.logs(name, true, None);
        let reading = LogReading::new(engine.api.is_podman);
        let mut follow = Self::of(engine, name, output, is_found);
        follow.reading = Some(reading);
        follow
    }

    fn of(engine: Arc<Engine>, name: &str, output: OutputStream, is_found: bool) -> Self {
        Self {
            engine,
            name: name.to_owned(),
            output,
            reading: None,
            is_over: false,
            is_cut: false,
            received: ReceivedOutput::default(),
            was_away: false,
            is_found,
            lost: None,
            start_failure: StartFailure::default(),
            tries: Backoff::new(None),
            counting: JoinSet::new(),
            starting: None,
        }
    }

    /// Reads the log, all of it or the last lines; skips output that was received already.
    fn read_log(&mut self, follow: bool, lines: Option<usize>) {
        self.output = self.engine.api.logs(&self.name, follow, lines);
        self.reading = Some(LogReading::new(self.engine.api.is_podman));
        self.is_over = false;
    }

    /// Follows the container until it has ended and its output is read.
    pub(super) async fn until_end(
        &mut self,
        output: &mut Output<'_>,
        stop: &mut watch::Receiver<StopRequest>,
    ) -> Result<Exit, Failure> {
        let mut code = None;
        let mut deadlines = Deadlines::default();
        let mut wait = self.wait();
        // following a log may end before its last lines: the log is read again when the container has ended
        while code.is_none() || (!self.is_over && self.reading.is_none()) {
            match self.next_event(&mut wait, code.is_some(), &deadlines, output.due(), stop).await {
                ContainerEvent::Ended(answer) => {
                    code = self.confirmed(answer, stop).await?;
                    match code {
                        Some(_) => deadlines.drained = Some(Instant::now() + DRAIN),
                        None => wait = self.wait(),
                    }
                }
                ContainerEvent::Output(Ok(Some((stream, bytes)))) => {
                    self.take(output, stream, bytes);
                    output.say_all().await;
                    // while output arrives, keep waiting for the rest
                    deadlines.drained = code.map(|_| Instant::now() + DRAIN).or(deadlines.drained);
                }
                ContainerEvent::Output(ended) => {
                    self.is_over = true;
                    self.is_cut |= ended.is_err() && self.reading.is_none();
                    // an Engine without a log has nothing to read later either
                    let is_refused = matches!(ended, Err(ApiError::Refused { .. }));
                    deadlines.silent_end = (!is_refused).then(|| Instant::now() + SILENT_END);
                }
                ContainerEvent::SilentEnd => {
                    self.is_cut |= self.reading.is_none();
                    deadlines.silent_end = None;
                    self.read_log(true, None);
                }
                ContainerEvent::StopRequest => {
                    let stop = *stop.borrow_and_update();
                    self.kill(stop);
                    if stop == StopRequest::Kill && deadlines.drained.is_none() {
                        deadlines.drained = Some(Instant::now() + KILLED);
                    }
                }
                ContainerEvent::Due => output.on_time().await,
                ContainerEvent::Drained if code.is_none() => {
                    let message = format!("container `{}` was killed but does not end", self.name);
                    return Err(platform("engine", message));
                }
                ContainerEvent::Drained => break,
            }
        }
        output.usage = self.counted().await;
        self.read_rest(output).await;
        let stop = *stop.borrow();
        self.judge(code.unwrap_or_default(), stop).await
    }

    /// Begins to wait for the usage of the container, which starts now, unless the Engine runs on another machine. An
    /// instance of a warm handler serves many operations, so its usage is that of none. Podman moves a container into its
    /// cgroup while it starts, so the counters of that cgroup may be those of the start alone.
    pub(super) fn count(&mut self, container: Option<String>, order: &LaunchOrder) {
        let is_known = self.engine.is_local && !self.engine.api.is_podman && order.socket.is_none();
        if let Some(id) = container.filter(|_| is_known) {
            let (starting, started) = oneshot::channel();
            self.starting = Some(starting);
            self.counting.spawn(usage_at_end(id, started));
        }
    }

    /// The Engine has started the container.
    pub(super) fn started(&mut self) {
        self.starting = None;
    }

    /// The usage of the ended container, if it is known.
    async fn counted(&mut self) -> Option<Usage> {
        timeout(COUNTED, self.counting.join_next()).await.ok()??.ok()?
    }

    /// Waits for the next event.
    async fn next_event(
        &mut self,
        wait: &mut Doing<'static, Result<WaitAnswer, ApiError>>,
        has_ended: bool,
        deadlines: &Deadlines,
        due: Option<Instant>,
        stop: &mut watch::Receiver<StopRequest>,
    ) -> ContainerEvent {
        let at = |time: Option<Instant>| sleep_until(time.unwrap_or_else(Instant::now));
        let silent_end = deadlines.silent_end.filter(|_| self.is_over && !has_ended);
        tokio::select! {
            biased;
            answer = wait, if !has_ended => ContainerEvent::Ended(answer),
            piece = self.output.next(), if !self.is_over => ContainerEvent::Output(piece),
            Ok(()) = stop.changed() => ContainerEvent::StopRequest,
            () = at(due), if due.is_some() => ContainerEvent::Due,
            () = at(silent_end), if silent_end.is_some() => ContainerEvent::SilentEnd,
            () = at(deadlines.drained), if deadlines.drained.is_some() => ContainerEvent::Drained,
        }
    }

    fn wait(&self) -> Doing<'static, Result<WaitAnswer, ApiError>> {
        self.engine.api.wait(&self.name, "not-running")
    }

    /// Takes a piece of the output. Of a piece of the log, it skips the part that was received before.
    fn take(&mut self, output: &mut Output<'_>, stream: Stream, bytes: Bytes) {
        let bytes = match &mut self.reading {
            None => bytes,
            Some(reading) => {
                let addition = reading.take(&self.received, stream, bytes);
                if self.lost.is_none() && spoils(&addition, stream, output.order.captured) {
                    let message = "the connection to its output broke, and the Engine's log does not keep bytes that \
                        are not UTF-8: what it printed is not known";
                    self.lost = Some(platform("lost", message));
                }
                addition.bytes
            }
        };
        if !bytes.is_empty() {
            self.received.add(stream, &bytes);
            self.start_failure.observe(stream, &bytes);
            output.take(stream, &bytes);
        }
    }

    /// Signals the container, without waiting for an Engine that may hang.
    fn kill(&self, stop: StopRequest) {
        let signal = match stop {
            StopRequest::None => return,
            StopRequest::Terminate => "SIGTERM",
            StopRequest::Kill => "SIGKILL",
        };
        let (engine, name) = (Arc::clone(&self.engine), self.name.clone());
        tokio::spawn(async move {
            // fails only if the container has ended, or if the Engine is away; then it is signalled again
            engine.api.kill(&name, signal).await.ok();
        });
    }

    /// The exit status of a container whose wait has returned; `None` if it still runs, so that the wait must
    /// be repeated. Waits for an Engine that is unreachable.
    async fn confirmed(
        &mut self,
        answer: Result<WaitAnswer, ApiError>,
        stop: &mut watch::Receiver<StopRequest>,
    ) -> Result<Option<i64>, Failure> {
        if let Ok(Some(code)) = answer.as_ref().map(|answer| answer.failure()) {
            return Ok(Some(code));
        }
        let mut tries = Backoff::new(Some(AWAY));
        loop {
            match self.engine.api.inspect(&self.name).await {
                Ok(Some(container)) => {
                    if let Some(code) = container.exit_code() {
                        return Ok(Some(code));
                    }
                    // never retry at once: the wait may break again
                    self.tries.next(Duration::ZERO).await;
                    if answer.is_err() {
                        let stop = *stop.borrow_and_update();
                        self.kill(stop);
                    }
                    return Ok(None);
                }
                Ok(None) => {
                    let message = format!("another client removed container `{}`", self.name);
                    return Err(platform("displaced", message));
                }
                Err(error) => {
                    self.was_away = true;
                    let is_killed = *stop.borrow() == StopRequest::Kill;
                    let goes_on = tokio::select! {
                        goes_on = tries.next(Duration::ZERO) => goes_on,
                        Ok(()) = stop.changed() => true,
                    };
                    if is_killed || !goes_on {
                        let why = unreachable(&error).message;
                        let message = format!(
                            "the Docker Engine went away and container `{}` may still run: {why}",
                            self.name
                        );
                        return Err(platform("engine", message));
                    }
                }
            }
        }
    }

    /// Reads the missing rest of an ended container's output from the log.
    async fn read_rest(&mut self, output: &mut Output<'_>) {
        let total: u64 =
            [Stream::Stdout, Stream::Stderr].map(|stream| self.received.length(stream)).iter().sum();
        let mut lines = (total > WHOLE_LOG && self.reading.is_none()).then_some(LAST_LINES);
        let mut tries = Backoff::new(Some(LOGGED));
        loop {
            self.read_log(false, lines.take());
            let read = self.drain(output).await;
            let is_whole = self.reading.as_ref().is_some_and(|reading| {
                reading.is_caught_up(&self.received) || reading.ends_alike(&self.received)
            });
            let is_other = read.is_ok() && self.reading.as_ref().is_some_and(LogReading::is_other);
            match read {
                Ok(()) if is_whole => return,
                // not every Engine has a log; then only the connection shows the output
                Err(ApiError::Refused { .. }) if !self.is_cut && !self.is_found => return,
                // the Engine may write a log with a delay
                _ if !is_other && tries.next(Duration::ZERO).await => {}
                _ => break,
            }
        }
        let message = "the connection to its output broke, and the Engine's log does not have the rest";
        self.lost.get_or_insert_with(|| platform("lost", message));
    }

    /// Reads the log to its end.
    async fn drain(&mut self, output: &mut Output<'_>) -> Result<(), ApiError> {
        loop {
            match timeout(DRAIN, self.output.next()).await {
                Ok(Ok(Some((stream, bytes)))) => {
                    self.take(output, stream, bytes);
                    output.say_all().await;
                }
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => return Err(ApiError::Late),
            }
        }
    }

    /// Converts the end of the container to an end of the launch. Lost output fails an attempt that would otherwise
    /// succeed.
    async fn judge(&mut self, code: i64, stop: StopRequest) -> Result<Exit, Failure> {
        let end = End {
            code: code as i32,
            stop,
            is_found: self.is_found,
            was_away: self.was_away,
            start_failure: self.start_failure.reason(),
        };
        let exit = verdict(&self.engine.api, &self.name, end).await?;
        match self.lost.take() {
            Some(mut lost) if exit == Exit::Code(0) => {
                lost.exit = Some(exit);
                Err(lost)
            }
            _ => Ok(exit),
        }
    }
}

/// Whether possibly replaced bytes affect more than the log.
fn spoils(addition: &Addition, stream: Stream, captured: StdoutUse) -> bool {
    let counts = match captured {
        StdoutUse::Nothing | StdoutUse::Log => false,
        StdoutUse::Value(_) | StdoutUse::Whole => stream == Stream::Stdout,
        StdoutUse::Lines => true,
    };
    let may_report = captured == StdoutUse::Nothing && stream == Stream::Stdout;
    addition.is_doubtful && (counts || addition.is_doubtful_report && may_report)
}
