//! A pattern of file paths, read step by step: names, names with wildcards, and `**` for any folders.

use glob::{MatchOptions, Pattern};
use std::fmt::Write as _;

/// A wildcard matches no name that begins with a dot, as in a shell.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A pattern of file paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePattern {
    /// Whether it begins with `/`.
    pub is_absolute: bool,
    /// The steps between slashes.
    pub steps: Vec<PatternStep>,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PatternStep {
    /// This name, or `..`.
    Name(Box<str>),
    /// Every name that matches.
    Wild(Pattern),
    /// `**`: any number of folders, also none.
    AnyFolders,
}

impl PatternStep {
    /// Whether a name matches.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Name(own) => **own == *name,
            Self::Wild(pattern) => pattern.matches_with(name, OPTIONS),
            Self::AnyFolders => !name.starts_with('.'),
        }
    }
}

impl FilePattern {
    /// Reads a pattern. The error is the problem, as the end of a sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("must not be empty".to_owned());
        }
        if text.contains('\0') {
            return Err("contains a NUL character".to_owned());
        }
        let mut steps = Vec::new();
        for step in text.split('/').filter(|step| !step.is_empty() && *step != ".") {
            let step = parse_step(step)?;
            if step == PatternStep::Name("..".into()) && !steps.iter().all(PatternStep::is_name) {
                return Err("has `..` after a wildcard".to_owned());
            }
            steps.push(step);
        }
        if steps.is_empty() {
            return Err("names a whole folder tree; name a file or a folder below it".to_owned());
        }
        Ok(Self { is_absolute: text.starts_with('/'), steps })
    }

    /// The path, if the pattern has no wildcards.
    pub fn path(&self) -> Option<String> {
        let mut path = if self.is_absolute { "/".to_owned() } else { String::new() };
        for (index, step) in self.steps.iter().enumerate() {
            let PatternStep::Name(name) = step else { return None };
            // writing to a string cannot fail
            write!(path, "{}{name}", if index == 0 { "" } else { "/" }).ok();
        }
        Some(path)
    }

    /// Whether a path matches, or lies in a folder that the pattern names.
    pub fn covers(&self, path: &str) -> bool {
        let names: Vec<&str> = path.split('/').filter(|step| !step.is_empty() && *step != ".").collect();
        path.starts_with('/') == self.is_absolute && covers(&self.steps, &names, self.path().is_some())
    }

    /// Whether a path may lie outside the folder to which it is relative.
    pub fn leaves_folder(&self) -> bool {
        let mut depth = 0_i32;
        self.is_absolute
            || self.steps.iter().any(|step| {
                depth += if *step == PatternStep::Name("..".into()) { -1 } else { 1 };
                depth < 0
            })
    }
}

impl PatternStep {
    fn is_name(&self) -> bool {
        matches!(self, Self::Name(_))
    }
}

fn covers(steps: &[PatternStep], names: &[&str], is_literal: bool) -> bool {
    match (steps.split_first(), names.split_first()) {
        (None, None) => true,
        // a folder stands for the files below it
        (None, Some(_)) => is_literal,
        (Some((PatternStep::AnyFolders, rest)), _) => {
            covers(rest, names, is_literal)
                || names.split_first().is_some_and(|(name, below)| {
                    PatternStep::AnyFolders.matches(name) && covers(steps, below, is_literal)
                })
        }
        (Some((step, rest)), Some((name, below))) => step.matches(name) && covers(rest, below, is_literal),
        (Some(_), None) => false,
    }
}

fn parse_step(step: &str) -> Result<PatternStep, String> {
    if step == "**" {
        return Ok(PatternStep::AnyFolders);
    }
    if step.contains("**") {
        return Err(format!("has `**` inside the step `{step}`; it must stand alone between slashes"));
    }
    if let Some(name) = unquoted(step) {
        return Ok(PatternStep::Name(name.into()));
    }
    let pattern =
        Pattern::new(step).map_err(|error| format!("is not a pattern: {} in `{step}`", error.msg))?;
    Ok(PatternStep::Wild(pattern))
}

/// The name that a step without wildcards stands for; `[*]` stands for `*`.
fn unquoted(step: &str) -> Option<String> {
    let mut name = String::new();
    let mut letters = step.chars();
    while let Some(letter) = letters.next() {
        name.push(match letter {
            '*' | '?' => return None,
            '[' => {
                let inside = letters.next().filter(|inside| *inside != '!')?;
                if letters.next() != Some(']') {
                    return None;
                }
                inside
            }
            letter => letter,
        });
    }
    Some(name)
}

/// A pattern that matches only this text.
pub(crate) fn quote(text: &str) -> String {
    Pattern::escape(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, path: &str) -> bool {
        FilePattern::parse(pattern).unwrap().covers(path)
    }

    #[test]
    fn pattern_covers_the_paths_that_a_shell_would_find() {
        for (pattern, path, wanted) in [
            ("out/*.txt", "out/a.txt", true),
            ("out/*.txt", "out/sub/a.txt", false),
            ("out/*.txt", "out/.a.txt", false),
            ("out/.*", "out/.a", true),
            ("out/**/*.txt", "out/a.txt", true),
            ("out/**/*.txt", "out/x/y/a.txt", true),
            ("**/*.txt", ".git/a.txt", false),
            ("out/**", "out/x/a", true),
            ("out", "out/x/a", true),
            ("./out//a", "out/a", true),
            ("o*", "out/a", false),
            ("clip[0-9].mp4", "clip7.mp4", true),
            ("/data/a", "data/a", false),
            ("/data/a", "/data/a", true),
        ] {
            assert_eq!(covers(pattern, path), wanted, "{pattern} {path}");
        }
    }

    #[test]
    fn quoted_text_is_a_literal_name_again() {
        for name in ["clip [1]*?.mp4", "a!b", "{x}", "plain", "[]", "[!a]"] {
            let pattern = FilePattern::parse(&quote(name)).unwrap();
            assert_eq!(pattern.path().as_deref(), Some(name));
        }
        assert_eq!(FilePattern::parse("a/[ab]").unwrap().path(), None);
        assert_eq!(FilePattern::parse("/a/./b").unwrap().path().as_deref(), Some("/a/b"));
    }

    #[test]
    fn bad_patterns_say_why() {
        for (text, wanted) in [
            ("", "must not be empty"),
            ("./", "names a whole folder tree; name a file or a folder below it"),
            ("a**", "has `**` inside the step `a**`; it must stand alone between slashes"),
            ("*/../b", "has `..` after a wildcard"),
            ("a[b", "is not a pattern: invalid range pattern in `a[b`"),
        ] {
            assert_eq!(FilePattern::parse(text).unwrap_err(), wanted);
        }
        assert!(FilePattern::parse("../a").unwrap().leaves_folder());
        assert!(!FilePattern::parse("a/../b").unwrap().leaves_folder());
    }
}
