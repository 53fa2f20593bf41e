//! Versions with names, for operations that change the same thing: whoever saw an old one has to begin again.

use super::{Host, HostError, at};
use crate::whole_file::{Synced, replace};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

const VERSIONS: &str = "versions";
/// How many commits are kept, so that one is known when it comes a second time.
const REMEMBERED: usize = 100;

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Commit {
    /// It counts, now or since it was made the first time.
    Committed,
    /// Another one came first.
    Conflict {
        /// The version that there is now.
        version: u64,
        /// Who made it.
        by: String,
    },
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Versions {
    name: String,
    version: u64,
    /// Who made the last ones, newest last.
    by: VecDeque<String>,
}

impl Host {
    /// The version that there is now; 0 before the first commit.
    pub fn version(&self, name: &str) -> Result<u64, HostError> {
        // it is replaced as a whole, so that a reader needs no lock
        read(&self.file(VERSIONS, name)).map(|versions| versions.version)
    }

    /// Makes the next version, if the one that was seen is still the last.
    ///
    /// `by` names the commit for ever: one that is on record and comes once more, because nobody heard that it was
    /// made, counts as made. The last hundred of a name are on record. Waits until the disk has it.
    pub fn commit(&self, name: &str, seen: u64, by: &str) -> Result<Commit, HostError> {
        let (path, _guard) = self.guarded(VERSIONS, name)?;
        let mut versions = read(&path)?;
        if versions.by.iter().any(|known| known == by) {
            return Ok(Commit::Committed);
        }
        if versions.version != seen {
            let last = versions.by.pop_back().unwrap_or_default();
            return Ok(Commit::Conflict { version: versions.version, by: last });
        }
        name.clone_into(&mut versions.name);
        versions.version += 1;
        versions.by.push_back(by.to_owned());
        if versions.by.len() > REMEMBERED {
            versions.by.pop_front();
        }
        replace(&path, Synced::Yes, |file| Ok(serde_json::to_writer(file, &versions)?)).map_err(at(&path))?;
        Ok(Commit::Committed)
    }
}

fn read(path: &Path) -> Result<Versions, HostError> {
    match fs::read(path) {
        // a version is never guessed: an old one would let a lost change pass
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|_| HostError::Damaged { path: path.to_owned() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Versions::default()),
        Err(error) => Err(at(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r3_whoever_saw_an_old_version_has_a_conflict_and_is_told_whose() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        assert_eq!(host.version("k").unwrap(), 0);
        assert_eq!(host.commit("k", 0, "r/a/1").unwrap(), Commit::Committed);
        let conflict = Commit::Conflict { version: 1, by: "r/a/1".to_owned() };
        assert_eq!(host.commit("k", 0, "r/b/1").unwrap(), conflict);
        assert_eq!(host.commit("k", 1, "r/b/2").unwrap(), Commit::Committed);
        // nobody heard that it was made, and it is made once only
        assert_eq!(host.commit("k", 0, "r/a/1").unwrap(), Commit::Committed);
        assert_eq!((host.version("k").unwrap(), host.version("other").unwrap()), (2, 0));
    }

    #[test]
    fn r3_what_is_on_record_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        for seen in 0..=REMEMBERED as u64 {
            assert_eq!(host.commit("k", seen, &seen.to_string()).unwrap(), Commit::Committed);
        }
        assert_eq!(host.commit("k", 0, "1").unwrap(), Commit::Committed);
        let conflict = Commit::Conflict { version: 101, by: "100".to_owned() };
        assert_eq!(host.commit("k", 0, "0").unwrap(), conflict);
    }

    #[test]
    fn r3_a_damaged_version_is_an_error_and_never_an_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        host.commit("k", 0, "r/a/1").unwrap();
        let path = host.file(VERSIONS, "k");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(matches!(host.version("k"), Err(HostError::Damaged { .. })), "{length}");
            assert!(matches!(host.commit("k", 0, "r/b"), Err(HostError::Damaged { .. })), "{length}");
        }
    }
}
