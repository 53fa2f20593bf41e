//! `pop run`: inputs frozen, folder made, driver started.

use super::go::{go, options};
use crate::args::RunArgs;
use crate::error::{CommandError, Kind};
use crate::inputs::{Faults, freeze, launch_data, launch_type, plan, texts};
use crate::ui;
use pop_agenda::{Adopted, History, Plan, Scheduler};
use pop_executor::{FileJournal, Given, RunFolder, RunIdentity, adopt};
use pop_field_retriever::LaunchDataWrapper;
use std::sync::Arc;

pub(crate) fn run(args: &RunArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.launch)?;
    let on = launch_type(&launch)?;
    let texts = texts(args.agenda.as_deref(), &args.registry, &launch)?;
    let mut faults = Faults::default();
    let plan = plan(&texts, &args.registry.params, on, &mut faults);
    faults.tell(&texts)?;
    let Some(plan) = plan else { return Err(CommandError::told(Kind::Agenda)) };
    let made = || uuid::Uuid::new_v4().to_string();
    let cid =
        plan.identity.cid.clone().or_else(|| launch.cid().map(|found| found.value)).unwrap_or_else(made);
    let inputs = freeze(&texts, &args.registry, on, cid.clone())?;
    let run = new_id();
    let (folder, _lock) = RunFolder::create(&args.runs.runs, &run, &inputs)?;
    let mut journal = FileJournal::create(&folder.journal(), &inputs.digest(), args.go.sync.into())?;
    let identity = RunIdentity {
        run,
        cid,
        logs: absolute(&folder.logs())?,
        home: texts.home.clone(),
        on: on.to_string(),
    };
    let adopted = adopted(&plan, &launch)?;
    let scheduler = Scheduler::new(plan, options(&args.go));
    let given = Given { scheduler, identity, adopted, resumed: None, began: None };
    let history = History::new(given.scheduler.plan().len());
    go(given, history, &mut journal, &args.go, Arc::new(launch), &inputs.settings.folder)
}

/// What the launch data say that an earlier run had reached; a progress that cannot be read is as good as none.
fn adopted(plan: &Plan, launch: &dyn LaunchDataWrapper) -> Result<Vec<Adopted>, CommandError> {
    let Some(found) = launch.last_progress()? else { return Ok(Vec::new()) };
    match serde_json::from_str(&found.value) {
        Ok(progress) => Ok(adopt(plan, progress)),
        Err(error) => {
            ui::say(&format!(
                "warning: the last progress ({}) cannot be read and is ignored: {error}",
                found.origin
            ));
            Ok(Vec::new())
        }
    }
}

/// Logs are named from whatever folder a program is started in.
pub(crate) fn absolute(path: &std::path::Path) -> Result<std::path::PathBuf, CommandError> {
    std::path::absolute(path).map_err(|error| CommandError::new(Kind::Internal, error.to_string()))
}

/// An id that sorts by time, to the millisecond, and is told from those of the same one by two random digits.
fn new_id() -> String {
    let random = uuid::Uuid::new_v4().as_u128() as u8;
    format!("{}-{random:02x}", jiff::Timestamp::now().strftime("%Y%m%d-%H%M%S-%3f"))
}
