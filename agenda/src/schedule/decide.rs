//! The rules of the run: which fact follows from an input, and which from the state as it is.

use super::input::{Input, Verdict};
use super::state::{Hold, OpState};
use super::{Phase, Scheduler};
use crate::event::{CancelReason, Ending, RunEvent, RunOutcome, RunTime, StopReason};
use crate::gate::Answer;
use crate::ops::OpIx;
use crate::outcome::Outcome;
use pop_policy::{Failing, OnFail, verdict};
use pop_registry::contract::{Blame, Failure};
use std::sync::Arc;

/// How many operations may hold something at once before they start; each costs an open file.
const MOST_HOLDING: usize = 64;
/// How often the platform may take an operation's attempts away before that counts as a failure.
const DISPLACEMENTS: u32 = 5;

impl Scheduler {
    /// The fact that an input is, if it is one: inputs of attempts that are over are none.
    pub(super) fn fact(&self, input: Input) -> Option<RunEvent> {
        match input {
            Input::Begun { run, started, adopted } => (self.run == Phase::Unstarted)
                .then(|| RunEvent::RunStarted { run, started, options: self.options.clone(), adopted }),
            Input::Resumed { options } => Some(RunEvent::RunResumed { options }),
            Input::Running { op, attempt } => {
                let is_pending = matches!(self.state[op], OpState::Launched { is_pending: true, .. });
                (is_pending && self.is_out(op, attempt)).then_some(RunEvent::AttemptRunning { op, attempt })
            }
            Input::Progressed { op, attempt, progress } => {
                self.is_followed(op, attempt).then_some(RunEvent::ProgressReported { op, attempt, progress })
            }
            Input::WentSilent { op, attempt } => {
                let is_launched = matches!(self.state[op], OpState::Launched { .. });
                (is_launched && self.is_out(op, attempt)).then_some(RunEvent::StopAsked {
                    op,
                    attempt,
                    reason: StopReason::Stalled,
                })
            }
            Input::Ended { op, attempt, verdict } => {
                self.is_followed(op, attempt).then(|| self.end_of_attempt(op, attempt, verdict))
            }
            Input::Lost { op, attempt } => self.is_followed(op, attempt).then_some(RunEvent::AttemptEnded {
                op,
                attempt,
                ending: Ending::Lost,
            }),
            Input::Committed { op, attempt, outcome } => self.committed(op, attempt, outcome),
            Input::Late { op, attempt, exit } => {
                self.is_superseded(op, attempt).then_some(RunEvent::LateEnding { op, attempt, exit })
            }
            Input::Answered { op, answer } => {
                let waits = matches!(self.state[op], OpState::Gated(Hold::Asked | Hold::Busy));
                waits.then(|| RunEvent::GateAnswered { op, answer: self.checked(op, answer) })
            }
            Input::CancelAsked { reason } => self.cancel_event(reason),
            Input::Ticked => None,
        }
    }

    /// A result of the cache that the operation may not have is none.
    fn checked(&self, op: OpIx, answer: Answer) -> Answer {
        match answer {
            Answer::Hit { result, .. } if let Err(failure) = self.check_generated(op, &result) => {
                Answer::Miss { why: failure.message.into() }
            }
            other => other,
        }
    }

    /// The event by which an attempt ends; one that read versions succeeds only when they are committed.
    fn end_of_attempt(&self, op: OpIx, attempt: u32, verdict: Verdict) -> RunEvent {
        match self.ending(op, verdict) {
            Ending::Succeeded { result } if !self.versions(op).is_empty() => {
                RunEvent::CommitAsked { op, attempt, result }
            }
            ending => RunEvent::AttemptEnded { op, attempt, ending },
        }
    }

    fn committed(&self, op: OpIx, attempt: u32, outcome: Result<(), Box<Failure>>) -> Option<RunEvent> {
        let OpState::Committing { result, .. } = &self.state[op] else { return None };
        let ending = match outcome {
            Ok(()) => Ending::Succeeded { result: Arc::clone(result) },
            Err(failure) => Ending::Failed(failure),
        };
        (self.tries[op].attempt == attempt).then_some(RunEvent::AttemptEnded { op, attempt, ending })
    }

    fn is_followed(&self, op: OpIx, attempt: u32) -> bool {
        self.state[op].is_followed() && self.tries[op].attempt == attempt
    }

    fn is_out(&self, op: OpIx, attempt: u32) -> bool {
        self.state[op].is_out() && self.tries[op].attempt == attempt
    }

    /// Whether an attempt was given up for another one.
    fn is_superseded(&self, op: OpIx, attempt: u32) -> bool {
        let last = self.tries[op].attempt;
        attempt < last
            || (attempt == last && matches!(self.state[op], OpState::BackingOff { .. } | OpState::Ready))
    }

    /// The first asking stops gently, the second kills.
    fn cancel_event(&self, reason: CancelReason) -> Option<RunEvent> {
        if self.run != Phase::Under {
            return None;
        }
        let force = self.ends_running();
        match self.cancel {
            Some(cancel) if cancel.force => None,
            _ => Some(RunEvent::CancelRaised { reason, force }),
        }
    }

    /// What an attempt's end means in the state that it ends in: the order of the journal decides.
    fn ending(&self, op: OpIx, verdict: Verdict) -> Ending {
        let OpState::Stopping { reason, .. } = self.state[op] else {
            return match verdict.result.and_then(|result| self.check_generated(op, &result).map(|()| result))
            {
                Ok(result) => Ending::Succeeded { result },
                Err(failure) if failure.is_displaced() && self.tries[op].displaced < DISPLACEMENTS => {
                    Ending::Displaced(failure)
                }
                Err(failure) => Ending::Failed(failure),
            };
        };
        let policies = &self.plan.operation(op).policies;
        let limits = policies.limits();
        let (code, blame, message) = match reason {
            StopReason::Cancelled => {
                // a handler that says it is done is done, whatever it was asked meanwhile
                return match verdict.result {
                    Ok(result) if verdict.is_reported && self.check_generated(op, &result).is_ok() => {
                        Ending::Succeeded { result }
                    }
                    _ => Ending::Cancelled,
                };
            }
            StopReason::TimedOut => {
                let ms = limits.run_ms.unwrap_or_default();
                ("timeout", Blame::Handler, format!("ran longer than its timeoutMs of {ms}"))
            }
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
                // what it was waiting for
                failure.message = format!("{}: {}", failure.message, own.message);
                failure.code = own.code;
            }
            failure.exit = own.exit;
            failure.diagnostics = own.diagnostics;
            failure.log_tail = own.log_tail;
        }
        Ending::Failed(Box::new(failure))
    }

    /// The next fact that follows from the state, if any. Called until it has nothing more to say.
    pub(super) fn decide(&self, now: RunTime) -> Option<RunEvent> {
        if self.run != Phase::Under {
            return None;
        }
        if let Some(op) = self.judging.first() {
            return Some(self.judge(*op, now));
        }
        if let Some(by) = self.growing.first() {
            return Some(self.growth(*by));
        }
        if let Some(op) = self.joining.first() {
            return Some(self.join(*op));
        }
        if let Some(event) = self.raise(now) {
            return Some(event);
        }
        if let Some(op) = self.doomed.first() {
            return Some(settled(*op, self.doom(*op)));
        }
        if let Some(event) = self.stop_for_cancel() {
            return Some(event);
        }
        if let Some(event) = self.due(now) {
            return Some(event);
        }
        self.start().or_else(|| self.finish())
    }

    /// What the policies say of a failed attempt.
    fn judge(&self, op: OpIx, now: RunTime) -> RunEvent {
        let OpState::Judging { failure } = &self.state[op] else { return settled(op, Outcome::Failed) };
        let codes = failure.codes();
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        let failing =
            Failing { codes: &codes, repeatable: failure.is_repeatable(), failures: self.tries[op].failures };
        match verdict(&self.plan.operation(op).policies, &failing) {
            pop_policy::Verdict::Ignored { code } => {
                let ignored = Some(code.into());
                RunEvent::OperationSettled { op, outcome: Outcome::Succeeded, ignored, skipped: None }
            }
            pop_policy::Verdict::Retry { delay_ms } if self.may_start(&self.plan, op) => {
                RunEvent::BackedOff { op, until: now.plus(delay_ms) }
            }
            // no new attempt in a run that is being ended; the failure stands
            pop_policy::Verdict::Retry { .. } => settled(op, Outcome::Failed),
            pop_policy::Verdict::Settle(OnFail::Dlq) => settled(op, Outcome::DeadLettered),
            pop_policy::Verdict::Settle(OnFail::Skip) => settled(op, Outcome::Skipped),
            pop_policy::Verdict::Settle(OnFail::Reply | OnFail::Fatal) => settled(op, Outcome::Failed),
        }
    }

    /// What becomes of an operation that cannot be run any more: one that asked for an outcome that did not come
    /// was not to be done; one that needed something is cancelled.
    fn doom(&self, op: OpIx) -> Outcome {
        let mut missed = self.missed(&self.plan, op).peekable();
        let asked = missed.peek().is_some() && missed.all(|edge| !edge.needs.is_met_by_good());
        if asked && self.may_start(&self.plan, op) { Outcome::Skipped } else { Outcome::Cancelled }
    }

    /// Whether the run must now be ended early.
    fn raise(&self, now: RunTime) -> Option<RunEvent> {
        let raised = |reason| Some(RunEvent::CancelRaised { reason, force: false });
        let over = self.options.time_limit_ms.is_some_and(|limit| now.0 >= limit);
        if over && !self.is_ending(CancelReason::TimeLimit) {
            return raised(CancelReason::TimeLimit);
        }
        if self.fatal > 0 && !self.is_ending(CancelReason::Fatal) {
            return raised(CancelReason::Fatal);
        }
        if self.tally.failed > 0 && !self.options.keep_going && self.cancel.is_none() {
            return raised(CancelReason::Failure);
        }
        None
    }

    fn stop_for_cancel(&self) -> Option<RunEvent> {
        let cancel = self.cancel.filter(|_| self.ends_running())?;
        self.launched.iter().find_map(|op| {
            let attempt = self.tries[*op].attempt;
            match self.state[*op] {
                OpState::Launched { .. } if !self.may_start(&self.plan, *op) => {
                    Some(RunEvent::StopAsked { op: *op, attempt, reason: StopReason::Cancelled })
                }
                OpState::Stopping { kill_at: Some(_), .. } if cancel.force => {
                    Some(RunEvent::KillAsked { op: *op, attempt })
                }
                // whoever holds up the commit does not hold up the end of the run
                OpState::Committing { .. } if cancel.force => Some(commit_given_up(*op, attempt)),
                _ => None,
            }
        })
    }

    /// What has become due by now.
    fn due(&self, now: RunTime) -> Option<RunEvent> {
        let (_, op) = self.deadlines.first().filter(|(at, _)| *at <= now).copied()?;
        let attempt = self.tries[op].attempt;
        Some(match self.state[op] {
            OpState::Launched { since, is_pending } => {
                let limits = self.plan.operation(op).policies.limits();
                let over = |limit: Option<u64>| limit.is_some_and(|ms| since.plus(ms) <= now);
                let never = is_pending && over(limits.pending_ms) && !over(limits.run_ms);
                let reason = if never { StopReason::NeverScheduled } else { StopReason::TimedOut };
                RunEvent::StopAsked { op, attempt, reason }
            }
            OpState::Stopping { .. } => RunEvent::KillAsked { op, attempt },
            OpState::Committing { .. } => commit_given_up(op, attempt),
            _ => RunEvent::BackoffEnded { op },
        })
    }

    /// Starts what may start, while there is room; what has asked for something has its room already.
    fn start(&self) -> Option<RunEvent> {
        let is_forced = self.cancel.is_some_and(|cancel| cancel.force);
        if is_forced || self.tally.running + self.asked >= self.options.parallel.max(1) {
            return None;
        }
        if let Some(op) = self.admitted.first() {
            return Some(self.attempt(*op));
        }
        // what holds something goes on before anything else takes what others may want
        let may_hold_more = self.holding.len() < MOST_HOLDING.max(self.options.parallel as usize);
        if let Some(op) = self.able.first().or_else(|| self.coming.first().filter(|_| may_hold_more)) {
            return Some(self.ask(*op));
        }
        let op = *self.ready.first()?;
        let planned = self.plan.operation(op);
        // what cannot be evaluated fails as an attempt that could not be started
        if planned.for_each().is_none()
            && let Some(pattern) = &planned.policies.skip.value
        {
            match self.payload(op).map(|payload| pattern.holds(&payload)) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(decided))) => {
                    let (outcome, skipped) = (Outcome::Skipped, Some(Box::new(decided)));
                    return Some(RunEvent::OperationSettled { op, outcome, ignored: None, skipped });
                }
                Ok(Err(_)) | Err(_) => return Some(self.attempt(op)),
            }
        }
        if planned.is_whole() {
            return Some(match self.split(op) {
                Ok(Some(split)) => RunEvent::PlanGrown { by: op, count: self.count_parts(op, &split) },
                _ => self.attempt(op),
            });
        }
        if planned.policies.is_gated()
            && let Ok(gates) = self.gates_of(op)
            && !gates.is_empty()
        {
            return Some(RunEvent::GatesSet { op, gates: gates.into() });
        }
        Some(self.attempt(op))
    }

    fn attempt(&self, op: OpIx) -> RunEvent {
        RunEvent::AttemptStarted { op, attempt: self.tries[op].attempt + 1 }
    }

    fn finish(&self) -> Option<RunEvent> {
        let tally = self.tally;
        let outcome = if tally.settled() == tally.total() {
            match self.cancel.map(|cancel| cancel.reason) {
                Some(CancelReason::Fatal) => RunOutcome::Fatal,
                Some(CancelReason::TimeLimit) => RunOutcome::TimeLimit,
                Some(CancelReason::Interrupted) => RunOutcome::Interrupted,
                Some(CancelReason::Terminated) => RunOutcome::Terminated,
                Some(CancelReason::Failure) => RunOutcome::Failed,
                None if tally.failed > 0 => RunOutcome::Failed,
                None if tally.dead_lettered > 0 => RunOutcome::DeadLettered,
                None => RunOutcome::Succeeded,
            }
        } else if tally.running == 0 && tally.ready == 0 && tally.gated == 0 && self.deadlines.is_empty() {
            RunOutcome::Stuck
        } else {
            return None;
        };
        Some(RunEvent::RunEnded { outcome })
    }
}

fn commit_given_up(op: OpIx, attempt: u32) -> RunEvent {
    RunEvent::AttemptEnded { op, attempt, ending: Ending::Cancelled }
}

fn settled(op: OpIx, outcome: Outcome) -> RunEvent {
    RunEvent::OperationSettled { op, outcome, ignored: None, skipped: None }
}
