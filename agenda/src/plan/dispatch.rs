//! `dispatch`: one operation that calls several handlers, each for the units of its type.
//!
//! The calls are operations, and their reports form the result (docs/formats/reports.md).

use super::{Grown, Needs, Origin, Payload, Plan, PlannedOperation, RareFields, Serves};
use crate::ops::OpIx;
use pop_contract::{Call, Capability, Method};
use pop_document::{Fields, Pointer};
use pop_policy::{Lock, OnFail, Policies, Scope, ScopedValue};
use pop_registry::{Entry, LOCAL, RouteRequest, Target, route};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The parsed payload of a dispatch.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch {
    /// Options for every call.
    pub(crate) options: Map<String, Value>,
    /// Calls, in order.
    pub(crate) calls: Vec<CallRequest>,
}

/// The calls of a dispatch as operations, in order, and the calls without a handler.
#[derive(Debug)]
pub(crate) struct PlannedCalls {
    pub(crate) grown: Grown,
    pub(crate) served: Vec<Call>,
    pub(crate) unserved: Vec<Call>,
}

/// One call with its payload.
#[derive(Debug, Clone)]
pub(crate) struct CallRequest {
    pub(crate) call: Call,
    payload: Value,
}

const FIELDS: [&str; 6] = ["method", "units", "bindings", "repo_id", "type_id", "options"];
const METHODS: [(&str, Capability, Method); 8] = [
    ("content.install", Capability::Content, Method::Install),
    ("content.update", Capability::Content, Method::Update),
    ("content.uninstall", Capability::Content, Method::Uninstall),
    ("content.profile", Capability::Content, Method::Profile),
    ("bind.bind", Capability::Bind, Method::Bind),
    ("bind.unbind", Capability::Bind, Method::Unbind),
    ("bind.clean", Capability::Bind, Method::Clean),
    ("system.reboot", Capability::System, Method::Reboot),
];
/// Default type of the handler that restarts the machine: the name of the operating system.
const SYSTEM: &str = "Linux";

impl Plan {
    /// Reads a payload of type `dispatch`; an error is a message.
    pub(crate) fn dispatch(&self, payload: &Value) -> Result<Dispatch, String> {
        let mut faults = Vec::new();
        let read = self.read_dispatch(payload, &mut faults);
        let messages: Vec<String> = faults
            .into_iter()
            .filter(pop_document::Fault::is_error)
            .map(|fault| {
                if fault.pointer().is_empty() {
                    fault.message
                } else {
                    format!("{} (at `{}`)", fault.message, fault.site.pointer())
                }
            })
            .collect();
        read.filter(|_| messages.is_empty()).ok_or_else(|| messages.join("; "))
    }

    fn read_dispatch(&self, payload: &Value, faults: &mut Vec<pop_document::Fault>) -> Option<Dispatch> {
        let root = Pointer::root();
        let mut fields = Fields::of(payload, root.clone(), "the payload of a dispatch", "payload", faults)?;
        fields.warn_unknown("the payload of a dispatch", &FIELDS);
        let method = fields.text("method");
        let Some((_, capability, method)) = METHODS.into_iter().find(|(name, ..)| Some(*name) == method)
        else {
            let names: Vec<_> = METHODS.iter().map(|(name, ..)| *name).collect();
            let message = format!("`method` must be one of {}", names.join(", "));
            fields.faults().push(pop_document::Fault::value("payload", root.join("method"), message));
            return None;
        };
        let options = fields.map("options").cloned().unwrap_or_default();
        let type_id = fields.text("type_id");
        let repo_id = fields.text("repo_id").map(str::to_owned);
        let call = |type_id: &str, repo_id: Option<String>| Call {
            capability,
            method,
            type_id: type_id.to_owned(),
            repo_id,
        };
        let mut calls = Vec::new();
        match method {
            Method::Install | Method::Update | Method::Uninstall => {
                let mut by_type: Vec<(&str, Vec<&Value>)> = Vec::new();
                for (type_id, unit) in listed(&mut fields, "units")? {
                    match by_type.iter_mut().find(|(known, _)| *known == type_id) {
                        Some((_, units)) => units.push(unit),
                        None => by_type.push((type_id, vec![unit])),
                    }
                }
                for (type_id, units) in by_type {
                    calls.push(call_request(
                        call(type_id, None),
                        &[("units", json!(units)), ("options", json!(options))],
                    ));
                }
            }
            Method::Bind => {
                for (type_id, binding) in listed(&mut fields, "bindings")? {
                    let repo_id = binding["repo_id"].as_str().map(str::to_owned);
                    let binding = json!({"repo_id": repo_id, "details": binding["details"]});
                    let with = [("binding", binding), ("options", json!(options))];
                    calls.push(call_request(call(type_id, repo_id), &with));
                }
            }
            Method::Unbind => {
                let Some(repo_id) = repo_id else {
                    let message = "`bind.unbind` needs `repo_id`, the repository to unbind";
                    fields.faults().push(pop_document::Fault::value("payload", root, message));
                    return None;
                };
                let types = match type_id {
                    Some(type_id) => vec![type_id],
                    None => self.able("bind.unbind").map(|entry| entry.name.as_str()).collect(),
                };
                for type_id in types {
                    let with = [("repo_id", json!(repo_id)), ("options", json!(options))];
                    calls.push(call_request(call(type_id, Some(repo_id.clone())), &with));
                }
            }
            Method::Profile => {
                for entry in self.able("content.profile") {
                    calls.push(call_request(call(&entry.name, None), &[]));
                }
            }
            Method::Clean => {
                for entry in self.able("bind.clean") {
                    let capability = entry.capability().unwrap_or(capability);
                    calls.push(call_request(Call { capability, ..call(&entry.name, None) }, &[]));
                }
            }
            Method::Reboot => calls.push(self.reboot(type_id, &options)),
        }
        Some(Dispatch { options, calls })
    }

    /// The call that restarts the machine.
    pub(crate) fn reboot(&self, type_id: Option<&str>, options: &Map<String, Value>) -> CallRequest {
        let named = type_id.or_else(|| Some(self.able("system.reboot").next()?.name.as_str()));
        let type_id = named.unwrap_or(SYSTEM).to_owned();
        let call = Call { capability: Capability::System, method: Method::Reboot, type_id, repo_id: None };
        call_request(call, &[("options", json!(options))])
    }

    /// Handlers with an action.
    fn able<'p>(&'p self, action: &'p str) -> impl Iterator<Item = &'p Entry> {
        let entries = self.context.iter().flat_map(|context| context.catalog.entries());
        entries.filter(move |entry| {
            entry.actions.as_ref().is_some_and(|actions| actions.iter().any(|own| own == action))
        })
    }

    /// Plans calls as parts of `of`, numbered from `first`. `keys` are the lock keys of the dispatch.
    pub(crate) fn called(
        &self,
        of: OpIx,
        first: u32,
        calls: &[CallRequest],
        keys: &[Box<str>],
    ) -> PlannedCalls {
        let whole = self.operation(of);
        let (mut planned, mut served, mut unserved) = (Vec::new(), Vec::new(), Vec::new());
        for CallRequest { call, payload } in calls {
            let Some((serves, policies, action)) = self.callee(call, whole) else {
                unserved.push(call.clone());
                continue;
            };
            let index = first + planned.len() as u32;
            let lock_keys = (policies.lock.value != Lock::None).then(|| {
                let key = match &policies.lock_key {
                    ScopedValue { value: Some(_), scope: Scope::Operation | Scope::Agenda } => json!(keys),
                    ScopedValue { value: Some(key), .. } => key.clone(),
                    ScopedValue { value: None, .. } => json!(call.type_id),
                };
                Payload::fixed(key.into())
            });
            let needs = Needs::of(&policies, &serves, payload);
            planned.push(PlannedOperation {
                name: whole.name.instance(index),
                id: None,
                handler_type: call.type_id.as_str().into(),
                route: None,
                serves,
                payload: Arc::new(Payload::fixed(payload.clone().into())),
                policies: Arc::new(policies),
                is_read: true,
                is_absorbed: whole.is_absorbed,
                rare: Some(Arc::new(RareFields {
                    action: Some(action.into()),
                    is_cleanup: whole.is_cleanup(),
                    lock_keys,
                    needs,
                    ..RareFields::default()
                })),
                origin: Some(Origin::Part { of, index }),
            });
            served.push(call.clone());
        }
        PlannedCalls { grown: Grown::of(planned), served, unserved }
    }

    fn callee(&self, call: &Call, whole: &PlannedOperation) -> Option<(Serves, Policies, String)> {
        let context = self.context.as_ref()?;
        let owner = if call.method == Method::Clean { Capability::Bind } else { call.capability };
        let action = format!("{owner}.{}", call.method);
        let request = RouteRequest {
            action: Some(&action),
            stream: LOCAL,
            ..RouteRequest::of_type(&call.type_id, context.on)
        };
        // two capabilities may have the same type name
        let exact = self
            .able(&action)
            .find(|entry| entry.name == call.type_id && entry.capability() == Some(call.capability));
        let routed = match exact.map(|entry| RouteRequest { handler: Some(&entry.id), ..request }) {
            Some(request) => route(&context.catalog, &request),
            None => route(&context.catalog, &request),
        };
        let routed = routed.ok()?;
        let (Some(entry), serves) = (
            routed.entry,
            match routed.target {
                Target::Program(entry) => Serves::Program(Arc::new(entry.clone())),
                Target::Resident(resident) => Serves::Resident(resident),
                Target::Exec | Target::Dispatch | Target::Agenda => return None,
            },
        ) else {
            return None;
        };
        let mut layers = entry.policies.layers(LOCAL, Some(&action));
        let own = whole.rare.as_ref().and_then(|rare| rare.own.as_deref());
        layers.push((Scope::Agenda, &context.policies));
        layers.extend(own.map(|own| (Scope::Operation, own)));
        let mut policies = Policies::resolve(&layers);
        // skipPattern applies to the dispatch as a whole
        policies.skip = ScopedValue::default();
        // a failed call only goes into the report; the other handlers are still called
        policies.on_fail.value = OnFail::Skip;
        Some((serves, policies, action))
    }
}

fn call_request(call: Call, with: &[(&str, Value)]) -> CallRequest {
    let mut payload = json!({"capability": call.capability, "method": call.method, "type": call.type_id});
    for (field, value) in with {
        payload[*field] = value.clone();
    }
    CallRequest { call, payload }
}

/// Reads a list of maps, each with its `type_id`.
fn listed<'v>(fields: &mut Fields<'v, '_>, name: &str) -> Option<Vec<(&'v str, &'v Value)>> {
    let Some(Value::Array(items)) = fields.any(name) else {
        let message = format!("`{name}` must be a list of maps, each with its `type_id`");
        let fault = pop_document::Fault::value("payload", fields.at(name), message);
        fields.faults().push(fault);
        return None;
    };
    let mut found = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match item["type_id"].as_str() {
            Some(type_id) => found.push((type_id, item)),
            None => {
                let at = fields.at(name).join(index);
                fields.faults().push(pop_document::Fault::value("payload", at, "needs the string `type_id`"));
            }
        }
    }
    Some(found)
}
