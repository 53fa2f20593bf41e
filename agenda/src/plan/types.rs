//! Handler selection: operations with the same type, handler, version and action share one lookup.

use super::Payload;
use super::batch::Batch;
use super::scope::Scope as PlanScope;
use super::{Route, Serves};
use crate::document::{InputSpecs, Operation};
use crate::resource_totals::ResourceTotals;
use pop_contract::LaunchType;
use pop_document::{Fault, Pointer, nearest};
use pop_policy::{Policies, PolicyLayer, Scope};
use pop_registry::{Catalog, Entry, NoRoute, RouteRequest, Target, route};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

/// Context for planning: everything except the operations.
#[derive(Debug, Clone)]
pub(super) struct PlanContext {
    pub(super) catalog: Catalog,
    pub(super) on: LaunchType,
    /// Policies of the agenda.
    pub(super) policies: PolicyLayer,
    /// Handler that the agenda assigns.
    pub(super) assigned: Option<String>,
    /// Inputs of the agenda.
    pub(super) inputs: InputSpecs,
}

/// The fields of an operation that select its handler.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct HandlerQuery {
    handler_type: Arc<str>,
    handler: Option<String>,
    version: Option<String>,
    action: Option<String>,
}

/// Plans operations; those of an operation of type `agenda` are planned by the same function as those around them.
pub(super) type PlanList = fn(Vec<Operation>, &PlanScope<'_>, &mut Types<'_>, &mut Vec<Fault>) -> Batch;

/// The lookups so far.
pub(super) struct Types<'c> {
    /// Plans the operations inside others.
    pub(super) plan_list: PlanList,
    pub(super) catalog: &'c Catalog,
    pub(super) on: LaunchType,
    agenda: &'c PolicyLayer,
    assigned: Option<&'c str>,
    /// Stream (origin) of the operations: `agenda`, or `local` for those that the run added.
    stream: &'static str,
    /// Totals to check operations against; none if they are not known yet.
    pub(super) totals: Option<ResourceTotals>,
    /// Resources without a total that already have a fault.
    pub(super) without_total: BTreeSet<Box<str>>,
    /// Results of the lookups.
    handlers: Vec<ResolvedHandler>,
    /// Index of the result of each lookup.
    known: HashMap<HandlerQuery, usize>,
    /// The previous lookup and the index of its result. Consecutive operations often have the same lookup.
    latest: Option<(HandlerQuery, usize)>,
    /// Ids of the handlers whose `warm` the launcher refuses, each reported once.
    pub(super) refused_warm: HashSet<String>,
    /// Payloads of commands that several operations have and that have no faults, by the address of their value.
    sound_commands: HashSet<*const Value>,
    /// Payloads that several operations have, by the address of their value.
    payloads: HashMap<*const Value, Arc<Payload>>,
    /// The payload of the operation before, if it has no references.
    latest_payload: Option<Arc<Payload>>,
}

/// Result of a lookup.
pub(super) struct ResolvedHandler {
    pub(super) name: Arc<str>,
    pub(super) serves: Result<(Serves, Arc<Route>), NoRoute>,
    /// Registry entry with policies for the type, and the policies without those of an operation.
    entry: Option<Arc<Entry>>,
    policies: Arc<Policies>,
}

impl<'c> Types<'c> {
    pub(super) fn new(
        catalog: &'c Catalog,
        on: LaunchType,
        agenda: &'c PolicyLayer,
        assigned: Option<&'c str>,
        stream: &'static str,
        plan_list: PlanList,
    ) -> Self {
        Self {
            plan_list,
            catalog,
            on,
            agenda,
            assigned,
            stream,
            totals: None,
            without_total: BTreeSet::new(),
            handlers: Vec::new(),
            known: HashMap::new(),
            latest: None,
            refused_warm: HashSet::new(),
            sound_commands: HashSet::new(),
            payloads: HashMap::new(),
            latest_payload: None,
        }
    }

    pub(super) fn of_context(context: &'c PlanContext, stream: &'static str, plan_list: PlanList) -> Self {
        let PlanContext { catalog, on, policies, assigned, inputs: _ } = context;
        Self::new(catalog, *on, policies, assigned.as_deref(), stream, plan_list)
    }

    /// Checks the payload of a command, unless an equal one of another operation was checked and has no faults.
    pub(super) fn check_once(
        &mut self,
        payload: &Arc<Value>,
        faults: &mut Vec<Fault>,
        check: impl FnOnce(&mut Vec<Fault>),
    ) {
        if self.sound_commands.contains(&Arc::as_ptr(payload)) {
            return;
        }
        let before = faults.len();
        check(faults);
        // the plan keeps the payload, so that no other one gets its address
        if faults.len() == before && Arc::strong_count(payload) > 1 {
            self.sound_commands.insert(Arc::as_ptr(payload));
        }
    }

    /// The payload with this value, if the operation before had it and it has no references.
    pub(super) fn latest_payload(&self, value: &Arc<Value>) -> Option<Arc<Payload>> {
        self.latest_payload.as_ref().filter(|payload| payload.is_of(value)).cloned()
    }

    /// The payload, which was searched for references, stored once for operations with equal ones.
    pub(super) fn share_searched(&mut self, payload: Payload) -> Arc<Payload> {
        let payload = self.share(payload);
        // what a reference means depends on the operation
        self.latest_payload = payload.is_fixed().then(|| Arc::clone(&payload));
        payload
    }

    /// The payload, stored once for operations with equal ones.
    pub(super) fn share(&mut self, payload: Payload) -> Arc<Payload> {
        let Some(address) = payload.shared_value() else { return Arc::new(payload) };
        match self.payloads.get(&address) {
            Some(known) if **known == payload => Arc::clone(known),
            _ => {
                let payload = Arc::new(payload);
                // the entry keeps the value, so that no other one gets its address
                self.payloads.insert(address, Arc::clone(&payload));
                payload
            }
        }
    }

    /// The handler of an operation and its policies.
    pub(super) fn of(&mut self, operation: &Operation) -> (&ResolvedHandler, Arc<Policies>) {
        let rare = operation.rare.as_deref();
        let index = self.index_of(HandlerQuery {
            handler_type: Arc::clone(&operation.handler_type),
            handler: rare.and_then(|rare| rare.handler.clone()),
            version: rare.and_then(|rare| rare.version.clone()),
            action: rare.and_then(|rare| rare.action.clone()),
        });
        let action = rare.and_then(|rare| rare.action.as_deref());
        let known = &self.handlers[index];
        let policies = match &operation.policies {
            None => Arc::clone(&known.policies),
            Some(own) => Arc::new(self.policies(known.entry.as_deref(), action, own)),
        };
        (known, policies)
    }

    /// The index of the result of a lookup.
    fn index_of(&mut self, query: HandlerQuery) -> usize {
        if let Some((latest, index)) = &self.latest
            && *latest == query
        {
            return *index;
        }
        let index = self.known.get(&query).copied().unwrap_or_else(|| {
            let index = self.handlers.len();
            self.handlers.push(self.look_up(&query));
            self.known.insert(query.clone(), index);
            index
        });
        self.latest = Some((query, index));
        index
    }

    fn look_up(&self, query: &HandlerQuery) -> ResolvedHandler {
        let name = &query.handler_type;
        let request = RouteRequest {
            action: query.action.as_deref(),
            version: query.version.as_deref(),
            handler: query.handler.as_deref(),
            assigned: self.assigned,
            stream: self.stream,
            ..RouteRequest::of_type(name, self.on)
        };
        let routed = route(self.catalog, &request);
        // an entry that only configures a built-in type has policies, too
        let entry = routed.as_ref().ok().and_then(|routed| routed.entry).or_else(|| self.catalog.entry(name));
        let policies = Arc::new(self.policies(entry, request.action, &PolicyLayer::default()));
        let entry = entry.map(|entry| Arc::new(entry.clone()));
        let serves = routed.map(|routed| {
            let serves = match (routed.target, &entry) {
                (Target::Program(_), Some(entry)) => Serves::Program(Arc::clone(entry)),
                (Target::Program(entry), None) => Serves::Program(Arc::new(entry.clone())),
                (Target::Exec, _) => Serves::Exec,
                (Target::Dispatch, _) => Serves::Dispatch,
                (Target::Agenda, _) => Serves::Agenda(Arc::default()),
                (Target::Resident(resident), _) => Serves::Resident(resident),
            };
            let text = |text: &String| text.as_str().into();
            let route = Route {
                handler: routed.entry.map(|entry| text(&entry.id)),
                version: routed.entry.and_then(|entry| entry.version.as_ref()).map(text),
                step: routed.step,
                passed_over: routed.rejected,
            };
            (serves, Arc::new(route))
        });
        ResolvedHandler { name: Arc::clone(name), serves, entry, policies }
    }

    fn policies(&self, entry: Option<&Entry>, action: Option<&str>, own: &PolicyLayer) -> Policies {
        let mut layers = entry.map_or_else(Vec::new, |entry| entry.policies.layers(self.stream, action));
        layers.extend([(Scope::Agenda, self.agenda), (Scope::Operation, own)]);
        Policies::resolve(&layers)
    }
}

/// The fault of an operation without a handler.
pub(super) fn no_route_fault(no_route: &NoRoute, operation: &Operation, on: LaunchType) -> Fault {
    let Operation { name, handler_type, pointer, rare, .. } = operation;
    let at = pointer.join("type");
    let param = |name: &str| pointer.join("params").join(name);
    let list = |known: &[String]| match known {
        [] => "there are none".to_owned(),
        known => format!(
            "there are {}",
            known.iter().map(|known| format!("`{known}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    let param_of = |get: fn(&crate::document::RareParams) -> &Option<String>| {
        rare.as_deref().and_then(|rare| get(rare).clone()).unwrap_or_default()
    };
    match no_route {
        NoRoute::UnknownType { near } => {
            let message = format!("operation `{name}` is of type `{handler_type}`, which no handler serves");
            let fault = Fault::value("unknown-type", at, message).did_you_mean(near.as_deref());
            fault.hint("`pop handlers` lists the types; a registry adds more")
        }
        NoRoute::NotHere { missing, .. } => {
            let message = format!("type `{handler_type}` cannot run under the {on} launcher");
            let hint = format!("give its registry entry a `{missing}`");
            Fault::value("not-launchable", at, message).hint(hint)
        }
        NoRoute::UnknownHandler { handler, near } => {
            let is_own = param_of(|rare| &rare.handler) == *handler;
            let at = if is_own { param("handler") } else { Pointer::root().join("params").join("handler") };
            let message = format!("there is no handler `{handler}`");
            let fault = Fault::value("unknown-handler", at, message).did_you_mean(near.as_deref());
            fault.hint("`pop handlers` lists them")
        }
        NoRoute::Unfit(passed_over) => {
            let message = format!("the handler of operation `{name}` cannot serve it: {passed_over}");
            Fault::value("unfit-handler", param("handler"), message)
        }
        NoRoute::UnknownVersion { known } => {
            let version = param_of(|rare| &rare.version);
            let message =
                format!("no handler of type `{handler_type}` has version `{version}`: {}", list(known));
            let near = nearest(&version, known.iter().map(String::as_str));
            Fault::value("unknown-version", param("version"), message).did_you_mean(near)
        }
        NoRoute::UnknownAction { known } => {
            let action = param_of(|rare| &rare.action);
            let message =
                format!("no handler of type `{handler_type}` has action `{action}`: {}", list(known));
            let near = nearest(&action, known.iter().map(String::as_str));
            Fault::value("unknown-action", param("action"), message).did_you_mean(near)
        }
        NoRoute::Discarded { handler, step, inputs } => {
            let inputs = inputs.iter().map(|input| format!("`{input}`")).collect::<Vec<_>>().join(", ");
            let message = format!(
                "operation `{name}` would be discarded: `{handler}` was chosen for {step}, but accepts only operations from {inputs}"
            );
            let hint = "extend its `inputs`, or set `allowHandlers` in the registry's `$routing`";
            Fault::value("discarded", at, message).hint(hint)
        }
    }
}
