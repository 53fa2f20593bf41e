//! The finalizer of a parent, and what it means for the next call.

use crate::kinds::OperatorConfig;
use crate::object::{ObjectId, finalizers, is_deleting, metadata_text};
use crate::write::Write;
use serde_json::{Value, json};

/// What to do about a parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The operator sees the parent for the first time: add the finalizer, and do not call the handler.
    New,
    /// The parent lives: call `sync`.
    Live,
    /// The parent is being deleted and waits for this operator: call `finalize`.
    Finalizing,
    /// The parent is being deleted and waits for others: do nothing.
    Leaving,
}

/// The phase of a parent, from its deletion timestamp and its finalizers.
pub fn phase(config: &OperatorConfig, parent: &Value) -> Phase {
    let has_ours = finalizers(parent).any(|name| name == config.finalizer);
    match (is_deleting(parent), has_ours) {
        (false, false) => Phase::New,
        (false, true) => Phase::Live,
        (true, true) => Phase::Finalizing,
        (true, false) => Phase::Leaving,
    }
}

/// The write that adds the finalizer behind those of others; none if it is there or the parent has no name.
pub fn add_finalizer(config: &OperatorConfig, parent: &Value) -> Option<Write> {
    let mut names: Vec<&str> = finalizers(parent).collect();
    if names.contains(&config.finalizer.as_str()) {
        return None;
    }
    names.push(&config.finalizer);
    patch(parent, &names)
}

/// The write that removes the finalizer and keeps those of others; none if it is not there.
pub fn remove_finalizer(config: &OperatorConfig, parent: &Value) -> Option<Write> {
    let (ours, names): (Vec<&str>, Vec<&str>) =
        finalizers(parent).partition(|name| *name == config.finalizer);
    if ours.is_empty() { None } else { patch(parent, &names) }
}

/// A merge patch replaces the whole list, so the resource version protects finalizers that others add meanwhile.
fn patch(parent: &Value, names: &[&str]) -> Option<Write> {
    let version = metadata_text(parent, "resourceVersion");
    let patch = json!({ "metadata": { "resourceVersion": version, "finalizers": names } });
    Some(Write::PatchFinalizers { id: ObjectId::of(parent)?, patch })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::KindConfig;

    #[test]
    fn o14_o15_four_cases_of_a_parent() {
        let config = OperatorConfig::new("demo", KindConfig::namespaced("x.dev/v1", "Site", "sites"));
        assert_eq!(config.finalizer, "pop-rs.dev/demo");
        let parent = |finalizers: &[&str], deletion: Value| {
            json!({"apiVersion": "x.dev/v1", "kind": "Site", "metadata": {"name": "a", "namespace": "n",
                "resourceVersion": "7", "finalizers": finalizers, "deletionTimestamp": deletion}})
        };
        let (ours, theirs, now) = ("pop-rs.dev/demo", "x.dev/other", json!("2026-01-01T00:00:00Z"));
        for (parent, expected, added, removed) in [
            (parent(&[], Value::Null), Phase::New, Some(json!([ours])), None),
            (parent(&[theirs], Value::Null), Phase::New, Some(json!([theirs, ours])), None),
            (parent(&[ours], Value::Null), Phase::Live, None, Some(json!([]))),
            (parent(&[ours, theirs], now.clone()), Phase::Finalizing, None, Some(json!([theirs]))),
            (parent(&[theirs], now), Phase::Leaving, Some(json!([theirs, ours])), None),
        ] {
            assert_eq!(phase(&config, &parent), expected);
            for (write, expected) in
                [(add_finalizer(&config, &parent), added), (remove_finalizer(&config, &parent), removed)]
            {
                let patch = write.map(|write| match write {
                    Write::PatchFinalizers { patch, .. } => patch,
                    other => panic!("{other:?}"),
                });
                assert_eq!(patch.as_ref().map(|patch| &patch["metadata"]["finalizers"]), expected.as_ref());
                assert!(patch.is_none_or(|patch| patch["metadata"]["resourceVersion"] == "7"));
            }
        }
    }
}
