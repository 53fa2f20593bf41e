//! The local launcher: finds the program, creates pipes, starts the child and spawns a task that follows it.

use super::control::Control;
use super::descendants::Descendants;
use super::failure::{lost, no_resources, not_started, refused};
use super::follow::Follow;
use super::guard::Guard;
use super::orphans::{LAUNCH_VARIABLE, Leftover, Orphans, of_launch, others_of_session, processes};
use super::pause::signal_trees;
use super::{AsyncDescriptor, Child, Environment, Signal, Spawn, resolve_beside, spawn};
use crate::port::{
    Doing, InstanceSocket, LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher, Program,
};
use crate::secrets::Secrets;
use crate::setting::Setting;
use pop_contract::Failure;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
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

struct Shared {
    environment: Environment,
    path: Option<OsString>,
    folder: PathBuf,
    /// Whether `folder` is the working directory of this process.
    is_here: bool,
    running: Mutex<HashMap<LaunchId, Arc<Control>>>,
    /// Cache of resolved programs: a lookup costs as much as a spawn.
    found: Mutex<HashMap<String, Vec<(Place, CString)>>>,
    secrets: Secrets,
    orphans: Option<Orphans>,
    /// Whether to search for processes left behind after the end of every program.
    is_thorough: bool,
    guard_command: Vec<String>,
    guard: Mutex<Option<Guard>>,
    /// Notified when an end was reported, or is delayed by processes left behind.
    progressed: Notify,
}

/// The key of a resolved program: name, home, working directory and the program's own `PATH`.
type Place = (Option<PathBuf>, Option<PathBuf>, Option<String>);

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
            running: Mutex::new(HashMap::new()),
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
        let place = program.working_directory.as_deref().and_then(plain);
        let place = place.as_deref().and_then(Path::to_str).map(|folder| ("PWD", folder));
        let given = program.env.iter().chain(&secrets).map(|(name, value)| (name.as_str(), value.as_str()));
        let environment = self.shared.environment.with(place.into_iter().chain(given).chain(own));
        let environment = environment.map_err(|error| not_started(program, &error.to_string()))?;
        let working_directory =
            program.working_directory.as_ref().map(|folder| CString::new(folder.as_os_str().as_bytes()));
        let working_directory = working_directory
            .transpose()
            .map_err(|_| not_started(program, "the working directory contains a NUL byte"))?;
        let stdin = program.stdin.as_ref().map(File::open).transpose();
        let stdin = stdin
            .map_err(|error| not_started(program, &format!("its standard input cannot be read: {error}")))?;
        let (stdout, their_stdout) = pipe().map_err(|error| no_resources(program, &error))?;
        let (stderr, their_stderr) = pipe().map_err(|error| no_resources(program, &error))?;
        // locked until the child is registered: an unknown child is taken for an orphan when another launch ends
        let mut running = self.shared.lock_running();
        let child = spawn(Spawn {
            program: path,
            argv,
            environment,
            working_directory,
            stdin: stdin.as_ref().map(File::as_fd),
            stdout: their_stdout.as_fd(),
            stderr: their_stderr.as_fd(),
            socket: order.socket.as_ref().and_then(InstanceSocket::descriptor),
        });
        // the program's end of the socket: this process sees the program close it
        order.socket = None;
        let child = child.map_err(|error| refused(program, error))?;
        // a child that cannot be registered is killed on drop
        let control = Arc::new(Control::of(AsyncDescriptor::new(child).map_err(|error| lost(&error))?));
        running.insert(id, Arc::clone(&control));
        Ok(Follow { control, stdout, stderr })
    }
}

impl Shared {
    fn lock_running(&self) -> std::sync::MutexGuard<'_, HashMap<LaunchId, Arc<Control>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file of a program: in the folder `home` if it is there, else as the system finds it.
    fn find(&self, program: &Program) -> Result<CString, Failure> {
        let name = program.argv.first().map(String::as_str).unwrap_or_default();
        let own_path = program.env.iter().rfind(|(name, _)| name == "PATH").map(|(_, value)| value);
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        // a relative path depends on the folder, a name on `PATH`
        let is_its = |(home, folder, path): &Place| {
            *home == program.home && *folder == program.working_directory && path.as_ref() == own_path
        };
        if let Some((_, path)) = found.get(name).and_then(|all| all.iter().find(|(place, _)| is_its(place))) {
            return Ok(path.clone());
        }
        let path = self.look_up(program, Path::new(name), own_path.map(OsStr::new))?;
        let path = CString::new(path.into_os_string().into_vec());
        let path = path.map_err(|_| not_started(program, "its path contains a NUL byte"))?;
        let place = (program.home.clone(), program.working_directory.clone(), own_path.cloned());
        found.entry(name.to_owned()).or_default().push((place, path.clone()));
        Ok(path)
    }

    fn lock_guard(&self) -> std::sync::MutexGuard<'_, Option<Guard>> {
        self.guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a pid is a followed child or the guard.
    fn known(&self) -> impl Fn(i32) -> bool {
        let guard = self.lock_guard().as_ref().map(Guard::pid);
        let running = self.lock_running();
        move |pid| guard == Some(pid) || running.values().any(|control| control.pid() == pid)
    }

    /// Living adopted orphans; `None` if this process adopts none, or the kernel does not list them.
    fn orphans(&self) -> Option<Vec<Pid>> {
        let orphans = self.orphans.as_ref().filter(|orphans| orphans.are_known())?;
        Some(orphans.living(self.known()))
    }

    /// The working directory of a program, relative to the launcher's folder.
    fn folder_of(&self, program: &Program) -> PathBuf {
        program.working_directory.as_ref().map_or_else(|| self.folder.clone(), |own| self.folder.join(own))
    }

    /// The working directory of a program; `None` if it is that of this process.
    fn folder_to_enter(&self, program: &Program) -> Option<PathBuf> {
        let stays = self.is_here && program.working_directory.is_none();
        (!stays).then(|| self.folder_of(program))
    }

    fn look_up(&self, program: &Program, name: &Path, own_path: Option<&OsStr>) -> Result<PathBuf, Failure> {
        let path = own_path.or(self.path.as_deref());
        resolve_beside(program.home.as_deref(), name, &self.folder_of(program), path)
            .map_err(|error| not_started(program, &error.to_string()))
    }
}

impl Descendants for Shared {
    fn may_have_left(&self, launch: &str, program: &Child) -> bool {
        match self.orphans() {
            Some(orphans) if !self.is_thorough => {
                !orphans.is_empty() && !of_launch(orphans, launch, pid_of(program)).is_empty()
            }
            _ if self.is_thorough => !self.leftovers(launch, program).is_empty(),
            _ => {
                // a process that closed its outputs can only be found by a search that costs more than a spawn
                program.signal_group(Signal::KILL).ok();
                false
            }
        }
    }

    fn leftovers(&self, launch: &str, program: &Child) -> Vec<Leftover> {
        match self.orphans() {
            Some(orphans) => of_launch(orphans, launch, pid_of(program)),
            None => of_launch(processes(), launch, pid_of(program)),
        }
    }

    fn others_of_session(&self, program: &Child) -> Vec<Leftover> {
        others_of_session(pid_of(program))
    }

    /// Starts a guard when a program runs long enough for the cost. Replaces a guard that has ended or is stopped.
    fn on_long_run(&self) {
        if self.guard_command.is_empty() {
            return;
        }
        let mut guard = self.lock_guard();
        if guard.as_ref().is_none_or(|guard| !guard.is_well()) {
            drop(guard.take());
            // without a guard the run continues, with one safety mechanism less
            *guard = Guard::start(&self.guard_command).ok();
        }
    }

    fn on_linger(&self) {
        self.progressed.notify_waiters();
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        if let Some(orphans) = &self.orphans {
            orphans.clear(self.known());
        }
    }
}

fn pid_of(program: &Child) -> Pid {
    // a child's pid is never 0
    Pid::from_raw(program.pid().cast_signed()).unwrap_or(Pid::INIT)
}

/// A folder as `PWD` may name it: absolute and without dots; `None` if there is no such form.
fn plain(folder: &Path) -> Option<PathBuf> {
    let has_dots = folder.components().any(|part| matches!(part, Component::ParentDir | Component::CurDir));
    if folder.is_absolute() && !has_dots { Some(folder.to_owned()) } else { folder.canonicalize().ok() }
}

impl Launcher for ProcessLauncher {
    fn launch(&self, id: LaunchId, mut order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
        let events = events.clone();
        if order.again {
            // a process does not outlive its launcher
            tokio::spawn(async move { events.send(LaunchUpdate { id, event: LaunchEvent::Lost }).await });
            return;
        }
        match self.start(id, &mut order) {
            Ok(follow) => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move {
                    let ended = follow.until_end(id, order, &events, shared.secrets.mask(), &*shared).await;
                    shared.lock_running().remove(&id);
                    events.send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(ended)) }).await.ok();
                    shared.progressed.notify_waiters();
                    drop(shared);
                    // the receiver may start the next program before this one's descriptors are closed
                    tokio::task::yield_now().await;
                    drop(follow);
                });
            }
            Err(failure) => {
                let ended = LaunchEvent::Ended(Box::new(LaunchEnd::failed(failure)));
                tokio::spawn(async move { events.send(LaunchUpdate { id, event: ended }).await });
            }
        }
    }

    fn stop(&self, id: LaunchId, force: bool) {
        if let Some(control) = self.shared.lock_running().get(&id) {
            control.request_stop(force);
        }
    }

    fn settle(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            // first let followers process kernel events: one turn of the loop, and one for each follower
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            loop {
                let progressed = self.shared.progressed.notified();
                let is_coming = |control: &Arc<Control>| {
                    control.child.get().has_ended() && !control.is_lingering.load(Ordering::Acquire)
                };
                if !self.shared.lock_running().values().any(is_coming) {
                    return;
                }
                progressed.await;
            }
        })
    }

    fn pause(&self) {
        let running: Vec<Pid> = self.roots();
        signal_trees(running, Signal::STOP);
    }

    fn resume(&self, paused: Duration) {
        for control in self.shared.lock_running().values() {
            control.was_paused(paused);
        }
        signal_trees(self.roots(), Signal::CONT);
    }
}

impl ProcessLauncher {
    /// The roots of all process trees: running programs and orphans.
    fn roots(&self) -> Vec<Pid> {
        let orphans = self.shared.orphans().unwrap_or_default();
        let running = self.shared.lock_running();
        running.values().filter_map(|control| Pid::from_raw(control.pid())).chain(orphans).collect()
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    // our end must not block; the program's end must, as programs expect
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}
