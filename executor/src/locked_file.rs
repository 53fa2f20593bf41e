//! A file with a kernel lock.

use std::fs::{File, TryLockError};
use std::io;
use std::ops::Deref;

/// A file that this value has locked exclusively, see flock(2). Dropping the value unlocks the file.
///
/// Closing the file is not enough: a child that another thread is starting has a copy of each descriptor until its
/// exec, and the lock would live as long as that copy.
#[derive(Debug)]
pub(crate) struct LockedFile(File);

impl LockedFile {
    /// Locks a file. The inner error returns the file if it is locked already.
    pub(crate) fn try_lock(file: File) -> io::Result<Result<Self, File>> {
        match file.try_lock() {
            Ok(()) => Ok(Ok(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(Err(file)),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Locks a file, and blocks while it is locked. Signals do not end the wait.
    pub(crate) fn lock(file: File) -> io::Result<Self> {
        loop {
            match file.lock() {
                Ok(()) => return Ok(Self(file)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Deref for LockedFile {
    type Target = File;

    fn deref(&self) -> &File {
        &self.0
    }
}

impl Drop for LockedFile {
    fn drop(&mut self) {
        // if this fails, the lock ends with the last copy of the descriptor
        self.0.unlock().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_the_descriptor_keeps_no_lock() {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let locked = LockedFile::lock(File::open(&path).unwrap()).unwrap();
        // as a child has it between its clone and its exec
        let copy = locked.try_clone().unwrap();
        let busy = LockedFile::try_lock(File::open(&path).unwrap()).unwrap().unwrap_err();
        drop(locked);
        LockedFile::try_lock(busy).unwrap().unwrap();
        drop(copy);
    }
}
