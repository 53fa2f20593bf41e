//! Check whether the launcher can keep instances of a handler (`warm` in its registry entry).

use super::Serves;
use super::types::Types;
use pop_document::{ElementPointer, Fault};

/// Adds a warning, once for each handler, if the launcher refuses its `warm`. Each operation then starts a program of its
/// own, so the same registry works under every launcher.
pub(super) fn check_warm(
    serves: Option<&Serves>,
    types: &mut Types<'_>,
    at: &ElementPointer,
    faults: &mut Vec<Fault>,
) {
    let Some(Serves::Program(entry)) = serves else { return };
    let Some(reason) = types.on.capabilities().no_warm_instances.filter(|_| entry.warm.is_some()) else {
        return;
    };
    if !types.refused_warm.insert(entry.id.clone()) {
        return;
    }
    let message = format!("the {} launcher refuses `warm` of handler `{}`: {reason}", types.on, entry.id);
    let fault = Fault::value("not-warm", at.join("type"), message).warning();
    faults.push(fault.hint("each operation of the handler starts a program of its own"));
}
