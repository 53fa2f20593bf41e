//! The templates of each kind of project.

use crate::kind::{Kind, Language};

/// A file of a project with placeholders.
pub(crate) struct Template {
    pub(crate) path: &'static str,
    pub(crate) text: &'static str,
    pub(crate) is_executable: bool,
}

/// The file `$path` of a project, from a template.
macro_rules! file {
    ($path:literal from $template:expr) => {
        Template {
            path: $path,
            text: include_str!(concat!("../templates/", $template)),
            is_executable: false,
        }
    };
    ($path:literal from $template:expr, executable) => {
        Template { is_executable: true, ..file!($path from $template) }
    };
}

/// The templates of a project.
pub(crate) fn templates(kind: Kind) -> &'static [Template] {
    match kind {
        Kind::Handler(Language::Rust) => &RUST_HANDLER,
        Kind::Handler(Language::Python) => &PYTHON_HANDLER,
        Kind::Handler(Language::Shell) => &SHELL_HANDLER,
        Kind::Content => &CONTENT,
        Kind::Bind => &BIND,
        Kind::System => &SYSTEM,
        Kind::RustOperator => &RUST_OPERATOR,
        Kind::PythonOperator => &PYTHON_OPERATOR,
    }
}

/// A handler with a capability; the folder `$kind` has the specific files.
macro_rules! capability {
    ($kind:literal) => {
        [
            file!("Cargo.toml" from "capability/Cargo.toml.in"),
            file!("src/main.rs" from "capability/main.rs"),
            file!("src/lib.rs" from concat!($kind, "/lib.rs")),
            file!("README.md" from "capability/README.md"),
            file!("payload.json" from concat!($kind, "/payload.json")),
            file!("registry.json" from concat!($kind, "/registry.json")),
            file!("agenda.yaml" from concat!($kind, "/agenda.yaml")),
            file!("Dockerfile" from "handler/rust/Dockerfile"),
            file!(".github/workflows/ci.yml" from "handler/rust/ci.yml"),
            file!(".dockerignore" from "handler/rust/dockerignore"),
            file!(".gitignore" from "handler/rust/gitignore"),
        ]
    };
}

const CONTENT: [Template; 11] = capability!("content");
const BIND: [Template; 11] = capability!("bind");
const SYSTEM: [Template; 11] = capability!("system");

// Cargo and git would use templates named `Cargo.toml` or `.gitignore` for this repository, so they have other names
const RUST_HANDLER: [Template; 11] = [
    file!("Cargo.toml" from "handler/rust/Cargo.toml.in"),
    file!("src/main.rs" from "handler/rust/src/main.rs"),
    file!("src/lib.rs" from "handler/rust/src/lib.rs"),
    file!("README.md" from "handler/rust/README.md"),
    file!("payload.json" from "handler/payload.json"),
    file!("registry.json" from "handler/rust/registry.json"),
    file!("agenda.yaml" from "handler/agenda.yaml"),
    file!("Dockerfile" from "handler/rust/Dockerfile"),
    file!(".github/workflows/ci.yml" from "handler/rust/ci.yml"),
    file!(".dockerignore" from "handler/rust/dockerignore"),
    file!(".gitignore" from "handler/rust/gitignore"),
];

const PYTHON_HANDLER: [Template; 10] = [
    file!("handler.py" from "handler/python/handler.py", executable),
    file!("pop_handler.py" from "handler/python/pop_handler.py"),
    file!("test_handler.py" from "handler/python/test_handler.py"),
    file!("README.md" from "handler/python/README.md"),
    file!("payload.json" from "handler/payload.json"),
    file!("registry.json" from "handler/python/registry.json"),
    file!("agenda.yaml" from "handler/agenda.yaml"),
    file!("Dockerfile" from "handler/python/Dockerfile"),
    file!(".github/workflows/ci.yml" from "handler/python/ci.yml"),
    file!(".gitignore" from "handler/python/gitignore"),
];

const SHELL_HANDLER: [Template; 9] = [
    file!("handler.sh" from "handler/shell/handler.sh", executable),
    file!("test.sh" from "handler/shell/test.sh", executable),
    file!("README.md" from "handler/shell/README.md"),
    file!("payload.json" from "handler/payload.json"),
    file!("registry.json" from "handler/shell/registry.json"),
    file!("agenda.yaml" from "handler/agenda.yaml"),
    file!("Dockerfile" from "handler/shell/Dockerfile"),
    file!(".github/workflows/ci.yml" from "handler/shell/ci.yml"),
    file!(".gitignore" from "handler/shell/gitignore"),
];

const RUST_OPERATOR: [Template; 10] = [
    file!("Cargo.toml" from "operator/rust/Cargo.toml.in"),
    file!("src/main.rs" from "operator/rust/src/main.rs"),
    file!("src/lib.rs" from "operator/rust/src/lib.rs"),
    file!("README.md" from "operator/rust/README.md"),
    file!("operator.yaml" from "operator/operator.yaml"),
    file!("example.yaml" from "operator/example.yaml"),
    file!("Dockerfile" from "operator/rust/Dockerfile"),
    file!(".github/workflows/ci.yml" from "handler/rust/ci.yml"),
    file!(".dockerignore" from "handler/rust/dockerignore"),
    file!(".gitignore" from "handler/rust/gitignore"),
];

const PYTHON_OPERATOR: [Template; 10] = [
    file!("operator_handler.py" from "operator/python/operator_handler.py", executable),
    file!("pop_handler.py" from "handler/python/pop_handler.py"),
    file!("test_operator.py" from "operator/python/test_operator.py"),
    file!("README.md" from "operator/python/README.md"),
    file!("operator.yaml" from "operator/operator.yaml"),
    file!("example.yaml" from "operator/example.yaml"),
    file!("registry.json" from "operator/python/registry.json"),
    file!("Dockerfile" from "operator/python/Dockerfile"),
    file!(".github/workflows/ci.yml" from "handler/python/ci.yml"),
    file!(".gitignore" from "handler/python/gitignore"),
];
