//! What must hold after every step: the views agree with the table, limits are kept, nothing is forgotten.

use super::state::{OpState, Tally};
use super::{Phase, Scheduler};
use crate::event::{Outcome, RunOutcome};

pub(super) fn check(scheduler: &Scheduler) -> Result<(), String> {
    let mut tally = Tally::default();
    for (op, state) in scheduler.state.iter() {
        let name = &scheduler.plan.operation(op).name;
        *tally.count(state) += 1;
        holds(scheduler.ready.contains(&op) == (*state == OpState::Ready), || {
            format!("`{name}`: the ready view is wrong in {state:?}")
        })?;
        holds(scheduler.launched.contains(&op) == state.is_out(), || {
            format!("`{name}`: the launched view is wrong in {state:?}")
        })?;
        holds(scheduler.judging.contains(&op) == matches!(state, OpState::Judging { .. }), || {
            format!("`{name}`: the judging view is wrong in {state:?}")
        })?;
        if let Some(at) = scheduler.deadline_of(op) {
            holds(scheduler.deadlines.contains(&(at, op)), || format!("`{name}`: its deadline is missing"))?;
        }
        let graph = scheduler.plan.graph();
        let met = |outcome: Option<Outcome>| outcome.is_some_and(Outcome::lets_others_start);
        let unmet = graph.dependencies(op).iter().filter(|edge| !met(scheduler.state[edge.on].outcome()));
        let unmet = unmet.count() as u32;
        match state {
            OpState::Waiting { unmet: counted } => holds(*counted == unmet && unmet > 0, || {
                format!("`{name}`: counts {counted} unmet, there are {unmet}")
            })?,
            // cancelled for want of them, or taken over from an earlier run that had them
            OpState::Settled(_) => {}
            _ => holds(unmet == 0, || format!("`{name}`: in {state:?} with {unmet} unmet dependencies"))?,
        }
    }
    holds(tally == scheduler.tally, || format!("tally {:?}, counted {tally:?}", scheduler.tally))?;
    let deadlines = scheduler.state.indices().filter(|op| scheduler.deadline_of(*op).is_some()).count();
    holds(scheduler.deadlines.len() == deadlines, || "a deadline outlived its state".to_owned())?;
    if let Phase::Ended(outcome) = scheduler.run {
        holds(outcome != RunOutcome::Stuck, || "the run is stuck".to_owned())?;
        holds(tally.settled() == tally.total(), || "the run ended with an unsettled operation".to_owned())?;
    }
    Ok(())
}

fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}
