//! Performs the writes of a pass: in order, each with its precondition, until the first error. Only the status is written
//! also after the error of a child: it tells of the children that were seen.

use crate::api::{Api, ApiError};
use crate::cache::{Cache, Role};
use crate::lease::Leadership;
use crate::queue::Work;
use pop_operator::{KindConfig, ObjectId, OperatorConfig, SettleGuard, Write, is_deleting, metadata_text};
use serde_json::Value;
use std::collections::BTreeSet;
use tracing::{debug, info};

/// The result of the writes of a pass.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All writes are done.
    Done {
        /// Whether the API server has changed an object.
        has_changed: bool,
    },
    /// The parent does not exist any more.
    ParentGone,
    /// This replica does not lead any more. The other writes are left out.
    NotLeading,
    /// A write failed. Those behind it are left out, except the status.
    Failed(ApiError),
}

/// The API server as the writes of one operator see it.
pub(crate) struct Writer<'w> {
    pub(crate) config: &'w OperatorConfig,
    pub(crate) api: &'w Api,
    pub(crate) cache: &'w Cache,
    pub(crate) work: &'w Work,
    pub(crate) leadership: &'w Leadership,
    /// The uid of the parent.
    pub(crate) uid: &'w str,
}

/// The effect of one write.
enum Effect {
    Changed,
    Unchanged,
}

impl Writer<'_> {
    /// Performs the writes.
    pub(crate) async fn perform(&self, writes: &[Write], guard: &mut SettleGuard) -> Outcome {
        let (mut has_changed, mut failed) = (false, None);
        for write in writes {
            let is_left_out = failed.is_some() && !matches!(write, Write::ReplaceStatus(_));
            if is_left_out || self.is_held_up(write) {
                continue;
            }
            // the Lease may end during a pass
            if !self.leadership.is_leading() {
                return Outcome::NotLeading;
            }
            match self.send(write, guard).await {
                Ok(Effect::Changed) => has_changed = true,
                Ok(Effect::Unchanged) => {}
                Err(error) if error.code() == Some(404) && is_of_parent(write) => return Outcome::ParentGone,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Outcome::Done { has_changed }, Outcome::Failed)
    }

    /// Whether the objects of a child's kind are not known, so that a write could be wrong.
    fn is_held_up(&self, write: &Write) -> bool {
        let id = id_of(write);
        !is_of_parent(write) && !self.cache.is_listed(&id.kind)
    }

    async fn send(&self, write: &Write, guard: &mut SettleGuard) -> Result<Effect, ApiError> {
        let id = id_of(write);
        let Some(kind) = self.kind(write) else { return Ok(Effect::Unchanged) };
        let (namespace, name) = (id.namespace.as_deref(), id.name.as_str());
        let answer = match write {
            Write::Create(create) => {
                debug!(%id, "create");
                let answer = self.api.create(kind, namespace, &create.object).await;
                if let Err(error) = &answer
                    && error.code() == Some(409)
                {
                    self.find_taken(kind, id).await;
                }
                answer?
            }
            Write::Replace(replace) => {
                debug!(%id, differences = ?replace.differences, "replace");
                self.api.replace(kind, namespace, name, "", &replace.object).await?
            }
            Write::ReplaceStatus(replace) => {
                debug!(%id, differences = ?replace.differences, "replace the status");
                self.api.replace(kind, namespace, name, "/status", &replace.object).await?
            }
            Write::PatchFinalizers { patch, .. } => {
                debug!(%id, "change the finalizers");
                let answer = self.api.patch(kind, namespace, name, patch).await?;
                let is_empty = answer["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
                if is_deleting(&answer) && is_empty {
                    // it is gone, and this answer may have no new version
                    self.wake_others(self.cache.forget(&Role::Parent, id, self.uid));
                    return Ok(Effect::Changed);
                }
                answer
            }
            Write::Probe(probe) => {
                match self.api.replace(kind, namespace, name, "?dryRun=All", &probe.object).await {
                    Ok(answer) => self.report(guard, write, &answer),
                    // the server refuses such a change for ever
                    Err(error) if matches!(error.code(), Some(400 | 422)) => guard.record_refusal(write),
                    Err(error) => return Err(error),
                }
                return Ok(Effect::Unchanged);
            }
            Write::Delete { uid, reason, .. } => {
                debug!(%id, ?reason, "delete");
                match self.api.delete(kind, namespace, name, uid).await {
                    Ok(answer) if is_deleting(&answer) => answer,
                    Ok(_) => {
                        self.wake_others(self.cache.forget(&Role::Child(id.kind.clone()), id, uid));
                        return Ok(Effect::Changed);
                    }
                    // the watch tells about the deletion by others
                    Err(error) if error.code() == Some(404) => return Ok(Effect::Unchanged),
                    Err(error) => return Err(error),
                }
            }
        };
        self.report(guard, write, &answer);
        self.wake_others(self.cache.learn(&answer));
        Ok(if is_new(write, &answer) { Effect::Changed } else { Effect::Unchanged })
    }

    /// Reads the object that has the name of a child, for the next pass.
    async fn find_taken(&self, kind: &KindConfig, id: &ObjectId) {
        self.cache.claim(self.uid, id);
        match self.api.get(kind, id.namespace.as_deref(), &id.name).await {
            Ok(object) => self.wake_others(self.cache.learn(&object)),
            // the next pass tries again
            Err(error) => debug!(%id, %error, "the object with the name of a child cannot be read"),
        }
    }

    /// Syncs the other parents that a change concerns. Their watch event is no news any more.
    fn wake_others(&self, mut touched: BTreeSet<String>) {
        touched.remove(self.uid);
        if !touched.is_empty() {
            self.work.add(&touched);
        }
    }

    fn report(&self, guard: &mut SettleGuard, write: &Write, answer: &Value) {
        for path in guard.record_answer(write, answer) {
            info!(parent = self.uid, "the API server keeps another value than the operator wrote: {path}");
        }
    }

    fn kind(&self, write: &Write) -> Option<&KindConfig> {
        if is_of_parent(write) {
            return Some(&self.config.parent);
        }
        self.config.child_of(&id_of(write).kind).map(|child| &child.kind)
    }
}

fn is_of_parent(write: &Write) -> bool {
    matches!(write, Write::ReplaceStatus(_) | Write::PatchFinalizers { .. })
}

/// The identity of the object of a write.
pub(crate) fn id_of(write: &Write) -> &ObjectId {
    match write {
        Write::Create(write) | Write::Replace(write) | Write::Probe(write) | Write::ReplaceStatus(write) => {
            &write.id
        }
        Write::Delete { id, .. } | Write::PatchFinalizers { id, .. } => id,
    }
}

/// Whether the answer has another version than the object that was sent: a write without effect makes none.
fn is_new(write: &Write, answer: &Value) -> bool {
    let sent = match write {
        Write::Create(write) | Write::Replace(write) | Write::Probe(write) | Write::ReplaceStatus(write) => {
            &write.object
        }
        Write::PatchFinalizers { patch, .. } => patch,
        Write::Delete { .. } => return true,
    };
    metadata_text(sent, "resourceVersion") != metadata_text(answer, "resourceVersion")
}
