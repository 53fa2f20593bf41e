//! Makes a report from the history of a run and the facts of its folder.

use crate::attempt_end::attempt_end;
use crate::command::{command, next_command, repeat_command};
use crate::critical_path::critical_path;
use crate::facts::{RunFacts, RunState};
use crate::model::{
    AttemptEnding, AttemptReport, OperationReport, OperationState, OriginKind, OutcomeCounts, Report,
    RunReport, Usage, VERSION, Wait, WaitKind, WaitTotal,
};
use crate::wait::Waits;
use pop_agenda::{Attempt, Ending, History, OpIx, OperationHistory, Origin, Plan, RunTime};
use pop_contract::Failure;
use std::collections::{BTreeMap, HashSet};

impl<'r> Report<'r> {
    /// Makes the report of a run. `plan` includes the operations that the run has added.
    pub fn of(plan: &'r Plan, history: &'r History, facts: &RunFacts<'r>) -> Self {
        let end = RunTime(facts.until.saturating_sub(history.started)).max(history.last);
        let waits = Waits::new(plan, history, end);
        let is_stopped = facts.state == RunState::Stopped;
        let states = states(plan, history, is_stopped);
        let mut operations: Vec<OperationReport<'r>> = Vec::with_capacity(plan.len());
        for (op, _) in plan.operations() {
            let mut report = operation(plan, history, &waits, op, end);
            report.state = states[op.index()];
            if is_stopped {
                report.end_with_executor(history.wall(end));
            }
            report.repeat_command = repeat_command(facts, report.state, report.name);
            operations.push(report);
        }
        let critical_path = critical_path(plan, history, &operations, end);
        let mut counts = OutcomeCounts::default();
        for report in &operations {
            counts.add(report.state);
        }
        let usage = history.operations().filter_map(OperationHistory::usage).reduce(pop_contract::Usage::and);
        Self {
            version: VERSION,
            pop: facts.pop,
            generated_time: facts.now,
            run: run(history, facts),
            inputs: facts.inputs,
            counts: counts.list(),
            waits: wait_totals(&operations),
            usage: usage.map(Usage::from),
            critical_path,
            operations,
        }
    }

    /// Number of operations in a state.
    pub fn count(&self, state: OperationState) -> usize {
        self.counts.iter().find(|count| count.state == state).map_or(0, |count| count.count)
    }

    /// The failed operations in the order of their end, without those that failed because of their parts.
    pub fn failures(&self) -> Vec<&OperationReport<'r>> {
        let failed = || self.operations.iter().filter(|report| report.state.is_failure());
        let explained: HashSet<OpIx> = failed().filter_map(|report| report.of).collect();
        let is_cause = |report: &&OperationReport<'r>| {
            report.failure().is_some() && !(report.is_whole && explained.contains(&report.op))
        };
        let mut failures: Vec<_> = failed().filter(is_cause).collect();
        failures.sort_by_key(|report| (report.settled_time, report.op));
        failures
    }

    /// Whether the run has ended without a failure.
    pub fn is_good(&self) -> bool {
        self.run.exit_code == Some(0)
    }
}

fn run<'r>(history: &'r History, facts: &RunFacts<'r>) -> RunReport<'r> {
    let outcome = history.ended.map(|(_, outcome)| outcome);
    RunReport {
        name: facts.run,
        agenda: facts.agenda,
        launcher: facts.launcher,
        state: facts.state,
        outcome,
        exit_code: outcome.map(pop_agenda::RunOutcome::exit_code),
        started_time: history.started,
        completed_time: history.ended.map(|(at, _)| history.wall(at)),
        took_ms: facts.until.saturating_sub(history.started),
        parallel: history.executors.last().map_or(1, |executor| executor.parallel),
        resumed: history.executors.len().saturating_sub(1),
        rerun_of: history.parent.as_ref().map(|parent| parent.run.as_ref()),
        replay_of: facts.replay_of.map(|(run, operation)| format!("{run}/{operation}")),
        reused_from: reused_from(history),
        runs_argument: facts.runs.map(|runs| command(["--runs", runs])),
        next_command: next_command(facts, history),
    }
}

fn reused_from(history: &History) -> Vec<(&str, usize)> {
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    for reused in history.operations().filter_map(|seen| seen.reused.as_ref()) {
        *runs.entry(&reused.run).or_default() += 1;
    }
    runs.into_iter().collect()
}

/// The state of each operation. One with parts runs while one of them does. In a run that no process executes, nothing
/// runs: what has begun is stopped.
fn states(plan: &Plan, history: &History, is_stopped: bool) -> Vec<OperationState> {
    let begun = if is_stopped { OperationState::Stopped } else { OperationState::Running };
    let mut states = vec![OperationState::Waiting; plan.len()];
    let ops: Vec<OpIx> = plan.operations().map(|(op, _)| op).collect();
    // parts have larger numbers than what they belong to
    for op in ops.into_iter().rev() {
        let seen = history.operation(op);
        let state = match seen.outcome() {
            Some(outcome) => outcome.into(),
            None if seen.open_attempt().is_some() || (is_stopped && !seen.attempts.is_empty()) => begun,
            None => states[op.index()],
        };
        states[op.index()] = state;
        let has_begun = !matches!(state, OperationState::Waiting | OperationState::Cancelled);
        if let Some(of) = plan.operation(op).part_of().filter(|_| has_begun) {
            states[of.index()] = begun;
        }
    }
    states
}

fn operation<'r>(
    plan: &'r Plan,
    history: &'r History,
    waits: &Waits<'r>,
    op: OpIx,
    end: RunTime,
) -> OperationReport<'r> {
    let planned = plan.operation(op);
    let seen = history.operation(op);
    let name = planned.name.as_str();
    let shown = plan.shown_name(op);
    let (origin, of) = match planned.origin {
        None => (OriginKind::Agenda, None),
        Some(Origin::Part { of, .. }) => (OriginKind::Part, Some(of)),
        Some(Origin::Inner { of, .. }) => (OriginKind::Inner, Some(of)),
        Some(Origin::Generated { by, .. }) => (OriginKind::Generated, Some(by)),
    };
    let is_whole = planned.is_whole();
    let attempts = seen.attempts.iter().enumerate();
    let attempts =
        attempts.map(|(index, attempt)| self::attempt(history, attempt, waits.before(op, index), end));
    let failed_starts = seen.failed_starts.iter().map(|start| start.failure.as_ref());
    let joined = seen.joined.iter().filter_map(failure);
    OperationReport {
        op,
        name,
        shown_name: (shown != name).then(|| shown.into_owned()),
        handler_type: &planned.handler_type,
        state: OperationState::Waiting,
        origin,
        of,
        is_whole,
        depends_on: dependencies(plan, op),
        settled_time: seen.settled.map(|(at, _)| history.wall(at)),
        attempts: attempts.collect(),
        waits: if is_whole { Vec::new() } else { waits.before(op, seen.attempts.len()) },
        failures: failed_starts.chain(joined).collect(),
        ignored: seen.ignored.as_deref(),
        skipped_by: seen.skipped.as_ref().map(ToString::to_string),
        reused_from: seen.reused.as_ref().map(|reused| reused.run.as_ref()),
        replayed_by: seen
            .replayed
            .as_ref()
            .filter(|replayed| replayed.is_given)
            .map(|replayed| replayed.run.as_ref()),
        progress: seen.progress.as_deref().filter(|_| seen.settled.is_none()),
        files: seen.files.as_deref(),
        result: seen.result().map(AsRef::as_ref),
        repeat_command: None,
    }
}

/// The dependencies of an operation, without those that it shares with the operation around it.
fn dependencies(plan: &Plan, op: OpIx) -> Vec<OpIx> {
    let mut on: Vec<OpIx> = plan.graph().dependencies(op).map(|edge| edge.on).collect();
    on.sort_unstable();
    on.dedup();
    if let Some(of) = plan.operation(op).part_of() {
        on.retain(|on| plan.graph().dependencies(of).all(|edge| edge.on != *on));
    }
    on
}

fn attempt<'r>(
    history: &'r History,
    attempt: &'r Attempt,
    waits: Vec<Wait<'r>>,
    end: RunTime,
) -> AttemptReport<'r> {
    let ended = attempt.ended.as_ref();
    let ended_at = attempt_end(history, attempt);
    let until = ended_at.unwrap_or(end);
    AttemptReport {
        number: attempt.number,
        started_time: history.wall(attempt.started),
        running_time: attempt.running.map(|at| history.wall(at)),
        completed_time: ended_at.map(|at| history.wall(at)),
        took_ms: until.0.saturating_sub(attempt.started.0),
        outcome: match ended.map(|(_, ending)| ending) {
            None => AttemptEnding::Running,
            Some(Ending::Succeeded { .. }) => AttemptEnding::Succeeded,
            Some(Ending::Failed(_)) => AttemptEnding::Failed,
            Some(Ending::Cancelled) => AttemptEnding::Cancelled,
            Some(Ending::Lost) => AttemptEnding::Lost,
            Some(Ending::Displaced(_)) => AttemptEnding::Displaced,
        },
        waits,
        failure: ended.and_then(|(_, ending)| failure(ending)),
        instance: attempt.instance.as_deref(),
        usage: attempt.usage.map(Usage::from),
    }
}

fn failure(ending: &Ending) -> Option<&Failure> {
    match ending {
        Ending::Failed(failure) | Ending::Displaced(failure) => Some(failure),
        _ => None,
    }
}

fn wait_totals(operations: &[OperationReport<'_>]) -> Vec<WaitTotal> {
    let mut totals: BTreeMap<WaitKind, u64> = BTreeMap::new();
    for report in operations {
        let of_attempts = report.attempts.iter().flat_map(|attempt| &attempt.waits);
        for wait in of_attempts.chain(&report.waits) {
            *totals.entry(wait.kind).or_default() += wait.took_ms;
        }
    }
    let mut totals: Vec<WaitTotal> =
        totals.into_iter().map(|(kind, total_ms)| WaitTotal { kind, total_ms }).collect();
    totals.sort_by_key(|total| std::cmp::Reverse(total.total_ms));
    totals
}
