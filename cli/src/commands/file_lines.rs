//! The recorded files of an operation as lines for people.

use pop_agenda::{FileRecord, RecordedFiles};
use pop_reporters::run::{size_text, visible};

/// Maximum number of files that are listed; `--output json` has all.
const SHOWN: usize = 20;
/// Digits of a digest that are shown.
const DIGITS: usize = 12;

/// One line for each file that the operation read and wrote: kind, path, size, start of the digest.
pub(super) fn file_lines(files: &RecordedFiles) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, list) in [("read", &files.read), ("wrote", &files.written)] {
        let list = list.as_deref().unwrap_or_default();
        lines.extend(list.iter().take(SHOWN).map(|file| line(kind, file)));
        if list.len() > SHOWN {
            lines.push(format!("{kind:<9} {} more files", list.len() - SHOWN));
        }
    }
    lines
}

fn line(kind: &str, file: &FileRecord) -> String {
    let digest = file.digest.get(..DIGITS).unwrap_or(&file.digest);
    format!("{kind:<9} {} ({}, blake3 {digest})", visible(&file.path), size_text(file.size))
}
