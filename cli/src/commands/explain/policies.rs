//! Policies of an operation, each with the scope that set it.

use pop_agenda::PlannedOperation;
use pop_policy::PolicyLine;

/// Lists the policies that `pop explain` shows.
pub(super) fn policies(planned: &PlannedOperation) -> Vec<PolicyLine> {
    let policies = &planned.policies;
    let mut lines = policies.lines();
    let is_refused = policies.use_cache.value && !planned.may_use_cache();
    for line in lines.iter_mut().filter(|line| is_refused && line.key == "useCache") {
        line.value = format!("true, but not used: cache.use is false ({})", policies.cache_use.scope);
    }
    lines
}
