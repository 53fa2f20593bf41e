//! A new project: what was chosen, and the files that follow from it.

use crate::Name;
use crate::templates::{Template, of};

/// What is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A program that carries operations of one type out.
    Handler(Language),
    /// One that installs, updates, uninstalls and lists units, in Rust.
    Content,
    /// One that binds and unbinds repositories, in Rust.
    Bind,
    /// One that restarts machines, in Rust.
    System,
}

/// What it is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust, with the toolkit.
    Rust,
    /// Python, with its standard library.
    Python,
    /// POSIX shell.
    Shell,
}

/// Where a project in Rust has the toolkit from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolkit {
    /// From the package registry, in this version.
    Version(String),
    /// From the folder of its package.
    Folder(String),
}

/// What was chosen for a new project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// What it is called.
    pub name: Name,
    /// What it is.
    pub kind: Kind,
    /// Where the toolkit comes from; otherwise it is the version of this crate.
    pub toolkit: Option<Toolkit>,
}

/// A file of a new project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its path in the project's folder, with `/`.
    pub path: &'static str,
    /// What stands in it.
    pub text: String,
    /// Whether it is a program.
    pub is_executable: bool,
}

impl Kind {
    /// The word for the capability that it has.
    fn capability(self) -> Option<&'static str> {
        match self {
            Self::Handler(_) => None,
            Self::Content => Some("content"),
            Self::Bind => Some("bind"),
            Self::System => Some("system"),
        }
    }
}

impl Toolkit {
    /// What stands behind `pop-handler-base =` in a manifest.
    fn to_toml(&self) -> String {
        match self {
            Self::Version(version) => quoted(version),
            Self::Folder(folder) => format!("{{ path = {} }}", quoted(folder)),
        }
    }
}

impl Default for Toolkit {
    fn default() -> Self {
        Self::Version(env!("CARGO_PKG_VERSION").to_owned())
    }
}

impl Project {
    /// The files, none of them twice.
    pub fn files(&self) -> Vec<NewFile> {
        let toolkit = self.toolkit.clone().unwrap_or_default().to_toml();
        let crate_name = self.name.to_crate();
        let value = |placeholder: &str| match placeholder {
            "name" => Some(self.name.as_str()),
            "crate" => Some(&*crate_name),
            "toolkit" => Some(&*toolkit),
            "capability" => self.kind.capability(),
            "rust-version" => Some(env!("CARGO_PKG_RUST_VERSION")),
            _ => None,
        };
        let made = |&Template { path, text, is_executable }: &Template| NewFile {
            path,
            text: filled(text, value),
            is_executable,
        };
        of(self.kind).iter().map(made).collect()
    }
}

/// A text with `{{placeholder}}` replaced, once: what comes in is not looked at again.
fn filled<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        done.push_str(before);
        let known = after.split_once("}}").and_then(|(name, after)| Some((value(name)?, after)));
        match known {
            Some((value, after)) => {
                done.push_str(value);
                rest = after;
            }
            None => {
                done.push_str("{{");
                rest = after;
            }
        }
    }
    done + rest
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            // in TOML a control character is written as its number
            _ if letter.is_control() => {
                let number = format!("{:04X}", u32::from(letter));
                quoted.push_str("\\u");
                quoted.push_str(&number);
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const KINDS: [Kind; 6] = [
        Kind::Handler(Language::Rust),
        Kind::Handler(Language::Python),
        Kind::Handler(Language::Shell),
        Kind::Content,
        Kind::Bind,
        Kind::System,
    ];

    fn project(name: &str, kind: Kind) -> Project {
        Project { name: Name::parse(name).unwrap(), kind, toolkit: None }
    }

    fn text(files: &[NewFile], path: &str) -> String {
        files.iter().find(|file| file.path == path).unwrap().text.clone()
    }

    #[test]
    fn every_kind_has_all_files_and_no_placeholder_is_left() {
        for kind in KINDS {
            let files = project("my-probe", kind).files();
            let paths: BTreeSet<&str> = files.iter().map(|file| file.path).collect();
            assert_eq!(paths.len(), files.len(), "a file is there twice");
            for path in [
                "README.md",
                "payload.json",
                "registry.json",
                "agenda.yaml",
                "Dockerfile",
                ".github/workflows/ci.yml",
                ".gitignore",
            ] {
                assert!(paths.contains(path), "{kind:?} has no {path}");
            }
            for file in &files {
                assert!(!file.text.contains("{{"), "{kind:?} {}", file.path);
                assert!(file.text.ends_with('\n') && !file.text.ends_with("\n\n"), "{kind:?} {}", file.path);
                assert_eq!(file.is_executable, file.text.starts_with("#!"), "{kind:?} {}", file.path);
            }
        }
    }

    #[test]
    fn the_registry_serves_the_type_that_the_agenda_uses() {
        for kind in KINDS {
            let files = project("my-probe", kind).files();
            let registry: serde_json::Value = serde_json::from_str(&text(&files, "registry.json")).unwrap();
            assert_eq!(registry["my-probe"]["podConfig"]["imageName"], "my-probe:0.1.0");
            assert_eq!(registry["my-probe"]["describe"], true);
            assert!(registry["my-probe"]["command"][0].is_string());
            assert_eq!(text(&files, "agenda.yaml").matches("type: my-probe\n").count(), 2);
            serde_json::from_str::<serde_json::Value>(&text(&files, "payload.json")).unwrap();
        }
    }

    #[test]
    fn the_toolkit_is_a_version_or_a_folder_whatever_its_letters() {
        let manifest = |toolkit| {
            let files = Project { toolkit, ..project("my-probe", Kind::Handler(Language::Rust)) }.files();
            let line = text(&files, "Cargo.toml");
            line.lines().find(|line| line.starts_with("pop-handler-base")).unwrap().to_owned()
        };
        let own = concat!("pop-handler-base = \"", env!("CARGO_PKG_VERSION"), "\"");
        assert_eq!(manifest(None), own);
        let version = Toolkit::Version("2.1".to_owned());
        assert_eq!(manifest(Some(version)), "pop-handler-base = \"2.1\"");
        let folder = Toolkit::Folder("/a \"b\"\\{{name}}\u{7f}".to_owned());
        assert_eq!(manifest(Some(folder)), r#"pop-handler-base = { path = "/a \"b\"\\{{name}}\u007F" }"#);
    }

    #[test]
    fn only_what_is_known_is_filled_in() {
        let value = |name: &str| (name == "a").then_some("{{a}}");
        assert_eq!(filled("{{a}} {{b}} {{a", value), "{{a}} {{b}} {{a");
        assert_eq!(filled("x{{a}}{{{a}}", value), "x{{a}}{{{a}}");
    }
}
