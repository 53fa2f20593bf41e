//! Versions of lock keys, for operations with `lock: OPTIMISTIC`: an attempt that read an old version fails, and the
//! operation may retry.
//!
//! A commit has two steps, so that a crash between them neither loses nor repeats it. [`Host::commit`] increments the
//! version and stores the name of the commit. The caller records the outcome in its journal and then calls
//! [`Host::confirm`], which deletes the name. A caller that crashed before it recorded the outcome requests the same
//! commit again, and learns that the commit was made.

use super::short_lock::{Shared, ShortLock};
use super::{Host, HostError, at};
use crate::atomic_file::{Durability, replace};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// Maximum number of unconfirmed commits of a key. Each belongs to a run that crashed between the commit and the record
/// in its journal, and was never resumed. Beyond this number the oldest is deleted.
const MOST_UNCONFIRMED: usize = 10_000;

/// The outcome of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommitOutcome {
    /// The version was incremented, by this call or by an earlier call with the same name.
    Committed,
    /// Another commit came first.
    Conflict {
        /// The current version.
        version: u64,
        /// The name of the commit that made this version.
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
    /// Names of unconfirmed commits, oldest first.
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

    /// Increments the version if it is still `seen`, and syncs it to disk.
    ///
    /// `by` names the commit. A call that repeats an unconfirmed commit returns [`CommitOutcome::Committed`].
    pub fn commit(&self, name: &str, seen: u64, by: &str) -> Result<CommitOutcome, HostError> {
        let lock = self.short_lock(Shared::Version, name)?;
        Self::commit_locked(&lock, name, seen, by)
    }

    /// Deletes the name of a commit whose outcome the caller has recorded.
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

    /// The outcome that [`Host::commit_locked`] would have; changes nothing.
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
        // if a power cut loses this write, the name stays unconfirmed and nothing else changes
        write(&lock.path, &versions, Durability::Unsynced)
    }
}

fn write(path: &Path, versions: &Versions, durability: Durability) -> Result<(), HostError> {
    replace(path, durability, |file| Ok(serde_json::to_writer(file, versions)?)).map_err(at(path))
}

fn read(path: &Path) -> Result<Versions, HostError> {
    match fs::read(path) {
        // never guess a version: with an old one, a lost change would not be noticed
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
        // the caller crashed before it recorded the outcome and requests the commit again: the commit is made only once
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
