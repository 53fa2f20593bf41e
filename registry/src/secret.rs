//! Secrets of a handler: variables whose values stand outside of the registry, with where they are found.

use crate::pod_config::{KEY, NAME, VARIABLE, checked, needed};
use pop_document::{Fault, Fields};
use std::fmt;

/// A variable of a handler whose value is shown nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// The variable.
    pub variable: String,
    /// Where its value is found.
    pub source: SecretSource,
}

/// Where the value of a secret is found: for pods, for everything else, or for both.
///
/// At least one of the two is there. A launcher that finds none for itself does not start the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// Where the cluster has it; pods are given this one if it is there, so that the value never leaves the cluster.
    pub in_cluster: Option<SecretKey>,
    /// Where pop itself reads it, at each launch anew.
    pub local: Option<LocalSecret>,
}

impl fmt::Display for SecretSource {
    /// Where, never what: `fromEnv TOKEN, fromSecret name/key`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.local {
            Some(LocalSecret::Env(name)) => write!(f, "fromEnv {name}")?,
            Some(LocalSecret::File(path)) => write!(f, "fromFile {path}")?,
            None => {}
        }
        if self.local.is_some() && self.in_cluster.is_some() {
            f.write_str(", ")?;
        }
        self.in_cluster.iter().try_for_each(|key| write!(f, "fromSecret {}/{}", key.name, key.key))
    }
}

/// A key of a Secret of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// The name of the Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

/// Where pop itself reads the value of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalSecret {
    /// This variable of pop's own environment.
    Env(String),
    /// This file; a relative path begins at the registry's folder. One line end at its end does not count.
    File(String),
}

/// Reads the field `secrets` of an entry.
pub(crate) fn secrets(entry: &mut Fields<'_, '_>) -> Vec<Secret> {
    let Some(map) = entry.map("secrets") else { return Vec::new() };
    let at = entry.at("secrets");
    let mut secrets = Vec::with_capacity(map.len());
    for (variable, source) in map {
        let at = at.join(variable);
        if !VARIABLE.0(variable) {
            let message = format!("a name in `secrets` must be {}, not `{variable}`", VARIABLE.1);
            entry.faults().push(Fault::key("wrong-value", at.clone(), message));
        }
        let what = format!("the source of `{variable}`");
        let Some(mut fields) = Fields::of(source, at, &what, "wrong-type", entry.faults()) else { continue };
        if let Some(source) = source_of(&mut fields, &what) {
            secrets.push(Secret { variable: variable.clone(), source });
        }
    }
    secrets
}

fn source_of(fields: &mut Fields<'_, '_>, what: &str) -> Option<SecretSource> {
    const SOURCES: [&str; 3] = ["fromEnv", "fromFile", "fromSecret"];
    fields.warn_unknown(what, &SOURCES);
    let env = checked(fields, "fromEnv", VARIABLE);
    let file = fields.text("fromFile").map(str::to_owned);
    let at = fields.pointer().clone();
    if env.is_some() && file.is_some() {
        let message = format!("{what} is both a variable and a file");
        fields.faults().push(Fault::value("wrong-value", at, message));
    } else if SOURCES.iter().all(|name| fields.any(name).is_none()) {
        let message = format!("{what} is missing");
        let hint = "say `fromEnv`, `fromFile` or `fromSecret`";
        fields.faults().push(Fault::value("missing-field", at, message).hint(hint));
    }
    let in_cluster = fields.any("fromSecret").and_then(|secret| {
        let at = fields.at("fromSecret");
        let mut fields = Fields::of(secret, at, "`fromSecret`", "wrong-type", fields.faults())?;
        fields.warn_unknown("`fromSecret`", &["name", "key"]);
        let name = needed(&mut fields, "name", NAME);
        Some(SecretKey { key: needed(&mut fields, "key", KEY)?, name: name? })
    });
    let local = env.map(LocalSecret::Env).or(file.map(LocalSecret::File));
    (in_cluster.is_some() || local.is_some()).then_some(SecretSource { in_cluster, local })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;
    use pop_document::Source;
    use serde_json::{Value, json};

    fn read(entry: &Value) -> (Vec<Secret>, Vec<String>) {
        let mut faults = Vec::new();
        let source = Source::new("r.json", json!({"t": entry}).to_string().as_bytes()).unwrap();
        let catalog = Catalog::build(Some(&source), &mut faults);
        let said = faults.iter().map(|fault| format!("{} {}", fault.pointer(), fault.message)).collect();
        (catalog.entry("t").unwrap().secrets.clone(), said)
    }

    #[test]
    fn f45_each_source_of_a_secret_is_read() {
        let (secrets, faults) = read(&json!({"secrets": {
            "A": {"fromEnv": "B", "fromSecret": {"name": "s", "key": "k"}},
            "C": {"fromFile": "keys/c"}, "D": {"fromSecret": {"name": "s", "key": "d"}}}}));
        assert_eq!(faults, [""; 0]);
        let key = |key: &str| Some(SecretKey { name: "s".to_owned(), key: key.to_owned() });
        let secret = |variable: &str, in_cluster, local| Secret {
            variable: variable.to_owned(),
            source: SecretSource { in_cluster, local },
        };
        let wanted = [
            secret("A", key("k"), Some(LocalSecret::Env("B".to_owned()))),
            secret("C", None, Some(LocalSecret::File("keys/c".to_owned()))),
            secret("D", key("d"), None),
        ];
        assert_eq!(secrets, wanted);
    }

    #[test]
    fn f45_a_secret_has_one_source_where_it_is_used() {
        let (secrets, faults) = read(&json!({"envVars": {"G": 1}, "secrets": {
            "A": {"fromEnv": "B", "fromFile": "f"}, "B": {}, "C D": {"fromEnv": "E"},
            "E": {"fromSecret": {"name": "S"}}, "F": "x", "G": {"fromEnv": "G", "fromVault": "v"}}}));
        let name = "lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit";
        assert_eq!(
            faults,
            [
                "/t/secrets/A the source of `A` is both a variable and a file".to_owned(),
                "/t/secrets/B the source of `B` is missing".to_owned(),
                "/t/secrets/C D a name in `secrets` must be printable ASCII characters without `=` and spaces, not \
                 `C D`"
                    .to_owned(),
                format!("/t/secrets/E/fromSecret/name `name` must be {name}, not `S`"),
                "/t/secrets/E/fromSecret `key` is missing".to_owned(),
                "/t/secrets/F the source of `F` must be a map, not text".to_owned(),
                "/t/secrets/G/fromVault the source of `G` has no field `fromVault`; it is ignored".to_owned(),
                "/t/secrets/G `G` is both in `envVars` and in `secrets`".to_owned(),
            ]
        );
        assert_eq!(secrets.len(), 3);
    }
}
