//! The rules of the run: which event follows from an input, and which from the current state.

use super::growth::{Decision, Prepared};
use super::input::{Input, Verdict};
use super::state::{Commit, Hold, OpState};
use super::time_limits::total_timeout_message;
use super::{Phase, Scheduler, StartError};
use crate::event::{CancelReason, Ending, PriorOutcomes, RunEvent, RunOutcome, RunTime, StopReason};
use crate::files::FileRecord;
use crate::gate::{Answer, Gate};
use crate::ops::OpIx;
use crate::outcome::Outcome;
use crate::plan::{BoundPayload, Grown};
use pop_contract::{Blame, Failure, Usage};
use pop_policy::{FailedAttempt, OnFail, Resources, verdict};
use serde_json::Value;
use std::sync::Arc;

/// Maximum number of operations that hold gates before they start; each needs an open file.
const MOST_HOLDING: usize = 64;
/// Number of displacements of an operation after which the next one counts as a failure.
const DISPLACEMENTS: u32 = 5;
/// Wait after the first displacement, in milliseconds; each further wait is twice as long.
const FIRST_DISPLACED_MS: u64 = 1_000;

impl Scheduler {
    /// The event of an input; none for inputs of attempts that have ended.
    pub(super) fn fact(&self, input: Input) -> Option<Decision> {
        let event = match input {
            Input::Begun { run, started, adopted } => (self.run == Phase::Unstarted).then(|| {
                let PriorOutcomes { planned, by_name, parent } = adopted;
                let options = self.options.clone();
                RunEvent::RunStarted { run, started, options, adopted: planned, adoptable: by_name, parent }
            }),
            Input::DeadLetterReplayed { op, run, result } => {
                let is_dead = self.table[op].outcome() == Some(Outcome::DeadLettered);
                is_dead.then_some(RunEvent::DeadLetterReplayed { op, run, result })
            }
            Input::Resumed { options } => Some(RunEvent::RunResumed { options }),
            Input::Running { op, attempt } => {
                let is_pending = matches!(self.table[op], OpState::Launched { is_pending: true, .. });
                (is_pending && self.is_out(op, attempt)).then_some(RunEvent::AttemptRunning { op, attempt })
            }
            Input::Progressed { op, attempt, progress } => {
                self.is_followed(op, attempt).then_some(RunEvent::ProgressReported { op, attempt, progress })
            }
            Input::WentSilent { op, attempt } => {
                let is_launched = matches!(self.table[op], OpState::Launched { .. });
                let reason = StopReason::Stalled;
                (is_launched && self.is_out(op, attempt)).then_some(RunEvent::StopAsked {
                    op,
                    attempt,
                    reason,
                })
            }
            Input::Ended { op, attempt, verdict } => {
                return self.is_followed(op, attempt).then(|| self.end_of_attempt(op, attempt, verdict));
            }
            Input::Committed { op, attempt, outcome } => return self.committed(op, attempt, outcome),
            Input::Lost { op, attempt } => self.is_followed(op, attempt).then_some(RunEvent::AttemptEnded {
                op,
                attempt,
                ending: Ending::Lost,
                named_files: Arc::default(),
                files: None,
                instance: None,
                usage: None,
            }),
            Input::Late { op, attempt, exit } => {
                self.is_superseded(op, attempt).then_some(RunEvent::LateEnding { op, attempt, exit })
            }
            Input::Answered { op, answer } => {
                let waits = matches!(self.table[op], OpState::Gated(Hold::Asked | Hold::Busy));
                return waits.then(|| self.answered(op, answer));
            }
            Input::CancelAsked { reason } => self.cancel_event(reason),
            Input::Ticked => None,
        };
        event.map(Decision::from)
    }

    /// The event of an answer. A cached result that the operation must not use counts as a miss.
    fn answered(&self, op: OpIx, answer: Answer) -> Decision {
        let (answer, grown) = match answer {
            Answer::Hit { result, by, written, files, restored } => match self.generated(op, &result) {
                Ok(grown) => (Answer::Hit { result, by, written, files, restored }, grown),
                Err(failure) => (Answer::miss(failure.message), None),
            },
            Answer::Reused { result, run, named_files, files } => match self.generated(op, &result) {
                Ok(grown) => (Answer::Reused { result, run, named_files, files }, grown),
                Err(failure) => (Answer::miss(failure.message), None),
            },
            other => (other, None),
        };
        Decision::with_generated(RunEvent::GateAnswered { op, answer }, grown)
    }

    /// The event of an attempt's end. An attempt that declares files or read versions succeeds only after these are
    /// verified and committed.
    fn end_of_attempt(&self, op: OpIx, attempt: u32, mut verdict: Verdict) -> Decision {
        let (named_files, instance) = (Arc::clone(&verdict.named_files), verdict.instance.take());
        let usage = verdict.usage;
        match self.ending(op, verdict) {
            (Ending::Succeeded { result }, _) if self.needs_commit(op) => {
                RunEvent::CommitAsked { op, attempt, result, named_files, usage }.into()
            }
            (ending, grown) => Decision::with_generated(
                RunEvent::AttemptEnded { op, attempt, ending, named_files, files: None, instance, usage },
                grown,
            ),
        }
    }

    fn committed(
        &self,
        op: OpIx,
        attempt: u32,
        outcome: Result<Option<Arc<[FileRecord]>>, Box<Failure>>,
    ) -> Option<Decision> {
        let OpState::Committing(commit) = &self.table[op] else { return None };
        let Commit { result, named_files, usage, .. } = Commit::clone(commit);
        let succeeded = outcome.and_then(|files| Ok((self.succeeded(op, result)?, files)));
        let ((ending, grown), files) =
            succeeded.unwrap_or_else(|failure| ((Ending::Failed(failure), None), None));
        let event = RunEvent::AttemptEnded { op, attempt, ending, named_files, files, instance: None, usage };
        (self.tries[op].attempt == attempt).then(|| Decision::with_generated(event, grown))
    }

    fn is_followed(&self, op: OpIx, attempt: u32) -> bool {
        self.table[op].is_followed() && self.tries[op].attempt == attempt
    }

    fn is_out(&self, op: OpIx, attempt: u32) -> bool {
        self.table[op].is_out() && self.tries[op].attempt == attempt
    }

    /// Whether an attempt was abandoned for another one.
    fn is_superseded(&self, op: OpIx, attempt: u32) -> bool {
        let last = self.tries[op].attempt;
        attempt < last
            || (attempt == last && matches!(self.table[op], OpState::BackingOff { .. } | OpState::Ready))
    }

    /// The first request stops running operations, the second kills them.
    fn cancel_event(&self, reason: CancelReason) -> Option<RunEvent> {
        if self.run != Phase::Running {
            return None;
        }
        let force = self.ends_running();
        match self.cancel {
            Some(cancel) if cancel.force => None,
            _ => Some(RunEvent::CancelRaised { reason, force }),
        }
    }

    /// The ending of an attempt in the current state, so that the order of the journal decides. Also returns the
    /// operations in the result of a generator.
    fn ending(&self, op: OpIx, verdict: Verdict) -> (Ending, Option<Grown>) {
        let is_reported = verdict.is_reported;
        match self.table[op] {
            OpState::Stopping { reason: StopReason::Cancelled, .. } => {
                // a handler that reports success has succeeded even if it was being stopped
                match verdict.result.and_then(|result| self.succeeded(op, result)) {
                    Ok(succeeded) if is_reported => succeeded,
                    Err(failure) if failure.is_not_stopped() => (Ending::Failed(failure), None),
                    _ => (Ending::Cancelled, None),
                }
            }
            OpState::Stopping { reason, .. } => {
                (Ending::Failed(Box::new(self.stop_failure(op, reason, verdict))), None)
            }
            _ => match verdict.result.and_then(|result| self.succeeded(op, result)) {
                Ok(succeeded) => succeeded,
                Err(failure) if failure.is_displaced() && self.tries[op].displaced < DISPLACEMENTS => {
                    (Ending::Displaced(failure), None)
                }
                Err(failure) => (Ending::Failed(failure), None),
            },
        }
    }

    fn succeeded(&self, op: OpIx, result: Arc<Value>) -> Result<(Ending, Option<Grown>), Box<Failure>> {
        let grown = self.generated(op, &result)?;
        Ok((Ending::Succeeded { result }, grown))
    }

    /// The failure of an attempt that exceeded a time limit.
    fn stop_failure(&self, op: OpIx, reason: StopReason, verdict: Verdict) -> Failure {
        let limits = self.plan.operation(op).policies.limits();
        let (code, blame, message) = match reason {
            StopReason::TimedOut | StopReason::Cancelled => {
                let ms = limits.run_ms.unwrap_or_default();
                ("timeout", Blame::Handler, format!("ran longer than its timeoutMs of {ms}"))
            }
            StopReason::TotalTimeout => ("timeout", Blame::Handler, total_timeout_message(&limits)),
            StopReason::Stalled => {
                let ms = limits.silence_ms.unwrap_or_default();
                ("stalled", Blame::Handler, format!("printed nothing for its noOutputTimeoutMs of {ms}"))
            }
            StopReason::NeverScheduled => {
                let ms = limits.pending_ms.unwrap_or_default();
                ("pending", Blame::Platform, format!("was not scheduled within its pendingTimeoutMs of {ms}"))
            }
        };
        let mut failure = Failure::new(blame, code, message);
        if let Err(own) = verdict.result {
            if reason == StopReason::NeverScheduled && own.code != "cancelled" {
                // adds what the attempt was waiting for
                failure.message = format!("{}: {}", failure.message, own.message);
                failure.code = own.code;
            } else if own.is_not_stopped() {
                failure.message = format!("{}; {}", failure.message, own.message);
                (failure.code, failure.blame) = (own.code, own.blame);
            }
            failure.exit = own.exit;
            failure.diagnostics = own.diagnostics;
            failure.log_tail = own.log_tail;
        }
        failure
    }

    /// The next event that follows from the state, if any. The caller repeats it until there is none.
    pub(super) fn decide(&self, now: RunTime) -> Option<Decision> {
        match self.run {
            Phase::Reopening => return Some(self.reopening().into()),
            Phase::Running => {}
            Phase::Unstarted | Phase::Ended(_) => return None,
        }
        if let Some(op) = self.table.first_judged() {
            return Some(self.judge(op, now).into());
        }
        if let Some((by, parsed)) = self.growing.first_key_value() {
            return Some(self.grow_by_generator(*by, parsed.as_deref()));
        }
        if let Some(op) = self.table.first_joining() {
            return Some(self.join(op));
        }
        if let Some(event) = self.raise(now) {
            return Some(event.into());
        }
        if let Some(op) = self.table.first_doomed() {
            return Some(settled(op, self.doom(op)).into());
        }
        if let Some(event) = self.stop_for_cancel().or_else(|| self.due(now)) {
            return Some(event.into());
        }
        self.start().or_else(|| self.finish().map(Decision::from))
    }

    /// The decision of the policies about a failed or displaced attempt.
    fn judge(&self, op: OpIx, now: RunTime) -> RunEvent {
        if self.table[op] == OpState::Displaced {
            let earlier = self.tries[op].displaced.saturating_sub(1);
            return RunEvent::BackedOff { op, until: now.plus(FIRST_DISPLACED_MS << earlier.min(10)) };
        }
        let OpState::Judging { failure } = &self.table[op] else { return settled(op, Outcome::Failed) };
        let codes = failure.codes();
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        let failing = FailedAttempt {
            codes: &codes,
            repeatable: failure.is_repeatable(),
            failures: self.tries[op].failures,
        };
        match verdict(&self.plan.operation(op).policies, &failing) {
            pop_policy::PolicyDecision::Ignored { code } => {
                let ignored = Some(code.into());
                RunEvent::OperationSettled { op, outcome: Outcome::Succeeded, ignored, skipped: None }
            }
            pop_policy::PolicyDecision::Retry { delay_ms }
                if self.may_start(&self.plan, op) && !self.is_out_of_time(op, now.plus(delay_ms)) =>
            {
                RunEvent::BackedOff { op, until: now.plus(delay_ms) }
            }
            // no new attempt starts in an ending run or after the total time limit, so the failure counts
            pop_policy::PolicyDecision::Retry { .. } => settled(op, Outcome::Failed),
            pop_policy::PolicyDecision::Settle(on_fail) => settled(op, outcome_of_failure(on_fail)),
        }
    }

    /// The outcome of an operation that cannot run any more: skipped if an outcome that it waits for did not occur, else
    /// cancelled.
    fn doom(&self, op: OpIx) -> Outcome {
        let mut missed = self.missed(&self.plan, op).peekable();
        let is_conditional = missed.peek().is_some() && missed.all(|edge| !edge.needs.accepts_all_good());
        if is_conditional && self.may_start(&self.plan, op) { Outcome::Skipped } else { Outcome::Cancelled }
    }

    /// The event that ends the run early, if a failure or the time limit requires it.
    fn raise(&self, now: RunTime) -> Option<RunEvent> {
        let raised = |reason| Some(RunEvent::CancelRaised { reason, force: false });
        if let Some((_, force)) = self.run_limit().filter(|(at, _)| *at <= now) {
            let reason = CancelReason::TimeLimit;
            return Some(RunEvent::CancelRaised { reason, force });
        }
        if self.table.has_fatal() && !self.is_ending(CancelReason::Fatal) {
            return raised(CancelReason::Fatal);
        }
        if self.table.count_failed() > 0 && !self.options.keep_going && self.cancel.is_none() {
            return raised(CancelReason::Failure);
        }
        None
    }

    /// The next time limit of the run, and whether it also stops clean-up.
    pub(super) fn run_limit(&self) -> Option<(RunTime, bool)> {
        let limit = RunTime(self.options.time_limit_ms?);
        match self.cancel {
            Some(cancel) if cancel.force => None,
            _ if !self.is_ending(CancelReason::TimeLimit) => Some((limit, false)),
            _ => Some((limit.plus(self.options.cleanup_limit_ms?), true)),
        }
    }

    fn stop_for_cancel(&self) -> Option<RunEvent> {
        let cancel = self.cancel.filter(|_| self.ends_running())?;
        self.table.launched().find_map(|op| {
            let attempt = self.tries[op].attempt;
            match self.table[op] {
                OpState::Launched { .. } if !self.may_start(&self.plan, op) => {
                    Some(RunEvent::StopAsked { op, attempt, reason: StopReason::Cancelled })
                }
                OpState::Stopping { kill_at: Some(_), .. } if cancel.force => {
                    Some(RunEvent::KillAsked { op, attempt })
                }
                // a delayed commit does not delay the end of the run
                OpState::Committing(ref commit) if cancel.force => {
                    Some(commit_given_up(op, attempt, commit.usage))
                }
                _ => None,
            }
        })
    }

    /// The event of the first time limit or wait that is over by now.
    fn due(&self, now: RunTime) -> Option<RunEvent> {
        if let Some(event) = self.limit_over(now) {
            return Some(event);
        }
        let (_, op) = self.table.first_deadline().filter(|(at, _)| *at <= now)?;
        let attempt = self.tries[op].attempt;
        Some(match self.table[op] {
            OpState::Launched { since, is_pending } => {
                let limits = self.plan.operation(op).policies.limits();
                let over = |limit: Option<u64>| limit.is_some_and(|ms| since.plus(ms) <= now);
                let never = is_pending && over(limits.pending_ms) && !over(limits.run_ms);
                let reason = if never { StopReason::NeverScheduled } else { StopReason::TimedOut };
                RunEvent::StopAsked { op, attempt, reason }
            }
            OpState::Stopping { .. } => RunEvent::KillAsked { op, attempt },
            OpState::Committing(ref commit) => commit_given_up(op, attempt, commit.usage),
            _ => RunEvent::BackoffEnded { op },
        })
    }

    /// Starts the next operation if `parallel` allows. An operation at a gate has its place already.
    fn start(&self) -> Option<Decision> {
        let is_forced = self.cancel.is_some_and(|cancel| cancel.force);
        if is_forced || self.table.count_occupied() >= self.options.parallel.max(1) {
            return None;
        }
        // operations that hold gates proceed first, so that they release them early
        let may_come = self.table.count_holding() < MOST_HOLDING.max(self.options.parallel as usize);
        let op = self.table.first_in_line(&self.options.resources, may_come)?;
        let proceeded = match self.table[op] {
            OpState::Gated(_) if !self.gates.is_through(op) => return Some(self.ask(op).into()),
            // binds again: an operation at a gate keeps no copy of its payload
            OpState::Gated(_) => {
                self.bind(op).map(|payload| self.attempt(op, payload)).map_err(StartError::from)
            }
            _ => self.prepare(op),
        };
        Some(proceeded.unwrap_or_else(|error| failed_start(op, &error)))
    }

    /// The next event of a ready operation: it is skipped, split into parts, requests its gates, or is launched.
    fn prepare(&self, op: OpIx) -> Result<Decision, StartError> {
        let planned = self.plan.operation(op);
        if let Some(settled) = self.unmet_condition(op)? {
            return Ok(settled.into());
        }
        if planned.for_each().is_some() {
            return Ok(self.decide_growth(op, self.expansion(op, None)?));
        }
        let payload = self.bind(op)?;
        if let Some(pattern) = &planned.policies.skip.value
            && let Some(decided) = pattern.holds(&payload)?
        {
            let (outcome, skipped) = (Outcome::Skipped, Some(Box::new(decided)));
            return Ok(RunEvent::OperationSettled { op, outcome, ignored: None, skipped }.into());
        }
        if planned.is_whole() {
            return Ok(self.decide_growth(op, self.expansion(op, Some(&payload))?));
        }
        self.check_needs(op)?;
        let mut gates: Vec<Gate> = self.reuse_gate(op).into_iter().collect();
        if planned.policies.is_gated() || planned.files().is_some() {
            gates.extend(self.gates_of(op, &payload)?);
        }
        if !gates.is_empty() {
            return Ok(RunEvent::GatesSet { op, gates: gates.into() }.into());
        }
        Ok(self.attempt(op, payload))
    }

    /// Refuses an operation that needs more than the run has: one that the run added, or whose payload has the amount.
    fn check_needs(&self, op: OpIx) -> Result<(), StartError> {
        let Some(need) = self.table.need(op, self.plan.operation(op)) else { return Ok(()) };
        let totals = &self.options.resources;
        if let Some((name, needed, total)) = need.beyond(totals) {
            let [needed, total] = [needed, total].map(|amount| Resources::amount_text(name, amount));
            return Err(StartError::Resources(format!(
                "needs {name} {needed}, but the run has {total} in all: `--resources {name}={needed}` sets another total"
            )));
        }
        need.without_total(totals).map_or(Ok(()), |name| {
            Err(StartError::Resources(format!(
                "needs `{name}`, of which the run has no total: `--resources {name}=N` sets it"
            )))
        })
    }

    fn attempt(&self, op: OpIx, payload: BoundPayload) -> Decision {
        let event = RunEvent::AttemptStarted { op, attempt: self.tries[op].attempt + 1 };
        Decision { event, prepared: Prepared::Payload(payload) }
    }

    /// The outcome of the run if nothing else fails.
    pub(super) fn outcome_so_far(&self) -> RunOutcome {
        match self.cancel.map(|cancel| cancel.reason) {
            Some(CancelReason::Fatal) => RunOutcome::Fatal,
            Some(CancelReason::TimeLimit) => RunOutcome::TimeLimit,
            Some(CancelReason::Interrupted) => RunOutcome::Interrupted,
            Some(CancelReason::Terminated) => RunOutcome::Terminated,
            Some(CancelReason::Failure) => RunOutcome::Failed,
            None if self.table.count_failed() > 0 => RunOutcome::Failed,
            None if self.table.count_dead_letters() > 0 => RunOutcome::DeadLettered,
            None => RunOutcome::Succeeded,
        }
    }

    fn finish(&self) -> Option<RunEvent> {
        let tally = self.table.tally();
        let outcome = if tally.settled() == tally.total() {
            self.outcome_so_far()
        } else if tally.running == 0 && tally.ready == 0 && tally.gated == 0 && self.next_deadline().is_none()
        {
            RunOutcome::Stuck
        } else {
            return None;
        };
        Some(RunEvent::RunEnded { outcome })
    }
}

fn commit_given_up(op: OpIx, attempt: u32, usage: Option<Usage>) -> RunEvent {
    RunEvent::AttemptEnded {
        op,
        attempt,
        ending: Ending::Cancelled,
        named_files: Arc::default(),
        files: None,
        instance: None,
        usage,
    }
}

/// The failure of an attempt that cannot be launched.
fn failed_start(op: OpIx, error: &StartError) -> Decision {
    let failure = Failure::new(Blame::Handler, error.code(), error.to_string());
    RunEvent::StartFailed { op, failure: Box::new(failure) }.into()
}

/// The outcome of an operation whose failure counts.
pub(super) fn outcome_of_failure(on_fail: OnFail) -> Outcome {
    match on_fail {
        OnFail::Dlq => Outcome::DeadLettered,
        OnFail::Skip => Outcome::Skipped,
        OnFail::Reply | OnFail::Fatal => Outcome::Failed,
    }
}

pub(super) fn settled(op: OpIx, outcome: Outcome) -> RunEvent {
    RunEvent::OperationSettled { op, outcome, ignored: None, skipped: None }
}
