//! Targets of operations: built-in handlers, and programs of entries.

use crate::entry::{DescriptorFields, Entry};
use pop_contract::LaunchType;

/// A handler that runs inside the executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resident {
    /// `logMessages`: writes lines into its log.
    LogMessages,
    /// `updateAgenda`: adds operations to the run.
    UpdateAgenda,
    /// `sample`: POP's sample handler.
    Sample,
}

/// The built-in types with a resident handler.
const RESIDENTS: [(&str, Resident); 3] = [
    ("logMessages", Resident::LogMessages),
    ("updateAgenda", Resident::UpdateAgenda),
    ("sample", Resident::Sample),
];
const EXEC: &str = "exec";
const DISPATCH: &str = "dispatch";
const AGENDA: &str = "agenda";

/// Target of an operation: the handler that carries it out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target<'c> {
    /// The command in the operation's own payload.
    Exec,
    /// A handler inside the executor.
    Resident(Resident),
    /// The handlers of the types in the operation's payload.
    Dispatch,
    /// The operations in the operation's payload.
    Agenda,
    /// The program of a registry entry.
    Program(&'c Entry),
}

/// The target of a built-in type.
pub(crate) fn built_in<'c>(name: &str) -> Option<Target<'c>> {
    match name {
        EXEC => return Some(Target::Exec),
        DISPATCH => return Some(Target::Dispatch),
        AGENDA => return Some(Target::Agenda),
        _ => {}
    }
    RESIDENTS.iter().find(|(known, _)| *known == name).map(|(_, resident)| Target::Resident(*resident))
}

/// The built-in types.
pub(crate) fn built_in_types() -> impl Iterator<Item = &'static str> {
    [EXEC, DISPATCH, AGENDA].into_iter().chain(RESIDENTS.iter().map(|(name, _)| *name))
}

impl DescriptorFields {
    /// Whether the class is a built-in type.
    pub fn is_built_in(&self) -> bool {
        built_in(&self.class).is_some()
    }
}

impl Entry {
    /// The target of the entry for a launch type, or the name of the missing field.
    pub fn target(&self, on: LaunchType) -> Result<Target<'_>, &'static str> {
        let built_in = self.descriptor.as_ref().and_then(|fields| built_in(&fields.class));
        let (is_launchable, missing) = if on.capabilities().needs_image {
            (self.image().is_some(), "podConfig.imageName")
        } else {
            (self.command.is_some(), "command")
        };
        match built_in {
            Some(target) => Ok(target),
            None if is_launchable => Ok(Target::Program(self)),
            None => Err(missing),
        }
    }
}
