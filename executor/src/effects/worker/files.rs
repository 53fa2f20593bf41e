//! The worker's part in declared files and cached results, whose work is done on threads for files.

use super::super::EffectReply;
use super::super::Ticket;
use super::super::cache_key::FilesOfKey;
use super::super::file_work::{FileContext, LookUp, Verified};
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
            (Job::Files { ticket, op }, FilesDone::Read(answer, read)) => {
                self.read.extend(read.map(|read| (op, read)));
                channels.answer(ticket, op, Ok(answer));
            }
            (Job::Files { ticket, op }, FilesDone::LookedUp(key, answer)) => {
                self.keys.insert(op, *key);
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

    pub(super) fn find_files(
        &mut self,
        ticket: Ticket,
        op: OpIx,
        declared: Arc<DeclaredFiles>,
        channels: &Channels,
    ) {
        self.on_files(Job::Files { ticket, op }, channels, move |files| {
            let answer = files.read(&declared);
            let read = files.stamped(&declared, &answer);
            FilesDone::Read(answer, read)
        });
    }

    pub(super) fn look_up(&mut self, ticket: Ticket, request: LookUp, channels: &Channels) {
        let op = request.op;
        let read = self.read.get(&op).map(|read| Arc::clone(&read.files)).unwrap_or_default();
        let request = LookUp { read, may_put_back: true, ..request };
        self.on_files(Job::Files { ticket, op }, channels, move |files| {
            let (key, answer) = files.look_up_stamped(&request);
            FilesDone::LookedUp(Box::new(key), answer)
        });
    }

    pub(super) fn verify(
        &mut self,
        commit: CommitJob,
        declared: Arc<DeclaredFiles>,
        is_stored: bool,
        channels: &Channels,
    ) {
        let before = self.keys.get(&commit.op).and_then(|_| self.read.get(&commit.op)).cloned();
        let is_stored = is_stored && self.keys.contains_key(&commit.op);
        self.on_files(Job::Commit(commit), channels, move |files| {
            FilesDone::Verified(files.verify(&declared, before.as_ref(), is_stored))
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
                    let read = match declared.map(|declared| (declared, self.files.read(declared))) {
                        Some((declared, answer @ Answer::Read { .. })) => {
                            self.files.stamped(declared, &answer)
                        }
                        Some(_) => continue,
                        None => None,
                    };
                    let files = read.as_ref().map(|read| Arc::clone(&read.files)).unwrap_or_default();
                    let of_key = declared.map(|declared| FilesOfKey { declared, read: &files });
                    let key = self.files.cache_keys.key(plan, ask, plan.operation(op), exec, of_key);
                    if missed.is_none_or(|missed| missed == key.key.digest()) {
                        self.keys.insert(op, key);
                        self.read.extend(read.map(|read| (op, read)));
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
        let stamped = self.keys.get(&op)?;
        if let Some(written) = stamped.written() {
            return Some(format!(
                "the result of `{operation}` is not cached: `{}`, its program or an argument, was written while it ran; if \
                 it is an output, declare it in `writes`",
                written.display()
            ));
        }
        let key = &stamped.key;
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
