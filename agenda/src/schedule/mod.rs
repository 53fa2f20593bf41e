//! The schedule: a plan in motion, as a value.
//!
//! *Guarantees.* State changes only in [`Scheduler::evolve`]; the same events give the same state, whether they
//! come from [`Scheduler::step`] or from a journal. Every event of a step is decided before any action of it is
//! due, so a driver that records, reports and then acts is never ahead of its journal.
//!
//! *Assumptions.* Time given to `step` never goes back. Each launched attempt ends in an [`Input::Ended`] or an
//! [`Input::Lost`], sooner or later; inputs of attempts that are over are ignored.

mod check;
mod decide;
mod evolve;
mod explain;
mod input;
mod state;

pub use explain::Explanation;
pub use input::{Action, Input, Step, Verdict};
pub use state::{OpState, Tally};

use crate::event::{CancelReason, Recorded, RunEvent, RunOptions, RunOutcome, RunTime};
use crate::ops::{OpIx, OpMap};
use crate::plan::{BindError, Plan};
use pop_registry::contract::Progress;
use serde_json::Value;
use state::Tries;
use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// A plan in motion.
#[derive(Debug, Clone)]
pub struct Scheduler {
    plan: Arc<Plan>,
    options: RunOptions,
    /// The one table: each operation is in exactly one state.
    state: OpMap<OpState>,
    tries: OpMap<Tries>,
    /// Results that others read, or may read in a run that is resumed.
    results: HashMap<OpIx, Arc<Value>>,
    /// The last progress of operations that reported any.
    progress: HashMap<OpIx, Arc<Progress>>,
    run: Phase,
    cancel: Option<Cancel>,
    agenda_id: Box<str>,

    // Views of the table, kept by `evolve::set` alone.
    ready: BTreeSet<OpIx>,
    deadlines: BTreeSet<(RunTime, OpIx)>,
    launched: BTreeSet<OpIx>,
    judging: BTreeSet<OpIx>,
    /// Operations to be settled as cancelled, because something they need failed or the run is ending.
    doomed: BTreeSet<OpIx>,
    /// Operations whose failure ends the run at once.
    fatal: u32,
    tally: Tally,
}

/// The largest plan that is checked after every step of a debug build.
const CHECKED_OPERATIONS: usize = 1_000;

/// How far the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unstarted,
    Under,
    Ended(RunOutcome),
}

/// The run is being ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cancel {
    reason: CancelReason,
    force: bool,
}

impl Scheduler {
    /// A plan at rest. The first input must be [`Input::Begun`], or events of a journal come first.
    pub fn new(plan: impl Into<Arc<Plan>>, options: RunOptions) -> Self {
        let plan = plan.into();
        let count = plan.len();
        let mut scheduler = Self {
            options,
            state: OpMap::filled(count, OpState::Waiting { unmet: 0 }),
            tries: OpMap::filled(count, Tries::default()),
            results: HashMap::new(),
            progress: HashMap::new(),
            run: Phase::Unstarted,
            cancel: None,
            agenda_id: plan.identity.id.clone().unwrap_or_default().into(),
            ready: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            launched: BTreeSet::new(),
            judging: BTreeSet::new(),
            doomed: BTreeSet::new(),
            fatal: 0,
            tally: Tally { waiting: count as u32, ..Tally::default() },
            plan,
        };
        for op in scheduler.plan.clone().operations().map(|(op, _)| op) {
            let unmet = scheduler.plan.graph().dependencies(op).len() as u32;
            scheduler.set(op, if unmet == 0 { OpState::Ready } else { OpState::Waiting { unmet } });
        }
        scheduler
    }

    /// Takes in what happened, and says what is now true and what is to be done.
    pub fn step(&mut self, now: RunTime, input: Input) -> Step {
        let mut step = Step::default();
        if let Some(event) = self.fact(input) {
            self.take(now, event, &mut step);
        }
        while let Some(event) = self.decide(now) {
            self.take(now, event, &mut step);
        }
        debug_assert!(self.plan.len() > CHECKED_OPERATIONS || self.check() == Ok(()), "{:?}", self.check());
        step
    }

    fn take(&mut self, now: RunTime, event: RunEvent, step: &mut Step) {
        let recorded = Recorded { at: now, event };
        self.evolve(&recorded);
        self.actions_of(&recorded.event, &mut step.actions);
        step.events.push(recorded.event);
    }

    /// What the new state owes to the world after an event.
    fn actions_of(&self, event: &RunEvent, actions: &mut Vec<Action>) {
        match event {
            RunEvent::AttemptStarted { op, attempt } => {
                actions.push(Action::Launch { op: *op, attempt: *attempt, again: false });
            }
            RunEvent::RunResumed { .. } => {
                actions.extend(self.launched.iter().map(|op| Action::Launch {
                    op: *op,
                    attempt: self.tries[*op].attempt,
                    again: true,
                }));
            }
            RunEvent::StopAsked { op, attempt, .. } => {
                actions.push(Action::Stop { op: *op, attempt: *attempt, force: false });
            }
            RunEvent::KillAsked { op, attempt } => {
                actions.push(Action::Stop { op: *op, attempt: *attempt, force: true });
            }
            _ => {}
        }
    }

    /// The next time at which something is due although nothing happens.
    pub fn deadline(&self) -> Option<RunTime> {
        if self.run != Phase::Under {
            return None;
        }
        let limit =
            self.options.time_limit_ms.filter(|_| !self.is_ending(CancelReason::TimeLimit)).map(RunTime);
        let operation = self.deadlines.first().map(|(at, _)| *at);
        [limit, operation].into_iter().flatten().min()
    }

    /// What became of the run, once it has ended.
    pub fn outcome(&self) -> Option<RunOutcome> {
        match self.run {
            Phase::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Whether the run has begun.
    pub fn has_begun(&self) -> bool {
        self.run != Phase::Unstarted
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How the run is to go.
    pub fn options(&self) -> &RunOptions {
        &self.options
    }

    /// The state of one operation.
    pub fn state(&self, op: OpIx) -> &OpState {
        &self.state[op]
    }

    /// How many operations are in which state.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// The last progress that an operation reported.
    pub fn progress(&self, op: OpIx) -> Option<&Arc<Progress>> {
        self.progress.get(&op)
    }

    /// The payload of an operation with every reference filled. Its dependencies must be settled.
    pub fn payload(&self, op: OpIx) -> Result<Cow<'_, Value>, BindError> {
        let planned = self.plan.operation(op);
        planned.payload.bind(&crate::plan::Values {
            agenda_id: &self.agenda_id,
            operation_name: planned.name.as_str(),
            result: &|op| self.results.get(&op).map(Arc::as_ref),
        })
    }

    fn is_ending(&self, reason: CancelReason) -> bool {
        self.cancel.is_some_and(|cancel| cancel.reason >= reason)
    }

    /// Checks what must always hold; an error says what does not.
    pub fn check(&self) -> Result<(), String> {
        check::check(self)
    }
}
