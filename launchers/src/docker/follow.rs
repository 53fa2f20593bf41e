//! One container followed to its end: its output read, its end waited for, also across a restart of the Engine.
//!
//! The output comes over a connection that is attached before the start, byte for byte. Whether that connection ended or
//! was cut cannot be told from it, so what was taken is compared with the Engine's log when the container is over.

use super::container::WaitAnswer;
use super::engine::Engine;
use super::error::ApiError;
use super::failure::{platform, unreachable};
use super::output_stream::OutputStream;
use super::start_failure::StartFailure;
use super::transcript::{Addition, LogReading, Transcript};
use super::verdict::{End, verdict};
use crate::followed::Asked;
use crate::output::Output;
use crate::port::{Doing, StdoutUse, Stream};
use crate::tries::Tries;
use hyper::body::Bytes;
use pop_contract::{Exit, Failure};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// How long the rest of the output may take after its container's end.
const DRAIN: Duration = Duration::from_secs(10);
/// How long an Engine that went away is waited for.
const AWAY: Duration = Duration::from_mins(10);
/// How long a container may run on after its output has ended: a longer one is read in the log.
const SILENT_END: Duration = Duration::from_secs(1);
/// How long a container that was killed may take to end.
const KILLED: Duration = Duration::from_mins(1);
/// How long a log may take until it has what was printed.
const LOGGED: Duration = Duration::from_secs(2);
/// How much output is compared with its whole log; of more the last lines are.
const WHOLE_LOG: u64 = 64 * 1024 * 1024;
/// How many lines those are.
const LAST_LINES: usize = 10_000;

/// A container that is followed, and what was read of its output.
pub(super) struct Follow {
    engine: Arc<Engine>,
    name: String,
    output: OutputStream,
    /// Where the output is in the log; none while it comes from the container itself.
    reading: Option<LogReading>,
    is_over: bool,
    /// Whether the connection to the container's output is known to have been cut.
    is_cut: bool,
    transcript: Transcript,
    was_away: bool,
    /// Whether it was started by an earlier process.
    is_found: bool,
    /// The container's output is not what it printed.
    lost: Option<Failure>,
    start_failure: StartFailure,
    /// Waits between questions to an Engine that gives no end.
    tries: Tries,
}

/// What ended a wait.
enum Heard {
    Ended(Result<WaitAnswer, ApiError>),
    Output(Result<Option<(Stream, Bytes)>, ApiError>),
    Asked,
    Due,
    SilentEnd,
    Drained,
}

/// The times at which something has to be done although nothing is heard.
#[derive(Default)]
struct Deadlines {
    drained: Option<Instant>,
    silent_end: Option<Instant>,
}

impl Follow {
    /// A container that has not been started: nothing that it prints is missed, and it comes byte for byte.
    pub(super) async fn attach(engine: Arc<Engine>, name: &str) -> Result<Self, ApiError> {
        let output = engine.api.attach(name).await?;
        Ok(Self::of(engine, name, output, false))
    }

    /// A container that was started before: its output is in the log that the Engine keeps.
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
            transcript: Transcript::default(),
            was_away: false,
            is_found,
            lost: None,
            start_failure: StartFailure::default(),
            tries: Tries::for_as_long_as(None),
        }
    }

    /// Reads the log, the last lines of it or all; what was taken already is left out.
    fn read_log(&mut self, follow: bool, lines: Option<usize>) {
        self.output = self.engine.api.logs(&self.name, follow, lines);
        self.reading = Some(LogReading::new(self.engine.api.is_podman));
        self.is_over = false;
    }

    /// Follows the container until it has ended and its output is read.
    pub(super) async fn until_end(
        &mut self,
        output: &mut Output<'_>,
        asked: &mut watch::Receiver<Asked>,
    ) -> Result<Exit, Failure> {
        let mut code = None;
        let mut deadlines = Deadlines::default();
        let mut wait = self.wait();
        // a log that is followed may end before its last lines: it is read anew when the container is over
        while code.is_none() || (!self.is_over && self.reading.is_none()) {
            match self.hear(&mut wait, code.is_some(), &deadlines, output.due(), asked).await {
                Heard::Ended(answer) => {
                    code = self.confirmed(answer, asked).await?;
                    match code {
                        Some(_) => deadlines.drained = Some(Instant::now() + DRAIN),
                        None => wait = self.wait(),
                    }
                }
                Heard::Output(Ok(Some((stream, bytes)))) => {
                    self.take(output, stream, bytes);
                    output.say_all().await;
                    // as long as there is something, the rest is waited for
                    deadlines.drained = code.map(|_| Instant::now() + DRAIN).or(deadlines.drained);
                }
                Heard::Output(ended) => {
                    self.is_over = true;
                    self.is_cut |= ended.is_err() && self.reading.is_none();
                    // an Engine that keeps no log has nothing to read later either
                    let is_refused = matches!(ended, Err(ApiError::Refused { .. }));
                    deadlines.silent_end = (!is_refused).then(|| Instant::now() + SILENT_END);
                }
                Heard::SilentEnd => {
                    self.is_cut |= self.reading.is_none();
                    deadlines.silent_end = None;
                    self.read_log(true, None);
                }
                Heard::Asked => {
                    let asked = *asked.borrow_and_update();
                    self.kill(asked);
                    if asked == Asked::Kill && deadlines.drained.is_none() {
                        deadlines.drained = Some(Instant::now() + KILLED);
                    }
                }
                Heard::Due => output.on_time().await,
                Heard::Drained if code.is_none() => {
                    let message = format!("container `{}` was killed and does not end", self.name);
                    return Err(platform("engine", message));
                }
                Heard::Drained => break,
            }
        }
        self.read_rest(output).await;
        let asked = *asked.borrow();
        self.judge(code.unwrap_or_default(), asked).await
    }

    /// The next that happens.
    async fn hear(
        &mut self,
        wait: &mut Doing<'static, Result<WaitAnswer, ApiError>>,
        has_ended: bool,
        deadlines: &Deadlines,
        due: Option<Instant>,
        asked: &mut watch::Receiver<Asked>,
    ) -> Heard {
        let at = |time: Option<Instant>| sleep_until(time.unwrap_or_else(Instant::now));
        let silent_end = deadlines.silent_end.filter(|_| self.is_over && !has_ended);
        tokio::select! {
            biased;
            answer = wait, if !has_ended => Heard::Ended(answer),
            piece = self.output.next(), if !self.is_over => Heard::Output(piece),
            Ok(()) = asked.changed() => Heard::Asked,
            () = at(due), if due.is_some() => Heard::Due,
            () = at(silent_end), if silent_end.is_some() => Heard::SilentEnd,
            () = at(deadlines.drained), if deadlines.drained.is_some() => Heard::Drained,
        }
    }

    fn wait(&self) -> Doing<'static, Result<WaitAnswer, ApiError>> {
        self.engine.api.wait(&self.name, "not-running")
    }

    /// Takes a piece of the output, or of the log: there what was taken before is left out.
    fn take(&mut self, output: &mut Output<'_>, stream: Stream, bytes: Bytes) {
        let bytes = match &mut self.reading {
            None => bytes,
            Some(reading) => {
                let addition = reading.take(&self.transcript, stream, bytes);
                if self.lost.is_none() && spoils(&addition, stream, output.order.captured) {
                    let message = "the connection to its output broke, and the Engine's log does not keep bytes that \
                        are not UTF-8: what it printed is not known";
                    self.lost = Some(platform("lost", message));
                }
                addition.bytes
            }
        };
        if !bytes.is_empty() {
            self.transcript.add(stream, &bytes);
            self.start_failure.hear(stream, &bytes);
            output.take(stream, &bytes);
        }
    }

    /// Signals the container, without waiting for an Engine that may hang.
    fn kill(&self, asked: Asked) {
        let signal = match asked {
            Asked::Nothing => return,
            Asked::Terminate => "SIGTERM",
            Asked::Kill => "SIGKILL",
        };
        let (engine, name) = (Arc::clone(&self.engine), self.name.clone());
        tokio::spawn(async move {
            // it can only fail because the container is over, or the Engine away: then it is asked again
            engine.api.kill(&name, signal).await.ok();
        });
    }

    /// The status of a container that a wait has ended for; none if it has not ended, so that it is waited for again. An
    /// Engine that went away is waited for.
    async fn confirmed(
        &mut self,
        answer: Result<WaitAnswer, ApiError>,
        asked: &mut watch::Receiver<Asked>,
    ) -> Result<Option<i64>, Failure> {
        if let Ok(Some(code)) = answer.as_ref().map(|answer| answer.failure()) {
            return Ok(Some(code));
        }
        let mut tries = Tries::for_as_long_as(Some(AWAY));
        loop {
            match self.engine.api.inspect(&self.name).await {
                Ok(Some(container)) => {
                    if let Some(code) = container.exit_code() {
                        return Ok(Some(code));
                    }
                    // never at once: what broke may break again
                    self.tries.next(Duration::ZERO).await;
                    if answer.is_err() {
                        let asked = *asked.borrow_and_update();
                        self.kill(asked);
                    }
                    return Ok(None);
                }
                Ok(None) => {
                    let message = format!("container `{}` was removed by somebody else", self.name);
                    return Err(platform("displaced", message));
                }
                Err(error) => {
                    self.was_away = true;
                    let is_killed = *asked.borrow() == Asked::Kill;
                    let goes_on = tokio::select! {
                        goes_on = tries.next(Duration::ZERO) => goes_on,
                        Ok(()) = asked.changed() => true,
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

    /// Reads in the log what is missing of the output of a container that is over.
    async fn read_rest(&mut self, output: &mut Output<'_>) {
        let total: u64 =
            [Stream::Stdout, Stream::Stderr].map(|stream| self.transcript.length(stream)).iter().sum();
        let mut lines = (total > WHOLE_LOG && self.reading.is_none()).then_some(LAST_LINES);
        let mut tries = Tries::for_as_long_as(Some(LOGGED));
        loop {
            self.read_log(false, lines.take());
            let read = self.drain(output).await;
            let is_whole = self.reading.as_ref().is_some_and(|reading| {
                reading.is_caught_up(&self.transcript) || reading.ends_alike(&self.transcript)
            });
            let is_other = read.is_ok() && self.reading.as_ref().is_some_and(LogReading::is_other);
            match read {
                Ok(()) if is_whole => return,
                // not every Engine keeps a log; then the connection alone tells
                Err(ApiError::Refused { .. }) if !self.is_cut && !self.is_found => return,
                // a log may be written with a delay
                _ if !is_other && tries.next(Duration::ZERO).await => {}
                _ => break,
            }
        }
        let message = "the connection to its output broke, and the Engine's log does not have the rest";
        self.lost.get_or_insert_with(|| platform("lost", message));
    }

    /// Takes what the log has, to its end.
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

    /// What the end means; output that was lost fails what would be a success.
    async fn judge(&mut self, code: i64, asked: Asked) -> Result<Exit, Failure> {
        let end = End {
            code: code as i32,
            asked,
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

/// Whether bytes that may be others change more than a log.
fn spoils(addition: &Addition, stream: Stream, captured: StdoutUse) -> bool {
    let counts = match captured {
        StdoutUse::Nothing | StdoutUse::Log => false,
        StdoutUse::Value(_) | StdoutUse::Whole => stream == Stream::Stdout,
        StdoutUse::Lines => true,
    };
    let may_report = captured == StdoutUse::Nothing && stream == Stream::Stdout;
    addition.is_doubtful && (counts || addition.is_doubtful_report && may_report)
}
