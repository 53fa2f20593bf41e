//! What to write to the API server.

use crate::compare::Difference;
use crate::object::ObjectId;
use serde_json::Value;

/// The object that a write concerns, as seen from its parent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A child.
    Child(ObjectId),
    /// The status of the parent.
    Status,
}

/// An object to send.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectWrite {
    /// Identity of the object.
    pub id: ObjectId,
    /// The whole object, with the resource version that was seen if there is one.
    pub object: Value,
    /// What the operator decides of it; of a status write, the status.
    pub wanted: Value,
    /// Reasons, for logs.
    pub differences: Vec<Difference>,
}

/// Reason of a deletion.
#[derive(Debug, Clone, PartialEq)]
pub enum DeleteReason {
    /// The handler does not want the child any more.
    NotDesired,
    /// The child differs, and its kind is recreated.
    Differs(Vec<Difference>),
}

/// One request to the API server.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Create a child (POST).
    Create(ObjectWrite),
    /// Replace a child (PUT with a resource version).
    Replace(ObjectWrite),
    /// Try to replace a child with `dryRun=All`, and plan again. The answer tells which paths the server rewrites, so
    /// that a restarted operator does not recreate a child because of them.
    Probe(ObjectWrite),
    /// Delete a child, with its uid as the precondition.
    Delete {
        /// Identity of the child.
        id: ObjectId,
        /// The uid that was seen.
        uid: String,
        /// Reason, for logs.
        reason: DeleteReason,
    },
    /// Replace the status of the parent (PUT of the status subresource with a resource version).
    ReplaceStatus(ObjectWrite),
    /// Change the finalizers of the parent (a merge patch with a resource version).
    PatchFinalizers {
        /// Identity of the parent.
        id: ObjectId,
        /// The body of the patch.
        patch: Value,
    },
}

impl Write {
    /// The target and the object of a write whose answer the [`SettleGuard`](crate::SettleGuard) reads.
    pub fn sent(&self) -> Option<(Target, &ObjectWrite)> {
        match self {
            Self::Create(write) | Self::Replace(write) | Self::Probe(write) => {
                Some((Target::Child(write.id.clone()), write))
            }
            Self::ReplaceStatus(write) => Some((Target::Status, write)),
            Self::Delete { .. } | Self::PatchFinalizers { .. } => None,
        }
    }
}
