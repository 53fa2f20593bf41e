//! Growing: the operations that a run adds to its plan. What deciding an event has computed travels to where the event
//! is applied; a journal that is read again computes it from the state.

use super::parts::Parts;
use super::state::OpState;
use super::{Scheduler, StartError};
use crate::event::RunEvent;
use crate::ops::OpIx;
use crate::plan::{BoundPayload, Called, Grown, MOST_OPERATIONS, Serves};
use pop_contract::{Blame, Failure};
use pop_document::kind_of;
use serde_json::Value;
use std::sync::Arc;

/// An event, with what deciding it has computed.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) event: RunEvent,
    pub(super) prepared: Prepared,
}

/// What deciding an event has computed, so that applying the event and acting on it does not compute it again.
#[derive(Debug)]
pub(super) enum Prepared {
    Nothing,
    /// The payload of the attempt that starts.
    Payload(BoundPayload),
    /// The operations that the plan grows by.
    Growth(Box<Growth>),
    /// The operations in the result of a generator; the plan grows by them with a later event.
    Generated(Box<Grown>),
}

/// Operations to add to the plan, with what the schedule keeps about them.
#[derive(Debug)]
pub(super) enum Growth {
    /// The parts of one operation.
    Parts(Parts, Grown),
    /// The restart that a dispatch asks for after its other calls.
    Restart(Called),
    /// The operations in a generator's result.
    Generated(Grown),
}

impl Growth {
    fn count(&self) -> u32 {
        let grown = match self {
            Self::Parts(_, grown) | Self::Generated(grown) => grown,
            Self::Restart(called) => &called.grown,
        };
        grown.len() as u32
    }
}

impl From<RunEvent> for Decision {
    fn from(event: RunEvent) -> Self {
        Self { event, prepared: Prepared::Nothing }
    }
}

impl Decision {
    pub(super) fn grow(by: OpIx, growth: Growth) -> Self {
        let event = RunEvent::PlanGrown { by, count: growth.count() };
        Self { event, prepared: Prepared::Growth(Box::new(growth)) }
    }

    /// An event that carries a result, with the operations that were found in it.
    pub(super) fn with_generated(event: RunEvent, grown: Option<Grown>) -> Self {
        let prepared = grown.map_or(Prepared::Nothing, |grown| Prepared::Generated(Box::new(grown)));
        Self { event, prepared }
    }
}

impl Scheduler {
    /// The parts that an operation is made into. `payload` is that of a dispatch, if it is bound already.
    pub(super) fn expansion(&self, op: OpIx, payload: Option<&Value>) -> Result<Growth, StartError> {
        let planned = self.plan.operation(op);
        if planned.serves == Serves::Dispatch && planned.for_each().is_none() {
            // a key without a value fails the dispatch before any handler is called
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
            let Called { grown, asked, unserved } = self.plan.called(op, 0, &dispatch.calls, &keys);
            return Ok(Growth::Parts(Parts::of_calls(dispatch, asked, unserved), grown));
        }
        let items = self.items(op)?;
        let grown = self.plan.instances(op, items.len());
        Ok(Growth::Parts(Parts::of_items(items), grown))
    }

    fn items(&self, op: OpIx) -> Result<Vec<Value>, StartError> {
        let Some(for_each) = self.plan.operation(op).for_each() else { return Ok(Vec::new()) };
        match for_each.items.bind(&self.values(op))?.into_owned() {
            Value::Array(items) if self.plan.len() + items.len() > MOST_OPERATIONS => {
                Err(StartError::Payload(format!(
                    "`forEach` has {} items, and a run at most {MOST_OPERATIONS} operations",
                    items.len()
                )))
            }
            Value::Array(items) => Ok(items),
            // a skipped or missing list has no items if the reference has a fallback
            Value::Null if for_each.items.has_fallback() => Ok(Vec::new()),
            other => Err(StartError::Items(format!(
                "`forEach` needs a list, and this is {}: {}",
                kind_of(&other),
                for_each.items.template()
            ))),
        }
    }

    /// The operations in a result, if it is that of a generator; a failure if they break the rules of an agenda.
    pub(super) fn generated(&self, op: OpIx, result: &Value) -> Result<Option<Grown>, Box<Failure>> {
        if self.plan.operation(op).generator().is_none() {
            return Ok(None);
        }
        let generated = self.plan.generated(op, result);
        generated.map(Some).map_err(|words| Box::new(Failure::new(Blame::Handler, "generated", words)))
    }

    /// The growth by a generator that succeeded.
    pub(super) fn grow_by_generator(&self, by: OpIx, parsed: Option<&Grown>) -> Decision {
        if let Some(grown) = parsed {
            return RunEvent::PlanGrown { by, count: grown.len() as u32 }.into();
        }
        Decision::grow(by, Growth::Generated(self.parse_generated(by)))
    }

    fn parse_generated(&self, by: OpIx) -> Grown {
        let result = self.results.get(&by).cloned().unwrap_or_default();
        // the result was accepted as one that may grow the plan, or was taken over from an earlier run
        self.plan.generated(by, &result).unwrap_or_default()
    }

    /// Grows the plan by what follows from an operation, which may have been computed when that was decided.
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

    fn add_restart(&mut self, by: OpIx, called: Called) {
        let Called { grown, asked, unserved } = called;
        let count = grown.len() as u32;
        self.note_restart(by, asked, unserved);
        self.set(by, OpState::Parted { left: count });
        self.take_in(grown);
    }

    fn take_in(&mut self, grown: Grown) {
        let first = self.plan.len();
        Arc::make_mut(&mut self.plan).grow(grown);
        let plan = Arc::clone(&self.plan);
        for op in (first as u32..plan.len() as u32).map(OpIx) {
            self.table.push();
            self.tries.push(super::state::Tries::default());
            self.open(op);
            if self.is_doomed(&plan, op) {
                self.table.doom(op);
            }
        }
        // operations that wait for all others, and thought that all were settled
        for last in plan.last() {
            if matches!(self.table[*last], OpState::Waiting { .. } | OpState::Ready) {
                self.open(*last);
            }
        }
    }
}
