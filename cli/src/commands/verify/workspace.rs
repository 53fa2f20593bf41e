//! Copies of the current folder, one for each launcher, and digests of their files.

use super::failed;
use crate::error::{CommandError, Kind};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, Metadata, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

/// Maximum size of one copy, in bytes.
const MAX_BYTES: u64 = 2 << 30;
/// Folder of pop's own state, which is neither input nor output of an agenda.
const OWN: &str = ".pop";

/// Content of the current folder.
pub(super) struct Content {
    folder: PathBuf,
    /// Paths relative to the folder; each folder comes before its content.
    entries: Vec<(PathBuf, Metadata)>,
}

impl Content {
    /// Lists the files to copy. Fails if they exceed `MAX_BYTES`.
    pub(super) fn of(folder: &Path, without: &BTreeSet<PathBuf>) -> Result<Self, CommandError> {
        if let Some(none) =
            without.iter().find(|path| !folder.join(path).is_symlink() && !folder.join(path).exists())
        {
            let message = format!("`--without {}`: no such file or folder", none.display());
            return Err(CommandError::new(Kind::Usage, message));
        }
        let entries = walk(folder, without)?;
        let bytes: u64 =
            entries.iter().filter(|(_, about)| about.is_file()).map(|(_, about)| about.len()).sum();
        if bytes > MAX_BYTES {
            let message = format!(
                "the current folder has {} MiB; at most {} MiB are copied for each launcher",
                bytes >> 20,
                MAX_BYTES >> 20
            );
            let error = CommandError::new(Kind::Usage, message);
            return Err(error.hint("leave files out with `--without PATH`, for example build output"));
        }
        Ok(Self { folder: folder.to_owned(), entries })
    }

    /// Copies contents, modes and times of files, and links as links. Skips pipes, sockets and devices.
    pub(super) fn copy_to(&self, target: &Path) -> Result<(), CommandError> {
        // keep the mode, so that the user of a pod can enter the copy
        let mode = fs::metadata(&self.folder)
            .map_err(|error| failed("read", &self.folder, &error))?
            .permissions()
            .mode();
        fs::set_permissions(target, Permissions::from_mode(mode | 0o700))
            .map_err(|error| failed("change", target, &error))?;
        for (path, about) in &self.entries {
            let from = self.folder.join(path);
            copy(&from, &target.join(path), about).map_err(|error| failed("copy", &from, &error))?;
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path, about: &Metadata) -> std::io::Result<()> {
    if about.is_dir() {
        fs::create_dir(to)?;
        fs::set_permissions(to, Permissions::from_mode(about.permissions().mode() | 0o700))
    } else if about.is_symlink() {
        symlink(fs::read_link(from)?, to)
    } else if about.is_file() {
        fs::copy(from, to)?;
        File::open(to)?.set_modified(about.modified()?)
    } else {
        Ok(())
    }
}

/// Describes every file and link below a folder as comparable data: `{kind, size, executable, digest}`, `{kind, to}`.
pub(super) fn scan(folder: &Path) -> Result<BTreeMap<PathBuf, Value>, CommandError> {
    let mut files = BTreeMap::new();
    for (path, about) in walk(folder, &BTreeSet::new())? {
        if about.is_dir() {
            continue;
        }
        let whole = folder.join(&path);
        let seen = seen(&whole, &about, folder).map_err(|error| failed("read", &whole, &error))?;
        files.insert(path, seen);
    }
    Ok(files)
}

fn seen(path: &Path, about: &Metadata, folder: &Path) -> std::io::Result<Value> {
    if about.is_symlink() {
        let to = fs::read_link(path)?;
        let to = to.strip_prefix(folder).map_or_else(|_| to.clone(), |inner| Path::new(".").join(inner));
        return Ok(json!({"kind": "link", "to": to.to_string_lossy()}));
    }
    if !about.is_file() {
        return Ok(json!({"kind": "other"}));
    }
    let digest = blake3::Hasher::new().update_reader(File::open(path)?)?.finalize();
    let is_executable = about.permissions().mode() & 0o100 != 0;
    Ok(
        json!({"kind": "file", "size": about.len(), "executable": is_executable, "digest": digest.to_hex().as_str()}),
    )
}

/// Lists everything below a folder except `.pop` and `without`, folders before their content; does not follow links.
fn walk(folder: &Path, without: &BTreeSet<PathBuf>) -> Result<Vec<(PathBuf, Metadata)>, CommandError> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(inner) = folders.pop() {
        let whole = folder.join(&inner);
        let entries = fs::read_dir(&whole).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        for entry in entries.map_err(|error| failed("read", &whole, &error))? {
            let path = inner.join(entry.file_name());
            if path == Path::new(OWN) || without.contains(&path) {
                continue;
            }
            // of the link, not of its target
            let about = entry.metadata().map_err(|error| failed("read", &entry.path(), &error))?;
            if about.is_dir() {
                folders.push(path.clone());
            }
            found.push((path, about));
        }
    }
    Ok(found)
}
