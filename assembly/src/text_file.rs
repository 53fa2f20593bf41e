//! Reads the file of an agenda, a registry or a descriptor.

use crate::error::AssemblyError;
use pop_document::{Fault, MAX_BYTES, Site, too_large};
use pop_launchers::read_regular_file;
use std::io::ErrorKind;
use std::path::Path;

/// Reads a file, up to the size limit of an agenda.
pub fn read_text(path: &Path, what: &str) -> Result<Vec<u8>, Fault> {
    read_regular_file(path, MAX_BYTES as u64).map_err(|error| match error.kind() {
        ErrorKind::FileTooLarge => too_large(),
        _ => {
            let message = format!("cannot read the {what} `{}`: {error}", path.display());
            let fault = Fault::new("unreadable", Site::Whole, message);
            if error.kind() == ErrorKind::InvalidInput && what == "agenda" && !path.is_dir() {
                return fault.hint("`-` reads the agenda from standard input");
            }
            fault
        }
    })
}

/// The path as UTF-8, because the settings of a run store it.
pub(crate) fn utf8(path: &Path) -> Result<&str, AssemblyError> {
    path.to_str().ok_or_else(|| AssemblyError::NotUtf8 { path: path.to_owned() })
}
