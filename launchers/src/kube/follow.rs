//! Follows one pod to its end: its watched state and its log.

use super::api::Server;
use super::failure::platform;
use super::log_reader::{LogEvent, LogReader, is_refusal, unread};
use super::manifest::MANIFEST_GRACE;
use super::pod_status::{PodState, state_of, stopped_by_others};
use super::wait_reason::{WaitReason, of_event};
use super::watch::Observation;
use crate::output::Output;
use crate::port::{LaunchEvent, Stream};
use crate::stop_request::StopRequest;
use k8s_openapi::api::core::v1::Pod;
use pop_contract::{Exit, Failure, PROGRESS, RESULT};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Time for the rest of the log after the pod's end.
const DRAIN: Duration = Duration::from_secs(15);
/// Time for the rest of the log of a pod that no longer exists.
const GONE: Duration = Duration::from_secs(2);
/// Time for the deletion of a pod that was stopped before it ran and whose waiting reason is unknown.
const STOPPED: Duration = Duration::from_secs(15);
/// Time for a pod to be seen, and for its log to be opened, before it is deleted.
const LOG_OPENS: Duration = Duration::from_secs(3);
/// Time within which a pod must end after its grace period.
const KILLED: Duration = Duration::from_mins(1);
/// Time beyond the grace period for a pod that pop did not delete; after that the node counts as lost.
const NODE_LOST: Duration = Duration::from_mins(1);
/// Waiting time without a reason in the status before events are read; doubled each further time.
const EVENTS_AFTER: Duration = Duration::from_secs(5);
/// Text in a log that could not be read to its end.
const NOT_READ: &[u8] = b"\n[pop could not read the rest of this log]\n";

/// A followed pod.
pub(super) struct Follow<'f> {
    pub(super) server: Arc<Server>,
    pub(super) name: &'f str,
    pub(super) observed: watch::Receiver<Observation>,
    /// Time between SIGTERM and SIGKILL; `None`: that of the manifest.
    pub(super) grace: Option<Duration>,
    /// Deadline for the start of the program.
    pub(super) pending_until: Option<Instant>,
}

/// The state of following a pod.
struct Progress {
    pod: Option<Arc<Pod>>,
    reason: Option<WaitReason>,
    is_running: bool,
    log: LogReader,
    /// Why the log could not be read to its end.
    log_failure: Option<Failure>,
    /// Until when a deletion waits for the log: of a pod that is gone nothing can be read.
    delete_at: Option<Instant>,
    /// The failure of a pod that was stopped before it was seen to run.
    stopped: Option<Failure>,
    end: Option<Result<Exit, Failure>>,
    /// When to stop following the pod, whatever its state.
    until: Option<Instant>,
    /// Time within which a killed pod must end: a kill does not shorten a grace period that has begun.
    kill_patience: Duration,
    /// When to read the events of a pod that does not start, and the waiting time until then.
    events_at: Option<(Instant, Duration)>,
}

/// An event in the life of a followed pod.
enum PodChange {
    Observed,
    StopRequest,
    Log(LogEvent),
    OutputDue,
    EventsDue,
    DeletionDue,
    Late,
}

impl Follow<'_> {
    /// Follows the pod until its program has ended and its log is read.
    pub(super) async fn until_end(
        &mut self,
        output: &mut Output<'_>,
        stop: &mut watch::Receiver<StopRequest>,
    ) -> Result<Exit, Failure> {
        let mut progress = Progress {
            pod: None,
            reason: None,
            is_running: false,
            log: LogReader::new(self.server.pods.clone(), self.name),
            log_failure: None,
            delete_at: None,
            stopped: None,
            end: None,
            until: self.pending_until,
            kill_patience: self.grace.unwrap_or(MANIFEST_GRACE) + KILLED,
            events_at: Some((Instant::now() + EVENTS_AFTER, EVENTS_AFTER)),
        };
        // both may have changed before this call
        self.observed.mark_changed();
        if *stop.borrow() != StopRequest::None {
            stop.mark_changed();
        }
        loop {
            let is_over = match self.next(&mut progress, output, stop).await {
                PodChange::Observed => {
                    let stop = *stop.borrow();
                    self.look(&mut progress, output, stop).await?;
                    false
                }
                PodChange::StopRequest => {
                    let stop = *stop.borrow_and_update();
                    let patience = if stop == StopRequest::Kill { Duration::ZERO } else { LOG_OPENS };
                    progress.delete_at = Some(Instant::now() + patience);
                    false
                }
                PodChange::DeletionDue => false,
                PodChange::Log(event) => progress.read(event, output).await,
                PodChange::OutputDue => {
                    output.on_time().await;
                    false
                }
                PodChange::EventsDue => {
                    self.read_events(&mut progress).await?;
                    false
                }
                PodChange::Late if progress.end.is_some() => {
                    if progress.log.is_open() {
                        progress.give_log_up(None, output);
                    }
                    true
                }
                PodChange::Late => {
                    let stop = *stop.borrow();
                    return Err(self.given_up(&mut progress, stop).await);
                }
            };
            if progress.is_deletion_due() {
                progress.delete_at = None;
                let stop = *stop.borrow();
                self.stop(&mut progress, stop).await?;
            }
            if is_over {
                let stop = *stop.borrow();
                return progress.into_end(output, stop);
            }
        }
    }

    async fn next(
        &mut self,
        progress: &mut Progress,
        output: &Output<'_>,
        stop: &mut watch::Receiver<StopRequest>,
    ) -> PodChange {
        let due = output.due();
        let is_waiting = !progress.is_running && progress.end.is_none();
        let events_at = progress.events_at.filter(|_| is_waiting).map(|(at, _)| at);
        let until = progress.until;
        let delete_at = progress.delete_at;
        let at = |time: Option<Instant>| sleep_until(time.unwrap_or_else(Instant::now));
        tokio::select! {
            biased;
            Ok(()) = self.observed.changed() => PodChange::Observed,
            Ok(()) = stop.changed() => PodChange::StopRequest,
            () = at(delete_at), if delete_at.is_some() => PodChange::DeletionDue,
            event = progress.log.next() => PodChange::Log(event),
            () = at(due), if due.is_some() => PodChange::OutputDue,
            () = at(events_at), if events_at.is_some() => PodChange::EventsDue,
            () = at(until), if until.is_some() => PodChange::Late,
        }
    }

    /// Processes the last watched state.
    async fn look(
        &mut self,
        progress: &mut Progress,
        output: &mut Output<'_>,
        stop: StopRequest,
    ) -> Result<(), Failure> {
        let Observation { pod, is_gone, trouble } = self.observed.borrow_and_update().clone();
        if let Some(trouble) = trouble {
            return Err(trouble);
        }
        let Some(pod) = pod else { return Ok(()) };
        let annotation = |name| pod.metadata.annotations.as_ref().and_then(|all| all.get(name));
        output.annotate(annotation(PROGRESS), annotation(RESULT));
        output.say_all().await;
        progress.pod = Some(Arc::clone(&pod));
        if progress.end.is_some() {
            return Ok(());
        }
        match state_of(&pod) {
            PodState::Waiting(reason) if !is_gone => progress.wait_for(reason)?,
            PodState::Running if !is_gone => progress.begin(output).await,
            PodState::Ended(end) => {
                if end.as_ref().map_or_else(|failure| failure.exit.is_some(), |_| true) {
                    progress.begin(output).await;
                }
                progress.end(end, is_gone);
                return Ok(());
            }
            PodState::NotFound if progress.is_running => {
                progress.end(Err(platform("displaced", "its node lost its container")), is_gone);
                return Ok(());
            }
            // the pod is gone, or is being deleted and never ran
            PodState::Waiting(_) | PodState::Running | PodState::NotFound => {
                let stopped = progress.stopped.take();
                let end = stopped.unwrap_or_else(|| match stop {
                    StopRequest::None => platform("displaced", "its pod was deleted, but not by pop"),
                    _ => platform("cancelled", "its pod was deleted"),
                });
                progress.end(Err(end), true);
                return Ok(());
            }
        }
        if pod.metadata.deletion_timestamp.is_some() && stop == StopRequest::None {
            let grace = pod.metadata.deletion_grace_period_seconds.unwrap_or_default().max(0) as u64;
            let until = Instant::now() + Duration::from_secs(grace) + NODE_LOST;
            progress.until = Some(progress.until.map_or(until, |earlier| earlier.min(until)));
        }
        Ok(())
    }

    /// Stops the pod. Ends the wait at once if the reason why the program has not started is known.
    async fn stop(&self, progress: &mut Progress, stop: StopRequest) -> Result<(), Failure> {
        self.delete(progress, stop);
        if !progress.is_running && progress.end.is_none() {
            if let Some(reason) = self.reason(progress).await {
                return Err(reason.failure(""));
            }
            // the program may have started already: then the watch will report its end
            progress.stopped = Some(platform("cancelled", "was stopped before its program had started"));
            progress.until = Some(Instant::now() + STOPPED);
        } else if stop == StopRequest::Kill && progress.end.is_none() {
            progress.until = Some(Instant::now() + progress.kill_patience);
        }
        Ok(())
    }

    /// Requests the deletion of the pod, without waiting for it.
    ///
    /// The first deletion has the whole grace of the run: a kubelet that has begun to stop a container ignores
    /// a shorter one.
    fn delete(&self, progress: &Progress, stop: StopRequest) {
        let whole = |grace: Duration| u32::try_from(grace.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX);
        let grace_seconds = match stop {
            StopRequest::None => return,
            // not 0: the API server would drop the pod before its program is dead
            StopRequest::Terminate => self.grace.map(|grace| whole(grace).max(1)),
            StopRequest::Kill => Some(1),
        };
        let (server, name) = (Arc::clone(&self.server), self.name.to_owned());
        let uid = progress.pod.as_ref().and_then(|pod| pod.metadata.uid.clone());
        // a failed request is repeated by a later kill or by the release
        tokio::spawn(async move { server.delete(&name, uid, grace_seconds).await.ok() });
    }

    /// The reason to stop following the pod.
    async fn given_up(&self, progress: &mut Progress, stop: StopRequest) -> Failure {
        if let Some(stopped) = progress.stopped.take() {
            return stopped;
        }
        if progress.is_running && stop == StopRequest::None {
            return platform("displaced", "its pod was deleted but still exists: its node is lost");
        }
        if progress.is_running {
            return platform("lost", format!("pod `{}` was deleted but still exists", self.name));
        }
        match self.reason(progress).await {
            Some(reason) => reason.failure("its pod did not start in time: "),
            None => platform("pending", "its pod did not start in time, and the cluster reports no reason"),
        }
    }

    /// Why the program was not started, from the pod's status or else its events.
    async fn reason(&self, progress: &mut Progress) -> Option<WaitReason> {
        if let (None, Some(pod)) = (&progress.reason, &progress.pod) {
            progress.reason = self.reason_in_events(pod).await;
        }
        progress.reason.take()
    }

    /// The newest event that says why the program was not started.
    async fn reason_in_events(&self, pod: &Pod) -> Option<WaitReason> {
        let events = self.server.events_of(pod).await;
        events.iter().rev().find_map(|(reason, message)| of_event(reason, message))
    }

    /// Reads events for the reason if the status has none, for example with a volume that cannot be mounted.
    async fn read_events(&self, progress: &mut Progress) -> Result<(), Failure> {
        let wait = progress.events_at.map_or(EVENTS_AFTER, |(_, wait)| wait * 2);
        progress.events_at = Some((Instant::now() + wait, wait));
        let is_asked_for = progress.reason.is_none() && progress.stopped.is_none();
        if let (true, Some(pod)) = (is_asked_for, &progress.pod) {
            let reason = self.reason_in_events(pod).await;
            if let Some(reason) = reason.filter(|reason| reason.is_final) {
                return Err(reason.failure("its pod cannot start: "));
            }
        }
        Ok(())
    }
}

impl Progress {
    /// Records the waiting reason; fails for reasons that make waiting useless.
    fn wait_for(&mut self, reason: Option<WaitReason>) -> Result<(), Failure> {
        if let Some(reason) = reason.as_ref().filter(|reason| reason.is_final) {
            return Err(reason.clone().failure("its pod cannot start: "));
        }
        self.reason = reason.or(self.reason.take());
        Ok(())
    }

    /// Whether to delete the pod now: its log is open or there is none, or it was waited for long enough.
    fn is_deletion_due(&self) -> bool {
        let is_open = self.pod.is_some() && (!self.is_running || self.log.is_answered());
        self.delete_at.is_some_and(|at| is_open || at <= Instant::now())
    }

    /// The program runs, or has run.
    async fn begin(&mut self, output: &mut Output<'_>) {
        if !self.is_running {
            self.is_running = true;
            output.begin();
            self.until = self.stopped.take().map(|_| Instant::now() + self.kill_patience);
            output.say(LaunchEvent::Running).await;
            self.log.read_on();
        }
    }

    /// The program ended; the rest of its log is still to be read.
    fn end(&mut self, end: Result<Exit, Failure>, is_gone: bool) {
        self.end = Some(end);
        if self.log.ended_early() {
            self.log.read_on();
        }
        let patience = match self.log.is_open() {
            true if is_gone => GONE,
            true => DRAIN,
            false => Duration::ZERO,
        };
        self.until = Some(Instant::now() + patience);
    }

    /// Processes an event of the log; true if it was the last one.
    async fn read(&mut self, event: LogEvent, output: &mut Output<'_>) -> bool {
        match event {
            LogEvent::Piece(piece) => {
                let is_news = self.log.take(&piece, &mut |rest| output.take(Stream::Stdout, rest));
                output.say_all().await;
                // new output extends the wait for the rest
                if is_news && self.end.is_some() {
                    self.until = Some(Instant::now() + DRAIN);
                }
                false
            }
            // the program has ended and the watch will report it; otherwise the log is requested again
            LogEvent::Ended if self.end.is_none() => {
                self.log.expect_end();
                false
            }
            LogEvent::Ended => true,
            LogEvent::Broken(_) if self.end.is_none() => {
                self.log.retry(None);
                false
            }
            LogEvent::Broken(error) => {
                let is_over = is_refusal(&error) || !self.log.retry(self.until);
                if is_over {
                    self.give_log_up(Some(&error), output);
                }
                is_over
            }
        }
    }

    fn give_log_up(&mut self, error: Option<&kube::Error>, output: &mut Output<'_>) {
        output.take(Stream::Stderr, NOT_READ);
        self.log_failure = Some(unread(error));
    }

    /// How the attempt ended. Incomplete output fails it, unless the pod's annotations hold the result.
    fn into_end(self, output: &Output<'_>, stop: StopRequest) -> Result<Exit, Failure> {
        let exit = self.end.unwrap_or_else(|| Err(platform("lost", "its pod can no longer be followed")))?;
        let pod = self.pod.as_deref();
        let annotations = pod.and_then(|pod| pod.metadata.annotations.as_ref());
        let has_result = annotations.is_some_and(|all| all.contains_key(RESULT));
        // the program may have been stopped in the middle: only a report of success proves otherwise
        let is_doubtful = exit == Exit::Code(0) && stop == StopRequest::None && !output.has_final_report();
        let displaced = pod.filter(|_| is_doubtful).and_then(stopped_by_others);
        let unread = self.log_failure.filter(|_| matches!(exit, Exit::Code(_)) && !has_result);
        match displaced.or(unread) {
            Some(failure) => Err(Failure { exit: Some(exit), ..failure }),
            None => Ok(exit),
        }
    }
}
