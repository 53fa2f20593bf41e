//! A run as its folder tells it: plan, history and state, read without changing anything.

use crate::error::{CommandError, Kind};
use crate::inputs::thaw;
use pop_agenda::{History, OpIx, Plan, Scheduler};
use pop_document::nearest;
use pop_executor::{Inputs, RunFolder, read_journal, restore};
use std::path::Path;
use std::sync::Arc;

/// What a run's folder tells.
pub(crate) struct Told {
    pub(crate) folder: RunFolder,
    pub(crate) inputs: Inputs,
    /// The plan, with all that was added while the run went on.
    pub(crate) plan: Arc<Plan>,
    /// The scheduler in the state after the last event.
    pub(crate) scheduler: Scheduler,
    pub(crate) history: History,
}

impl Told {
    pub(crate) fn read(runs: &Path, run: &str) -> Result<Self, CommandError> {
        Self::of(RunFolder::find(runs, run)?)
    }

    pub(crate) fn of(folder: RunFolder) -> Result<Self, CommandError> {
        let inputs = folder.inputs()?;
        let (plan, _) = thaw(&inputs)?;
        let events = read_journal(&folder.journal())?.events;
        let count = plan.len();
        let scheduler = restore(Arc::new(plan), &events, &folder.journal())?.scheduler;
        let history = History::of(count, &events);
        Ok(Self { folder, inputs, plan: Arc::clone(scheduler.plan()), scheduler, history })
    }

    /// The operation of this name, or an error that names a near one.
    pub(crate) fn operation(&self, name: &str) -> Result<OpIx, CommandError> {
        self.plan.find(name).ok_or_else(|| {
            let names = self.plan.operations().map(|(_, planned)| planned.name.as_str());
            let message = format!("run {} has no operation `{name}`", self.folder.run());
            let error = CommandError::new(Kind::Usage, message);
            match nearest(name, names) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("`pop show {}` lists them", self.folder.run())),
            }
        })
    }

    /// What the run is doing, in a word.
    pub(crate) fn word(&self) -> &'static str {
        match self.history.ended {
            Some((_, outcome)) => outcome.word(),
            None if self.folder.is_held() => "running",
            None => "stopped",
        }
    }
}

/// A wall-clock time for people, in their time zone.
pub(crate) fn wall(ms: u64) -> String {
    let instant = i64::try_from(ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let Some(instant) = instant else { return "?".to_owned() };
    instant.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}
