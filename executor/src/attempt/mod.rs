//! The port that runs attempts: as a process, a container, a pod, or with a handler inside the executor.
//!
//! The driver passes an attempt with the payload as a value. The adapter of the operation encodes the payload: as
//! variables and files for a program, or as the input of a handler inside the executor. Adapters report with
//! [`LaunchEvent`](pop_launchers::LaunchEvent)s.

mod input_files;
mod program;
mod resident;

pub use program::preview;

use crate::run_identity::RunIdentity;
use pop_agenda::{OpIx, Plan, PlannedOperation, Serves, Verdict};
use pop_contract::{Failure, Millis, Progress};
use pop_handler_base::field_retriever::LaunchDataWrapper;
use pop_launchers::{Doing, LaunchEnd, LaunchId, LaunchUpdate, Launcher, PreparedLaunch};
use program::ProgramRunner;
use resident::{ResidentRunner, ResidentSetting};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// The limits of one attempt. `None` means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AttemptLimits {
    /// Longest time of the attempt.
    pub run: Option<Duration>,
    /// Longest time without output.
    pub silence: Option<Duration>,
    /// Longest wait for the image or the node.
    pub pending: Option<Duration>,
    /// Time between SIGTERM and SIGKILL; `None`: the launcher's default.
    pub grace: Option<Duration>,
}

/// One attempt to run.
#[derive(Debug)]
pub struct AttemptOrder<'o> {
    /// The plan with the operation.
    pub plan: &'o Plan,
    /// The operation.
    pub op: OpIx,
    /// The number of the attempt, from 1.
    pub number: u32,
    /// A name that no other launch has: `run-operation-attempt`.
    pub name: String,
    /// The payload after its references were replaced.
    pub payload: &'o Value,
    /// The last progress that an earlier attempt reported.
    pub prior: Option<&'o Progress>,
    /// The log file of the attempt.
    pub log: PathBuf,
    /// The time limits of the attempt.
    pub limits: AttemptLimits,
    /// Whether an earlier executor may have started the attempt. The runner then finds it, or reports it as lost.
    pub again: bool,
}

impl<'o> AttemptOrder<'o> {
    /// A first-time attempt without prior progress.
    pub(crate) fn new(
        plan: &'o Plan,
        identity: &RunIdentity,
        op: OpIx,
        number: u32,
        payload: &'o Value,
    ) -> Self {
        let planned = plan.operation(op);
        let file_name = planned.name.file_name();
        let limits = planned.policies.limits();
        Self {
            plan,
            op,
            number,
            name: [&identity.mark, "-", &file_name, "-", &number.to_string()].concat(),
            payload,
            prior: None,
            log: log_of(&identity.logs, &file_name, number),
            limits: AttemptLimits {
                run: limits.run_ms.map(Duration::from_millis),
                silence: limits.silence_ms.map(Duration::from_millis),
                pending: limits.pending_ms.map(Duration::from_millis),
                grace: None,
            },
            again: false,
        }
    }
}

/// Runs attempts of one kind: programs, or handlers inside the executor.
///
/// *Guarantees.* `start` returns at once. An error means that nothing was started and no event will come. A prepared launch
/// is started by the caller. Every other start ends in [`LaunchEnd`](pop_launchers::LaunchEvent::Ended) or [`Lost`](pop_launchers::LaunchEvent::Lost).
pub trait AttemptRunner: Send {
    /// Starts an attempt, or prepares it for a thread that the caller chooses; its events go to `events`.
    fn start(
        &mut self,
        id: LaunchId,
        attempt: &AttemptOrder<'_>,
        events: &mpsc::Sender<LaunchUpdate>,
    ) -> Result<Option<Box<dyn PreparedLaunch>>, Failure>;

    /// Asks an attempt to stop, or kills it with `force`. Has no effect on an attempt that has ended.
    fn stop(&self, id: LaunchId, force: bool);

    /// Decides whether an ended attempt succeeded or failed, and removes its record.
    fn verdict(&mut self, id: LaunchId, ended: LaunchEnd) -> Verdict;

    /// Removes the record of a lost attempt.
    fn forget(&mut self, _id: LaunchId) {}

    /// Waits until all attempts that have ended, and all output in pipes, are reported or about to be. The driver calls
    /// this before it applies a time limit: if its loop was suspended, it may see the time limit first. The driver
    /// keeps receiving events during the wait.
    fn settle(&self) -> Doing<'static, ()> {
        Box::pin(async {})
    }

    /// Pauses (SIGSTOP) every running attempt that runs on this machine.
    fn pause(&self) {}

    /// Continues the attempts after [`pause`](Self::pause). The pause does not count against time limits.
    fn resume(&self, _paused: Duration) {}

    /// Deletes what allows a later executor to find the attempt (a container or pod), because the journal has the end
    /// of the attempt.
    fn release(&self, _id: LaunchId) {}

    /// Waits, for a limited time, until everything that was released is deleted. No attempt may start after that.
    fn close(&self) -> Doing<'static, ()> {
        Box::pin(async {})
    }
}

/// The two runners: for programs and for handlers inside the executor.
pub struct Runners {
    programs: Box<dyn AttemptRunner>,
    residents: Box<dyn AttemptRunner>,
}

impl Runners {
    /// Programs start through `launcher`; handlers inside the executor read `launch_data`. `clock` returns the
    /// wall-clock time.
    pub fn new(
        launcher: Arc<dyn Launcher>,
        launch_data: Arc<dyn LaunchDataWrapper>,
        clock: fn() -> Millis,
        identity: &RunIdentity,
    ) -> Self {
        let setting = ResidentSetting {
            launch: launch_data,
            launcher: Arc::clone(&launcher),
            clock,
            cid: identity.cid.clone(),
        };
        Self {
            programs: Box::new(ProgramRunner::new(launcher, identity.clone())),
            residents: Box::new(ResidentRunner::new(setting)),
        }
    }

    /// The runner of an operation.
    pub(crate) fn of(&mut self, planned: &PlannedOperation) -> &mut dyn AttemptRunner {
        match planned.serves {
            Serves::Resident(_) => self.residents.as_mut(),
            Serves::Exec | Serves::Program(_) | Serves::Dispatch | Serves::Agenda(_) => {
                self.programs.as_mut()
            }
        }
    }

    /// Waits as [`AttemptRunner::settle`] does, for all runners.
    pub(crate) fn settle(&self) -> impl Future<Output = ()> + 'static {
        one_by_one([self.programs.settle(), self.residents.settle()])
    }

    /// Pauses all running attempts while `suspend` runs. Returns the duration of the pause.
    pub(crate) fn pause_while(&mut self, suspend: impl FnOnce()) -> Duration {
        let began = Instant::now();
        self.programs.pause();
        suspend();
        let paused = began.elapsed();
        self.programs.resume(paused);
        paused
    }

    /// Waits as [`AttemptRunner::close`] does, for all runners.
    pub(crate) fn close(&self) -> impl Future<Output = ()> + 'static {
        one_by_one([self.programs.close(), self.residents.close()])
    }
}

async fn one_by_one(all: [Doing<'static, ()>; 2]) {
    for doing in all {
        doing.await;
    }
}

/// The file of an attempt's log.
pub fn operation_log(logs: &Path, planned: &PlannedOperation, attempt: u32) -> PathBuf {
    log_of(logs, &planned.name.file_name(), attempt)
}

fn log_of(logs: &Path, file_name: &str, attempt: u32) -> PathBuf {
    logs.join([file_name, ".", &attempt.to_string(), ".log"].concat())
}

/// The number of an attempt's launch.
pub(crate) fn launch_id(op: OpIx, attempt: u32) -> LaunchId {
    LaunchId(u64::from(op.0) << 32 | u64::from(attempt))
}

/// The attempt of a launch.
pub(crate) fn attempt_of(id: LaunchId) -> (OpIx, u32) {
    (OpIx((id.0 >> 32) as u32), id.0 as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn launch_ids_convert_both_ways() {
        assert_eq!(attempt_of(launch_id(OpIx(7), 3)), (OpIx(7), 3));
        assert_eq!(attempt_of(launch_id(OpIx(u32::MAX), u32::MAX)), (OpIx(u32::MAX), u32::MAX));
    }
}
