//! The catalog: built-in handlers, entries of a registry and handlers of descriptors, looked up by type.

use crate::descriptor::Descriptor;
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

/// All known handlers.
#[derive(Debug, Clone)]
pub struct Catalog {
    pub(crate) registry: Registry,
    pub(crate) descriptors: Vec<Descriptor>,
    /// The handlers of each type, in file order.
    by_type: BTreeMap<String, Vec<Arc<Entry>>>,
}

impl Default for Catalog {
    /// The built-in handlers only.
    fn default() -> Self {
        Self::build(None, &mut Vec::new())
    }
}

impl Catalog {
    /// The catalog of a registry document, or of the built-in handlers only.
    pub fn build(registry: Option<&Source>, faults: &mut Vec<Fault>) -> Self {
        Self::assemble(registry, Vec::new(), faults)
    }

    /// The catalog of a registry document and of descriptors in file order. `faults` gets the faults of the registry;
    /// descriptors contain their own.
    pub fn assemble(
        registry: Option<&Source>,
        descriptors: Vec<Descriptor>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        Self::of(read(registry, faults), descriptors, faults)
    }

    pub(crate) fn of(registry: Registry, mut descriptors: Vec<Descriptor>, faults: &mut Vec<Fault>) -> Self {
        let mut by_type: BTreeMap<String, Vec<Arc<Entry>>> = BTreeMap::new();
        let of_descriptors = descriptor_entries(&mut descriptors);
        for entry in registry.entries.iter().cloned().chain(of_descriptors) {
            by_type.entry(entry.name.clone()).or_default().push(entry);
        }
        let catalog = Self { registry, descriptors, by_type };
        for role in &catalog.routing().roles {
            if catalog.handler(&role.handler).is_none() {
                let at = Pointer::root().join(ROUTING).join("roles").join(&role.name).join("handler");
                let message = format!("role `{}` names the unknown handler `{}`", role.name, role.handler);
                let near = nearest(&role.handler, catalog.entries().map(|entry| entry.id.as_str()));
                faults.push(Fault::value("unknown-handler", at, message).did_you_mean(near));
            }
        }
        catalog
    }

    /// The default handler of a type: the one whose id is the type, else the first.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        let of_type = || self.of_type(name);
        of_type().find(|entry| entry.id == name).or_else(|| of_type().next())
    }

    /// All handlers of a type: those of the registry in text order, then those of descriptors.
    pub fn of_type(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.by_type.get(name).into_iter().flatten().map(AsRef::as_ref)
    }

    /// The handler with this id.
    pub fn handler(&self, id: &str) -> Option<&Entry> {
        self.entries().find(|entry| entry.id == id)
    }

    /// All handlers that are not built in, sorted by type.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.by_type.values().flatten().map(AsRef::as_ref)
    }

    /// All descriptors, including disabled and rejected ones, each with its faults.
    pub fn descriptors(&self) -> &[Descriptor] {
        &self.descriptors
    }

    /// Routing of streams to handlers.
    pub fn routing(&self) -> &Routing {
        &self.registry.routing
    }

    /// Configuration of pods and containers of type `exec`: the core defaults and `basePodConfig`, without config map,
    /// arguments and end-of-log text, and deleted when they have ended. Image, CPU and memory of a payload override it.
    pub fn exec_pod(&self) -> &Arc<PodConfig> {
        &self.registry.exec_pod
    }

    /// Sets the description of a handler.
    pub fn describe(&mut self, id: &str, description: Description) {
        if let Some(entry) = self.entries_mut().find(|entry| entry.id == id) {
            Arc::make_mut(entry).description = Some(Arc::new(description));
        }
    }

    /// Replaces the classes of descriptors by the program files that `find` returns; others stay unchanged.
    pub fn locate(&mut self, mut find: impl FnMut(&DescriptorFields) -> Option<String>) {
        for entry in self.entries_mut() {
            let fields = entry.descriptor.as_ref().filter(|fields| !fields.is_built_in());
            if let Some(program) = fields.and_then(&mut find) {
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

    /// The names of all types, including built-in ones.
    pub fn types(&self) -> impl Iterator<Item = &str> {
        self.by_type.keys().map(String::as_str).chain(Self::built_in().map(|name| -> &str { name }))
    }
}

/// Reads a registry, with handlers and roles in text order.
pub(crate) fn read(registry: Option<&Source>, faults: &mut Vec<Fault>) -> Registry {
    let root = registry.map_or_else(|| Ok(Value::Object(Map::new())), Source::read);
    let root = root.unwrap_or_else(|found| {
        faults.extend(found);
        Value::Object(Map::new())
    });
    let mut read = Registry::read(&root, faults);
    if let Some(registry) = registry {
        check_spellings(&registry.spellings(&root), faults);
        secret_literals(registry.text(), &root, "use `secrets` to name the source of the value", faults);
        restore_order(&mut read, registry);
    }
    read
}

/// Restores text order, which parsed maps lack. Only handlers of the same type and roles need it.
fn restore_order(read: &mut Registry, source: &Source) {
    let mut names = HashSet::new();
    if !read.entries.iter().all(|entry| names.insert(&entry.name)) {
        sort_by_place(&mut read.entries, source, |entry| Pointer::root().join(&entry.id));
    }
    if read.routing.roles.len() > 1 {
        let roles = Pointer::root().join(ROUTING).join("roles");
        sort_by_place(&mut read.routing.roles, source, |role| roles.join(&role.name));
    }
}

fn sort_by_place<T>(items: &mut Vec<T>, source: &Source, at: impl Fn(&T) -> Pointer) {
    let sites: Vec<Site> = items.iter().map(|item| Site::Key(at(item))).collect();
    let places = source.places(&sites.iter().collect::<Vec<_>>());
    let mut placed: Vec<_> =
        places.into_iter().map(|place| place.map(|place| place.bytes.start)).zip(items.drain(..)).collect();
    placed.sort_by_key(|(start, _)| *start);
    items.extend(placed.into_iter().map(|(_, item)| item));
}

/// The handlers of all descriptors. A second handler of a capability and type is a fault, or overrides the first.
fn descriptor_entries(descriptors: &mut [Descriptor]) -> Vec<Arc<Entry>> {
    let mut all: Vec<Option<Arc<Entry>>> = Vec::new();
    let mut places: HashMap<(Option<Capability>, String), usize> = HashMap::new();
    for descriptor in descriptors {
        for entry in &descriptor.entries {
            let place = places.entry((entry.capability(), entry.name.clone())).or_insert(all.len());
            if let Some(earlier) = all.get_mut(*place) {
                if !descriptor.overrides {
                    let id = earlier.as_ref().map_or("", |earlier| &earlier.id);
                    let message = format!("`{id}` already serves type `{}`", entry.name);
                    let fault = Fault::key("duplicate-type", Pointer::root().join(&entry.name), message);
                    let hint = "remove one of them, or set `override=1` in this `[main]`";
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
    fn f46_a_secret_in_a_registry_is_a_warning() {
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
    fn each_type_has_exactly_one_target() {
        let text = r#"{"basePodConfig": {}, "probe": {"command": ["probe"]},
            "sample": {"podConfig": {"imageName": "s:1"}}, "pod": {"podConfig": {"imageName": "p:1"}}}"#;
        let source = Source::new("r.json", text.as_bytes()).unwrap();
        let catalog = Catalog::build(Some(&source), &mut Vec::new());
        let target = |name, on| route(&catalog, &RouteRequest::of_type(name, on)).map(|routed| routed.target);
        let describe = |name, on| match target(name, on) {
            Ok(Target::Exec) => "exec".to_owned(),
            Ok(Target::Dispatch) => "dispatch".to_owned(),
            Ok(Target::Agenda) => "agenda".to_owned(),
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
            assert_eq!(describe(name, on), wanted, "{name} on {on}");
        }
    }
}
