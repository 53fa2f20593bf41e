//! Which templates make which project.

use crate::{Kind, Language};

/// A file of a project, not filled in yet.
pub(crate) struct Template {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
    pub(crate) is_executable: bool,
}

/// A file `$path` of a project, from a template of the kind `handler`.
macro_rules! handler {
    ($path:literal from $template:literal) => {
        Template {
            path: $path,
            text: include_str!(concat!("../templates/handler/", $template)),
            is_executable: false,
        }
    };
    ($path:literal from $template:literal, executable) => {
        Template { is_executable: true, ..handler!($path from $template) }
    };
}

/// The templates of a project.
pub(crate) fn of(kind: Kind, language: Language) -> &'static [Template] {
    match (kind, language) {
        (Kind::Handler, Language::Rust) => &RUST_HANDLER,
        (Kind::Handler, Language::Python) => &PYTHON_HANDLER,
        (Kind::Handler, Language::Shell) => &SHELL_HANDLER,
    }
}

// a manifest or an ignore file with its own name would be taken for one of this repository
const RUST_HANDLER: [Template; 11] = [
    handler!("Cargo.toml" from "rust/Cargo.toml.in"),
    handler!("src/main.rs" from "rust/src/main.rs"),
    handler!("src/lib.rs" from "rust/src/lib.rs"),
    handler!("README.md" from "rust/README.md"),
    handler!("payload.json" from "payload.json"),
    handler!("registry.json" from "rust/registry.json"),
    handler!("agenda.yaml" from "agenda.yaml"),
    handler!("Dockerfile" from "rust/Dockerfile"),
    handler!(".github/workflows/ci.yml" from "rust/ci.yml"),
    handler!(".dockerignore" from "rust/dockerignore"),
    handler!(".gitignore" from "rust/gitignore"),
];

const PYTHON_HANDLER: [Template; 10] = [
    handler!("handler.py" from "python/handler.py", executable),
    handler!("pop_handler.py" from "python/pop_handler.py"),
    handler!("test_handler.py" from "python/test_handler.py"),
    handler!("README.md" from "python/README.md"),
    handler!("payload.json" from "payload.json"),
    handler!("registry.json" from "python/registry.json"),
    handler!("agenda.yaml" from "agenda.yaml"),
    handler!("Dockerfile" from "python/Dockerfile"),
    handler!(".github/workflows/ci.yml" from "python/ci.yml"),
    handler!(".gitignore" from "python/gitignore"),
];

const SHELL_HANDLER: [Template; 9] = [
    handler!("handler.sh" from "shell/handler.sh", executable),
    handler!("test.sh" from "shell/test.sh", executable),
    handler!("README.md" from "shell/README.md"),
    handler!("payload.json" from "payload.json"),
    handler!("registry.json" from "shell/registry.json"),
    handler!("agenda.yaml" from "agenda.yaml"),
    handler!("Dockerfile" from "shell/Dockerfile"),
    handler!(".github/workflows/ci.yml" from "shell/ci.yml"),
    handler!(".gitignore" from "shell/gitignore"),
];
