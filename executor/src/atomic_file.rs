//! Atomic file writes: a file is written under another name, then renamed.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// Whether a file is synced to disk before it is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The file is synced: after power loss it has the old or the new content.
    Synced,
    /// The file is not synced: readers detect a torn file, or do not need the file.
    Unsynced,
}

/// Replaces a file, or creates it, readable only by the caller. A kill at any instant leaves the old or the new file, and
/// perhaps an unfinished one beside it.
pub(crate) fn replace(
    path: &Path,
    durability: Durability,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let (unfinished, file) = unfinished(path)?;
    let mut writer = BufWriter::new(file);
    let written = write(&mut writer).and_then(|()| writer.flush()).and_then(|()| match durability {
        Durability::Synced => writer.get_ref().sync_data(),
        Durability::Unsynced => Ok(()),
    });
    let renamed = written.and_then(|()| fs::rename(&unfinished, path));
    if renamed.is_err() {
        fs::remove_file(&unfinished).ok();
    }
    renamed?;
    match (durability, path.parent()) {
        (Durability::Synced, Some(folder)) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// Creates a file beside another, under a name that no other process uses.
fn unfinished(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 0_u32;
    loop {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}-{number}.new", std::process::id()));
        let path = path.with_file_name(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            // a killed process with this number left the file, or a process in another container uses it
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1_000 => number += 1,
            opened => return Ok((path, opened?)),
        }
    }
}

/// The files of a folder, ordered by name; none if there is no folder.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort_unstable();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_write_keeps_the_old_file_and_leaves_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        replace(&path, Durability::Synced, |file| file.write_all(b"old")).unwrap();
        let failed = replace(&path, Durability::Unsynced, |file| {
            file.write_all(b"new")?;
            Err(ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        // a file that a killed process with the same number left has no effect
        fs::write(folder.path().join(format!("f.{}-0.new", std::process::id())), "n").unwrap();
        replace(&path, Durability::Unsynced, |file| file.write_all(b"newer")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
