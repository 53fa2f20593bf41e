//! Scopes of tokens.

use std::fmt;
use std::str::FromStr;

/// What a token permits. `admin` permits everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Submit agendas and run them again.
    Submit,
    /// Take agendas and report about them; for pullers and executors.
    Pull,
    /// Read objects.
    Read,
    /// Change and delete objects, manage tokens.
    Admin,
}

impl Scope {
    /// All scopes.
    pub const ALL: [Self; 4] = [Self::Submit, Self::Pull, Self::Read, Self::Admin];

    /// Name of the scope.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Submit => "submit",
            Self::Pull => "pull",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text that is no scope.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a scope; use submit, pull, read or admin")]
pub struct UnknownScope(String);

impl FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found = Self::ALL.into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope(text.to_owned()))
    }
}
