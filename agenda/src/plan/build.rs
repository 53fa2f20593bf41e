//! Building a plan: every name, type and reference of an agenda is resolved, and every fault is found.

use super::fit::check_fit;
use super::payload::Referent;
use super::{Edge, EdgeKind, Graph, Payload, Plan, Planned, Serves};
use crate::document::{Agenda, Operation};
use crate::name::OperationName;
use crate::ops::{OpIx, OpMap};
use crate::reference::Token;
use pop_document::{Fault, Pointer, Site, nearest};
use pop_policy::{Policies, PolicyLayer, Scope};
use pop_registry::contract::LaunchType;
use pop_registry::{Catalog, ExecPayload, NoTarget, Target};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The most operations one agenda may have.
const MOST_OPERATIONS: usize = 4_000_000;
/// The most faults among which the name that was meant is sought.
const MOST_SOUGHT: usize = 100;
/// The most operations of one cycle that are told.
const MOST_TOLD: usize = 20;
const AGENDA_ID: &str = "pop.agendaId";
const OPERATION_NAME: &str = "pop.operationName";

impl Plan {
    /// Resolves an agenda against the handlers that are known. None if any fault among `faults` is an error.
    pub fn build(agenda: Agenda, catalog: &Catalog, on: LaunchType, faults: &mut Vec<Fault>) -> Option<Self> {
        if agenda.operations.len() > MOST_OPERATIONS {
            let message = format!("an agenda has at most {MOST_OPERATIONS} operations");
            faults.push(Fault::value("too-large", "/operations", message));
            return None;
        }
        let names = check_names(&agenda.operations, agenda.unread, faults);
        let mut types = Types { catalog, on, agenda: &agenda.policies, known: HashMap::new() };
        let mut sites: Vec<Vec<(Edge, Site)>> = Vec::with_capacity(agenda.operations.len());
        let mut planned = Vec::with_capacity(agenda.operations.len());
        // only needed where handlers say what they take and give
        let is_described = catalog.entries().any(|entry| entry.description.is_some());
        let operations = agenda.operations.iter().filter(|_| is_described);
        let places: Vec<Pointer> = operations.map(|operation| operation.pointer.clone()).collect();
        for operation in agenda.operations {
            let mut edges = Vec::new();
            planned.push(plan_operation(operation, &names, &mut types, &mut edges, faults));
            sites.push(edges);
        }
        let lists = edge_lists(&mut sites);
        for (_, edges) in lists.iter() {
            for edge in edges.iter().filter(|edge| edge.kind == EdgeKind::Reads) {
                planned[edge.on.index()].is_read = true;
            }
        }
        let graph = Graph::new(&lists);
        check_cycles(&graph, &planned, &sites, faults);
        check_skippable(&planned, &sites, faults);
        check_fit(&planned, &places, faults);
        if faults.iter().any(Fault::is_error) {
            return None;
        }
        let exec_pod = Arc::clone(catalog.exec_pod());
        Some(Self { identity: agenda.identity, operations: planned.into(), graph, exec_pod })
    }
}

/// Operation names and their numbers; names that collide are faults.
struct Names {
    numbers: HashMap<String, OpIx>,
    /// Operations that could not be read; their faults are told already.
    unread: HashSet<String>,
}

impl Names {
    /// The name nearest to one that is not there; not sought any more when there are many faults already, for
    /// every search looks at all names.
    fn near(&self, name: &str, faults: &[Fault]) -> Option<&str> {
        let sought = faults.len() < MOST_SOUGHT;
        sought.then(|| nearest(name, self.numbers.keys().map(String::as_str))).flatten()
    }
}

fn check_names(operations: &[Operation], unread: Vec<String>, faults: &mut Vec<Fault>) -> Names {
    let mut numbers = HashMap::with_capacity(operations.len());
    let mut keys: HashMap<String, usize> = HashMap::with_capacity(operations.len());
    for (index, operation) in operations.iter().enumerate() {
        let name = operation.name.as_str();
        numbers.entry(name.to_owned()).or_insert(OpIx(index as u32));
        if let Some(first) = keys.insert(OperationName::collision_key(name), index) {
            let other = &operations[first];
            let message = if other.name == operation.name {
                format!("two operations are called `{name}`")
            } else {
                format!("`{name}` and `{}` differ only in letter case or Unicode form", other.name)
            };
            let fault = Fault::value("duplicate-name", operation.pointer.join("name"), message);
            faults.push(fault.related(Site::Value(other.pointer.join("name")), "the other one"));
        }
    }
    Names { numbers, unread: unread.into_iter().collect() }
}

/// What the operations of one type have in common, looked up once a type.
struct Types<'c> {
    catalog: &'c Catalog,
    on: LaunchType,
    agenda: &'c PolicyLayer,
    known: HashMap<String, KnownType>,
}

struct KnownType {
    name: Arc<str>,
    serves: Result<Serves, NoTarget>,
    /// The policies of operations that have none of their own.
    policies: Arc<Policies>,
}

impl Types<'_> {
    fn known(&mut self, name: &str) -> &KnownType {
        if !self.known.contains_key(name) {
            let serves = self.catalog.target(name, self.on).map(|target| match target {
                Target::Exec => Serves::Exec,
                Target::Resident(resident) => Serves::Resident(resident),
                Target::Program(entry) => Serves::Program(Arc::new(entry.clone())),
            });
            let policies = Arc::new(self.policies(name, &PolicyLayer::default()));
            let known = KnownType { name: name.into(), serves, policies };
            self.known.insert(name.to_owned(), known);
        }
        &self.known[name]
    }

    fn policies(&self, name: &str, own: &PolicyLayer) -> Policies {
        let none = PolicyLayer::default();
        let handler = self.catalog.entry(name).map_or(&none, |entry| &entry.policies);
        Policies::resolve(&[(Scope::Handler, handler), (Scope::Agenda, self.agenda), (Scope::Operation, own)])
    }
}

fn plan_operation(
    operation: Operation,
    names: &Names,
    types: &mut Types<'_>,
    edges: &mut Vec<(Edge, Site)>,
    faults: &mut Vec<Fault>,
) -> Planned {
    let Operation { pointer, id, name, handler_type, payload, depends_on, policies } = operation;
    let on = types.on;
    let known = types.known(&handler_type);
    let serves = match &known.serves {
        Ok(serves) => serves.clone(),
        Err(no_target) => {
            faults.push(no_target_fault(no_target, &name, &handler_type, &pointer, on));
            Serves::Exec
        }
    };
    let type_name = Arc::clone(&known.name);
    let shared = Arc::clone(&known.policies);
    let is_exec = matches!(serves, Serves::Exec) && known.serves.is_ok();
    let policies =
        if policies.is_empty() { shared } else { Arc::new(types.policies(&handler_type, &policies)) };
    if is_exec {
        ExecPayload::check(&payload, pointer.join("payload"), faults);
        let has_image = payload.get("image").is_some() || types.catalog.exec_pod().image.is_some();
        if on != LaunchType::Local && !has_image {
            let message = format!("operation `{name}` has no image, and {on} starts its command in one");
            let fault = Fault::value("no-image", pointer.join("payload"), message);
            faults.push(
                fault.hint("add `image` to its payload, or `imageName` to the registry's basePodConfig"),
            );
        }
    }
    for depends_on in &depends_on {
        let site = Site::Within(depends_on.pointer.clone(), depends_on.name.clone());
        match names.numbers.get(&depends_on.name) {
            Some(on) => edges.push((Edge { on: *on, kind: EdgeKind::Follows }, site)),
            None if names.unread.contains(&depends_on.name) => {}
            None => {
                let near = names.near(&depends_on.name, faults);
                let message = format!(
                    "operation `{name}` depends on `{}`, which is not in this agenda",
                    depends_on.name
                );
                faults.push(Fault::new("unknown-dependency", site, message).did_you_mean(near));
            }
        }
    }
    let payload_at = pointer.join("payload");
    let payload = Payload::compile(payload, |token, at| {
        let at = Pointer::from(format!("{payload_at}{at}"));
        refer(token, &at, &name, names, edges, faults)
    });
    Planned {
        name,
        id: id.map(String::into_boxed_str),
        handler_type: type_name,
        serves,
        payload,
        policies,
        is_read: false,
    }
}

fn no_target_fault(
    no_target: &NoTarget,
    name: &OperationName,
    handler_type: &str,
    pointer: &Pointer,
    on: LaunchType,
) -> Fault {
    let at = pointer.join("type");
    match no_target {
        NoTarget::Unknown { near } => {
            let message = format!("operation `{name}` is of type `{handler_type}`, which no handler serves");
            let fault = Fault::value("unknown-type", at, message).did_you_mean(near.as_deref());
            fault.hint("`pop handlers` lists the types; a registry adds more")
        }
        NoTarget::NotHere { missing } => {
            let message = format!("type `{handler_type}` cannot run under the {on} launcher");
            let hint = format!("give its registry entry a `{missing}`");
            Fault::value("not-launchable", at, message).hint(hint)
        }
    }
}

/// Finds what a reference refers to, and notes the dependency it makes.
fn refer(
    token: &Token,
    at: &Pointer,
    name: &OperationName,
    names: &Names,
    edges: &mut Vec<(Edge, Site)>,
    faults: &mut Vec<Fault>,
) -> Option<Referent> {
    match token.name.as_str() {
        AGENDA_ID => return Some(Referent::AgendaId),
        OPERATION_NAME => return Some(Referent::OperationName),
        _ => {}
    }
    if let Some(on) = token.operation().and_then(|operation| names.numbers.get(operation)) {
        let site = Site::Within(at.clone(), token.text.clone());
        edges.push((Edge { on: *on, kind: EdgeKind::Reads }, site));
        return Some(Referent::Result(*on));
    }
    if token.operation().is_some_and(|operation| names.unread.contains(operation)) {
        return None;
    }
    let site = Site::Within(at.clone(), token.name.clone());
    let asked = token.operation().unwrap_or(&token.name);
    let fault = if token.operation().is_none() && names.numbers.contains_key(&token.name) {
        let message = format!("operation `{name}` refers to `{asked}`; a result is called `{asked}.out`");
        Fault::new("unknown-reference", site, message).did_you_mean(Some(&format!("{asked}.out")))
    } else if token.name.starts_with("pop.") {
        let message = format!("operation `{name}` refers to `{}`, which pop does not provide", token.name);
        let near = nearest(&token.name, [AGENDA_ID, OPERATION_NAME]);
        Fault::new("unknown-reference", site, message).did_you_mean(near)
    } else {
        let message = format!("operation `{name}` refers to `{asked}`, which is not in this agenda");
        let site = Site::Within(at.clone(), asked.to_owned());
        let near = names.near(asked, faults);
        Fault::new("unknown-reference", site, message).did_you_mean(near)
    };
    faults.push(fault);
    None
}

/// Each operation's dependencies, sorted, each once; reading outranks following.
fn edge_lists(sites: &mut [Vec<(Edge, Site)>]) -> OpMap<Vec<Edge>> {
    let lists: Vec<Vec<Edge>> = sites
        .iter_mut()
        .map(|edges| {
            edges.sort_by_key(|(edge, _)| *edge);
            let mut list: Vec<Edge> = edges.iter().map(|(edge, _)| *edge).collect();
            list.dedup_by_key(|edge| edge.on);
            list
        })
        .collect();
    lists.into()
}

fn check_cycles(graph: &Graph, planned: &[Planned], sites: &[Vec<(Edge, Site)>], faults: &mut Vec<Fault>) {
    let (_, left) = graph.order();
    for cycle in graph.cycles(&left) {
        let mut names: Vec<_> =
            cycle.iter().chain(cycle.first()).map(|op| planned[op.index()].name.as_str()).collect();
        if cycle.len() > MOST_TOLD {
            names.splice(MOST_TOLD..cycle.len(), ["..."]);
        }
        let mut places =
            cycle.iter().zip(cycle.iter().skip(1).chain(cycle.first())).filter_map(|(from, to)| {
                let (_, site) = sites[from.index()].iter().find(|(edge, _)| edge.on == *to)?;
                let words =
                    format!("`{}` waits for `{}`", planned[from.index()].name, planned[to.index()].name);
                Some((site.clone(), words))
            });
        let Some((site, words)) = places.next() else { continue };
        let message = match cycle.len() {
            1 => format!("operation `{}` waits for itself", names[0]),
            _ => format!("operations wait for one another: {}", names.join(" -> ")),
        };
        let mut fault = Fault::new("cycle", site, message).label(words);
        fault.related.extend(places.take(MOST_TOLD - 1));
        faults.push(fault);
    }
}

/// A skipped operation leaves null behind: whoever reads a part of it needs something to stand in.
fn check_skippable(planned: &[Planned], sites: &[Vec<(Edge, Site)>], faults: &mut Vec<Fault>) {
    for (reader, edges) in planned.iter().zip(sites) {
        for (edge, site) in edges {
            let read = &planned[edge.on.index()];
            let Site::Within(_, token) = site else { continue };
            if edge.kind == EdgeKind::Reads && read.policies.may_skip() && !token.contains('?') {
                let message = format!(
                    "operation `{}` reads `{}`, which may be skipped and then has no result",
                    reader.name, read.name
                );
                let hint = format!(
                    "say what stands in for it: `{}?text>`, or `?` alone for null",
                    token_stem(token)
                );
                faults.push(Fault::new("no-fallback", site.clone(), message).hint(hint));
            }
        }
    }
}

fn token_stem(token: &str) -> String {
    let stem = token.trim_end_matches('>');
    if stem.contains("::") { stem.to_owned() } else { format!("{stem}::") }
}
