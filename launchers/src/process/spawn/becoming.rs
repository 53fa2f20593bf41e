//! The child's life before its program.
//!
//! All of it runs in memory that is shared with the parent, which goes on meanwhile: no thread-local, no allocation,
//! no lock, no panic, and the kernel is called without libc.

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::os::fd::RawFd;
use std::ptr;

use rustix::process::Pid;

use super::kernel::{self, SignalMask};
use super::{Environment, Spawn, SpawnError, Step};

/// What the child finds in the memory that it shares with us, and where it leaves the reason of its failure.
pub(super) struct Orders {
    program: CString,
    argv: Box<[*const c_char]>,
    environment: Box<[*const c_char]>,
    /// Null to stay.
    working_directory: *const c_char,
    /// What becomes descriptors 0, 1 and 2.
    streams: [RawFd; 3],
    /// Those whose action is not the default.
    signals: SignalMask,
    parent: Pid,
    failure: Cell<Option<SpawnError>>,
    /// What the pointers above lead to; a text stays where it is when its owner moves.
    _texts: (Vec<CString>, Environment, Option<CString>),
}

impl Orders {
    pub(super) fn new(order: Spawn<'_>, streams: [RawFd; 3], signals: SignalMask) -> Self {
        let Spawn { program, argv, environment, working_directory, .. } = order;
        Self {
            program,
            argv: null_terminated(argv.len(), argv.iter().map(CString::as_c_str)),
            environment: null_terminated(environment.capacity(), environment.entries()),
            working_directory: working_directory.as_ref().map_or(ptr::null(), |folder| folder.as_ptr()),
            streams,
            signals,
            parent: rustix::process::getpid(),
            failure: Cell::new(None),
            _texts: (argv, environment, working_directory),
        }
    }

    /// Why the child could not become its program. To be asked when it has left our memory.
    pub(super) fn failure(&self) -> Option<SpawnError> {
        self.failure.get()
    }
}

fn null_terminated<'a>(capacity: usize, texts: impl Iterator<Item = &'a CStr>) -> Box<[*const c_char]> {
    let mut pointers = Vec::with_capacity(capacity.saturating_add(1));
    pointers.extend(texts.map(CStr::as_ptr));
    pointers.push(ptr::null());
    pointers.into_boxed_slice()
}

/// Becomes the program, or says why not.
pub(super) extern "C" fn child_main(orders: *mut c_void) -> c_int {
    // SAFETY: the parent passes a pointer to orders that it keeps alive and leaves alone until we are gone.
    let orders = unsafe { &*orders.cast::<Orders>() };
    // SAFETY: we are the child that was cloned for these orders.
    let Err(failure) = unsafe { become_program(orders) };
    orders.failure.set(Some(failure));
    // SAFETY: ends this process alone and runs none of the handlers of the one whose memory we share.
    unsafe { kernel::call(libc::SYS_exit_group, [127, 0, 0, 0]) }.ok();
    127
}

/// # Safety
/// To be called in the child only.
unsafe fn become_program(orders: &Orders) -> Result<Infallible, SpawnError> {
    // a session has a terminal only if its leader opens one; ours begins without
    set_up(libc::SYS_setsid, [0; 4])?;
    set_up(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0])?;
    // a parent that died before the line above sends no signal any more
    if set_up(libc::SYS_getppid, [0; 4])? != orders.parent.as_raw_nonzero().get() as usize {
        return Err(SpawnError { step: Step::SetUp, source: rustix::io::Errno::SRCH });
    }
    connect(orders.streams)?;
    reset_signal_actions(orders.signals);
    // after the handlers are gone: what was sent to the group in the meantime now ends the child
    kernel::swap_signal_mask(0).map_err(|source| SpawnError { step: Step::SetUp, source })?;
    if !orders.working_directory.is_null() {
        // SAFETY: a C string that the orders own.
        unsafe { kernel::call(libc::SYS_chdir, [orders.working_directory.expose_provenance(), 0, 0, 0]) }
            .map_err(|source| SpawnError { step: Step::WorkingDirectory, source })?;
    }
    let arguments = [
        orders.program.as_ptr().expose_provenance(),
        orders.argv.as_ptr().expose_provenance(),
        orders.environment.as_ptr().expose_provenance(),
        0,
    ];
    // SAFETY: a C string and two null-terminated arrays of such, all owned by the orders.
    let executed = unsafe { kernel::call(libc::SYS_execve, arguments) };
    let source = executed.err().unwrap_or(rustix::io::Errno::INVAL);
    Err(SpawnError { step: Step::Execute, source })
}

/// A system call without pointers, on the child's own identity and descriptors.
fn set_up(number: c_long, arguments: [usize; 4]) -> Result<usize, SpawnError> {
    // SAFETY: only called with numbers of calls that take no pointer and change this process alone.
    unsafe { kernel::call(number, arguments) }.map_err(|source| SpawnError { step: Step::SetUp, source })
}

/// Makes `streams` the descriptors 0, 1 and 2, and marks every other one to be closed by the kernel at exec.
fn connect(streams: [RawFd; 3]) -> Result<(), SpawnError> {
    const FREE: usize = libc::STDERR_FILENO as usize + 1;
    let mut free_of_targets = [0; 3];
    for (stream, moved) in streams.into_iter().zip(&mut free_of_targets) {
        // one that stands where it or another must go would be overwritten, or keep its close-on-exec mark
        *moved = if stream <= libc::STDERR_FILENO {
            set_up(libc::SYS_fcntl, [stream as usize, libc::F_DUPFD_CLOEXEC as usize, FREE, 0])?
        } else {
            stream as usize
        };
    }
    for (target, stream) in free_of_targets.into_iter().enumerate() {
        set_up(libc::SYS_dup3, [stream, target, 0, 0])?;
    }
    // Before Linux 5.11 this fails and the descriptors' own marks decide.
    set_up(libc::SYS_close_range, [FREE, libc::c_uint::MAX as usize, libc::CLOSE_RANGE_CLOEXEC as usize, 0])
        .ok();
    Ok(())
}

/// Gives these signals their default action; the table of actions is the child's own.
fn reset_signal_actions(mut signals: SignalMask) {
    while signals != 0 {
        kernel::reset_action(signals.trailing_zeros().wrapping_add(1));
        // clears the lowest bit
        signals &= signals.wrapping_sub(1);
    }
}
