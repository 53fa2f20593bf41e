//! Calls of a handler outside of a run: each is one launch, and its result is the answer.

use crate::handler_order::{HandlerProgram, HandlerTask};
use crate::port::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate};
use pop_contract::{Blame, Failure, judge};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Updates of launches that may wait for the router.
const UPDATES: usize = 256;

/// A failed call.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}", message = .failure.message)]
pub struct CallError {
    /// What failed.
    pub failure: Failure,
    /// The last lines that the program printed.
    pub log_tail: Vec<String>,
}

/// The limits and folders of calls.
#[derive(Debug, Clone)]
pub struct CallSettings {
    /// Longest time of a call.
    pub limit: Duration,
    /// Time between SIGTERM and SIGKILL for a call that is over its limit.
    pub grace: Duration,
    /// Private folder for payloads that are passed in files, and for the logs of containers.
    pub folder: PathBuf,
    /// The file that gets the output of the programs; the containers of instances need one.
    pub log: Option<PathBuf>,
}

/// Calls a handler, many times and also at the same time. An instance of a warm handler serves many calls; another
/// program is run once for each.
///
/// *Assumptions.* As those of the [`Launcher`](crate::Launcher). The future of a call is not dropped before its end.
pub struct HandlerCalls {
    program: HandlerProgram,
    template: LaunchOrder,
    settings: CallSettings,
    updates: mpsc::Sender<LaunchUpdate>,
    waiting: Arc<Waiting>,
    last: AtomicU64,
}

/// The calls that wait for the end of their launch.
#[derive(Default)]
struct Waiting(Mutex<HashMap<LaunchId, oneshot::Sender<LaunchEnd>>>);

impl Waiting {
    fn calls(&self) -> MutexGuard<'_, HashMap<LaunchId, oneshot::Sender<LaunchEnd>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HandlerCalls {
    /// Gets ready to call a handler. `notify` gets what the user should know, a line each. Runs inside a Tokio runtime.
    pub fn new(
        program: HandlerProgram,
        settings: CallSettings,
        notify: impl Fn(&str) + Send + 'static,
    ) -> Self {
        let (updates, received) = mpsc::channel(UPDATES);
        let waiting = Arc::<Waiting>::default();
        tokio::spawn(route(received, Arc::clone(&waiting), notify));
        let template = LaunchOrder { log: settings.log.clone(), ..program.order(settings.grace) };
        Self { program, template, settings, updates, waiting, last: AtomicU64::new(0) }
    }

    /// Calls the handler with a payload and returns its result. `action` is the name of the call, also in the variables
    /// of the program.
    pub async fn call(&self, action: &str, payload: &Value) -> Result<Value, CallError> {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let file = self.settings.folder.join(format!("{number}.payload"));
        let task = HandlerTask::new(number, action, payload, file);
        let end = self.launch(&task).await;
        // a short payload was passed in a variable
        std::fs::remove_file(&task.file).ok();
        let LaunchEnd { exit, said, log_tail, .. } =
            end.map_err(|failure| CallError { failure, log_tail: Vec::new() })?;
        let judged = exit.and_then(|exit| judge(exit, &[], said).map_err(Box::new));
        judged.map_err(|failure| CallError { failure: *failure, log_tail })
    }

    async fn launch(&self, task: &HandlerTask) -> Result<LaunchEnd, Failure> {
        let id = LaunchId(task.number);
        let order = self.program.task_order(&self.template, task, self.program.warm())?;
        let (sender, mut ended) = oneshot::channel();
        self.waiting.calls().insert(id, sender);
        let launcher = &self.program.launcher;
        launcher.launch(id, order, &self.updates);
        let CallSettings { limit, grace, .. } = self.settings;
        let mut end = timeout(limit, &mut ended).await;
        let is_late = end.is_err();
        if is_late {
            launcher.settle().await;
            launcher.stop(id, false);
            end = timeout(grace, &mut ended).await;
        }
        let end = match end {
            Ok(end) => end,
            Err(_) => {
                launcher.stop(id, true);
                ended.await
            }
        };
        launcher.release(id);
        let mut end = end.unwrap_or_else(|_| LaunchEnd::lost());
        if is_late {
            let message = format!("the call took longer than {} s", limit.as_secs_f64());
            end.exit = Err(Box::new(Failure::new(Blame::Handler, "timeout", message)));
        }
        Ok(end)
    }

    /// Ends all instances.
    pub async fn close(&self) {
        self.program.launcher.close().await;
    }
}

/// Passes the ends of launches to their calls.
async fn route(
    mut updates: mpsc::Receiver<LaunchUpdate>,
    waiting: Arc<Waiting>,
    notify: impl Fn(&str) + Send + 'static,
) {
    while let Some(LaunchUpdate { id, event }) = updates.recv().await {
        match event {
            LaunchEvent::Ended(end) => {
                if let Some(call) = waiting.calls().remove(&id) {
                    // a call that was dropped needs no end
                    call.send(*end).ok();
                }
            }
            LaunchEvent::Lost => drop(waiting.calls().remove(&id)),
            LaunchEvent::Notice(words) => notify(&words),
            _ => {}
        }
    }
}
