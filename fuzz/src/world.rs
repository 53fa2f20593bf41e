//! A run simulated from bytes: programs succeed or fail, time passes, somebody presses Ctrl-C.

use super::choices::Choices;
use pop_agenda::{
    Action, Answer, CancelReason, EventRecord, Gate, Input, OpIx, Plan, RunOptions, RunOutcome, RunTime,
    Scheduler, Verdict,
};
use pop_contract::{Blame, Failure, Progress};
use serde_json::{Value, json};
use std::sync::Arc;

/// A scheduler, the time, its running attempts, and all its events.
pub(crate) struct World {
    pub(crate) scheduler: Scheduler,
    pub(crate) records: Vec<EventRecord>,
    now: RunTime,
    running: Vec<(OpIx, u32)>,
}

impl World {
    /// Starts a run.
    pub(crate) fn begin(plan: Arc<Plan>, options: RunOptions) -> Self {
        let scheduler = Scheduler::new(plan, options);
        Self { scheduler, records: Vec::new(), now: RunTime(0), running: Vec::new() }.begun()
    }

    /// Resumes a run from the state in a journal.
    pub(crate) fn resume(scheduler: Scheduler, now: RunTime) -> Self {
        let options = scheduler.options().clone();
        let mut world = Self { scheduler, records: Vec::new(), now, running: Vec::new() };
        if !world.scheduler.has_begun() {
            return world.begun();
        }
        world.input(Input::Resumed { options });
        world
    }

    fn begun(mut self) -> Self {
        self.input(Input::Begun {
            run: "r".into(),
            started: 1,
            adopted: pop_agenda::PriorOutcomes::default(),
        });
        self
    }

    fn input(&mut self, input: Input) {
        let step = self.scheduler.step(self.now, input);
        assert_eq!(self.scheduler.check(), Ok(()));
        self.records.extend(step.events.into_iter().map(|event| EventRecord { at: self.now, event }));
        for action in step.actions {
            match action {
                Action::Launch { op, attempt, .. } => self.running.push((op, attempt)),
                Action::Ask { op, gate } => {
                    let answer = match gate {
                        Gate::Cache(_) | Gate::Reuse { .. } => Answer::miss("no entry"),
                        Gate::Files(_) => Answer::Read { files: Arc::default() },
                        Gate::Version { .. } => Answer::Version(1),
                        Gate::Lock { .. } | Gate::Delay { .. } => Answer::Granted,
                    };
                    self.input(Input::Answered { op, answer });
                }
                _ => {}
            }
        }
    }

    /// Plays inputs until the choices or the run end.
    pub(crate) fn play(&mut self, choices: &mut Choices<'_>) {
        while !choices.is_over() && self.scheduler.outcome().is_none() {
            let kind = choices.byte();
            let which = usize::from(kind >> 4).checked_rem(self.running.len());
            let (op, attempt) = which.map_or((OpIx(0), 0), |which| self.running[which]);
            let input = match kind % 10 {
                0 | 1 => Input::Ended { op, attempt, verdict: Verdict::succeeded(value(choices)) },
                2 => Input::Ended { op, attempt, verdict: Verdict::failed(failure(choices)) },
                3 => Input::Lost { op, attempt },
                4 => Input::Progressed { op, attempt, progress: Arc::new(progress(choices)) },
                5 => Input::WentSilent { op, attempt },
                6 => Input::Running { op, attempt },
                7 => Input::CancelAsked { reason: CANCELS[usize::from(kind >> 4) % CANCELS.len()] },
                _ => {
                    self.now = self.now.plus(u64::from(choices.byte()) * u64::from(kind));
                    Input::Ticked
                }
            };
            if let (Input::Ended { .. } | Input::Lost { .. }, Some(which)) = (&input, which) {
                self.running.remove(which);
            }
            self.input(input);
        }
    }

    /// Ends all running attempts and passes all deadlines until the run ends, as every run must.
    pub(crate) fn finish(&mut self) -> RunOutcome {
        loop {
            if let Some(outcome) = self.scheduler.outcome() {
                assert_ne!(outcome, RunOutcome::Stuck);
                return outcome;
            }
            if let Some((op, attempt)) = self.running.pop() {
                let verdict = match self.scheduler.payload(op) {
                    Ok(payload) => Verdict::succeeded(payload.into_owned()),
                    Err(error) => {
                        Verdict::failed(Failure::new(Blame::Handler, "reference", error.to_string()))
                    }
                };
                self.input(Input::Ended { op, attempt, verdict });
            } else {
                let due = self.scheduler.deadline();
                assert!(due.is_some(), "no deadline, and the run has not ended");
                self.now = self.now.max(due.unwrap_or_default());
                self.input(Input::Ticked);
            }
        }
    }
}

const CANCELS: [CancelReason; 3] =
    [CancelReason::Interrupted, CancelReason::Terminated, CancelReason::TimeLimit];

fn value(choices: &mut Choices<'_>) -> Value {
    match choices.byte() {
        0 => json!({}),
        1 => json!({"w": 720, "text": "line\nend \u{2028} \"\\"}),
        2 => json!({"w": null}),
        // up to the greatest depth of a report
        3 => (0..choices.byte() / 2).fold(json!("]\"["), |inner, _| json!([inner])),
        byte if byte < 128 => json!({"w": number(choices)}),
        _ => json!([String::from_utf8_lossy(&[choices.byte(), choices.byte(), choices.byte()])]),
    }
}

/// Any finite number.
fn number(choices: &mut Choices<'_>) -> f64 {
    let number = f64::from_bits(u64::from_le_bytes(std::array::from_fn(|_| choices.byte())));
    if number.is_finite() { number } else { 0.1 }
}

fn failure(choices: &mut Choices<'_>) -> Failure {
    let code = ["exit", "spawn", "payload", "7"][choices.below(4)];
    Failure::new(Blame::Handler, code, "it did not work")
}

fn progress(choices: &mut Choices<'_>) -> Progress {
    Progress { percent_complete: Some(number(choices)), ..Progress::default() }
}
