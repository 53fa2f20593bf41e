//! Words that must not stand in the project, and files that grew too long to be known.

use crate::finish;
use anyhow::{Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Looks for words that must not stand in the sources, and for files that grew too long to be known.
pub(crate) fn check(root: &Path) -> Result<()> {
    const LONGEST: usize = 800;
    // in two parts, so that this file does not find itself
    let forbidden =
        [concat!("todo", "!("), concat!("FIX", "ME"), concat!("XX", "X"), concat!("```", "ignore")];
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    let listed = String::from_utf8(listed.stdout)?;
    let mut faults = Vec::new();
    let mut count = 0;
    for file in listed.lines().filter(|file| Path::new(file).extension().is_some_and(|ending| ending == "rs"))
    {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        count += 1;
        if !text.starts_with("//!") {
            faults.push(format!("{file}: does not begin by saying what it is (`//! ...`)"));
        }
        if text.lines().count() > LONGEST {
            faults.push(format!("{file}: has more than {LONGEST} lines"));
        }
        for (number, line) in text.lines().enumerate() {
            faults.extend(
                forbidden
                    .iter()
                    .filter(|word| line.contains(*word))
                    .map(|word| format!("{file}:{}: `{word}`", number + 1)),
            );
        }
    }
    finish("words", count, &faults)
}
