//! The state of a process launcher: finds a program, creates its pipes, starts it, and knows what programs leave behind.

use super::descendants::Descendants;
use super::failure::{no_resources, not_started, refused};
use super::follow::Follow;
use super::guard::Guard;
use super::orphans::{LAUNCH_VARIABLE, Leftover, Orphans, of_launch, others_of_session, processes};
use super::running::Running;
use super::{Child, ChildEnd, Environment, Signal, Spawn, resolve_beside, spawn};
use crate::port::{InstanceSocket, LaunchId, LaunchOrder, Program};
use crate::secrets::Secrets;
use pop_contract::Failure;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use rustix::thread::CpuSet;
use std::collections::HashMap;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// The state of a process launcher, which its launches share.
pub(super) struct Shared {
    pub(super) environment: Environment,
    pub(super) path: Option<OsString>,
    pub(super) folder: PathBuf,
    /// Whether `folder` is the working directory of this process.
    pub(super) is_here: bool,
    pub(super) running: Running,
    /// Cache of resolved programs: a lookup costs as much as a spawn.
    pub(super) found: Mutex<HashMap<String, Vec<(Place, CString)>>>,
    pub(super) secrets: Secrets,
    pub(super) orphans: Option<Orphans>,
    /// Whether to search for processes left behind after the end of every program.
    pub(super) is_thorough: bool,
    pub(super) guard_command: Vec<String>,
    pub(super) guard: Mutex<Option<Guard>>,
    /// Notified when an end was reported, or is delayed by processes left behind.
    pub(super) progressed: Notify,
}

/// The key of a resolved program: name, home, working directory and the program's own `PATH`.
type Place = (Option<PathBuf>, Option<PathBuf>, Option<String>);

impl Shared {
    /// Starts the program of an order that was announced, with these processors if the thread itself has fewer.
    pub(super) fn start(
        &self,
        id: LaunchId,
        order: &mut LaunchOrder,
        processors: Option<&'static CpuSet>,
    ) -> Result<Follow, Failure> {
        let path = self.find(&order.program)?;
        order.program.working_directory = self.folder_to_enter(&order.program);
        let program = &order.program;
        let argv: Result<Vec<CString>, _> =
            program.argv.iter().map(|text| CString::new(text.as_str())).collect();
        let argv = argv.map_err(|_| not_started(program, "an argument contains a NUL byte"))?;
        let own = self.orphans.as_ref().map(|_| (LAUNCH_VARIABLE, order.name.as_str()));
        let secrets =
            if program.secrets.is_empty() { Vec::new() } else { self.secrets.values(&program.secrets)? };
        let place = program.working_directory.as_deref().and_then(plain);
        let place = place.as_deref().and_then(Path::to_str).map(|folder| ("PWD", folder));
        let given = program.env.iter().chain(&secrets).map(|(name, value)| (name.as_str(), value.as_str()));
        let environment = self.environment.with(place.into_iter().chain(given).chain(own));
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
        let spawned = self.running.spawn(id, || {
            spawn(Spawn {
                program: path,
                argv,
                environment,
                working_directory,
                stdin: stdin.as_ref().map(File::as_fd),
                stdout: their_stdout.as_fd(),
                stderr: their_stderr.as_fd(),
                socket: order.socket.as_ref().and_then(InstanceSocket::descriptor),
                processors,
            })
        });
        // the program's end of the socket: this process sees the program close it
        order.socket = None;
        let control = spawned.map_err(|error| refused(program, error))?;
        Ok(Follow { control, stdout, stderr })
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
        move |pid| guard == Some(pid) || self.running.has(pid)
    }

    /// Living adopted orphans; `None` if this process adopts none, or the kernel does not list them.
    pub(super) fn orphans(&self) -> Option<Vec<Pid>> {
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

    fn collect(&self, program: &Child) -> io::Result<ChildEnd> {
        self.running.collect(program)
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
pub(super) fn plain(folder: &Path) -> Option<PathBuf> {
    let has_dots = folder.components().any(|part| matches!(part, Component::ParentDir | Component::CurDir));
    if folder.is_absolute() && !has_dots { Some(folder.to_owned()) } else { folder.canonicalize().ok() }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    // our end must not block; the program's end must, as programs expect
    rustix::io::ioctl_fionbio(&read, true)?;
    Ok((read, write))
}
