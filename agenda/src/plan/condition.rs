//! Conditions of an operation beyond its dependencies: `when`, and the groups of `dependsOn`.

use super::OpRef;
use super::edges::Reasons;
use crate::document::DependsOnGroup;
use crate::outcome::{Outcome, Outcomes};
use pop_document::{Fault, Pointer, Site, nearest};
use pop_policy::Pattern;

const ROOTS: [&str; 6] = ["inputs", "payload", "item", "index", "results", "outcomes"];

/// A `when` whose names are resolved: the operation is skipped unless the expression holds.
#[derive(Debug, Clone)]
pub struct When {
    /// The expression.
    pub pattern: Pattern,
    /// Operations whose results it reads, with their names.
    pub(crate) results: Vec<(Box<str>, OpRef)>,
    /// Operations whose outcomes it reads, with their names.
    pub(crate) outcomes: Vec<(Box<str>, OpRef)>,
    /// Whether it reads the inputs of the agenda.
    pub(crate) reads_inputs: bool,
    /// Whether it reads the operation's payload.
    pub(crate) reads_payload: bool,
    /// Whether it reads the item or its index, so that it applies to each instance of a `forEach`.
    pub(crate) reads_item: bool,
}

impl When {
    /// Resolves the names in an expression at `params/when`, and adds the dependencies that follow from them.
    pub(super) fn resolve(
        pattern: Pattern,
        at: &Pointer,
        reasons: &mut Reasons<'_>,
        faults: &mut Vec<Fault>,
    ) -> Self {
        let mut when = Self {
            pattern,
            results: Vec::new(),
            outcomes: Vec::new(),
            reads_inputs: false,
            reads_payload: false,
            reads_item: false,
        };
        for (root, name) in when.pattern.roots() {
            let site = Site::Within(at.clone(), root.clone());
            match root.as_str() {
                "inputs" => {
                    when.reads_inputs = true;
                    if let Some(name) = name {
                        reasons.check_input(&name, "inputs.", Site::Within(at.clone(), name.clone()), faults);
                    }
                }
                "payload" => when.reads_payload = true,
                "item" | "index" if reasons.has_items => when.reads_item = true,
                "item" | "index" => {
                    let message = format!("`when` reads `{root}`, but the operation has no `forEach`");
                    faults.push(Fault::new("unknown-reference", site, message));
                }
                "results" | "outcomes" => {
                    let Some(name) = name else {
                        let message = format!("`when` must name the operation: `{root}.NAME`");
                        faults.push(Fault::new("wrong-value", site, message));
                        continue;
                    };
                    let is_result = root == "results";
                    let Some(on) = reasons.watch(&name, is_result, at, faults) else { continue };
                    let names = if is_result { &mut when.results } else { &mut when.outcomes };
                    names.push((name.into(), on));
                }
                _ => {
                    let message = format!("`when` reads `{root}`, which it does not have");
                    let fault = Fault::new("unknown-reference", site, message);
                    let hint = format!("it has {}", ROOTS.join(", "));
                    faults.push(fault.did_you_mean(nearest(&root, ROOTS)).hint(hint));
                }
            }
        }
        when
    }
}

/// A condition over outcomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutcomeGroup {
    /// An operation has one of these outcomes.
    Outcome {
        /// The operation.
        on: OpRef,
        /// The outcomes.
        needs: Outcomes,
    },
    /// Every condition holds.
    All(Vec<Self>),
    /// One condition holds.
    Any(Vec<Self>),
}

impl OutcomeGroup {
    /// Resolves the names in a group of `dependsOn`, and adds dependencies on all of them.
    pub(super) fn resolve(
        group: &DependsOnGroup,
        reasons: &mut Reasons<'_>,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let mut all = |inner: &[DependsOnGroup]| {
            inner.iter().filter_map(|one| Self::resolve(one, reasons, faults)).collect()
        };
        Some(match group {
            DependsOnGroup::All(inner) => Self::All(all(inner)),
            DependsOnGroup::Any(inner) => Self::Any(all(inner)),
            DependsOnGroup::Name(name) => {
                let (on, needs) = reasons.depend_in_group(name, faults)?;
                Self::Outcome { on, needs }
            }
        })
    }

    /// The condition in words; `name` gives the name of an operation.
    pub fn words(&self, name: &dyn Fn(OpRef) -> String) -> String {
        let list = |inner: &[Self]| inner.iter().map(|one| one.words(name)).collect::<Vec<_>>().join(", ");
        match self {
            Self::Outcome { on, needs } if *needs == Outcomes::GOOD => format!("`{}`", name(*on)),
            Self::Outcome { on, needs } => format!("`{}` {needs}", name(*on)),
            Self::All(inner) => format!("all of ({})", list(inner)),
            Self::Any(inner) => format!("any of ({})", list(inner)),
        }
    }

    /// Whether the condition holds for these outcomes.
    pub fn holds(&self, outcome: &impl Fn(OpRef) -> Option<Outcome>) -> bool {
        match self {
            Self::Outcome { on, needs } => outcome(*on).is_some_and(|outcome| needs.contains(outcome)),
            Self::All(inner) => inner.iter().all(|one| one.holds(outcome)),
            Self::Any(inner) => inner.iter().any(|one| one.holds(outcome)),
        }
    }

    /// The operations and the outcomes that the condition names.
    pub fn leaves(&self) -> Vec<(OpRef, Outcomes)> {
        match self {
            Self::Outcome { on, needs } => vec![(*on, *needs)],
            Self::All(inner) | Self::Any(inner) => inner.iter().flat_map(Self::leaves).collect(),
        }
    }
}
