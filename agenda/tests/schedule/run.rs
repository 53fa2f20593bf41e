//! A run of which a test plays every step.

use crate::world::plan;
use pop_agenda::{
    Action, Ending, EventRecord, History, Input, OpIx, Outcome, Plan, PriorOutcomes, RunEvent, RunOptions,
    RunTime, Scheduler, Verdict,
};
use pop_contract::{Blame, Failure};
use serde_json::{Value, json};
use std::sync::Arc;

/// A run whose events are kept.
pub(crate) struct Run {
    pub(crate) plan: Arc<Plan>,
    pub(crate) scheduler: Scheduler,
    pub(crate) journal: Vec<EventRecord>,
}

impl Run {
    pub(crate) fn begin(operations: &Value) -> Self {
        Self::of(plan(json!({"operations": operations})))
    }

    pub(crate) fn of(plan: Arc<Plan>) -> Self {
        let options = RunOptions { parallel: 9, keep_going: true, ..RunOptions::default() };
        let scheduler = Scheduler::new(Arc::clone(&plan), options);
        let mut run = Self { plan, scheduler, journal: Vec::new() };
        run.step(0, Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() });
        run
    }

    /// The actions of an input.
    pub(crate) fn step(&mut self, now: u64, input: Input) -> Vec<Action> {
        let at = RunTime(now);
        let step = self.scheduler.step(at, input);
        self.scheduler.check().unwrap();
        self.journal.extend(step.events.into_iter().map(|event| EventRecord { at, event }));
        step.actions
    }

    pub(crate) fn tick(&mut self, now: u64) -> Vec<Action> {
        self.step(now, Input::Ticked)
    }

    pub(crate) fn fail(&mut self, now: u64, op: u32, attempt: u32) {
        let verdict = Verdict::failed(Failure::new(Blame::Handler, "exit", "ended with exit status 1"));
        self.step(now, Input::Ended { op: OpIx(op), attempt, verdict });
    }

    pub(crate) fn deadline(&self) -> Option<u64> {
        self.scheduler.deadline().map(|at| at.0)
    }

    /// Ends the first attempt of an operation, by name.
    pub(crate) fn succeed(&mut self, now: u64, name: &str, result: Value) -> Vec<Action> {
        let op = self.scheduler.plan().find(name).unwrap();
        self.step(now, Input::Ended { op, attempt: 1, verdict: Verdict::succeeded(result) })
    }

    /// The outcome of an operation, by name.
    pub(crate) fn outcome_of(&self, name: &str) -> Option<Outcome> {
        self.outcome(self.scheduler.plan().find(name).unwrap().0)
    }

    /// The failures of an operation: of starts and of attempts.
    pub(crate) fn failures(&self, op: u32) -> Vec<(String, String)> {
        let failure = |record: &EventRecord| match &record.event {
            RunEvent::StartFailed { op: of, failure }
            | RunEvent::AttemptEnded { op: of, ending: Ending::Failed(failure), .. }
                if of.0 == op =>
            {
                Some((failure.code.clone(), failure.message.clone()))
            }
            _ => None,
        };
        self.journal.iter().filter_map(failure).collect()
    }

    pub(crate) fn outcome(&self, op: u32) -> Option<Outcome> {
        let history = History::of(self.plan.len(), &self.journal);
        let mut again = Scheduler::new(Arc::clone(&self.plan), RunOptions::default());
        for record in &self.journal {
            again.evolve(record);
            again.check().unwrap();
        }
        assert_eq!(again.deadline(), self.scheduler.deadline());
        let outcome = self.scheduler.state(OpIx(op)).outcome();
        assert_eq!(history.operation(OpIx(op)).outcome(), outcome);
        outcome
    }
}
