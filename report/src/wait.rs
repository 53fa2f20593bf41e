//! The waits of an operation: gates and back-offs from the events, and the rest derived from what other operations did.

use crate::attempt_end::attempt_end;
use crate::model::{Wait, WaitKind};
use crate::slot_use::SlotUse;
use pop_agenda::{
    Admission, Gate, GateHolder, History, OpIx, OperationHistory, Origin, Outcome, Plan, RunTime,
};

/// Derives waits. It knows when each operation could start.
pub(crate) struct Waits<'r> {
    plan: &'r Plan,
    history: &'r History,
    end: RunTime,
    slots: SlotUse,
    /// Time at which the dependencies of each operation had settled; none until then.
    ready: Vec<Option<RunTime>>,
}

/// A wait in times of the run.
#[derive(Clone, Copy)]
struct Span<'r> {
    kind: WaitKind,
    from: u64,
    until: Option<u64>,
    name: Option<&'r str>,
    holder: Option<&'r GateHolder>,
}

impl<'r> Waits<'r> {
    /// Prepares for all operations of a run. `end` is the time until which open waits last.
    pub(crate) fn new(plan: &'r Plan, history: &'r History, end: RunTime) -> Self {
        let slots = SlotUse::of(plan, history, end);
        let ready = ready_times(plan, history);
        Self { plan, history, end, slots, ready }
    }

    /// Time at which the dependencies of an operation had settled.
    pub(crate) fn ready(&self, op: OpIx) -> Option<RunTime> {
        self.ready[op.index()]
    }

    /// The waits before the attempt with this index, or after the last one.
    pub(crate) fn before(&self, op: OpIx, index: usize) -> Vec<Wait<'r>> {
        let seen = self.history.operation(op);
        let from = match index.checked_sub(1).and_then(|before| seen.attempts.get(before)) {
            None => self.added(op),
            Some(before) => match attempt_end(self.history, before) {
                Some(at) => at,
                None => return Vec::new(),
            },
        };
        let until = match seen.attempts.get(index) {
            Some(attempt) => attempt.started,
            None => match seen.settled {
                Some((
                    _,
                    Outcome::Skipped | Outcome::Cancelled | Outcome::Failed | Outcome::DeadLettered,
                )) => {
                    return Vec::new();
                }
                Some((at, _)) if index == 0 => at,
                Some(_) => return Vec::new(),
                None if self.ready(op).is_some() => self.end,
                None => return Vec::new(),
            },
        };
        // a resumed run lets a settled operation wait again
        let reopened = seen.reopened.iter().rev().find(|at| **at <= until);
        let from = reopened.map_or(from, |at| from.max(*at));
        let is_open = index >= seen.attempts.len() && seen.settled.is_none();
        self.spans(op, seen, from.0, until.0.max(from.0), is_open)
    }

    /// Time at which the operation was part of the plan.
    fn added(&self, op: OpIx) -> RunTime {
        match self.plan.operation(op).origin {
            None => RunTime(0),
            Some(Origin::Part { of, .. } | Origin::Inner { of, .. }) => self.ready(of).unwrap_or_default(),
            Some(Origin::Generated { by, .. }) => {
                let seen = self.history.operation(by);
                let end =
                    seen.attempts.iter().rev().find_map(|attempt| attempt.ended.as_ref()).map(|(at, _)| *at);
                end.or(seen.settled.map(|(at, _)| at)).unwrap_or_default()
            }
        }
    }

    fn spans(
        &self,
        op: OpIx,
        seen: &'r OperationHistory,
        from: u64,
        until: u64,
        is_open: bool,
    ) -> Vec<Wait<'r>> {
        let mut known: Vec<Span<'r>> = Vec::new();
        for backoff in &seen.backoffs {
            let until = backoff.ended.map(|at| at.0);
            known.push(Span {
                kind: WaitKind::BackOff,
                from: backoff.from.0,
                until,
                name: None,
                holder: None,
            });
        }
        known.extend(seen.admissions.iter().flat_map(gate_spans));
        known.sort_by_key(|span| span.from);
        let mut spans = Vec::new();
        let mut at = from;
        for span in known {
            let begin = span.from.max(at);
            let end = span.until.unwrap_or(until).min(until);
            if begin > until || end < at || (end == begin && span.until.is_some()) {
                continue;
            }
            self.fill(op, at, begin, &mut spans);
            let is_last = span.until.is_none() && is_open;
            spans.push(Span { from: begin, until: (!is_last).then_some(end), ..span });
            at = end;
        }
        self.fill(op, at, until, &mut spans);
        if is_open
            && at < until
            && let Some(last) = spans.last_mut().filter(|last| last.until == Some(until))
        {
            last.until = None;
        }
        spans.into_iter().filter(|span| span.until != Some(span.from)).map(|span| self.wait(span)).collect()
    }

    /// Adds what explains a time in which no event says for what the operation waited.
    fn fill(&self, op: OpIx, from: u64, until: u64, spans: &mut Vec<Span<'r>>) {
        let ready = self.ready(op).map_or(until, |at| at.0).clamp(from, until);
        let mut add = |kind, from: u64, until: u64| {
            if from < until {
                spans.push(Span { kind, from, until: Some(until), name: None, holder: None });
            }
        };
        add(WaitKind::Dependencies, from, ready);
        let mut at = ready;
        for pair in self.history.executors.windows(2) {
            let stopped = pair[0].until.unwrap_or(pair[1].from).0.max(at);
            let resumed = pair[1].from.0.min(until);
            if stopped < resumed {
                self.queue(op, at, stopped, &mut add);
                add(WaitKind::Executor, stopped, resumed);
                at = resumed;
            }
        }
        self.queue(op, at, until, &mut add);
    }

    /// Divides the wait of an operation that could start: first the time in which all slots were taken, then the rest.
    fn queue(&self, op: OpIx, from: u64, until: u64, add: &mut impl FnMut(WaitKind, u64, u64)) {
        if from >= until {
            return;
        }
        let full = from + self.slots.full_between(from, until);
        add(WaitKind::Slot, from, full);
        let planned = self.plan.operation(op);
        let is_limited = planned.part_of().is_some_and(|of| {
            self.plan.operation(of).for_each().is_some_and(|for_each| for_each.max_parallel.is_some())
        });
        let rest = match planned.needs() {
            Some(_) => WaitKind::Resources,
            None if is_limited => WaitKind::MaxParallel,
            None => WaitKind::Slot,
        };
        add(rest, full, until);
    }

    fn wait(&self, span: Span<'r>) -> Wait<'r> {
        let (holder, held_by) = match span.holder {
            Some(GateHolder::Operation(op)) => (Some(*op), Some(self.plan.operation(*op).name.as_str())),
            Some(GateHolder::Outside(holder)) => (None, Some(holder.as_ref())),
            None => (None, None),
        };
        Wait {
            kind: span.kind,
            from_time: self.history.wall(RunTime(span.from)),
            until_time: span.until.map(|at| self.history.wall(RunTime(at))),
            took_ms: span.until.unwrap_or(self.end.0).saturating_sub(span.from),
            name: span.name,
            held_by,
            holder,
        }
    }
}

fn gate_spans(admission: &Admission) -> impl Iterator<Item = Span<'_>> {
    admission.gates.iter().zip(&admission.waits).map(|(gate, wait)| {
        let (kind, name) = match gate {
            Gate::Lock { name } => (WaitKind::Lock, Some(name.as_ref())),
            Gate::Delay { id, .. } => (WaitKind::Delay, id.as_deref()),
            Gate::Cache(ask) => (WaitKind::Cache, Some(ask.state.as_ref())),
            Gate::Version { name } => (WaitKind::Cache, Some(name.as_ref())),
            Gate::Files(_) | Gate::Reuse { .. } => (WaitKind::Files, None),
        };
        let until = wait.until.or(admission.closed).map(|at| at.0);
        Span { kind, from: wait.from.0, until, name, holder: wait.holder.as_ref() }
    })
}

/// Time at which the dependencies of each operation had settled. That of a part is not before that of the operation
/// around it.
fn ready_times(plan: &Plan, history: &History) -> Vec<Option<RunTime>> {
    let settled = |op: OpIx| history.operation(op).settled.map(|(at, _)| at);
    let mut ready: Vec<Option<RunTime>> = Vec::with_capacity(plan.len());
    for (op, planned) in plan.operations() {
        let mut dependencies = plan.graph().dependencies(op);
        let own = dependencies.try_fold(RunTime(0), |latest, edge| Some(latest.max(settled(edge.on)?)));
        // an attempt proves that a dependency that was reopened since had settled
        let started = history.operation(op).started();
        let own = match (own, started) {
            (own, Some(started)) => Some(own.unwrap_or(started).min(started)),
            (own, None) => own,
        };
        // parts have larger numbers than the operation around them
        let around = planned.part_of().map(|of| ready[of.index()]);
        ready.push(match around {
            None => own,
            Some(around) => own.zip(around).map(|(own, around)| own.max(around)),
        });
    }
    for op in plan.last() {
        let others = plan.operations().map(|(op, _)| op).filter(|other| !plan.last().contains(other));
        let latest = others.map(settled).try_fold(RunTime(0), |latest, at| Some(latest.max(at?)));
        ready[op.index()] = ready[op.index()].zip(latest).map(|(own, latest)| own.max(latest));
    }
    ready
}
