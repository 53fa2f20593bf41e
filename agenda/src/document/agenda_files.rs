//! Agendas in files of their own, which operations of type `agenda` name.

use super::{OPERATIONS, Operation, PAYLOAD, TYPE};
use pop_document::{Pointer, Spelling};
use serde_json::Value;
use std::collections::BTreeMap;

/// The agendas that operations of an agenda name, and those that these name, by their names.
///
/// The name of a file is its path as messages have it: that of the agenda that names it, with the last step replaced.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgendaFiles {
    /// Name of the agenda that names the files.
    of: String,
    /// None for a file that could not be read and has faults already.
    files: BTreeMap<String, Option<AgendaFile>>,
}

/// An agenda in a file of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct AgendaFile {
    /// The document.
    pub root: Value,
    /// Numbers and booleans that print differently from how they are written.
    pub spellings: Vec<Spelling>,
}

impl AgendaFiles {
    /// No files, for the agenda with this name.
    pub fn of(name: &str) -> Self {
        Self { of: name.to_owned(), files: BTreeMap::new() }
    }

    /// Adds a file; none if it could not be read.
    pub fn add(&mut self, name: &str, file: Option<AgendaFile>) {
        self.files.insert(name.to_owned(), file);
    }

    /// The name of the agenda that names the files.
    pub(crate) fn main(&self) -> &str {
        &self.of
    }

    /// Whether a file was named when the agenda was read.
    pub(crate) fn is_named(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    /// Looks a file up; none if it could not be read.
    pub(crate) fn find(&self, name: &str) -> Option<&AgendaFile> {
        self.files.get(name)?.as_ref()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &AgendaFile> {
        self.files.values().flatten()
    }

    /// The files that an agenda with the name `of` names: the name of each file, and the place where it stands.
    pub fn named(of: &str, root: &Value) -> Vec<(String, Pointer)> {
        let mut named = Vec::new();
        collect(of, root, &Pointer::root(), &mut named);
        named
    }

    /// The names of the files that an operation of this agenda names, or operations inside it.
    pub fn named_by(&self, operation: &Operation) -> Vec<String> {
        let mut named = Vec::new();
        if *operation.handler_type == *TYPE {
            collect_of(&self.of, &operation.payload, &Pointer::root, &mut named);
        }
        named.into_iter().map(|(name, _)| name).collect()
    }
}

fn collect(of: &str, agenda: &Value, at: &Pointer, named: &mut Vec<(String, Pointer)>) {
    let at = at.join(OPERATIONS);
    for (index, operation) in agenda[OPERATIONS].as_array().into_iter().flatten().enumerate() {
        if operation["type"] == TYPE {
            collect_of(of, &operation[PAYLOAD], &|| at.join(index), named);
        }
    }
}

/// The files that an operation of type `agenda` names in its payload; `at` is its place.
fn collect_of(of: &str, payload: &Value, at: &dyn Fn() -> Pointer, named: &mut Vec<(String, Pointer)>) {
    let at = at().join(PAYLOAD);
    match payload["agenda"].as_str() {
        Some(written) => named.push((name_of(of, written), at.join("agenda"))),
        None => collect(of, payload, &at, named),
    }
}

/// The name of a file that the agenda `of` names like this.
pub(crate) fn name_of(of: &str, written: &str) -> String {
    match of.rsplit_once('/') {
        _ if written.starts_with('/') => written.to_owned(),
        Some((folder, _)) => format!("{folder}/{written}"),
        None => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn files_are_named_beside_the_agenda_that_names_them() {
        let inner = json!({"type": "agenda", "payload": {"agenda": "/x/c.yaml"}});
        let root = json!({"operations": [
            {"type": "agenda", "payload": {"agenda": "b.yaml"}},
            {"type": "exec", "payload": {"agenda": "no.yaml"}},
            {"type": "agenda", "payload": {"operations": [inner]}}]});
        let named = AgendaFiles::named("jobs/a.yaml", &root);
        let named: Vec<_> = named.iter().map(|(name, at)| (name.as_str(), at.as_str())).collect();
        assert_eq!(
            named,
            [
                ("jobs/b.yaml", "/operations/0/payload/agenda"),
                ("/x/c.yaml", "/operations/2/payload/operations/0/payload/agenda"),
            ]
        );
        assert_eq!(name_of("a.yaml", "b.yaml"), "b.yaml");
    }
}
