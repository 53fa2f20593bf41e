//! The thread that carries out effects. It never blocks on another process: for each lock that another process holds,
//! it starts a thread that waits for the lock and sends it back.

mod files;

use super::ancestry;
use super::cache_key::StampedKey;
use super::file_threads::FileThreads;
use super::file_work::{FileContext, LookUp, ReadFiles};
use super::jobs::{CommitJob, FilesDone, Job, Lock, WaitId, Waiting, failure, with_source};
use super::{EffectReply, EffectRequest, Ticket};
use crate::dead_letter_queue::{DeadLetter, DeadLetters, LettersLock};
use crate::host::{DelayTurn, HeldLock, Holder, Host, HostError, LockAttempt, LockWait, Shared, ShortLock};
use crate::parent_results::{Candidate, ParentResults};
use pop_agenda::{Answer, FileRecord, Gate, OpIx, Plan};
use pop_contract::{Blame, Failure, Millis};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

/// Time that another process may hold a short lock before the user is informed of the wait. Processes hold such locks
/// for microseconds, so only a process that is stopped or starved holds one for longer.
const PATIENCE: Duration = Duration::from_millis(250);

/// A message to the worker.
pub(super) enum Message {
    /// A request of the driver.
    Request(EffectRequest),
    /// The lock that a thread waited for, or the error of the wait.
    Acquired(WaitId, io::Result<Lock>),
    /// What a thread for files has done.
    Done(WaitId, FilesDone),
}

/// Carries out requests, and holds the locks of operations.
pub(super) struct Worker {
    host: Host,
    letters: DeadLetters,
    files: FileContext,
    parent: Arc<ParentResults>,
    file_threads: FileThreads,
    run: String,
    clock: fn() -> Millis,
    held: HashMap<OpIx, Vec<HeldLock>>,
    /// The keys under which results will be stored.
    keys: HashMap<OpIx, StampedKey>,
    /// Files that operations read, as they were before the attempt.
    read: HashMap<OpIx, ReadFiles>,
    /// Files that operations have written.
    written: HashMap<OpIx, Arc<[FileRecord]>>,
    waiting: HashMap<WaitId, Waiting>,
    next_wait: u64,
    is_closing: bool,
}

/// The two channels of a running worker.
struct Channels {
    /// The worker's own inbox, for the threads that wait for locks.
    inbox: Sender<Message>,
    replies: UnboundedSender<EffectReply>,
}

impl Channels {
    fn reply(&self, reply: EffectReply) {
        // fails only if the run is over
        self.replies.send(reply).ok();
    }

    fn answer(&self, ticket: Ticket, op: OpIx, answer: Result<Answer, HostError>) {
        let answer = answer.unwrap_or_else(|error| Answer::Failed(Box::new(failure(&error))));
        self.reply(EffectReply::Answered { ticket, op, answer });
    }
}

impl Worker {
    pub(super) fn new(
        host: Host,
        letters: DeadLetters,
        files: FileContext,
        parent: ParentResults,
        run: String,
        clock: fn() -> Millis,
    ) -> Self {
        Self {
            host,
            letters,
            files,
            parent: Arc::new(parent),
            file_threads: FileThreads::new(),
            run,
            clock,
            held: HashMap::new(),
            keys: HashMap::new(),
            read: HashMap::new(),
            written: HashMap::new(),
            waiting: HashMap::new(),
            next_wait: 0,
            is_closing: false,
        }
    }

    /// Takes messages until it gets a close request and all work is finished, or until all senders are gone.
    pub(super) fn work(
        mut self,
        messages: &Receiver<Message>,
        inbox: Sender<Message>,
        replies: UnboundedSender<EffectReply>,
    ) {
        let channels = Channels { inbox, replies };
        loop {
            if self.is_closing && self.waiting.values().all(|waiting| waiting.job.operation().is_some()) {
                return channels.reply(EffectReply::Closed);
            }
            match self.next(messages) {
                Ok(Message::Request(request)) => self.carry_out(request, &channels),
                Ok(Message::Acquired(wait, lock)) => self.acquired(wait, lock, &channels),
                Ok(Message::Done(wait, done)) => self.done(wait, done, &channels),
                Err(RecvTimeoutError::Timeout) => self.say_what_waits(&channels),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn next(&self, messages: &Receiver<Message>) -> Result<Message, RecvTimeoutError> {
        let due = self.waiting.values().filter_map(|waiting| waiting.say.as_ref()).map(|(at, _)| *at).min();
        match due {
            Some(due) => messages.recv_timeout(due.saturating_duration_since(Instant::now())),
            None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    /// Informs the user of waits that last longer than [`PATIENCE`].
    fn say_what_waits(&mut self, channels: &Channels) {
        let now = Instant::now();
        for waiting in self.waiting.values_mut() {
            let Some((_, words)) = waiting.say.take_if(|(at, _)| *at <= now) else { continue };
            match waiting.job.ticket() {
                Some((ticket, op)) => {
                    channels.answer(ticket, op, Ok(Answer::Busy { holder: words.into() }));
                }
                None => channels.reply(EffectReply::Notice(format!("the run waits for {words}"))),
            }
        }
    }

    fn carry_out(&mut self, request: EffectRequest, channels: &Channels) {
        match request {
            EffectRequest::Ask {
                ticket,
                op,
                gate: Gate::Reuse { reads_repeated, .. },
                payload,
                files,
                plan,
                ..
            } => {
                let parent = Arc::clone(&self.parent);
                // reads files, which may be large
                self.on_files(Job::Files { ticket, op }, channels, move |_| {
                    let declared = files.as_deref();
                    let candidate = Candidate { plan: &plan, op, reads_repeated, declared };
                    FilesDone::Read(parent.compare(&candidate, payload.as_deref()), None)
                });
            }
            EffectRequest::Ask { ticket, op, gate: Gate::Cache(ask), exec, files, plan, .. } => {
                self.look_up(ticket, LookUp::new(op, ask, exec, files, plan), channels);
            }
            EffectRequest::Ask { ticket, op, gate, plan, .. } => {
                self.ask(ticket, op, gate, &plan, channels);
            }
            EffectRequest::Reclaim { op, gates, key, exec, plan } => {
                self.reclaim(op, &gates, key.as_deref(), exec.as_deref(), &plan);
            }
            EffectRequest::Release { op } => {
                self.held.remove(&op);
                self.keys.remove(&op);
                self.read.remove(&op);
                self.written.remove(&op);
                self.waiting.retain(|_, waiting| waiting.job.operation() != Some(op));
            }
            EffectRequest::Fill { op, operation, ask, result } => {
                if let Some(words) = self.fill(op, &operation, &ask, &result) {
                    channels.reply(EffectReply::Notice(words));
                }
            }
            EffectRequest::Commit { ticket, op, attempt, versions, by, files, stores_files } => {
                let (locks, written) = (Vec::new(), None);
                let commit = CommitJob { ticket, op, attempt, versions, by, locks, written };
                match files {
                    Some(files) => self.verify(commit, files, stores_files, channels),
                    None => self.commit(commit, channels),
                }
            }
            EffectRequest::Confirm { keys, by } => self.confirm(keys, by, channels),
            EffectRequest::PutDeadLetter(letter) => self.put_dead_letter(letter, channels),
            EffectRequest::RemoveDeadLetter { operation } => self.remove_dead_letter(operation, channels),
            EffectRequest::Close => self.is_closing = true,
        }
    }

    fn acquired(&mut self, wait: WaitId, lock: io::Result<Lock>, channels: &Channels) {
        // if the wait was withdrawn, dropping the lock releases it
        let Some(Waiting { job, .. }) = self.waiting.remove(&wait) else { return };
        let failed = |error: io::Error| HostError::Io { path: self.host.folder().to_owned(), source: error };
        match (job, lock.map_err(failed)) {
            (Job::Hold { ticket, op }, Ok(Lock::Held(lock))) => {
                self.held.entry(op).or_default().push(lock);
                channels.answer(ticket, op, Ok(Answer::Granted));
            }
            (Job::Turn { ticket, op, id, ms }, Ok(Lock::Short(lock))) => {
                channels.answer(ticket, op, self.turn(&lock, &id, ms));
            }
            (Job::Commit(mut commit), Ok(Lock::Short(lock))) => {
                commit.locks.push(lock);
                self.commit(commit, channels);
            }
            (Job::Confirm { keys, by }, Ok(Lock::Short(lock))) => {
                Self::confirm_one(&lock, &by, channels);
                self.confirm(keys, by, channels);
            }
            (Job::PutDeadLetter(letter), Ok(Lock::Letters(lock))) => {
                self.write_letter(&letter, &lock, channels);
            }
            (Job::RemoveDeadLetter(operation), Ok(Lock::Letters(lock))) => {
                self.remove_letter(&operation, &lock, channels);
            }
            (
                Job::Hold { ticket, op } | Job::Turn { ticket, op, .. } | Job::Files { ticket, op },
                Err(error),
            ) => {
                channels.answer(ticket, op, Err(error));
            }
            (Job::Commit(commit), Err(error)) => committed(commit, Err(Box::new(failure(&error))), channels),
            (Job::Confirm { .. } | Job::PutDeadLetter(_) | Job::RemoveDeadLetter(_), Err(error)) => {
                channels.reply(EffectReply::Notice(failure(&error).message));
            }
            // each job waits for one kind of lock
            (_, Ok(_)) => {}
        }
    }

    /// Starts a thread that waits for a lock. The thread may wait until the process ends.
    fn wait(
        &mut self,
        job: Job,
        say: Option<String>,
        channels: &Channels,
        acquire: impl FnOnce() -> io::Result<Lock> + Send + 'static,
    ) {
        let wait = WaitId(self.next_wait);
        self.next_wait += 1;
        let say = say.map(|words| (Instant::now() + PATIENCE, words));
        self.waiting.insert(wait, Waiting { job, say });
        let inbox = channels.inbox.clone();
        let waiting = std::thread::Builder::new().name("lock".to_owned()).spawn({
            let inbox = inbox.clone();
            // fails only if the worker has ended; the lock is then released
            move || inbox.send(Message::Acquired(wait, acquire())).ok()
        });
        if let Err(error) = waiting {
            inbox.send(Message::Acquired(wait, Err(error))).ok();
        }
    }

    fn wait_short(&mut self, job: Job, what: &str, wait: LockWait, channels: &Channels) {
        let holder = wait.holder().unwrap_or_else(|| "another process".to_owned());
        self.wait(job, Some(format!("{holder}, which updates {what}")), channels, move || {
            Ok(Lock::Short(wait.wait()?))
        });
    }

    fn ask(&mut self, ticket: Ticket, op: OpIx, gate: Gate, plan: &Plan, channels: &Channels) {
        let planned = plan.operation(op);
        match gate {
            Gate::Lock { name } => self.lock(ticket, op, &name, planned.name.as_str(), channels),
            Gate::Files(declared) => self.find_files(ticket, op, declared, channels),
            // requests of their own, above
            Gate::Reuse { .. } | Gate::Cache(_) => {}
            Gate::Version { name } => {
                channels.answer(ticket, op, self.host.version(&name).map(Answer::Version));
            }
            Gate::Delay { id, ms } => {
                let id = id.unwrap_or_else(|| planned.name.as_str().into());
                match self.host.try_short_lock(Shared::Delay, &id) {
                    Ok(Ok(lock)) => channels.answer(ticket, op, self.turn(&lock, &id, ms)),
                    Ok(Err(wait)) => {
                        let what = format!("delay `{id}`");
                        self.wait_short(Job::Turn { ticket, op, id, ms }, &what, wait, channels);
                    }
                    Err(error) => channels.answer(ticket, op, Err(error)),
                }
            }
        }
    }

    fn turn(&self, lock: &ShortLock, id: &str, ms: u64) -> Result<Answer, HostError> {
        Ok(match Host::turn_locked(lock, id, ms, self.clock)? {
            DelayTurn::Now => Answer::Granted,
            DelayTurn::NotBefore(at) => Answer::Later { ms: at.saturating_sub((self.clock)()).max(1) },
        })
    }

    fn holder(&self, operation: &str) -> Holder {
        Holder { run: self.run.clone(), operation: operation.to_owned(), pid: std::process::id() }
    }

    fn lock(&mut self, ticket: Ticket, op: OpIx, name: &str, operation: &str, channels: &Channels) {
        let holder = self.holder(operation);
        match self.host.try_lock(name, &holder) {
            Ok(LockAttempt::Locked(lock)) => {
                self.held.entry(op).or_default().push(lock);
                channels.answer(ticket, op, Ok(Answer::Granted));
            }
            Ok(LockAttempt::Busy { holder: Some(other) }) if ancestry::includes(other.pid) => {
                let message = format!(
                    "operation `{}` of run {} holds the lock `{name}` and runs this pop (process {}): \
                     the lock would never be free",
                    other.operation, other.run, other.pid
                );
                let failure = Box::new(Failure::new(Blame::Handler, "deadlock", message));
                channels.answer(ticket, op, Ok(Answer::Failed(failure)));
            }
            Ok(LockAttempt::Busy { holder: other }) => {
                let words = other.map_or_else(
                    || "another process".to_owned(),
                    |other| {
                        format!(
                            "operation `{}` of run {} (process {})",
                            other.operation, other.run, other.pid
                        )
                    },
                );
                channels.answer(ticket, op, Ok(Answer::Busy { holder: words.into() }));
                let (host, name) = (self.host.clone(), name.to_owned());
                self.wait(Job::Hold { ticket, op }, None, channels, move || {
                    Ok(Lock::Held(host.wait(&name, &holder)?))
                });
            }
            Err(error) => channels.answer(ticket, op, Err(error)),
        }
    }

    /// Acquires the remaining locks of a commit, then increments the versions.
    fn commit(&mut self, mut commit: CommitJob, channels: &Channels) {
        while let Some((name, _)) = commit.versions.get(commit.locks.len()) {
            match self.host.try_short_lock(Shared::Version, name) {
                Ok(Ok(lock)) => commit.locks.push(lock),
                Ok(Err(wait)) => {
                    let what = format!("version `{name}`");
                    return self.wait_short(Job::Commit(commit), &what, wait, channels);
                }
                Err(error) => return committed(commit, Err(Box::new(failure(&error))), channels),
            }
        }
        let outcome = commit.make_versions().map(|()| commit.written.clone());
        committed(commit, outcome, channels);
    }

    fn confirm(&mut self, mut keys: Vec<Box<str>>, by: Box<str>, channels: &Channels) {
        while let Some(name) = keys.pop() {
            match self.host.try_short_lock(Shared::Version, &name) {
                Ok(Ok(lock)) => Self::confirm_one(&lock, &by, channels),
                Ok(Err(wait)) => {
                    let what = format!("version `{name}`");
                    return self.wait_short(Job::Confirm { keys, by }, &what, wait, channels);
                }
                Err(error) => channels.reply(EffectReply::Notice(failure(&error).message)),
            }
        }
    }

    fn confirm_one(lock: &ShortLock, by: &str, channels: &Channels) {
        if let Err(error) = Host::confirm_locked(lock, by) {
            channels.reply(EffectReply::Notice(failure(&error).message));
        }
    }

    fn put_dead_letter(&mut self, letter: Box<DeadLetter>, channels: &Channels) {
        if self.letters.is_known(&letter.operation) {
            return;
        }
        match self.letters.try_lock() {
            Ok(Ok(lock)) => self.write_letter(&letter, &lock, channels),
            Ok(Err(wait)) => {
                let words = "the dead-letter queue, which another process changes".to_owned();
                self.wait(Job::PutDeadLetter(letter), Some(words), channels, move || {
                    Ok(Lock::Letters(wait.wait()?))
                });
            }
            Err(error) => channels.reply(EffectReply::Notice(letter_words(&letter, &error))),
        }
    }

    fn remove_dead_letter(&mut self, operation: Box<str>, channels: &Channels) {
        if self.letters.find(&operation).is_err() {
            return;
        }
        match self.letters.try_lock() {
            Ok(Ok(lock)) => self.remove_letter(&operation, &lock, channels),
            Ok(Err(wait)) => {
                let words = "the dead-letter queue, which another process changes".to_owned();
                self.wait(Job::RemoveDeadLetter(operation), Some(words), channels, move || {
                    Ok(Lock::Letters(wait.wait()?))
                });
            }
            Err(error) => channels.reply(EffectReply::Notice(removal_words(&operation, &error))),
        }
    }

    fn remove_letter(&self, operation: &str, lock: &LettersLock, channels: &Channels) {
        if let Err(error) = self.letters.remove_locked(operation, lock) {
            channels.reply(EffectReply::Notice(removal_words(operation, &error)));
        }
    }

    fn write_letter(&self, letter: &DeadLetter, lock: &LettersLock, channels: &Channels) {
        if let Err(error) = self.letters.write_locked(letter, lock) {
            channels.reply(EffectReply::Notice(letter_words(letter, &error)));
        }
    }
}

fn committed(
    commit: CommitJob,
    outcome: Result<Option<Arc<[FileRecord]>>, Box<Failure>>,
    channels: &Channels,
) {
    let CommitJob { ticket, op, attempt, locks, .. } = commit;
    drop(locks);
    channels.reply(EffectReply::Committed { ticket, op, attempt, outcome });
}

fn letter_words(letter: &DeadLetter, error: &dyn std::error::Error) -> String {
    format!(
        "operation `{}` has no dead letter; its error stays in the journal: {}",
        letter.operation,
        with_source(error)
    )
}

fn removal_words(operation: &str, error: &dyn std::error::Error) -> String {
    format!(
        "the dead letter of `{operation}`, which has the result of its replay, cannot be deleted: {}",
        with_source(error)
    )
}
