//! What a run of a plan would do, without starting anything: which operations would take their results from the cache, and
//! why the others would run.
//!
//! The scheduler itself decides. Cached results and files are looked up but not put back, locks count as free, and an
//! operation that would run never ends. So the operations that read its result stay undecided.

use crate::effects::{FileContext, LookUp};
use crate::exec_program::ExecProgram;
use crate::host::Host;
use crate::run_identity::RunIdentity;
use pop_agenda::{
    Action, Answer, Explanation, FileRecord, Gate, Input, OpIx, OpState, Outcome, Plan, PriorOutcomes,
    RunEvent, RunOptions, RunTime, Scheduler, Serves,
};
use pop_contract::{Failure, Millis};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// What would become of an operation.
#[derive(Debug, Clone, PartialEq)]
pub enum Prospect {
    /// It takes its result from the cache.
    UpToDate {
        /// Run and operation that computed the result; none if its instances are all up to date.
        by: Option<Box<str>>,
        /// Number of files that are put back.
        restored: u32,
    },
    /// It runs, for this reason.
    Runs(String),
    /// It waits for these operations, and what it does depends on them.
    Depends(Vec<OpIx>),
    /// So many of its instances or calls run, or wait for others.
    Parts {
        /// Number of those.
        open: u32,
        /// Number of all.
        all: u32,
    },
    /// It is skipped.
    Skipped,
    /// It fails before it starts.
    Fails(Box<Failure>),
}

/// Forecasts a new run of a plan, started at `now`. Returns the plan with the operations that it would add, and the
/// prospect of each operation in order.
pub fn forecast(
    plan: Plan,
    identity: &RunIdentity,
    host: Host,
    clock: fn() -> Millis,
) -> (Arc<Plan>, Vec<(OpIx, Prospect)>) {
    let options = RunOptions { parallel: u32::MAX, keep_going: true, ..RunOptions::default() };
    let scheduler = Scheduler::new(plan.without_part_limits(), options);
    let files = FileContext::new(host, identity, clock);
    let mut forecast = Forecast {
        scheduler,
        files,
        read: HashMap::new(),
        misses: HashMap::new(),
        hits: HashMap::new(),
        failures: HashMap::new(),
    };
    let run = identity.run.as_str().into();
    forecast.play(Input::Begun { run, started: clock(), adopted: PriorOutcomes::default() });
    let plan = Arc::clone(forecast.scheduler.plan());
    let prospects = plan.operations().map(|(op, _)| (op, forecast.prospect(op))).collect();
    (plan, prospects)
}

struct Forecast {
    scheduler: Scheduler,
    files: FileContext,
    read: HashMap<OpIx, Arc<[FileRecord]>>,
    misses: HashMap<OpIx, Box<str>>,
    /// Who computed a result, and how many files are put back.
    hits: HashMap<OpIx, (Box<str>, u32)>,
    failures: HashMap<OpIx, Box<Failure>>,
}

impl Forecast {
    /// Plays the run until nothing happens any more.
    fn play(&mut self, first: Input) {
        let mut inputs = VecDeque::from([first]);
        while let Some(input) = inputs.pop_front() {
            let step = self.scheduler.step(RunTime(0), input);
            for event in &step.events {
                match event {
                    RunEvent::StartFailed { op, failure }
                    | RunEvent::GateAnswered { op, answer: Answer::Failed(failure) } => {
                        self.failures.insert(*op, failure.clone());
                    }
                    _ => {}
                }
            }
            for action in step.actions {
                if let Action::Ask { op, gate } = action {
                    let answer = self.answer(op, gate);
                    inputs.push_back(Input::Answered { op, answer });
                }
            }
        }
    }

    fn answer(&mut self, op: OpIx, gate: Gate) -> Answer {
        match gate {
            Gate::Lock { .. } | Gate::Delay { .. } => Answer::Granted,
            Gate::Version { .. } => Answer::Version(0),
            // a forecast has no parent
            Gate::Reuse { .. } => Answer::miss("there is no earlier run"),
            Gate::Files(declared) => {
                let answer = self.files.read(&declared);
                if let Answer::Read { files } = &answer {
                    self.read.insert(op, Arc::clone(files));
                }
                answer
            }
            Gate::Cache(ask) => {
                let plan = Arc::clone(self.scheduler.plan());
                let is_exec = matches!(plan.operation(op).serves, Serves::Exec);
                let payload = is_exec.then(|| self.scheduler.payload(op).ok()).flatten();
                let exec = payload.map(|payload| Box::new(ExecProgram::of(&payload)));
                let declared = self.scheduler.declared_files(op).cloned();
                let read = self.read.remove(&op).unwrap_or_default();
                let request = LookUp { read, ..LookUp::new(op, ask, exec, declared, plan) };
                let answer = self.files.look_up(&request);
                match &answer {
                    Answer::Miss { why, .. } => drop(self.misses.insert(op, why.clone())),
                    Answer::Hit { by, restored, .. } => {
                        self.hits.insert(op, (by.clone(), *restored));
                    }
                    _ => {}
                }
                answer
            }
        }
    }

    fn prospect(&self, op: OpIx) -> Prospect {
        match self.scheduler.state(op) {
            OpState::Settled(Outcome::FromCache | Outcome::Succeeded) => {
                let (by, restored) = self.hits.get(&op).cloned().unzip();
                Prospect::UpToDate { by, restored: restored.unwrap_or_default() }
            }
            OpState::Settled(_) | OpState::BackingOff { .. } if self.failures.contains_key(&op) => {
                Prospect::Fails(self.failures[&op].clone())
            }
            OpState::Settled(Outcome::Skipped) => Prospect::Skipped,
            OpState::Parted { left } => {
                let Explanation::WaitsForParts(open) = self.scheduler.explain(op) else {
                    return Prospect::Parts { open: *left, all: *left };
                };
                let parts = self.scheduler.plan().operations();
                let all = parts.filter(|(_, planned)| planned.part_of() == Some(op)).count() as u32;
                Prospect::Parts { open: open.len() as u32, all }
            }
            OpState::Waiting { .. } | OpState::Settled(_) => match self.scheduler.explain(op) {
                Explanation::WaitsFor(ops) | Explanation::Needed(ops) | Explanation::NotAsked(ops) => {
                    Prospect::Depends(ops)
                }
                _ => Prospect::Depends(Vec::new()),
            },
            OpState::Gated(_) => match self.scheduler.explain(op) {
                // the same result is computed by another operation of the run
                Explanation::Held { gate: Gate::Lock { .. }, by: Some(by), .. }
                    if self.is_cached(op) && !self.misses.contains_key(&op) =>
                {
                    Prospect::Depends(vec![by])
                }
                _ => Prospect::Runs(self.reason(op)),
            },
            _ => Prospect::Runs(self.reason(op)),
        }
    }

    fn is_cached(&self, op: OpIx) -> bool {
        let planned = self.scheduler.plan().operation(op);
        planned.policies.use_cache.value && planned.may_use_cache()
    }

    fn reason(&self, op: OpIx) -> String {
        match self.misses.get(&op) {
            Some(why) => why.to_string(),
            None if self.is_cached(op) => "the cache has no entry for this key".to_owned(),
            None if self.scheduler.plan().operation(op).policies.use_cache.value => {
                "its handler does not allow cached results (`cache.use`)".to_owned()
            }
            None => "its result is not cached (`useCache`)".to_owned(),
        }
    }
}
