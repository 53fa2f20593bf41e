//! Effects on the files that runs of this host share. One thread carries them out; it starts with the first request.

use super::file_work::FileContext;
use super::worker::{Message, Worker};
use super::{EffectReply, EffectRequest, Effects};
use crate::dead_letter_queue::DeadLetters;
use crate::host::Host;
use crate::named_files::FileFinder;
use crate::parent_results::ParentResults;
use crate::run_folder::parent_file;
use crate::run_identity::RunIdentity;
use pop_agenda::Answer;
use pop_contract::{Blame, Failure, Millis};
use std::io;
use std::sync::mpsc as channel;
use tokio::sync::mpsc;

/// [`Effects`] over a [`Host`] and the dead-letter queue of a run.
///
/// A run without locks, delays, versions, caches and dead letters starts no thread.
pub struct HostEffects {
    idle: Option<Worker>,
    inbox: Option<channel::Sender<Message>>,
}

impl HostEffects {
    /// The effects of the run `identity` on the shared state of `host`. `clock` returns the wall-clock time.
    pub fn new(host: Host, identity: &RunIdentity, clock: fn() -> Millis) -> Self {
        let files = FileContext::new(host.clone(), identity, clock);
        let letters = DeadLetters::of(&identity.folder);
        let RunIdentity { home, on, start, .. } = identity.clone();
        let parent = ParentResults::of(parent_file(&identity.folder), FileFinder { on, home, start });
        let worker = Worker::new(host, letters, files, parent, identity.run.clone(), clock);
        Self { idle: Some(worker), inbox: None }
    }

    /// The inbox of the worker's thread, which is started if it does not run yet.
    fn inbox(
        &mut self,
        replies: &mpsc::UnboundedSender<EffectReply>,
    ) -> io::Result<&channel::Sender<Message>> {
        let inbox = match (self.inbox.take(), self.idle.take()) {
            (Some(inbox), _) => inbox,
            (None, Some(worker)) => {
                let (sender, inbox) = channel::channel();
                let (waits, replies) = (sender.clone(), replies.clone());
                std::thread::Builder::new()
                    .name("effects".to_owned())
                    .spawn(move || worker.work(&inbox, waits, replies))?;
                sender
            }
            (None, None) => return Err(io::Error::other("the thread could not be started before")),
        };
        Ok(self.inbox.insert(inbox))
    }
}

impl Effects for HostEffects {
    fn request(&mut self, request: EffectRequest, replies: &mpsc::UnboundedSender<EffectReply>) {
        if self.inbox.is_none() && matches!(request, EffectRequest::Close | EffectRequest::Release { .. }) {
            // there was no earlier request
            if matches!(request, EffectRequest::Close) {
                replies.send(EffectReply::Closed).ok();
            }
            return;
        }
        let refused = match self.inbox(replies) {
            Ok(inbox) => match inbox.send(Message::Request(request)) {
                Ok(()) => return,
                Err(channel::SendError(Message::Request(request))) => (request, "it has ended".to_owned()),
                Err(_) => return,
            },
            Err(error) => (request, error.to_string()),
        };
        let (request, why) = refused;
        if let Some(reply) = refusal(&request, &why) {
            replies.send(reply).ok();
        }
    }
}

/// The reply to a request that cannot be carried out.
fn refusal(request: &EffectRequest, why: &str) -> Option<EffectReply> {
    let message = format!("the thread for locks and shared state cannot be used: {why}");
    let failure = || Box::new(Failure::new(Blame::Platform, "host", message.clone()));
    Some(match request {
        EffectRequest::Ask { ticket, op, .. } => {
            EffectReply::Answered { ticket: *ticket, op: *op, answer: Answer::Failed(failure()) }
        }
        EffectRequest::Commit { ticket, op, attempt, .. } => {
            EffectReply::Committed { ticket: *ticket, op: *op, attempt: *attempt, outcome: Err(failure()) }
        }
        EffectRequest::Close => EffectReply::Closed,
        EffectRequest::Fill { .. }
        | EffectRequest::PutDeadLetter(_)
        | EffectRequest::RemoveDeadLetter { .. } => EffectReply::Notice(message),
        EffectRequest::Reclaim { .. } | EffectRequest::Release { .. } | EffectRequest::Confirm { .. } => {
            return None;
        }
    })
}
