//! The scopes of policies, from the weakest to the strongest.

use std::fmt;

/// Where a policy's value was set; a later variant wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// The built-in default.
    #[default]
    BuiltIn,
    /// The registry entry of the operation's type.
    Handler,
    /// The registry entry, for the stream of the operation (keys `role.…`).
    Role,
    /// The registry entry, for the action of the operation (keys `action.…`).
    Action,
    /// The agenda's `params`.
    Agenda,
    /// The operation's own `params`.
    Operation,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuiltIn => "built-in default",
            Self::Handler => "registry entry",
            Self::Role => "handler's role",
            Self::Action => "handler's action",
            Self::Agenda => "agenda",
            Self::Operation => "operation",
        })
    }
}

/// A value and the scope that set it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ScopedValue<T> {
    /// The effective value.
    pub value: T,
    /// The scope that set the value.
    pub scope: Scope,
}
