//! The scheduler of a run, as a value without IO.
//!
//! *Guarantees.* State changes only in [`Scheduler::evolve`]; the same events give the same state, whether they
//! come from [`Scheduler::step`] or from a journal. A step returns its events before its actions are done, so a driver
//! that records, publishes and then acts is never ahead of its journal.
//!
//! *Assumptions.* The time that `step` gets never goes back. Each launched attempt ends in an [`Input::Ended`] or an
//! [`Input::Lost`], sooner or later; inputs of attempts that are over are ignored.

mod check;
mod condition;
mod decide;
mod dependency;
mod evolve;
mod explain;
mod files;
mod gates;
mod growth;
mod input;
mod join;
mod line;
mod parts;
mod prior;
mod reopen;
mod resource_waits;
mod resources;
mod reuse;
mod state;
mod table;
mod time_limits;

pub use explain::Explanation;
pub use input::{Action, Input, Step, Verdict};
pub use resource_waits::{ResourceWait, resource_waits};
pub use resources::Shortage;
pub use state::{Commit, Hold, OpState, Tally};

use crate::event::{CancelReason, Ending, EventRecord, RunEvent, RunOptions, RunOutcome, RunTime};
use crate::gate::Gate;
use crate::history::OperationHistory;
use crate::ops::{OpIx, OpMap};
use crate::outcome::Outcome;
use crate::plan::{BindError, BoundPayload, Grown, Payload, Plan, Referent, Values};
use gates::Gates;
use growth::{Decision, Prepared};
use parts::Parts;
use pop_contract::{Failure, Millis, Progress};
use pop_policy::{PatternError, Resources};
use prior::Prior;
use reuse::Reuse;
use serde_json::{Value, json};
use state::AttemptCounts;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use table::Table;
use time_limits::TimeLimits;

/// The state of a run.
#[derive(Debug, Clone)]
pub struct Scheduler {
    plan: Arc<Plan>,
    options: RunOptions,
    table: Table,
    tries: OpMap<AttemptCounts>,
    /// Results that other operations read, or may read after a resume.
    results: HashMap<OpIx, Arc<Value>>,
    /// Last reported progress by operation.
    progress: HashMap<OpIx, Arc<Progress>>,
    /// Gates of attempts and their holders.
    gates: Gates,
    /// Instances and calls by operation.
    parts: HashMap<OpIx, Parts>,
    /// Last failures of operations whose failure only counts for their item.
    failures: HashMap<OpIx, Box<Failure>>,
    /// History of each operation with `onFail: DLQ` that has begun and not succeeded.
    dead_letters: HashMap<OpIx, OperationHistory>,
    /// Time limits over more than one state.
    time_limits: TimeLimits,
    /// Outcomes of an earlier run.
    prior: Prior,
    /// Parent of a rerun.
    reuse: Option<Box<Reuse>>,
    /// Results of replayed dead letters that the operations have not got yet.
    replayed: BTreeMap<OpIx, Arc<Value>>,
    run: Phase,
    cancel: Option<Cancel>,
    agenda_id: Box<str>,
    /// Name of the run.
    name: Box<str>,
    /// Start of the run by the wall clock, in epoch milliseconds.
    started: Millis,
    /// Generators that succeeded and have not added their operations yet, with these operations; none after a crash,
    /// when they are computed again.
    growing: BTreeMap<OpIx, Option<Box<Grown>>>,
}

/// Largest plan that debug builds check after every step.
const CHECKED_OPERATIONS: usize = 1_000;

/// The phase of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unstarted,
    Running,
    /// A finished run was resumed and its operations are not reopened yet.
    Reopening,
    Ended(RunOutcome),
}

/// The early end of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cancel {
    reason: CancelReason,
    force: bool,
}

/// Reason why an operation cannot start although its dependencies are settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum StartError {
    /// A reference has no usable value.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// An expression cannot be evaluated.
    #[error(transparent)]
    Pattern(#[from] PatternError),
    /// The value of `forEach` is not a list.
    #[error("{0}")]
    Items(String),
    /// The payload does not fit the type of the operation.
    #[error("{0}")]
    Payload(String),
    /// The operation needs more resources than the run has.
    #[error("{0}")]
    Resources(String),
}

impl StartError {
    /// The failure code.
    fn code(&self) -> &'static str {
        match self {
            Self::Bind(error) => error.code,
            Self::Items(_) => "reference",
            Self::Pattern(_) => "expression",
            Self::Payload(_) => "payload",
            Self::Resources(_) => "resources-exceeded",
        }
    }
}

impl Scheduler {
    /// A scheduler that has not begun. The first input must be [`Input::Begun`], unless events of a journal come first.
    pub fn new(plan: impl Into<Arc<Plan>>, options: RunOptions) -> Self {
        let plan = plan.into();
        let count = plan.len();
        let mut scheduler = Self {
            options,
            table: Table::new(count),
            tries: OpMap::filled(count, AttemptCounts::default()),
            results: HashMap::new(),
            progress: HashMap::new(),
            gates: Gates::default(),
            parts: HashMap::new(),
            failures: HashMap::new(),
            dead_letters: HashMap::new(),
            time_limits: TimeLimits::default(),
            prior: Prior::default(),
            reuse: None,
            replayed: BTreeMap::new(),
            run: Phase::Unstarted,
            cancel: None,
            agenda_id: plan.identity.id.clone().unwrap_or_default().into(),
            name: Box::default(),
            started: 0,
            growing: BTreeMap::new(),
            plan,
        };
        let plan = Arc::clone(&scheduler.plan);
        for (op, _) in plan.operations() {
            scheduler.open(op);
        }
        scheduler
    }

    /// Processes an input and returns the events to record and the actions to do.
    pub fn step(&mut self, now: RunTime, input: Input) -> Step {
        let mut step = Step::default();
        if let Some(event) = self.fact(input) {
            self.take(now, event, &mut step);
        }
        while let Some(event) = self.decide(now) {
            self.take(now, event, &mut step);
        }
        // a second cancellation gives up a commit in the step that requested it
        step.actions.retain(|action| match action {
            Action::Commit { op, .. } => matches!(self.table[*op], OpState::Committing(_)),
            _ => true,
        });
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
            release(op, &gates, &recorded.event, &mut step.actions);
        }
        step.events.push(recorded.event);
    }

    /// Adds the actions that follow from an event.
    fn actions_of(&self, event: &RunEvent, payload: Option<BoundPayload>, actions: &mut Vec<Action>) {
        match event {
            RunEvent::GateAsked { op } => {
                actions.extend(self.gate(*op).map(|gate| Action::Ask { op: *op, gate: gate.clone() }));
            }
            RunEvent::AttemptStarted { op, attempt } => {
                let (op, attempt) = (*op, *attempt);
                actions.extend(payload.map(|payload| Action::Launch { op, attempt, payload, again: false }));
            }
            RunEvent::RunResumed { .. } => self.actions_of_resume(actions),
            // the results are in the journal now
            RunEvent::RunReopened { ops } => {
                let is_over = |op: &&OpIx| self.table[**op].outcome() == Some(Outcome::Succeeded);
                actions.extend(ops.iter().filter(is_over).map(|op| Action::RemoveDeadLetter { op: *op }));
            }
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
                if self.has_dead_letter(*op) =>
            {
                actions.push(Action::DeadLetter { op: *op });
            }
            _ => {}
        }
    }

    /// Adds the actions of a new executor: follow running attempts and write missing dead letters.
    fn actions_of_resume(&self, actions: &mut Vec<Action>) {
        for op in self.table.launched() {
            let attempt = self.tries[op].attempt;
            if matches!(self.table[op], OpState::Committing(_)) {
                actions.push(Action::Commit { op, attempt });
                continue;
            }
            if let Some(passing) = self.gates.passing.get(&op) {
                let (gates, key) = (Arc::clone(&passing.gates), passing.missed.clone());
                actions.push(Action::Reclaim { op, gates, key });
            }
            // it was bound before the launch, and the results that it reads have not changed
            let template = |_| BoundPayload::Shared(Arc::clone(&self.plan.operation(op).payload));
            let payload = self.bind(op).unwrap_or_else(template);
            actions.push(Action::Launch { op, attempt, payload, again: true });
        }
        // the executor skips dead letters that exist already
        let is_dead = |state: &OpState| state.outcome() == Some(Outcome::DeadLettered);
        let letters = self.table.iter().filter(|(_, state)| is_dead(state)).map(|(op, _)| op);
        let letters = letters.filter(|op| self.has_dead_letter(*op));
        actions.extend(letters.map(|op| Action::DeadLetter { op }));
    }

    /// Whether a dead letter is written for an operation itself, not only for its items.
    fn has_dead_letter(&self, op: OpIx) -> bool {
        let planned = self.plan.operation(op);
        planned.for_each().is_none() && planned.body().is_none()
    }

    /// The next time at which the scheduler needs [`Input::Ticked`]; none if it waits only for other inputs.
    pub fn deadline(&self) -> Option<RunTime> {
        if self.run != Phase::Running {
            return None;
        }
        let limit = self.run_limit().map(|(at, _)| at);
        limit.into_iter().chain(self.next_deadline()).min()
    }

    /// The next time limit of an operation.
    fn next_deadline(&self) -> Option<RunTime> {
        let of_states = self.table.first_deadline().map(|(at, _)| at);
        of_states.into_iter().chain(self.time_limits.next()).min()
    }

    /// The outcome of the run, once it has ended.
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

    /// The options of the run.
    pub fn options(&self) -> &RunOptions {
        &self.options
    }

    /// The state of one operation.
    pub fn state(&self, op: OpIx) -> &OpState {
        &self.table[op]
    }

    /// The resources that an attempt of `op` holds while it runs; none if it needs nothing. Amounts of references in its
    /// payload are known once it is ready.
    pub fn needs(&self, op: OpIx) -> Option<&Resources> {
        self.table.need(op, self.plan.operation(op)).map(Arc::as_ref)
    }

    /// The number of operations in each state.
    pub fn tally(&self) -> Tally {
        self.table.tally()
    }

    /// The last progress that an operation reported.
    pub fn progress(&self, op: OpIx) -> Option<&Arc<Progress>> {
        self.progress.get(&op)
    }

    /// The payload of an operation after its references were replaced. The dependencies must be settled.
    pub fn payload(&self, op: OpIx) -> Result<Cow<'_, Value>, BindError> {
        let payload = &self.plan.operation(op).payload;
        let (run, items) = (self.run_so_far(payload), self.items_around(op, payload));
        payload.bind(&Values { run: run.as_ref(), items: items.as_ref(), ..self.values(op) })
    }

    /// The same payload with these results in place of those that the scheduler still has.
    pub(crate) fn payload_from(
        &self,
        op: OpIx,
        results: &HashMap<OpIx, Arc<Value>>,
    ) -> Result<Value, BindError> {
        let payload = &self.plan.operation(op).payload;
        let (run, items) = (self.run_so_far(payload), self.items_around(op, payload));
        let values = Values { run: run.as_ref(), items: items.as_ref(), results, ..self.values(op) };
        Ok(payload.bind(&values)?.into_owned())
    }

    /// The same payload, as an owned value for a launch.
    pub fn bind(&self, op: OpIx) -> Result<BoundPayload, BindError> {
        let payload = &self.plan.operation(op).payload;
        let (run, items) = (self.run_so_far(payload), self.items_around(op, payload));
        payload.bind_shared(&Values { run: run.as_ref(), items: items.as_ref(), ..self.values(op) })
    }

    /// Replaces the references of a value that belongs to `op` and is not its payload.
    fn fill(&self, op: OpIx, value: &Payload) -> Result<Value, BindError> {
        let items = self.items_around(op, value);
        Ok(value.bind(&Values { items: items.as_ref(), ..self.values(op) })?.into_owned())
    }

    /// The value of `pop.run` for a payload that refers to it.
    fn run_so_far(&self, payload: &Payload) -> Option<Value> {
        payload.reads(Referent::Run).then(|| {
            let names = |outcome| -> Vec<&str> {
                let with = self.table.iter().filter(|(_, state)| state.outcome() == Some(outcome));
                with.map(|(op, _)| self.plan.operation(op).name.as_str()).collect()
            };
            let identity = &self.plan.identity;
            json!({
                "run": self.name,
                "agenda": identity.title.as_ref().or(identity.id.as_ref()),
                "outcome": self.outcome_so_far().word(),
                "failed": names(Outcome::Failed),
                "deadLettered": names(Outcome::DeadLettered),
                "startedTime": self.started,
            })
        })
    }

    fn values(&self, op: OpIx) -> Values<'_> {
        Values {
            agenda_id: &self.agenda_id,
            operation_name: self.plan.operation(op).name.as_str(),
            item: self.item(op),
            items: None,
            inputs: self.inputs(op),
            run: None,
            results: &self.results,
            from: Some((&self.plan, op)),
        }
    }

    /// The history of an operation with `onFail: DLQ` that has begun and not succeeded; none for other operations.
    pub fn dead_letter_history(&self, op: OpIx) -> Option<&OperationHistory> {
        self.dead_letters.get(&op)
    }

    /// Whether the state of the run allows an operation to start.
    fn may_start(&self, plan: &Plan, op: OpIx) -> bool {
        self.cancel.is_none_or(|cancel| !cancel.force && plan.operation(op).is_cleanup())
    }

    /// Whether a signal is ending the run.
    fn is_interrupted(&self) -> bool {
        self.is_ending(CancelReason::Interrupted)
    }

    fn is_ending(&self, reason: CancelReason) -> bool {
        self.cancel.is_some_and(|cancel| cancel.reason >= reason)
    }

    /// Checks the invariants; an error names the broken one.
    pub fn check(&self) -> Result<(), String> {
        check::check(self)
    }
}

/// Adds the actions after an operation has left its gates: the result is cached before its lock is released.
fn release(op: OpIx, gates: &[Gate], event: &RunEvent, actions: &mut Vec<Action>) {
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
