//! `pop resume`: restores a run from its journal and continues it.

use super::go::{adopted, drive, look_at_disk, now, options, reach};
use crate::args::{GoArgs, LaunchArgs, ResumeArgs, StrictArg};
use crate::error::CommandError;
use crate::launch_data::launch_data;
use crate::ui;
use pop_agenda::RunOutcome;
use pop_assembly::{ResumableRun, ResumeOptions, Surroundings};
use pop_executor::RunFolder;
use pop_field_retriever::LaunchDataWrapper;
use std::sync::Arc;

/// Command that resumes a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResumeTrigger {
    /// `pop resume`: failed operations run again.
    ResumeCommand,
    /// `pop run --run-id` of an existing run: operations that ended stay ended.
    SameRunId,
}

pub(crate) fn resume(args: &ResumeArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    look_at_disk(&args.go.host, &args.runs);
    resume_folder(
        folder,
        &args.go,
        LaunchArgs::default(),
        ResumeTrigger::ResumeCommand,
        &Surroundings::capture_variables(),
    )
}

pub(crate) fn resume_folder(
    folder: RunFolder,
    args: &GoArgs,
    launch: LaunchArgs,
    trigger: ResumeTrigger,
    surroundings: &Surroundings,
) -> Result<u8, CommandError> {
    let resumable = ResumableRun::open(folder, surroundings)?;
    let run = resumable.run();
    match resumable.outcome() {
        Some(RunOutcome::Succeeded) => {
            ui::say(&format!("run {run} has succeeded already; nothing to do"));
            return Ok(0);
        }
        // a signal ended the run early
        Some(RunOutcome::Interrupted | RunOutcome::Terminated) | None => {}
        Some(outcome) if trigger == ResumeTrigger::SameRunId => {
            let word = outcome.word();
            ui::say(&format!(
                "run {run} has ended already: {word}; `pop resume {run}` retries what did not succeed"
            ));
            return Ok(outcome.exit_code());
        }
        Some(_) => {}
    }
    let torn = resumable.torn_bytes();
    if torn > 0 {
        ui::say(&format!(
            "warning: the last {torn} bytes of the journal are ignored: a crash cut its last event off"
        ));
    }
    let launcher = resumable.launcher()?;
    let launch =
        launch_data(&LaunchArgs { external_launch_type: Some(launcher), ..launch }, StrictArg::default())?;
    reach(&launch, surroundings)?;
    let adopted = if resumable.is_new() { adopted(resumable.plan(), &launch)? } else { Vec::new() };
    let resume = ResumeOptions {
        options: options(args),
        parallel: args.parallel,
        is_limit_from_now: trigger == ResumeTrigger::ResumeCommand,
        now: now(),
        sync: args.sync.into(),
    };
    let launch: Arc<dyn LaunchDataWrapper> = Arc::new(launch);
    drive(resumable.resume(resume, adopted)?, args, &launch, surroundings)
}
