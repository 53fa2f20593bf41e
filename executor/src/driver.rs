//! The loop of a run: wait for inputs, step the scheduler, record its events, report them, carry out its actions.
//!
//! The last four steps are a [turn](turn::Core::turn). Turns are taken under one lock: by the event loop, which waits for
//! requests, replies, timers and long programs, and by the [place threads](place_threads), each of which runs one short program after
//! the other.
//!
//! *Guarantees.* The steps of a turn keep this order, so the journal has every event before a sink reports it and
//! before its action takes effect. While the journal's disk is full, nothing new starts and running operations continue.
//! Any other error of the journal stops all work. *Caveats.* Spawn the loop as a task of a current-thread runtime:
//! children die with the thread that spawned them, and waking a task of the same thread needs no system call.

mod place_threads;
mod places;
mod shared_state;
mod turn;

use crate::attempt::Runners;
use crate::effects::{EffectReply, EffectRequest, Effects, PendingEffects};
use crate::journal::{Journal, JournalError};
use crate::postponed_launches::Postponed;
use crate::run_identity::RunIdentity;
use place_threads::Shared;
use places::Places;
use pop_agenda::{
    CancelReason, Input, OpIx, Plan, PriorOutcomes, RunOptions, RunOutcome, RunTime, Scheduler, Sink,
};
use pop_contract::Millis;
use pop_launchers::{LaunchEvent, LaunchId, LaunchUpdate};
use serde_json::Value;
use std::collections::BTreeSet;
use std::error::Error as _;
use std::mem::replace;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, sleep, sleep_until};
use turn::Core;

/// Most inputs whose events share one write of the journal.
const BATCH: usize = 64;
/// Most launch updates that wait in the channel; a runner that sends more has to wait.
const UPDATE_LIMIT: usize = 1_024;
/// Time between two attempts to write a journal whose disk is full.
const DISK_FULL_RETRY: Duration = Duration::from_millis(500);

/// Everything outside the scheduler that a run needs.
pub struct Ports {
    /// Stores the events.
    pub journal: Box<dyn Journal>,
    /// Receive each event after the journal has it.
    pub sinks: Vec<Box<dyn Sink>>,
    /// Runs attempts.
    pub runners: Runners,
    /// Whether the kernel has killed a program because memory ran out, since the last call.
    pub memory_kills: Box<dyn FnMut() -> bool + Send>,
    /// Requests of the user: end the run, or suspend it.
    pub requests: mpsc::UnboundedReceiver<RunRequest>,
    /// Suspends this process until it is continued. All programs are stopped during the call.
    pub suspend: fn(),
    /// The wall clock.
    pub clock: fn() -> Millis,
    /// Locks, delays, versions, cached results and dead letters.
    pub effects: Box<dyn Effects>,
}

/// A request of the user to a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunRequest {
    /// End the run early.
    Cancel(CancelReason),
    /// Suspend the run, and continue it when this process is continued.
    Suspend,
}

/// The state in which a new or resumed run starts.
pub struct RunStart {
    /// The scheduler in the state after the last event of the journal.
    pub scheduler: Scheduler,
    /// Names and folders of the run.
    pub identity: RunIdentity,
    /// Outcomes of an earlier run of the agenda; empty in a resumed run.
    pub adopted: PriorOutcomes,
    /// Results of replayed dead letters of a resumed run.
    pub replayed: Vec<ReplayResult>,
    /// Options of a resumed run; none in a new one.
    pub resumed: Option<RunOptions>,
    /// Wall-clock start of the run, and the time of its last event; none in a new run.
    pub began: Option<(Millis, RunTime)>,
}

/// The result of a replayed dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplayResult {
    /// The operation with the dead letter.
    pub op: OpIx,
    /// The run that replayed it.
    pub run: String,
    /// The result.
    pub result: Arc<Value>,
}

/// Why a run ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The journal failed. All work was stopped, because no event could be recorded any more.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A run that has ended.
#[derive(Debug)]
pub struct FinishedRun {
    /// Its outcome.
    pub outcome: RunOutcome,
    /// Its plan, including operations that were added during the run.
    pub plan: Arc<Plan>,
}

/// Drives a run to its end.
pub async fn run(given: RunStart, ports: Ports) -> Result<FinishedRun, RunError> {
    Driver::new(given, ports).run().await
}

/// The part of a run that waits for events, on the event loop.
struct Driver {
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<RunRequest>,
    updates: mpsc::Receiver<LaunchUpdate>,
    replies: mpsc::UnboundedReceiver<EffectReply>,
}

impl Driver {
    fn new(given: RunStart, ports: Ports) -> Self {
        let RunStart { scheduler, identity, adopted, replayed, resumed, began } = given;
        let Ports { journal, sinks, runners, memory_kills, requests, suspend, clock, effects } = ports;
        let (sender, updates) = mpsc::channel(UPDATE_LIMIT);
        let (pending, replies) = PendingEffects::new();
        let now = clock();
        // a run's time continues while no process executes it; it never goes back, even if the wall clock does
        let base = began.map_or(RunTime(0), |(started, last)| RunTime(now.saturating_sub(started)).max(last));
        let replayed = replayed.into_iter().map(|ReplayResult { op, run, result }| {
            Input::DeadLetterReplayed { op, run: run.into(), result }
        });
        let input = match resumed {
            Some(options) => Input::Resumed { options },
            None => Input::Begun { run: identity.run.as_str().into(), started: now, adopted },
        };
        let core = Core {
            scheduler,
            identity,
            journal,
            sinks,
            runners,
            memory_kills,
            suspend,
            clock,
            effects,
            sender,
            inputs: replayed.chain([input]).collect(),
            running: BTreeSet::new(),
            ended: Vec::new(),
            postponed: Postponed::default(),
            pending,
            is_postponement_reported: false,
            base,
            since: Instant::now(),
            unrecorded: None,
            stall: None,
            is_full_reported: false,
            alarm: None,
            places: Places::default(),
        };
        Self { shared: Shared::new(core), requests, updates, replies }
    }

    async fn run(mut self) -> Result<FinishedRun, RunError> {
        loop {
            if !self.turn().await {
                self.stop_everything().await;
                if let Some(error) = self.shared.lock().stall.take() {
                    return Err(error.into());
                }
            }
            let outcome = self.shared.lock().scheduler.outcome();
            if let Some(outcome) = outcome {
                self.finish_effects().await;
                let closing = self.shared.lock().runners.close();
                closing.await;
                let mut core = self.shared.lock();
                core.journal.close()?;
                return Ok(FinishedRun { outcome, plan: Arc::clone(core.scheduler.plan()) });
            }
            self.wait().await;
        }
    }

    /// Takes a turn. While the journal's disk is full, it tries again, unless the run is to end early. False if the
    /// events cannot be recorded.
    async fn turn(&mut self) -> bool {
        loop {
            {
                let mut core = self.shared.lock();
                core.turn();
                match &core.stall {
                    None => {
                        self.shared.start_waiting(core);
                        return true;
                    }
                    Some(error @ JournalError::Full { .. })
                        if !core.unrecorded.as_ref().is_some_and(|step| step.is_to_end) =>
                    {
                        let words = format!(
                            "{error} ({}): nothing new is started until there is",
                            error.source().map(ToString::to_string).unwrap_or_default()
                        );
                        if !replace(&mut core.is_full_reported, true) {
                            core.notice(&words);
                        }
                    }
                    Some(_) => return false,
                }
            }
            tokio::select! {
                biased;
                Some(RunRequest::Cancel(_)) = self.requests.recv() => return false,
                () = sleep(DISK_FULL_RETRY) => {}
            }
            self.shared.lock().stall = None;
        }
    }

    /// Waits for the next inputs.
    async fn wait(&mut self) {
        let due = {
            let mut core = self.shared.lock();
            core.alarm = core.due();
            core.alarm
        };
        tokio::select! {
            biased;
            Some(request) = self.requests.recv() => match request {
                RunRequest::Cancel(reason) => {
                    self.shared.lock().inputs.push_back(Input::CancelAsked { reason });
                }
                RunRequest::Suspend => self.shared.lock().suspend(),
            },
            Some(update) = self.updates.recv() => {
                let mut core = self.shared.lock();
                core.accept(update);
                while core.inputs.len() < BATCH && let Ok(update) = self.updates.try_recv() {
                    core.accept(update);
                }
            }
            Some(reply) = self.replies.recv() => self.shared.lock().take(reply),
            () = self.shared.called() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                self.settle().await;
                self.shared.lock().inputs.push_back(Input::Ticked);
            }
        }
        // after every wait, because constant updates can keep the timer from being chosen
        self.shared.lock().launch_postponed();
    }

    /// Accepts all ends that have arrived, before a time limit is applied to their attempts.
    async fn settle(&mut self) {
        let mut arrived = Vec::new();
        let settled = self.shared.lock().runners.settle();
        let mut settled = pin!(settled);
        loop {
            tokio::select! {
                biased;
                Some(update) = self.updates.recv() => arrived.push(update),
                () = &mut settled => break,
            }
        }
        while let Ok(update) = self.updates.try_recv() {
            arrived.push(update);
        }
        let mut core = self.shared.lock();
        for update in arrived {
            core.accept(update);
        }
    }

    /// Waits until everything that was requested is done, unless the user wants to leave.
    async fn finish_effects(&mut self) {
        self.shared.lock().request(EffectRequest::Close);
        while !self.shared.lock().pending.is_closed {
            tokio::select! {
                biased;
                Some(RunRequest::Cancel(_)) = self.requests.recv() => return,
                Some(reply) = self.replies.recv() => self.shared.lock().take(reply),
                else => return,
            }
        }
    }

    /// Kills all running attempts, because their ends cannot be recorded any more.
    async fn stop_everything(&mut self) {
        {
            let mut core = self.shared.lock();
            core.drop_waiting();
            let running: Vec<LaunchId> = core.running.iter().copied().collect();
            for id in running {
                core.stop(id, true);
            }
        }
        while !self.shared.lock().running.is_empty() {
            tokio::select! {
                Some(LaunchUpdate { id, event }) = self.updates.recv() => {
                    if matches!(event, LaunchEvent::Ended(_) | LaunchEvent::Lost) {
                        self.shared.lock().running.remove(&id);
                    }
                }
                () = self.shared.called() => {}
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.close();
    }
}
