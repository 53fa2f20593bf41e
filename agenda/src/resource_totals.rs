//! Totals of resources that a plan is checked against before its run starts.

use pop_policy::Resources;

/// Totals of resources that a plan is checked against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResourceTotals {
    /// The totals of the run.
    pub amounts: Resources,
    /// Whether no more totals will be set, so that a resource without a total is a fault.
    pub are_complete: bool,
}
