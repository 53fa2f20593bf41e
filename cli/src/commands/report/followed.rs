//! A run that a live report follows: its present state, and which operations have changed since a version of it.

use super::facts;
use crate::commands::run_watch::RunWatch;
use crate::commands::saved_run::read_folder;
use crate::error::{CommandError, Kind};
use pop_agenda::{OpIx, Outcome};
use pop_assembly::SavedRun;
use pop_report::Report;
use pop_report::format::page;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Least time between two versions, so that a run with many short operations costs the machine little.
const LEAST_PAUSE: Duration = Duration::from_millis(150);
/// The pause is this many times as long as it took to read the run.
const PAUSES: u32 = 8;

/// The run, followed by a thread.
pub(super) struct Followed {
    state: Arc<Mutex<State>>,
    news: watch::Receiver<News>,
    runs: PathBuf,
}

struct State {
    saved: Arc<SavedRun>,
    version: u64,
    /// The version in which each operation changed last.
    changed: Vec<u64>,
}

#[derive(Clone)]
enum News {
    Version(u64),
    /// The folder of the run cannot be read any more; the message says why.
    Lost(Arc<str>),
}

impl Followed {
    /// Starts to follow a run.
    pub(super) fn start(saved: SavedRun, runs: &Path) -> Result<Self, CommandError> {
        let changed = vec![1; saved.plan.len()];
        let state = Arc::new(Mutex::new(State { saved: Arc::new(saved), version: 1, changed }));
        let (sender, news) = watch::channel(News::Version(1));
        let followed = Arc::clone(&state);
        std::thread::Builder::new().name("follow".to_owned()).spawn(move || {
            if let Err(error) = follow(&followed, &sender) {
                sender.send(News::Lost(error.message().into())).ok();
            }
        })?;
        Ok(Self { state, news, runs: runs.to_owned() })
    }

    /// The page as it is now.
    pub(super) async fn page(&self) -> Result<String, CommandError> {
        let (saved, version, _) = self.now(0);
        let runs = self.runs.clone();
        let written = tokio::task::spawn_blocking(move || {
            let facts = facts(&saved, &runs);
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
        let (saved, version, ops) = self.now(since);
        let runs = self.runs.clone();
        let written = tokio::task::spawn_blocking(move || {
            let facts = facts(&saved, &runs);
            page::changes(&Report::of(&saved.plan, &saved.history, &facts), &ops)
        });
        Some((version, written.await.ok()?.ok()?))
    }

    /// Waits until the run cannot be followed any more, or, if `until_end`, until it has ended.
    pub(super) async fn ended(&self, until_end: bool) -> Result<(), CommandError> {
        let mut news = self.news.clone();
        loop {
            if let News::Lost(message) = &*news.borrow_and_update() {
                return Err(CommandError::new(Kind::Journal, message.as_ref()));
            }
            let saved = self.now(0).0;
            if until_end && saved.history.ended.is_some() {
                // pages that follow get the last version first
                tokio::time::sleep(LEAST_PAUSE).await;
                return Ok(());
            }
            let folder = &saved.folder;
            let is_left = folder.executor().is_none() && folder.remote_executor().is_none();
            if until_end && is_left && read_folder(folder.clone())?.history.ended.is_none() {
                let run = folder.run();
                let message = format!("run {run} has no end: its executor died");
                return Err(CommandError::new(Kind::Journal, message)
                    .hint(format!("`pop resume {run}` continues it")));
            }
            if news.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// The run, its version, and the operations that changed after `since`.
    fn now(&self, since: u64) -> (Arc<SavedRun>, u64, Vec<OpIx>) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = (0_u32..).zip(&state.changed).filter(|(_, at)| **at > since);
        (Arc::clone(&state.saved), state.version, changed.map(|(op, _)| OpIx(op)).collect())
    }
}

/// Reads the run again after each change of its journal, and after the end of its executor.
fn follow(state: &Mutex<State>, sender: &watch::Sender<News>) -> Result<(), CommandError> {
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let old = Arc::clone(&lock().saved);
        let watch = RunWatch::new(&old.folder)?;
        let was = facts(&old, Path::new("")).state;
        let began = Instant::now();
        let new = read_folder(old.folder.clone())?;
        let now = facts(&new, Path::new("")).state;
        let changed = changed(&old, &new, was != now);
        if !changed.is_empty() || was != now {
            let mut state = lock();
            state.version += 1;
            let version = state.version;
            state.changed.resize(new.plan.len(), version);
            for op in changed {
                state.changed[op.index()] = version;
            }
            state.saved = Arc::new(new);
            drop(state);
            if sender.send(News::Version(version)).is_err() {
                return Ok(());
            }
            std::thread::sleep((began.elapsed() * PAUSES).max(LEAST_PAUSE));
            // what happened meanwhile is read at once
            continue;
        }
        watch.wait()?;
    }
}

/// The operations whose report may differ: those with events, and those around them. The commands that repeat failed ones
/// depend on whether the run runs.
fn changed(old: &SavedRun, new: &SavedRun, is_other_state: bool) -> Vec<OpIx> {
    let known = old.plan.len();
    let mut differs: Vec<bool> = new
        .plan
        .operations()
        .map(|(op, _)| {
            let seen = new.history.operation(op);
            let has_other_command = is_other_state && seen.outcome() == Some(Outcome::Failed);
            has_other_command || op.index() >= known || old.history.operation(op) != seen
        })
        .collect();
    let ops: Vec<OpIx> = new.plan.operations().map(|(op, _)| op).collect();
    // parts have larger numbers than what they belong to
    for op in ops.iter().rev() {
        if let Some(of) = new.plan.operation(*op).part_of().filter(|_| differs[op.index()]) {
            differs[of.index()] = true;
        }
    }
    ops.into_iter().filter(|op| differs[op.index()]).collect()
}
