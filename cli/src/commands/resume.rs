//! `pop resume`: the state of a run restored from its journal, and the run driven from there.

use super::go::{adopted, drive, look_at_disk, now, options, reach};
use crate::args::{GoArgs, LaunchArgs, ResumeArgs};
use crate::error::CommandError;
use crate::launch_data::launch_data;
use crate::ui;
use pop_agenda::RunOutcome;
use pop_assembly::{ResumableRun, ResumeOptions, Surroundings};
use pop_executor::RunFolder;
use std::sync::Arc;

/// Why a run is resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody asked for it: operations that failed are tried once more.
    Asked,
    /// The same command was started once more: operations that ended stay ended.
    Restarted,
}

pub(crate) fn resume(args: &ResumeArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    look_at_disk(&args.go.host, &args.runs);
    resume_folder(folder, &args.go, LaunchArgs::default(), Why::Asked, &Surroundings::capture_variables())
}

pub(crate) fn resume_folder(
    folder: RunFolder,
    args: &GoArgs,
    launch: LaunchArgs,
    why: Why,
    surroundings: &Surroundings,
) -> Result<u8, CommandError> {
    let resumable = ResumableRun::open(folder, surroundings)?;
    let run = resumable.run();
    match resumable.outcome() {
        Some(RunOutcome::Succeeded) => {
            ui::say(&format!("run {run} has succeeded already; nothing is left to do"));
            return Ok(0);
        }
        // a run that a signal ended was not through
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
    let torn = resumable.torn_bytes();
    if torn > 0 {
        ui::say(&format!("warning: the journal's last {torn} bytes were torn by a crash and are left out"));
    }
    let launcher = resumable.launcher()?;
    let launch = launch_data(&LaunchArgs { external_launch_type: Some(launcher), ..launch })?;
    reach(&launch, surroundings)?;
    let adopted = if resumable.is_new() { adopted(resumable.plan(), &launch)? } else { Vec::new() };
    let resume = ResumeOptions {
        options: options(args),
        parallel: args.parallel,
        is_limit_from_now: why == Why::Asked,
        now: now(),
        sync: args.sync.into(),
    };
    drive(resumable.resume(resume, adopted)?, args, Arc::new(launch), surroundings)
}
