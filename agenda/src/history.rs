//! What happened, told from events: each operation's attempts, times, result. `show`, `explain` and reports read it.

use crate::event::{CancelReason, Ending, Recorded, RunEvent, RunOutcome, RunTime};
use crate::gate::{Answer, Gate};
use crate::ops::{OpIx, OpMap};
use crate::outcome::Outcome;
use pop_policy::Decided;
use pop_registry::contract::{Exit, Failure, Millis, Progress};
use serde_json::Value;
use std::sync::Arc;

/// One attempt at an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it was launched.
    pub started: RunTime,
    /// When it ended, and how; none while it runs.
    pub ended: Option<(RunTime, Ending)>,
    /// How its program ended, if that was learnt after it had been given up.
    pub late: Option<Exit>,
}

/// What had to be granted before an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Gates {
    /// What, in order.
    pub gates: Arc<[Gate]>,
    /// What was said, and when.
    pub answers: Vec<(RunTime, Answer)>,
}

/// What happened to one operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OperationHistory {
    /// Its attempts, in order.
    pub attempts: Vec<Attempt>,
    /// Its result in an earlier run, which was taken over.
    pub adopted: Option<Arc<Value>>,
    /// Its last progress.
    pub progress: Option<Arc<Progress>>,
    /// What had to be granted before its last attempt, and each answer with its time.
    pub gates: Option<Gates>,
    /// What its parts came to, or what the cache had.
    pub joined: Option<Ending>,
    /// The `skipPattern` that held.
    pub skipped: Option<Box<Decided>>,
    /// Its outcome and when it was settled; none until then.
    pub settled: Option<(RunTime, Outcome)>,
    /// The code that `ignoreErrors` let pass.
    pub ignored: Option<Box<str>>,
}

impl OperationHistory {
    /// Its outcome, once it has one.
    pub fn outcome(&self) -> Option<Outcome> {
        self.settled.map(|(_, outcome)| outcome)
    }

    /// Its result, if it succeeded.
    pub fn result(&self) -> Option<&Arc<Value>> {
        let own = self.attempts.iter().rev().find_map(|attempt| match &attempt.ended {
            Some((_, Ending::Succeeded { result })) => Some(result),
            _ => None,
        });
        let joined = match &self.joined {
            Some(Ending::Succeeded { result }) => Some(result),
            _ => None,
        };
        own.or(joined).or(self.adopted.as_ref())
    }

    /// Whether it counts as succeeded although its last attempt failed; then its result is an empty map.
    pub fn is_ignored(&self) -> bool {
        self.ignored.is_some()
    }

    /// Why its last attempt failed, if that is how it ended.
    pub fn failure(&self) -> Option<&Failure> {
        if let Some((_, Answer::Failed(failure))) = self.gates.as_ref().and_then(|gates| gates.answers.last())
        {
            return Some(failure);
        }
        let last = self.attempts.last().and_then(|attempt| attempt.ended.as_ref()).map(|(_, ending)| ending);
        match self.joined.as_ref().or(last)? {
            Ending::Failed(failure) => Some(failure),
            _ => None,
        }
    }

    /// When its first attempt was launched.
    pub fn started(&self) -> Option<RunTime> {
        self.attempts.first().map(|attempt| attempt.started)
    }

    /// When it was settled, if it was ever launched.
    pub fn completed(&self) -> Option<RunTime> {
        self.started()?;
        self.settled.map(|(at, _)| at)
    }
}

/// What happened in a run.
#[derive(Debug, Clone)]
pub struct History {
    /// The run.
    pub run: Box<str>,
    /// When it began, by the wall clock.
    pub started: Millis,
    /// How often it was resumed.
    pub resumed: u32,
    /// When it ended and how, if it has.
    pub ended: Option<(RunTime, RunOutcome)>,
    /// The time of the last event.
    pub last: RunTime,
    operations: OpMap<OperationHistory>,
    is_interrupted: bool,
}

impl History {
    /// A run of `count` operations of which nothing is known yet.
    pub fn new(count: usize) -> Self {
        Self {
            run: Box::default(),
            started: 0,
            resumed: 0,
            ended: None,
            last: RunTime(0),
            operations: OpMap::filled(count, OperationHistory::default()),
            is_interrupted: false,
        }
    }

    /// The history that some events tell.
    pub fn of<'e>(count: usize, events: impl IntoIterator<Item = &'e Recorded>) -> Self {
        let mut history = Self::new(count);
        for recorded in events {
            history.add(recorded);
        }
        history
    }

    /// What happened to an operation.
    pub fn operation(&self, op: OpIx) -> &OperationHistory {
        &self.operations[op]
    }

    /// A time of the run by the wall clock.
    pub fn wall(&self, at: RunTime) -> Millis {
        self.started.saturating_add(at.0)
    }

    /// Adds one event.
    pub fn add(&mut self, recorded: &Recorded) {
        let at = recorded.at;
        self.last = at;
        match &recorded.event {
            RunEvent::RunStarted { run, started, adopted, .. } => {
                self.run.clone_from(run);
                self.started = *started;
                for adopted in adopted {
                    let history = &mut self.operations[adopted.op];
                    history.adopted.clone_from(&adopted.result);
                    history.settled = adopted.result.is_some().then_some((at, Outcome::Succeeded));
                }
            }
            RunEvent::RunResumed { .. } => {
                self.resumed += 1;
                // a run that was over is open again where it did not end well
                if self.ended.take().is_some() | std::mem::take(&mut self.is_interrupted) {
                    for history in self.operations.values_mut() {
                        let is_open = |of: Outcome| matches!(of, Outcome::Failed | Outcome::Cancelled);
                        if history.settled.take_if(|(_, outcome)| is_open(*outcome)).is_some() {
                            history.joined = None;
                        }
                    }
                }
            }
            RunEvent::PlanGrown { count, .. } => {
                for _ in 0..*count {
                    self.operations.push(OperationHistory::default());
                }
            }
            RunEvent::GatesSet { op, gates } => {
                self.operations[*op].gates = Some(Gates { gates: Arc::clone(gates), answers: Vec::new() });
            }
            RunEvent::GateAnswered { op, answer } => {
                let history = &mut self.operations[*op];
                if let Answer::Hit { result, .. } = answer {
                    history.joined = Some(Ending::Succeeded { result: Arc::clone(result) });
                    history.settled = Some((at, Outcome::FromCache));
                }
                if let Some(gates) = &mut history.gates {
                    gates.answers.push((at, answer.clone()));
                }
            }
            RunEvent::Joined { op, ending, outcome } => {
                let history = &mut self.operations[*op];
                history.joined = Some(ending.clone());
                history.settled = Some((at, *outcome));
            }
            RunEvent::AttemptStarted { op, attempt } => {
                let history = &mut self.operations[*op];
                history.settled = None;
                history.attempts.push(Attempt { number: *attempt, started: at, ended: None, late: None });
            }
            RunEvent::ProgressReported { op, progress, .. } => {
                self.operations[*op].progress = Some(Arc::clone(progress));
            }
            RunEvent::AttemptEnded { op, ending, .. } => {
                let history = &mut self.operations[*op];
                if let Some(attempt) = history.attempts.last_mut() {
                    attempt.ended = Some((at, ending.clone()));
                }
                if matches!(ending, Ending::Succeeded { .. }) {
                    history.settled = Some((at, Outcome::Succeeded));
                }
            }
            RunEvent::LateEnding { op, attempt, exit } => {
                let attempts = self.operations[*op].attempts.iter_mut();
                if let Some(attempt) = attempts.rev().find(|known| known.number == *attempt) {
                    attempt.late = Some(*exit);
                }
            }
            RunEvent::OperationSettled { op, outcome, ignored, skipped } => {
                let history = &mut self.operations[*op];
                history.skipped.clone_from(skipped);
                history.settled = Some((at, *outcome));
                history.ignored.clone_from(ignored);
            }
            RunEvent::RunEnded { outcome } => self.ended = Some((at, *outcome)),
            RunEvent::GateAsked { .. }
            | RunEvent::AttemptRunning { .. }
            | RunEvent::StopAsked { .. }
            | RunEvent::KillAsked { .. }
            | RunEvent::CommitAsked { .. }
            | RunEvent::BackedOff { .. }
            | RunEvent::BackoffEnded { .. } => {}
            RunEvent::CancelRaised { reason, .. } => {
                self.is_interrupted |= *reason >= CancelReason::Interrupted;
            }
        }
    }
}
