//! `dispatch`: one operation that asks several handlers, each for the units of its own type.
//!
//! Its calls are operations like others, and its result is made of their reports (docs/formats/reports.md).

use super::{Grown, Origin, Payload, Plan, PlannedOperation, RareFields, Serves};
use crate::ops::OpIx;
use pop_contract::{Call, Capability, Method};
use pop_document::{Fields, Pointer};
use pop_policy::{Lock, OnFail, Policies, Scope, ScopedValue};
use pop_registry::{Entry, LOCAL, RouteRequest, Target, route};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What an operation of type `dispatch` asks for.
#[derive(Debug, Clone)]
pub(crate) struct Dispatch {
    /// Its options, which every call is given.
    pub(crate) options: Map<String, Value>,
    /// Its calls, in order.
    pub(crate) calls: Vec<Asked>,
}

/// Calls as operations: what each asks for, in order, and those for which there is no handler.
#[derive(Debug)]
pub(crate) struct Called {
    pub(crate) grown: Grown,
    pub(crate) asked: Vec<Call>,
    pub(crate) unserved: Vec<Call>,
}

/// One call.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
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
/// The type of the handler that restarts a machine, if nobody says otherwise: the name of its operating system.
const SYSTEM: &str = "Linux";

impl Plan {
    /// What a payload of type `dispatch` asks for; words, if it is none.
    pub(crate) fn dispatch(&self, payload: &Value) -> Result<Dispatch, String> {
        let mut faults = Vec::new();
        let read = self.read_dispatch(payload, &mut faults);
        let told: Vec<String> = faults
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
        read.filter(|_| told.is_empty()).ok_or_else(|| told.join("; "))
    }

    fn read_dispatch(&self, payload: &Value, faults: &mut Vec<pop_document::Fault>) -> Option<Dispatch> {
        let root = Pointer::root();
        let mut fields = Fields::of(payload, root.clone(), "the payload of a dispatch", "payload", faults)?;
        fields.warn_unknown("the payload of a dispatch", &FIELDS);
        let said = fields.text("method");
        let Some((_, capability, method)) = METHODS.into_iter().find(|(name, ..)| Some(*name) == said) else {
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
                    calls.push(asked(
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
                    calls.push(asked(call(type_id, repo_id), &with));
                }
            }
            Method::Unbind => {
                let Some(repo_id) = repo_id else {
                    let message = "`bind.unbind` needs the `repo_id` that is to be unbound";
                    fields.faults().push(pop_document::Fault::value("payload", root, message));
                    return None;
                };
                let types = match type_id {
                    Some(type_id) => vec![type_id],
                    None => self.able("bind.unbind").map(|entry| entry.name.as_str()).collect(),
                };
                for type_id in types {
                    let with = [("repo_id", json!(repo_id)), ("options", json!(options))];
                    calls.push(asked(call(type_id, Some(repo_id.clone())), &with));
                }
            }
            Method::Profile => {
                for entry in self.able("content.profile") {
                    calls.push(asked(call(&entry.name, None), &[]));
                }
            }
            Method::Clean => {
                for entry in self.able("bind.clean") {
                    let capability = entry.capability().unwrap_or(capability);
                    calls.push(asked(Call { capability, ..call(&entry.name, None) }, &[]));
                }
            }
            Method::Reboot => calls.push(self.reboot(type_id, &options)),
        }
        Some(Dispatch { options, calls })
    }

    /// The call that restarts the machine.
    pub(crate) fn reboot(&self, type_id: Option<&str>, options: &Map<String, Value>) -> Asked {
        let named = type_id.or_else(|| Some(self.able("system.reboot").next()?.name.as_str()));
        let type_id = named.unwrap_or(SYSTEM).to_owned();
        let call = Call { capability: Capability::System, method: Method::Reboot, type_id, repo_id: None };
        asked(call, &[("options", json!(options))])
    }

    /// The handlers that say that they take on an action.
    fn able<'p>(&'p self, action: &'p str) -> impl Iterator<Item = &'p Entry> {
        let entries = self.roots.iter().flat_map(|roots| roots.catalog.entries());
        entries.filter(move |entry| {
            entry.actions.as_ref().is_some_and(|actions| actions.iter().any(|own| own == action))
        })
    }

    /// Calls as operations that are parts of `of`, numbered from `first`; `keys` are what `lockKey` of the dispatch names.
    pub(crate) fn called(&self, of: OpIx, first: u32, calls: &[Asked], keys: &[Box<str>]) -> Called {
        let whole = self.operation(of);
        let (mut planned, mut asked, mut unserved) = (Vec::new(), Vec::new(), Vec::new());
        for Asked { call, payload } in calls {
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
                Payload::fixed(key)
            });
            planned.push(PlannedOperation {
                name: whole.name.instance(index),
                id: None,
                handler_type: call.type_id.as_str().into(),
                route: None,
                serves,
                payload: Arc::new(Payload::fixed(payload.clone())),
                policies: Arc::new(policies),
                is_read: true,
                rare: Some(Arc::new(RareFields {
                    action: Some(action.into()),
                    is_cleanup: whole.is_cleanup(),
                    lock_keys,
                    ..RareFields::default()
                })),
                origin: Some(Origin::Part { of, index }),
            });
            asked.push(call.clone());
        }
        Called { grown: Grown::of(planned), asked, unserved }
    }

    fn callee(&self, call: &Call, whole: &PlannedOperation) -> Option<(Serves, Policies, String)> {
        let roots = self.roots.as_ref()?;
        let owner = if call.method == Method::Clean { Capability::Bind } else { call.capability };
        let action = format!("{owner}.{}", call.method);
        let request = RouteRequest {
            action: Some(&action),
            stream: LOCAL,
            ..RouteRequest::of_type(&call.type_id, roots.on)
        };
        // two capabilities may have a type of the same name
        let exact = self
            .able(&action)
            .find(|entry| entry.name == call.type_id && entry.capability() == Some(call.capability));
        let routed = match exact.map(|entry| RouteRequest { handler: Some(&entry.id), ..request }) {
            Some(request) => route(&roots.catalog, &request),
            None => route(&roots.catalog, &request),
        };
        let routed = routed.ok()?;
        let (Some(entry), serves) = (
            routed.entry,
            match routed.target {
                Target::Program(entry) => Serves::Program(Arc::new(entry.clone())),
                Target::Resident(resident) => Serves::Resident(resident),
                Target::Exec | Target::Dispatch => return None,
            },
        ) else {
            return None;
        };
        let mut layers = entry.policies.layers(LOCAL, Some(&action));
        let own = whole.rare.as_ref().and_then(|rare| rare.own.as_deref());
        layers.push((Scope::Agenda, &roots.policies));
        layers.extend(own.map(|own| (Scope::Operation, own)));
        let mut policies = Policies::resolve(&layers);
        // that was asked of the dispatch as a whole
        policies.skip = ScopedValue::default();
        // what a handler could not do stands in the report, and the other handlers are asked all the same
        policies.on_fail.value = OnFail::Skip;
        Some((serves, policies, action))
    }
}

fn asked(call: Call, with: &[(&str, Value)]) -> Asked {
    let mut payload = json!({"capability": call.capability, "method": call.method, "type": call.type_id});
    for (field, value) in with {
        payload[*field] = value.clone();
    }
    Asked { call, payload }
}

/// The maps of a list, each with its `type_id`.
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
                fields.faults().push(pop_document::Fault::value("payload", at, "has no `type_id`, a text"));
            }
        }
    }
    Some(found)
}
