//! The form of an object in a version of its API, which differs from the stored one. Pure.
//!
//! Objects of a definition are stored once for all its versions. Events of `events.k8s.io/v1` are stored as core events,
//! as in a real server, so each is visible through both APIs.

use crate::kind::{EVENTS, Kind, NEW_EVENTS};
use serde_json::Value;
use std::borrow::Cow;

/// The fields of core events, and their names in `events.k8s.io/v1`.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("reportingComponent", "reportingController"),
    ("source", "deprecatedSource"),
    ("count", "deprecatedCount"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
];

/// The kind under which objects are stored.
pub(crate) fn stored_kind(kind: &Kind) -> Kind {
    if kind == &NEW_EVENTS { EVENTS } else { *kind }
}

/// A stored object, as a client of a kind sees it.
pub(crate) fn presented<'v>(kind: &Kind, object: &'v Value) -> Cow<'v, Value> {
    let version = kind.api_version();
    if object["apiVersion"] == version || !(kind.is_custom() || kind == &NEW_EVENTS) {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    if kind == &NEW_EVENTS {
        rename(&mut object, EVENT_FIELDS);
    }
    object["apiVersion"] = version.into();
    Cow::Owned(object)
}

/// An object or patch of a client, as it is stored.
pub(crate) fn stored(kind: &Kind, mut object: Value) -> Value {
    if kind == &NEW_EVENTS {
        rename(&mut object, EVENT_FIELDS.map(|(old, new)| (new, old)));
        if object["apiVersion"] == kind.api_version() {
            object["apiVersion"] = EVENTS.api_version().into();
        }
    }
    object
}

fn rename(object: &mut Value, names: [(&str, &str); 7]) {
    let Some(fields) = object.as_object_mut() else { return };
    for (from, to) in names {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_has_the_field_names_of_its_api() {
        let new =
            json!({"apiVersion": "events.k8s.io/v1", "note": "x", "regarding": {"name": "y"}, "reason": "z"});
        let old = json!({"apiVersion": "v1", "message": "x", "involvedObject": {"name": "y"}, "reason": "z"});
        assert_eq!(stored(&NEW_EVENTS, new.clone()), old);
        assert_eq!(*presented(&NEW_EVENTS, &old), new);
        assert_eq!(*presented(&EVENTS, &old), old);
    }
}
