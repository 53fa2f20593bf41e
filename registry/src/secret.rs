//! Secrets of a handler: environment variables whose values are stored outside the registry, and their sources.

use crate::pod_config::{KEY, NAME, VARIABLE, checked, required};
use pop_document::{Fault, Fields};
use std::fmt;

/// An environment variable of a handler with a secret value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Name of the variable.
    pub variable: String,
    /// Source of the value.
    pub source: SecretSource,
}

/// Source of a secret's value: for pods, for other launchers, or for both.
///
/// At least one of the two is set. A launcher without a source does not start the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretSource {
    /// Source in the cluster. Pods use it if set, so that the value never leaves the cluster.
    pub in_cluster: Option<SecretKey>,
    /// Source that pop reads at each launch.
    pub local: Option<LocalSecret>,
}

impl fmt::Display for SecretSource {
    /// Writes the source, never the value: `fromEnv TOKEN, fromSecret name/key`.
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

/// A key of a Kubernetes Secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretKey {
    /// Name of the Secret.
    pub name: String,
    /// Key in the Secret.
    pub key: String,
}

/// Source from which pop reads a secret's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalSecret {
    /// A variable of pop's own environment.
    Env(String),
    /// A file; a relative path starts at the registry's folder. One trailing line end is dropped.
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
    let at = fields.pointer();
    if env.is_some() && file.is_some() {
        let message = format!("{what} has both `fromEnv` and `fromFile`");
        fields.faults().push(Fault::value("wrong-value", at, message));
    } else if SOURCES.iter().all(|name| fields.any(name).is_none()) {
        let message = format!("{what} is missing");
        let hint = "set `fromEnv`, `fromFile` or `fromSecret`";
        fields.faults().push(Fault::value("missing-field", at, message).hint(hint));
    }
    let in_cluster = fields.any("fromSecret").and_then(|secret| {
        let at = fields.at("fromSecret");
        let mut fields = Fields::of(secret, at, "`fromSecret`", "wrong-type", fields.faults())?;
        fields.warn_unknown("`fromSecret`", &["name", "key"]);
        let name = required(&mut fields, "name", NAME);
        Some(SecretKey { key: required(&mut fields, "key", KEY)?, name: name? })
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
        let messages = faults.iter().map(|fault| format!("{} {}", fault.pointer(), fault.message)).collect();
        (catalog.entry("t").unwrap().secrets.clone(), messages)
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
    fn f45_wrong_sources_of_secrets_are_faults() {
        let (secrets, faults) = read(&json!({"envVars": {"G": 1}, "secrets": {
            "A": {"fromEnv": "B", "fromFile": "f"}, "B": {}, "C D": {"fromEnv": "E"},
            "E": {"fromSecret": {"name": "S"}}, "F": "x", "G": {"fromEnv": "G", "fromVault": "v"}}}));
        let name = "lower-case letters, digits, `-` and `.`, beginning and ending with a letter or digit";
        assert_eq!(
            faults,
            [
                "/t/secrets/A the source of `A` has both `fromEnv` and `fromFile`".to_owned(),
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
