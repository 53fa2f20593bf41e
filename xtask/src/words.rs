//! Forbidden phrases in sources and pages, and source files that are too long.

use crate::finish;
use anyhow::{Result, ensure};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The greatest number of lines of a source file.
const MOST_LINES: usize = 800;

/// Code that must not be committed; in two parts, so that this file does not match.
const FORBIDDEN_CODE: [&str; 4] =
    [concat!("todo", "!("), concat!("FIX", "ME"), concat!("XX", "X"), concat!("```", "ignore")];

/// Phrases that hide who does what, in lower case. CONTRIBUTING.md says how texts read.
const FORBIDDEN_PHRASES: [&str; 10] = [
    "begun anew",
    "gone on with",
    "has it no more",
    "put aside",
    "set aside",
    "what is no",
    "what was asked",
    "who asks",
    "who waits",
    "words of somebody",
];

/// Comments that say nothing about the item, in lower case.
const FORBIDDEN_COMMENTS: [&str; 8] =
    ["how many.", "how.", "it.", "since when.", "what.", "when.", "where.", "why."];

/// Checks the Rust files and the pages of the project.
pub(crate) fn check(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    let mut count = 0;
    for file in project_files(root)? {
        let extension = Path::new(&file).extension().and_then(|extension| extension.to_str());
        let is_table = extension == Some("md") && root.join(&file).with_extension("json").is_file();
        let Ok(text) = fs::read_to_string(root.join(&file)) else { continue };
        let found = match extension {
            Some("rs") => source_faults(&text),
            // a table is written from its rows
            Some("md") if !is_table => page_faults(&text),
            _ => continue,
        };
        count += 1;
        faults.extend(found.into_iter().map(|fault| format!("{file}{fault}")));
    }
    finish("words", count, &faults)
}

/// The files that git knows or would add.
fn project_files(root: &Path) -> Result<Vec<String>> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    ensure!(listed.status.success(), "git ls-files: {}", String::from_utf8_lossy(&listed.stderr));
    Ok(String::from_utf8(listed.stdout)?.lines().map(str::to_owned).collect())
}

/// The faults of a Rust file, to be appended to its path.
fn source_faults(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if !text.starts_with("//!") {
        faults.push(": the first line must say what the file is (`//! ...`)".to_owned());
    }
    if text.lines().count() > MOST_LINES {
        faults.push(format!(": more than {MOST_LINES} lines"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let words = FORBIDDEN_CODE.iter().copied().filter(|word| line.contains(word));
        let phrases = comment(line).map(phrases_in).unwrap_or_default();
        faults.extend(words.chain(phrases).map(|found| format!(":{number}: `{found}`")));
    }
    faults
}

/// The faults of a page, to be appended to its path. Code blocks are not checked.
fn page_faults(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut faults = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        is_code ^= line.trim_start().starts_with("```");
        if !is_code {
            faults.extend(phrases_in(line).into_iter().map(|phrase| format!(":{number}: `{phrase}`")));
        }
    }
    faults
}

/// The text of a line that is a comment.
fn comment(line: &str) -> Option<&str> {
    let comment = line.trim().strip_prefix("//")?;
    Some(comment.trim_start_matches(['/', '!']).trim())
}

/// The forbidden phrases in a line of prose, and the line itself if it says nothing.
fn phrases_in(line: &str) -> Vec<&'static str> {
    let line = line.to_lowercase();
    let contains = |phrase: &str| {
        line.match_indices(phrase).any(|(start, _)| {
            let before = line[..start].chars().next_back();
            let after = line[start + phrase.len()..].chars().next();
            !before.into_iter().chain(after).any(|character| character.is_alphanumeric() || character == '_')
        })
    };
    let phrases = FORBIDDEN_PHRASES.iter().copied().filter(|phrase| contains(phrase));
    phrases.chain(FORBIDDEN_COMMENTS.iter().copied().filter(|comment| line.trim() == *comment)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forbidden_phrase_in_a_comment_is_a_fault() {
        let text = "//! A file.\n/// Who Waits is PUT ASIDE.\nlet text = \"put aside\";\n    // why.\n// Why. Not.\n";
        assert_eq!(source_faults(text), [":2: `put aside`", ":2: `who waits`", ":4: `why.`"]);
    }

    #[test]
    fn a_phrase_matches_whole_words_only() {
        assert!(phrases_in("f1_who_waits, who waitsalong, what is not, xwho waits").is_empty());
        assert_eq!(phrases_in("(who waits) what is no list"), ["what is no", "who waits"]);
    }

    #[test]
    fn a_page_is_checked_outside_its_code_blocks() {
        assert_eq!(page_faults("a\n```\nput aside\n```\nPut aside.\n"), [":5: `put aside`"]);
    }

    #[test]
    fn a_source_file_needs_a_first_line_and_few_lines() {
        let long = "fn f() {}\n".repeat(MOST_LINES + 1);
        assert_eq!(source_faults(&long).len(), 2);
        assert!(source_faults(&format!("//! A file.\n{}", concat!("todo", "!()")))[0].starts_with(":2:"));
    }
}
