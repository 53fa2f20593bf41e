//! System calls for a child that shares its parent's memory: without libc's thread-locals.
//!
//! libc stores an error in `errno`, which belongs to the spawning thread, and that thread continues. So the
//! child calls the kernel directly on known architectures; on others its parent waits for it ([`WAITING`]).

use std::ffi::{c_int, c_long};
use std::mem;

use rustix::io::Errno;

/// The kernel's signal set: one bit per signal.
pub(super) type SignalMask = u64;

/// The kernel's `struct sigaction`: at most four words, all zero for the default action.
static DEFAULT_ACTION: [usize; 4] = [0; 4];

/// Additional `clone` flag: suspends the parent where the child cannot avoid libc.
///
/// musl's `clone` rejects shared memory without this flag.
pub(super) const WAITING: c_int =
    if cfg!(all(target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64"))) {
        0
    } else {
        libc::CLONE_VFORK
    };

/// Makes a system call.
///
/// # Safety
/// As for the system call itself.
#[cfg(target_arch = "x86_64")]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 4]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the kernel changes the named registers only, and memory that the caller vouches for.
    unsafe {
        std::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") arguments[0], in("rsi") arguments[1], in("rdx") arguments[2], in("r10") arguments[3],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    answer(result)
}

/// Makes a system call.
///
/// # Safety
/// As for the system call itself.
#[cfg(target_arch = "aarch64")]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 4]) -> Result<usize, Errno> {
    let result: isize;
    // SAFETY: the kernel changes the named register only, and memory that the caller vouches for.
    unsafe {
        std::arch::asm!(
            "svc 0",
            in("x8") number,
            inlateout("x0") arguments[0] => result,
            in("x1") arguments[1], in("x2") arguments[2], in("x3") arguments[3],
            options(nostack),
        );
    }
    answer(result)
}

/// Makes a system call.
///
/// # Safety
/// As for the system call itself.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) unsafe fn call(number: c_long, arguments: [usize; 4]) -> Result<usize, Errno> {
    // SAFETY: by contract.
    let result =
        unsafe { libc::syscall(number, arguments[0], arguments[1], arguments[2], arguments[3]) } as isize;
    if result != -1 {
        return answer(result);
    }
    Err(super::errno_of(&std::io::Error::last_os_error()))
}

/// The kernel returns an error as its negated number.
fn answer(result: isize) -> Result<usize, Errno> {
    const GREATEST_ERRNO: isize = 4095;
    if (-GREATEST_ERRNO..0).contains(&result) {
        // within the range just checked
        return Err(Errno::from_raw_os_error(result.wrapping_neg() as i32));
    }
    Ok(result.cast_unsigned())
}

/// Sets the calling thread's signal mask and returns the previous one.
///
/// Not through libc, which leaves the two signals of its own threads unblocked.
pub(super) fn swap_signal_mask(mask: SignalMask) -> Result<SignalMask, Errno> {
    let mut before: SignalMask = 0;
    let arguments = [
        libc::SIG_SETMASK as usize,
        (&raw const mask).expose_provenance(),
        (&raw mut before).expose_provenance(),
        mem::size_of::<SignalMask>(),
    ];
    // SAFETY: both addresses are those of live integers of this size.
    unsafe { call(libc::SYS_rt_sigprocmask, arguments) }?;
    Ok(before)
}

/// Resets a signal to its default action, in this process's own table.
pub(super) fn reset_action(signal: u32) {
    let arguments =
        [signal as usize, (&raw const DEFAULT_ACTION).expose_provenance(), 0, mem::size_of::<SignalMask>()];
    // SAFETY: reads the live array, which means the default action. The call fails for a number that is no
    // signal or cannot be reset, which needs no handling.
    unsafe { call(libc::SYS_rt_sigaction, arguments) }.ok();
}

/// Whether this process neither handles nor ignores a signal.
///
/// Not through libc, which hides the signals of its own threads. The parent of this process may have left them
/// ignored: glibc's `posix_spawn` does so.
pub(super) fn has_default_action(signal: u32) -> bool {
    let mut current = [0_usize; 4];
    let arguments =
        [signal as usize, 0, (&raw mut current).expose_provenance(), mem::size_of::<SignalMask>()];
    // SAFETY: a query; the kernel writes at most the live array.
    unsafe { call(libc::SYS_rt_sigaction, arguments) }.ok();
    current == [0; 4]
}
