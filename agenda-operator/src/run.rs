//! The next step of a run: which executor pod should exist, and what the status says.

use crate::executor_pod::{ExecutorPod, RunEnd, State};
use crate::spec::Spec;
use crate::status::{Status, phase};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// What should exist for a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step<'r> {
    /// Pods that stay.
    pub(crate) kept: Vec<&'r ExecutorPod<'r>>,
    /// The executor pod to create.
    pub(crate) create: Option<NextPod>,
    /// Time until the next step if nothing changes.
    pub(crate) again: Option<Duration>,
}

/// An executor pod that should be created.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NextPod {
    /// Its number in the run, from 1.
    pub(crate) number: u32,
    /// Pods before it that were evicted or lost.
    pub(crate) lost: u32,
}

impl Step<'_> {
    fn nothing() -> Self {
        Self { kept: Vec::new(), create: None, again: None }
    }
}

/// Decides the next step of the run `status.run` and records it in the status. `pods` are all executor pods of the
/// Agenda, also those of earlier runs. Without `may_create`, no pod is created.
pub(crate) fn step<'r>(
    spec: &Spec,
    status: &mut Status,
    pods: &'r [ExecutorPod<'r>],
    may_create: bool,
    now: Timestamp,
) -> Step<'r> {
    let Some(run) = status.run.clone() else { return Step::nothing() };
    let mut own: Vec<&ExecutorPod<'_>> = pods.iter().filter(|pod| pod.run == run).collect();
    own.sort_by_key(|pod| pod.number);
    observe(status, &own);
    // the end must be in the status before its pod goes, because only the pod knows it
    let is_on_record = status.has_ended();
    if !is_on_record && let Some(end) = end_of(spec, status, &own) {
        end.record(status, &own, now);
    }
    if status.has_ended() {
        set_phase(status, phase_of(status.outcome.as_deref().unwrap_or_default()));
        return keep_finished(spec, status, &own, is_on_record, now);
    }
    let other = pods.iter().find(|pod| pod.run != run);
    let is_stopped = spec.is_cancelled() || spec.is_suspended();
    if is_stopped && let Some(pod) = own.last() {
        status.stopped_pod = pod.number;
    }
    match own.last() {
        Some(pod) if pod.is_live() && !is_stopped => {
            status.message = match &pod.state {
                State::Pending(why) => why.clone(),
                _ => None,
            };
            let is_running = pod.state == State::Running;
            set_phase(status, if is_running { phase::RUNNING } else { phase::PENDING });
            Step { kept: vec![pod], ..Step::nothing() }
        }
        Some(pod) => {
            let why = match &pod.state {
                _ if is_stopped => "the executor stops its operations".to_owned(),
                State::Displaced(reason) => reason.clone(),
                _ => format!("the pod {} is being deleted", pod.name),
            };
            status.message = Some(why);
            set_phase(status, phase::STOPPING);
            Step::nothing()
        }
        None if spec.is_suspended() => {
            status.message = None;
            set_phase(status, phase::SUSPENDED);
            Step::nothing()
        }
        None => match other {
            Some(pod) => {
                status.message = Some(format!("the pod {} of the run {} must end first", pod.name, pod.run));
                set_phase(status, phase::WAITING);
                Step::nothing()
            }
            None if may_create => {
                status.message = None;
                // what the status says of pods follows from pods that were seen
                if status.phase.is_empty() || status.phase == phase::WAITING {
                    set_phase(status, phase::PENDING);
                }
                let lost = status.lost_pods + u32::from(is_lost(status));
                Step { create: Some(NextPod { number: status.executor_pods + 1, lost }), ..Step::nothing() }
            }
            None => {
                let why = "the executor is gone; the next one waits until the spec has no faults";
                status.message = Some(why.to_owned());
                set_phase(status, phase::WAITING);
                Step::nothing()
            }
        },
    }
}

fn set_phase(status: &mut Status, phase: &str) {
    phase.clone_into(&mut status.phase);
}

/// Whether the last executor pod was taken away, and not stopped by the user.
fn is_lost(status: &Status) -> bool {
    status.executor_pods > status.stopped_pod
}

/// The phase of a run that has ended.
fn phase_of(outcome: &str) -> &'static str {
    match outcome {
        "succeeded" => phase::SUCCEEDED,
        "cancelled" => phase::CANCELLED,
        _ => phase::FAILED,
    }
}

/// Records what the pods of the run tell.
fn observe(status: &mut Status, own: &[&ExecutorPod<'_>]) {
    let Some(last) = own.last() else { return };
    status.executor_pods = status.executor_pods.max(last.number);
    status.lost_pods = status.lost_pods.max(last.lost);
    status.pod = Some(last.name.to_owned());
    status.started_time = status.started_time.or_else(|| own.iter().find_map(|pod| pod.started()));
    if let Some(progress) = own.iter().rev().find_map(|pod| pod.progress()) {
        status.take_progress(progress);
    }
    if let Some(stop) = &last.stop {
        status.counts = stop.counts.clone();
    }
}

/// The end of a run.
struct End {
    outcome: String,
    exit_code: Option<i64>,
    counts: Option<serde_json::Value>,
    message: Option<String>,
}

impl End {
    fn of(outcome: &str, message: Option<String>) -> Self {
        Self { outcome: outcome.to_owned(), exit_code: None, counts: None, message }
    }

    fn record(self, status: &mut Status, own: &[&ExecutorPod<'_>], now: Timestamp) {
        if self.outcome == "lost" {
            status.lost_pods += u32::from(own.is_empty() && is_lost(status));
        }
        status.outcome = Some(self.outcome);
        status.exit_code = self.exit_code;
        status.counts = self.counts.unwrap_or_else(|| status.counts.clone());
        status.message = self.message;
        let ended = own.last().and_then(|pod| pod.ended());
        status.completed_time = Some(ended.unwrap_or(now));
    }
}

fn end_of(spec: &Spec, status: &Status, own: &[&ExecutorPod<'_>]) -> Option<End> {
    let reported = own.iter().rev().find_map(|pod| match &pod.state {
        State::Ended(end) => Some(end),
        _ => None,
    });
    if let Some(RunEnd { outcome, exit_code, counts }) = reported {
        let (outcome, counts) = (outcome.clone(), Some(counts.clone()));
        return Some(End { outcome, exit_code: *exit_code, counts, message: None });
    }
    if let Some(State::Broken(outcome, why)) = own.last().map(|pod| &pod.state) {
        return Some(End::of(outcome, Some(why.clone())));
    }
    if !own.is_empty() {
        return None;
    }
    if spec.is_cancelled() {
        return Some(End::of("cancelled", None));
    }
    let lost = status.lost_pods + u32::from(is_lost(status));
    let is_over = status.executor_pods > 0 && lost >= spec.most_pods() && !spec.is_suspended();
    is_over.then(|| {
        let pods = if lost == 1 { "executor pod was" } else { "executor pods were" };
        let message = format!("{lost} {pods} lost; `executorPods` of the spec allows no more");
        End::of("lost", Some(message))
    })
}

/// The step of a run that has ended: its last pod stays for a while, so that its log can be read.
fn keep_finished<'r>(
    spec: &Spec,
    status: &Status,
    own: &[&'r ExecutorPod<'r>],
    is_on_record: bool,
    now: Timestamp,
) -> Step<'r> {
    let kept: Vec<&ExecutorPod<'_>> =
        own.last().filter(|pod| !pod.is_deleting).copied().into_iter().collect();
    let Some(seconds) = spec.keep_finished_seconds.filter(|_| !kept.is_empty()) else {
        return Step { kept, ..Step::nothing() };
    };
    let keep = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    let since = now.duration_since(status.completed_time.unwrap_or(now));
    let rest = Duration::try_from(keep.saturating_sub(since)).unwrap_or_default();
    if is_on_record && rest.is_zero() {
        return Step::nothing();
    }
    Step { kept, again: Some(rest), ..Step::nothing() }
}
