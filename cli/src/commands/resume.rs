//! `pop resume`: the journal folded into the state it tells, and the driver started from there.

use super::go::{Book, absolute, adopted, go, look_at_disk, now, options, reach};
use crate::args::{GoArgs, LaunchArgs, ResumeArgs};
use crate::error::CommandError;
use crate::inputs::{launch_data, thaw};
use crate::ui;
use pop_agenda::{History, RunOptions, RunOutcome, RunTime, Scheduler};
use pop_executor::{FileJournal, FolderError, Given, RunFolder, RunIdentity, read_journal, restore};
use pop_field_retriever::LaunchType;
use pop_launchers::process::sweep_run;
use std::sync::Arc;

/// Why a run is gone on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody asked for it: what failed is tried once more.
    Asked,
    /// The same command was started once more: what has ended stays ended.
    Restarted,
}

pub(crate) fn resume(args: &ResumeArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    look_at_disk(&args.go.host, &args.runs);
    go_on(&folder, &args.go, LaunchArgs::default(), Why::Asked)
}

pub(crate) fn go_on(
    folder: &RunFolder,
    args: &GoArgs,
    launch: LaunchArgs,
    why: Why,
) -> Result<u8, CommandError> {
    let _lock = folder.lock()?;
    let run = folder.run().to_owned();
    let inputs = folder.inputs()?;
    let opened = read_journal(&folder.journal())?;
    let digest = inputs.digest();
    if opened.inputs.as_ref().is_some_and(|begun| *begun != digest) {
        return Err(FolderError::InputsChanged { run }.into());
    }
    let (plan, on) = thaw(&inputs)?;
    if on == LaunchType::Local {
        // what an earlier executor left behind would work against its own next attempt; containers are taken over
        let living = sweep_run(inputs.settings.mark.as_ref().unwrap_or(&run));
        if let Some(executor) = living.first() {
            let owner = format!("process {executor} (from another copy of its folder)");
            return Err(FolderError::Held { run, owner }.into());
        }
    }
    let count = plan.len();
    let restored = restore(Arc::new(plan), &opened.events, &folder.journal())?;
    match restored.scheduler.outcome() {
        Some(RunOutcome::Succeeded) => {
            ui::say(&format!("run {run} has succeeded already; nothing is left to do"));
            return Ok(0);
        }
        // one that a signal ended was not through
        Some(RunOutcome::Interrupted | RunOutcome::Terminated) | None => {}
        Some(outcome) if why == Why::Restarted => {
            let word = outcome.word();
            ui::say(&format!(
                "run {run} has ended already: {word}; `pop resume {run}` tries again what did not succeed"
            ));
            return Ok(outcome.exit_code());
        }
        Some(_) => {}
    }
    if opened.torn > 0 {
        ui::say(&format!(
            "warning: the journal's last {} bytes were torn by a crash and are left out",
            opened.torn
        ));
    }
    let asked = options(args);
    let scheduler = match restored.began {
        Some(_) => restored.scheduler,
        // nothing of it was recorded: it begins as a new run would
        None => Scheduler::new(Arc::clone(restored.scheduler.plan()), asked.clone()),
    };
    let resumed = restored.began.map(|(started, last)| {
        let before = scheduler.options();
        let from = RunTime(now().saturating_sub(started)).max(last);
        RunOptions {
            parallel: args.parallel.unwrap_or(before.parallel),
            keep_going: args.keep_going || before.keep_going,
            time_limit_ms: match why {
                // a limit given now counts from now
                Why::Asked => asked.time_limit_ms.map(|limit| from.plus(limit).0),
                Why::Restarted => asked.time_limit_ms,
            },
            ..asked.clone()
        }
    });
    let launch = launch_data(&LaunchArgs { external_launch_type: Some(on), ..launch })?;
    reach(&launch)?;
    let journal = FileJournal::go_on(&folder.journal(), &opened, &digest, args.sync.into())?;
    let history = History::of(count, &opened.events);
    let identity = RunIdentity {
        mark: inputs.settings.mark.clone().unwrap_or_else(|| run.clone()),
        run,
        cid: inputs.settings.cid.clone(),
        agenda: inputs.settings.agenda.clone(),
        folder: absolute(folder.path())?,
        start: inputs.settings.folder.clone(),
        logs: absolute(&folder.logs())?,
        home: inputs.settings.home.clone(),
        on,
    };
    let adopted = if resumed.is_none() { adopted(scheduler.plan(), &launch)? } else { Vec::new() };
    let given = Given { scheduler, identity, adopted, resumed, began: restored.began };
    go(given, Book { journal, history }, args, Arc::new(launch), &inputs.settings.folder)
}
