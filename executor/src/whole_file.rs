//! Files that others find whole or not at all: written under another name, then given their own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Whether the disk has a file before it has its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Synced {
    /// It does: after power loss the file is the old one or the new one.
    Yes,
    /// It need not: whoever reads it can tell, or can do without.
    No,
}

/// Writes a file for the caller alone in the place of what was there. A kill at any instant leaves the old one or the
/// new one, and perhaps an unfinished one beside it.
pub(crate) fn replace(
    path: &Path,
    synced: Synced,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let (unfinished, file) = unfinished(path)?;
    let mut writer = BufWriter::new(file);
    let written = write(&mut writer).and_then(|()| writer.flush()).and_then(|()| match synced {
        Synced::Yes => writer.get_ref().sync_data(),
        Synced::No => Ok(()),
    });
    let renamed = written.and_then(|()| fs::rename(&unfinished, path));
    if renamed.is_err() {
        fs::remove_file(&unfinished).ok();
    }
    renamed?;
    match (synced, path.parent()) {
        (Synced::Yes, Some(folder)) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// A new file beside another, which no other process has.
fn unfinished(path: &Path) -> io::Result<(PathBuf, File)> {
    let mut number = 0_u32;
    loop {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}-{number}.new", std::process::id()));
        let path = path.with_file_name(name);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            // left by a process of that number that was killed, or one that another container has now
            Err(error) if error.kind() == ErrorKind::AlreadyExists && number < 1_000 => number += 1,
            opened => return Ok((path, opened?)),
        }
    }
}

/// The files of a folder in the order of their names; none if it is not there.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        read => read?,
    };
    let mut files = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort_unstable();
    Ok(files)
}

/// Makes a folder for the caller alone, and those above it.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_written_leaves_the_old_one_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        replace(&path, Synced::Yes, |file| file.write_all(b"old")).unwrap();
        let failed = replace(&path, Synced::No, |file| {
            file.write_all(b"new")?;
            Err(ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        // what a killed process of the same number left is in nobody's way
        fs::write(folder.path().join(format!("f.{}-0.new", std::process::id())), "n").unwrap();
        replace(&path, Synced::No, |file| file.write_all(b"newer")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"newer");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
