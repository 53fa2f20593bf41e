//! One pod followed to its end: what the watch sees of it, and its log.

use super::api::Server;
use super::failure::platform;
use super::log::{Pieces, Stamped, pieces};
use super::sight::{Sight, Waiting, of_event, sight};
use super::watch::Seen;
use crate::followed::Asked;
use crate::output::Output;
use crate::port::{LaunchEvent, Stream};
use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use pop_registry::contract::{Exit, Failure, PROGRESS, RESULT};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long the rest of a log may take after its pod's end.
const DRAIN: Duration = Duration::from_secs(15);
/// How long the rest of a log may take whose pod exists no more.
const GONE: Duration = Duration::from_secs(2);
/// How long a pod may take to go that was stopped before it was seen to run.
const STOPPED: Duration = Duration::from_secs(15);
/// How long a pod that was killed may take to end.
const KILLED: Duration = Duration::from_mins(1);
/// How much longer than its grace a pod that somebody deleted may take to go: then its node is lost.
const NODE_LOST: Duration = Duration::from_mins(1);
/// How long after the end of its log a program's end may be seen.
const LOG_ENDED: Duration = Duration::from_secs(3);
/// What stands in a log that could not be read to its end.
const NOT_READ: &[u8] = b"\n[pop could not read the rest of this log]\n";
/// No wait for a log is longer.
const LONGEST_LOG_WAIT: Duration = Duration::from_secs(10);
/// The first wait before a log that broke off is asked for again.
const LOG_WAIT: Duration = Duration::from_millis(500);

/// A pod that is followed.
pub(super) struct Follow<'f> {
    pub(super) server: Arc<Server>,
    pub(super) name: &'f str,
    pub(super) seen: watch::Receiver<Seen>,
    /// When waiting for the program to start is over.
    pub(super) pending_until: Option<Instant>,
}

/// How far a pod was followed.
struct State {
    pod: Option<Arc<Pod>>,
    waiting: Option<Waiting>,
    is_running: bool,
    log: Option<Pieces>,
    /// Why it never ran, if it was stopped before it was seen to.
    stopped: Option<Failure>,
    /// How long the next wait is before a log that broke off is asked for again.
    log_wait: Duration,
    /// When a log is asked for again that ended although its program has not.
    log_again_at: Option<Instant>,
    stamped: Stamped,
    end: Option<Result<Exit, Failure>>,
    /// When it is not followed any longer, whatever it does.
    until: Option<Instant>,
}

impl Follow<'_> {
    /// Follows the pod until its program has ended and its log is read.
    pub(super) async fn until_end(
        &mut self,
        output: &mut Output<'_>,
        asked: &mut watch::Receiver<Asked>,
    ) -> Result<Exit, Failure> {
        let mut state = State {
            pod: None,
            waiting: None,
            is_running: false,
            log: None,
            stopped: None,
            log_wait: LOG_WAIT,
            log_again_at: None,
            stamped: Stamped::default(),
            end: None,
            until: self.pending_until,
        };
        // it may have been seen before it is followed
        self.seen.mark_changed();
        loop {
            let due = output.due();
            tokio::select! {
                biased;
                Ok(()) = self.seen.changed() => {
                    let asked = *asked.borrow();
                    self.look(&mut state, output, asked).await?;
                }
                Ok(()) = asked.changed() => {
                    let asked = *asked.borrow_and_update();
                    self.stop(&state, asked);
                    if !state.is_running && state.end.is_none() {
                        // perhaps it has begun and that was not seen yet: its end will be
                        let waiting = self.waiting(&mut state).await;
                        state.stopped = Some(waiting.map_or_else(
                            || platform("cancelled", "was stopped before its program had started"),
                            |waiting| platform(waiting.code, waiting.message),
                        ));
                        state.until = Some(Instant::now() + STOPPED);
                        continue;
                    }
                    if asked == Asked::Kill && state.end.is_none() {
                        state.until = Some(Instant::now() + KILLED);
                    }
                }
                piece = next(&mut state.log) => match piece {
                    Some(Ok(piece)) => {
                        state.stamped.take(&piece, &mut |rest| output.take(Stream::Stdout, rest));
                        output.say_all().await;
                        state.log_wait = LOG_WAIT;
                        // as long as there is something, the rest is waited for
                        if state.end.is_some() {
                            state.until = Some(Instant::now() + DRAIN);
                        }
                    }
                    // the program has ended, and the watch is about to tell; else it is asked for again
                    None if state.end.is_none() => {
                        state.log = None;
                        state.log_again_at = Some(Instant::now() + LOG_ENDED);
                    }
                    Some(Err(_)) if state.end.is_none() => self.try_on(&mut state),
                    Some(Err(_)) if state.until.is_some_and(|until| Instant::now() + state.log_wait < until) => {
                        self.try_on(&mut state);
                    }
                    Some(Err(_)) => {
                        output.take(Stream::Stderr, NOT_READ);
                        break;
                    }
                    None => break,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => output.on_time().await,
                () = sleep_until(state.log_again_at.unwrap_or_else(Instant::now)), if state.log_again_at.is_some() => {
                    self.read_on(&mut state, Duration::ZERO);
                }
                () = sleep_until(state.until.unwrap_or_else(Instant::now)), if state.until.is_some() => {
                    if state.end.is_some() {
                        if state.log.is_some() {
                            output.take(Stream::Stderr, NOT_READ);
                        }
                        break;
                    }
                    let asked = *asked.borrow();
                    return Err(self.given_up(&mut state, asked).await);
                }
            }
        }
        state.end.unwrap_or_else(|| Err(platform("lost", "its pod can no longer be followed")))
    }

    /// Takes in what the watch saw.
    async fn look(
        &mut self,
        state: &mut State,
        output: &mut Output<'_>,
        asked: Asked,
    ) -> Result<(), Failure> {
        let Seen { pod, is_gone, trouble } = self.seen.borrow_and_update().clone();
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        let Some(pod) = pod else { return Ok(()) };
        let annotation = |name| pod.metadata.annotations.as_ref().and_then(|all| all.get(name));
        output.annotate(annotation(PROGRESS), annotation(RESULT));
        output.say_all().await;
        state.pod = Some(Arc::clone(&pod));
        if state.end.is_some() {
            return Ok(());
        }
        match sight(&pod) {
            Sight::Waiting(waiting) if !is_gone => {
                if let Some(waiting) = waiting.as_ref().filter(|waiting| waiting.is_final) {
                    return Err(platform(waiting.code, format!("its pod cannot start: {}", waiting.message)));
                }
                state.waiting = waiting.or(state.waiting.take());
            }
            Sight::Running if !is_gone => self.begin(state, output).await,
            Sight::Ended(end) => {
                let has_run = end.as_ref().map_or_else(|failure| failure.exit.is_some(), |_| true);
                if has_run {
                    self.begin(state, output).await;
                }
                state.end = Some(end);
                let is_read = state.log_again_at.take().is_some();
                let patience = match state.log {
                    Some(_) if is_gone => GONE,
                    Some(_) if !is_read => DRAIN,
                    _ => Duration::ZERO,
                };
                state.until = Some(Instant::now() + patience);
                return Ok(());
            }
            Sight::Waiting(_) | Sight::Running => {
                let stopped = state.stopped.take();
                state.end = Some(Err(stopped.unwrap_or_else(|| match asked {
                    Asked::Nothing => platform("displaced", "its pod was deleted by somebody else"),
                    _ => platform("cancelled", "its pod was deleted"),
                })));
                state.until = Some(Instant::now() + state.log.as_ref().map_or(Duration::ZERO, |_| GONE));
                return Ok(());
            }
        }
        if pod.metadata.deletion_timestamp.is_some() && asked == Asked::Nothing {
            let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or_default().max(0) as u64;
            let until = Instant::now() + Duration::from_secs(grace) + NODE_LOST;
            state.until = Some(state.until.map_or(until, |earlier| earlier.min(until)));
        }
        Ok(())
    }

    /// The program runs, or has run.
    async fn begin(&self, state: &mut State, output: &mut Output<'_>) {
        if !state.is_running {
            state.is_running = true;
            output.begin();
            state.until = state.stopped.take().map(|_| Instant::now() + KILLED);
            output.say(LaunchEvent::Running).await;
            self.read_on(state, Duration::ZERO);
        }
    }

    /// Reads the log from where it was left, after a while.
    fn read_on(&self, state: &mut State, after: Duration) {
        let since = state.stamped.since();
        state.log_again_at = None;
        state.log = Some(pieces(self.server.pods.clone(), self.name.to_owned(), since, after));
    }

    /// The same for a log that broke off: after a longer while each time.
    fn try_on(&self, state: &mut State) {
        self.read_on(state, state.log_wait);
        state.log_wait = (state.log_wait * 2).min(LONGEST_LOG_WAIT);
    }

    /// Has the pod deleted, without waiting for that.
    fn stop(&self, state: &State, asked: Asked) {
        let grace_seconds = match asked {
            Asked::Nothing => return,
            // what its manifest says; a run that has less patience kills
            Asked::Terminate => None,
            // not 0: the pod would be forgotten before its program is dead
            Asked::Kill => Some(1),
        };
        let (server, name) = (Arc::clone(&self.server), self.name.to_owned());
        let uid = state.pod.as_ref().and_then(|pod| pod.metadata.uid.clone());
        // if that fails it is asked again, by force, and deleted when it is released
        tokio::spawn(async move { server.delete(&name, uid, grace_seconds).await.ok() });
    }

    /// Why the pod is not followed any longer.
    async fn given_up(&self, state: &mut State, asked: Asked) -> Failure {
        if let Some(stopped) = state.stopped.take() {
            return stopped;
        }
        if state.is_running && asked == Asked::Nothing {
            return platform("displaced", "its pod was deleted and does not go: its node is lost");
        }
        if state.is_running {
            return platform("lost", format!("pod `{}` was deleted and does not go", self.name));
        }
        match self.waiting(state).await {
            Some(waiting) => {
                platform(waiting.code, format!("its pod did not start in time: {}", waiting.message))
            }
            None => platform("pending", "its pod did not start in time, and the cluster does not say why"),
        }
    }

    /// What the pod waits for, by its status, or else by its events.
    async fn waiting(&self, state: &mut State) -> Option<Waiting> {
        if let (None, Some(pod)) = (&state.waiting, &state.pod) {
            let events = self.server.events_of(pod).await;
            state.waiting = events.iter().rev().find_map(|(reason, message)| of_event(reason, message));
        }
        state.waiting.take()
    }
}

/// The next piece of a log; never, while there is none.
async fn next(log: &mut Option<Pieces>) -> Option<Result<Vec<u8>, kube::Error>> {
    match log {
        Some(log) => log.next().await,
        None => std::future::pending().await,
    }
}
