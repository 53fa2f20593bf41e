//! Differences that the API server itself makes: they never settle, so they must not cause writes.
//!
//! A server rewrites quantities (`0.1` becomes `100m`) and prunes fields that a schema does not know. Its answer to a
//! write shows such paths. The guard of a parent remembers them for the state that was wanted, and they no longer count
//! as differences while the object has the value that the server kept. Another desired state is compared in full.

use crate::compare::{Difference, differences, exact_differences};
use crate::path::Path;
use crate::write::{Target, Write};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// A path that the server keeps in another way than it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Unsettled {
    /// The object.
    pub target: Target,
    /// The place.
    pub path: Path,
    /// The value that was written; none if the field was left out.
    pub wanted: Option<Value>,
    /// The value that the server kept; none if it dropped the field.
    pub kept: Option<Value>,
}

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Child(id) => write!(f, "{id}: ")?,
            Target::Status => f.write_str("status: ")?,
        }
        let text = |value: &Option<Value>| value.as_ref().map_or("no value".to_owned(), Value::to_string);
        write!(f, "{}: wrote {}, the API server kept {}", self.path, text(&self.wanted), text(&self.kept))
    }
}

/// What is known about one target.
#[derive(Debug, Clone)]
struct Known {
    wanted: Value,
    unsettled: Vec<Unsettled>,
}

/// The unsettled paths of one parent and its children.
#[derive(Debug, Clone, Default)]
pub struct SettleGuard(BTreeMap<Target, Known>);

impl SettleGuard {
    /// Reads the answer to a write. The result are the paths to report: those that were not reported before.
    pub fn record_answer(&mut self, write: &Write, answer: &Value) -> Vec<Unsettled> {
        let Some((target, sent)) = write.sent() else { return Vec::new() };
        let found = match target {
            Target::Child(_) => differences(answer, &sent.wanted),
            Target::Status => exact_differences(answer.get("status").unwrap_or(&Value::Null), &sent.wanted),
        };
        let unsettled: Vec<Unsettled> = found
            .into_iter()
            .map(|Difference { path, seen, desired }| Unsettled {
                target: target.clone(),
                path,
                wanted: desired,
                kept: seen,
            })
            .collect();
        let known = Known { wanted: sent.wanted.clone(), unsettled: unsettled.clone() };
        let before = self.0.insert(target, known);
        let is_new = |path: &Unsettled| !before.as_ref().is_some_and(|known| known.unsettled.contains(path));
        unsettled.into_iter().filter(is_new).collect()
    }

    /// Records that the server refused a [`Write::Probe`]: the differences are real.
    pub fn record_refusal(&mut self, probe: &Write) {
        if let (Write::Probe(_), Some((target, sent))) = (probe, probe.sent()) {
            self.0.insert(target, Known { wanted: sent.wanted.clone(), unsettled: Vec::new() });
        }
    }

    /// Whether an answer of the server to this wanted state is known.
    pub fn knows(&self, target: &Target, wanted: &Value) -> bool {
        self.0.get(target).is_some_and(|known| known.wanted == *wanted)
    }

    /// The differences that a write can settle.
    pub fn settling(&self, target: &Target, wanted: &Value, found: Vec<Difference>) -> Vec<Difference> {
        let Some(known) = self.0.get(target).filter(|known| known.wanted == *wanted) else { return found };
        let is_unsettled = |difference: &Difference| {
            let is_same = |known: &Unsettled| known.path == difference.path && known.kept == difference.seen;
            known.unsettled.iter().any(is_same)
        };
        found.into_iter().filter(|difference| !is_unsettled(difference)).collect()
    }

    /// Forgets the children for which this is false, so that the guard does not grow with the names of past children.
    pub fn retain_children(&mut self, mut is_needed: impl FnMut(&crate::object::ObjectId) -> bool) {
        self.0.retain(|target, _| match target {
            Target::Child(id) => is_needed(id),
            Target::Status => true,
        });
    }
}
