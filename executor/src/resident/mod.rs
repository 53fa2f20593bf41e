//! Handlers inside the executor, behind the same events as any launch: logMessages, updateAgenda, sample.

mod handlers;
mod room;

use pop_handler_base::Progress;
use pop_handler_base::field_retriever::LaunchDataWrapper;
use pop_launchers::{Ended, LaunchEvent, LaunchId, Launched, Launcher};
use pop_registry::Resident;
use pop_registry::contract::{Blame, Failure, Millis};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// What every resident handler is given.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) launch: Arc<dyn LaunchDataWrapper>,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) clock: fn() -> Millis,
    pub(crate) cid: String,
}

/// One operation for a resident handler.
pub(crate) struct ResidentOrder {
    pub(crate) resident: Resident,
    pub(crate) payload: String,
    pub(crate) operation: String,
    pub(crate) prior: Option<Progress>,
    pub(crate) log: Option<PathBuf>,
    /// After how long without a word it is said to be silent.
    pub(crate) silence: Option<Duration>,
}

/// What the thread of the handlers is told.
enum Command {
    Launch(LaunchId, Box<ResidentOrder>, mpsc::Sender<Launched>),
    Stop(LaunchId, bool),
}

/// The handlers inside the executor. They work on a thread of their own, which begins with the first of them.
pub(crate) struct Residents {
    setting: Setting,
    room: Option<Room>,
}

struct Room {
    commands: mpsc::UnboundedSender<Command>,
    thread: JoinHandle<()>,
}

impl Residents {
    pub(crate) fn new(setting: Setting) -> Self {
        Self { setting, room: None }
    }

    /// Starts a handler; what is heard of it goes to `events`.
    pub(crate) fn launch(&mut self, id: LaunchId, order: ResidentOrder, events: &mpsc::Sender<Launched>) {
        let room = match &self.room {
            Some(room) => Ok(room),
            None => Room::open(self.setting.clone()).map(|room| &*self.room.insert(room)),
        };
        let told = match room {
            Ok(room) => {
                let command = Command::Launch(id, Box::new(order), events.clone());
                room.commands.send(command).map_err(|_| "the thread of resident handlers is gone".to_owned())
            }
            Err(error) => Err(format!("no thread for resident handlers: {error}")),
        };
        if let Err(why) = told {
            let ended = Ended::failed(Failure::new(Blame::Platform, "resources", why));
            let events = events.clone();
            tokio::spawn(async move {
                events.send(Launched { id, event: LaunchEvent::Ended(Box::new(ended)) }).await
            });
        }
    }

    /// Asks a handler to stop, or drops it.
    pub(crate) fn stop(&self, id: LaunchId, force: bool) {
        if let Some(room) = &self.room {
            // a room that is gone has nobody to stop
            room.commands.send(Command::Stop(id, force)).ok();
        }
    }
}

impl Room {
    fn open(setting: Setting) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (commands, receiver) = mpsc::unbounded_channel();
        let thread = std::thread::Builder::new().name("residents".to_owned()).spawn(move || {
            tokio::task::LocalSet::new().block_on(&runtime, room::keep(setting, receiver));
        })?;
        Ok(Self { commands, thread })
    }
}

impl Drop for Residents {
    fn drop(&mut self) {
        if let Some(Room { commands, thread }) = self.room.take() {
            drop(commands);
            // a panic of that thread has nothing more to say here
            thread.join().ok();
        }
    }
}
