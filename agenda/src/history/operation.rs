//! The history of one operation: attempts, waits, failures and outcome. [`History`](super::History) keeps one for each
//! operation, the scheduler for those whose dead letter it may have to write.
//!
//! Every time is a [`RunTime`]: milliseconds since the run began.

use super::admission::Admission;
use crate::event::{Ending, RunEvent, RunTime, StopReason};
use crate::files::RecordedFiles;
use crate::gate::{Answer, Gate};
use crate::outcome::Outcome;
use crate::reuse::NamedFile;
use pop_contract::{Exit, Failure, Progress, Usage};
use pop_policy::PatternMatch;
use serde_json::Value;
use std::sync::Arc;
use thin_vec::ThinVec;

/// One attempt at an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempt {
    /// Number of the attempt, from 1.
    pub number: u32,
    /// Time of the launch.
    pub started: RunTime,
    /// Time at which the attempt left its pending phase; none until then. A process has no pending phase and never has
    /// this time.
    pub running: Option<RunTime>,
    /// Requests to stop the attempt, oldest first. A resumed run withdraws an open request and may make another.
    pub stops: ThinVec<StopRequest>,
    /// Time at which the attempt succeeded and its commit was requested; none without versions.
    pub committing: Option<RunTime>,
    /// Time and kind of the end; none while the attempt runs.
    pub ended: Option<(RunTime, Ending)>,
    /// The instance of a warm handler that served the attempt.
    pub instance: Option<Box<str>>,
    /// What the attempt used; none if the platform does not tell, and in runs of earlier versions of pop.
    pub usage: Option<Usage>,
    /// Exit of the program, if it ended after the scheduler had given up the attempt.
    pub late: Option<Exit>,
    /// Files that the operation names, after a success of a local program.
    pub named_files: Arc<[NamedFile]>,
}

/// A result of the parent that a run reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReusedResult {
    /// The run in which the operation ran.
    pub run: Box<str>,
    /// Files that the operation names.
    pub named_files: Arc<[NamedFile]>,
}

/// The result of a replayed dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayedLetter {
    /// The run that replayed the dead letter.
    pub run: Box<str>,
    /// The result.
    pub result: Arc<Value>,
    /// Whether the operation has got the result; before that, the run has to be resumed.
    pub is_given: bool,
}

/// A request to stop an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StopRequest {
    /// Time of the request.
    pub at: RunTime,
    /// Reason for the request.
    pub reason: StopReason,
    /// Time at which the attempt was killed because it had not stopped; none if it was not killed.
    pub killed: Option<RunTime>,
    /// Time at which a resumed run withdrew the request; none if the request is still valid.
    pub withdrawn: Option<RunTime>,
}

/// A wait between two attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Time at which the wait began.
    pub from: RunTime,
    /// Time until which the operation was to wait.
    pub until: RunTime,
    /// Time at which the wait really ended; none while it lasts.
    pub ended: Option<RunTime>,
}

/// A failure that came before an attempt could be launched.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedStart {
    /// Time of the failure.
    pub at: RunTime,
    /// Number of attempts that the operation had made before.
    pub after: u32,
    /// Reason.
    pub failure: Box<Failure>,
}

/// Everything that happened to one operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OperationHistory {
    /// Attempts, oldest first.
    pub attempts: ThinVec<Attempt>,
    /// Failures before a launch, oldest first.
    pub failed_starts: ThinVec<FailedStart>,
    /// Waits between attempts, oldest first.
    pub backoffs: ThinVec<Backoff>,
    /// Gates that the operation had to pass, one admission for each attempt that was prepared.
    pub admissions: ThinVec<Admission>,
    /// Times at which a resumed run reopened the operation.
    pub reopened: ThinVec<RunTime>,
    /// Result adopted from an earlier run.
    pub adopted: Option<Arc<Value>>,
    /// The reuse of a result of the parent; none if the operation ran.
    pub reused: Option<Box<ReusedResult>>,
    /// The result of its replayed dead letter, which a resume gives to the operation.
    pub replayed: Option<Box<ReplayedLetter>>,
    /// Latest progress report.
    pub progress: Option<Arc<Progress>>,
    /// Ending without an attempt: from the parts of the operation, the cache, the parent or a replayed dead letter.
    pub joined: Option<Ending>,
    /// The `skipPattern` that held, with its values.
    pub skipped: Option<Box<PatternMatch>>,
    /// Time of settling and outcome; none until then.
    pub settled: Option<(RunTime, Outcome)>,
    /// Failure code that matched `ignoreErrors`.
    pub ignored: Option<Box<str>>,
    /// Files that the operation declares, as its latest attempt found and left them; none without `reads` and `writes`.
    pub files: Option<Box<RecordedFiles>>,
}

impl OperationHistory {
    /// Outcome of the operation; none until it is settled.
    pub fn outcome(&self) -> Option<Outcome> {
        self.settled.map(|(_, outcome)| outcome)
    }

    /// Result of the operation, if it succeeded.
    pub fn result(&self) -> Option<&Arc<Value>> {
        let own = self.attempts.iter().rev().find_map(|attempt| match &attempt.ended {
            Some((_, Ending::Succeeded { result })) => Some(result),
            _ => None,
        });
        let joined = match &self.joined {
            Some(Ending::Succeeded { result }) => Some(result),
            _ => None,
        };
        own.or(joined).or(self.adopted.as_ref())
    }

    /// Whether the operation counts as succeeded although its last attempt failed; its result is an empty map then.
    pub fn is_ignored(&self) -> bool {
        self.ignored.is_some()
    }

    /// What all attempts used together; none if no attempt has figures.
    pub fn usage(&self) -> Option<Usage> {
        self.attempts.iter().filter_map(|attempt| attempt.usage).reduce(Usage::and)
    }

    /// The attempt that runs or is being stopped; none if there is no such attempt.
    pub fn open_attempt(&self) -> Option<&Attempt> {
        self.attempts.last().filter(|attempt| attempt.ended.is_none())
    }

    /// The latest failure; none if a success followed it.
    pub fn failure(&self) -> Option<&Failure> {
        let last = self.attempts.last().and_then(|attempt| attempt.ended.as_ref()).map(|(_, ending)| ending);
        let start = self.failed_starts.last().filter(|start| start.after as usize == self.attempts.len());
        match (self.joined.as_ref(), start) {
            (None, Some(start)) => Some(&start.failure),
            (joined, _) => match joined.or(last)? {
                Ending::Failed(failure) => Some(failure),
                _ => None,
            },
        }
    }

    /// All failures, oldest first, each with the number of its attempt; none for a failure without an attempt.
    pub fn failures(&self) -> impl Iterator<Item = (Option<u32>, &Failure)> {
        let of_joined = self.joined.iter().filter_map(|ending| Some((None, failure_of(ending)?)));
        (0..=self.attempts.len())
            .flat_map(|made| {
                let starts = self.failed_starts.iter().filter(move |start| start.after as usize == made);
                let attempt = self.attempts.get(made).and_then(|attempt| {
                    Some((Some(attempt.number), failure_of(&attempt.ended.as_ref()?.1)?))
                });
                starts.map(|start| (None, start.failure.as_ref())).chain(attempt)
            })
            .chain(of_joined)
    }

    /// Launch time of the first attempt.
    pub fn started(&self) -> Option<RunTime> {
        self.attempts.first().map(|attempt| attempt.started)
    }

    /// Time at which the operation was settled, if it was ever launched.
    pub fn completed(&self) -> Option<RunTime> {
        self.started()?;
        self.settled.map(|(at, _)| at)
    }

    /// Adds an event of this operation.
    pub(crate) fn add(&mut self, at: RunTime, event: &RunEvent) {
        match event {
            RunEvent::GatesSet { gates, .. } => self.start_admission(gates, at),
            RunEvent::GateAnswered { answer, .. } => self.add_answer(at, answer),
            RunEvent::Joined { ending, outcome, .. } => {
                self.joined = Some(ending.clone());
                self.settled = Some((at, *outcome));
            }
            RunEvent::StartFailed { failure, .. } => {
                self.close_admission(at);
                self.end_backoff(at);
                self.add_failed_start(at, failure.clone());
            }
            RunEvent::AttemptStarted { attempt, .. } => {
                // most operations have one attempt
                self.attempts.reserve_exact(usize::from(self.attempts.is_empty()));
                self.attempts.push(Attempt {
                    number: *attempt,
                    started: at,
                    running: None,
                    stops: ThinVec::new(),
                    committing: None,
                    ended: None,
                    instance: None,
                    usage: None,
                    late: None,
                    named_files: Arc::default(),
                });
            }
            RunEvent::AttemptRunning { .. } => {
                if let Some(attempt) = self.attempts.last_mut() {
                    attempt.running = Some(at);
                }
            }
            RunEvent::ProgressReported { progress, .. } => self.progress = Some(Arc::clone(progress)),
            RunEvent::StopAsked { reason, .. } => self.add_stop(at, *reason),
            RunEvent::KillAsked { .. } => self.add_kill(at),
            RunEvent::CommitAsked { .. } => {
                if let Some(attempt) = self.attempts.last_mut() {
                    attempt.committing = Some(at);
                }
            }
            RunEvent::AttemptEnded { ending, named_files, files, instance, usage, .. } => {
                self.close_admission(at);
                if let (Some(own), Some(files)) = (&mut self.files, files) {
                    own.written = Some(Arc::clone(files));
                }
                if let Some(attempt) = self.attempts.last_mut() {
                    attempt.instance.clone_from(instance);
                    attempt.usage = *usage;
                    attempt.ended = Some((at, ending.clone()));
                    attempt.named_files.clone_from(named_files);
                }
                if matches!(ending, Ending::Succeeded { .. }) {
                    self.settled = Some((at, Outcome::Succeeded));
                }
            }
            RunEvent::LateEnding { attempt, exit, .. } => {
                let known = self.attempts.iter_mut().rev().find(|known| known.number == *attempt);
                if let Some(attempt) = known {
                    attempt.late = Some(*exit);
                }
            }
            RunEvent::BackedOff { until, .. } => {
                self.backoffs.push(Backoff { from: at, until: *until, ended: None });
            }
            RunEvent::BackoffEnded { .. } => self.end_backoff(at),
            RunEvent::OperationSettled { outcome, ignored, skipped, .. } => {
                self.close_admission(at);
                self.end_backoff(at);
                self.skipped.clone_from(skipped);
                self.settled = Some((at, *outcome));
                self.ignored.clone_from(ignored);
            }
            RunEvent::DeadLetterReplayed { run, result, .. } => {
                let letter = ReplayedLetter { run: run.clone(), result: Arc::clone(result), is_given: false };
                self.replayed = Some(Box::new(letter));
            }
            RunEvent::RunStarted { .. }
            | RunEvent::RunResumed { .. }
            | RunEvent::RunReopened { .. }
            | RunEvent::PlanGrown { .. }
            | RunEvent::GateAsked { .. }
            | RunEvent::CancelRaised { .. }
            | RunEvent::RunEnded { .. } => {}
        }
    }

    /// Records a new executor, which follows an open attempt again and holds no gates yet.
    pub(crate) fn resume(&mut self, at: RunTime) {
        let Some(attempt) = self.attempts.last_mut().filter(|attempt| attempt.ended.is_none()) else {
            return self.close_admission(at);
        };
        if let Some(stop) = attempt.stops.last_mut() {
            stop.withdrawn = stop.withdrawn.or(Some(at));
        }
    }

    /// Removes the outcome, because the operation runs again or gets the result of its replayed dead letter.
    pub(crate) fn reopen(&mut self, at: RunTime) {
        self.settled = None;
        self.joined = None;
        self.skipped = None;
        self.reused = None;
        self.reopened.push(at);
        // a second repetition is a real one
        self.replayed.take_if(|replayed| replayed.is_given);
        if let Some(replayed) = &mut self.replayed {
            replayed.is_given = true;
            self.joined = Some(Ending::Succeeded { result: Arc::clone(&replayed.result) });
            self.settled = Some((at, Outcome::Succeeded));
        }
    }

    /// Removes everything but the outcome, and the reuse, of an operation that has succeeded.
    pub(super) fn forget_success(&mut self) {
        if self.outcome() == Some(Outcome::Succeeded) {
            let (settled, reused, reopened) =
                (self.settled, self.reused.take(), std::mem::take(&mut self.reopened));
            *self = Self { reopened, reused, settled, ..Self::default() };
        }
    }

    fn start_admission(&mut self, gates: &Arc<[Gate]>, at: RunTime) {
        self.admissions.push(Admission::start(Arc::clone(gates), at));
        self.files = gates.iter().find_map(|gate| match gate {
            Gate::Files(declared) => {
                Some(Box::new(RecordedFiles { declared: Arc::clone(declared), read: None, written: None }))
            }
            _ => None,
        });
    }

    fn add_answer(&mut self, at: RunTime, answer: &Answer) {
        if let Some(admission) = self.admissions.last_mut() {
            admission.answer(answer, at);
        }
        if let Some(own) = &mut self.files {
            match answer {
                Answer::Read { files } => own.read = Some(Arc::clone(files)),
                Answer::Hit { files, .. } => own.written.clone_from(files),
                _ => {}
            }
        }
        match answer {
            Answer::Hit { result, .. } => {
                self.joined = Some(Ending::Succeeded { result: Arc::clone(result) });
                self.settled = Some((at, Outcome::FromCache));
            }
            Answer::Reused { result, run, named_files, files } => {
                self.files.clone_from(files);
                self.joined = Some(Ending::Succeeded { result: Arc::clone(result) });
                self.settled = Some((at, Outcome::Succeeded));
                let named_files = Arc::clone(named_files);
                self.reused = Some(Box::new(ReusedResult { run: run.clone(), named_files }));
            }
            Answer::Failed(failure) => self.add_failed_start(at, failure.clone()),
            _ => {}
        }
    }

    fn add_failed_start(&mut self, at: RunTime, failure: Box<Failure>) {
        let after = self.attempts.len() as u32;
        self.failed_starts.push(FailedStart { at, after, failure });
    }

    fn add_stop(&mut self, at: RunTime, reason: StopReason) {
        if let Some(attempt) = self.attempts.last_mut() {
            attempt.stops.push(StopRequest { at, reason, killed: None, withdrawn: None });
        }
    }

    fn add_kill(&mut self, at: RunTime) {
        let stops = self.attempts.last_mut().map(|attempt| &mut attempt.stops);
        if let Some(stop) = stops.and_then(|stops| stops.last_mut()) {
            stop.killed = Some(at);
        }
    }

    /// Ends the admission together with its attempt.
    fn close_admission(&mut self, at: RunTime) {
        if let Some(admission) = self.admissions.last_mut() {
            admission.close(at);
        }
    }

    fn end_backoff(&mut self, at: RunTime) {
        let is_at_gate = self.admissions.last().is_some_and(|admission| admission.closed.is_none());
        if let Some(backoff) = self.backoffs.last_mut().filter(|_| !is_at_gate) {
            backoff.ended = backoff.ended.or(Some(at));
        }
    }
}

fn failure_of(ending: &Ending) -> Option<&Failure> {
    match ending {
        Ending::Failed(failure) => Some(failure),
        _ => None,
    }
}
