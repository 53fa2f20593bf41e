//! Attempts run by handlers inside the executor: logMessages, updateAgenda, sample.

mod handlers;
mod thread;

use super::program::{Expected, verdict};
use super::{AttemptOrder, AttemptRunner};
use pop_agenda::{Serves, Verdict};
use pop_contract::{Blame, Failure, Millis};
use pop_handler_base::Progress;
use pop_handler_base::field_retriever::LaunchDataWrapper;
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchId, LaunchUpdate, Launcher, PreparedLaunch};
use pop_registry::Resident;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// The settings that all handlers inside the executor share.
#[derive(Clone)]
pub(super) struct ResidentSetting {
    pub(super) launch: Arc<dyn LaunchDataWrapper>,
    pub(super) launcher: Arc<dyn Launcher>,
    pub(super) clock: fn() -> Millis,
    pub(super) cid: String,
}

/// An attempt to start on the handlers' thread.
struct ResidentAttempt {
    resident: Resident,
    payload: String,
    operation: String,
    prior: Option<Progress>,
    log: PathBuf,
    /// Longest time without a report.
    silence: Option<Duration>,
}

/// An instruction to the handlers' thread.
enum Command {
    Start(LaunchId, Box<ResidentAttempt>, mpsc::Sender<LaunchUpdate>),
    Stop(LaunchId, bool),
}

/// Runs resident handlers (handlers inside the executor) on a separate thread, so that none of them delays the driver.
/// The thread starts with the first attempt.
pub(super) struct ResidentRunner {
    setting: ResidentSetting,
    thread: Option<HandlerThread>,
}

struct HandlerThread {
    commands: mpsc::UnboundedSender<Command>,
    join: JoinHandle<()>,
}

impl ResidentRunner {
    pub(super) fn new(setting: ResidentSetting) -> Self {
        Self { setting, thread: None }
    }

    fn thread(&mut self) -> std::io::Result<&HandlerThread> {
        let thread = match self.thread.take() {
            Some(thread) => thread,
            None => HandlerThread::start(self.setting.clone())?,
        };
        Ok(self.thread.insert(thread))
    }
}

impl AttemptRunner for ResidentRunner {
    fn start(
        &mut self,
        id: LaunchId,
        attempt: &AttemptOrder<'_>,
        events: &mpsc::Sender<LaunchUpdate>,
    ) -> Result<Option<Box<dyn PreparedLaunch>>, Failure> {
        let planned = attempt.plan.operation(attempt.op);
        let Serves::Resident(resident) = planned.serves else {
            return Err(Failure::new(Blame::Pop, "pop", "the operation has no handler inside the executor"));
        };
        if attempt.again {
            // a handler inside the earlier executor ended with that executor
            let events = events.clone();
            tokio::spawn(async move { events.send(LaunchUpdate { id, event: LaunchEvent::Lost }).await });
            return Ok(None);
        }
        let attempt = ResidentAttempt {
            resident,
            payload: attempt.payload.to_string(),
            operation: planned.name.to_string(),
            prior: attempt.prior.cloned(),
            log: attempt.log.clone(),
            silence: attempt.limits.silence,
        };
        let unavailable = |why: String| {
            Failure::new(Blame::Platform, "resources", format!("no thread for resident handlers: {why}"))
        };
        let thread = self.thread().map_err(|error| unavailable(error.to_string()))?;
        let command = Command::Start(id, Box::new(attempt), events.clone());
        thread.commands.send(command).map_err(|_| unavailable("it has ended".to_owned()))?;
        Ok(None)
    }

    fn stop(&self, id: LaunchId, force: bool) {
        if let Some(thread) = &self.thread {
            // fails only if the thread has ended
            thread.commands.send(Command::Stop(id, force)).ok();
        }
    }

    fn verdict(&mut self, _id: LaunchId, ended: LaunchEnd) -> Verdict {
        verdict(&Expected::default(), ended)
    }
}

impl HandlerThread {
    fn start(setting: ResidentSetting) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let join = std::thread::Builder::new().name("residents".to_owned()).spawn(move || {
            tokio::task::LocalSet::new().block_on(&runtime, thread::run(setting, receiver));
        })?;
        Ok(Self { commands, join })
    }
}

impl Drop for ResidentRunner {
    fn drop(&mut self) {
        if let Some(HandlerThread { commands, join }) = self.thread.take() {
            drop(commands);
            // the result is an error only if the thread panicked, and then the panic has been printed
            join.join().ok();
        }
    }
}
