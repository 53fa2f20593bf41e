//! How server-side apply merges lists: as a whole, as sets, or entry by entry. Pure.

use crate::field_path::Path;
use crate::strategic_merge::key_of;
use serde_json::{Map, Value};

/// The type of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListType {
    /// One value, replaced as a whole.
    Atomic,
    /// Each value occurs once.
    Set,
    /// Entries are identified by these fields.
    Map(Vec<String>),
}

impl ListType {
    /// The segment of an entry in a path.
    pub(crate) fn segment(&self, entry: &Value) -> String {
        let Self::Map(keys) = self else { return format!("v:{entry}") };
        let keys = keys.iter().filter(|key| !entry[key.as_str()].is_null());
        let keys: Map<String, Value> = keys.map(|key| (key.clone(), entry[key.as_str()].clone())).collect();
        format!("k:{}", Value::Object(keys))
    }
}

/// The types of all lists of a kind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListTypes<'s>(Option<&'s Value>);

impl<'s> ListTypes<'s> {
    /// The types of a kind without a schema, by the names of its fields.
    pub(crate) const fn by_name() -> Self {
        Self(None)
    }

    /// The types that a schema declares.
    pub(crate) const fn of_schema(schema: &'s Value) -> Self {
        Self(Some(schema))
    }

    /// The type of the list at a path. A list with an entry that lacks its keys is atomic.
    pub(crate) fn of(self, path: &[String], entries: &[Value]) -> ListType {
        let list = self.declared(path);
        let has_keys = |keys: &[String]| {
            let has_key = |entry: &Value| keys.iter().any(|key| !entry[key.as_str()].is_null());
            entries.iter().all(has_key)
        };
        match &list {
            ListType::Map(keys) if !has_keys(keys) => ListType::Atomic,
            _ => list,
        }
    }

    fn declared(self, path: &[String]) -> ListType {
        let name = path.last().and_then(|segment| segment.strip_prefix("f:")).unwrap_or_default();
        let is_metadata = path.first().is_some_and(|first| first == "f:metadata");
        let Some(schema) = self.0.filter(|_| !is_metadata) else {
            return match key_of(name) {
                _ if is_metadata && name == "finalizers" => ListType::Set,
                Some(key) => ListType::Map(vec![key.to_owned()]),
                None => ListType::Atomic,
            };
        };
        let list = path.iter().fold(schema, |schema, segment| match segment.strip_prefix("f:") {
            Some(field) => schema["properties"].get(field).unwrap_or(&schema["additionalProperties"]),
            None => &schema["items"],
        });
        let keys = list["x-kubernetes-list-map-keys"].as_array().into_iter().flatten();
        match list["x-kubernetes-list-type"].as_str() {
            Some("set") => ListType::Set,
            Some("map") => ListType::Map(keys.filter_map(Value::as_str).map(str::to_owned).collect()),
            _ => ListType::Atomic,
        }
    }

    /// Merges an applied object into the stored one.
    pub(crate) fn merge(self, target: &mut Value, applied: &Value) {
        self.merge_at(target, applied, &mut Path::new());
    }

    fn merge_at(self, target: &mut Value, applied: &Value, path: &mut Path) {
        match applied {
            Value::Object(changes) => {
                if !target.is_object() {
                    *target = Value::Object(Map::new());
                }
                for (field, change) in changes {
                    if change.is_null() {
                        target.as_object_mut().map(|fields| fields.remove(field));
                    } else {
                        path.push(format!("f:{field}"));
                        self.merge_at(&mut target[field], change, path);
                        path.pop();
                    }
                }
            }
            Value::Array(changes) => match self.of(path, changes) {
                ListType::Atomic => target.clone_from(applied),
                list => {
                    let mut entries = target.as_array().cloned().unwrap_or_default();
                    for change in changes {
                        let segment = list.segment(change);
                        match entries.iter_mut().find(|entry| list.segment(entry) == segment) {
                            Some(entry) => {
                                path.push(segment);
                                self.merge_at(entry, change, path);
                                path.pop();
                            }
                            None => entries.push(change.clone()),
                        }
                    }
                    *target = entries.into();
                }
            },
            _ => target.clone_from(applied),
        }
    }
}
