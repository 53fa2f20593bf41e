//! Reads saved runs, and formats their state for commands.

use super::machine::now;
use crate::error::{CommandError, Kind};
use pop_agenda::{EventRecord, OpIx};
use pop_assembly::{SavedRun, Surroundings};
use pop_contract::Millis;
use pop_document::nearest;
use pop_executor::{JournalTail, RunFolder};
use pop_reporters::run::closing_line;
use std::path::Path;
use std::time::UNIX_EPOCH;

/// Reads a run from the folder of runs.
pub(super) fn read(runs: &Path, run: &str) -> Result<SavedRun, CommandError> {
    read_folder(RunFolder::find(runs, run)?)
}

/// Reads a run from its own folder.
pub(super) fn read_folder(folder: RunFolder) -> Result<SavedRun, CommandError> {
    Ok(SavedRun::read(folder, &Surroundings::capture_variables())?)
}

/// Events that are read at a time while a run is followed.
const CHUNK: usize = 1_000;

/// The journal of a run behind the events that were read, and those events.
pub(super) fn tail_of(saved: &SavedRun) -> Result<(JournalTail, Vec<EventRecord>), CommandError> {
    let mut tail = JournalTail::new(&saved.folder.journal());
    let past = records(&mut tail, usize::try_from(saved.recorded).unwrap_or(usize::MAX))?;
    Ok((tail, past))
}

/// Some of the next events; none if there are no more yet.
pub(super) fn next_events(tail: &mut JournalTail) -> Result<Vec<EventRecord>, CommandError> {
    records(tail, CHUNK)
}

fn records(tail: &mut JournalTail, most: usize) -> Result<Vec<EventRecord>, CommandError> {
    Ok(tail.read(most)?.into_iter().map(|line| line.record).collect())
}

/// Finds an operation by name. The error suggests a similar name.
pub(super) fn operation(saved: &SavedRun, name: &str) -> Result<OpIx, CommandError> {
    let named = |name: &str| {
        let mut shown =
            saved.plan.operations().map(|(op, _)| op).filter(|op| saved.plan.shown_name(*op) == name);
        shown.next().filter(|_| shown.next().is_none())
    };
    saved.plan.find(name).or_else(|| named(name)).ok_or_else(|| {
        let names = saved.plan.operations().map(|(_, planned)| planned.name.as_str());
        let message = format!("run {} has no operation `{name}`", saved.folder.run());
        let error = CommandError::new(Kind::Usage, message);
        match nearest(name, names) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("`pop show {}` lists them", saved.folder.run())),
        }
    })
}

/// When the run ended, in epoch milliseconds: now for a running one, and the last sign of the executor for a stopped one.
pub(super) fn until(saved: &SavedRun) -> Millis {
    let history = &saved.history;
    match history.ended {
        Some((at, _)) => history.wall(at),
        None if saved.folder.is_held() => now(),
        None => {
            let sign = saved.folder.executor_time();
            let sign = sign.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            let sign = sign.map_or(0, |since| since.as_millis() as Millis);
            sign.max(history.wall(history.last))
        }
    }
}

/// How long the run has taken, from its start to its end, in milliseconds. The time before a resume counts.
pub(super) fn took(saved: &SavedRun) -> Millis {
    until(saved).saturating_sub(saved.history.started)
}

/// One line about the whole run: state, duration and outcomes of operations.
pub(super) fn closing(saved: &SavedRun) -> String {
    closing_line(&saved.plan, &saved.history, word(saved), took(saved))
}

/// The agenda of a run for people: its file, or the title or id of an agenda that came without a file.
pub(super) fn agenda_words(saved: &SavedRun) -> String {
    let (file, identity) = (&saved.inputs.settings.agenda, &saved.plan.identity);
    let id = identity.id.as_ref().map(|id| format!("agenda {id}"));
    let words = identity.title.clone().or(id).filter(|_| file.starts_with('<'));
    words.unwrap_or_else(|| file.clone())
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
    zoned(ms).map_or_else(|| "?".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Formats a time of this year without the year, and of another year without the time of day.
pub(super) fn short_wall(ms: u64) -> String {
    let Some(time) = zoned(ms) else { return "?".to_owned() };
    let is_this_year = zoned(now()).is_some_and(|now| now.year() == time.year());
    time.strftime(if is_this_year { "%m-%d %H:%M" } else { "%Y-%m-%d" }).to_string()
}

/// Formats times of a run without the date, unless it is on another day than the start.
pub(super) struct TimesOfDay {
    start: Option<jiff::civil::Date>,
    /// The second of the latest time, and its text: most operations start in the second of the one before.
    latest: (u64, String),
}

impl TimesOfDay {
    /// For a run that started then, in milliseconds.
    pub(super) fn of(start: u64) -> Self {
        Self { start: zoned(start).map(|start| start.date()), latest: (u64::MAX, String::new()) }
    }

    /// The time in milliseconds as text.
    pub(super) fn text(&mut self, ms: u64) -> String {
        let second = ms / 1_000;
        if self.latest.0 != second {
            let text = zoned(ms).map_or_else(
                || "?".to_owned(),
                |time| {
                    let is_same_day = self.start == Some(time.date());
                    time.strftime(if is_same_day { "%H:%M:%S" } else { "%m-%d %H:%M:%S" }).to_string()
                },
            );
            self.latest = (second, text);
        }
        self.latest.1.clone()
    }
}

fn zoned(ms: u64) -> Option<jiff::Zoned> {
    let instant = jiff::Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()?;
    Some(instant.to_zoned(jiff::tz::TimeZone::system()))
}
