//! The capabilities of a descriptor: named groups of actions that handlers may take on.

use std::fmt;

/// A group of actions that a handler takes on for a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Installs, updates and uninstalls content of the type, and tells what there is.
    Content,
    /// Has a consumer follow a repository of the type.
    Bind,
    /// Looks after an operating system of this name.
    System,
}

impl Capability {
    /// All of them, in the order in which a descriptor's types are taken.
    pub const ALL: [Self; 3] = [Self::Content, Self::Bind, Self::System];

    /// Its word in `[types]`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Bind => "bind",
            Self::System => "system",
        }
    }

    /// The actions that a handler answers. What a binding has left is cleaned by everybody.
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Content => {
                &["content.install", "content.update", "content.uninstall", "content.profile", "bind.clean"]
            }
            Self::Bind => &["bind.bind", "bind.unbind", "bind.clean"],
            Self::System => &["system.reboot", "bind.clean"],
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
