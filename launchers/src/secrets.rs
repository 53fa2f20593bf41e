//! Secret values: read again at each launch, and stored so that all of them are masked.

use crate::Mask;
use crate::regular_file::read_regular_file;
use pop_contract::{Blame, Failure};
use pop_registry::{LocalSecret, Secret};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Largest file that is read as a secret, in bytes.
const LONGEST: u64 = 1024 * 1024;

/// The sources of secrets, and the values known so far.
#[derive(Clone, Default)]
pub struct Secrets {
    /// The variables of this process that hold a secret.
    variables: Arc<HashMap<String, String>>,
    withheld: Arc<BTreeSet<String>>,
    home: Option<PathBuf>,
    hidden: Arc<Mutex<KnownValues>>,
}

#[derive(Default)]
struct KnownValues {
    values: BTreeSet<String>,
    mask: Mask,
}

impl Secrets {
    /// The secrets of a run. A variable that holds a secret is not inherited by programs that do not name it.
    pub fn new(all: &[Secret], surroundings: &[(OsString, OsString)], home: Option<PathBuf>) -> Self {
        let names = all.iter().filter_map(|secret| match &secret.source.local {
            Some(LocalSecret::Env(name)) => Some(name.clone()),
            _ => None,
        });
        let withheld: BTreeSet<String> = names.collect();
        let variables = surroundings.iter().filter_map(|(name, value)| {
            let name = name.to_str().filter(|name| withheld.contains(*name))?;
            Some((name.to_owned(), value.to_str()?.to_owned()))
        });
        let secrets = Self {
            variables: Arc::new(variables.collect()),
            withheld: Arc::new(withheld),
            home,
            hidden: Arc::default(),
        };
        // an unreadable secret is reported when a program needs it
        let known: Vec<String> = all.iter().filter_map(|secret| secrets.value(secret).ok()).collect();
        secrets.hide(known.iter());
        secrets
    }

    /// Whether programs do not inherit this variable.
    pub fn withholds(&self, name: &str) -> bool {
        self.withheld.contains(name)
    }

    /// The current values of some secrets, with the names of their variables.
    pub fn values(&self, secrets: &[Secret]) -> Result<Vec<(String, String)>, Failure> {
        if secrets.is_empty() {
            return Ok(Vec::new());
        }
        let read = secrets.iter().map(|secret| {
            let value = self.value(secret).map_err(|why| {
                Failure::new(Blame::Platform, "secret", format!("secret `{}`: {why}", secret.variable))
            })?;
            Ok((secret.variable.clone(), value))
        });
        let values: Vec<(String, String)> = read.collect::<Result<_, Failure>>()?;
        self.hide(values.iter().map(|(_, value)| value));
        Ok(values)
    }

    fn value(&self, secret: &Secret) -> Result<String, String> {
        let value = match &secret.source.local {
            None => {
                return Err(
                    "it exists only as a Secret of the cluster; set `fromEnv` or `fromFile` too".to_owned()
                );
            }
            Some(LocalSecret::Env(name)) => self
                .variables
                .get(name)
                .cloned()
                .ok_or_else(|| format!("the variable `{name}` is not set"))?,
            Some(LocalSecret::File(path)) => {
                let path = self.home.clone().unwrap_or_default().join(path);
                let unreadable = |why: &dyn std::fmt::Display| {
                    format!("the file `{}` cannot be read: {why}", path.display())
                };
                let bytes = read_regular_file(&path, LONGEST).map_err(|error| unreadable(&error))?;
                let text = String::from_utf8(bytes).map_err(|_| unreadable(&"it is not UTF-8"))?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                text.strip_suffix('\r').unwrap_or(text).to_owned()
            }
        };
        // the mask hides values without surrounding blanks
        if value.trim().len() < Mask::SHORTEST {
            let what = if value.trim().is_empty() { "blank" } else { "too short" };
            return Err(format!(
                "its value is {what}: pop cannot mask fewer than {} bytes besides blanks",
                Mask::SHORTEST
            ));
        }
        Ok(value)
    }

    fn hide<'v>(&self, values: impl Iterator<Item = &'v String>) {
        let mut hidden = self.hidden();
        let before = hidden.values.len();
        hidden.values.extend(values.cloned());
        if hidden.values.len() > before {
            hidden.mask = Mask::new(hidden.values.iter().cloned());
        }
    }

    /// The mask of every value known so far.
    pub fn mask(&self) -> Mask {
        self.hidden().mask.clone()
    }

    fn hidden(&self) -> MutexGuard<'_, KnownValues> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_registry::SecretSource;

    fn secret(variable: &str, local: Option<LocalSecret>) -> Secret {
        Secret { variable: variable.to_owned(), source: SecretSource { in_cluster: None, local } }
    }

    #[test]
    fn f47_secret_is_read_at_each_launch_and_stays_masked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "first-value\n").unwrap();
        let all = [
            secret("A", Some(LocalSecret::File("token".to_owned()))),
            secret("B", Some(LocalSecret::Env("OUTER".to_owned()))),
        ];
        let surroundings = [("OUTER".into(), "outer-value".into()), ("OTHER".into(), "x".into())];
        let secrets = Secrets::new(&all, &surroundings, Some(folder.path().to_owned()));
        assert_eq!(secrets.values(&all[..1]).unwrap(), [("A".to_owned(), "first-value".to_owned())]);
        std::fs::write(&file, "second-value").unwrap();
        assert_eq!(secrets.values(&all[..1]).unwrap()[0].1, "second-value");
        let mask = secrets.mask();
        assert_eq!(mask.text("first-value, second-value, outer-value, x"), "***, ***, ***, x");
        assert!(secrets.withholds("OUTER") && !secrets.withholds("OTHER"));
    }

    #[test]
    fn f47_fr_h16_unusable_secret_is_reported_by_name() {
        let says = |local| {
            let all = [secret("TOKEN", local)];
            let surroundings = [("SHORT".into(), "abc".into()), ("BLANK".into(), "    ".into())];
            Secrets::new(&all, &surroundings, None).values(&all).unwrap_err().message
        };
        let env = |name: &str| Some(LocalSecret::Env(name.to_owned()));
        assert_eq!(says(env("NONE")), "secret `TOKEN`: the variable `NONE` is not set");
        assert_eq!(
            says(env("SHORT")),
            "secret `TOKEN`: its value is too short: pop cannot mask fewer than 4 bytes besides blanks"
        );
        assert_eq!(
            says(env("BLANK")),
            "secret `TOKEN`: its value is blank: pop cannot mask fewer than 4 bytes besides blanks"
        );
        assert!(says(None).contains("only as a Secret of the cluster"));
        assert!(says(Some(LocalSecret::File("/none".to_owned()))).contains("`/none` cannot be read"));
    }
}
