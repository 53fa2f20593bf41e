//! Arguments of `pop new`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `pop new`
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Name of the operation type or operator, and of its folder, program and image
    pub(crate) name: String,
    /// Programming language
    #[arg(long, value_enum, default_value_t = NewLanguage::Rust)]
    pub(crate) lang: NewLanguage,
    /// What to create
    #[arg(long, value_enum, default_value_t = NewKind::Handler)]
    pub(crate) kind: NewKind,
    /// Source of the Rust toolkit: folder of a pop checkout, or a version [default: the version of this pop]
    #[arg(long, value_name = "FOLDER|VERSION")]
    pub(crate) toolkit: Option<String>,
    /// Create its folder in this folder
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) into: PathBuf,
}

/// Languages of new handlers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewLanguage {
    /// Rust, with the toolkit
    Rust,
    /// Python 3.11 or later, without packages
    Python,
    /// POSIX shell
    Shell,
}

/// Kinds of new projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewKind {
    /// Performs operations of one type
    Handler,
    /// Installs, updates, uninstalls and lists units of content
    Content,
    /// Binds a machine to repositories
    Bind,
    /// Restarts a machine
    System,
    /// A Kubernetes operator (rust, python)
    Operator,
}
