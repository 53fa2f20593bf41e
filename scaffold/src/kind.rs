//! The kinds and languages of new handlers.

/// The kind of a new handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Runs operations of one type.
    Handler(Language),
    /// Has the capability `content`: installs, updates, uninstalls and lists units. In Rust.
    Content,
    /// Has the capability `bind`: binds and unbinds repositories. In Rust.
    Bind,
    /// Has the capability `system`: restarts machines. In Rust.
    System,
    /// A Kubernetes operator in Rust, with the crates `pop-operator` and `pop-operator-runtime`.
    RustOperator,
    /// A Kubernetes operator whose handler is a program in Python.
    PythonOperator,
}

/// The programming language of a new handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Rust, with the toolkit.
    Rust,
    /// Python, with its standard library.
    Python,
    /// POSIX shell.
    Shell,
}

impl Kind {
    /// The name of the handler's capability.
    pub(crate) fn capability(self) -> Option<&'static str> {
        match self {
            Self::Handler(_) | Self::RustOperator | Self::PythonOperator => None,
            Self::Content => Some("content"),
            Self::Bind => Some("bind"),
            Self::System => Some("system"),
        }
    }
}
