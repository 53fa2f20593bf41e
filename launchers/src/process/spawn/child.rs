//! A started program and its end.

use std::ffi::c_int;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, pidfd_send_signal};

use super::SpawnError;
use super::child_memory::ChildMemory;

/// A started program.
///
/// The pidfd becomes readable when the program ends; [`try_wait`](Self::try_wait) then collects it. A child
/// dropped before that is killed with its group, and remains a zombie if it does not die at once. One task
/// should both signal and collect: a signal that races with the collection may reach another process with the
/// same pid.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    pidfd: OwnedFd,
    /// Whether the kernel may have reused the pid.
    collected: AtomicBool,
    /// Memory that the child uses until it executes its program.
    memory: Mutex<Option<ChildMemory>>,
}

/// The end of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChildEnd {
    /// How it ended, or why the program was never executed.
    pub exit: Result<Exit, SpawnError>,
    /// Resources used by the program and by those of its children that it waited for.
    pub usage: Usage,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal.
    Signal {
        /// The signal's number.
        number: i32,
        /// Whether the kernel wrote a core file.
        core_dumped: bool,
    },
}

/// Resources used by a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Processor time in user mode.
    pub user: Duration,
    /// Processor time in the kernel, including the start.
    pub system: Duration,
    /// Blocks of 512 bytes read from devices.
    pub blocks_read: u64,
    /// Blocks of 512 bytes written, also those that the kernel still holds.
    pub blocks_written: u64,
    /// Page faults that read from a device.
    pub major_faults: u64,
    /// Involuntary context switches.
    pub preempted: u64,
    peak_kib: i64,
}

impl Usage {
    /// Returns the peak resident memory in KiB, if it can be distinguished from that of this process.
    ///
    /// The child shares our memory until `execve`, so the kernel never reports less than our own peak. A figure
    /// that is not above our peak says nothing about the child.
    pub fn peak_memory_kib(&self) -> Option<u64> {
        /// The last known peak of this process. A peak never falls, so a child below it is below today's, too.
        static OWN: AtomicI64 = AtomicI64::new(0);
        let is_above = |own: i64| self.peak_kib > own;
        if !is_above(OWN.load(Ordering::Relaxed)) {
            return None;
        }
        let own = own_peak_kib();
        OWN.fetch_max(own, Ordering::Relaxed);
        if is_above(own) { u64::try_from(self.peak_kib).ok() } else { None }
    }
}

/// The peak resident memory of this process in KiB.
fn own_peak_kib() -> i64 {
    let mut own = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a live rusage, the only memory that the call writes to.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, own.as_mut_ptr()) };
    // SAFETY: rusage is integers only, for which zero is valid, so it is initialised even on failure.
    unsafe { own.assume_init() }.ru_maxrss
}

impl Child {
    pub(super) fn new(pid: Pid, pidfd: OwnedFd, memory: ChildMemory) -> Self {
        Self { pid, pidfd, collected: AtomicBool::new(false), memory: Mutex::new(Some(memory)) }
    }

    /// Returns the pid, which is also the number of its group and session.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Frees the child's start memory if it has executed its program: for a child that runs long.
    pub fn take_back(&self) {
        let mut memory = self.memory();
        if memory.as_ref().is_some_and(|memory| !memory.is_in_use() && memory.failure().is_none()) {
            *memory = None;
        }
    }

    fn memory(&self) -> MutexGuard<'_, Option<ChildMemory>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects the end if it has come. Every later call fails with `ECHILD`.
    pub fn try_wait(&self) -> io::Result<Option<ChildEnd>> {
        self.collect(libc::WNOHANG)
    }

    /// Blocks the thread until the end has come, and collects it.
    pub fn wait(&self) -> io::Result<ChildEnd> {
        loop {
            match self.collect(0) {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Signals every process of the child's group.
    ///
    /// Allowed until the end is collected. Between the end of the program and the collection, this kills the processes
    /// that the program left running. Afterwards the number may be reused, so the call fails with `ESRCH`. Fails with
    /// `EPERM` if the kernel denies the signal for all processes.
    pub fn signal_group(&self, signal: Signal) -> io::Result<()> {
        if self.collected.load(Ordering::Acquire) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        match kill_process_group(self.pid, signal) {
            // its session does not exist yet, so it has started nothing: the signal stays pending until it is
            // unblocked
            Err(Errno::SRCH) => self.signal(signal),
            result => Ok(result?),
        }
    }

    /// Signals the child alone. The pidfd always means this process.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, signal)?)
    }

    /// Whether the program has ended. Its end may be collected already.
    pub fn has_ended(&self) -> bool {
        self.ends_within(Duration::ZERO)
    }

    /// Blocks the thread until the program has ended, at most for this time. Whether it has ended. A signal that this
    /// thread handles ends the wait early.
    pub fn ends_within(&self, time: Duration) -> bool {
        let mut watched = [PollFd::new(&self.pidfd, PollFlags::IN)];
        // longer than any wait of the caller's
        let time = Timespec::try_from(time).unwrap_or(Timespec { tv_sec: i64::MAX, tv_nsec: 0 });
        rustix::event::poll(&mut watched, Some(&time)) == Ok(1)
    }

    /// Whether the end is collected, so the pid may be that of another process.
    pub fn is_collected(&self) -> bool {
        self.collected.load(Ordering::Acquire)
    }

    fn collect(&self, options: c_int) -> io::Result<Option<ChildEnd>> {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        // SAFETY: both pointers are to live structures of the kernel's layout, the only memory that the call
        // writes to. libc's own waitid does not pass on the fifth argument.
        let result = unsafe {
            libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                self.pidfd.as_raw_fd(),
                info.as_mut_ptr(),
                libc::WEXITED | options,
                usage.as_mut_ptr(),
            )
        };
        if result == -1 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() == Some(libc::ECHILD) {
                self.collected.store(true, Ordering::Release);
            }
            return Err(error);
        }
        // SAFETY: both structures were zeroed, which is valid for them, and at most overwritten by the kernel.
        let (info, usage) = unsafe { (info.assume_init(), usage.assume_init()) };
        // SAFETY: waitid fills the SIGCHLD part of the union, or leaves it zeroed if no child has ended.
        let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
        if pid == 0 {
            return Ok(None);
        }
        self.collected.store(true, Ordering::Release);
        let exit = match info.si_code {
            libc::CLD_EXITED => Exit::Code(status),
            code => Exit::Signal { number: status, core_dumped: code == libc::CLD_DUMPED },
        };
        let exit = self.memory().as_ref().and_then(ChildMemory::failure).map_or(Ok(exit), Err);
        let usage = Usage {
            user: duration(usage.ru_utime),
            system: duration(usage.ru_stime),
            blocks_read: count(usage.ru_inblock),
            blocks_written: count(usage.ru_oublock),
            major_faults: count(usage.ru_majflt),
            preempted: count(usage.ru_nivcsw),
            peak_kib: usage.ru_maxrss,
        };
        Ok(Some(ChildEnd { exit, usage }))
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl AsRawFd for Child {
    fn as_raw_fd(&self) -> RawFd {
        self.pidfd.as_raw_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !*self.collected.get_mut() {
            // both can fail only if there is no process left to kill or collect
            self.signal_group(Signal::KILL).ok();
            self.try_wait().ok();
        }
    }
}

/// A count of the kernel, which is never negative.
fn count(number: libc::c_long) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

fn duration(time: libc::timeval) -> Duration {
    // neither is ever negative
    Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
}
