//! The stack that a child runs on until it becomes its program.

use std::cell::RefCell;
use std::ffi::c_void;
use std::io;
use std::ptr::{self, NonNull};

use super::{SpawnError, Step};

/// A child's stack until it becomes its program: mapped, with an inaccessible stretch below.
pub(super) struct Stack {
    lowest: NonNull<c_void>,
}

impl Stack {
    /// What the child's few calls need, many times over.
    const USABLE: usize = 64 * 1024;
    /// At least one page on every architecture.
    const GUARD: usize = 64 * 1024;

    fn map() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a fresh mapping wherever the kernel likes.
        let lowest =
            unsafe { libc::mmap(ptr::null_mut(), Self::GUARD + Self::USABLE, libc::PROT_NONE, flags, -1, 0) };
        if lowest == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { lowest: NonNull::new(lowest).ok_or(io::ErrorKind::OutOfMemory)? };
        // SAFETY: GUARD and USABLE together are the length of the mapping, and GUARD is a multiple of the
        // page size.
        let result = unsafe {
            libc::mprotect(lowest.byte_add(Self::GUARD), Self::USABLE, libc::PROT_READ | libc::PROT_WRITE)
        };
        if result == 0 { Ok(stack) } else { Err(io::Error::last_os_error()) }
    }

    /// Returns where the stack begins: it grows downwards.
    pub(super) fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.lowest.as_ptr().byte_add(Self::GUARD + Self::USABLE) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and nobody runs on it: children have left it when `start` returns.
        unsafe { libc::munmap(self.lowest.as_ptr(), Self::GUARD + Self::USABLE) };
    }
}

/// Lends this thread's stack, mapped at the first call and reused ever after.
pub(super) fn with_stack<T>(action: impl FnOnce(&Stack) -> Result<T, SpawnError>) -> Result<T, SpawnError> {
    thread_local! {
        static STACK: RefCell<Option<Stack>> = const { RefCell::new(None) };
    }
    let failed = |source| SpawnError { step: Step::Prepare, source };
    let busy = || failed(io::Error::from_raw_os_error(libc::EBUSY));
    STACK
        .try_with(|slot| {
            let mut slot = slot.try_borrow_mut().map_err(|_| busy())?;
            let stack = match &mut *slot {
                Some(stack) => stack,
                empty => empty.insert(Stack::map().map_err(failed)?),
            };
            action(stack)
        })
        .map_err(|_| busy())?
}
