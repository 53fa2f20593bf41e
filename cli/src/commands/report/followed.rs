//! A run that a live report follows: its present state, and which operations have changed since a version of it.

use super::facts;
use crate::commands::run_watch::RunWatch;
use crate::commands::saved_run::{next_events, tail_of};
use crate::error::{CommandError, Kind};
use pop_agenda::{EventRecord, OpIx, Outcome, RunEvent};
use pop_assembly::SavedRun;
use pop_executor::JournalTail;
use pop_report::format::page;
use pop_report::{Report, RunState};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Least time between two versions, so that a run with many short operations costs the machine little.
const LEAST_PAUSE: Duration = Duration::from_millis(150);

/// The pause is this many times as long as it took to write the last version for all pages. So they together take at most a
/// ninth of a processor, however many operations the run has.
const PAUSES: u32 = 8;

/// The run, followed by a thread.
pub(super) struct Followed {
    state: Arc<Mutex<State>>,
    news: watch::Receiver<News>,
    runs: PathBuf,
}

struct State {
    saved: SavedRun,
    progress: RunState,
    version: u64,
    /// The version in which each operation changed last.
    changed: Vec<u64>,
    /// How long it took to write the last version, for all pages that asked for it.
    cost: Duration,
}

#[derive(Clone)]
enum News {
    Version(u64),
    /// The folder of the run cannot be read any more; the message says why.
    Lost(Arc<str>),
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Followed {
    /// Starts to follow a run.
    pub(super) fn start(saved: SavedRun, runs: &Path) -> Result<Self, CommandError> {
        let (tail, _) = tail_of(&saved)?;
        let changed = vec![1; saved.plan.len()];
        // whether the executor of an open run is alive is decided before its journal is read, so by the thread
        let progress = if saved.history.ended.is_some() { RunState::Ended } else { RunState::Running };
        let cost = Duration::ZERO;
        let state = Arc::new(Mutex::new(State { saved, progress, version: 1, changed, cost }));
        let (sender, news) = watch::channel(News::Version(1));
        let followed = Arc::clone(&state);
        std::thread::Builder::new().name("follow".to_owned()).spawn(move || {
            if let Err(error) = follow(&followed, tail, &sender) {
                sender.send(News::Lost(error.message().into())).ok();
            }
        })?;
        Ok(Self { state, news, runs: runs.to_owned() })
    }

    /// The page as it is now.
    pub(super) async fn page(&self) -> Result<String, CommandError> {
        let written = self.read(|saved, version, _, runs| {
            let facts = facts(saved, runs);
            page::live_page(
                &Report::of(&saved.plan, &saved.history, &facts),
                &format!("events?since={version}"),
            )
        });
        let written = written.await.map_err(|error| CommandError::new(Kind::Internal, error.to_string()))?;
        written.map_err(|error| CommandError::new(Kind::Internal, error.to_string()))
    }

    /// Waits for a version after `since`; returns it with what has changed. None if the run cannot be followed any more.
    pub(super) async fn changes(&self, since: u64) -> Option<(u64, String)> {
        let mut news = self.news.clone();
        let is_new = |news: &News| match news {
            News::Version(version) => *version > since,
            News::Lost(_) => true,
        };
        if let News::Lost(_) = *news.wait_for(is_new).await.ok()? {
            return None;
        }
        let written = self.read(move |saved, version, changed, runs| {
            let ops = (0_u32..).zip(changed).filter(|(_, at)| **at > since).map(|(op, _)| OpIx(op));
            let facts = facts(saved, runs);
            let report = Report::of(&saved.plan, &saved.history, &facts);
            page::changes(&report, &ops.collect::<Vec<_>>()).map(|text| (version, text))
        });
        written.await.ok()?.ok()
    }

    /// Waits until the run cannot be followed any more, or, if `until_end`, until it has ended.
    pub(super) async fn ended(&self, until_end: bool) -> Result<(), CommandError> {
        let mut news = self.news.clone();
        loop {
            if let News::Lost(message) = &*news.borrow_and_update() {
                return Err(CommandError::new(Kind::Journal, message.as_ref()));
            }
            let (progress, run) = {
                let state = lock(&self.state);
                (state.progress, state.saved.folder.run().to_owned())
            };
            match progress {
                RunState::Ended if until_end => {
                    // pages that follow get the last version first
                    tokio::time::sleep(LEAST_PAUSE).await;
                    return Ok(());
                }
                RunState::Stopped if until_end => {
                    let message = format!("run {run} has no end: its executor died");
                    let hint = format!("`pop resume {run}` continues it");
                    return Err(CommandError::new(Kind::Journal, message).hint(hint));
                }
                _ => {}
            }
            if news.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Reads the run, its version and the versions of its operations on a thread for such work.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&SavedRun, u64, &[u64], &Path) -> T + Send + 'static,
    ) -> Result<T, tokio::task::JoinError> {
        let (state, runs) = (Arc::clone(&self.state), self.runs.clone());
        tokio::task::spawn_blocking(move || {
            let (mut state, began) = (lock(&state), Instant::now());
            let written = read(&state.saved, state.version, &state.changed, &runs);
            state.cost += began.elapsed();
            written
        })
        .await
    }
}

/// Adds the events of the journal to the run, until nobody wants to know any more.
fn follow(
    state: &Mutex<State>,
    mut tail: JournalTail,
    sender: &watch::Sender<News>,
) -> Result<(), CommandError> {
    let folder = lock(state).saved.folder.clone();
    loop {
        let watch = RunWatch::of_journal(&folder)?;
        // an executor that is gone has written everything
        let is_held = folder.is_held();
        let mut events = Vec::new();
        loop {
            let more = next_events(&mut tail)?;
            if more.is_empty() {
                break;
            }
            events.extend(more);
        }
        let news = lock(state).add(&events, is_held);
        if let Some(version) = news {
            if sender.send(News::Version(version)).is_err() {
                return Ok(());
            }
            let cost = std::mem::take(&mut lock(state).cost);
            std::thread::sleep((cost * PAUSES).max(LEAST_PAUSE));
            // what happened meanwhile is read at once
            continue;
        }
        watch.wait()?;
    }
}

impl State {
    /// Takes events. Returns the new version, if something has changed.
    fn add(&mut self, events: &[EventRecord], is_held: bool) -> Option<u64> {
        for recorded in events {
            self.saved.add(recorded);
        }
        let progress = match self.saved.history.ended {
            Some(_) => RunState::Ended,
            None if is_held => RunState::Running,
            None => RunState::Stopped,
        };
        let is_other_state = progress != self.progress;
        if events.is_empty() && !is_other_state {
            return None;
        }
        self.progress = progress;
        self.version += 1;
        self.changed.resize(self.saved.plan.len(), self.version);
        // an event of the run may concern every operation
        let is_of_all = |recorded: &EventRecord| {
            recorded.event.operation().is_none() && !matches!(recorded.event, RunEvent::RunEnded { .. })
        };
        if events.iter().any(is_of_all) {
            self.changed.fill(self.version);
        }
        for op in events.iter().filter_map(|recorded| recorded.event.operation()) {
            self.touch(op);
        }
        if is_other_state {
            // the commands that repeat failed operations depend on whether the run runs, and what has begun stops with it
            let depends = |op: &OpIx| {
                let seen = self.saved.history.operation(*op);
                seen.outcome().map_or(!seen.attempts.is_empty(), |outcome| outcome == Outcome::Failed)
            };
            let all: Vec<OpIx> = self.saved.plan.operations().map(|(op, _)| op).filter(depends).collect();
            for op in all {
                self.touch(op);
            }
        }
        Some(self.version)
    }

    /// An operation has changed, and so have those around it.
    fn touch(&mut self, op: OpIx) {
        let mut around = Some(op);
        while let Some(op) = around {
            self.changed[op.index()] = self.version;
            around = self.saved.plan.operation(op).part_of();
        }
    }
}
