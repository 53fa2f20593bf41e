//! An independent oracle of the line: from the scripts and the public state, which operation may start next.
//!
//! It sorts the whole line anew for each question, and knows neither the scheduler's views nor the needs in the plan.

use crate::world::World;
use pop_agenda::{Hold, OpIx, OpState, RunOptions};
use pop_contract::Millis;
use std::cmp::Reverse;
use std::collections::BTreeMap;

type Amounts = BTreeMap<&'static str, u64>;

/// One operation that can proceed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    /// 0: it has passed all its gates; 1: it has passed some; 2: none.
    stage: u8,
    priority: Reverse<i32>,
    is_ready: bool,
    op: OpIx,
}

/// Answers of the oracle about the present state.
pub(crate) struct Packing<'w> {
    world: &'w World<'w>,
    totals: Amounts,
    used: Amounts,
    line: Vec<Place>,
}

fn totals(options: &RunOptions) -> Amounts {
    let unit = |name: &str| if name == "cpu" { 1_000 } else { 1 };
    let total = |name: &'static str| Some((name, options.resources.get(name)? / unit(name)));
    ["cpu", "gpu", "license"].into_iter().filter_map(total).collect()
}

impl<'w> Packing<'w> {
    pub(crate) fn of(world: &'w World<'w>) -> Self {
        let mut packing =
            Self { world, totals: totals(world.scheduler.options()), used: Amounts::new(), line: Vec::new() };
        for (op, planned) in world.scheduler.plan().operations() {
            let state = world.scheduler.state(op);
            if state.is_out() || *state == OpState::Gated(Hold::Asked) {
                for (name, amount) in packing.needs(op) {
                    *packing.used.entry(name).or_default() += amount;
                }
            }
            let stage = match state {
                OpState::Ready => 2,
                OpState::Gated(Hold::Free) => {
                    let passed = world.history.operation(op).admissions.last().unwrap().waits.len();
                    match world.scheduler.gate(op) {
                        None => 0,
                        Some(_) if passed > 1 => 1,
                        Some(_) => 2,
                    }
                }
                _ => continue,
            };
            let priority = Reverse(planned.policies.priority.value);
            packing.line.push(Place { stage, priority, is_ready: *state == OpState::Ready, op });
        }
        packing.line.sort();
        packing
    }

    fn needs(&self, op: OpIx) -> &'w Amounts {
        static NOTHING: Amounts = Amounts::new();
        let planned = self.world.scheduler.plan().operation(op);
        if planned.is_whole() { &NOTHING } else { &self.world.script(op).resources }
    }

    fn fits(&self, op: OpIx, reserved: &Amounts) -> bool {
        self.needs(op).iter().all(|(name, amount)| {
            let Some(total) = self.totals.get(name) else { return true };
            let taken = self.used.get(name).unwrap_or(&0) + reserved.get(name).unwrap_or(&0);
            taken + amount <= *total
        })
    }

    /// The operation that starts or requests a gate next, whatever `parallel` says.
    pub(crate) fn next(&self) -> Option<OpIx> {
        let mut reserved = Amounts::new();
        for place in &self.line {
            if self.fits(place.op, &reserved) {
                return Some(place.op);
            }
            if reserved.is_empty() {
                reserved.clone_from(self.needs(place.op));
            }
        }
        None
    }

    /// Whether an operation in line waits for resources: its own needs, or the reservation of the first that has to wait.
    pub(crate) fn is_short(&self, op: OpIx) -> bool {
        let first = self.line.iter().position(|place| !self.fits(place.op, &Amounts::new()));
        let own = self.line.iter().position(|place| place.op == op);
        match (own, first) {
            (Some(own), Some(first)) if first < own => !self.fits(op, self.needs(self.line[first].op)),
            (Some(own), Some(first)) => own == first,
            _ => false,
        }
    }

    /// Whether a place of `parallel` is free.
    fn has_place(&self) -> bool {
        let scheduler = &self.world.scheduler;
        let asked = scheduler.plan().operations().map(|(op, _)| scheduler.state(op));
        let asked = asked.filter(|state| **state == OpState::Gated(Hold::Asked)).count() as u32;
        scheduler.tally().running + asked < scheduler.options().parallel
    }
}

/// Checks the state after a step: never over a total, and never a free place while an operation in line may start.
pub(crate) fn check(world: &mut World<'_>) {
    let packing = Packing::of(world);
    let mut running = Amounts::new();
    for (op, _) in world.scheduler.plan().operations() {
        if world.scheduler.state(op).is_out() {
            for (name, amount) in packing.needs(op) {
                *running.entry(name).or_default() += amount;
            }
        }
    }
    for (name, total) in &packing.totals {
        let running = running.get(name).unwrap_or(&0);
        assert!(running <= total, "{running} of {total} {name} are in use");
    }
    if world.scheduler.outcome().is_none() && packing.has_place() {
        assert_eq!(packing.next(), None, "an operation may start and does not");
    }
    if !world.notes_shortages {
        return;
    }
    let at = world.now;
    let in_line: BTreeMap<OpIx, bool> =
        packing.line.iter().map(|place| (place.op, packing.is_short(place.op))).collect();
    for (op, _) in world.scheduler.plan().clone().operations() {
        let is_short = in_line.get(&op).copied().unwrap_or_default();
        let seen = world.shortages.entry(op).or_default();
        seen.retain(|(before, _)| *before != at);
        if seen.last().is_some_and(|(_, before)| *before) != is_short {
            seen.push((at, is_short));
        }
    }
}

/// The waits that the oracle saw: begin, and end unless it lasts.
pub(crate) fn waits(world: &World<'_>, op: OpIx) -> Vec<(Millis, Option<Millis>)> {
    let seen = world.shortages.get(&op).map_or(&[][..], |seen| seen);
    let ended = |index: usize| seen.get(index + 1).map(|(at, _)| at.0);
    let begun = seen.iter().enumerate().filter(|(_, (_, is_short))| *is_short);
    begun.map(|(index, (at, _))| (at.0, ended(index))).collect()
}
