//! Locks with names: held by one operation at a time, of whichever run, and never longer than its executor lives.

use super::{Host, HostError, at, hold, open};
use crate::lock::Owner;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek as _, Write as _};
use std::path::Path;

const LOCKS: &str = "locks";

/// Who has a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run.
    pub run: String,
    /// The operation.
    pub operation: String,
    /// The process that executes the run.
    pub pid: u32,
}

/// What became of an attempt to take a lock at once.
#[derive(Debug)]
pub enum LockAttempt {
    /// It is had.
    Locked(HeldLock),
    /// Somebody has it; who, unless it was taken or given back this very moment.
    Busy {
        /// Who.
        holder: Option<Holder>,
    },
}

/// A lock that is held; it is free again when this is dropped, or when the process ends, however that comes.
#[derive(Debug)]
pub struct HeldLock {
    file: File,
    name: String,
}

/// What stands in the file of a lock, for people. The lock itself is the kernel's.
#[derive(Debug, Serialize, Deserialize)]
struct Words {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    holder: Option<Holder>,
    /// The process, in words that mean one process for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    process: Option<String>,
}

impl Host {
    /// Takes a lock if nobody has it.
    pub fn try_lock(&self, name: &str, holder: &Holder) -> Result<LockAttempt, HostError> {
        let path = self.file(LOCKS, name);
        let file = open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(LockAttempt::Locked(HeldLock::new(file, name, holder))),
            Err(TryLockError::WouldBlock) => Ok(LockAttempt::Busy { holder: read(&path) }),
            Err(TryLockError::Error(error)) => Err(at(&path)(error)),
        }
    }

    /// Waits until a lock is free and takes it; whoever calls this gives it a thread of its own.
    pub fn wait(&self, name: &str, holder: &Holder) -> Result<HeldLock, HostError> {
        let path = self.file(LOCKS, name);
        let file = open(&path)?;
        hold(&file).map_err(at(&path))?;
        Ok(HeldLock::new(file, name, holder))
    }

    /// Who has a lock. Takes none, and changes nothing.
    pub fn holder(&self, name: &str) -> Option<Holder> {
        read(&self.file(LOCKS, name))
    }
}

impl HeldLock {
    fn new(file: File, name: &str, holder: &Holder) -> Self {
        let held = Self { file, name: name.to_owned() };
        // on a full disk it is held without words
        held.say(Some(holder.clone())).ok();
        held
    }

    fn say(&self, holder: Option<Holder>) -> io::Result<()> {
        let process = holder.as_ref().map(|_| Owner::own().line());
        let words = Words { name: self.name.clone(), holder, process };
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(serde_json::to_string(&words)?.as_bytes())
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        // words of somebody who has it no more are known as such by his process, or by the next one's words
        self.say(None).ok();
        // not left to the closing of the file: a child that is being started may have it for a moment longer
        self.file.unlock().ok();
    }
}

/// Who has the lock of a file, as far as it says.
fn read(path: &Path) -> Option<Holder> {
    let words: Words = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    let process = Owner::parse(&words.process?)?;
    process.may_be_alive().then_some(words.holder?)
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
    fn r3_a_lock_is_one_operations_and_tells_whose_other_names_are_other_locks() {
        let (_folder, host) = host();
        let LockAttempt::Locked(lock) = host.try_lock("../ü/\n", &holder("a")).unwrap() else {
            unreachable!()
        };
        let LockAttempt::Busy { holder: who } = host.try_lock("../ü/\n", &holder("b")).unwrap() else {
            unreachable!()
        };
        assert_eq!((who, host.holder("../ü/\n")), (Some(holder("a")), Some(holder("a"))));
        assert!(matches!(host.try_lock("../ü", &holder("b")), Ok(LockAttempt::Locked(_))));
        drop(lock);
        assert_eq!(host.holder("../ü/\n"), None);
        assert!(matches!(host.try_lock("../ü/\n", &holder("b")), Ok(LockAttempt::Locked(_))));
    }

    #[test]
    fn r3_whoever_waits_has_it_when_it_is_free() {
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
    fn f79_words_of_a_dead_process_are_nobodys_and_no_words_are_in_the_way() {
        let (_folder, host) = host();
        drop(host.wait("n", &holder("a")).unwrap());
        let path = host.file(LOCKS, "n");
        let dead = Words {
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
