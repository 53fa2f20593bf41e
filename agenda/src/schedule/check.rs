//! Invariants after every step: the views agree with the table, limits hold, and every operation is accounted for.

use super::gates::turn_name;
use super::state::{Hold, OpState};
use super::{Phase, Scheduler};
use crate::event::RunOutcome;
use crate::gate::Gate;
use crate::ops::OpIx;

pub(super) fn check(scheduler: &Scheduler) -> Result<(), String> {
    scheduler.table.check(&scheduler.plan, &scheduler.gates)?;
    for (op, state) in scheduler.table.iter() {
        let name = &scheduler.plan.operation(op).name;
        check_gates(scheduler, op, state)?;
        let unmet = scheduler.count_unmet(&scheduler.plan, op);
        match state {
            OpState::Waiting { unmet: counted } => holds(*counted == unmet && unmet > 0, || {
                format!("`{name}`: counts {counted} unmet, there are {unmet}")
            })?,
            // cancelled because of them, or adopted from an earlier run in which they had settled
            OpState::Settled(_) => {}
            OpState::Parted { left } => {
                let parts = scheduler.parts.get(&op).map_or(&[][..], |parts| &parts.all);
                let open = parts.iter().filter(|part| scheduler.table[**part].outcome().is_none()).count();
                holds(open == *left as usize, || format!("`{name}`: counts {left} parts, {open} are open"))?;
            }
            // a resumed run may repeat its dependencies
            state if is_tried(state) => {}
            _ => holds(unmet == 0, || format!("`{name}`: in {state:?} with {unmet} unmet dependencies"))?,
        }
        check_parts(scheduler, op)?;
    }
    if let Phase::Ended(outcome) = scheduler.run {
        holds(outcome != RunOutcome::Stuck, || "the run is stuck".to_owned())?;
        let tally = scheduler.table.tally();
        holds(tally.settled() == tally.total(), || "the run ended with an unsettled operation".to_owned())?;
    }
    Ok(())
}

/// Whether an attempt has begun and the operation has not left it since.
fn is_tried(state: &OpState) -> bool {
    state.is_out() || state.is_judged() || matches!(state, OpState::BackingOff { .. })
}

/// Checks that no settled or waiting operation holds a shared resource, and that each turn has one holder.
fn check_gates(scheduler: &Scheduler, op: OpIx, state: &OpState) -> Result<(), String> {
    let planned = scheduler.plan.operation(op);
    let name = &planned.name;
    let Some(passing) = scheduler.gates.passing.get(&op) else {
        let is_held =
            scheduler.gates.turns.values().any(|turn| turn.holder == Some(op) || turn.waiting.contains(&op));
        return holds(!is_held, || format!("`{name}`: holds or waits for a gate in {state:?}"));
    };
    holds(matches!(state, OpState::Gated(_)) || state.is_out(), || {
        format!("`{name}`: has gates in {state:?}")
    })?;
    for (index, gate) in passing.gates.iter().enumerate() {
        let Some(turn) = turn_name(gate, op, &scheduler.plan) else { continue };
        let is_holder = scheduler.gates.turns.get(&turn).is_some_and(|turn| turn.holder == Some(op));
        let is_kept = matches!(gate, Gate::Lock { .. }) && index < passing.passed;
        let is_next = index == passing.passed && *state != OpState::Gated(Hold::Queued);
        holds(is_holder == (is_kept || is_next), || {
            format!("`{name}`: {} `{turn}` in {state:?}", if is_holder { "holds" } else { "does not hold" })
        })?;
    }
    Ok(())
}

/// Checks that at most `maxParallel` parts run.
fn check_parts(scheduler: &Scheduler, op: OpIx) -> Result<(), String> {
    let planned = scheduler.plan.operation(op);
    let most = planned.for_each().and_then(|for_each| for_each.max_parallel);
    let (Some(most), Some(parts)) = (most, scheduler.parts.get(&op)) else { return Ok(()) };
    let out = parts.all.iter().filter(|part| scheduler.table[**part].is_out()).count();
    holds(out <= most as usize, || format!("`{}`: {out} parts run, {most} may", planned.name))
}

fn holds(condition: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise()) }
}
