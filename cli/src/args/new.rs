//! Arguments of `pop new`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `pop new`
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// What it is called: the operation type, and the name of its folder, program and image
    pub(crate) name: String,
    /// What it is written in
    #[arg(long, value_enum, default_value_t = NewLanguage::Rust)]
    pub(crate) lang: NewLanguage,
    /// What it is
    #[arg(long, value_enum, default_value_t = NewKind::Handler)]
    pub(crate) kind: NewKind,
    /// Where Rust has the toolkit from: the folder of a checkout of pop, or a version [default: the version of
    /// this pop]
    #[arg(long, value_name = "FOLDER|VERSION")]
    pub(crate) toolkit: Option<String>,
    /// Folder in which the new one is made
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) into: PathBuf,
}

/// What `pop new` can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewLanguage {
    /// Rust, with the toolkit
    Rust,
    /// Python 3.11 or later, without packages
    Python,
    /// POSIX shell
    Shell,
}

/// What `pop new` can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewKind {
    /// A program that carries operations of one type out
    Handler,
    /// One that installs, updates, uninstalls and lists units of content
    Content,
    /// One that binds a machine to repositories
    Bind,
    /// One that restarts a machine
    System,
}
