//! Generates the files of a new handler project from a name and choices.
//!
//! ```
//! use pop_scaffold::{Kind, Language, Name, Project};
//!
//! let project = Project { name: Name::parse("probe")?, kind: Kind::Handler(Language::Shell), toolkit: None };
//! assert!(project.files().iter().any(|file| file.path == "handler.sh" && file.is_executable));
//! # Ok::<(), pop_scaffold::NameError>(())
//! ```
//!
//! The templates are files in `templates/KIND`. To add a kind, add a folder there, a variant of [`Kind`] and a list in the
//! module `templates`.

mod kind;
mod name;
mod project;
mod templates;

pub use kind::{Kind, Language};
pub use name::{Name, NameError};
pub use project::{NewFile, Project, Toolkit};
