//! `pop resume`: the journal folded into the state it tells, and the driver started from there.

use super::go::{Book, go, now, options, reach};
use super::run::absolute;
use crate::args::{LaunchArgs, ResumeArgs};
use crate::error::CommandError;
use crate::inputs::{launch_data, thaw};
use crate::ui;
use pop_agenda::{History, RunOptions, RunOutcome, RunTime, Scheduler};
use pop_executor::{FileJournal, FolderError, Given, RunFolder, RunIdentity, read_journal, restore};
use pop_field_retriever::LaunchType;
use pop_launchers::process::sweep_run;
use std::sync::Arc;

pub(crate) fn resume(args: &ResumeArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
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
        sweep_run(&run);
    }
    let opened = opened.fitting(plan.len(), &folder.journal())?;
    let restored = restore(Arc::new(plan), &opened.events);
    if restored.scheduler.outcome() == Some(RunOutcome::Succeeded) {
        ui::say(&format!("run {run} has succeeded already; nothing is left to do"));
        return Ok(0);
    }
    if opened.torn > 0 {
        ui::say(&format!(
            "warning: the journal's last {} bytes were torn by a crash and are left out",
            opened.torn
        ));
    }
    let asked = options(&args.go, on);
    let scheduler = match restored.began {
        Some(_) => restored.scheduler,
        // nothing of it was recorded: it begins as a new run would
        None => Scheduler::new(Arc::clone(restored.scheduler.plan()), asked.clone()),
    };
    let resumed = restored.began.map(|(started, last)| {
        let before = scheduler.options();
        let from = RunTime(now().saturating_sub(started)).max(last);
        RunOptions {
            parallel: args.go.parallel.unwrap_or(before.parallel),
            keep_going: args.go.keep_going || before.keep_going,
            // a limit given now counts from now
            time_limit_ms: asked.time_limit_ms.map(|limit| from.plus(limit).0),
            ..asked.clone()
        }
    });
    let launch = launch_data(&LaunchArgs { external_launch_type: Some(on), ..LaunchArgs::default() })?;
    reach(&launch)?;
    let journal = FileJournal::go_on(&folder.journal(), &opened, &digest, args.go.sync.into())?;
    let history = History::of(scheduler.plan().len(), &opened.events);
    let identity = RunIdentity {
        run,
        cid: inputs.settings.cid.clone(),
        logs: absolute(&folder.logs())?,
        home: inputs.settings.home.clone(),
        on,
    };
    let given = Given { scheduler, identity, adopted: Vec::new(), resumed, began: restored.began };
    go(given, Book { journal, history }, &args.go, Arc::new(launch), &inputs.settings.folder)
}
