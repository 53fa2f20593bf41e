//! The port that runs attempts, whatever does the work: a process, a container, a pod, or a handler inside the executor.
//!
//! An attempt is handed over with its payload as a value. The adapter that serves the operation encodes it as its kind of
//! work needs: as variables and files of a program, or as the input of a handler. Adapters speak back in the
//! [`LaunchEvent`](pop_launchers::LaunchEvent)s of launches.

mod input_files;
mod program;
mod resident;

pub use program::preview;

use crate::run_identity::RunIdentity;
use pop_agenda::{OpIx, Plan, PlannedOperation, Serves, Verdict};
use pop_contract::{Failure, Millis, Progress};
use pop_handler_base::field_retriever::LaunchDataWrapper;
use pop_launchers::{Doing, LaunchEnd, LaunchId, LaunchUpdate, Launcher};
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
    /// How long it may run.
    pub run: Option<Duration>,
    /// How long it may print nothing.
    pub silence: Option<Duration>,
    /// How long it may wait for its image or its node.
    pub pending: Option<Duration>,
    /// How long it may take to end after SIGTERM; none: as the launcher has it.
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
    /// The payload with its references filled.
    pub payload: &'o Value,
    /// What an earlier attempt reported last.
    pub prior: Option<&'o Progress>,
    /// The file of its log.
    pub log: PathBuf,
    /// Its limits.
    pub limits: AttemptLimits,
    /// Whether an earlier executor may have started it: then it is found, or reported as lost.
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
            name: format!("{}-{file_name}-{number}", identity.mark),
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

/// Runs attempts of the operations that one kind of work serves.
///
/// *Guarantees.* `start` returns at once. An error means that nothing was started and no event will come; every other
/// start ends in [`LaunchEnd`](pop_launchers::LaunchEvent::Ended) or [`Lost`](pop_launchers::LaunchEvent::Lost).
pub trait AttemptRunner: Send {
    /// Starts an attempt; its events go to `events`.
    fn start(
        &mut self,
        id: LaunchId,
        attempt: &AttemptOrder<'_>,
        events: &mpsc::Sender<LaunchUpdate>,
    ) -> Result<(), Failure>;

    /// Asks an attempt to end, or ends it by force. An attempt that is over is left alone.
    fn stop(&self, id: LaunchId, force: bool);

    /// Judges how an attempt ended, and forgets it.
    fn verdict(&mut self, id: LaunchId, ended: LaunchEnd) -> Verdict;

    /// Forgets an attempt that was lost.
    fn forget(&mut self, _id: LaunchId) {}

    /// Waits until the ends that have come, and output that waits in pipes, are reported or about to be. Called before a
    /// deadline decides over an attempt, because a loop that stood still may see the deadline first. The caller keeps
    /// receiving meanwhile.
    fn settle(&mut self) -> Doing<'_, ()> {
        Box::pin(async {})
    }

    /// Stops every running attempt (SIGSTOP), as far as it runs on this machine.
    fn pause(&self) {}

    /// Continues what [`pause`](Self::pause) stopped. The limits of attempts do not count the pause.
    fn resume(&self, _paused: Duration) {}

    /// The end of an attempt is on record: what was kept so that a later executor finds it may go.
    fn release(&self, _id: LaunchId) {}

    /// Waits until everything that was released is gone, for a while; nothing is started after that.
    fn close(&mut self) -> Doing<'_, ()> {
        Box::pin(async {})
    }
}

/// The runner of each kind of work; each operation has its own.
pub struct Runners {
    programs: Box<dyn AttemptRunner>,
    residents: Box<dyn AttemptRunner>,
}

impl Runners {
    /// Programs start through `launcher`; resident handlers read `launch_data`. `clock` is the wall clock.
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
            Serves::Exec | Serves::Program(_) | Serves::Dispatch => self.programs.as_mut(),
        }
    }

    /// Waits until the ends that have come are reported or about to be.
    pub(crate) async fn settle(&mut self) {
        self.programs.settle().await;
        self.residents.settle().await;
    }

    /// Stops every running attempt while `suspend` runs, and continues it then. Returns how long that took.
    pub(crate) fn pause_while(&mut self, suspend: impl FnOnce()) -> Duration {
        let began = Instant::now();
        self.programs.pause();
        suspend();
        let paused = began.elapsed();
        self.programs.resume(paused);
        paused
    }

    /// Waits until everything that was released is gone.
    pub(crate) async fn close(&mut self) {
        self.programs.close().await;
        self.residents.close().await;
    }
}

/// The file of an attempt's log.
pub fn operation_log(logs: &Path, planned: &PlannedOperation, attempt: u32) -> PathBuf {
    log_of(logs, &planned.name.file_name(), attempt)
}

fn log_of(logs: &Path, file_name: &str, attempt: u32) -> PathBuf {
    logs.join(format!("{file_name}.{attempt}.log"))
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
