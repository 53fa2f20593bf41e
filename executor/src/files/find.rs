//! Finds the files that match patterns. The walk reads only folders that a pattern reaches.

use super::{FilesError, MOST_FILES, MOST_PATH_BYTES};
use pop_agenda::{FilePattern, PatternStep};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A file that matches a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FoundFile {
    /// Path as the pattern has it: relative, unless the pattern is absolute.
    pub(crate) path: Box<str>,
    /// Path to open the file.
    pub(crate) full: PathBuf,
}

/// The files that match these patterns, in the order of their paths. A pattern without wildcards that names a folder
/// stands for all files below it. A pattern that matches no file is an error.
pub(crate) fn find(folder: &Path, patterns: &[Box<str>]) -> Result<Vec<FoundFile>, FilesError> {
    let mut walk = Walk { found: BTreeMap::new(), bytes: 0, count: 0 };
    for text in patterns {
        let unmatched = || FilesError::Unmatched { pattern: text.clone(), folder: folder.to_owned() };
        // a pattern is checked when its references are replaced
        let pattern = FilePattern::parse(text).map_err(|_| unmatched())?;
        walk.count = 0;
        let (start, shown) = if pattern.is_absolute { (Path::new("/"), "/") } else { (folder, "") };
        walk.follow(start, shown, &pattern.steps, pattern.path().is_some())?;
        if walk.count == 0 {
            return Err(unmatched());
        }
    }
    let found = walk.found.into_iter();
    Ok(found.map(|(path, full)| FoundFile { path: path.into(), full }).collect())
}

struct Walk {
    found: BTreeMap<String, PathBuf>,
    bytes: usize,
    /// Files that the current pattern matches.
    count: usize,
}

impl Walk {
    fn follow(
        &mut self,
        at: &Path,
        shown: &str,
        steps: &[PatternStep],
        is_literal: bool,
    ) -> Result<(), FilesError> {
        let Some((step, rest)) = steps.split_first() else {
            return match metadata(at)? {
                Some(found) if found.is_file() => self.add(at, shown),
                Some(found) if found.is_dir() && is_literal => self.add_below(at, shown, false),
                _ => Ok(()),
            };
        };
        match step {
            PatternStep::Name(name) => self.follow(&at.join(&**name), &joined(shown, name), rest, is_literal),
            PatternStep::Wild(_) => {
                for (name, path, _) in names(at)? {
                    if let Some(name) = matching(&name, &path, step)? {
                        self.follow(&path, &joined(shown, &name), rest, is_literal)?;
                    }
                }
                Ok(())
            }
            PatternStep::AnyFolders if rest.is_empty() => self.add_below(at, shown, true),
            PatternStep::AnyFolders => {
                self.follow(at, shown, rest, is_literal)?;
                for (name, path, is_folder) in names(at)? {
                    // a symbolic link to a folder may lead in a circle
                    if is_folder && let Some(name) = matching(&name, &path, step)? {
                        self.follow(&path, &joined(shown, &name), steps, is_literal)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Adds the files below a folder, without hidden ones if a wildcard found it.
    fn add_below(&mut self, at: &Path, shown: &str, skips_hidden: bool) -> Result<(), FilesError> {
        for (name, path, is_folder) in names(at)? {
            let Some(name) = name.to_str() else { return Err(FilesError::Name { path }) };
            if skips_hidden && name.starts_with('.') {
                continue;
            }
            let shown = joined(shown, name);
            if is_folder {
                self.add_below(&path, &shown, skips_hidden)?;
            } else if metadata(&path)?.is_some_and(|found| found.is_file()) {
                self.add(&path, &shown)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, at: &Path, shown: &str) -> Result<(), FilesError> {
        self.count += 1;
        if self.found.insert(shown.to_owned(), at.to_owned()).is_none() {
            self.bytes += shown.len();
        }
        if self.found.len() > MOST_FILES || self.bytes > MOST_PATH_BYTES {
            return Err(FilesError::TooMany);
        }
        Ok(())
    }
}

fn joined(shown: &str, name: &str) -> String {
    let slash = if shown.is_empty() || shown.ends_with('/') { "" } else { "/" };
    format!("{shown}{slash}{name}")
}

/// The name, if the step matches it.
fn matching(name: &std::ffi::OsStr, path: &Path, step: &PatternStep) -> Result<Option<String>, FilesError> {
    let lossy = name.to_string_lossy();
    match (step.matches(&lossy), name.to_str()) {
        (false, _) => Ok(None),
        (true, Some(name)) => Ok(Some(name.to_owned())),
        (true, None) => Err(FilesError::Name { path: path.to_owned() }),
    }
}

/// What is at a path; none if nothing is there.
fn metadata(path: &Path) -> Result<Option<fs::Metadata>, FilesError> {
    match fs::metadata(path) {
        Ok(found) => Ok(Some(found)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(FilesError::Io { path: path.to_owned(), source }),
    }
}

/// The names in a folder with their paths, and whether each is a folder itself; none if there is no folder.
fn names(folder: &Path) -> Result<Vec<(std::ffi::OsString, PathBuf, bool)>, FilesError> {
    let failed = |source| FilesError::Io { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        names.push((entry.file_name(), entry.path(), is_folder));
    }
    Ok(names)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
