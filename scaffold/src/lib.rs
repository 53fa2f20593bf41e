//! The first files of a new handler: a name and choices in, a list of files out.
//!
//! ```
//! use pop_scaffold::{Kind, Language, Name, Project};
//!
//! let project = Project { name: Name::parse("probe")?, kind: Kind::Handler(Language::Shell), toolkit: None };
//! assert!(project.files().iter().any(|file| file.path == "handler.sh" && file.is_executable));
//! # Ok::<(), pop_scaffold::NameError>(())
//! ```
//!
//! The templates are files in `templates/KIND`; another kind is another folder there, a line in [`Kind`] and one in the
//! table of `templates`.

mod name;
mod project;
mod templates;

pub use name::{Name, NameError};
pub use project::{Kind, Language, NewFile, Project, Toolkit};
