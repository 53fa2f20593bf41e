//! Expected durations of operations, from what similar ones took, and the time left of a run.
//!
//! Operations are similar if they have the same name without the numbers of items (`video#3/probe`), otherwise if they have
//! the same type. The time left is the expected work divided by how many operations the run has kept busy so far, and
//! never less than what one running operation still needs.

use pop_agenda::{History, OpIx, Plan};
use std::collections::HashMap;
use std::time::Duration;

/// Most operations of a run for which the time left is estimated: each estimate looks at all of them.
const MOST: usize = 20_000;

/// What operations took.
#[derive(Debug, Clone, Default)]
pub struct Durations {
    by_name: HashMap<String, Mean>,
    by_type: HashMap<Box<str>, Mean>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Mean {
    sum: Duration,
    count: u32,
}

impl Mean {
    fn add(&mut self, took: Duration) {
        self.sum += took;
        self.count += 1;
    }

    fn value(self) -> Option<Duration> {
        (self.count > 0).then(|| self.sum / self.count)
    }
}

impl Durations {
    /// What the successful operations of an earlier run took.
    pub fn of_run(plan: &Plan, history: &History) -> Self {
        let mut durations = Self::default();
        for (op, _) in plan.operations() {
            let past = history.operation(op);
            if let (Some(outcome), Some(last)) = (past.outcome(), past.attempts.last())
                && let Some((end, _)) = last.ended.as_ref().filter(|_| outcome.has_result())
            {
                durations.add(plan, op, Duration::from_millis(end.0.saturating_sub(last.started.0)));
            }
        }
        durations
    }

    /// Adds what one operation took.
    pub(crate) fn add(&mut self, plan: &Plan, op: OpIx, took: Duration) {
        let planned = plan.operation(op);
        self.by_name.entry(similar(planned.name.as_str())).or_default().add(took);
        self.by_type.entry(planned.handler_type.as_ref().into()).or_default().add(took);
    }

    /// What an operation is expected to take; none if nothing similar is known.
    fn expected(&self, plan: &Plan, op: OpIx) -> Option<Duration> {
        let planned = plan.operation(op);
        let by_name = self.by_name.get(&similar(planned.name.as_str())).and_then(|mean| mean.value());
        by_name.or_else(|| self.by_type.get(planned.handler_type.as_ref())?.value())
    }
}

/// A name without the numbers of items.
fn similar(name: &str) -> String {
    let mut is_number = false;
    let keeps = |letter: &char| {
        is_number = *letter == '#' || (is_number && letter.is_ascii_digit());
        !is_number || *letter == '#'
    };
    name.chars().filter(keeps).collect()
}

/// The progress of a run, as far as the time left depends on it.
#[derive(Debug, Default)]
pub(crate) struct Estimate {
    own: Durations,
    earlier: Option<Durations>,
    is_settled: Vec<bool>,
    /// Time that ended attempts were busy.
    busy: Duration,
}

impl Estimate {
    /// Uses what an earlier run took where this run knows nothing.
    pub(crate) fn set_earlier(&mut self, earlier: Durations) {
        self.earlier = Some(earlier);
    }

    /// An attempt ended; `is_success` if its time says what similar ones will take.
    pub(crate) fn attempt_ended(&mut self, plan: &Plan, op: OpIx, took: Duration, is_success: bool) {
        self.busy += took;
        if is_success {
            self.own.add(plan, op, took);
        }
    }

    /// An operation has its outcome, or has lost it again.
    pub(crate) fn set_settled(&mut self, op: OpIx, is_settled: bool) {
        if self.is_settled.len() <= op.index() {
            self.is_settled.resize(op.index() + 1, false);
        }
        self.is_settled[op.index()] = is_settled;
    }

    /// The time left, `elapsed` after the run began, with the attempts that run and since when. None if too little is
    /// known.
    pub(crate) fn left(
        &self,
        plan: &Plan,
        elapsed: Duration,
        running: &[(OpIx, Duration)],
    ) -> Option<Duration> {
        if plan.len() > MOST {
            return None;
        }
        let age: HashMap<OpIx, Duration> = running.iter().copied().collect();
        let (mut work, mut longest) = (Duration::ZERO, Duration::ZERO);
        let (mut known, mut unknown) = (0_u32, 0_u32);
        for (op, planned) in plan.operations() {
            let is_settled = self.is_settled.get(op.index()).copied().unwrap_or_default();
            if is_settled || planned.is_whole() {
                continue;
            }
            let expected = self.own.expected(plan, op);
            let expected = expected.or_else(|| self.earlier.as_ref()?.expected(plan, op));
            match expected {
                Some(expected) => {
                    known += 1;
                    let age = age.get(&op).copied();
                    let rest = expected.saturating_sub(age.unwrap_or_default());
                    work += rest;
                    if age.is_some() {
                        longest = longest.max(rest);
                    }
                }
                None => unknown += 1,
            }
        }
        // most of what is left must be known
        if known == 0 || unknown > known {
            return None;
        }
        work += work / known * unknown;
        let busy = self.busy + running.iter().map(|(_, age)| *age).sum::<Duration>();
        let at_once = (busy.as_secs_f64() / elapsed.as_secs_f64().max(0.001)).max(1.0);
        Some(work.div_f64(at_once).max(longest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_agenda::Agenda;
    use pop_contract::LaunchType;
    use pop_registry::Catalog;
    use serde_json::json;

    fn plan(count: usize) -> Plan {
        let operations: Vec<_> =
            (0..count).map(|number| json!({"name": format!("o{number}"), "type": "sample"})).collect();
        let mut faults = Vec::new();
        let agenda = Agenda::parse(json!({"operations": operations}), &mut faults).unwrap();
        Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn items_are_similar_whatever_their_numbers() {
        assert_eq!(similar("video#12/probe#3"), "video#/probe#");
        assert_eq!(similar("step2"), "step2");
    }

    #[test]
    fn time_left_is_the_work_left_by_what_runs_at_once() {
        let plan = plan(10);
        let mut estimate = Estimate::default();
        assert_eq!(estimate.left(&plan, SECOND, &[]), None);
        // four operations of ten seconds each, two at a time, and two others are half done
        for op in 0..4 {
            estimate.attempt_ended(&plan, OpIx(op), 10 * SECOND, true);
            estimate.set_settled(OpIx(op), true);
        }
        let running = [(OpIx(4), 5 * SECOND), (OpIx(5), 5 * SECOND)];
        // 2 times 5 seconds and 4 times 10 seconds, two at once
        assert_eq!(estimate.left(&plan, 25 * SECOND, &running), Some(25 * SECOND));
        // a failed attempt says nothing about what similar ones take
        estimate.attempt_ended(&plan, OpIx(6), 99 * SECOND, false);
        assert!(estimate.left(&plan, 99 * SECOND, &[]).unwrap() <= 60 * SECOND);
        // the last operation cannot be shared
        (4..9).for_each(|op| estimate.set_settled(OpIx(op), true));
        assert_eq!(estimate.left(&plan, 25 * SECOND, &[(OpIx(9), SECOND)]), Some(9 * SECOND));
        // it takes longer than expected
        assert_eq!(estimate.left(&plan, 25 * SECOND, &[(OpIx(9), 99 * SECOND)]), Some(Duration::ZERO));
    }

    #[test]
    fn earlier_run_counts_until_this_one_knows_better() {
        let plan = plan(2);
        let mut earlier = Durations::default();
        earlier.add(&plan, OpIx(0), 8 * SECOND);
        let mut estimate = Estimate::default();
        estimate.set_earlier(earlier);
        assert_eq!(estimate.left(&plan, SECOND, &[]), Some(16 * SECOND));
        estimate.attempt_ended(&plan, OpIx(0), 2 * SECOND, true);
        estimate.set_settled(OpIx(0), true);
        assert_eq!(estimate.left(&plan, 2 * SECOND, &[]), Some(2 * SECOND));
    }
}
