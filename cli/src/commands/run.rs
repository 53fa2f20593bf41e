//! `pop run`: inputs frozen, folder made, driver started.

use super::go::{Book, absolute, adopted, go, look_at_disk, options, reach};
use super::resume::{Why, go_on};
use crate::args::{GoArgs, RunArgs};
use crate::error::{CommandError, Kind};
use crate::faults::Faults;
use crate::inputs::{Texts, freeze, launch_data, plan, texts};
use pop_agenda::{Adopted, History, Plan, Scheduler};
use pop_executor::{FileJournal, FolderError, Given, Inputs, Lock, RunFolder, RunIdentity, Settings};
use pop_field_retriever::{DefaultLaunchData, LaunchDataWrapper as _, LaunchType};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

pub(crate) fn run(args: &RunArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.launch)?;
    let on = launch.external_launch_type().value;
    let mut faults = Faults::default();
    let texts = texts(args.agenda.as_deref(), &args.registry, &launch, &mut faults)?;
    let there = args.run_id.as_ref().map(|id| RunFolder::find(&args.runs.runs, id));
    if let Some(Ok(folder)) = there {
        faults.tell(&texts)?;
        begun_with(&folder, &texts, &args.registry.params, on)?;
        return go_on(&folder, &args.go, args.launch.clone(), Why::Restarted);
    }
    let plan = plan(&texts, &args.registry.params, on, &mut faults);
    faults.tell(&texts)?;
    let Some(plan) = plan else { return Err(CommandError::told(Kind::Agenda)) };
    reach(&launch)?;
    let made = || uuid::Uuid::new_v4().to_string();
    let cid =
        plan.identity.cid.clone().or_else(|| launch.cid().map(|found| found.value)).unwrap_or_else(made);
    let mark = args.run_id.as_deref().map(new_mark);
    let inputs = freeze(&texts, &args.registry, on, cid, mark);
    look_at_disk(&args.go.host, &args.runs);
    let (folder, _lock) = match &args.run_id {
        Some(id) => RunFolder::create_again(&args.runs.runs, id, &inputs)?,
        None => new_folder(&args.runs.runs, &inputs)?,
    };
    let adopted = adopted(&plan, &launch)?;
    begin(&folder, &inputs, plan, adopted, &args.go, launch)
}

/// Drives a run whose folder was just made.
pub(super) fn begin(
    folder: &RunFolder,
    inputs: &Inputs,
    plan: Plan,
    adopted: Vec<Adopted>,
    args: &GoArgs,
    launch: DefaultLaunchData,
) -> Result<u8, CommandError> {
    let on = launch.external_launch_type().value;
    let journal = FileJournal::begin(folder, &inputs.digest(), args.sync.into())?;
    let Settings { mark, cid, home, folder: start, .. } = &inputs.settings;
    let run = folder.run().to_owned();
    let identity = RunIdentity {
        mark: mark.clone().unwrap_or_else(|| run.clone()),
        run,
        cid: cid.clone(),
        agenda: inputs.settings.agenda.clone(),
        folder: absolute(folder.path())?,
        start: start.clone(),
        logs: absolute(&folder.logs())?,
        home: home.clone(),
        on,
    };
    let book = Book { journal, history: History::new(plan.len()) };
    let scheduler = Scheduler::new(plan, options(args));
    let given = Given { scheduler, identity, adopted, resumed: None, began: None };
    go(given, book, args, Arc::new(launch), start)
}

/// Makes sure that what is given now is what a run was begun with; its registry is the one it was begun with.
fn begun_with(
    folder: &RunFolder,
    texts: &Texts,
    params: &[(String, String)],
    on: LaunchType,
) -> Result<(), CommandError> {
    let frozen = folder.inputs()?;
    let differs = if frozen.agenda != texts.agenda.text().as_bytes() {
        "another agenda"
    } else if frozen.settings.params != params {
        "other `--param` values"
    } else if frozen.settings.on != on.as_str() {
        "another launcher"
    } else {
        return Ok(());
    };
    let run = folder.run();
    let error = CommandError::new(Kind::Journal, format!("run `{run}` was begun with {differs}"));
    Err(error
        .hint(format!("give another `--run-id`, or go on with what it was begun with: `pop resume {run}`")))
}

/// Makes the folder of a new run; runs that begin at the same instant get out of each other's way.
pub(super) fn new_folder(runs: &Path, inputs: &Inputs) -> Result<(RunFolder, Lock), FolderError> {
    let mut tries = 0;
    loop {
        match RunFolder::create(runs, &new_id(), inputs) {
            Err(FolderError::Io { source, .. })
                if source.kind() == ErrorKind::AlreadyExists && tries < 100 =>
            {
                tries += 1;
            }
            other => return other,
        }
    }
}

/// What tells the programs of a run whose id was chosen from those of another run of that id, in another folder or on
/// another machine: nobody may end them or take them over for his own. It is the value of a label, as ids are.
fn new_mark(id: &str) -> String {
    let own = uuid::Uuid::new_v4().simple().to_string();
    format!("{}.{}", id.get(..54).unwrap_or(id), &own[..8])
}

/// An id that sorts by time and is easily said: the second, and what is gone of it in 65,536 parts.
fn new_id() -> String {
    let now = jiff::Timestamp::now();
    let part = (i64::from(now.subsec_nanosecond()).max(0) << 16) / 1_000_000_000;
    format!("{}-{part:04x}", now.strftime("%Y%m%d-%H%M%S"))
}
