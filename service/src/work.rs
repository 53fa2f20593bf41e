//! The work of an agenda: whether it waits, who has the lease, how many attempts are left. A state machine without clock.
//!
//! *Guarantees.* At most one lease exists at a time. Each lease has a larger epoch than all before, and only its epoch
//! may report. An agenda ends once per generation.
//!
//! ```text
//!  parked ──queue──► waiting ──lease──► leased ──final report──► ended ──rerun──► waiting
//!                       ▲                  │
//!                       └─ returned, reclaimed, lost, failed with attempts left
//!
//!  parked, waiting, leased ──cancel──► ended
//! ```

use crate::error::ServiceError;
use pop_contract::Millis;

/// Attempts after which an agenda is not retried, whatever `maximumAttempts` says.
pub const MOST_ATTEMPTS: u32 = 20;
/// Attempts of an agenda that does not set `maximumAttempts`.
pub const DEFAULT_ATTEMPTS: u32 = 3;
/// Leases in a row that may end without a report before the agenda fails.
pub const MOST_DELIVERIES: u32 = 20;

/// The work of one agenda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Id of the agenda.
    pub agenda: String,
    /// Id of its progress.
    pub progress: String,
    /// Id of the insight.
    pub insight: String,
    /// Id of the customer.
    pub customer: String,
    /// Larger is given out first.
    pub priority: i64,
    /// Place in the order of the insight ([`crate::Standing`]).
    pub round: i64,
    /// Place within the round; increases with each new agenda.
    pub sequence: i64,
    /// Time at which it was queued.
    pub queued: Millis,
    /// State.
    pub state: WorkState,
    /// Number of the newest lease.
    pub epoch: i64,
    /// Number of new runs, from 1: it increases with each retry of a failure and each rerun.
    pub generation: i64,
    /// Attempts that have ended.
    pub attempts: u32,
    /// Most attempts.
    pub max_attempts: u32,
    /// Leases that ended without a report, since the last report.
    pub deliveries: u32,
}

/// State of the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkState {
    /// Not to be run.
    Parked,
    /// In the queue.
    Waiting,
    /// A puller has it.
    Leased(Lease),
    /// The agenda has this outcome.
    Ended(WorkOutcome),
}

/// The outcome of an agenda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkOutcome {
    /// It succeeded.
    Succeeded,
    /// It failed, and no attempt is left.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

/// The right to run an agenda.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Name of the puller.
    pub puller: String,
    /// End of the lease, unless it is renewed.
    pub until: Millis,
    /// Each renewal makes the lease end so many milliseconds later.
    pub length: Millis,
    /// Whether an executor has reported.
    pub is_started: bool,
}

impl WorkOutcome {
    /// The outcome as a verb of past tense.
    pub fn verb(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "been cancelled",
        }
    }
}

/// What becomes of an agenda whose attempt has ended without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It waits again.
    Requeue,
    /// It has failed.
    End,
}

/// A report of the executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It runs.
    Running,
    /// It has ended with success.
    Succeeded,
    /// It has ended without success.
    Failed,
}

impl Work {
    /// Puts the agenda into the queue, as a new run. Refused while somebody has the lease.
    pub fn queue(&mut self, round: i64, sequence: i64, now: Millis) -> Result<(), ServiceError> {
        if let WorkState::Leased(lease) = &self.state {
            let message = format!(
                "agenda `{}` is running (puller `{}`); rerun it when it has ended",
                self.agenda, lease.puller
            );
            return Err(ServiceError::Conflict(message));
        }
        if self.state != WorkState::Waiting {
            (self.round, self.sequence) = (round, sequence);
        }
        self.queued = now;
        self.state = WorkState::Waiting;
        self.generation += 1;
        self.deliveries = 0;
        Ok(())
    }

    /// Takes the agenda out of the queue, or keeps it out.
    pub fn park(&mut self) -> Result<(), ServiceError> {
        let parked = self.queue(self.round, self.sequence, self.queued);
        self.state = if parked.is_ok() { WorkState::Parked } else { self.state.clone() };
        parked
    }

    /// Gives a waiting agenda to a puller.
    pub fn lease(&mut self, puller: &str, now: Millis, length: Millis) {
        self.epoch += 1;
        let until = now.saturating_add(length);
        self.state = WorkState::Leased(Lease { puller: puller.to_owned(), until, length, is_started: false });
    }

    /// Checks that `epoch` has the lease, and renews it.
    pub fn renew(&mut self, epoch: i64, now: Millis) -> Result<(), ServiceError> {
        let why = match &mut self.state {
            _ if epoch != self.epoch => "another puller has got the agenda",
            WorkState::Leased(lease) => {
                lease.until = now.saturating_add(lease.length);
                return Ok(());
            }
            WorkState::Waiting => "the agenda waits again",
            WorkState::Parked => "the agenda was stopped",
            WorkState::Ended(WorkOutcome::Cancelled) => "the agenda was cancelled",
            WorkState::Ended(_) => "the agenda has its outcome",
        };
        Err(ServiceError::LeaseLost { agenda: self.agenda.clone(), why })
    }

    /// Takes the agenda back for an executor that was only late, if nobody else has got it since its lease ended.
    fn take_back(&mut self, epoch: i64, now: Millis, length: Millis) {
        if self.state == WorkState::Waiting && epoch == self.epoch && self.deliveries > 0 {
            let (puller, until) = ("late".to_owned(), now.saturating_add(length));
            self.state = WorkState::Leased(Lease { puller, until, length, is_started: true });
        }
    }

    /// Takes a report of the lease `epoch`. For a final one, says whether the agenda waits again or has ended. `length` is
    /// that of the lease of an executor that was late.
    pub fn report(
        &mut self,
        epoch: i64,
        report: Report,
        now: Millis,
        length: Millis,
    ) -> Result<Option<Next>, ServiceError> {
        self.take_back(epoch, now, length);
        self.renew(epoch, now)?;
        self.deliveries = 0;
        if let WorkState::Leased(lease) = &mut self.state {
            lease.is_started = true;
        }
        Ok(match report {
            Report::Running => None,
            Report::Succeeded => {
                self.attempts = self.attempts.saturating_add(1);
                self.state = WorkState::Ended(WorkOutcome::Succeeded);
                Some(Next::End)
            }
            Report::Failed => {
                let next = self.end_attempt();
                if next == Next::Requeue {
                    self.generation += 1;
                }
                Some(next)
            }
        })
    }

    /// The puller gives the agenda back before its end. No attempt is counted.
    pub fn hand_back(&mut self, epoch: i64) -> Result<(), ServiceError> {
        match &self.state {
            WorkState::Leased(_) if epoch == self.epoch => {
                self.state = WorkState::Waiting;
                self.deliveries = 0;
                Ok(())
            }
            _ => Err(ServiceError::LeaseLost {
                agenda: self.agenda.clone(),
                why: "there is nothing to give back",
            }),
        }
    }

    /// The executor or the puller is lost. A started attempt counts; what never started is given out again.
    pub fn lose(&mut self) -> Next {
        let is_started = matches!(&self.state, WorkState::Leased(lease) if lease.is_started);
        self.deliveries = self.deliveries.saturating_add(1);
        if is_started {
            return self.end_attempt();
        }
        if self.deliveries >= MOST_DELIVERIES {
            self.attempts = self.attempts.saturating_add(1);
            self.state = WorkState::Ended(WorkOutcome::Failed);
            return Next::End;
        }
        self.state = WorkState::Waiting;
        Next::Requeue
    }

    /// Ends an agenda that waits, runs or stays out of the queue. Its lease has no rights any more, so the next report or
    /// renewal stops the executor.
    pub fn cancel(&mut self) -> Result<(), ServiceError> {
        if let WorkState::Ended(outcome) = self.state {
            let message = format!("agenda `{}` has already {}", self.agenda, outcome.verb());
            return Err(ServiceError::Conflict(message));
        }
        self.epoch += 1;
        self.state = WorkState::Ended(WorkOutcome::Cancelled);
        Ok(())
    }

    /// Takes a leased agenda away from its puller. A started attempt counts. Unlike after a lease that ended, the executor
    /// cannot take the agenda back.
    pub fn reclaim(&mut self) -> Result<Next, ServiceError> {
        if !self.is_leased() {
            let message = format!("agenda `{}` is not leased, so there is nothing to reclaim", self.agenda);
            return Err(ServiceError::Conflict(message));
        }
        self.epoch += 1;
        Ok(self.lose())
    }

    fn end_attempt(&mut self) -> Next {
        self.attempts = self.attempts.saturating_add(1);
        if self.attempts < self.max_attempts.min(MOST_ATTEMPTS) {
            self.state = WorkState::Waiting;
            Next::Requeue
        } else {
            self.state = WorkState::Ended(WorkOutcome::Failed);
            Next::End
        }
    }

    /// Whether a puller has the agenda.
    pub fn is_leased(&self) -> bool {
        matches!(self.state, WorkState::Leased(_))
    }
}

/// The id of a progress together with the lease that may report it: `<progress id>~<epoch>`.
///
/// Executors return the id of the progress with each report. So every executor carries its lease without knowing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence<'t> {
    /// Id of the progress.
    pub progress: &'t str,
    /// Epoch of the lease; none in the id of a progress alone.
    pub epoch: Option<i64>,
}

impl<'t> Fence<'t> {
    /// Splits an id.
    pub fn parse(text: &'t str) -> Self {
        match text.rsplit_once('~') {
            Some((progress, epoch)) if !epoch.is_empty() && epoch.bytes().all(|b| b.is_ascii_digit()) => {
                Self { progress, epoch: epoch.parse().ok() }
            }
            _ => Self { progress: text, epoch: None },
        }
    }

    /// The id with the lease.
    pub fn text(progress: &str, epoch: i64) -> String {
        format!("{progress}~{epoch}")
    }
}
