//! How much of a time all slots of `--parallel` were taken. No event records that an operation waits for a slot.

use crate::attempt_end::attempt_end;
use pop_agenda::{History, Plan, RunTime};

/// The times at which all slots were taken, as a function that can be summed over any time.
pub(crate) struct SlotUse {
    /// Time, sum of the full time until then, and whether all slots are taken from then on.
    steps: Vec<(u64, u64, bool)>,
}

impl SlotUse {
    /// Derives it from all attempts. `end` is the end of those that run.
    pub(crate) fn of(plan: &Plan, history: &History, end: RunTime) -> Self {
        let mut changes: Vec<(u64, i64, Option<u32>)> = Vec::new();
        for (op, _) in plan.operations() {
            for attempt in &history.operation(op).attempts {
                changes.push((attempt.started.0, 1, None));
                changes.push((attempt_end(history, attempt).unwrap_or(end).0, -1, None));
            }
        }
        changes
            .extend(history.executors.iter().map(|executor| (executor.from.0, 0, Some(executor.parallel))));
        changes.sort_unstable();
        let (mut running, mut parallel) = (0_i64, 1_u32);
        let (mut full, mut last, mut is_full) = (0, 0, false);
        let mut steps = vec![(0, 0, false)];
        let mut changes = changes.into_iter().peekable();
        while let Some((at, change, limit)) = changes.next() {
            running += change;
            parallel = limit.unwrap_or(parallel);
            if changes.peek().is_some_and(|next| next.0 == at) {
                continue;
            }
            if is_full {
                full += at - last;
            }
            last = at;
            is_full = running >= i64::from(parallel);
            steps.push((at, full, is_full));
        }
        Self { steps }
    }

    /// Time between `from` and `until` in which all slots were taken, in milliseconds.
    pub(crate) fn full_between(&self, from: u64, until: u64) -> u64 {
        self.full_until(until).saturating_sub(self.full_until(from))
    }

    fn full_until(&self, at: u64) -> u64 {
        let index = self.steps.partition_point(|step| step.0 <= at).saturating_sub(1);
        let (since, full, is_full) = self.steps[index];
        full + if is_full { at - since } else { 0 }
    }
}
