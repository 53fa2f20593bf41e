//! Routes: which commands a handler answers, and which other handlers they call.

use pop_registry::Entry;
use std::collections::BTreeMap;

/// Variables with the endpoints of the handlers that a route calls begin like this.
pub const DEPENDENCY_VARIABLE: &str = "POP_HANDLER_";

/// Why a command is refused: no action of the handler has its name, and none stands for all others.
pub(crate) fn refusal(entry: &Entry, command: &str) -> Option<String> {
    let known = || entry.actions.as_deref().unwrap_or_default().join(", ");
    (!entry.has_action(command))
        .then(|| format!("the handler `{}` has no command `{command}`; it has: {}", entry.name, known()))
}

/// Why the dependencies of a handler are not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DependencyError {
    /// A route calls a handler without a known endpoint.
    #[error("no endpoint is given for {}", names(.0))]
    Missing(Vec<String>),
    /// No route calls the handler.
    #[error("no action of the handler depends on `{0}`")]
    Undeclared(String),
    /// The handler has two endpoints.
    #[error("the dependency `{0}` is given twice")]
    Twice(String),
    /// Two dependencies have the same variable.
    #[error("the dependencies `{0}` and `{1}` have the same variable {DEPENDENCY_VARIABLE}…")]
    SameVariable(String, String),
}

fn names(missing: &[String]) -> String {
    let quoted: Vec<String> = missing.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// The variables with the endpoints of the handlers that the routes of `entry` call, in the order of their names.
/// Every declared dependency needs exactly one endpoint.
pub fn dependency_variables(
    entry: &Entry,
    given: &[(String, String)],
) -> Result<Vec<(String, String)>, DependencyError> {
    let mut endpoints: BTreeMap<&str, &str> = BTreeMap::new();
    for (name, endpoint) in given {
        if !entry.dependencies.contains(name) {
            return Err(DependencyError::Undeclared(name.clone()));
        }
        if endpoints.insert(name, endpoint).is_some() {
            return Err(DependencyError::Twice(name.clone()));
        }
    }
    let missing = entry.dependencies.iter().filter(|name| !endpoints.contains_key(name.as_str()));
    let missing: Vec<String> = missing.cloned().collect();
    if !missing.is_empty() {
        return Err(DependencyError::Missing(missing));
    }
    let mut variables: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    for (name, endpoint) in endpoints {
        if let Some((other, _)) = variables.insert(variable(name), (name, endpoint)) {
            return Err(DependencyError::SameVariable(other.to_owned(), name.to_owned()));
        }
    }
    Ok(variables.into_iter().map(|(variable, (_, endpoint))| (variable, endpoint.to_owned())).collect())
}

/// The variable of a dependency: capital letters and digits, with `_` for every other character.
fn variable(name: &str) -> String {
    let plain = |character: char| {
        if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' }
    };
    format!("{DEPENDENCY_VARIABLE}{}", name.chars().map(plain).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(actions: Option<&[&str]>, dependencies: &[&str]) -> Entry {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Entry { actions: actions.map(owned), dependencies: owned(dependencies), ..Entry::default() }
    }

    fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, at)| ((*name).to_owned(), (*at).to_owned())).collect()
    }

    #[test]
    fn s8_an_unknown_command_is_refused_by_name_unless_there_is_a_fallback() {
        assert_eq!(refusal(&entry(None, &[]), "x"), None);
        let two = Entry { name: "h".to_owned(), ..entry(Some(&["a", "b"]), &[]) };
        assert_eq!(refusal(&two, "b"), None);
        let refused = refusal(&two, "x").unwrap();
        assert_eq!(refused, "the handler `h` has no command `x`; it has: a, b");
        assert_eq!(refusal(&entry(Some(&["a", "*"]), &[]), "x"), None);
    }

    #[test]
    fn s7_s10_every_declared_dependency_needs_exactly_one_endpoint() {
        let both = entry(None, &["thumb-1", "store"]);
        let variables = dependency_variables(&both, &given(&[("thumb-1", "tcp://a"), ("store", "ipc://b")]));
        let expected = [("POP_HANDLER_STORE", "ipc://b"), ("POP_HANDLER_THUMB_1", "tcp://a")];
        assert_eq!(variables, Ok(given(&expected)));
        let missing = DependencyError::Missing(vec!["thumb-1".to_owned(), "store".to_owned()]);
        assert_eq!(missing.to_string(), "no endpoint is given for `thumb-1`, `store`");
        assert_eq!(dependency_variables(&both, &[]), Err(missing));
        let undeclared = dependency_variables(&both, &given(&[("other", "x")]));
        assert_eq!(undeclared, Err(DependencyError::Undeclared("other".to_owned())));
        let twice = dependency_variables(&both, &given(&[("store", "x"), ("store", "y")]));
        assert_eq!(twice, Err(DependencyError::Twice("store".to_owned())));
        let alike = entry(None, &["a-b", "a.b"]);
        let alike = dependency_variables(&alike, &given(&[("a-b", "x"), ("a.b", "y")]));
        assert_eq!(alike, Err(DependencyError::SameVariable("a-b".to_owned(), "a.b".to_owned())));
    }
}
