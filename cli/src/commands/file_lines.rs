//! The recorded files of an operation as lines for people.

use pop_agenda::{FileRecord, RecordedFiles};
use pop_reporters::run::visible;

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
    format!("{kind:<9} {} ({}, blake3 {digest})", visible(&file.path), size(file.size))
}

/// A number of bytes for people.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} bytes");
    }
    let (mut rest, mut unit) = (bytes as f64 / 1_024.0, 0);
    while rest >= 1_024.0 && unit + 1 < UNITS.len() {
        rest /= 1_024.0;
        unit += 1;
    }
    format!("{rest:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (bytes, wanted) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(size(bytes), wanted);
        }
    }
}
