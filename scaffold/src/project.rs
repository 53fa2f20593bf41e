//! A new project: the user's choices, and the files generated from them.

use crate::templates::{Template, templates};
use crate::{Kind, Name};

/// The source of the toolkit for a project in Rust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolkit {
    /// This version of the package registry.
    Version(String),
    /// The folder of a checkout with the packages of the toolkit.
    Folder(String),
}

/// The user's choices for a new project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Name of the handler and its project.
    pub name: Name,
    /// Kind of the handler.
    pub kind: Kind,
    /// Source of the toolkit [default: this crate's version].
    pub toolkit: Option<Toolkit>,
}

/// A file of a new project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Path in the project's folder, separated by `/`.
    pub path: &'static str,
    /// Content of the file.
    pub text: String,
    /// Whether the file needs the execute permission.
    pub is_executable: bool,
}

impl Toolkit {
    /// The value of a dependency in Cargo.toml; `package` is its folder in a checkout.
    fn to_toml(&self, package: &str) -> String {
        match self {
            Self::Version(version) => quoted(version),
            Self::Folder(folder) => format!("{{ path = {} }}", quoted(&format!("{folder}/{package}"))),
        }
    }
}

impl Default for Toolkit {
    fn default() -> Self {
        Self::Version(env!("CARGO_PKG_VERSION").to_owned())
    }
}

impl Project {
    /// Generates the files; each path occurs once.
    pub fn files(&self) -> Vec<NewFile> {
        let toolkit = self.toolkit.clone().unwrap_or_default();
        let [base, operator, runtime] =
            ["handler-base", "operator", "operator-runtime"].map(|package| toolkit.to_toml(package));
        let crate_name = self.name.to_crate();
        let resource = self.name.to_kind();
        let value = |placeholder: &str| match placeholder {
            "name" => Some(self.name.as_str()),
            "crate" => Some(&*crate_name),
            "toolkit" => Some(&*base),
            "operator" => Some(&*operator),
            "operator-runtime" => Some(&*runtime),
            "kind" => Some(&*resource),
            "capability" => self.kind.capability(),
            "rust-version" => Some(env!("CARGO_PKG_RUST_VERSION")),
            _ => None,
        };
        let file_of = |&Template { path, text, is_executable }: &Template| NewFile {
            path,
            text: fill(text, value),
            is_executable,
        };
        templates(self.kind).iter().map(file_of).collect()
    }
}

/// Replaces each `{{placeholder}}` in a text once. Placeholders in the values stay.
fn fill<'v>(text: &str, value: impl Fn(&str) -> Option<&'v str>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let known = after.split_once("}}").and_then(|(name, after)| Some((value(name)?, after)));
        match known {
            Some((value, after)) => {
                filled.push_str(value);
                rest = after;
            }
            None => {
                filled.push_str("{{");
                rest = after;
            }
        }
    }
    filled + rest
}

/// Quotes a text as a basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            // TOML requires an escape for control characters
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
    use crate::Language;
    use std::collections::BTreeSet;

    const KINDS: [Kind; 6] = [
        Kind::Handler(Language::Rust),
        Kind::Handler(Language::Python),
        Kind::Handler(Language::Shell),
        Kind::Content,
        Kind::Bind,
        Kind::System,
    ];

    const OPERATORS: [Kind; 2] = [Kind::RustOperator, Kind::PythonOperator];

    fn project(name: &str, kind: Kind) -> Project {
        Project { name: Name::parse(name).unwrap(), kind, toolkit: None }
    }

    fn text(files: &[NewFile], path: &str) -> String {
        files.iter().find(|file| file.path == path).unwrap().text.clone()
    }

    #[test]
    fn every_kind_has_all_files_without_placeholders() {
        let of_all = ["README.md", "Dockerfile", ".github/workflows/ci.yml", ".gitignore"];
        let handlers = KINDS.map(|kind| (kind, &["payload.json", "registry.json", "agenda.yaml"][..]));
        let operators = OPERATORS.map(|kind| (kind, &["operator.yaml", "example.yaml"][..]));
        for (kind, own) in handlers.into_iter().chain(operators) {
            let files = project("my-probe", kind).files();
            let paths: BTreeSet<&str> = files.iter().map(|file| file.path).collect();
            assert_eq!(paths.len(), files.len(), "a path occurs twice");
            for path in of_all.iter().chain(own) {
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
    fn registry_serves_the_type_of_the_agenda() {
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
    fn resource_of_an_operator_is_named_after_it() {
        for (name, kind) in
            [("sites", "Site"), ("web-site", "WebSite"), ("policy", "Policy"), ("glass", "Glass"), ("s", "S")]
        {
            assert_eq!(Name::parse(name).unwrap().to_kind(), kind);
        }
        // its plural may be two letters longer, and is a label of at most 63
        assert!(Name::parse(&"x".repeat(63)).unwrap().to_kind().len() <= 61);
    }

    #[test]
    fn toolkit_is_a_version_or_a_quoted_folder() {
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
        assert_eq!(
            manifest(Some(folder)),
            r#"pop-handler-base = { path = "/a \"b\"\\{{name}}\u007F/handler-base" }"#
        );
    }

    #[test]
    fn unknown_placeholders_stay() {
        let value = |name: &str| (name == "a").then_some("{{a}}");
        assert_eq!(fill("{{a}} {{b}} {{a", value), "{{a}} {{b}} {{a");
        assert_eq!(fill("x{{a}}{{{a}}", value), "x{{a}}{{{a}}");
    }
}
