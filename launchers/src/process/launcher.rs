//! Orders turned into children: program found, pipes made, child started, its end followed by a task.

use super::failure::{lost, no_resources, not_started, refused};
use super::follow::{Control, Follow};
use super::orphans::{Guard, LAUNCH_VARIABLE, Orphans};
use super::{Environment, Spawn, Watched, resolve, spawn};
use crate::port::{Ended, LaunchEvent, LaunchId, LaunchOrder, Launched, Launcher, Program};
use crate::secrets::Secrets;
use crate::setting::Setting;
use pop_registry::contract::Failure;
use rustix::pipe::{PipeFlags, pipe_with};
use std::collections::HashMap;
use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::mpsc;

/// Launches programs as children of this process, each in a process group of its own.
///
/// *Guarantees.* A child dies with this process. When a program ends, what is left of its group is killed before
/// the end is said. *Assumptions.* `launch` is called on a thread that lives as long as the children may.
#[derive(Clone)]
pub struct ProcessLauncher {
    shared: Arc<Shared>,
}

struct Shared {
    environment: Environment,
    path: Option<OsString>,
    folder: PathBuf,
    /// Whether this process stands in `folder`.
    is_here: bool,
    running: Mutex<HashMap<LaunchId, Arc<Control>>>,
    /// Programs that were found; looking them up again would cost as much as a spawn.
    found: Mutex<HashMap<String, Vec<(Place, CString)>>>,
    secrets: Secrets,
    orphans: Option<Orphans>,
    guard_command: Vec<String>,
    guard: OnceLock<Option<Guard>>,
}

/// What decides, besides its name, which file a program is: its home and its folder.
type Place = (Option<PathBuf>, Option<PathBuf>);

impl ProcessLauncher {
    /// A launcher whose programs are given these variables, and start in `folder` unless told otherwise.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>, folder: PathBuf) -> Self {
        // one that no program can be given is left out, not all of them
        let fits = |(name, value): &(OsString, OsString)| Environment::new([(name, value)]).is_ok();
        let variables: Vec<_> = variables.into_iter().filter(fits).collect();
        let path = variables.iter().find(|(name, _)| name == "PATH").map(|(_, value)| value.clone());
        let environment = Environment::new(variables).unwrap_or_default();
        let shared = Shared {
            environment,
            path,
            is_here: std::env::current_dir().is_ok_and(|here| here == folder),
            folder,
            running: Mutex::new(HashMap::new()),
            found: Mutex::new(HashMap::new()),
            secrets: Secrets::default(),
            orphans: None,
            guard_command: Vec::new(),
            guard: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A launcher in a setting.
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

    /// The same, for a process that launches nothing by other means: it adopts what its programs leave behind and
    /// ends it, and has `guard_command` do so when it is killed itself.
    #[must_use]
    pub fn holding_on(mut self, guard_command: Vec<String>) -> Self {
        // made a moment ago, it is nobody else's yet
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.orphans = Orphans::adopt().ok();
            shared.guard_command = guard_command;
        }
        self
    }

    fn start(&self, id: LaunchId, order: &mut LaunchOrder) -> Result<Follow, Failure> {
        let path = self.shared.find(&order.program)?;
        order.program.working_directory = self.shared.folder_to_enter(&order.program);
        let program = &order.program;
        let argv: Result<Vec<CString>, _> =
            program.argv.iter().map(|text| CString::new(text.as_str())).collect();
        let argv = argv.map_err(|_| not_started(program, "an argument contains a NUL byte"))?;
        let own = self.shared.orphans.as_ref().map(|_| (LAUNCH_VARIABLE, order.name.as_str()));
        let secrets = if program.secrets.is_empty() {
            Vec::new()
        } else {
            self.shared.secrets.values(&program.secrets)?
        };
        let given = program.env.iter().chain(&secrets).map(|(name, value)| (name.as_str(), value.as_str()));
        let environment = self.shared.environment.with(given.chain(own));
        let environment = environment.map_err(|error| not_started(program, &error.to_string()))?;
        let working_directory =
            program.working_directory.as_ref().map(|folder| CString::new(folder.as_os_str().as_bytes()));
        let working_directory = working_directory
            .transpose()
            .map_err(|_| not_started(program, "the working directory contains a NUL byte"))?;
        let (stdout, their_stdout) = pipe().map_err(|error| no_resources(program, &error))?;
        let (stderr, their_stderr) = pipe().map_err(|error| no_resources(program, &error))?;
        // locked until it is known: what is not is taken for an orphan by whoever ends another launch meanwhile
        let mut running = self.shared.lock_running();
        let child = spawn(Spawn {
            program: path,
            argv,
            environment,
            working_directory,
            stdout: their_stdout.as_fd(),
            stderr: their_stderr.as_fd(),
        });
        let child = child.map_err(|error| refused(program, error))?;
        let control = Arc::new(Control::of(child.pid()));
        // one that cannot be watched is ended
        let child = Watched::new(child).map_err(|error| lost(&error))?;
        running.insert(id, Arc::clone(&control));
        Ok(Follow { child, stdout, stderr, control })
    }
}

impl Shared {
    fn lock_running(&self) -> std::sync::MutexGuard<'_, HashMap<LaunchId, Arc<Control>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a program: beside its home if it is there, else as the system finds it.
    fn find(&self, program: &Program) -> Result<CString, Failure> {
        let name = program.argv.first().map(String::as_str).unwrap_or_default();
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // a relative path means another file in another folder
        let is_its = |(home, folder): &Place| *home == program.home && *folder == program.working_directory;
        if let Some((_, path)) = found.get(name).and_then(|all| all.iter().find(|(place, _)| is_its(place))) {
            return Ok(path.clone());
        }
        let path = self.look_up(program, Path::new(name))?;
        let path = CString::new(path.into_os_string().into_vec());
        let path = path.map_err(|_| not_started(program, "its path contains a NUL byte"))?;
        let place = (program.home.clone(), program.working_directory.clone());
        found.entry(name.to_owned()).or_default().push((place, path.clone()));
        Ok(path)
    }

    /// Has somebody watch over the run from outside, once a program lives long enough to be worth it.
    fn stand_guarded(&self) {
        if !self.guard_command.is_empty() {
            // without a guard the run goes on all the same, with one net less
            self.guard.get_or_init(|| Guard::start(&self.guard_command).ok());
        }
    }

    /// Ends what a launch left behind; of every launch if none is named.
    fn clear_orphans(&self, launch: Option<&str>) {
        let Some(orphans) = &self.orphans else { return };
        let guard = self.guard.get().and_then(Option::as_ref).map(Guard::pid);
        let running = self.lock_running();
        orphans
            .clear(launch, |pid| guard == Some(pid) || running.values().any(|control| control.pid() == pid));
    }

    /// Where a program starts: its own folder counts from that of all.
    fn folder_of(&self, program: &Program) -> PathBuf {
        program.working_directory.as_ref().map_or_else(|| self.folder.clone(), |own| self.folder.join(own))
    }

    /// The same, or none if this process is there already.
    fn folder_to_enter(&self, program: &Program) -> Option<PathBuf> {
        let stays = self.is_here && program.working_directory.is_none();
        (!stays).then(|| self.folder_of(program))
    }

    fn look_up(&self, program: &Program, name: &Path) -> Result<PathBuf, Failure> {
        let beside = program.home.as_ref().filter(|_| name.is_relative()).map(|home| home.join(name));
        if let Some(beside) = beside
            && let Ok(path) = resolve(&beside, &self.folder, None)
        {
            return Ok(path);
        }
        resolve(name, &self.folder_of(program), self.path.as_deref())
            .map_err(|error| not_started(program, &error.to_string()))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.clear_orphans(None);
    }
}

impl Launcher for ProcessLauncher {
    fn launch(&self, id: LaunchId, mut order: LaunchOrder, events: &mpsc::Sender<Launched>) {
        let events = events.clone();
        if order.again {
            // a process does not outlive the one that launched it
            tokio::spawn(async move { events.send(Launched { id, event: LaunchEvent::Lost }).await });
            return;
        }
        match self.start(id, &mut order) {
            Ok(follow) => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    let name = order.name.clone();
                    let ended = follow
                        .until_end(id, order, &events, shared.secrets.mask(), || shared.stand_guarded())
                        .await;
                    shared.lock_running().remove(&id);
                    shared.clear_orphans(Some(&name));
                    events.send(Launched { id, event: LaunchEvent::Ended(Box::new(ended)) }).await.ok();
                    // whoever hears of the end starts the next before this one's descriptors are closed
                    tokio::task::yield_now().await;
                    drop(follow);
                });
            }
            Err(failure) => {
                let ended = LaunchEvent::Ended(Box::new(Ended::failed(failure)));
                tokio::spawn(async move { events.send(Launched { id, event: ended }).await });
            }
        }
    }

    fn stop(&self, id: LaunchId, force: bool) {
        if let Some(control) = self.shared.lock_running().get(&id) {
            control.ask(force);
        }
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    // ours must not block; theirs must, as programs expect
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}
