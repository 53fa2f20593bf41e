//! The resources that an operation needs: from its `resources`, from `cpu` and `memory` of its payload, and from the pod
//! settings of its handler.

use super::{PlannedOperation, Serves};
use crate::resource_totals::ResourceTotals;
use pop_document::{ElementPointer, Fault, Pointer, nearest, scalar_text};
use pop_policy::{CPU, Cpu, MEMORY, Memory, Policies, Resources, Scope};
use pop_registry::{Entry, Layer};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The resources that an attempt of an operation holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// Amounts that are known before the run; none is zero.
    pub known: Arc<Resources>,
    /// Whether `cpu` or `memory` of the payload is a reference, so that its amount is known only when the operation is
    /// ready.
    pub is_open: bool,
}

impl Needs {
    /// The needs of an operation with this payload; none if it needs nothing.
    pub(crate) fn of(policies: &Policies, serves: &Serves, payload: &Value) -> Option<Self> {
        let (amounts, is_open) = amounts(policies, serves, payload);
        (is_open || !amounts.is_empty()).then(|| Self { known: Arc::new(amounts), is_open })
    }
}

/// The amounts, without those of references.
fn amounts(policies: &Policies, serves: &Serves, payload: &Value) -> (Resources, bool) {
    let set = &policies.resources.value;
    let mut is_open = false;
    let mut amount = |name: &str| match serves {
        Serves::Exec => {
            let is_own = set.scope(name) == Some(Scope::Operation);
            let written = payload.get(name).filter(|_| !is_own).and_then(scalar_text);
            if written.as_ref().is_some_and(|text| text.contains("@<")) {
                is_open = true;
                return None;
            }
            policies.amount(name, written.and_then(|text| Resources::amount(name, &text).ok()))
        }
        Serves::Program(entry) => set.get(name).or_else(|| of_pod(entry, name)),
        Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => set.get(name),
    };
    let own = [CPU, MEMORY].map(|name| (name, amount(name)));
    if set.amounts().is_empty() && own.iter().all(|(_, amount)| amount.is_none()) {
        return (Resources::default(), is_open);
    }
    let mut all = set.amounts().clone();
    for (name, amount) in own {
        all.set(name, amount.unwrap_or_default());
    }
    (all.without_zeros(), is_open)
}

/// The amount that the registry sets for the pod of a handler: the request, or else the limit.
fn of_pod(entry: &Entry, name: &str) -> Option<u64> {
    let is_set =
        |field: &str| entry.pod_config.get(field).is_some_and(|sourced| sourced.layer != Layer::Core);
    let pod = &entry.pod;
    let (fields, amount) = match name {
        CPU => {
            (["cpuMinRequestCount", "cpuMaxRequestCount"], pod.cpu_request.or(pod.cpu_limit).map(Cpu::millis))
        }
        _ => (
            ["memoryRequestCount", "memoryLimitCount"],
            pod.memory_request.or(pod.memory_limit).map(Memory::bytes),
        ),
    };
    amount.filter(|_| fields.into_iter().any(is_set))
}

impl PlannedOperation {
    /// The resources that an attempt holds; none if it needs nothing, or if only parts of the operation have attempts.
    pub fn needs(&self) -> Option<&Needs> {
        self.rare.as_ref()?.needs.as_ref().filter(|_| !self.is_whole())
    }

    /// The resources that an attempt with this payload holds.
    pub(crate) fn needs_with(&self, payload: &Value) -> Resources {
        amounts(&self.policies, &self.serves, payload).0
    }
}

/// Adds a fault for each resource of which the operation needs more than the run has, and for the first use of each
/// resource without a total. `without_total` are the names that already have such a fault.
pub(super) fn check_totals(
    planned: &PlannedOperation,
    operation: &ElementPointer,
    totals: &ResourceTotals,
    without_total: &mut BTreeSet<Box<str>>,
    faults: &mut Vec<Fault>,
) {
    let Some(needs) = planned.rare.as_ref().and_then(|rare| rare.needs.as_ref()) else { return };
    let name = &planned.name;
    for (resource, amount) in needs.known.iter() {
        let words = Resources::amount_text(resource, amount);
        let at = || place(planned, operation, resource);
        match totals.amounts.get(resource) {
            Some(total) if amount > total => {
                let total = Resources::amount_text(resource, total);
                let message =
                    format!("operation `{name}` needs {resource} {words}, but the run has {total} in all");
                let whose = match resource {
                    CPU | MEMORY => "; without it, the total is this machine's",
                    _ => "",
                };
                let hint = format!(
                    "lower the amount, or set the total with `--resources {resource}={words}`{whose}"
                );
                faults.push(Fault::value("resources-exceeded", at(), message).hint(hint));
            }
            None if is_reported(resource, totals) && without_total.insert(resource.into()) => {
                let message = format!(
                    "operation `{name}` needs {resource} {words}, but the run has no total of `{resource}`"
                );
                let known = totals.amounts.iter().map(|(known, _)| known).chain([CPU, MEMORY]);
                let near = Resources::usual_name(resource).or_else(|| nearest(resource, known));
                let fault = Fault::key("no-resource-total", at(), message).did_you_mean(near);
                let fault = fault.hint(format!("set the total with `--resources {resource}=N`"));
                faults.push(if totals.are_complete { fault } else { fault.warning() });
            }
            _ => {}
        }
    }
}

/// Whether a resource without a total is reported: always once all totals are known, before that if other tools use its name
/// for a resource of pop.
fn is_reported(resource: &str, totals: &ResourceTotals) -> bool {
    let is_limited = [CPU, MEMORY].contains(&resource);
    !is_limited && (totals.are_complete || Resources::usual_name(resource).is_some())
}

/// Where the amount of a resource was set.
fn place(planned: &PlannedOperation, operation: &ElementPointer, resource: &str) -> Pointer {
    let scope = planned.policies.resources.value.scope(resource);
    let is_in_payload = planned.serves == Serves::Exec
        && [CPU, MEMORY].contains(&resource)
        && planned.payload.template().get(resource).is_some_and(|value| !value.is_null());
    let in_params = |params: Pointer| params.join("resources").join(resource);
    match scope {
        Some(Scope::Operation) => in_params(operation.join("params")),
        _ if is_in_payload => operation.join("payload").join(resource),
        Some(Scope::Agenda) => in_params(Pointer::root().join("params")),
        _ => operation.join("type"),
    }
}
