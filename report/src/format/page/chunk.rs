//! Operations as columns, as the page reads them (`Chunk` in report/page/src/data.ts). Numbers are small, because most of
//! them are differences: 100,000 operations take a few megabytes.

use super::detail::{Budget, Detail};
use super::shown;
use crate::model::{OperationReport, OriginKind, Report, Wait};
use pop_agenda::OpIx;
use pop_contract::Millis;
use serde::Serialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// Most bytes of a name for people, which may come from an item.
const NAME: usize = 300;

/// Some operations of a run, or all of them.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Chunk<'r> {
    /// Numbers of the operations; none for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    ops: Option<Vec<u32>>,
    /// Number of operations of the run.
    count: usize,
    /// Names. That of a part begins with a hyphen if the name of the operation around it comes before it.
    name: Vec<Cow<'r, str>>,
    /// Names for people, where they differ.
    label: BTreeMap<u32, Cow<'r, str>>,
    types: Vec<Cow<'r, str>>,
    /// Index in `types`.
    kind: Vec<u32>,
    /// Index in [`OperationState::ALL`].
    state: Vec<u8>,
    /// Origin: 0 agenda, 1 part, 2 inner, 3 generated.
    origin: Vec<u8>,
    /// Distance to the operation around it or its generator; 0 for none.
    of: Vec<u32>,
    /// 1 if it runs as parts.
    whole: Vec<u8>,
    /// Number of dependencies of each operation.
    deps: Vec<u32>,
    /// Their distances (own number minus the other's).
    dep: Vec<i64>,
    /// Time of settling, minus the end of the last attempt; -1 for none.
    settled: Vec<i64>,
    /// Number of attempts of each operation.
    tries: Vec<u32>,
    /// Start of each attempt, minus that of the attempt before it in this list.
    start: Vec<i64>,
    /// Duration of each attempt in milliseconds.
    took: Vec<u64>,
    /// How each attempt ended: 0 runs, 1 succeeded, 2 failed, 3 cancelled, 4 lost, 5 displaced.
    end: Vec<u8>,
    /// Number of waits before each attempt; they end with its start, and nothing is between them.
    waits: Vec<u8>,
    /// Number of waits of each operation after its attempts; they end when it was settled, or last.
    last_waits: Vec<u8>,
    /// Kind of each wait, an index in [`WaitKind::ALL`]: those of attempts, then those after them.
    wait: Vec<u8>,
    /// Duration of each wait in milliseconds.
    waited: Vec<u64>,
    /// What only some operations have.
    more: BTreeMap<u32, Detail<'r>>,
    /// Failures, files and results without details, because the page would become too large.
    left_out: (usize, usize, usize),
}

impl<'r> Chunk<'r> {
    /// The operations `ops`, or all.
    pub(super) fn of(report: &'r Report<'_>, ops: Option<&[OpIx]>) -> Self {
        let mut chunk = Self { count: report.operations.len(), ..Self::default() };
        let mut columns = Columns { report, types: HashMap::new(), last_start: 0, after: Vec::new() };
        match ops {
            None => {
                for one in &report.operations {
                    columns.add(&mut chunk, one);
                }
            }
            Some(ops) => {
                for op in ops {
                    columns.add(&mut chunk, &report.operations[op.index()]);
                }
                chunk.ops = Some(ops.iter().map(|op| op.0).collect());
            }
        }
        for (kind, waited) in columns.after {
            chunk.wait.push(kind);
            chunk.waited.push(waited);
        }
        let mut budget = Budget::default();
        // failures have details before anything else has
        let included: Vec<&OperationReport<'_>> = match ops {
            None => report.operations.iter().collect(),
            Some(ops) => ops.iter().map(|op| &report.operations[op.index()]).collect(),
        };
        let (failed, others): (Vec<_>, Vec<_>) = included.into_iter().partition(|one| one.state.is_failure());
        for one in failed.into_iter().chain(others) {
            if let Some(detail) = Detail::of(one, report.run.started_time, &mut budget) {
                chunk.more.insert(one.op.0, detail);
            }
        }
        chunk.left_out = budget.left_out();
        chunk
    }
}

struct Columns<'r, 'm> {
    report: &'r Report<'m>,
    types: HashMap<&'r str, u32>,
    last_start: i64,
    after: Vec<(u8, u64)>,
}

impl<'r> Columns<'r, '_> {
    fn add(&mut self, chunk: &mut Chunk<'r>, one: &'r OperationReport<'_>) {
        let started = self.report.run.started_time;
        let since = |time: Millis| time.saturating_sub(started).cast_signed();
        chunk.name.push(self.name(one));
        if let Some(shown_name) = &one.shown_name {
            chunk.label.insert(one.op.0, shown(shown_name, NAME));
        }
        let next = self.types.len() as u32;
        let kind = *self.types.entry(one.handler_type).or_insert(next);
        if kind == next {
            chunk.types.push(shown(one.handler_type, NAME));
        }
        chunk.kind.push(kind);
        chunk.state.push(one.state.number());
        chunk.origin.push(match one.origin {
            OriginKind::Agenda => 0,
            OriginKind::Part => 1,
            OriginKind::Inner => 2,
            OriginKind::Generated => 3,
        });
        chunk.of.push(one.of.map_or(0, |of| one.op.0 - of.0));
        chunk.whole.push(u8::from(one.is_whole));
        chunk.deps.push(one.depends_on.len() as u32);
        chunk.dep.extend(one.depends_on.iter().map(|on| i64::from(one.op.0) - i64::from(on.0)));
        let last_end =
            one.attempts.last().map_or(0, |last| since(last.started_time) + last.took_ms.cast_signed());
        chunk.settled.push(one.settled_time.map_or(-1, |at| (since(at) - last_end).max(0)));
        chunk.tries.push(one.attempts.len() as u32);
        for attempt in &one.attempts {
            let start = since(attempt.started_time);
            chunk.start.push(start - self.last_start);
            self.last_start = start;
            chunk.took.push(attempt.took_ms);
            chunk.end.push(attempt.outcome.number());
            let waits = latest(&attempt.waits);
            chunk.waits.push(waits.len() as u8);
            chunk.wait.extend(waits.iter().map(|wait| wait.kind.number()));
            chunk.waited.extend(waits.iter().map(|wait| wait.took_ms));
        }
        let waits = latest(&one.waits);
        chunk.last_waits.push(waits.len() as u8);
        self.after.extend(waits.iter().map(|wait| (wait.kind.number(), wait.took_ms)));
    }

    fn name(&self, one: &'r OperationReport<'_>) -> Cow<'r, str> {
        let of = one.of.map(|of| self.report.operations[of.index()].name);
        match of.and_then(|of| one.name.strip_prefix(of)) {
            Some(own) => Cow::Owned(format!("-{own}")),
            None => shown(one.name, NAME),
        }
    }
}

/// The latest waits: as many as their number has room for.
fn latest<'w, 'r>(waits: &'w [Wait<'r>]) -> &'w [Wait<'r>] {
    &waits[waits.len().saturating_sub(usize::from(u8::MAX))..]
}
