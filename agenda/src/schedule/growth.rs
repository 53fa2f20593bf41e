//! Operations that a run adds to its plan. Values computed when an event is decided are passed to its application; when
//! a journal is replayed, they are computed from the state.

use super::parts::Parts;
use super::state::OpState;
use super::{Scheduler, StartError};
use crate::document::{GivenInput, GivenValue, InputSpecs, matrix};
use crate::event::RunEvent;
use crate::ops::OpIx;
use crate::plan::{BoundPayload, Grown, MOST_OPERATIONS, PlannedCalls, Serves, Values};
use pop_contract::{Blame, Failure};
use pop_document::kind_of;
use serde_json::{Map, Value};
use std::sync::Arc;

/// An event with the values computed when it was decided.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) event: RunEvent,
    pub(super) prepared: Prepared,
}

/// Values computed when an event was decided, so that its application does not compute them again.
#[derive(Debug)]
pub(super) enum Prepared {
    Nothing,
    /// Payload of the attempt that starts.
    Payload(BoundPayload),
    /// Operations that the event adds.
    Growth(Box<Growth>),
    /// Operations in the result of a generator; a later event adds them.
    Generated(Box<Grown>),
}

/// Operations to add to the plan, with their scheduling data.
#[derive(Debug)]
pub(super) enum Growth {
    /// Parts of one operation.
    Parts(Parts, Grown),
    /// None: a resumed run goes on with the operations inside an operation.
    Again,
    /// The restart of the machine after the other calls of a dispatch.
    Restart(PlannedCalls),
    /// Operations in the result of a generator.
    Generated(Grown),
}

impl Growth {
    fn grown(&self) -> Option<&Grown> {
        match self {
            Self::Again => None,
            Self::Parts(_, grown) | Self::Generated(grown) => Some(grown),
            Self::Restart(called) => Some(&called.grown),
        }
    }
}

impl From<RunEvent> for Decision {
    fn from(event: RunEvent) -> Self {
        Self { event, prepared: Prepared::Nothing }
    }
}

impl Decision {
    /// An event with a result, and the operations in that result.
    pub(super) fn with_generated(event: RunEvent, grown: Option<Grown>) -> Self {
        let prepared = grown.map_or(Prepared::Nothing, |grown| Prepared::Generated(Box::new(grown)));
        Self { event, prepared }
    }
}

impl Scheduler {
    /// The parts of an operation. `payload` is the payload of a dispatch, if its references were replaced already.
    pub(super) fn expansion(&self, op: OpIx, payload: Option<&Value>) -> Result<Growth, StartError> {
        let planned = self.plan.operation(op);
        if planned.serves == Serves::Dispatch && planned.for_each().is_none() {
            // a lock key without a value fails the dispatch before any call
            let keys = self.lock_keys(op)?;
            let bound;
            let payload = match payload {
                Some(payload) => payload,
                None => {
                    bound = self.payload(op)?;
                    &bound
                }
            };
            let dispatch = self.plan.dispatch(payload).map_err(StartError::Payload)?;
            let PlannedCalls { grown, served, unserved } = self.plan.called(op, 0, &dispatch.calls, &keys);
            return Ok(Growth::Parts(Parts::of_calls(dispatch, served, unserved), grown));
        }
        if let Some(body) = planned.body().filter(|_| planned.for_each().is_none()) {
            if self.parts.contains_key(&op) {
                return Ok(Growth::Again);
            }
            check_count(self.plan.len(), body.operations().len(), || format!("`{}`", planned.name))?;
            let inputs = body.file.as_ref().map(|file| self.given_inputs(op, &file.inputs)).transpose()?;
            return Ok(Growth::Parts(Parts { inputs, ..Parts::default() }, self.plan.inside(op, body)));
        }
        let items = self.items(op)?;
        let names = self.item_names(op, &items)?;
        let grown = self.plan.instances(op, items.len(), names);
        Ok(Growth::Parts(Parts::of_items(items), grown))
    }

    /// The values of the inputs of an agenda in a file, from the payload of the operation that uses it.
    fn given_inputs(&self, op: OpIx, specs: &InputSpecs) -> Result<Arc<Value>, StartError> {
        let payload = self.payload(op)?;
        let none = Map::new();
        let given = match &payload["inputs"] {
            Value::Null => &none,
            Value::Object(given) => given,
            other => {
                return Err(StartError::Payload(format!("`inputs` must be a map, not {}", kind_of(other))));
            }
        };
        let given = given.iter().map(|(name, value)| GivenInput {
            name: name.clone(),
            value: GivenValue::Value(value.clone()),
            origin: "its payload".to_owned(),
        });
        let mut faults = Vec::new();
        let values = specs.resolve(&given.collect::<Vec<_>>(), true, &mut faults);
        let problems = || faults.iter().map(|fault| fault.message.as_str()).collect::<Vec<_>>().join("; ");
        values.map(|values| Arc::new(Value::Object(values))).ok_or_else(|| StartError::Payload(problems()))
    }

    /// The names of the items for people; none if they only have an index.
    fn item_names(&self, op: OpIx, items: &[Value]) -> Result<Vec<Box<str>>, StartError> {
        let Some(for_each) = self.plan.operation(op).for_each() else { return Ok(Vec::new()) };
        let of_item = |(index, item): (u32, &Value)| -> Result<Box<str>, StartError> {
            let Some(name) = &for_each.item_name else { return Ok(matrix_name(item)) };
            let mut around = self.items_around(op, name);
            if let Some(Value::Array(around)) = &mut around {
                around.push(item.clone());
            }
            let values = Values { item: Some((item, index)), items: around.as_ref(), ..self.values(op) };
            let name = name.bind(&values).map_err(|error| {
                StartError::Items(format!("`{}` in `itemName`: {}", error.token, error.problem))
            })?;
            Ok(item_name(&name))
        };
        if for_each.item_name.is_none() && !for_each.items.template().is_object() {
            return Ok(Vec::new());
        }
        (0..).zip(items).map(of_item).collect()
    }

    fn items(&self, op: OpIx) -> Result<Vec<Value>, StartError> {
        let Some(for_each) = self.plan.operation(op).for_each() else { return Ok(Vec::new()) };
        let items = match self.fill(op, &for_each.items)? {
            Value::Object(matrix) if matrix.contains_key("matrix") || matrix.contains_key("include") => {
                matrix::items(&matrix)
                    .map(Value::Array)
                    .map_err(|problem| StartError::Items(format!("`forEach`: {problem}")))?
            }
            items => items,
        };
        match items {
            Value::Array(items) => {
                check_count(self.plan.len(), items.len(), || "`forEach`".to_owned())?;
                Ok(items)
            }
            // a skipped or missing list has no items if the reference has a fallback
            Value::Null if for_each.items.has_fallback() => Ok(Vec::new()),
            other => Err(StartError::Items(format!(
                "`forEach` needs a list, not {}: {}",
                kind_of(&other),
                for_each.items.template()
            ))),
        }
    }

    /// The operations in the result of a generator, or a failure if they break a rule of the agenda.
    pub(super) fn generated(&self, op: OpIx, result: &Value) -> Result<Option<Grown>, Box<Failure>> {
        if self.plan.operation(op).generator().is_none() {
            return Ok(None);
        }
        let generated = self.plan.generated(op, result);
        generated.map(Some).map_err(|message| Box::new(Failure::new(Blame::Handler, "generated", message)))
    }

    /// The operations to add for a generator that succeeded.
    pub(super) fn grow_by_generator(&self, by: OpIx, parsed: Option<&Grown>) -> Decision {
        if let Some(grown) = parsed {
            return self.plan_grown(by, grown).into();
        }
        self.decide_growth(by, Growth::Generated(self.parse_generated(by)))
    }

    /// The decision to add operations.
    pub(super) fn decide_growth(&self, by: OpIx, growth: Growth) -> Decision {
        let event = match growth.grown() {
            Some(grown) => self.plan_grown(by, grown),
            None => RunEvent::PlanGrown { by, count: 0, adopted: Vec::new() },
        };
        Decision { event, prepared: Prepared::Growth(Box::new(growth)) }
    }

    fn plan_grown(&self, by: OpIx, grown: &Grown) -> RunEvent {
        RunEvent::PlanGrown { by, count: grown.len() as u32, adopted: self.adoptable(by, grown) }
    }

    fn parse_generated(&self, by: OpIx) -> Grown {
        let result = self.results.get(&by).cloned().unwrap_or_default();
        // the result was accepted before, or was adopted from an earlier run
        self.plan.generated(by, &result).unwrap_or_default()
    }

    /// Adds the operations of `by` to the plan; computes them unless they were prepared.
    pub(super) fn grow(&mut self, by: OpIx, prepared: Option<Growth>) {
        if let Some(parsed) = self.growing.remove(&by) {
            let grown = match (prepared, parsed) {
                (Some(Growth::Generated(grown)), _) => grown,
                (_, Some(grown)) => *grown,
                (_, None) => self.parse_generated(by),
            };
            return self.take_in(grown);
        }
        let growth = match prepared {
            Some(growth) => growth,
            None if matches!(self.table[by], OpState::Parted { .. }) => match self.restart_of(by) {
                Some(called) => Growth::Restart(called),
                None => return,
            },
            None => match self.expansion(by, None) {
                Ok(growth) => growth,
                Err(_) => return,
            },
        };
        match growth {
            Growth::Parts(parts, grown) => self.add_parts(by, parts, grown),
            Growth::Again => self.go_on(by),
            Growth::Restart(called) => self.add_restart(by, called),
            Growth::Generated(grown) => self.take_in(grown),
        }
    }

    fn add_parts(&mut self, by: OpIx, mut parts: Parts, grown: Grown) {
        let first = self.plan.len() as u32;
        let most = self.plan.operation(by).for_each().and_then(|for_each| for_each.max_parallel);
        parts.all = (first..first + grown.len() as u32).map(OpIx).collect();
        parts.waiting = parts.all.iter().copied().skip(most.unwrap_or(u32::MAX) as usize).collect();
        self.set(by, OpState::Parted { left: grown.len() as u32 });
        self.parts.insert(by, parts);
        self.take_in(grown);
    }

    /// Lets the operations inside an operation start again after a resume.
    fn go_on(&mut self, by: OpIx) {
        let plan = Arc::clone(&self.plan);
        let parts = self.parts.get(&by).map(|parts| parts.all.clone()).unwrap_or_default();
        let open: Vec<OpIx> =
            parts.into_iter().filter(|part| self.table[*part].outcome().is_none()).collect();
        self.set(by, OpState::Parted { left: open.len() as u32 });
        for part in open {
            self.meet(&plan, part);
        }
    }

    fn add_restart(&mut self, by: OpIx, called: PlannedCalls) {
        let PlannedCalls { grown, served, unserved } = called;
        let count = grown.len() as u32;
        self.note_restart(by, served, unserved);
        self.set(by, OpState::Parted { left: count });
        self.take_in(grown);
    }

    fn take_in(&mut self, grown: Grown) {
        let first = self.plan.len();
        let waiters = Arc::make_mut(&mut self.plan).grow(grown);
        let plan = Arc::clone(&self.plan);
        for op in (first as u32..plan.len() as u32).map(OpIx) {
            self.table.push();
            self.tries.push(super::state::AttemptCounts::default());
            self.open(op);
            if self.is_doomed(&plan, op) {
                self.table.doom(op);
            }
        }
        // operations that wait for these may have been ready: they wait again
        for last in plan.last().iter().chain(&waiters) {
            if matches!(self.table[*last], OpState::Waiting { .. } | OpState::Ready) {
                self.open(*last);
            }
        }
    }
}

/// Fails if a run cannot have this many more operations.
fn check_count(present: usize, added: usize, subject: impl Fn() -> String) -> Result<(), StartError> {
    if present + added <= MOST_OPERATIONS {
        return Ok(());
    }
    let subject = subject();
    Err(StartError::Payload(format!(
        "{subject} has {added} items, but a run has at most {MOST_OPERATIONS} operations"
    )))
}

/// Longest name of an item, in characters.
const LONGEST_NAME: usize = 60;

/// A value as the name of an item: its text in one line, cut in its middle if it is long.
fn item_name(value: &Value) -> Box<str> {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let letters: Vec<char> =
        text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if letters.len() <= LONGEST_NAME {
        return letters.into_iter().collect();
    }
    let half = (LONGEST_NAME - 1) / 2;
    let (begin, end) = (&letters[..half], &letters[letters.len() - half..]);
    begin.iter().chain(&['…']).chain(end).collect()
}

/// The name of a combination of a matrix: its values.
fn matrix_name(item: &Value) -> Box<str> {
    let values: Vec<Box<str>> =
        item.as_object().into_iter().flatten().map(|(_, value)| item_name(value)).collect();
    item_name(&Value::String(values.join(", ")))
}
