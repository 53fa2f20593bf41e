//! The folder from which packages come: `NAME/VERSION/…files`.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder from which packages come.
pub(super) struct Repository(PathBuf);

/// A package of a repository.
#[derive(Debug)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) folder: PathBuf,
    /// Its files, as paths below its folder.
    pub(super) files: BTreeSet<String>,
}

impl Repository {
    pub(super) fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// The package of this name and version, or of the newest; or why there is none.
    pub(super) fn package(&self, name: &str, version: Option<&str>) -> Result<Package, String> {
        let wrong = no_name(name).or_else(|| no_name(version?));
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
        let versions = self.0.join(name);
        if !is_folder(&versions) {
            return Err("is no package of the repository".to_owned());
        }
        let version = match version {
            Some(version) => version.to_owned(),
            None => newest(&versions)?,
        };
        let folder = versions.join(&version);
        if !is_folder(&folder) {
            return Err("is no version of the package".to_owned());
        }
        let mut files = BTreeSet::new();
        walk(&folder, "", &mut files)?;
        Ok(Package { name: name.to_owned(), version, folder, files })
    }
}

/// Why this is no name of a package or version, if it is none.
pub(super) fn no_name(text: &str) -> Option<String> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || "._+-".contains(letter);
    let is_good =
        !text.starts_with('.') && !text.is_empty() && text.len() <= 100 && text.chars().all(is_letter);
    (!is_good).then(|| "is no name: that is letters, digits and `._+-`, with no `.` first".to_owned())
}

/// Whether it is a folder, and no link to one.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

fn newest(versions: &Path) -> Result<String, String> {
    let entries = fs::read_dir(versions).map_err(|error| error.to_string())?;
    let names = entries.flatten().filter(|entry| is_folder(&entry.path()));
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let newest = names.filter(|name| no_name(name).is_none()).max_by(|one, other| compare(one, other));
    newest.ok_or_else(|| "has no version in the repository".to_owned())
}

/// Part by part between the dots; numbers by their value, and above words.
fn compare(one: &str, other: &str) -> Ordering {
    let parts = |text: &str| -> Vec<(Option<u64>, String)> {
        text.split('.').map(|part| (part.parse().ok(), part.to_owned())).collect()
    };
    parts(one).cmp(&parts(other))
}

/// Finds the files of a folder. A link could lead anywhere: a package has none.
fn walk(folder: &Path, below: &str, files: &mut BTreeSet<String>) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot be read: `{}`: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().into_string();
        let name =
            name.map_err(|name| format!("has a file with a name that is not UTF-8: {}", name.display()))?;
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            walk(&entry.path(), &path, files)?;
        } else if kind.is_file() {
            files.insert(path);
        } else {
            return Err(format!("has `{path}`, which is neither file nor folder"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        let mut versions = ["1.10", "1.9", "2", "1.9.1", "1.9.rc1", "10.0"];
        versions.sort_by(|one, other| compare(one, other));
        assert_eq!(versions, ["1.9", "1.9.rc1", "1.9.1", "1.10", "2", "10.0"]);
    }

    #[test]
    fn names_lead_nowhere() {
        for bad in ["", ".", "..", "../a", "a/b", "/a", "a\0", ".hidden", "ä"] {
            assert!(no_name(bad).is_some(), "{bad}");
        }
        for good in ["a", "lib-x", "1.0+git_2", "a..b"] {
            assert!(no_name(good).is_none(), "{good}");
        }
    }
}
