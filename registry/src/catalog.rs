//! The catalogue: built-in residents and registry entries, asked which of them serves a type.

use crate::PodConfig;
use crate::contract::{Description, LaunchType};
use crate::entry::Entry;
use crate::registry_json;
use pop_document::{Fault, Source, nearest, secret_literals};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A handler that runs inside the executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resident {
    /// `logMessages`: writes lines into its log.
    LogMessages,
    /// `updateAgenda`: hands operations on.
    UpdateAgenda,
    /// `sample`: POP's sample handler.
    Sample,
}

/// The built-in types, with what they are.
const RESIDENTS: [(&str, Resident); 3] = [
    ("logMessages", Resident::LogMessages),
    ("updateAgenda", Resident::UpdateAgenda),
    ("sample", Resident::Sample),
];
const EXEC: &str = "exec";

/// Who carries an operation out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Target<'c> {
    /// The command in the operation's own payload.
    Exec,
    /// A handler inside the executor.
    Resident(Resident),
    /// The program of a registry entry.
    Program(&'c Entry),
}

/// Why nobody carries an operation out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoTarget {
    /// No handler serves the type; perhaps this one was meant.
    Unknown {
        /// The known type nearest to it.
        near: Option<String>,
    },
    /// The type has an entry, but it lacks the field that this launcher needs.
    NotHere {
        /// The field to add.
        missing: &'static str,
    },
}

/// All handlers that are known.
#[derive(Debug, Clone)]
pub struct Catalog {
    entries: BTreeMap<String, Entry>,
    exec_pod: Arc<PodConfig>,
}

impl Default for Catalog {
    /// The built-in residents alone.
    fn default() -> Self {
        Self::build(None, &mut Vec::new())
    }
}

impl Catalog {
    /// The catalogue of a registry document, or of the built-in residents alone.
    pub fn build(registry: Option<&Source>, faults: &mut Vec<Fault>) -> Self {
        let root = registry.map_or_else(|| Ok(Value::Object(Map::new())), Source::read);
        let root = root.unwrap_or_else(|found| {
            faults.extend(found);
            Value::Object(Map::new())
        });
        let (entries, exec_pod) = registry_json::entries(&root, faults);
        if let Some(registry) = registry {
            secret_literals(registry.text(), &root, "say in `secrets` where the value is found", faults);
        }
        Self { entries, exec_pod: Arc::new(exec_pod) }
    }

    /// The registry's entry of a type.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The registry's entries, by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How pods and containers of type `exec` are made: the core defaults and `basePodConfig`, deleted when they have
    /// ended, without config map, arguments and last words. Image and amounts of a payload come before these.
    pub fn exec_pod(&self) -> &Arc<PodConfig> {
        &self.exec_pod
    }

    /// Adds what the handler of a type says about itself.
    pub fn describe(&mut self, name: &str, description: Description) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.description = Some(Arc::new(description));
        }
    }

    /// The built-in types.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        std::iter::once(EXEC).chain(RESIDENTS.iter().map(|(name, _)| *name))
    }

    /// Who serves `name` under a launcher: its entry if that can, else the built-in of that name.
    pub fn target(&self, name: &str, on: LaunchType) -> Result<Target<'_>, NoTarget> {
        let entry = self.entries.get(name);
        let missing = match (entry, on) {
            (Some(entry), LaunchType::Local) if entry.command.is_some() => return Ok(Target::Program(entry)),
            (Some(entry), LaunchType::Docker | LaunchType::Kubernetes) if entry.image().is_some() => {
                return Ok(Target::Program(entry));
            }
            (Some(_), LaunchType::Local) => Some("command"),
            (Some(_), _) => Some("podConfig.imageName"),
            (None, _) => None,
        };
        if name == EXEC {
            return Ok(Target::Exec);
        }
        if let Some((_, resident)) = RESIDENTS.iter().find(|(known, _)| *known == name) {
            return Ok(Target::Resident(*resident));
        }
        Err(match missing {
            Some(missing) => NoTarget::NotHere { missing },
            None => {
                let known = self
                    .entries
                    .keys()
                    .map(String::as_str)
                    .chain(Self::built_in().map(|name| -> &str { name }));
                NoTarget::Unknown { near: nearest(name, known).map(str::to_owned) }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f46_a_secret_in_a_registry_is_warned_of() {
        let text = r#"{"t": {"command": ["a"], "envVars": {"API_TOKEN": "hunter2", "MODE": "fast"},
            "properties": {"db.url": "pg://me:hunter2@db/x"}, "secrets": {"A_SECRET": {"fromEnv": "A_SECRET"}}}}"#;
        let source = Source::new("r.json", text.as_bytes()).unwrap();
        let mut faults = Vec::new();
        Catalog::build(Some(&source), &mut faults);
        let found: Vec<_> =
            faults.iter().map(|fault| (fault.pointer(), fault.code, fault.is_error())).collect();
        let code = pop_document::SECRET_LITERAL;
        assert_eq!(found, [("/t/envVars/API_TOKEN", code, false), ("/t/properties/db.url", code, false)]);
    }

    #[test]
    fn p1_each_type_is_served_by_exactly_one_handler() {
        let text = r#"{"basePodConfig": {}, "probe": {"command": ["probe"]},
            "sample": {"podConfig": {"imageName": "s:1"}}, "pod": {"podConfig": {"imageName": "p:1"}}}"#;
        let source = Source::new("r.json", text.as_bytes()).unwrap();
        let catalog = Catalog::build(Some(&source), &mut Vec::new());
        let who = |name, on| match catalog.target(name, on) {
            Ok(Target::Exec) => "exec".to_owned(),
            Ok(Target::Resident(resident)) => format!("{resident:?}"),
            Ok(Target::Program(entry)) => format!("program of {}", entry.name),
            Err(NoTarget::Unknown { near }) => format!("unknown, near {near:?}"),
            Err(NoTarget::NotHere { missing }) => format!("needs {missing}"),
        };
        let table = [
            ("exec", LaunchType::Local, "exec"),
            ("logMessages", LaunchType::Kubernetes, "LogMessages"),
            ("probe", LaunchType::Local, "program of probe"),
            ("probe", LaunchType::Docker, "needs podConfig.imageName"),
            ("sample", LaunchType::Local, "Sample"),
            ("sample", LaunchType::Kubernetes, "program of sample"),
            ("pod", LaunchType::Local, "needs command"),
            ("prbe", LaunchType::Local, "unknown, near Some(\"probe\")"),
        ];
        for (name, on, wanted) in table {
            assert_eq!(who(name, on), wanted, "{name} on {on}");
        }
    }
}
