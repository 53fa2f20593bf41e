//! The driver's side of effects: actions become requests, replies become inputs.

use super::turn::Core;
use crate::dead_letter;
use crate::effects::{EffectReply, EffectRequest};
use crate::exec_program::ExecProgram;
use pop_agenda::{Action, Answer, Gate, Input, OpIx, Serves};
use std::sync::Arc;

impl Core {
    /// Requests the effect that an action asks for; launches and stops are no effects on shared state.
    pub(super) fn request_effect(&mut self, action: Action) {
        match action {
            Action::Ask { op, gate } => {
                let (ticket, plan) = (self.pending.issue(op), Arc::clone(self.scheduler.plan()));
                let exec = self.exec_program(op, &gate);
                let is_reuse = matches!(gate, Gate::Reuse { .. });
                let payload = is_reuse.then(|| self.scheduler.bind(op).ok()).flatten();
                let files = self.scheduler.declared_files(op).cloned();
                self.request(EffectRequest::Ask { ticket, op, gate, exec, payload, files, plan });
            }
            Action::Reclaim { op, gates, key } => {
                let exec = gates.iter().find_map(|gate| self.exec_program(op, gate));
                let plan = Arc::clone(self.scheduler.plan());
                self.request(EffectRequest::Reclaim { op, gates, key, exec, plan });
            }
            Action::Release { op } => {
                self.pending.withdraw(op);
                self.request(EffectRequest::Release { op });
            }
            Action::Fill { op, ask, result } => {
                let operation = self.scheduler.plan().operation(op).name.as_str().into();
                self.request(EffectRequest::Fill { op, operation, ask, result });
            }
            Action::Commit { op, attempt } => {
                let versions = self.scheduler.versions(op).into_iter();
                let versions = versions.map(|(name, version)| (name.into(), version)).collect();
                let (ticket, by) = (self.pending.issue(op), self.commit_name(op, attempt));
                let files = self.scheduler.declared_files(op).cloned();
                let policies = &self.scheduler.plan().operation(op).policies;
                let writes_cache = policies.use_cache.value && policies.cache_write.value.unwrap_or(true);
                let stores_files = writes_cache && policies.cache_files.value;
                self.request(EffectRequest::Commit {
                    ticket,
                    op,
                    attempt,
                    versions,
                    by,
                    files,
                    stores_files,
                });
            }
            Action::ConfirmCommit { op, attempt, keys } => {
                let by = self.commit_name(op, attempt);
                self.request(EffectRequest::Confirm { keys, by });
            }
            Action::DeadLetter { op } => {
                let began = (self.clock)().saturating_sub(self.now().0);
                let letter = dead_letter::of(&self.scheduler, &self.identity, op, began);
                self.request(EffectRequest::PutDeadLetter(Box::new(letter)));
            }
            Action::RemoveDeadLetter { op } => {
                let operation = self.scheduler.plan().operation(op).name.as_str().into();
                self.request(EffectRequest::RemoveDeadLetter { operation });
            }
            Action::Launch { .. } | Action::Stop { .. } => {}
        }
    }

    pub(super) fn request(&mut self, request: EffectRequest) {
        self.effects.request(request, &self.pending.sender);
    }

    /// The command of an `exec` operation that looks into the cache, for the key.
    fn exec_program(&self, op: OpIx, gate: &Gate) -> Option<Box<ExecProgram>> {
        let is_exec = matches!(self.scheduler.plan().operation(op).serves, Serves::Exec);
        let payload =
            (is_exec && matches!(gate, Gate::Cache(_))).then(|| self.scheduler.payload(op).ok())??;
        Some(Box::new(ExecProgram::of(&payload)))
    }

    /// The name of a commit: unique, and the same for every request of that commit.
    fn commit_name(&self, op: OpIx, attempt: u32) -> Box<str> {
        let name = &self.scheduler.plan().operation(op).name;
        format!("attempt {attempt} of `{name}` in run {}", self.identity.mark).into()
    }

    /// Takes in what came of an effect; a reply to a request that was withdrawn is dropped.
    pub(super) fn take(&mut self, reply: EffectReply) {
        match reply {
            EffectReply::Answered { ticket, op, answer } => {
                // a busy gate answers once more when it is free
                if self.pending.redeem(op, ticket, matches!(answer, Answer::Busy { .. })) {
                    self.inputs.push_back(Input::Answered { op, answer });
                }
            }
            EffectReply::Committed { ticket, op, attempt, outcome } => {
                if self.pending.redeem(op, ticket, false) {
                    self.inputs.push_back(Input::Committed { op, attempt, outcome });
                }
            }
            EffectReply::Notice(words) => self.notice(&words),
            EffectReply::Closed => self.pending.is_closed = true,
        }
    }
}
