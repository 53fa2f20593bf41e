//! The short lock of a delay or version. A process holds it while it reads and replaces the file, for microseconds.

use super::{Host, HostError, at, open};
use crate::locked_file::LockedFile;
use crate::process_stat::ProcessStat;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The right to read and replace one shared file, until this value is dropped or the process ends.
#[derive(Debug)]
pub struct ShortLock {
    /// The file that may be read and replaced.
    pub(super) path: PathBuf,
    _guard: LockedFile,
}

/// A short lock that another process holds.
#[derive(Debug)]
pub struct LockWait {
    path: PathBuf,
    guard: File,
}

/// Kind of a shared file that has a short lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    /// The time of the last start of operations that share a delay.
    Delay,
    /// The version of a key.
    Version,
}

impl Shared {
    fn folder(self) -> &'static str {
        match self {
            Self::Delay => "delays",
            Self::Version => "versions",
        }
    }
}

impl Host {
    /// The file that holds the shared state of `name`.
    pub(super) fn shared_file(&self, kind: Shared, name: &str) -> PathBuf {
        self.file(kind.folder(), name)
    }

    /// Takes the short lock of `name` if no other process holds it.
    pub(crate) fn try_short_lock(
        &self,
        kind: Shared,
        name: &str,
    ) -> Result<Result<ShortLock, LockWait>, HostError> {
        let path = self.shared_file(kind, name);
        let guard_path = guard_path(&path);
        let locked = LockedFile::try_lock(open(&guard_path)?).map_err(at(&guard_path))?;
        Ok(match locked {
            Ok(guard) => Ok(ShortLock { path, _guard: guard }),
            Err(guard) => Err(LockWait { path, guard }),
        })
    }

    /// Takes the short lock of `name`, and blocks while another process holds it.
    pub(crate) fn short_lock(&self, kind: Shared, name: &str) -> Result<ShortLock, HostError> {
        match self.try_short_lock(kind, name)? {
            Ok(lock) => Ok(lock),
            Err(wait) => wait.wait(),
        }
    }
}

impl LockWait {
    /// Blocks until the lock is free and takes it.
    pub fn wait(self) -> Result<ShortLock, HostError> {
        let guard = LockedFile::lock(self.guard).map_err(at(&guard_path(&self.path)))?;
        Ok(ShortLock { path: self.path, _guard: guard })
    }

    /// The process that holds the lock, with its state if it is stopped: `process 4711 (stopped)`. `None` if the kernel
    /// does not report the holder, or the lock was released meanwhile.
    pub fn holder(&self) -> Option<String> {
        let inode = self.guard.metadata().ok()?.ino();
        let locks = fs::read_to_string("/proc/locks").ok()?;
        let pid = locks.lines().find_map(|line| flock_holder(line, inode))?;
        let is_stopped = ProcessStat::of(pid).is_some_and(|stat| stat.is_stopped());
        Some(format!("process {pid}{}", if is_stopped { " (stopped)" } else { "" }))
    }
}

/// The process that a line of `/proc/locks` names as the holder of a `flock` on this inode (proc_locks(5)).
fn flock_holder(line: &str, inode: u64) -> Option<u32> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    // a line with `->` is a process that waits
    if fields.next()? != "FLOCK" {
        return None;
    }
    let pid = fields.nth(2)?.parse().ok()?;
    let device_and_inode = fields.next()?;
    (device_and_inode.rsplit(':').next()?.parse() == Ok(inode)).then_some(pid)
}

fn guard_path(path: &Path) -> PathBuf {
    path.with_extension("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_short_lock_names_the_process_that_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        let held = host.short_lock(Shared::Version, "k").unwrap();
        let wait = host.try_short_lock(Shared::Version, "k").unwrap().unwrap_err();
        assert_eq!(wait.holder(), Some(format!("process {}", std::process::id())));
        let waiting = std::thread::spawn(move || wait.wait().unwrap());
        drop(held);
        drop(waiting.join().unwrap());
        assert!(host.try_short_lock(Shared::Version, "k").unwrap().is_ok());
        assert!(host.try_short_lock(Shared::Delay, "k").unwrap().is_ok());
    }

    #[test]
    fn only_the_holder_of_that_file_is_read_from_the_kernels_table() {
        let line = "12: FLOCK  ADVISORY  WRITE 4711 fd:00:1234 0 EOF";
        assert_eq!(flock_holder(line, 1234), Some(4711));
        assert_eq!(flock_holder(line, 234), None);
        assert_eq!(flock_holder("12: -> FLOCK  ADVISORY  WRITE 4711 fd:00:1234 0 EOF", 1234), None);
        assert_eq!(flock_holder("3: POSIX  ADVISORY  WRITE 4711 fd:00:1234 0 EOF", 1234), None);
        assert_eq!(flock_holder("", 1234), None);
    }
}
