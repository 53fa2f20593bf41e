//! Files of an attempt with values that its program reads: standard input, and values in the place of arguments.
//!
//! They are beside the attempt's log and readable only by the caller.

use super::AttemptOrder;
use pop_contract::{Blame, Failure};
use pop_launchers::write_private;
use pop_registry::ProgramText;
use std::io;
use std::path::{Path, PathBuf};

/// Writes a file for a program.
pub(super) type Write<'w> = dyn Fn(&Path, &str) -> io::Result<()> + 'w;

/// Writes a file that only the caller can read.
pub(super) fn write_file(file: &Path, text: &str) -> io::Result<()> {
    write_private(file, text.as_bytes())
}

/// The writer of an attempt's files. If an earlier executor may have started the attempt, existing files are kept: its
/// program may still read them.
pub(super) fn writer(again: bool) -> fn(&Path, &str) -> io::Result<()> {
    if again { write_missing_file } else { write_file }
}

fn write_missing_file(file: &Path, text: &str) -> io::Result<()> {
    if file.is_file() { Ok(()) } else { write_file(file, text) }
}

/// The files of one attempt.
pub(super) struct InputFiles<'a> {
    log: &'a Path,
    write: &'a Write<'a>,
    /// Files in the place of arguments and variables.
    pub(super) written: Vec<PathBuf>,
}

impl<'a> InputFiles<'a> {
    pub(super) fn new(attempt: &'a AttemptOrder<'_>, write: &'a Write<'a>) -> Self {
        Self { log: &attempt.log, write, written: Vec::new() }
    }

    /// The text of an argument or variable. A value in a file is written, and its text is the path.
    pub(super) fn text(&mut self, text: ProgramText) -> Result<String, Failure> {
        match text {
            ProgramText::Text(text) => Ok(text),
            ProgramText::File(content) => {
                let file = self.store(&format!("value-{}", self.written.len()), &content)?;
                self.written.push(file.clone());
                Ok(file.to_string_lossy().into_owned())
            }
        }
    }

    /// The file of standard input.
    pub(super) fn stdin(&self, content: &str) -> Result<PathBuf, Failure> {
        self.store("stdin", content)
    }

    fn store(&self, extension: &str, content: &str) -> Result<PathBuf, Failure> {
        let file = self.log.with_extension(extension);
        (self.write)(&file, content).map_err(|error| {
            let message = format!("cannot write {}: {error}", file.display());
            Failure::new(Blame::Platform, "storage", message)
        })?;
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_are_private_and_those_of_a_running_program_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.1.stdin");
        writer(true)(&file, "first").unwrap();
        writer(true)(&file, "second").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "first");
        writer(false)(&file, "third").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "third");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
