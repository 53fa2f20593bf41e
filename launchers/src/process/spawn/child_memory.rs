//! The memory that a child uses until it executes its program: its setup and a stack.

use std::cell::RefCell;
use std::ffi::c_void;
use std::fmt;
use std::io;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::io::Errno;

use super::child_setup::ChildSetup;
use super::{SpawnError, errno_of};

/// Number of stacks that a thread reuses for its next children.
const KEPT: usize = 16;

thread_local! {
    static STACKS: RefCell<Vec<Stack>> = const { RefCell::new(Vec::new()) };
}

/// The start memory of one child.
///
/// *Guarantee.* Nothing of it is freed or reused while the child runs in our memory. If this is dropped before
/// the child has left, the memory is leaked.
pub(super) struct ChildMemory {
    /// From a box. Not a box, since the child uses its own pointer to the same place.
    inner: NonNull<Inner>,
}

struct Inner {
    /// Not zero while a child runs in our memory: the kernel clears it when the child leaves.
    in_use: AtomicU32,
    setup: ChildSetup,
    stack: Stack,
}

impl ChildMemory {
    pub(super) fn new(setup: ChildSetup) -> Result<Self, Errno> {
        let kept = STACKS.try_with(|stacks| stacks.try_borrow_mut().ok()?.pop()).ok().flatten();
        let stack = kept.map_or_else(Stack::map, Ok)?;
        let inner = Box::new(Inner { in_use: AtomicU32::new(0), setup, stack });
        Ok(Self { inner: NonNull::from(Box::leak(inner)) })
    }

    fn in_use(&self) -> &AtomicU32 {
        // SAFETY: the target lives as long as `self`; the child and the kernel access this field atomically.
        unsafe { &(*self.inner.as_ptr()).in_use }
    }

    /// Marks the memory as in use. Call it right before the clone.
    pub(super) fn begin(&self) {
        self.in_use().store(1, Ordering::Release);
    }

    /// Marks the memory as free again. Call it when the clone failed.
    pub(super) fn end(&self) {
        self.in_use().store(0, Ordering::Release);
    }

    /// Whether the child may still run in our memory.
    pub(super) fn is_in_use(&self) -> bool {
        self.in_use().load(Ordering::Acquire) != 0
    }

    /// Why the child could not execute its program, once it has left.
    pub(super) fn failure(&self) -> Option<SpawnError> {
        if self.is_in_use() {
            return None;
        }
        // SAFETY: it lives as long as `self`, and the child, having left, writes no more.
        unsafe { (*self.setup()).failure() }
    }

    /// The word that the kernel clears when the child leaves.
    pub(super) fn word(&self) -> *mut u32 {
        self.in_use().as_ptr()
    }

    pub(super) fn setup(&self) -> *const ChildSetup {
        // SAFETY: it lives as long as `self`.
        unsafe { &raw const (*self.inner.as_ptr()).setup }
    }

    pub(super) fn stack_top(&self) -> *mut c_void {
        // SAFETY: it lives as long as `self` and never changes.
        unsafe { (*self.inner.as_ptr()).stack.top() }
    }
}

impl Drop for ChildMemory {
    fn drop(&mut self) {
        if self.is_in_use() {
            return;
        }
        // SAFETY: made from a box, not used after this, and the child has left.
        let inner = unsafe { Box::from_raw(self.inner.as_ptr()) };
        let Inner { stack, .. } = *inner;
        // a thread that is ending keeps no stack
        let _kept = STACKS.try_with(|stacks| {
            if let Ok(mut stacks) = stacks.try_borrow_mut()
                && stacks.len() < KEPT
            {
                stacks.push(stack);
            }
        });
    }
}

// SAFETY: the pointers of the setup lead to memory that it owns and that is only read. The child writes the
// failure before it leaves; it is read only after the word says that it has left.
unsafe impl Send for ChildMemory {}
// SAFETY: as above; only the word can change through a shared reference, and it is atomic.
unsafe impl Sync for ChildMemory {}

impl fmt::Debug for ChildMemory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // the setup may hold secrets
        formatter.debug_struct("ChildMemory").field("in_use", &self.is_in_use()).finish_non_exhaustive()
    }
}

/// A child's stack until `execve`: mapped, with an inaccessible guard area below.
struct Stack {
    lowest: NonNull<c_void>,
}

impl Stack {
    /// Far more than the child's few calls need.
    const USABLE: usize = 64 * 1024;
    /// At least one page on every architecture.
    const GUARD: usize = 64 * 1024;

    fn map() -> Result<Self, Errno> {
        let failed = || errno_of(&io::Error::last_os_error());
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a new mapping at an address that the kernel chooses.
        let lowest =
            unsafe { libc::mmap(ptr::null_mut(), Self::GUARD + Self::USABLE, libc::PROT_NONE, flags, -1, 0) };
        if lowest == libc::MAP_FAILED {
            return Err(failed());
        }
        let stack = Self { lowest: NonNull::new(lowest).ok_or(Errno::NOMEM)? };
        // SAFETY: GUARD and USABLE together are the length of the mapping, and GUARD is a multiple of the page
        // size.
        let result = unsafe {
            libc::mprotect(lowest.byte_add(Self::GUARD), Self::USABLE, libc::PROT_READ | libc::PROT_WRITE)
        };
        if result == 0 { Ok(stack) } else { Err(failed()) }
    }

    /// Returns the top of the stack, which grows downwards.
    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.lowest.as_ptr().byte_add(Self::GUARD + Self::USABLE) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no child runs on it: `ChildMemory` drops it when its child has left.
        unsafe { libc::munmap(self.lowest.as_ptr(), Self::GUARD + Self::USABLE) };
    }
}
