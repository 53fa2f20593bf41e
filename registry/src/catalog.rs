//! The catalogue: built-in residents, entries of a registry and handlers of descriptors, asked who serves a type.

use crate::conf_d::Descriptor;
use crate::entry::{DescriptorFields, Entry};
use crate::pod_config::PodConfig;
use crate::registry_json::{Registry, check_spellings};
use crate::routing::{ROUTING, Routing};
use crate::target::built_in_types;
use pop_contract::{Capability, Description};
use pop_document::{Fault, Pointer, Site, Source, nearest, secret_literals};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// All handlers that are known.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub(crate) registry: Registry,
    pub(crate) descriptors: Vec<Descriptor>,
    /// The handlers of each type, in the order of their files.
    by_type: BTreeMap<String, Vec<Arc<Entry>>>,
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
        Self::assemble(registry, Vec::new(), faults)
    }

    /// The catalogue of a registry document, and of descriptors in the order of their files. The faults are those of the
    /// registry; descriptors keep their own.
    pub fn assemble(
        registry: Option<&Source>,
        descriptors: Vec<Descriptor>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        Self::of(read(registry, faults), descriptors, faults)
    }

    pub(crate) fn of(registry: Registry, mut descriptors: Vec<Descriptor>, faults: &mut Vec<Fault>) -> Self {
        let mut by_type: BTreeMap<String, Vec<Arc<Entry>>> = BTreeMap::new();
        let declared = declared(&mut descriptors);
        for entry in registry.entries.iter().cloned().chain(declared) {
            by_type.entry(entry.name.clone()).or_default().push(entry);
        }
        let catalog = Self { registry, descriptors, by_type };
        for role in &catalog.routing().roles {
            if catalog.handler(&role.handler).is_none() {
                let at = Pointer::root().join(ROUTING).join("roles").join(&role.name).join("handler");
                let message =
                    format!("role `{}` names the handler `{}`, which is not known", role.name, role.handler);
                let near = nearest(&role.handler, catalog.entries().map(|entry| entry.id.as_str()));
                faults.push(Fault::value("unknown-handler", at, message).did_you_mean(near));
            }
        }
        catalog
    }

    /// The handler of a type that is taken if nothing speaks for another: the one that is called as the type is, else the
    /// first.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        let of_type = || self.of_type(name);
        of_type().find(|entry| entry.id == name).or_else(|| of_type().next())
    }

    /// All handlers of a type: the registry's in the order of its text, then those of descriptors.
    pub fn of_type(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.by_type.get(name).into_iter().flatten().map(AsRef::as_ref)
    }

    /// The handler of this id.
    pub fn handler(&self, id: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.id == id)
    }

    /// All handlers that are not built in, by their types.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_type.values().flatten().map(AsRef::as_ref)
    }

    /// The descriptors, also those that are not loaded, each with its faults.
    pub fn descriptors(&self) -> &[Descriptor] {
        &self.descriptors
    }

    /// Who serves which stream.
    pub fn routing(&self) -> &Routing {
        &self.registry.routing
    }

    /// How pods and containers of type `exec` are made: the core defaults and `basePodConfig`, deleted when they have
    /// ended, without config map, arguments and last words. Image and amounts of a payload come before these.
    pub fn exec_pod(&self) -> &Arc<PodConfig> {
        &self.registry.exec_pod
    }

    /// Adds what a handler says about itself.
    pub fn describe(&mut self, id: &str, description: Description) {
        if let Some(entry) = self.entries_mut().find(|entry| entry.id == id) {
            Arc::make_mut(entry).description = Some(Arc::new(description));
        }
    }

    /// Replaces the programs of descriptors by the files that are found for them; one that is not found stays as it is.
    pub fn locate(&mut self, mut find: impl FnMut(&DescriptorFields) -> Option<String>) {
        for entry in self.entries_mut() {
            let declared = entry.declared.as_ref().filter(|declared| !declared.is_built_in());
            if let Some(program) = declared.and_then(&mut find) {
                Arc::make_mut(entry).command = Some(vec![program]);
            }
        }
    }

    fn entries_mut(&mut self) -> impl Iterator<Item = &mut Arc<Entry>> {
        self.by_type.values_mut().flatten()
    }

    /// The built-in types.
    pub fn built_in() -> impl Iterator<Item = &'static str> {
        built_in_types()
    }

    /// The names of all types.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.by_type.keys().map(String::as_str).chain(Self::built_in().map(|name| -> &str { name }))
    }
}

/// Reads a registry, its handlers and roles in the order of the text.
pub(crate) fn read(registry: Option<&Source>, faults: &mut Vec<Fault>) -> Registry {
    let root = registry.map_or_else(|| Ok(Value::Object(Map::new())), Source::read);
    let root = root.unwrap_or_else(|found| {
        faults.extend(found);
        Value::Object(Map::new())
    });
    let mut read = Registry::read(&root, faults);
    if let Some(registry) = registry {
        check_spellings(&registry.spellings(&root), faults);
        secret_literals(registry.text(), &root, "say in `secrets` where the value is found", faults);
        order(&mut read, registry);
    }
    read
}

/// Maps are read without their order, and it is only asked for where several could serve.
fn order(read: &mut Registry, source: &Source) {
    let mut names = HashSet::new();
    if !read.entries.iter().all(|entry| names.insert(&entry.name)) {
        in_order(&mut read.entries, source, |entry| Pointer::root().join(&entry.id));
    }
    if read.routing.roles.len() > 1 {
        let roles = Pointer::root().join(ROUTING).join("roles");
        in_order(&mut read.routing.roles, source, |role| roles.join(&role.name));
    }
}

fn in_order<T>(items: &mut Vec<T>, source: &Source, at: impl Fn(&T) -> Pointer) {
    let sites: Vec<Site> = items.iter().map(|item| Site::Key(at(item))).collect();
    let places = source.places(&sites.iter().collect::<Vec<_>>());
    let mut placed: Vec<_> =
        places.into_iter().map(|place| place.map(|place| place.bytes.start)).zip(items.drain(..)).collect();
    placed.sort_by_key(|(start, _)| *start);
    items.extend(placed.into_iter().map(|(_, item)| item));
}

/// The handlers of all descriptors; a second one of a capability and type is a fault, or takes the place of the first.
fn declared(descriptors: &mut [Descriptor]) -> Vec<Arc<Entry>> {
    let mut all: Vec<Option<Arc<Entry>>> = Vec::new();
    let mut places: HashMap<(Option<Capability>, String), usize> = HashMap::new();
    for descriptor in descriptors {
        for entry in &descriptor.entries {
            let place = places.entry((entry.capability(), entry.name.clone())).or_insert(all.len());
            if let Some(earlier) = all.get_mut(*place) {
                if !descriptor.overrides {
                    let id = earlier.as_ref().map_or("", |earlier| &earlier.id);
                    let message = format!("`{id}` serves type `{}` already", entry.name);
                    let fault = Fault::key("duplicate-type", Pointer::root().join(&entry.name), message);
                    let hint = "take one of them out, or say `override=1` in this `[main]`";
                    descriptor.faults.push(fault.hint(hint));
                    continue;
                }
                *earlier = None;
            }
            *place = all.len();
            all.push(Some(Arc::clone(entry)));
        }
    }
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::{NoRoute, RouteRequest, route};
    use crate::target::Target;
    use pop_contract::LaunchType;

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
        let target = |name, on| route(&catalog, &RouteRequest::of_type(name, on)).map(|routed| routed.target);
        let who = |name, on| match target(name, on) {
            Ok(Target::Exec) => "exec".to_owned(),
            Ok(Target::Dispatch) => "dispatch".to_owned(),
            Ok(Target::Resident(resident)) => format!("{resident:?}"),
            Ok(Target::Program(entry)) => format!("program of {}", entry.name),
            Err(NoRoute::UnknownType { near }) => format!("unknown, near {near:?}"),
            Err(NoRoute::NotHere { missing, .. }) => format!("needs {missing}"),
            Err(other) => format!("{other:?}"),
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
