//! A snapshot of the process environment.

use std::collections::BTreeMap;
use std::fmt;

use crate::field::{Found, Origin};

/// A copy of the environment. An empty variable counts as unset.
///
/// `Debug` prints only names, because values may be secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

impl Environment {
    /// Copies the environment of this process. Bytes that are not UTF-8 become replacement characters.
    pub fn capture() -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::from_pairs(std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))))
    }

    /// An environment of names and values. The last of equal names wins.
    pub fn from_pairs<N, V>(pairs: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        let pairs = pairs.into_iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: pairs.filter(|(_, value): &(String, String)| !value.is_empty()).collect() }
    }

    /// This environment with other variables, which override those of the same name. An empty one unsets it.
    #[must_use]
    pub fn with<'v>(&self, variables: impl IntoIterator<Item = (&'v str, &'v str)>) -> Self {
        let mut all = self.variables.clone();
        for (name, value) in variables {
            if value.is_empty() {
                all.remove(name);
            } else {
                all.insert(name.to_owned(), value.to_owned());
            }
        }
        Self { variables: all }
    }

    /// The value of a variable.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Finds the first set variable of several spellings.
    pub fn find(&self, spellings: &[&str]) -> Option<Found<String>> {
        spellings.iter().find_map(|&name| {
            let value = self.value(name)?.to_owned();
            Some(Found::new(value, Origin::Environment { name: name.to_owned() }))
        })
    }

    /// Names of set variables, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment ")?;
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_variable_counts_as_unset() {
        let environment = Environment::from_pairs([("CID", ""), ("PAYLOAD", " ")]);
        assert_eq!(environment.value("CID"), None);
        assert_eq!(environment.value("PAYLOAD"), Some(" "));
        assert_eq!(environment.names().collect::<Vec<_>>(), ["PAYLOAD"]);
        let with = environment.with([("CID", "x"), ("PAYLOAD", "")]);
        assert_eq!(with.names().collect::<Vec<_>>(), ["CID"]);
    }

    #[test]
    fn the_preferred_spelling_wins_unless_it_is_empty() {
        let spellings = ["OAUTH_TOKEN", "OATH_TOKEN"];
        let find = |pairs: [(&str, &str); 2]| Environment::from_pairs(pairs).find(&spellings).unwrap();
        let both = find([("OATH_TOKEN", "old"), ("OAUTH_TOKEN", "new")]);
        assert_eq!(both.value, "new");
        assert_eq!(both.origin, Origin::Environment { name: "OAUTH_TOKEN".into() });
        let old = find([("OATH_TOKEN", "old"), ("OAUTH_TOKEN", "")]);
        assert_eq!(old.value, "old");
        assert_eq!(old.origin.to_string(), "environment variable `OATH_TOKEN`");
    }

    #[test]
    fn the_process_is_captured() {
        let environment = Environment::capture();
        assert_eq!(environment.value("PATH"), std::env::var("PATH").ok().as_deref());
    }

    #[test]
    fn debug_output_hides_secrets() {
        let environment = Environment::from_pairs([("OAUTH_TOKEN", "s3cret")]);
        assert_eq!(format!("{environment:?}"), r#"Environment {"OAUTH_TOKEN"}"#);
    }
}
