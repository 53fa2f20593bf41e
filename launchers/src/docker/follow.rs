//! One container followed to its end: its log read, its exit waited for, also across a restart of the Engine.

use super::engine::Engine;
use super::failure::{answer, platform};
use crate::followed::{Asked, exit_of};
use crate::output::Output;
use crate::port::Stream;
use crate::tries::Tries;
use bollard::container::{AttachContainerResults, LogOutput};
use bollard::errors::Error;
use bollard::models::ContainerState;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, EventsOptionsBuilder, KillContainerOptionsBuilder, LogsOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use futures_util::stream::BoxStream;
use futures_util::{FutureExt as _, StreamExt as _};
use pop_registry::contract::{Blame, Exit, Failure};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// How long the rest of a log may take after its container's end.
const DRAIN: Duration = Duration::from_secs(10);
/// How long an Engine that went away is waited for.
const AWAY: Duration = Duration::from_mins(10);
/// How much of what it says is kept.
const INIT_SAYS: usize = 4_096;
/// How long it may take until the Engine tells why a container was ended: its OOM notice can come after the exit, and
/// whoever ends a container in order to remove it removes it then.
const TOLD: Duration = Duration::from_secs(1);
/// How long a container that was killed may take to end.
const KILLED: Duration = Duration::from_mins(1);
/// What the Engine's init begins its last words with.
const INIT_FAILED: &[u8] = b"[FATAL tini (7)";

type Pieces = BoxStream<'static, Result<LogOutput, Error>>;

/// A container that is followed, and what was read of its output.
pub(super) struct Follow {
    engine: Arc<Engine>,
    name: String,
    output: Pieces,
    /// Whether it comes from the container itself, and not from the log that the Engine keeps of it.
    is_attached: bool,
    is_over: bool,
    /// How many bytes of each stream were taken.
    taken: [usize; 2],
    /// How many bytes of each stream are still to be left out, for they were taken before.
    again: [usize; 2],
    was_away: bool,
    /// Whether it was started by an earlier process.
    is_found: bool,
    /// What the init before the program says of a program that it cannot start; it comes in pieces.
    not_started: Option<Vec<u8>>,
}

/// Why a container was ended that pop did not end.
enum Ended {
    OutOfMemory,
    Removed,
    Otherwise,
}

/// What ended a wait.
enum Heard {
    Exited(Result<i64, Error>),
    Output(Option<Result<LogOutput, Error>>),
    Asked,
    Due,
    Drained,
}

impl Follow {
    /// A container that has not been started: nothing that it prints is missed, and it comes byte for byte.
    pub(super) async fn attach(engine: Arc<Engine>, name: &str) -> Result<Self, Error> {
        let options = AttachContainerOptionsBuilder::default().stream(true).stdout(true).stderr(true).build();
        let AttachContainerResults { output, .. } =
            engine.docker.attach_container(name, Some(options)).await?;
        let mut follow = Self::of_log(engine, name);
        follow.is_attached = true;
        follow.is_found = false;
        follow.output = output.boxed();
        Ok(follow)
    }

    /// A container that was started before: its output is in the log that the Engine keeps.
    pub(super) fn of_log(engine: Arc<Engine>, name: &str) -> Self {
        let mut follow = Self {
            engine,
            name: name.to_owned(),
            output: futures_util::stream::empty().boxed(),
            is_attached: false,
            is_over: false,
            taken: [0; 2],
            again: [0; 2],
            was_away: false,
            is_found: true,
            not_started: None,
        };
        follow.read_log(true);
        follow
    }

    /// Reads the log from its beginning; what was taken already is left out.
    fn read_log(&mut self, follow: bool) {
        let options = LogsOptionsBuilder::default().follow(follow).stdout(true).stderr(true).build();
        self.output = self.engine.docker.logs(&self.name, Some(options)).boxed();
        self.again = self.taken;
        self.is_attached = false;
        self.is_over = false;
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
                piece = self.output.next(), if !self.is_over => Heard::Output(piece),
                Ok(()) = asked.changed() => Heard::Asked,
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => Heard::Due,
                () = sleep_until(drained_at.unwrap_or_else(Instant::now)), if drained_at.is_some() => Heard::Drained,
            };
            match heard {
                Heard::Exited(Ok(exited)) => {
                    code = Some(exited);
                    if !self.is_attached {
                        // the Engine may end a log that is followed before its last lines
                        self.read_log(false);
                    }
                    drained_at = Some(Instant::now() + DRAIN);
                }
                Heard::Exited(Err(_)) => {
                    code = self.back_again(asked).await?;
                    drained_at = code.map(|_| Instant::now() + DRAIN).or(drained_at);
                    wait = self.wait();
                }
                Heard::Output(Some(Ok(piece))) => {
                    self.take(output, piece);
                    output.say_all().await;
                    // as long as there is something, the rest is waited for
                    drained_at = code.map(|_| Instant::now() + DRAIN).or(drained_at);
                }
                // it broke off: the Engine has what was printed, if it is still there itself
                Heard::Output(Some(Err(_))) if self.is_attached => self.read_log(code.is_none()),
                Heard::Output(_) => self.is_over = true,
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
            if code.is_some() && self.is_over {
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
        let at = usize::from(stream == Stream::Stderr);
        let known = self.again[at].min(bytes.len());
        self.again[at] -= known;
        let bytes = &bytes[known..];
        self.taken[at] += bytes.len();
        match &mut self.not_started {
            Some(said) if said.len() < INIT_SAYS => said.extend_from_slice(bytes),
            Some(_) => {}
            None if self.taken[1] == bytes.len() && bytes.starts_with(INIT_FAILED) => {
                self.not_started = Some(bytes.to_vec());
            }
            None => {}
        }
        output.take(stream, bytes);
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
        // never at once: what broke may break again
        tries.next(Duration::ZERO).await;
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
        let code = exit_code(&state);
        self.read_log(code.is_none());
        Ok(code)
    }

    /// What an exit status means; a large one is asked after.
    async fn exit(&mut self, code: i64, asked: Asked) -> Result<Exit, Failure> {
        let code = code as i32;
        if let (126 | 127, Some(said)) = (code, &self.not_started) {
            let said = String::from_utf8_lossy(said);
            let why = said.split_once(']').map_or(&*said, |(_, why)| why).trim();
            let message = format!("its program could not be started: {why}");
            return Err(Failure::new(Blame::Handler, "spawn", message));
        }
        let Exit::Signal(signal) = exit_of(code) else { return Ok(Exit::Code(code)) };
        let exit = Exit::Signal(signal);
        let state = self.engine.docker.inspect_container(&self.name, None).await;
        let is_oom = state.ok().and_then(|found| found.state?.oom_killed) == Some(true);
        let ended = match (signal, asked) {
            _ if is_oom => Ended::OutOfMemory,
            (9 | 15, Asked::Nothing) => why_ended(&self.engine, &self.name).await,
            _ => return Ok(exit),
        };
        let (code, what) = match ended {
            Ended::OutOfMemory => {
                ("oom", format!("ended with {exit}: its container's memory ran out (OOMKilled)"))
            }
            Ended::Removed => {
                ("displaced", format!("ended with {exit}: its container was removed by somebody else"))
            }
            Ended::Otherwise if self.is_found => {
                ("displaced", format!("had ended with {exit} while nobody followed its container"))
            }
            Ended::Otherwise if self.was_away => {
                ("displaced", format!("ended with {exit} while the Docker Engine was restarted"))
            }
            Ended::Otherwise => (
                "stopped-outside",
                format!("ended with {exit}, which pop did not send: somebody stopped its container"),
            ),
        };
        let mut failure = platform(code, what);
        failure.exit = Some(exit);
        Err(failure)
    }
}

/// Why a container that is over was ended, as the Engine tells it within a while.
async fn why_ended(engine: &Engine, name: &str) -> Ended {
    let filters = HashMap::from([("container", vec![name]), ("event", vec!["oom"])]);
    // from the first second of all time: what the Engine told already is told again
    let notices = EventsOptionsBuilder::default().since("1").filters(&filters).build();
    let mut notices = engine.docker.events(Some(notices)).boxed();
    let removed = WaitContainerOptionsBuilder::default().condition("removed").build();
    let mut removed = engine.docker.wait_container(name, Some(removed)).boxed();
    tokio::select! {
        biased;
        Some(Ok(_)) = notices.next() => Ended::OutOfMemory,
        _ = removed.next() => Ended::Removed,
        () = sleep(TOLD) => Ended::Otherwise,
    }
}

/// The exit status of a container that is over.
pub(super) fn exit_code(state: &ContainerState) -> Option<i64> {
    use bollard::models::ContainerStateStatusEnum::{DEAD, EXITED};
    matches!(state.status, Some(EXITED | DEAD)).then(|| state.exit_code.unwrap_or(0))
}
