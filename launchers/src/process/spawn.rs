//! Starts a program without copying this process, and collects its end.
//!
//! A spawn is one `clone` that shares memory with the child, as `posix_spawn` does inside, but does not wait for the
//! child's `execve`. The child uses start memory of its own, which is freed when the kernel reports that the child does
//! not use it any more. The child gets a death signal and a pidfd without a race. This module and its submodules are
//! the only `unsafe` code; their public functions are safe.
//!
//! # Guarantees
//! - The child leads its own session and process group when it executes its program, so it has no terminal.
//! - It is killed when the thread that spawned it ends, hence also when this process is killed.
//! - The child's standard input is `/dev/null` or the descriptor of [`Spawn`], and its outputs are the two descriptors of
//!   [`Spawn`]. It inherits no other descriptor but the socket of [`Spawn`], whether or not those of this process are
//!   marked close-on-exec.
//! - It starts with an empty signal mask and every signal at its default, whatever this process (or its parent)
//!   had set at the first spawn.
//! - A program that cannot be started ends with a [`SpawnError`]: the step and the system's error number.
//! - The cost does not depend on how much memory this process has.
//!
//! # Assumptions
//! - Linux 5.4 or later (`waitid` on a pidfd); closing foreign descriptors needs 5.11 and is skipped before.
//! - Nothing else collects our children: no `waitpid(-1)`, and `SIGCHLD` is not ignored. Otherwise the kernel
//!   drops the end of every child, and collecting it fails with `ECHILD`.
//! - [`Spawn::program`] is a path (see [`resolve`](super::resolve)): no lookup happens here, and a script
//!   without `#!` is refused by the kernel with `ENOEXEC`.
//!
//! # Caveats
//! - The death signal belongs to the spawning **thread**, not to the process. Spawn from a thread that lives as long as
//!   its children may: the main thread, a worker of a runtime, never `spawn_blocking`. If the thread ends before the
//!   child is set up and the process continues, the child has no death signal.
//! - The death signal reaches the child alone, not what it started itself, and the kernel drops it when the
//!   program is set-uid, set-gid or has file capabilities. [`Child::signal_group`] reaches descendants that
//!   have not left the group.
//! - A signal that this process starts to ignore after its first spawn is ignored in its children too.
//! - User and group stay those of this process; there is no hook to run code in the child.
//! - Where the child cannot call the kernel without libc (see [`kernel`]), the calling thread blocks until the
//!   child's `execve`.
#![expect(
    unsafe_code,
    reason = "clone with shared memory, waitid with resource usage and an inherited descriptor have no safe form"
)]

mod async_descriptor;
mod child;
mod child_memory;
mod child_setup;
mod executor_socket;
mod kernel;

use std::ffi::{CString, c_int, c_void};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};
use rustix::thread::CpuSet;

pub use self::async_descriptor::{AsyncDescriptor, Descriptor};
pub use self::child::{Child, ChildEnd, Exit, Usage};
use self::child_memory::ChildMemory;
use self::child_setup::{ChildSetup, NO_DESCRIPTOR, child_main};
pub use self::executor_socket::ExecutorSocket;
use self::kernel::{SignalMask, swap_signal_mask};
use super::Environment;

/// Program, arguments, variables, folder and outputs of a child.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The file to execute; a relative path counts from `working_directory`.
    pub program: CString,
    /// The arguments, the program's own name first.
    pub argv: Vec<CString>,
    /// The variables.
    pub environment: Environment,
    /// Working directory; that of this process if `None`.
    pub working_directory: Option<CString>,
    /// Descriptor for standard input; `/dev/null` if none.
    pub stdin: Option<BorrowedFd<'a>>,
    /// Descriptor for standard output; may be closed once the child is spawned.
    pub stdout: BorrowedFd<'a>,
    /// Descriptor for standard error; may be the same as `stdout`.
    pub stderr: BorrowedFd<'a>,
    /// A socket that becomes descriptor [`SOCKET_DESCRIPTOR`]; may be closed once the child is spawned.
    pub socket: Option<BorrowedFd<'a>>,
    /// The processors that the program may use; those of the calling thread if none.
    pub processors: Option<&'static CpuSet>,
}

/// The number of the descriptor of [`Spawn::socket`] in the child.
pub const SOCKET_DESCRIPTOR: i32 = libc::STDERR_FILENO + 1;

/// The step at which a spawn failed, and the system's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{step}")]
pub struct SpawnError {
    /// The step that failed.
    pub step: Step,
    /// The system's error.
    pub source: Errno,
}

/// A step of a spawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This process could not get a resource: `/dev/null`, a stack.
    Prepare,
    /// The kernel created no process: limits (`EAGAIN`), memory (`ENOMEM`).
    Clone,
    /// The new process could not be set up: session, death signal, standard streams.
    SetUp,
    /// The working directory could not be entered.
    WorkingDirectory,
    /// The program could not be executed; `ENOENT` may also mean the interpreter named by a script.
    Execute,
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Prepare => "failed to prepare a new process",
            Self::Clone => "failed to create a process",
            Self::SetUp => "failed to set up the new process",
            Self::WorkingDirectory => "failed to enter the working directory",
            Self::Execute => "failed to execute the program",
        })
    }
}

/// Starts a program.
///
/// Returns once the process exists. Whether it could execute the program is part of its end
/// ([`ChildEnd::exit`]). The module's documentation says what holds for the child and which threads may call
/// this.
pub fn spawn(order: Spawn<'_>) -> Result<Child, SpawnError> {
    let prepare = |source| SpawnError { step: Step::Prepare, source };
    let stdin = match order.stdin {
        Some(stdin) => stdin,
        None => null_device().map_err(prepare)?,
    };
    let socket = order.socket.map_or(NO_DESCRIPTOR, |socket| socket.as_raw_fd());
    let streams = [stdin.as_raw_fd(), order.stdout.as_raw_fd(), order.stderr.as_raw_fd(), socket];
    let setup = ChildSetup::new(order, streams, changed_signals());
    start(ChildMemory::new(setup).map_err(prepare)?)
}

/// Returns the one `/dev/null` that every child reads from; the first call opens it.
fn null_device() -> Result<BorrowedFd<'static>, Errno> {
    static NULL_DEVICE: OnceLock<File> = OnceLock::new();
    if let Some(file) = NULL_DEVICE.get() {
        return Ok(file.as_fd());
    }
    let file = File::open("/dev/null").map_err(|error| errno_of(&error))?;
    Ok(NULL_DEVICE.get_or_init(|| file).as_fd())
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}

/// Clones this process into `child_main`.
fn start(memory: ChildMemory) -> Result<Child, SpawnError> {
    let failed = |source| SpawnError { step: Step::Clone, source };
    let mut pidfd: c_int = -1;
    // a handler of ours that ran in the child would write to our memory
    let mask = swap_signal_mask(SignalMask::MAX).map_err(failed)?;
    memory.begin();
    // SAFETY: the child runs `child_main` on the stack and with the setup that `memory` holds. Both stay in
    // place, and nothing else touches them until the kernel clears the word of CLONE_CHILD_CLEARTID, when the
    // child leaves our memory by exec or exit: `ChildMemory` frees nothing before. `child_main` uses no
    // thread-local, allocates nothing and takes no lock. CLONE_PIDFD makes the kernel write the (close-on-exec)
    // descriptor to the fifth argument; the sixth is unused without CLONE_SETTLS.
    let pid = unsafe {
        libc::clone(
            child_main,
            memory.stack_top(),
            libc::CLONE_VM | kernel::WAITING | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD,
            memory.setup().cast_mut().cast::<c_void>(),
            &raw mut pidfd,
            ptr::null_mut::<c_void>(),
            memory.word(),
        )
    };
    let error = errno_of(&io::Error::last_os_error());
    let restored = swap_signal_mask(mask);
    // `Pid` does not accept -1
    let Some(pid) = Pid::from_raw(pid.max(0)) else {
        memory.end();
        return Err(failed(error));
    };
    if pidfd < 0 {
        // a kernel without this flag ignores it: such a child could not be followed
        rustix::process::kill_process(pid, Signal::KILL).ok();
        rustix::process::waitpid(Some(pid), WaitOptions::empty()).ok();
        return Err(failed(Errno::NOSYS));
    }
    // SAFETY: the clone succeeded, so the kernel has just opened this descriptor, and only this code knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let child = Child::new(pid, pidfd, memory);
    restored.map_err(failed)?;
    Ok(child)
}

/// Returns the signals that this process handles or ignores, as found at the first call, and those that it may
/// handle later.
///
/// Querying each signal at every spawn would cost as much as the rest of the spawn. No signal with a handler
/// may be missing: the handler would run in the child, in our memory, once the child has unblocked its signals.
fn changed_signals() -> SignalMask {
    const HANDLED: [Signal; 9] = [
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::TERM,
        Signal::CHILD,
        Signal::USR1,
        Signal::USR2,
        Signal::WINCH,
        Signal::XFSZ,
    ];
    static CHANGED: OnceLock<SignalMask> = OnceLock::new();
    *CHANGED.get_or_init(|| {
        let is_changed = |signal: &u32| !kernel::has_default_action(*signal);
        let handled = HANDLED.map(|signal| signal.as_raw().unsigned_abs());
        let all = (1..=SignalMask::BITS).filter(is_changed).chain(handled);
        all.fold(0, |changed, signal| changed | (1 << (signal - 1)))
    })
}

/// Makes this process ignore SIGXFSZ: a write beyond the file size limit (`ulimit -f`) then fails with `EFBIG`
/// instead of killing the process. Children have the default action.
pub fn ignore_file_size_signal() {
    // SAFETY: sets one signal to ignored; installs no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

#[cfg(test)]
mod tests;
