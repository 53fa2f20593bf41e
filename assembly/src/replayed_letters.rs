//! The results of replayed dead letters, which a resumed run takes.

use crate::saved_run::{ResumableRun, SavedRun};
use crate::surroundings::Surroundings;
use pop_agenda::{OpIx, Outcome};
use pop_executor::{DeadLetter, DeadLetters, ReplayResult, RunFolder};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

/// Replays of the dead letters of a run.
#[derive(Debug, Default)]
pub struct ReplayedLetters {
    /// Results of replays that succeeded.
    pub results: Vec<ReplayResult>,
    /// Dead letters, each with the run that replays it and has not ended.
    pub running: Vec<(String, String)>,
}

impl ReplayedLetters {
    /// Looks for the replays of the dead letters of a run.
    pub fn of(run: &ResumableRun, surroundings: &Surroundings) -> Self {
        let (folder, scheduler) = (run.folder(), run.scheduler());
        let mut found = Self::default();
        let runs = folder.path().parent().unwrap_or(Path::new("."));
        for letter in DeadLetters::of(folder.path()).list() {
            // a damaged letter has no known replays
            let Ok(letter) = letter else { continue };
            let Some(op) = scheduler.plan().find(&letter.operation) else { continue };
            if scheduler.state(op).outcome() == Some(Outcome::DeadLettered) {
                found.add(op, &letter, runs, surroundings);
            }
        }
        found
    }

    /// Adds the result of the newest replay that succeeded. A replay that failed may have a dead letter of its own, with
    /// replays.
    fn add(&mut self, op: OpIx, letter: &DeadLetter, runs: &Path, surroundings: &Surroundings) {
        let mut open = letter.replays.clone();
        let mut seen: HashSet<String> = HashSet::new();
        let mut running = None;
        while let Some(run) = open.pop() {
            if !seen.insert(run.clone()) {
                continue;
            }
            let Ok(folder) = RunFolder::find(runs, &run) else { continue };
            let letters = DeadLetters::of(folder.path());
            let Ok(replay) = SavedRun::read(folder, surroundings) else { continue };
            match replay.history.operation(OpIx(0)).outcome() {
                Some(outcome) if outcome.has_result() => {
                    let own = replay.history.operation(OpIx(0)).result().map(Arc::clone);
                    // an ignored failure counts as success with an empty result
                    let result = own.unwrap_or_else(|| Arc::new(Value::Object(Map::new())));
                    return self.results.push(ReplayResult { op, run, result });
                }
                _ if replay.history.ended.is_none() && replay.folder.is_held() => running = Some(run),
                _ => open.extend(letters.list().into_iter().flatten().flat_map(|letter| letter.replays)),
            }
        }
        self.running.extend(running.map(|run| (letter.operation.clone(), run)));
    }
}
