//! The intermediate path: the folder that a payload names for a handler's temporary files. A deployment can require that
//! the path contains certain texts (tokens), for example the agenda's id.

use thiserror::Error;

use crate::field::{FieldName, Found};
use crate::launch_data::LaunchDataWrapper;
use crate::names::{self, property};

/// Error: the intermediate path is not allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IntermediateError {
    /// The path lacks a token.
    #[error("intermediate path `{path}` does not contain `{token}`")]
    Token {
        /// Path in the payload.
        path: String,
        /// The missing token.
        token: String,
    },
    /// A token refers to the agenda id, which is unknown.
    #[error("required token `{token}` needs the environment variable `AGENDA_ID`, which is not set")]
    NoAgenda {
        /// The token as written.
        token: String,
    },
}

/// The intermediate path of a payload (`requested`). It must contain every token of the property
/// `pop.handler.intermediate.requiredPathTokens`, in any letter case.
///
/// Without a path, or with a blank one, the result is none, and the handler uses its own default.
pub fn intermediate_path(
    launch: &(impl LaunchDataWrapper + ?Sized),
    requested: Option<&str>,
) -> Result<Option<String>, IntermediateError> {
    let Some(path) = requested.filter(|path| !path.trim().is_empty()) else { return Ok(None) };
    let tokens = launch.field(&FieldName::of_property(property::INTERMEDIATE_REQUIRED_TOKENS));
    let tokens = tokens.map(|Found { value, .. }| value).unwrap_or_default();
    let lower = path.to_lowercase();
    for token in tokens.split(',').map(str::trim).filter(|token| !token.is_empty()) {
        let wanted = if token.contains(names::AGENDA_ID_REFERENCE) {
            let agenda = launch.agenda_id();
            let agenda = agenda.ok_or_else(|| IntermediateError::NoAgenda { token: token.to_owned() })?;
            token.replace(names::AGENDA_ID_REFERENCE, &agenda.value)
        } else {
            token.to_owned()
        };
        if !lower.contains(&wanted.to_lowercase()) {
            return Err(IntermediateError::Token { path: path.to_owned(), token: wanted });
        }
    }
    Ok(Some(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Arguments, DefaultLaunchData, Defaults, Environment, Properties};
    use std::path::Path;

    fn check(tokens: &str, agenda: &str, path: Option<&str>) -> Result<Option<String>, IntermediateError> {
        let text = format!("pop.handler.intermediate.requiredPathTokens={tokens}");
        let launch = DefaultLaunchData::from_parts(
            Arguments::default(),
            Environment::from_pairs([("AGENDA_ID", agenda)]),
            Properties::parse(Path::new("p"), text.as_bytes()).unwrap(),
            &Defaults::handler(),
        );
        intermediate_path(&launch.unwrap(), path)
    }

    #[test]
    fn a_path_with_every_token_is_allowed() {
        for (tokens, path) in [
            ("", "/any"),
            ("scratch", "/mnt/Scratch/x"),
            ("SCRATCH", "/mnt/scratch/x"),
            ("scratch, @<pop.agendaId>,", "/mnt/scratch/A1"),
            ("/@<pop.agendaId>/tmp", "/a1/tmp"),
        ] {
            assert_eq!(check(tokens, "a1", Some(path)).unwrap().as_deref(), Some(path), "{tokens}");
        }
        for path in [None, Some(""), Some("  ")] {
            assert_eq!(check("scratch", "a1", path), Ok(None));
        }
    }

    #[test]
    fn a_path_without_a_token_is_an_error() {
        let error = check("scratch,@<pop.agendaId>", "a1", Some("/scratch/b2")).unwrap_err();
        assert_eq!(error.to_string(), "intermediate path `/scratch/b2` does not contain `a1`");
        let error = check("@<pop.agendaId>", "", Some("/scratch")).unwrap_err();
        assert_eq!(error, IntermediateError::NoAgenda { token: "@<pop.agendaId>".into() });
    }
}
