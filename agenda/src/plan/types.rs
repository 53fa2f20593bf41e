//! What the operations of one type have in common, looked up once a type.

use super::Serves;
use crate::document::Operation;
use pop_document::Fault;
use pop_policy::{Policies, PolicyLayer, Scope};
use pop_registry::contract::LaunchType;
use pop_registry::{Catalog, NoTarget, Target};
use std::collections::HashMap;
use std::sync::Arc;

/// What a plan is built with, besides the operations themselves.
#[derive(Debug, Clone)]
pub(super) struct Roots {
    pub(super) catalog: Catalog,
    pub(super) on: LaunchType,
    /// The policies of the agenda.
    pub(super) policies: PolicyLayer,
}

/// The types met so far.
pub(super) struct Types<'c> {
    pub(super) catalog: &'c Catalog,
    pub(super) on: LaunchType,
    pub(super) agenda: &'c PolicyLayer,
    known: HashMap<String, KnownType>,
}

/// One type.
pub(super) struct KnownType {
    pub(super) name: Arc<str>,
    pub(super) serves: Result<Serves, NoTarget>,
    /// The policies of operations that have none of their own.
    policies: Arc<Policies>,
}

impl<'c> Types<'c> {
    pub(super) fn new(catalog: &'c Catalog, on: LaunchType, agenda: &'c PolicyLayer) -> Self {
        Self { catalog, on, agenda, known: HashMap::new() }
    }

    pub(super) fn of_roots(roots: &'c Roots) -> Self {
        Self::new(&roots.catalog, roots.on, &roots.policies)
    }

    /// The type of an operation, and its policies.
    pub(super) fn of(&mut self, operation: &Operation) -> (&KnownType, Arc<Policies>) {
        let name = operation.handler_type.as_str();
        if !self.known.contains_key(name) {
            let serves = self.catalog.target(name, self.on).map(|target| match target {
                Target::Exec => Serves::Exec,
                Target::Resident(resident) => Serves::Resident(resident),
                Target::Program(entry) => Serves::Program(Arc::new(entry.clone())),
            });
            let policies = Arc::new(self.policies(name, &PolicyLayer::default()));
            self.known.insert(name.to_owned(), KnownType { name: name.into(), serves, policies });
        }
        let known = &self.known[name];
        let own = &operation.policies;
        let policies =
            if own.is_empty() { Arc::clone(&known.policies) } else { Arc::new(self.policies(name, own)) };
        (known, policies)
    }

    fn policies(&self, name: &str, own: &PolicyLayer) -> Policies {
        let none = PolicyLayer::default();
        let handler = self.catalog.entry(name).map_or(&none, |entry| &entry.policies);
        Policies::resolve(&[(Scope::Handler, handler), (Scope::Agenda, self.agenda), (Scope::Operation, own)])
    }
}

/// Why nobody serves an operation, as a fault of its type.
pub(super) fn no_target_fault(no_target: &NoTarget, operation: &Operation, on: LaunchType) -> Fault {
    let Operation { name, handler_type, pointer, .. } = operation;
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
