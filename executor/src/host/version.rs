//! Versions of keys, for operations that change the same thing: an operation that read an old version starts again.
//!
//! A commit has two steps, so that a crash between them loses nothing and doubles nothing. [`Host::commit`] makes the
//! next version and remembers who made it. The caller records the outcome in its journal and then calls
//! [`Host::confirm`], which forgets the name again. A caller that crashed before its record asks for the same commit
//! again and gets the answer that it was made.

use super::short_lock::{Shared, ShortLock};
use super::{Host, HostError, at};
use crate::atomic_file::{Durability, replace};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The most commits whose callers have not confirmed them. Each belongs to a run that crashed between its commit and its
/// record and was never resumed; beyond this many the oldest is forgotten.
const MOST_UNCONFIRMED: usize = 10_000;

/// The outcome of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The next version was made, by this call or by an earlier call with the same name.
    Committed,
    /// Another commit came first.
    Conflict {
        /// The current version.
        version: u64,
        /// The name of the commit that made it.
        by: String,
    },
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    name: String,
    version: u64,
    /// The commit that made the current version.
    #[serde(default)]
    last: String,
    /// Names of commits that their callers have not confirmed, oldest first.
    #[serde(default, alias = "by")]
    unconfirmed: VecDeque<String>,
}

impl Versions {
    fn knows(&self, by: &str) -> bool {
        self.unconfirmed.iter().any(|known| known == by)
    }

    fn would_commit(self, seen: u64, by: &str) -> CommitOutcome {
        if self.version == seen || self.knows(by) {
            CommitOutcome::Committed
        } else {
            CommitOutcome::Conflict { version: self.version, by: self.last }
        }
    }
}

impl Host {
    /// The current version of a key; 0 before the first commit.
    pub fn version(&self, name: &str) -> Result<u64, HostError> {
        // the file is replaced as a whole, so a reader needs no lock
        read(&self.shared_file(Shared::Version, name)).map(|versions| versions.version)
    }

    /// Makes the next version if `seen` is still the current one, and waits until the disk has it.
    ///
    /// `by` names the commit. A call that repeats an unconfirmed commit returns [`CommitOutcome::Committed`].
    pub fn commit(&self, name: &str, seen: u64, by: &str) -> Result<CommitOutcome, HostError> {
        let lock = self.short_lock(Shared::Version, name)?;
        Self::commit_locked(&lock, name, seen, by)
    }

    /// Forgets the name of a commit whose outcome its caller has recorded.
    pub fn confirm(&self, name: &str, by: &str) -> Result<(), HostError> {
        let lock = self.short_lock(Shared::Version, name)?;
        Self::confirm_locked(&lock, by)
    }

    /// [`Host::commit`] for a caller that holds the key's short lock.
    pub(crate) fn commit_locked(
        lock: &ShortLock,
        name: &str,
        seen: u64,
        by: &str,
    ) -> Result<CommitOutcome, HostError> {
        let mut versions = read(&lock.path)?;
        if versions.knows(by) || versions.version != seen {
            return Ok(versions.would_commit(seen, by));
        }
        name.clone_into(&mut versions.name);
        versions.version += 1;
        by.clone_into(&mut versions.last);
        versions.unconfirmed.push_back(by.to_owned());
        if versions.unconfirmed.len() > MOST_UNCONFIRMED {
            versions.unconfirmed.pop_front();
        }
        write(&lock.path, &versions, Durability::Synced)?;
        Ok(CommitOutcome::Committed)
    }

    /// What [`Host::commit_locked`] would say; nothing is changed.
    pub(crate) fn check_commit(lock: &ShortLock, seen: u64, by: &str) -> Result<CommitOutcome, HostError> {
        read(&lock.path).map(|versions| versions.would_commit(seen, by))
    }

    /// [`Host::confirm`] for a caller that holds the key's short lock.
    pub(crate) fn confirm_locked(lock: &ShortLock, by: &str) -> Result<(), HostError> {
        let mut versions = read(&lock.path)?;
        let before = versions.unconfirmed.len();
        versions.unconfirmed.retain(|known| known != by);
        if versions.unconfirmed.len() == before {
            return Ok(());
        }
        // lost by a power cut, the name stays unconfirmed and nothing else changes
        write(&lock.path, &versions, Durability::Unsynced)
    }
}

fn write(path: &Path, versions: &Versions, durability: Durability) -> Result<(), HostError> {
    replace(path, durability, |file| Ok(serde_json::to_writer(file, versions)?)).map_err(at(path))
}

fn read(path: &Path) -> Result<Versions, HostError> {
    match fs::read(path) {
        // a version is never guessed: an old one would let a lost change pass
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(|mut versions: Versions| {
                // earlier versions of pop stored the names of all commits, the last one last
                if versions.last.is_empty() {
                    versions.last = versions.unconfirmed.back().cloned().unwrap_or_default();
                }
                versions
            })
            .map_err(|_| HostError::Damaged { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Versions::default()),
        Err(error) => Err(at(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r3_a_commit_on_an_old_version_conflicts_and_names_the_last_commit() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        assert_eq!(host.version("k").unwrap(), 0);
        assert_eq!(host.commit("k", 0, "r/a/1").unwrap(), CommitOutcome::Committed);
        let conflict = CommitOutcome::Conflict { version: 1, by: "r/a/1".to_owned() };
        assert_eq!(host.commit("k", 0, "r/b/1").unwrap(), conflict);
        assert_eq!(host.commit("k", 1, "r/b/2").unwrap(), CommitOutcome::Committed);
        // the caller crashed before its record and asks again: the commit is made once only
        assert_eq!(host.commit("k", 0, "r/a/1").unwrap(), CommitOutcome::Committed);
        assert_eq!((host.version("k").unwrap(), host.version("other").unwrap()), (2, 0));
    }

    #[test]
    fn r3_an_unconfirmed_commit_is_remembered_however_many_follow() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        assert_eq!(host.commit("k", 0, "crashed").unwrap(), CommitOutcome::Committed);
        for seen in 1..300 {
            let by = seen.to_string();
            assert_eq!(host.commit("k", seen, &by).unwrap(), CommitOutcome::Committed);
            host.confirm("k", &by).unwrap();
        }
        assert_eq!(host.commit("k", 0, "crashed").unwrap(), CommitOutcome::Committed);
        host.confirm("k", "crashed").unwrap();
        host.confirm("k", "crashed").unwrap();
        let conflict = CommitOutcome::Conflict { version: 300, by: "299".to_owned() };
        assert_eq!(host.commit("k", 0, "crashed").unwrap(), conflict);
        let file = fs::read_to_string(host.shared_file(Shared::Version, "k")).unwrap();
        assert!(file.len() < 100, "confirmed names are not kept: {file}");
    }

    #[test]
    fn r3_a_version_file_of_an_earlier_pop_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        host.commit("k", 0, "x").unwrap();
        fs::write(host.shared_file(Shared::Version, "k"), r#"{"name":"k","version":2,"by":["a","b"]}"#)
            .unwrap();
        assert_eq!(host.commit("k", 0, "a").unwrap(), CommitOutcome::Committed);
        assert_eq!(
            host.commit("k", 0, "c").unwrap(),
            CommitOutcome::Conflict { version: 2, by: "b".to_owned() }
        );
        assert_eq!(host.commit("k", 2, "c").unwrap(), CommitOutcome::Committed);
    }

    #[test]
    fn r3_a_damaged_version_is_an_error_and_never_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        host.commit("k", 0, "r/a/1").unwrap();
        let path = host.shared_file(Shared::Version, "k");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(host.version("k"), Err(HostError::Damaged { .. })), "{length}");
            assert!(matches!(host.commit("k", 0, "r/b"), Err(HostError::Damaged { .. })), "{length}");
        }
    }
}
