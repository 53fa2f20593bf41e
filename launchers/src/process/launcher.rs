//! The local launcher: settings, and the launches of one process.

use super::orphans::Orphans;
use super::pause::signal_trees;
use super::prepared::PreparedProcess;
use super::running::Running;
use super::shared::{Shared, plain};
use super::{Environment, Signal};
use crate::port::{Doing, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher, PreparedLaunch};
use crate::secrets::Secrets;
use crate::setting::Setting;
use rustix::process::Pid;
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};

/// Launches programs as children of this process, each in its own session (docs/processes.md).
///
/// *Guarantees.* A child dies with this process. The launcher waits for processes that a program left behind,
/// and stops them, before it reports the end. *Assumptions.* `launch` is called on a thread that lives as long
/// as the children may.
#[derive(Clone)]
pub struct ProcessLauncher {
    shared: Arc<Shared>,
}

impl ProcessLauncher {
    /// A launcher whose programs get these variables and by default start in `folder`.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>, folder: PathBuf) -> Self {
        // an invalid variable is dropped, not all of them
        let fits = |(name, value): &(OsString, OsString)| Environment::new([(name, value)]).is_ok();
        let variables: Vec<_> = variables.into_iter().filter(fits).collect();
        let path = variables.iter().rfind(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
        // the inherited `PWD` may name another folder, or one that no longer exists
        let place = plain(&folder).map(|folder| ("PWD".into(), folder.into_os_string()));
        let environment = Environment::new(variables.into_iter().chain(place)).unwrap_or_default();
        let shared = Shared {
            environment,
            path,
            is_here: std::env::current_dir().is_ok_and(|here| here == folder),
            folder,
            running: Running::default(),
            found: Mutex::new(HashMap::new()),
            secrets: Secrets::default(),
            orphans: None,
            is_thorough: false,
            guard_command: Vec::new(),
            guard: Mutex::new(None),
            progressed: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A launcher with this setting.
    pub fn of(setting: Setting) -> Self {
        let Setting { surroundings, variables, folder, guard_command, secrets, .. } = setting;
        let inherited = surroundings.into_iter();
        let inherited =
            inherited.filter(|(name, _)| !name.to_str().is_some_and(|name| secrets.withholds(name)));
        let own = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
        let mut launcher = Self::new(inherited.chain(own), folder);
        if let Some(shared) = Arc::get_mut(&mut launcher.shared) {
            shared.secrets = secrets;
        }
        match guard_command {
            Some(command) => launcher.holding_on(command),
            None => launcher,
        }
    }

    /// Adopts orphaned processes and kills them, and starts `guard_command`, which does the same when this process is
    /// killed. Only for a process that starts no children without this launcher.
    #[must_use]
    pub fn holding_on(mut self, guard_command: Vec<String>) -> Self {
        // just created, so there is no other reference
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.orphans = Orphans::adopt().ok();
            shared.guard_command = guard_command;
        }
        self
    }

    /// Searches all processes of the system after the end of each program, so that no process left behind is missed.
    /// This takes time; it is for `pop handler check`.
    #[must_use]
    pub fn thorough(mut self) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.is_thorough = true;
        }
        self
    }
}

impl Launcher for ProcessLauncher {
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
        if let Some(prepared) = self.prepare(id, order, events) {
            prepared.start();
        }
    }

    fn prepare(
        &self,
        id: LaunchId,
        order: LaunchOrder,
        events: &mpsc::Sender<LaunchUpdate>,
    ) -> Option<Box<dyn PreparedLaunch>> {
        if order.again {
            // a process does not outlive its launcher
            let events = events.clone();
            tokio::spawn(async move { events.send(LaunchUpdate { id, event: LaunchEvent::Lost }).await });
            return None;
        }
        Some(Box::new(PreparedProcess::announce(Arc::clone(&self.shared), id, order, events.clone())))
    }

    fn stop(&self, id: LaunchId, force: bool) {
        self.shared.running.request_stop(id, force);
    }

    fn settle(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            // first let followers process kernel events: one turn of the loop, and one for each follower
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            loop {
                let progressed = self.shared.progressed.notified();
                if !self.shared.running.is_an_end_coming() {
                    return;
                }
                progressed.await;
            }
        })
    }

    fn pause(&self) {
        self.shared.running.close_gate();
        signal_trees(self.roots(), Signal::STOP);
    }

    fn resume(&self, paused: Duration) {
        self.shared.running.were_paused(paused);
        signal_trees(self.roots(), Signal::CONT);
        self.shared.running.open_gate();
    }
}

impl ProcessLauncher {
    /// The roots of all process trees: running programs and orphans.
    fn roots(&self) -> Vec<Pid> {
        let orphans = self.shared.orphans().unwrap_or_default();
        self.shared.running.programs().into_iter().chain(orphans).collect()
    }
}
