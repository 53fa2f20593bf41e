//! How an operation names another one before both have numbers in a run.
//!
//! The operations inside an operation of type `agenda` are planned once and added to the run several times, once for
//! each instance. They name one another by their place in the body; [`Plan::resolve`] gives the number in the run.

use super::{Edge, Origin, Plan};
use crate::ops::OpIx;
use std::borrow::Cow;

/// An operation as another one names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OpRef {
    /// An operation with a number: one of the agenda, or one that a generator added.
    Fixed(OpIx),
    /// An operation inside an operation of type `agenda`.
    Inner {
        /// Number of bodies to leave: 0 for the body of the naming operation.
        up: u8,
        /// Index in the body.
        index: u32,
    },
}

impl OpRef {
    /// An operation of the same body.
    pub(super) fn sibling(index: usize) -> Self {
        Self::Inner { up: 0, index: index as u32 }
    }

    /// The same operation, named from inside a body of its level.
    pub(super) fn inwards(self) -> Self {
        match self {
            Self::Inner { up, index } => Self::Inner { up: up + 1, index },
            fixed @ Self::Fixed(_) => fixed,
        }
    }

    /// The same operation, named from outside the body; none if it is inside.
    pub(super) fn outwards(self) -> Option<Self> {
        match self {
            Self::Inner { up, index } => Some(Self::Inner { up: up.checked_sub(1)?, index }),
            fixed @ Self::Fixed(_) => Some(fixed),
        }
    }

    /// The number of an operation that is in no body.
    pub(super) fn fixed(self) -> Option<OpIx> {
        match self {
            Self::Fixed(op) => Some(op),
            Self::Inner { .. } => None,
        }
    }
}

impl Edge<OpRef> {
    /// The dependency with the number of the operation.
    pub(super) fn to(self, on: OpIx) -> Edge {
        Edge { on, kind: self.kind, needs: self.needs }
    }
}

impl Plan {
    /// The name of an operation for people. Items that have a name are shown by it: `video[a.mp4]/probe` instead of
    /// `video#0/probe`.
    pub fn shown_name(&self, op: OpIx) -> Cow<'_, str> {
        let name = self.operation(op).name.as_str();
        let Some(of) = self.operation(op).part_of().filter(|_| !self.labels.is_empty()) else {
            return Cow::Borrowed(name);
        };
        let around = self.shown_name(of);
        match (self.labels.get(&op), &around) {
            (Some(label), _) => Cow::Owned(format!("{around}[{label}]")),
            (None, Cow::Borrowed(_)) => Cow::Borrowed(name),
            (None, Cow::Owned(_)) => {
                let own = name.strip_prefix(self.operation(of).name.as_str()).unwrap_or(name);
                Cow::Owned(format!("{around}{own}"))
            }
        }
    }

    /// What the agenda has written down for an operation: the same for all instances of it, in all instances around it.
    pub(crate) fn written(&self, op: OpIx) -> String {
        match self.operation(op).origin {
            Some(Origin::Part { of, .. }) => self.written(of),
            Some(Origin::Inner { of, index }) => format!("{}/{index}", self.written(of)),
            Some(Origin::Generated { .. }) | None => op.0.to_string(),
        }
    }

    /// The number of the operation that `from` names.
    pub fn resolve(&self, from: OpIx, named: OpRef) -> OpIx {
        let (mut up, wanted) = match named {
            OpRef::Fixed(op) => return op,
            OpRef::Inner { up, index } => (up, index),
        };
        let mut at = from;
        loop {
            at = match self.operation(at).origin {
                Some(Origin::Inner { index, .. }) if up == 0 => return OpIx(at.0 - index + wanted),
                Some(Origin::Inner { of, .. }) => {
                    up -= 1;
                    of
                }
                Some(Origin::Part { of, .. }) => of,
                // only operations of bodies name others by their place
                Some(Origin::Generated { .. }) | None => return at,
            };
        }
    }
}
