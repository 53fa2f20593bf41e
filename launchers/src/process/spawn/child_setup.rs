//! The child from `clone` to `execve`.
//!
//! All of it runs in memory shared with the parent, which continues meanwhile: no thread-local, no allocation,
//! no lock, no panic, and system calls without libc.

use std::cell::Cell;
use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_void};
use std::os::fd::RawFd;
use std::ptr;

use rustix::process::Pid;
use rustix::thread::CpuSet;

use super::kernel::{self, SignalMask};
use super::{Environment, Spawn, SpawnError, Step};

/// In the list of streams: there is no such descriptor.
pub(super) const NO_DESCRIPTOR: RawFd = -1;

/// The child's instructions in shared memory, and the place where it stores the reason of a failure.
pub(super) struct ChildSetup {
    program: CString,
    argv: Box<[*const c_char]>,
    environment: Box<[*const c_char]>,
    /// Null: stay in the parent's directory.
    working_directory: *const c_char,
    /// The descriptors that become 0, 1, 2 and 3; the last one may be [`NO_DESCRIPTOR`].
    streams: [RawFd; 4],
    /// Signals whose action is not the default.
    signals: SignalMask,
    processors: Option<&'static CpuSet>,
    parent: Pid,
    failure: Cell<Option<SpawnError>>,
    /// Owns the texts that the pointers above point to; moving an owner does not move its text.
    _texts: (Vec<CString>, Environment, Option<CString>),
}

impl ChildSetup {
    pub(super) fn new(order: Spawn<'_>, streams: [RawFd; 4], signals: SignalMask) -> Self {
        let Spawn { program, argv, environment, working_directory, processors, .. } = order;
        Self {
            program,
            argv: null_terminated(argv.iter().map(CString::as_c_str)),
            environment: null_terminated(environment.entries()),
            working_directory: working_directory.as_ref().map_or(ptr::null(), |folder| folder.as_ptr()),
            streams,
            signals,
            processors,
            parent: rustix::process::getpid(),
            failure: Cell::new(None),
            _texts: (argv, environment, working_directory),
        }
    }

    /// Why the child could not execute its program. Call it only after the child has left our memory.
    pub(super) fn failure(&self) -> Option<SpawnError> {
        self.failure.get()
    }
}

fn null_terminated<'a>(texts: impl ExactSizeIterator<Item = &'a CStr>) -> Box<[*const c_char]> {
    let mut pointers = Vec::with_capacity(texts.len().saturating_add(1));
    pointers.extend(texts.map(CStr::as_ptr));
    pointers.push(ptr::null());
    pointers.into_boxed_slice()
}

/// Executes the program, or stores the reason of the failure.
pub(super) extern "C" fn child_main(setup: *mut c_void) -> c_int {
    // SAFETY: the parent keeps the structure alive and unchanged until the child has left.
    let setup = unsafe { &*setup.cast::<ChildSetup>() };
    // SAFETY: this is the child that was cloned for this structure.
    let Err(failure) = unsafe { become_program(setup) };
    setup.failure.set(Some(failure));
    // SAFETY: ends this process alone, without the exit handlers of the parent.
    unsafe { kernel::call(libc::SYS_exit_group, [127, 0, 0, 0]) }.ok();
    127
}

/// # Safety
/// Call it in the child only.
unsafe fn become_program(setup: &ChildSetup) -> Result<Infallible, SpawnError> {
    // a new session has no terminal until its leader opens one
    set_up(libc::SYS_setsid, [0; 4])?;
    set_up(libc::SYS_prctl, [libc::PR_SET_PDEATHSIG as usize, libc::SIGKILL as usize, 0, 0])?;
    // if the parent died before the line above, its death signal never comes
    if set_up(libc::SYS_getppid, [0; 4])? != setup.parent.as_raw_nonzero().get() as usize {
        return Err(SpawnError { step: Step::SetUp, source: rustix::io::Errno::SRCH });
    }
    connect(setup.streams)?;
    reset_signal_actions(setup.signals);
    // only now, with all handlers reset: a signal to the group that came meanwhile ends the child
    kernel::swap_signal_mask(0).map_err(|source| SpawnError { step: Step::SetUp, source })?;
    if !setup.working_directory.is_null() {
        // SAFETY: a C string that the structure owns.
        unsafe { kernel::call(libc::SYS_chdir, [setup.working_directory.expose_provenance(), 0, 0, 0]) }
            .map_err(|source| SpawnError { step: Step::WorkingDirectory, source })?;
    }
    if let Some(processors) = setup.processors {
        let set = [0, size_of_val(processors), ptr::from_ref(processors).expose_provenance(), 0];
        // SAFETY: the kernel's set of bits of this size, which it reads and which lives as long as this program.
        unsafe { kernel::call(libc::SYS_sched_setaffinity, set) }
            .map_err(|source| SpawnError { step: Step::SetUp, source })?;
    }
    let arguments = [
        setup.program.as_ptr().expose_provenance(),
        setup.argv.as_ptr().expose_provenance(),
        setup.environment.as_ptr().expose_provenance(),
        0,
    ];
    // SAFETY: a C string and two null-terminated arrays of such, all owned by the structure.
    let executed = unsafe { kernel::call(libc::SYS_execve, arguments) };
    let source = executed.err().unwrap_or(rustix::io::Errno::INVAL);
    Err(SpawnError { step: Step::Execute, source })
}

/// A system call without pointers, on the child's own identity and descriptors.
fn set_up(number: c_long, arguments: [usize; 4]) -> Result<usize, SpawnError> {
    // SAFETY: only called with system calls that take no pointer and change this process alone.
    unsafe { kernel::call(number, arguments) }.map_err(|source| SpawnError { step: Step::SetUp, source })
}

/// Makes `streams` the descriptors from 0 on, and marks all others close-on-exec.
fn connect(streams: [RawFd; 4]) -> Result<(), SpawnError> {
    const FREE: RawFd = 4;
    let mut free_of_targets = [0; 4];
    for (stream, moved) in streams.into_iter().zip(&mut free_of_targets) {
        // a descriptor within the targets would be overwritten, or keep its close-on-exec mark
        *moved = if (0..FREE).contains(&stream) {
            set_up(libc::SYS_fcntl, [stream as usize, libc::F_DUPFD_CLOEXEC as usize, FREE as usize, 0])?
        } else {
            stream as usize
        };
    }
    let has_socket = streams[3] != NO_DESCRIPTOR;
    let used = if has_socket { FREE as usize } else { FREE as usize - 1 };
    for (target, stream) in free_of_targets.into_iter().enumerate().take(used) {
        set_up(libc::SYS_dup3, [stream, target, 0, 0])?;
    }
    // before Linux 5.11 this fails, and the descriptors' own close-on-exec marks decide
    set_up(libc::SYS_close_range, [used, libc::c_uint::MAX as usize, libc::CLOSE_RANGE_CLOEXEC as usize, 0])
        .ok();
    Ok(())
}

/// Resets these signals to their default action, in the child's own table.
fn reset_signal_actions(mut signals: SignalMask) {
    while signals != 0 {
        kernel::reset_action(signals.trailing_zeros().wrapping_add(1));
        // clears the lowest bit
        signals &= signals.wrapping_sub(1);
    }
}
