//! One container followed to its end: its log read, its exit waited for, also across a restart of the Engine.

use super::engine::Engine;
use super::failure::{answer, platform};
use crate::followed::Asked;
use crate::output::Output;
use crate::port::Stream;
use crate::tries::Tries;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::models::ContainerState;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, KillContainerOptionsBuilder, LogsOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use pop_registry::contract::{Blame, Exit, Failure};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long the rest of a log may take after its container's end.
const DRAIN: Duration = Duration::from_secs(10);
/// How long an Engine that went away is waited for.
const AWAY: Duration = Duration::from_mins(10);
/// How long a container that was killed may take to end.
const KILLED: Duration = Duration::from_mins(1);
/// The length of a time stamp before each piece of a log, and the space behind it.
const STAMP: usize = 31;

type Log = BoxStream<'static, Result<LogOutput, Error>>;

/// A container that was started, and what is known of its log.
pub(super) struct Follow {
    engine: Arc<Engine>,
    name: String,
    log: Log,
    is_log_over: bool,
    /// Whether the log broke off and there may be more of it.
    is_log_cut: bool,
    /// The time stamp of the last piece that was read, and how many pieces bear it.
    last: Option<(String, usize)>,
    /// How many pieces with that stamp are to be left out, for they were read before.
    again: usize,
    was_away: bool,
}

/// What ended a wait.
enum Heard {
    Exited(Result<i64, Error>),
    Log(Option<Result<LogOutput, Error>>),
    Asked,
    Due,
    Drained,
}

impl Follow {
    /// A container whose log is read from its beginning, if it is kept; else from now on.
    pub(super) async fn new(engine: Arc<Engine>, name: String) -> Self {
        let mut follow = Self {
            engine,
            name,
            log: futures_util::stream::empty().boxed(),
            is_log_over: false,
            is_log_cut: false,
            last: None,
            again: 0,
            was_away: false,
        };
        follow.read_on().await;
        follow
    }

    /// Reads the log from where it was left.
    async fn read_on(&mut self) {
        self.is_log_over = false;
        if self.engine.keeps_logs {
            // the Engine takes whole seconds only: what comes twice is left out by its stamp
            let since = self.last.as_ref().and_then(|(stamp, _)| seconds(stamp)).unwrap_or_default();
            let options = LogsOptionsBuilder::default();
            let options =
                options.follow(true).stdout(true).stderr(true).timestamps(true).since(since).build();
            self.again = self.last.as_ref().map_or(0, |(_, count)| *count);
            self.log = self.engine.docker.logs(&self.name, Some(options)).boxed();
            return;
        }
        let options = AttachContainerOptionsBuilder::default().stream(true).stdout(true).stderr(true);
        match self.engine.docker.attach_container(&self.name, Some(options.build())).await {
            Ok(AttachContainerResults { output, .. }) => self.log = output.boxed(),
            Err(_) => self.is_log_over = true,
        }
    }

    /// Follows the container until it has ended and its log is read.
    pub(super) async fn until_end(
        &mut self,
        output: &mut Output<'_>,
        asked: &mut watch::Receiver<Asked>,
    ) -> Result<Exit, Failure> {
        let mut code = None;
        let mut drained_at = None;
        let mut wait = self.wait();
        loop {
            let due = output.due();
            let heard = tokio::select! {
                biased;
                exited = &mut wait, if code.is_none() => Heard::Exited(exited),
                piece = self.log.next(), if !self.is_log_over => Heard::Log(piece),
                Ok(()) = asked.changed() => Heard::Asked,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Heard::Due,
                () = sleep_until(drained_at.unwrap_or_else(Instant::now)), if drained_at.is_some() => Heard::Drained,
            };
            match heard {
                Heard::Exited(Ok(exited)) => {
                    code = Some(exited);
                    if std::mem::take(&mut self.is_log_cut) {
                        self.read_on().await;
                    }
                    drained_at = Some(Instant::now() + DRAIN);
                }
                Heard::Exited(Err(_)) => {
                    code = self.back_again(asked).await?;
                    drained_at = code.map(|_| Instant::now() + DRAIN);
                    wait = self.wait();
                }
                Heard::Log(Some(Ok(piece))) => {
                    self.take(output, piece);
                    output.say_all().await;
                }
                Heard::Log(ended) => {
                    self.is_log_over = true;
                    self.is_log_cut = ended.is_some() && code.is_none();
                }
                Heard::Asked => {
                    let asked = *asked.borrow_and_update();
                    self.kill(asked);
                    if asked == Asked::Kill && drained_at.is_none() {
                        drained_at = Some(Instant::now() + KILLED);
                    }
                }
                Heard::Due => output.on_time().await,
                Heard::Drained if code.is_none() => {
                    let message = format!("container `{}` was killed and does not end", self.name);
                    return Err(platform("engine", message));
                }
                Heard::Drained => break,
            }
            if code.is_some() && self.is_log_over {
                break;
            }
        }
        let asked = *asked.borrow();
        self.exit(code.unwrap_or_default(), asked).await
    }

    /// Waits for the container's exit status.
    fn wait(&self) -> futures_util::future::BoxFuture<'static, Result<i64, Error>> {
        let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
        let mut waiting = self.engine.docker.wait_container(&self.name, Some(options)).boxed();
        async move {
            match waiting.next().await {
                Some(Ok(exited)) => Ok(exited.status_code),
                Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
                Some(Err(error)) => Err(error),
                None => Err(Error::RequestTimeoutError),
            }
        }
        .boxed()
    }

    fn take(&mut self, output: &mut Output<'_>, piece: LogOutput) {
        let stream = match piece {
            LogOutput::StdErr { .. } => Stream::Stderr,
            _ => Stream::Stdout,
        };
        let bytes = piece.into_bytes();
        if !self.engine.keeps_logs {
            return output.take(stream, &bytes);
        }
        let (stamp, rest) = bytes.split_at_checked(STAMP).unwrap_or((&[], &bytes));
        let stamp = String::from_utf8_lossy(stamp).trim_end().to_owned();
        match &mut self.last {
            Some((last, _)) if stamp < *last => return,
            Some((last, count)) if stamp == *last => {
                if self.again > 0 {
                    self.again -= 1;
                    return;
                }
                *count += 1;
            }
            last => {
                self.again = 0;
                *last = Some((stamp, 1));
            }
        }
        output.take(stream, rest);
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
            let options = KillContainerOptionsBuilder::default().signal(signal).build();
            // it can only fail because the container is over, or the Engine away: then it is asked again
            engine.docker.kill_container(&name, Some(options)).await.ok();
        });
    }

    /// The Engine went away: waits for it, and goes on where it was. Gives the exit status if the container is over.
    async fn back_again(&mut self, asked: &mut watch::Receiver<Asked>) -> Result<Option<i64>, Failure> {
        self.was_away = true;
        let mut tries = Tries::for_as_long_as(Some(AWAY));
        let state = loop {
            match self.engine.docker.inspect_container(&self.name, None).await {
                Ok(found) => break found.state.unwrap_or_default(),
                Err(error) if answer(&error).is_some_and(|(status, _)| status == 404) => {
                    let message = format!("container `{}` was removed by somebody else", self.name);
                    return Err(platform("displaced", message));
                }
                Err(error) => {
                    let is_killed = *asked.borrow() == Asked::Kill;
                    let goes_on = tokio::select! {
                        goes_on = tries.next(Duration::ZERO) => goes_on,
                        Ok(()) = asked.changed() => true,
                    };
                    if is_killed || !goes_on {
                        let message = format!(
                            "the Docker Engine went away and container `{}` may still run: {error}",
                            self.name
                        );
                        return Err(platform("engine", message));
                    }
                }
            }
        };
        let asked = *asked.borrow_and_update();
        self.kill(asked);
        self.read_on().await;
        Ok(exit_code(&state))
    }

    /// What an exit status means; a large one is asked after.
    async fn exit(&mut self, code: i64, asked: Asked) -> Result<Exit, Failure> {
        let code = code as i32;
        // as shells, Docker and Kubernetes all have it: 128 and the signal that ended it
        let signal = (129..=159).contains(&code).then(|| code - 128);
        let Some(signal) = signal else { return Ok(Exit::Code(code)) };
        let state = self.engine.docker.inspect_container(&self.name, None).await;
        let state = state.ok().and_then(|found| found.state).unwrap_or_default();
        if state.oom_killed == Some(true) {
            let mut failure =
                platform("oom", "ended with signal SIGKILL: its container's memory ran out (OOMKilled)");
            failure.exit = Some(Exit::Signal(signal));
            return Err(failure);
        }
        let is_ended = matches!(signal, 9 | 15);
        if is_ended && asked == Asked::Nothing {
            let exit = Exit::Signal(signal);
            let mut failure = if self.was_away {
                platform("displaced", format!("ended with {exit} while the Docker Engine was restarted"))
            } else {
                let message =
                    format!("ended with {exit}, which pop did not send: somebody stopped its container");
                Failure::new(Blame::Platform, "stopped-outside", message)
            };
            failure.exit = Some(exit);
            return Err(failure);
        }
        Ok(Exit::Signal(signal))
    }
}

/// The exit status of a container that is over.
pub(super) fn exit_code(state: &ContainerState) -> Option<i64> {
    use bollard::models::ContainerStateStatusEnum::{CREATED, DEAD, EXITED};
    match state.status {
        Some(EXITED | DEAD) => state.exit_code.or(Some(0)),
        Some(CREATED) => None,
        _ => None,
    }
}

/// The whole seconds since 1970 of a time stamp.
fn seconds(stamp: &str) -> Option<i32> {
    let stamp: jiff::Timestamp = stamp.parse().ok()?;
    i32::try_from(stamp.as_second()).ok()
}
