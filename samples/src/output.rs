//! A file that is given its name when it is whole.

use pop_handler_base::HandlerError;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// A file that is being made under another name in the folder of its output.
///
/// *Guarantees.* Under the output's name stands what was there before or the whole new file, never a part of it.
/// Dropped unfinished, the part is removed; a part that a killed process left is written over by the next attempt.
#[derive(Debug)]
pub(crate) struct Unfinished {
    part: PathBuf,
    output: PathBuf,
}

impl Unfinished {
    /// Begins an output: its folder is made. A device, FIFO or folder of that name is not replaced.
    pub(crate) fn begin(output: &str) -> Result<Self, HandlerError> {
        let output = PathBuf::from(output);
        if fs::metadata(&output).is_ok_and(|metadata| !metadata.is_file()) {
            let message = format!("`{}` exists and is not a regular file", output.display());
            return Err(HandlerError::new(message).code("storage"));
        }
        if let Some(folder) = output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            make_folder(folder)?;
        }
        let mut part = output.clone().into_os_string();
        part.push(".part");
        // ffmpeg would write through a link
        if fs::symlink_metadata(&part).is_ok_and(|metadata| !metadata.is_file()) {
            remove(Path::new(&part))?;
        }
        Ok(Self { part: part.into(), output })
    }

    /// The file to write to.
    pub(crate) fn part(&self) -> String {
        self.part.to_string_lossy().into_owned()
    }

    /// Gives the file its name; what stood there is replaced.
    pub(crate) fn finish(self) -> Result<(), HandlerError> {
        // on disk before it has its name, or a power cut could leave an empty file under it
        let written = File::open(&self.part).and_then(|file| file.sync_all());
        written
            .and_then(|()| fs::rename(&self.part, &self.output))
            .map_err(|error| storage(&self.output, &error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // finished, it is no longer there
        fs::remove_file(&self.part).ok();
    }
}

pub(crate) fn make_folder(folder: &Path) -> Result<(), HandlerError> {
    fs::create_dir_all(folder).map_err(|error| storage(folder, &error))
}

/// Removes a file that need not be there.
pub(crate) fn remove(path: &Path) -> Result<(), HandlerError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(storage(path, &error)),
        _ => Ok(()),
    }
}

pub(crate) fn storage(path: &Path, error: &io::Error) -> HandlerError {
    HandlerError::new(format!("`{}`: {error}", path.display())).code("storage")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_whole_or_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("a/b.mp4");
        let unfinished = Unfinished::begin(output.to_str().unwrap()).unwrap();
        fs::write(unfinished.part(), "half").unwrap();
        drop(unfinished);
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 0);
        for content in ["one", "two"] {
            let unfinished = Unfinished::begin(output.to_str().unwrap()).unwrap();
            fs::write(unfinished.part(), content).unwrap();
            unfinished.finish().unwrap();
            assert_eq!(fs::read_to_string(&output).unwrap(), content);
        }
        assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn fr_f7_a_device_or_folder_is_no_output() {
        let folder = tempfile::tempdir().unwrap();
        for output in ["/dev/null", folder.path().to_str().unwrap()] {
            let error = Unfinished::begin(output).unwrap_err();
            assert_eq!(error.message(), format!("`{output}` exists and is not a regular file"));
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_said_with_its_path() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let output = format!("{}/x/out.mp4", file.path().display());
        let error = Unfinished::begin(&output).unwrap_err();
        assert!(error.message().contains("/x`: "), "{}", error.message());
    }
}
