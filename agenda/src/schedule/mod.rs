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
mod dependency;
mod evolve;
mod explain;
mod gates;
mod growth;
mod input;
mod join;
mod parts;
mod reopen;
mod state;
mod table;

pub use explain::Explanation;
pub use input::{Action, Input, Step, Verdict};
pub use state::{Hold, OpState, Tally};

use crate::event::{CancelReason, Ending, EventRecord, RunEvent, RunOptions, RunOutcome, RunTime};
use crate::gate::Gate;
use crate::history::OperationHistory;
use crate::ops::{OpIx, OpMap};
use crate::outcome::Outcome;
use crate::plan::{BindError, BoundPayload, Grown, Plan, Values};
use gates::Gates;
use growth::{Decision, Prepared};
use parts::Parts;
use pop_contract::Progress;
use pop_policy::PatternError;
use serde_json::Value;
use state::Tries;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use table::Table;

/// A plan in motion.
#[derive(Debug, Clone)]
pub struct Scheduler {
    plan: Arc<Plan>,
    options: RunOptions,
    table: Table,
    tries: OpMap<Tries>,
    /// Results that others read, or may read in a run that is resumed.
    results: HashMap<OpIx, Arc<Value>>,
    /// The last progress of operations that reported any.
    progress: HashMap<OpIx, Arc<Progress>>,
    /// What is asked before attempts start, and who has what is shared.
    gates: Gates,
    /// What operations were made into.
    parts: HashMap<OpIx, Parts>,
    /// The history of each operation with `onFail: DLQ` that has begun and not succeeded.
    dead_letters: HashMap<OpIx, OperationHistory>,
    run: Phase,
    cancel: Option<Cancel>,
    agenda_id: Box<str>,
    /// Generators that succeeded and have not grown the plan yet, with the operations that their result was found to
    /// hold; none after a crash.
    growing: BTreeMap<OpIx, Option<Box<Grown>>>,
}

/// The largest plan that is checked after every step of a debug build.
const CHECKED_OPERATIONS: usize = 1_000;

/// The phase of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unstarted,
    Running,
    /// Resumed after it was over; the operations that are done again are not reopened yet.
    Reopening,
    Ended(RunOutcome),
}

/// The run is being ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cancel {
    reason: CancelReason,
    force: bool,
}

/// Why an operation cannot be started, although everything that it waits for is settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum StartError {
    /// A reference has no value.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An expression has none.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// There are no items where there should be.
    #[error("{0}")]
    Items(String),
    /// The payload is not what the type of the operation needs.
    #[error("{0}")]
    Payload(String),
}

impl StartError {
    /// The code of the failure that it is.
    fn code(&self) -> &'static str {
        match self {
            Self::Bind(error) => error.code,
            Self::Items(_) => "reference",
            Self::Pattern(_) => "expression",
            Self::Payload(_) => "payload",
        }
    }
}

impl Scheduler {
    /// A plan at rest. The first input must be [`Input::Begun`], or events of a journal come first.
    pub fn new(plan: impl Into<Arc<Plan>>, options: RunOptions) -> Self {
        let plan = plan.into();
        let count = plan.len();
        let mut scheduler = Self {
            options,
            table: Table::new(count),
            tries: OpMap::filled(count, Tries::default()),
            results: HashMap::new(),
            progress: HashMap::new(),
            gates: Gates::default(),
            parts: HashMap::new(),
            dead_letters: HashMap::new(),
            run: Phase::Unstarted,
            cancel: None,
            agenda_id: plan.identity.id.clone().unwrap_or_default().into(),
            growing: BTreeMap::new(),
            plan,
        };
        let plan = Arc::clone(&scheduler.plan);
        for (op, _) in plan.operations() {
            scheduler.open(op);
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

    fn take(&mut self, now: RunTime, decision: Decision, step: &mut Step) {
        let Decision { event, prepared } = decision;
        let gates =
            event.operation().and_then(|op| Some((op, Arc::clone(&self.gates.passing.get(&op)?.gates))));
        let recorded = EventRecord { at: now, event };
        let payload = match prepared {
            Prepared::Payload(payload) => {
                self.apply(&recorded, Prepared::Nothing);
                Some(payload)
            }
            prepared => {
                self.apply(&recorded, prepared);
                None
            }
        };
        self.actions_of(&recorded.event, payload, &mut step.actions);
        if let Some((op, gates)) = gates.filter(|(op, _)| !self.gates.passing.contains_key(op)) {
            give_back(op, &gates, &recorded.event, &mut step.actions);
        }
        step.events.push(recorded.event);
    }

    /// What the new state owes to the world after an event.
    fn actions_of(&self, event: &RunEvent, payload: Option<BoundPayload>, actions: &mut Vec<Action>) {
        match event {
            RunEvent::GateAsked { op } => {
                let passing = self.gates.passing.get(op);
                let gate = passing.and_then(|passing| passing.gates.get(passing.passed));
                actions.extend(gate.map(|gate| Action::Ask { op: *op, gate: gate.clone() }));
            }
            RunEvent::AttemptStarted { op, attempt } => {
                let (op, attempt) = (*op, *attempt);
                actions.extend(payload.map(|payload| Action::Launch { op, attempt, payload, again: false }));
            }
            RunEvent::RunResumed { .. } => self.actions_of_resume(actions),
            RunEvent::CommitAsked { op, attempt, .. } => {
                actions.push(Action::Commit { op: *op, attempt: *attempt });
            }
            RunEvent::StopAsked { op, attempt, .. } => {
                actions.push(Action::Stop { op: *op, attempt: *attempt, force: false });
            }
            RunEvent::KillAsked { op, attempt } => {
                actions.push(Action::Stop { op: *op, attempt: *attempt, force: true });
            }
            RunEvent::OperationSettled { op, outcome: Outcome::DeadLettered, .. }
            | RunEvent::Joined { op, outcome: Outcome::DeadLettered, .. }
                if self.plan.operation(*op).for_each().is_none() =>
            {
                actions.push(Action::DeadLetter { op: *op });
            }
            _ => {}
        }
    }

    /// What a new executor has to do: follow the attempts that are out, and write dead letters that are missing.
    fn actions_of_resume(&self, actions: &mut Vec<Action>) {
        for op in self.table.launched() {
            let attempt = self.tries[op].attempt;
            if matches!(self.table[op], OpState::Committing { .. }) {
                actions.push(Action::Commit { op, attempt });
                continue;
            }
            if let Some(passing) = self.gates.passing.get(&op) {
                actions.push(Action::Reclaim { op, gates: Arc::clone(&passing.gates) });
            }
            // it was bound before its attempt was launched, and the results that it reads are the same
            let template = |_| BoundPayload::Shared(Arc::clone(&self.plan.operation(op).payload));
            let payload = self.bind(op).unwrap_or_else(template);
            actions.push(Action::Launch { op, attempt, payload, again: true });
        }
        // whoever keeps dead letters knows which are there already
        let is_dead = |state: &OpState| state.outcome() == Some(Outcome::DeadLettered);
        let letters = self.table.iter().filter(|(_, state)| is_dead(state)).map(|(op, _)| op);
        let letters = letters.filter(|op| self.plan.operation(*op).for_each().is_none());
        actions.extend(letters.map(|op| Action::DeadLetter { op }));
    }

    /// The next time at which something is due although nothing happens.
    pub fn deadline(&self) -> Option<RunTime> {
        if self.run != Phase::Running {
            return None;
        }
        let limit =
            self.options.time_limit_ms.filter(|_| !self.is_ending(CancelReason::TimeLimit)).map(RunTime);
        let operation = self.table.first_deadline().map(|(at, _)| at);
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
        &self.table[op]
    }

    /// How many operations are in which state.
    pub fn tally(&self) -> Tally {
        self.table.tally()
    }

    /// The last progress that an operation reported.
    pub fn progress(&self, op: OpIx) -> Option<&Arc<Progress>> {
        self.progress.get(&op)
    }

    /// The payload of an operation with every reference filled. Its dependencies must be settled.
    pub fn payload(&self, op: OpIx) -> Result<Cow<'_, Value>, BindError> {
        self.plan.operation(op).payload.bind(&self.values(op))
    }

    /// The same as a value that outlives the scheduler's borrow, for a launch.
    pub fn bind(&self, op: OpIx) -> Result<BoundPayload, BindError> {
        self.plan.operation(op).payload.bind_shared(&self.values(op))
    }

    fn values(&self, op: OpIx) -> Values<'_> {
        Values {
            agenda_id: &self.agenda_id,
            operation_name: self.plan.operation(op).name.as_str(),
            item: self.item(op),
            results: &self.results,
        }
    }

    /// The history of an operation with `onFail: DLQ` that has begun and not succeeded; none for other operations.
    pub fn dead_letter_history(&self, op: OpIx) -> Option<&OperationHistory> {
        self.dead_letters.get(&op)
    }

    /// Whether an operation may start, as far as the run as a whole goes.
    fn may_start(&self, plan: &Plan, op: OpIx) -> bool {
        self.cancel.is_none_or(|cancel| !cancel.force && plan.operation(op).is_cleanup())
    }

    /// Whether the run is being ended by a signal.
    fn is_interrupted(&self) -> bool {
        self.is_ending(CancelReason::Interrupted)
    }

    fn is_ending(&self, reason: CancelReason) -> bool {
        self.cancel.is_some_and(|cancel| cancel.reason >= reason)
    }

    /// Checks what must always hold; an error says what does not.
    pub fn check(&self) -> Result<(), String> {
        check::check(self)
    }
}

/// What is owed to the world when an operation has left its gates: what it has computed is kept before others may ask.
fn give_back(op: OpIx, gates: &[Gate], event: &RunEvent, actions: &mut Vec<Action>) {
    if let RunEvent::AttemptEnded { attempt, ending: Ending::Succeeded { result }, .. } = event {
        let versions = gates.iter().filter_map(|gate| match gate {
            Gate::Version { name } => Some(name.clone()),
            _ => None,
        });
        let keys: Vec<Box<str>> = versions.collect();
        if !keys.is_empty() {
            actions.push(Action::ConfirmCommit { op, attempt: *attempt, keys });
        }
        let asks = gates.iter().filter_map(|gate| match gate {
            Gate::Cache(ask) if ask.write => Some(ask),
            _ => None,
        });
        actions.extend(asks.map(|ask| Action::Fill { op, ask: Arc::clone(ask), result: Arc::clone(result) }));
    }
    actions.push(Action::Release { op });
}
