//! Looks up the secrets of a plan before anything starts.

use crate::run_request::RunRequest;
use crate::surroundings::Surroundings;
use crate::text_faults::TextFaults;
use pop_agenda::{Plan, Serves};
use pop_document::{Fault, Pointer};
use pop_launchers::Secrets;
use pop_registry::Entry;
use std::collections::HashSet;

/// The handlers of a plan that need secrets, each once; including those of operations that may be added during the run.
pub(crate) fn handlers_with_secrets(plan: &Plan) -> impl Iterator<Item = &Entry> {
    let planned = plan.templates().filter_map(|planned| match &planned.serves {
        Serves::Program(entry) => Some(entry.as_ref()),
        _ => None,
    });
    let mut seen = HashSet::new();
    let all = planned.chain(plan.handlers_to_come());
    all.filter(move |entry| !entry.secrets.is_empty() && seen.insert(entry.id.as_str()))
}

/// Looks up every secret. A secret that cannot be read is a fault of the registry.
pub(crate) fn find_secrets(
    plan: &Plan,
    request: &RunRequest,
    surroundings: &Surroundings,
    faults: &mut TextFaults,
) {
    for entry in handlers_with_secrets(plan) {
        let secrets = Secrets::new(&entry.secrets, &surroundings.variables, request.texts.home.clone());
        for secret in &entry.secrets {
            // only the cluster itself can look up its Secrets
            if request.launcher.capabilities().supplies_cluster_secrets && secret.source.in_cluster.is_some()
            {
                continue;
            }
            if let Err(failure) = secrets.values(std::slice::from_ref(secret)) {
                let at = Pointer::root().join(&entry.id).join("secrets").join(&secret.variable);
                let message = format!("type `{}`: {}", entry.name, failure.message);
                faults.registry.push(Fault::key("no-secret", at, message));
            }
        }
    }
}
