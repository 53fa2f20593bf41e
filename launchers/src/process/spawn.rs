//! Starts a program without copying this process, and collects its end.
//!
//! A spawn is one `clone` that shares memory with the child and suspends the calling thread until the child
//! has become the program: what `posix_spawn` does inside, plus a death signal and a pidfd without a race.
//! With its submodules this is the only `unsafe` code; everything it offers is safe to call.
//!
//! # Guarantees
//! - The child leads a process group of its own, in which it is before [`spawn`] returns.
//! - It is killed when the thread that spawned it ends, hence also when this process is killed.
//! - It has `/dev/null` as standard input, the two given descriptors as outputs, and no other descriptor,
//!   whether or not those of this process are marked close-on-exec.
//! - It begins with an empty signal mask and with every signal at its default, however this process (or
//!   whoever started it) had set its own at the first spawn.
//! - A program that cannot be started is an error of [`spawn`], with the step and the system's error number;
//!   it leaves no process and no descriptor behind.
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
//!   as long as its children may: the main thread, a worker of a runtime, never `spawn_blocking`.
//! - The death signal reaches the child alone, not what it started itself, and the kernel drops it when the
//!   program is set-uid, set-gid or has file capabilities. [`Child::signal_group`] reaches descendants that
//!   have not left the group.
//! - The calling thread stands still until the kernel has opened the program: long on a hanging network
//!   mount.
//! - A signal that this process begins to ignore after its first spawn is ignored in its children too.
//! - The identifiers of user and group stay those of this process; there is no hook to run code in the child.

#![expect(unsafe_code, reason = "clone with shared memory and waitid with resource usage have no safe form")]

mod child;
mod stack;
mod watched;

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fmt;
use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::ptr;
use std::sync::OnceLock;

use rustix::process::{Pid, Signal, WaitOptions};

pub use self::child::{Child, Ended, Exit, Usage};
use self::stack::{Stack, with_stack};
pub use self::watched::{Watchable, Watched};
use super::Environment;

/// Everything a child is started with.
#[derive(Debug, Clone, Copy)]
pub struct Spawn<'a> {
    /// The file to execute; a relative path counts from `working_directory`.
    pub program: &'a CStr,
    /// The arguments, the program's own name first.
    pub argv: &'a [CString],
    /// The variables.
    pub environment: &'a Environment,
    /// Where to start; where this process is, if none.
    pub working_directory: Option<&'a CStr>,
    /// Where standard output goes.
    pub stdout: BorrowedFd<'a>,
    /// Where standard error goes; may be the same descriptor as `stdout`.
    pub stderr: BorrowedFd<'a>,
}

/// Says at which step a spawn failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{step}")]
pub struct SpawnError {
    /// The step that failed.
    pub step: Step,
    /// The system's error, always with its number.
    pub source: io::Error,
}

/// A step of a spawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This process could not get what it takes: `/dev/null`, a stack.
    Prepare,
    /// The kernel gave no new process: limits (`EAGAIN`), memory (`ENOMEM`).
    Clone,
    /// The new process could not be set up: group, death signal, standard streams.
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
/// Returns once the kernel has replaced the child's image by the program, or has refused to. See the module's
/// documentation for what holds of the child and from which threads this may be called.
pub fn spawn(order: &Spawn<'_>) -> Result<Child, SpawnError> {
    let null = null_device().map_err(|source| SpawnError { step: Step::Prepare, source })?;
    let argv = null_terminated(order.argv.len(), order.argv.iter().map(CString::as_c_str));
    let environment = null_terminated(order.environment.capacity(), order.environment.entries());
    let orders = Orders {
        program: order.program.as_ptr(),
        argv: argv.as_ptr(),
        environment: environment.as_ptr(),
        working_directory: order.working_directory.map_or(ptr::null(), CStr::as_ptr),
        streams: [null.as_raw_fd(), order.stdout.as_raw_fd(), order.stderr.as_raw_fd()],
        signals: changed_signals(),
        parent: rustix::process::getpid(),
        failure: Cell::new(None),
    };
    let child = with_stack(|stack| start(&orders, stack))?;
    match orders.failure.get() {
        None => Ok(child),
        Some(Failure { step, errno }) => {
            // how it ended says nothing more, and a failure to collect means that nothing is left
            child.wait().ok();
            Err(SpawnError { step, source: io::Error::from_raw_os_error(errno) })
        }
    }
}

/// Returns the one `/dev/null` that every child reads from, opening it at the first call.
fn null_device() -> io::Result<BorrowedFd<'static>> {
    static NULL_DEVICE: OnceLock<File> = OnceLock::new();
    if let Some(file) = NULL_DEVICE.get() {
        return Ok(file.as_fd());
    }
    let file = File::open("/dev/null")?;
    Ok(NULL_DEVICE.get_or_init(|| file).as_fd())
}

fn null_terminated<'a>(capacity: usize, strings: impl Iterator<Item = &'a CStr>) -> Vec<*const c_char> {
    let mut pointers = Vec::with_capacity(capacity.saturating_add(1));
    pointers.extend(strings.map(CStr::as_ptr));
    pointers.push(ptr::null());
    pointers
}

/// What the child finds in the memory that it shares with us, and where it leaves the reason of its failure.
struct Orders {
    program: *const c_char,
    argv: *const *const c_char,
    environment: *const *const c_char,
    /// Null to stay.
    working_directory: *const c_char,
    /// What becomes descriptors 0, 1 and 2.
    streams: [RawFd; 3],
    /// Those whose action is not the default.
    signals: SignalMask,
    parent: Pid,
    failure: Cell<Option<Failure>>,
}

#[derive(Clone, Copy)]
struct Failure {
    step: Step,
    errno: c_int,
}

/// Clones this process into `child_main`; returns when the child has executed its program or has ended.
fn start(orders: &Orders, stack: &Stack) -> Result<Child, SpawnError> {
    let failed = |source| SpawnError { step: Step::Clone, source };
    let mut pidfd: c_int = -1;
    // A handler of ours that ran in the child would write to our memory.
    let mask = swap_signal_mask(SignalMask::MAX).map_err(failed)?;
    // SAFETY: the child runs `child_main` on a stack that is ours alone until this call returns, since
    // `Stack` is borrowed from this thread's slot. CLONE_VFORK suspends this thread until the child has
    // left our memory by exec or exit, so `orders` and all that it points to outlive their use, and are
    // used by one at a time. CLONE_PIDFD makes the kernel write the (close-on-exec) descriptor to the fifth
    // argument.
    let pid = unsafe {
        libc::clone(
            child_main,
            stack.top(),
            libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PIDFD | libc::SIGCHLD,
            ptr::from_ref(orders).cast_mut().cast::<c_void>(),
            &raw mut pidfd,
        )
    };
    let error = io::Error::last_os_error();
    let restored = swap_signal_mask(mask);
    // -1 is not for `Pid` to look at
    let Some(pid) = Pid::from_raw(pid.max(0)) else {
        return Err(failed(error));
    };
    if pidfd < 0 {
        // a kernel that does not know the flag ignores it: such a child could not be followed
        rustix::process::kill_process(pid, Signal::KILL).ok();
        rustix::process::waitpid(Some(pid), WaitOptions::empty()).ok();
        return Err(failed(io::Error::from_raw_os_error(libc::ENOSYS)));
    }
    // SAFETY: the clone succeeded, so the kernel has just opened this descriptor for us and nobody else
    // knows it.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let child = Child::new(pid, pidfd);
    restored.map_err(failed)?;
    Ok(child)
}

/// The kernel's set of signals: one bit each.
type SignalMask = u64;
/// The kernel's `struct sigaction`: at most four words, all zero for the default action.
const DEFAULT_ACTION: [usize; 4] = [0; 4];

/// Sets the calling thread's signal mask and returns the one before.
fn swap_signal_mask(mask: SignalMask) -> io::Result<SignalMask> {
    let mut before: SignalMask = 0;
    // SAFETY: both pointers are to live integers of the size given. The system call is made directly
    // because libc leaves the two signals unblocked that it uses among its own threads.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            mem::size_of::<SignalMask>(),
        )
    };
    if result == 0 { Ok(before) } else { Err(io::Error::last_os_error()) }
}

/// The child's life before its program: becomes the program, or says why not.
///
/// From here on, only async-signal-safe calls: other threads may hold any lock of the memory that is
/// shared. Nothing here allocates or panics.
extern "C" fn child_main(orders: *mut c_void) -> c_int {
    // SAFETY: `start` passes a pointer to its `orders`, which it keeps alive and leaves alone until we are
    // gone.
    let orders = unsafe { &*orders.cast::<Orders>() };
    // SAFETY: we are the child that `start` made, and `orders` are those of a live `Spawn`.
    let Err(failure) = unsafe { become_program(orders) };
    orders.failure.set(Some(failure));
    // SAFETY: _exit runs none of the handlers of the process whose memory we share.
    unsafe { libc::_exit(127) }
}

/// # Safety
/// To be called in the child only; the pointers of `orders` must be valid for `chdir` and `execve`.
unsafe fn become_program(orders: &Orders) -> Result<Infallible, Failure> {
    // SAFETY: a system call without pointers.
    checked(Step::SetUp, unsafe { libc::setpgid(0, 0) })?;
    // SAFETY: a system call without pointers.
    checked(Step::SetUp, unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })?;
    // a parent that died before the line above sends no signal any more
    if rustix::process::getppid() != Some(orders.parent) {
        return Err(Failure { step: Step::SetUp, errno: libc::ESRCH });
    }
    connect(orders.streams)?;
    reset_signal_actions(orders.signals);
    // after the handlers are gone: what was sent to the group in the meantime now ends the child
    if let Err(error) = swap_signal_mask(0) {
        return Err(Failure { step: Step::SetUp, errno: error.raw_os_error().unwrap_or(libc::EINVAL) });
    }
    if !orders.working_directory.is_null() {
        // SAFETY: by contract a valid C string.
        checked(Step::WorkingDirectory, unsafe { libc::chdir(orders.working_directory) })?;
    }
    // SAFETY: by contract a valid C string and two null-terminated arrays of such.
    let result = unsafe { libc::execve(orders.program, orders.argv, orders.environment) };
    checked(Step::Execute, result)?;
    Err(Failure { step: Step::Execute, errno: libc::EINVAL })
}

/// Turns a call's -1 into the failure of a step.
fn checked(step: Step, result: c_int) -> Result<c_int, Failure> {
    if result == -1 {
        let errno = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL);
        return Err(Failure { step, errno });
    }
    Ok(result)
}

/// Makes `streams` the descriptors 0, 1 and 2, and marks every other one to be closed by the kernel at exec.
fn connect(mut streams: [RawFd; 3]) -> Result<(), Failure> {
    for stream in &mut streams {
        // one that stands where it or another must go would be overwritten, or keep its close-on-exec mark
        if *stream <= libc::STDERR_FILENO {
            // SAFETY: a system call without pointers; the descriptor table is the child's own.
            let moved = unsafe { libc::fcntl(*stream, libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1) };
            *stream = checked(Step::SetUp, moved)?;
        }
    }
    for (stream, target) in streams.into_iter().zip(libc::STDIN_FILENO..) {
        // SAFETY: as above.
        checked(Step::SetUp, unsafe { libc::dup2(stream, target) })?;
    }
    // Before Linux 5.11 this fails and the descriptors' own marks decide.
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Ok(())
}

/// Gives these signals their default action; the table of actions is the child's own.
fn reset_signal_actions(mut signals: SignalMask) {
    while signals != 0 {
        let signal = signals.trailing_zeros().wrapping_add(1);
        // SAFETY: reads the live array given, which stands for the default action.
        unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT_ACTION.as_ptr(),
                ptr::null_mut::<usize>(),
                mem::size_of::<SignalMask>(),
            )
        };
        // clears the lowest bit
        signals &= signals.wrapping_sub(1);
    }
}

/// Returns the signals that this process handles or ignores, as found at the first call.
///
/// Asking for each at every spawn would cost as much as all else that is done here. A handler of ours that
/// is installed later is reset by exec anyway; should it run in the child before that, it runs as if it had
/// interrupted the suspended thread, whose memory and thread-locals it sees.
fn changed_signals() -> SignalMask {
    static CHANGED: OnceLock<SignalMask> = OnceLock::new();
    *CHANGED.get_or_init(|| {
        let is_changed = |signal: &u32| {
            let mut current = DEFAULT_ACTION;
            // By system call, because libc hides the signals that it uses among its own threads, and
            // whoever started this process may have left them ignored: glibc's `posix_spawn` does so.
            // SAFETY: asks only; the kernel writes at most the live array.
            unsafe {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    *signal,
                    ptr::null::<usize>(),
                    current.as_mut_ptr(),
                    mem::size_of::<SignalMask>(),
                )
            };
            current != DEFAULT_ACTION
        };
        (1..=SignalMask::BITS).filter(is_changed).fold(0, |changed, signal| changed | (1 << (signal - 1)))
    })
}

#[cfg(test)]
mod tests;
