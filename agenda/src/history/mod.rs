//! The history of a run: a fold over its events. `pop show`, `pop explain`, published progress and reports read it.
//!
//! *Guarantee.* After every event it agrees with the scheduler about each operation's outcome, attempts and waits.

mod admission;
mod operation;

pub use admission::{Admission, GateHolder, GateWait};
pub use operation::{
    Attempt, Backoff, FailedStart, OperationHistory, ReplayedLetter, ReusedResult, StopRequest,
};

use crate::event::{Ending, EventRecord, PriorOutcome, RunEvent, RunOptions, RunOutcome, RunTime};
use crate::exact_value::is_exactly;
use crate::gate::Gate;
use crate::ops::{OpIx, OpMap};
use crate::outcome::Outcome;
use crate::plan::{Plan, PlannedOperation};
use crate::reuse::{NamedFile, ParentRun};
use pop_contract::Millis;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Everything that happened in a run.
#[derive(Debug, Clone)]
pub struct History {
    /// Id of the run.
    pub run: Box<str>,
    /// Wall-clock time at which the run began, in epoch milliseconds.
    pub started: Millis,
    /// The run whose unchanged results this run reuses; none unless the run is a rerun.
    pub parent: Option<Box<ParentRun>>,
    /// The executors of the run, oldest first: one, and one more for each time that the run was resumed.
    pub executors: Vec<ExecutorPeriod>,
    /// Time and outcome of the end of the run; none while it runs, also after a resume.
    pub ended: Option<(RunTime, RunOutcome)>,
    /// Time of the latest event.
    pub last: RunTime,
    operations: OpMap<OperationHistory>,
    /// The operation of this run that holds each lock, or is the first to wait for it.
    lock_holders: HashMap<Box<str>, OpIx>,
    /// Whether successes are stored without attempts and waits.
    forgets_successes: bool,
    latest: LatestValues,
}

/// The latest values of attempts; equal ones of later attempts share their memory.
#[derive(Debug, Clone, Default)]
struct LatestValues {
    result: Arc<Value>,
    named_files: Arc<[NamedFile]>,
}

impl LatestValues {
    fn share_with(&mut self, attempt: &mut Attempt) {
        if let Some((_, Ending::Succeeded { result })) = &mut attempt.ended {
            share(&mut self.result, result, is_exactly);
        }
        share(&mut self.named_files, &mut attempt.named_files, <[NamedFile]>::eq);
    }
}

fn share<T: ?Sized>(latest: &mut Arc<T>, own: &mut Arc<T>, is_equal: fn(&T, &T) -> bool) {
    if Arc::ptr_eq(latest, own) || is_equal(latest, own) {
        own.clone_from(latest);
    } else {
        latest.clone_from(own);
    }
}

/// The time in which one executor drove the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecutorPeriod {
    /// Time of its first event.
    pub from: RunTime,
    /// Time of its last event; none unless another executor followed.
    pub until: Option<RunTime>,
    /// Maximum number of operations that it ran at once.
    pub parallel: u32,
}

impl History {
    /// The empty history of a run with `count` operations.
    pub fn new(count: usize) -> Self {
        Self {
            run: Box::default(),
            started: 0,
            parent: None,
            executors: Vec::new(),
            ended: None,
            last: RunTime(0),
            operations: OpMap::filled(count, OperationHistory::default()),
            lock_holders: HashMap::new(),
            forgets_successes: false,
            latest: LatestValues::default(),
        }
    }

    /// From now on, operations that succeed are stored without attempts and waits: enough for the summary of a run, in
    /// less memory.
    pub fn forget_successes(&mut self) {
        self.forgets_successes = true;
    }

    /// Folds events into a history. `count` is the number of operations that the agenda itself has.
    pub fn of<'e>(count: usize, events: impl IntoIterator<Item = &'e EventRecord>) -> Self {
        let mut history = Self::new(count);
        for recorded in events {
            history.add(recorded);
        }
        history
    }

    /// The history of one operation.
    pub fn operation(&self, op: OpIx) -> &OperationHistory {
        &self.operations[op]
    }

    /// The histories of all operations, in the order of the plan.
    pub fn operations(&self) -> impl Iterator<Item = &OperationHistory> {
        self.operations.values()
    }

    /// The results that operations may read: those of successes, and null of skipped operations.
    pub fn results(&self, plan: &Plan) -> HashMap<OpIx, Arc<Value>> {
        let result = |(op, planned): (OpIx, &PlannedOperation)| {
            let seen = self.operation(op);
            let is_skipped = seen.outcome() == Some(Outcome::Skipped);
            let result = seen.result().cloned().or_else(|| is_skipped.then(Arc::default));
            Some((op, result.filter(|_| planned.is_read)?))
        };
        plan.operations().filter_map(result).collect()
    }

    /// Converts a time of the run to wall-clock time in epoch milliseconds.
    pub fn wall(&self, at: RunTime) -> Millis {
        self.started.saturating_add(at.0)
    }

    /// Adds one event.
    pub fn add(&mut self, recorded: &EventRecord) {
        let at = recorded.at;
        let before = std::mem::replace(&mut self.last, at);
        match &recorded.event {
            RunEvent::RunStarted { run, started, options, adopted, parent, .. } => {
                self.start_executor(at, options);
                self.parent.clone_from(parent);
                self.run.clone_from(run);
                self.started = *started;
                self.adopt(adopted, at);
            }
            RunEvent::RunResumed { options } => {
                if let Some(executor) = self.executors.last_mut() {
                    executor.until = Some(before);
                }
                self.start_executor(at, options);
                self.ended = None;
                for history in self.operations.values_mut() {
                    history.resume(at);
                }
                // a running attempt keeps its locks; other operations request theirs again
                let operations = &self.operations;
                self.lock_holders.retain(|_, op| operations[*op].open_attempt().is_some());
            }
            RunEvent::RunReopened { ops } => {
                for op in ops {
                    self.operations[*op].reopen(at);
                }
            }
            RunEvent::PlanGrown { count, adopted, .. } => {
                for _ in 0..*count {
                    self.operations.push(OperationHistory::default());
                }
                self.adopt(adopted, at);
            }
            RunEvent::RunEnded { outcome } => self.ended = Some((at, *outcome)),
            RunEvent::CancelRaised { .. } => {}
            event => {
                if let Some(op) = event.operation() {
                    let operation = &mut self.operations[op];
                    operation.add(at, event);
                    if let RunEvent::AttemptEnded { .. } = event
                        && let Some(attempt) = operation.attempts.last_mut()
                    {
                        self.latest.share_with(attempt);
                    }
                    self.follow_locks(op, event);
                    if self.forgets_successes {
                        self.operations[op].forget_success();
                    }
                }
            }
        }
    }

    fn start_executor(&mut self, from: RunTime, options: &RunOptions) {
        self.executors.push(ExecutorPeriod { from, until: None, parallel: options.parallel });
    }

    fn adopt(&mut self, adopted: &[PriorOutcome], at: RunTime) {
        for adopted in adopted {
            let history = &mut self.operations[adopted.op];
            history.adopted.clone_from(&adopted.result);
            history.settled = adopted.result.is_some().then_some((at, Outcome::Succeeded));
        }
    }

    /// Updates `lock_holders` after an event of an operation, and the holder in its wait.
    fn follow_locks(&mut self, op: OpIx, event: &RunEvent) {
        let Some(admission) = self.operations[op].admissions.last_mut() else { return };
        if admission.closed.is_some() {
            for gate in admission.gates.iter() {
                if let Gate::Lock { name } = gate
                    && self.lock_holders.get(name) == Some(&op)
                {
                    self.lock_holders.remove(name);
                }
            }
            return;
        }
        let Some(Gate::Lock { name }) = admission.current() else { return };
        match event {
            // only the operation whose turn it is sends a request
            RunEvent::GateAsked { .. } => drop(self.lock_holders.insert(name.clone(), op)),
            event if reaches_next_gate(event) => {
                let holder = *self.lock_holders.entry(name.clone()).or_insert(op);
                if holder != op {
                    admission.set_holder(GateHolder::Operation(holder));
                }
            }
            _ => {}
        }
    }
}

fn reaches_next_gate(event: &RunEvent) -> bool {
    match event {
        RunEvent::GatesSet { .. } => true,
        RunEvent::GateAnswered { answer, .. } => answer.passes(),
        _ => false,
    }
}
