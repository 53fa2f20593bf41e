//! What operations took in an earlier run of an agenda, to estimate the time left of another one.

use pop_assembly::{SavedRun, Surroundings};
use pop_executor::RunFolder;
use pop_reporters::run::{Durations, EarlierDurations};
use std::fs;
use std::path::Path;

/// Newest runs that are looked at.
const MOST_RUNS: usize = 20;
/// Largest journal that is read, in bytes.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// Looks up, when it is called, what operations took in the newest run of the same agenda in the same folder that
/// succeeded. It reads files, so it is called on a thread of its own.
pub(super) fn earlier_durations(runs: &Path, run: &str, agenda: &str, folder: &Path) -> EarlierDurations {
    let (runs, run) = (runs.to_owned(), run.to_owned());
    let (agenda, folder) = (agenda.to_owned(), folder.to_owned());
    Box::new(move || find(&runs, &run, &agenda, &folder))
}

fn find(runs: &Path, run: &str, agenda: &str, folder: &Path) -> Option<Durations> {
    let all = RunFolder::list(runs).ok()?;
    let others = all.into_iter().rev().filter(|other| other.run() != run).take(MOST_RUNS);
    others.into_iter().find_map(|other| {
        let settings = other.inputs().ok()?.settings;
        let is_small = fs::metadata(other.journal()).is_ok_and(|about| about.len() <= MOST_BYTES);
        if settings.agenda != agenda || settings.folder != folder || !is_small {
            return None;
        }
        let saved = SavedRun::read(other, &Surroundings::capture_variables()).ok()?;
        let has_succeeded = saved.history.ended.is_some_and(|(_, outcome)| outcome.exit_code() == 0);
        has_succeeded.then(|| Durations::of_run(&saved.plan, &saved.history))
    })
}
