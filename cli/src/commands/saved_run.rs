//! Reads saved runs, and formats their state for commands.

use crate::error::{CommandError, Kind};
use pop_agenda::OpIx;
use pop_assembly::{SavedRun, Surroundings};
use pop_document::nearest;
use pop_executor::RunFolder;
use std::path::Path;

/// Reads a run from the folder of runs.
pub(super) fn read(runs: &Path, run: &str) -> Result<SavedRun, CommandError> {
    read_folder(RunFolder::find(runs, run)?)
}

/// Reads a run from its own folder.
pub(super) fn read_folder(folder: RunFolder) -> Result<SavedRun, CommandError> {
    Ok(SavedRun::read(folder, &Surroundings::capture_variables())?)
}

/// Finds an operation by name. The error suggests a similar name.
pub(super) fn operation(saved: &SavedRun, name: &str) -> Result<OpIx, CommandError> {
    saved.plan.find(name).ok_or_else(|| {
        let names = saved.plan.operations().map(|(_, planned)| planned.name.as_str());
        let message = format!("run {} has no operation `{name}`", saved.folder.run());
        let error = CommandError::new(Kind::Usage, message);
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("`pop show {}` lists them", saved.folder.run())),
        }
    })
}

/// State of the run: its outcome, or `running` or `stopped`.
pub(super) fn word(saved: &SavedRun) -> &'static str {
    match saved.history.ended {
        Some((_, outcome)) => outcome.word(),
        None if saved.folder.is_held() => "running",
        None => "stopped",
    }
}

/// Formats a wall-clock time in the local time zone.
pub(super) fn wall(ms: u64) -> String {
    let instant = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let Some(instant) = instant else { return "?".to_owned() };
    instant.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
