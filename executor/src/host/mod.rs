//! State that the runs of one host share: locks, delays, versions and cached results, each a file in one folder.
//!
//! *Guarantees.* Every call is safe between threads and between processes, even if one of them is killed at any
//! instant. The kernel releases the locks of a dead process. Files are created only when they are needed.
//! *Assumptions.* The file system has `flock`, and a rename that replaces the target. *Caveats.* Delays and versions
//! are read and replaced under a short lock. A process that is stopped (SIGSTOP) inside such a call keeps the short
//! lock until it continues; a caller that must not block uses [`Host::try_short_lock`] and lets another thread wait.

mod cache;
mod delay;
mod file_store;
mod file_system;
mod lock;
mod short_lock;
mod version;

pub use cache::{CacheAnswer, CacheEntry, CacheFile, CacheOrigin, MOST_BYTES, Miss};
pub use delay::DelayTurn;
pub use file_store::{FILES_LIMIT, StoreError, StoredFile};
pub use file_system::remote_file_system;
pub use lock::{HeldLock, Holder, LockAttempt};
pub(crate) use short_lock::Shared;
pub use short_lock::{LockWait, ShortLock};
pub use version::CommitOutcome;

use pop_launchers::make_private_folder;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Why shared state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// A file cannot be read or written.
    #[error("`{}` cannot be used", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The file system has no locks, so runs cannot share state on it.
    #[error("the file system of `{}` has no locks; set `--host-folder` to a folder on another one", .path.display())]
    NoLocks {
        /// The file.
        path: PathBuf,
    },
    /// The content of a file is damaged.
    #[error("`{}` is damaged; remove it while no run is active", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

impl From<HostError> for io::Error {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Io { ref source, .. } => Self::new(source.kind(), error),
            HostError::NoLocks { .. } => Self::new(ErrorKind::Unsupported, error),
            HostError::Damaged { .. } => Self::new(ErrorKind::InvalidData, error),
        }
    }
}

/// The state that the runs of one host share.
#[derive(Debug, Clone)]
pub struct Host {
    folder: PathBuf,
    /// Limit of the files of cached results together, in bytes.
    files_limit: u64,
}

impl Host {
    /// The shared state in this folder, which need not exist yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, files_limit: FILES_LIMIT }
    }

    /// The shared state in the default folder: beside the runs, under a name that no run can have.
    pub fn of_runs(runs: &Path) -> Self {
        Self::new(runs.join(".host"))
    }

    /// The folder of the shared state.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file for `name` in the folder of a kind. The file name is a digest, because names may have any characters.
    fn file(&self, kind: &str, name: &str) -> PathBuf {
        self.folder.join(kind).join(file_name(name))
    }
}

/// The file name for a name with any characters.
fn file_name(name: &str) -> String {
    blake3::hash(name.as_bytes()).to_hex().to_string()
}

/// Opens a lock file. Lock files are never removed, so that all processes lock the same file.
fn open(path: &Path) -> Result<File, HostError> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder).map_err(at(folder))?;
    }
    let mut file = OpenOptions::new();
    file.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> HostError {
    let path = path.to_owned();
    move |source| match source.kind() {
        // ENOTSUP, ENOSYS
        ErrorKind::Unsupported => HostError::NoLocks { path },
        _ if source.raw_os_error() == Some(NO_LOCKS) => HostError::NoLocks { path },
        _ => HostError::Io { path, source },
    }
}

/// ENOLCK: the error of a network file system whose server does not support locks.
const NO_LOCKS: i32 = 37;

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn f87_file_system_without_locks_is_an_error_of_its_own() {
        for code in [NO_LOCKS, 95, 38] {
            let error = at(Path::new("/n/f"))(io::Error::from_raw_os_error(code));
            assert_eq!(
                error.to_string(),
                "the file system of `/n/f` has no locks; set `--host-folder` to a folder on another one"
            );
        }
        assert!(matches!(at(Path::new("f"))(io::Error::from_raw_os_error(28)), HostError::Io { .. }));
    }

    #[test]
    fn f48_host_files_are_created_on_demand_and_private() {
        let runs = tempfile::tempdir().unwrap();
        let host = Host::of_runs(runs.path());
        assert_eq!(host.version("k").unwrap(), 0);
        assert!(!host.folder().join("versions").join(file_name("k")).exists());
        assert!(host.holder("l").is_none() && !host.folder().join("locks").exists());
        host.turn("d", 1, || 1).unwrap();
        host.commit("k", 0, "r/a").unwrap();
        drop(host.wait("l", &Holder { run: "r".into(), operation: "a".into(), pid: 1 }).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(host.folder()), 0o700);
        for kind in ["delays", "versions", "locks"] {
            let folder = host.folder().join(kind);
            assert_eq!(mode(&folder), 0o700);
            for file in fs::read_dir(folder).unwrap() {
                assert_eq!(mode(&file.unwrap().path()), 0o600);
            }
        }
    }
}
