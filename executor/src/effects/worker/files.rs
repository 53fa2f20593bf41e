//! The worker's part in declared files and cached results, whose work is done on threads for files.

use super::super::EffectReply;
use super::super::cache_key::FilesOfKey;
use super::super::file_work::{FileContext, Verified};
use super::super::jobs::{CommitJob, FilesDone, Job, WaitId, Waiting, failure};
use super::{Channels, Message, Worker, committed};
use crate::exec_program::ExecProgram;
use crate::host::{CacheOrigin, LockAttempt};
use pop_agenda::{Answer, CacheAsk, DeclaredFiles, Gate, OpIx, Plan};
use serde_json::Value;
use std::sync::Arc;

impl Worker {
    /// Carries out work on one of the threads for files.
    pub(super) fn on_files(
        &mut self,
        job: Job,
        channels: &Channels,
        work: impl FnOnce(&FileContext) -> FilesDone + Send + 'static,
    ) {
        let wait = WaitId(self.next_wait);
        self.next_wait += 1;
        self.waiting.insert(wait, Waiting { job, say: None });
        let (inbox, files) = (channels.inbox.clone(), self.files.clone());
        // fails only if the worker has ended
        self.file_threads.run(Box::new(move || drop(inbox.send(Message::Done(wait, work(&files))))));
    }

    pub(super) fn done(&mut self, wait: WaitId, done: FilesDone, channels: &Channels) {
        // the operation may have been released meanwhile
        let Some(Waiting { job, .. }) = self.waiting.remove(&wait) else { return };
        match (job, done) {
            (Job::Files { ticket, op }, FilesDone::Answered(key, answer)) => {
                if let Some(key) = key {
                    self.keys.insert(op, *key);
                }
                if let Answer::Read { files } = &answer
                    && let Some((_, read)) = self.read.get_mut(&op)
                {
                    *read = Arc::clone(files);
                }
                channels.answer(ticket, op, Ok(answer));
            }
            (Job::Commit(mut commit), FilesDone::Verified(Ok(verified))) => {
                let Verified { written, unfit, notice } = verified;
                if let Some(why) = unfit
                    && self.keys.remove(&commit.op).is_some()
                {
                    let words = format!("the result of {} is not cached: {why}", commit.by);
                    channels.reply(EffectReply::Notice(words));
                }
                if let Some(why) = notice {
                    let words = format!("the files of {} are not stored in the cache: {why}", commit.by);
                    channels.reply(EffectReply::Notice(words));
                }
                if let Some(written) = &written {
                    self.written.insert(commit.op, Arc::clone(written));
                }
                commit.written = written;
                self.commit(commit, channels);
            }
            (Job::Commit(commit), FilesDone::Verified(Err(failure))) => {
                committed(commit, Err(failure), channels);
            }
            // each job waits for one kind of work
            _ => {}
        }
    }

    pub(super) fn verify(
        &mut self,
        commit: CommitJob,
        declared: Arc<DeclaredFiles>,
        is_stored: bool,
        channels: &Channels,
    ) {
        let before = self.keys.get(&commit.op).and_then(|_| self.read.get(&commit.op));
        let before = before.map(|(_, read)| Arc::clone(read));
        let is_stored = is_stored && self.keys.contains_key(&commit.op);
        self.on_files(Job::Commit(commit), channels, move |files| {
            FilesDone::Verified(files.verify(&declared, before.as_deref(), is_stored))
        });
    }

    pub(super) fn reclaim(
        &mut self,
        op: OpIx,
        gates: &[Gate],
        missed: Option<&str>,
        exec: Option<&ExecProgram>,
        plan: &Plan,
    ) {
        let mut declared = None;
        for gate in gates {
            match gate {
                Gate::Lock { name } => {
                    let holder = self.holder(plan.operation(op).name.as_str());
                    if let Ok(LockAttempt::Locked(lock)) = self.host.try_lock(name, &holder) {
                        self.held.entry(op).or_default().push(lock);
                    }
                }
                Gate::Files(files) => declared = Some(files),
                // this executor writes the result to the cache as the earlier one would have, if the key is the same
                Gate::Cache(ask) => {
                    let read = match declared.map(|declared| self.files.read(declared)) {
                        Some(Answer::Read { files }) => files,
                        Some(_) => continue,
                        None => Arc::default(),
                    };
                    let of_key = declared.map(|declared| FilesOfKey { declared, read: &read });
                    let key = self.files.cache_keys.key(plan, ask, plan.operation(op), exec, of_key);
                    if missed.is_none_or(|missed| missed == key.digest()) {
                        self.keys.insert(op, key);
                        self.read.extend(declared.map(|declared| (op, (Arc::clone(declared), read))));
                    }
                }
                Gate::Reuse { .. } | Gate::Version { .. } | Gate::Delay { .. } => {}
            }
        }
    }

    /// Stores a result. Returns a notice if that fails.
    pub(super) fn fill(
        &self,
        op: OpIx,
        operation: &str,
        ask: &CacheAsk,
        result: &Arc<Value>,
    ) -> Option<String> {
        let key = self.keys.get(&op)?;
        let by =
            CacheOrigin { run: self.run.clone(), operation: operation.to_owned(), written: (self.clock)() };
        let files = self.written.get(&op).map(AsRef::as_ref);
        match self.host.write(&ask.state, key, result, files, &by) {
            Ok(true) => None,
            Ok(false) => Some(format!(
                "the result of `{operation}` is too large for cache `{}` and is not cached",
                ask.state
            )),
            Err(error) => Some(format!(
                "the result of `{operation}` cannot be written to cache `{}`: {}",
                ask.state,
                failure(&error).message
            )),
        }
    }
}
