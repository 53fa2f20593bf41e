//! The place of a report: a file, which is replaced as a whole, or standard output.

use crate::error::{CommandError, Kind};
use crate::ui;
use std::fs::{self, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where a report goes.
pub(super) enum Place {
    StandardOutput,
    File(PathBuf),
}

/// Writes a report. A file is complete or unchanged; a device or a pipe gets the text as it is.
pub(super) fn write(place: &Place, text: &str) -> Result<(), CommandError> {
    match place {
        Place::StandardOutput => ui::print(text),
        Place::File(path) => write_file(path, text).map_err(|error| {
            let message = format!("cannot write the report to `{}`: {error}", path.display());
            CommandError::new(Kind::Internal, message)
                .hint("`--into FILE` names another file, `--into -` prints the report")
        })?,
    }
    Ok(())
}

fn write_file(path: &Path, text: &str) -> io::Result<()> {
    // a link keeps its place, and its target is replaced
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    if fs::metadata(&path).is_ok_and(|known| !known.is_file() && !known.is_dir()) {
        return fs::OpenOptions::new().write(true).open(&path)?.write_all(text.as_bytes());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // as other programs create files: the mask of the process applies
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}
