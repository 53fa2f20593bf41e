//! Named locks: at any time one operation of all runs of the host holds a lock. The kernel releases the lock at the
//! latest when the operation's executor ends.

use super::{Host, HostError, at, open};
use crate::lock::Owner;
use crate::locked_file::LockedFile;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{self, Seek as _, Write as _};
use std::path::Path;

const LOCKS: &str = "locks";

/// The holder of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run.
    pub run: String,
    /// The operation.
    pub operation: String,
    /// Number of the process that executes the run.
    pub pid: u32,
}

/// The result of trying to take a lock without waiting.
#[derive(Debug)]
pub enum LockAttempt {
    /// The lock was taken.
    Locked(HeldLock),
    /// Another operation holds the lock.
    Busy {
        /// The holder; none if it is just taking or releasing the lock.
        holder: Option<Holder>,
    },
}

/// A lock that this process holds. The lock is released when this value is dropped or the process ends.
#[derive(Debug)]
pub struct HeldLock {
    file: LockedFile,
    name: String,
}

/// The content of a lock file, which only informs users. The lock itself is a kernel lock on the file.
#[derive(Debug, Serialize, Deserialize)]
struct LockRecord {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
    /// The identity of the holder's process, see [`Owner`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<String>,
}

impl Host {
    /// Takes a lock if it is free.
    pub fn try_lock(&self, name: &str, holder: &Holder) -> Result<LockAttempt, HostError> {
        let path = self.file(LOCKS, name);
        match LockedFile::try_lock(open(&path)?).map_err(at(&path))? {
            Ok(file) => Ok(LockAttempt::Locked(HeldLock::new(file, name, holder))),
            Err(_) => Ok(LockAttempt::Busy { holder: read(&path) }),
        }
    }

    /// Takes a lock, and blocks while another operation holds it.
    pub fn wait(&self, name: &str, holder: &Holder) -> Result<HeldLock, HostError> {
        let path = self.file(LOCKS, name);
        let file = LockedFile::lock(open(&path)?).map_err(at(&path))?;
        Ok(HeldLock::new(file, name, holder))
    }

    /// The holder of a lock. Takes no lock and changes nothing.
    pub fn holder(&self, name: &str) -> Option<Holder> {
        read(&self.file(LOCKS, name))
    }
}

impl HeldLock {
    fn new(file: LockedFile, name: &str, holder: &Holder) -> Self {
        let held = Self { file, name: name.to_owned() };
        // on a full disk the lock is held without a record
        held.write_record(Some(holder.clone())).ok();
        held
    }

    fn write_record(&self, holder: Option<Holder>) -> io::Result<()> {
        let process = holder.as_ref().map(|_| Owner::own().line());
        let record = LockRecord { name: self.name.clone(), holder, process };
        let mut file: &File = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(serde_json::to_string(&record)?.as_bytes())
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // if this fails, the record is stale until the process ends or the next holder writes its own
        self.write_record(None).ok();
    }
}

/// The holder in a lock file, if its process may be alive.
fn read(path: &Path) -> Option<Holder> {
    let record: LockRecord = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let process = Owner::parse(&record.process?)?;
    process.may_be_alive().then_some(record.holder?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(operation: &str) -> Holder {
        Holder { run: "r".to_owned(), operation: operation.to_owned(), pid: std::process::id() }
    }

    fn host() -> (tempfile::TempDir, Host) {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        (folder, host)
    }

    #[test]
    fn r3_busy_lock_names_its_holder_and_other_names_are_free() {
        let (_folder, host) = host();
        let LockAttempt::Locked(lock) = host.try_lock("../ü/\n", &holder("a")).unwrap() else {
            unreachable!()
        };
        let LockAttempt::Busy { holder: found } = host.try_lock("../ü/\n", &holder("b")).unwrap() else {
            unreachable!()
        };
        assert_eq!((found, host.holder("../ü/\n")), (Some(holder("a")), Some(holder("a"))));
        assert!(matches!(host.try_lock("../ü", &holder("b")), Ok(LockAttempt::Locked(_))));
        drop(lock);
        assert_eq!(host.holder("../ü/\n"), None);
        assert!(matches!(host.try_lock("../ü/\n", &holder("b")), Ok(LockAttempt::Locked(_))));
    }

    #[test]
    fn r3_wait_takes_the_lock_when_it_is_released() {
        let (_folder, host) = host();
        let held = host.wait("n", &holder("a")).unwrap();
        let waiting = {
            let host = host.clone();
            std::thread::spawn(move || {
                let lock = host.wait("n", &holder("b")).unwrap();
                (host.holder("n"), drop(lock)).0
            })
        };
        drop(held);
        assert_eq!(waiting.join().unwrap(), Some(holder("b")));
        assert_eq!(host.holder("n"), None);
    }

    #[test]
    fn f79_record_of_a_dead_process_is_ignored() {
        let (_folder, host) = host();
        drop(host.wait("n", &holder("a")).unwrap());
        let path = host.file(LOCKS, "n");
        let dead = LockRecord {
            name: "n".to_owned(),
            holder: Some(holder("a")),
            process: Some(Owner::own().line().replacen(&std::process::id().to_string(), "0", 1)),
        };
        let text = serde_json::to_vec(&dead).unwrap();
        for length in 0..=text.len() {
            fs::write(&path, &text[..length]).unwrap();
            assert_eq!(host.holder("n"), None, "{length}");
        }
        let LockAttempt::Locked(_lock) = host.try_lock("n", &holder("b")).unwrap() else { unreachable!() };
        assert_eq!(host.holder("n"), Some(holder("b")));
    }
}
