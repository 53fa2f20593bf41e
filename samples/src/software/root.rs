//! The folder into which packages are installed, with a note of each.
//!
//! The notes stand in `.software` below it, one for each package. A file is made there whole and renamed to its place.

use super::repository::{Package, no_name};
use crate::output::{Unfinished, make_folder, remove, storage};
use pop_handler_base::HandlerError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

const NOTES: &str = ".software";
/// A file that is not whole yet. Notes end otherwise, and only one call at a time makes one.
const PART: &str = "file.part";
const LOCK: &str = "lock";

/// The folder into which packages are installed.
pub(super) struct Root {
    folder: PathBuf,
}

/// Held by the call that changes something below a root.
pub(super) struct Lock(#[expect(dead_code, reason = "the lock is the open file")] File);

/// The note of a package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Installed {
    pub(super) name: String,
    pub(super) version: String,
    /// The files that it has, or may have while it is not whole.
    pub(super) files: BTreeSet<String>,
    pub(super) state: State,
}

/// How far a package is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// All of its files are there.
    Whole,
    /// Files are being put there.
    Coming,
    /// Files are being taken away.
    Going,
}

impl Root {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Waits until no other call changes anything; the folder is made if it is not there.
    pub(super) async fn lock(&self) -> Result<Lock, HandlerError> {
        make_folder(&self.folder)?;
        let notes = self.notes()?;
        make_folder(&notes)?;
        let path = notes.join(LOCK);
        let locking = tokio::task::spawn_blocking(move || {
            let file = File::options().write(true).create(true).truncate(false).open(&path);
            file.and_then(|file| file.lock().map(|()| Lock(file))).map_err(|error| storage(&path, &error))
        });
        locking.await?
    }

    /// The notes of all packages.
    pub(super) fn all(&self) -> Result<Vec<Installed>, HandlerError> {
        let notes = self.notes()?;
        let failed = |error| storage(&notes, &error);
        let entries = match fs::read_dir(&notes) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut all = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_none_or(|ending| ending != "json") {
                continue;
            }
            let text = fs::read(&path).map_err(|error| storage(&path, &error))?;
            let broken = |why: String| HandlerError::new(format!("`{}` is no note: {why}", path.display()));
            let note: Installed = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
            // what stands there is removed one day: it must not lead out of the root
            let wrong = note.files.iter().find(|file| !is_below(file));
            if no_name(&note.name).is_some() || wrong.is_some() {
                return Err(broken("it names what is not below the root".to_owned()).code("storage"));
            }
            all.push(note);
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// Writes the note of a package, over the one that is there.
    pub(super) fn note(&self, installed: &Installed) -> Result<(), HandlerError> {
        let path = self.notes()?.join(format!("{}.json", installed.name));
        let unfinished = Unfinished::begin(&path.to_string_lossy())?;
        let part = PathBuf::from(unfinished.part());
        fs::write(&part, serde_json::to_vec(installed)?).map_err(|error| storage(&part, &error))?;
        unfinished.finish()
    }

    /// Removes the note of a package.
    pub(super) fn forget(&self, name: &str) -> Result<(), HandlerError> {
        remove(&self.notes()?.join(format!("{name}.json")))
    }

    /// Why a file cannot be put there, if it cannot.
    pub(super) fn check(&self, file: &str, is_own: bool) -> Result<(), String> {
        if !is_below(file) || Path::new(file).starts_with(NOTES) {
            return Err(format!("has `{file}`, which is not for the root"));
        }
        let path = self.folder.join(file);
        self.check_folders(file).map_err(|error| error.message().to_owned())?;
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_dir() => Err(format!("has `{file}`, where a folder is")),
            Ok(_) if !is_own => Err(format!("has `{file}`, which is there and of no package")),
            _ => Ok(()),
        }
    }

    /// Copies a file to its place; what is there is replaced.
    pub(super) fn put(&self, from: &Path, file: &str) -> Result<(), HandlerError> {
        self.check_folders(file)?;
        let to = self.folder.join(file);
        make_folder(to.parent().unwrap_or(&self.folder))?;
        let part = self.notes()?.join(PART);
        // a rest of a killed call may not be writable
        remove(&part)?;
        let made = fs::copy(from, &part).and_then(|_| File::open(&part)?.sync_all());
        made.and_then(|()| fs::rename(&part, &to)).map_err(|error| storage(&to, &error))
    }

    /// Removes a file that need not be there, and the folders that it leaves empty.
    pub(super) fn remove(&self, file: &str) -> Result<(), HandlerError> {
        self.check_folders(file)?;
        remove(&self.folder.join(file))?;
        let folders = Path::new(file).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty());
        for folder in folders {
            // one that still holds something stays
            if fs::remove_dir(self.folder.join(folder)).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Whether every file of a package is there as it is in the repository.
    pub(super) fn is_same(&self, package: &Package) -> Result<bool, HandlerError> {
        for file in &package.files {
            self.check_folders(file)?;
            let (from, to) = (package.folder.join(file), self.folder.join(file));
            let is_file = fs::symlink_metadata(&to).is_ok_and(|there| there.is_file());
            if !is_file || !is_equal(&from, &to).map_err(|error| storage(&to, &error))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The files of a package that are not there.
    pub(super) fn missing(&self, installed: &Installed) -> Result<Vec<String>, HandlerError> {
        let mut missing = Vec::new();
        for file in &installed.files {
            self.check_folders(file)?;
            if fs::symlink_metadata(self.folder.join(file)).is_err() {
                missing.push(file.clone());
            }
        }
        Ok(missing)
    }

    /// The folder of the notes, which is no link.
    fn notes(&self) -> Result<PathBuf, HandlerError> {
        let notes = self.folder.join(NOTES);
        self.check_folders(&format!("{NOTES}/{LOCK}"))?;
        Ok(notes)
    }

    /// Every folder on the way to a file is a folder, or is not there yet: a link could lead out of the root.
    fn check_folders(&self, file: &str) -> Result<(), HandlerError> {
        for folder in Path::new(file).ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            let path = self.folder.join(folder);
            match fs::symlink_metadata(&path) {
                Ok(there) if !there.is_dir() => {
                    let message = format!("`{}` is a link or a file, not a folder", path.display());
                    return Err(HandlerError::new(message).code("storage"));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a path leads to something below where it begins.
fn is_below(file: &str) -> bool {
    let mut components = Path::new(file).components();
    !file.is_empty() && components.all(|component| matches!(component, Component::Normal(_)))
}

fn is_equal(one: &Path, other: &Path) -> io::Result<bool> {
    let (mut one, mut other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut these, mut those) = (Vec::new(), Vec::new());
    loop {
        const PIECE: u64 = 1 << 16;
        these.clear();
        those.clear();
        (&mut one).take(PIECE).read_to_end(&mut these)?;
        (&mut other).take(PIECE).read_to_end(&mut those)?;
        if these != those || these.is_empty() {
            return Ok(these == those);
        }
    }
}
