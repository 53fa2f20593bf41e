//! Reading whole files up to a limit.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Error when reading a file.
#[derive(Debug, Error)]
pub enum FileError {
    /// The system cannot read the file.
    #[error("cannot read {}", .path.display())]
    Unreadable {
        /// Path of the file, as the user named it.
        path: PathBuf,
        /// Error of the system.
        #[source]
        source: io::Error,
    },
    /// The file is longer than the limit.
    #[error("{} is larger than {limit} bytes", .path.display())]
    TooLarge {
        /// Path of the file, as the user named it.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file is not UTF-8.
    #[error("{} is not UTF-8 text", .path.display())]
    NotText {
        /// Path of the file, as the user named it.
        path: PathBuf,
        /// Position of the first invalid byte.
        #[source]
        source: std::str::Utf8Error,
    },
}

impl FileError {
    /// Whether the file does not exist.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Unreadable { source, .. }
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }
}

/// Reads at most `limit` bytes.
pub(crate) fn read_bytes(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|source| FileError::Unreadable { path: path.to_owned(), source })?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

/// Reads at most `limit` bytes of UTF-8.
pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String, FileError> {
    String::from_utf8(read_bytes(path, limit)?)
        .map_err(|error| FileError::NotText { path: path.to_owned(), source: error.utf8_error() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_exact() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("four");
        std::fs::write(&path, "äö").unwrap();
        assert_eq!(read_text(&path, 4).unwrap(), "äö");
        assert!(matches!(read_text(&path, 3), Err(FileError::TooLarge { limit: 3, .. })));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_endless_file_is_an_error() {
        assert!(matches!(read_bytes(Path::new("/dev/zero"), 1000), Err(FileError::TooLarge { .. })));
    }

    #[test]
    fn errors_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing");
        let error = read_text(&missing, 9).unwrap_err();
        assert!(error.is_missing());
        assert_eq!(error.to_string(), format!("cannot read {}", missing.display()));
        let binary = folder.path().join("binary");
        std::fs::write(&binary, b"\xff").unwrap();
        assert!(matches!(read_text(&binary, 9), Err(FileError::NotText { .. })));
        assert!(!read_text(folder.path(), 9).unwrap_err().is_missing());
    }
}
