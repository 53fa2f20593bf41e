//! Starts a program without copying this process, and collects its end.
//!
//! A spawn is one `clone` that shares memory with the child, as `posix_spawn` does inside, but does not wait until
//! the child has become the program: the child works from memory that is lent to it, and that is taken back when
//! the kernel says that it has left. Besides, a death signal and a pidfd without a race.
//! With its submodules this is the only `unsafe` code; everything it offers is safe to call.
//!
//! # Guarantees
//! - The child leads a session and a process group of its own when it becomes its program, so it has no terminal.
//! - It is killed when the thread that spawned it ends, hence also when this process is killed.
//! - It has `/dev/null` as standard input, the two given descriptors as outputs, and no other descriptor,
//!   whether or not those of this process are marked close-on-exec.
//! - It begins with an empty signal mask and with every signal at its default, however this process (or
//!   whoever started it) had set its own at the first spawn.
//! - A program that cannot be started ends with a [`SpawnError`]: the step and the system's error number.
//! - The cost does not depend on how much memory this process has.
//!
//! # Assumptions
//! - Linux 5.4 or later (`waitid` on a pidfd); closing foreign descriptors needs 5.11 and is skipped before.
//! - Nobody else collects our children: no `waitpid(-1)`, and `SIGCHLD` is not ignored here, else the kernel
//!   drops the end of every child and collecting it fails with `ECHILD`.
//! - [`Spawn::program`] is a path (see [`resolve`](super::resolve)): no lookup happens here, and a script
//!   without `#!` is refused by the kernel with `ENOEXEC`.
//!
//! # Caveats
//! - The death signal belongs to the spawning **thread**, not to the process. Spawn from a thread that lives
//!   as long as its children may: the main thread, a worker of a runtime, never `spawn_blocking`. A thread that
//!   ends before its child is set up leaves it without the signal, if the process goes on.
//! - The death signal reaches the child alone, not what it started itself, and the kernel drops it when the
//!   program is set-uid, set-gid or has file capabilities. [`Child::signal_group`] reaches descendants that
//!   have not left the group.
//! - A signal that this process begins to ignore after its first spawn is ignored in its children too.
//! - The identifiers of user and group stay those of this process; there is no hook to run code in the child.
//! - Where the child cannot call the kernel without libc (see [`kernel`]) the calling thread stands still until
//!   the child has become the program.
#![expect(unsafe_code, reason = "clone with shared memory and waitid with resource usage have no safe form")]

mod becoming;
mod child;
mod kernel;
mod lent;
mod watched;

use std::ffi::{CString, c_int, c_void};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;
use std::sync::OnceLock;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

use self::becoming::{Orders, child_main};
pub use self::child::{Child, Ended, Exit, Usage};
use self::kernel::{SignalMask, swap_signal_mask};
use self::lent::Lent;
pub use self::watched::{Watchable, Watched};
use super::Environment;

/// Everything a child is started with.
#[derive(Debug)]
pub struct Spawn<'a> {
    /// The file to execute; a relative path counts from `working_directory`.
    pub program: CString,
    /// The arguments, the program's own name first.
    pub argv: Vec<CString>,
    /// The variables.
    pub environment: Environment,
    /// Where to start; where this process is, if none.
    pub working_directory: Option<CString>,
    /// Where standard output goes; may be closed once the child is spawned.
    pub stdout: BorrowedFd<'a>,
    /// Where standard error goes; may be the same descriptor as `stdout`.
    pub stderr: BorrowedFd<'a>,
}

/// Says at which step a spawn failed, and why.
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
    /// This process could not get what it takes: `/dev/null`, a stack.
    Prepare,
    /// The kernel gave no new process: limits (`EAGAIN`), memory (`ENOMEM`).
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
/// Returns once there is a process for it. Whether that could become the program is said with its end
/// ([`Ended::exit`]). See the module's documentation for what holds of the child and from which threads this may be
/// called.
pub fn spawn(order: Spawn<'_>) -> Result<Child, SpawnError> {
    let prepare = |source| SpawnError { step: Step::Prepare, source };
    let null = null_device().map_err(prepare)?;
    let streams = [null.as_raw_fd(), order.stdout.as_raw_fd(), order.stderr.as_raw_fd()];
    let orders = Orders::new(order, streams, changed_signals());
    start(Lent::new(orders).map_err(prepare)?)
}

/// Returns the one `/dev/null` that every child reads from, opening it at the first call.
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
fn start(lent: Lent) -> Result<Child, SpawnError> {
    let failed = |source| SpawnError { step: Step::Clone, source };
    let mut pidfd: c_int = -1;
    // A handler of ours that ran in the child would write to our memory.
    let mask = swap_signal_mask(SignalMask::MAX).map_err(failed)?;
    lent.begin();
    // SAFETY: the child runs `child_main` on the stack and with the orders that `lent` holds. Both stay where they
    // are and nobody else touches them until the kernel has cleared the word of CLONE_CHILD_CLEARTID, which it does
    // when the child leaves our memory by exec or exit: `Lent` frees nothing before. `child_main` uses no
    // thread-local, allocates nothing and takes no lock. CLONE_PIDFD makes the kernel write the (close-on-exec)
    // descriptor to the fifth argument; the sixth is not used without CLONE_SETTLS.
    let pid = unsafe {
        libc::clone(
            child_main,
            lent.stack_top(),
            libc::CLONE_VM | kernel::WAITING | libc::CLONE_PIDFD | libc::CLONE_CHILD_CLEARTID | libc::SIGCHLD,
            lent.orders().cast_mut().cast::<c_void>(),
            &raw mut pidfd,
            ptr::null_mut::<c_void>(),
            lent.word(),
        )
    };
    let error = errno_of(&io::Error::last_os_error());
    let restored = swap_signal_mask(mask);
    // -1 is not for `Pid` to look at
    let Some(pid) = Pid::from_raw(pid.max(0)) else {
        lent.end();
        return Err(failed(error));
    };
    if pidfd < 0 {
        // a kernel that does not know the flag ignores it: such a child could not be followed
        rustix::process::kill_process(pid, Signal::KILL).ok();
        rustix::process::waitpid(Some(pid), WaitOptions::empty()).ok();
        return Err(failed(Errno::NOSYS));
    }
    // SAFETY: the clone succeeded, so the kernel has just opened this descriptor for us and nobody else
    // knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let child = Child::new(pid, pidfd, lent);
    restored.map_err(failed)?;
    Ok(child)
}

/// Returns the signals that this process handles or ignores, as found at the first call, and those that it may come to
/// handle later.
///
/// Asking for each at every spawn would cost as much as all else that is done here. None that has a handler of ours may
/// be missing: it would run in the child, in our memory, once the child has unblocked its signals.
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

/// Has this process ignore SIGXFSZ from now on: a write beyond the limit of file sizes (`ulimit -f`) then fails with
/// `EFBIG` instead of ending the process. Children have the default action.
pub fn ignore_file_size_signal() {
    // SAFETY: sets the action of one signal to being ignored; no handler is installed.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

#[cfg(test)]
mod tests;
