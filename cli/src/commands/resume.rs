//! `pop resume`: restores a run from its journal and continues it.

use super::elsewhere::report_end;
use super::go::{adopted, drive, look_at_disk, options, reach, run_command};
use super::machine::now;
use crate::args::{GoArgs, LaunchArgs, ResourceArgs, ResumeArgs, RunsFolder, StrictArg};
use crate::error::CommandError;
use crate::launch_data::launch_data;
use crate::ui;
use pop_agenda::{PriorOutcomes, Resources, RunOptions, RunOutcome};
use pop_assembly::{ChangedTexts, ReplayedLetters, ResumableRun, ResumeOptions, SavedRun, Surroundings};
use pop_executor::RunFolder;
use pop_field_retriever::LaunchDataWrapper;
use pop_reporters::run::FollowedRun;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Command that resumes a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResumeTrigger {
    /// `pop resume`: failed operations run again.
    ResumeCommand,
    /// `pop run --run-id` of an existing run: resumes it if it has not ended or if a signal ended it, else returns its
    /// exit code.
    SameRunId,
}

pub(crate) fn resume(args: &ResumeArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    look_at_disk(&args.go.host, &args.runs);
    resume_folder(
        folder,
        &args.go,
        &args.resources,
        &args.runs,
        LaunchArgs::default(),
        ResumeTrigger::ResumeCommand,
        &Surroundings::capture_variables(),
    )
}

pub(crate) fn resume_folder(
    folder: RunFolder,
    args: &GoArgs,
    resources: &ResourceArgs,
    runs: &RunsFolder,
    launch: LaunchArgs,
    trigger: ResumeTrigger,
    surroundings: &Surroundings,
) -> Result<u8, CommandError> {
    let resumable = ResumableRun::open(folder, surroundings)?;
    let run = resumable.run();
    let ends_again = resumable.outcome().filter(|outcome| {
        let is_continued = matches!(outcome, RunOutcome::Interrupted | RunOutcome::Terminated);
        trigger == ResumeTrigger::SameRunId && !is_continued
    });
    if ends_again.is_some() {
        let saved = SavedRun::read(resumable.folder().clone(), surroundings)?;
        let launch = launch_data(&launch, StrictArg::default())?;
        let followed = FollowedRun { plan: saved.plan, follows_plan: false, history: saved.history };
        report_end(&launch, run, followed)?;
    }
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
    if let Some(changed) = ChangedTexts::of(resumable.inputs()) {
        let rerun = run_command("rerun", run, args, runs);
        ui::say(&frozen_warning(run, &changed, &resumable.inputs().settings.folder, &rerun));
    }
    let replayed = ReplayedLetters::of(&resumable, surroundings);
    let is_unreplayed = replayed.results.is_empty() && replayed.running.is_empty();
    if resumable.outcome() == Some(RunOutcome::DeadLettered) && is_unreplayed {
        ui::say(&format!(
            "no dead letter of run {run} has the result of a replay: `pop dlq replay {run} OPERATION` runs one again"
        ));
    }
    for (operation, replay) in &replayed.running {
        ui::say(&format!(
            "run {replay} replays the dead letter of `{operation}`: `pop resume {run}` takes the result when it has ended"
        ));
    }
    let launcher = resumable.launcher()?;
    let launch =
        launch_data(&LaunchArgs { external_launch_type: Some(launcher), ..launch }, StrictArg::default())?;
    reach(&launch, surroundings)?;
    let adopted =
        if resumable.is_new() { adopted(resumable.plan(), &launch)? } else { PriorOutcomes::default() };
    // without events, the run begins like a new one
    let totals = if resumable.is_new() {
        resources.totals(launcher, surroundings, true)?.amounts
    } else {
        Resources::default()
    };
    let resume = ResumeOptions {
        options: RunOptions { resources: totals, ..options(args) },
        parallel: args.parallel,
        resources: resources.written(),
        is_limit_from_now: trigger == ResumeTrigger::ResumeCommand,
        now: now(),
        sync: args.sync.into(),
        replayed: replayed.results,
    };
    let launch: Arc<dyn LaunchDataWrapper> = Arc::new(launch);
    drive(resumable.resume(resume, adopted)?, args, runs, &launch, surroundings)
}

/// The warning that files changed after the run started, and the command `rerun` that uses the new files. `started_in` is
/// the folder in which the run was started.
fn frozen_warning(run: &str, changed: &ChangedTexts, started_in: &Path, rerun: &str) -> String {
    let is_here = std::env::current_dir().is_ok_and(|folder| folder == started_in);
    let shown = |path: &PathBuf| {
        let relative = path.strip_prefix(started_in).unwrap_or(path);
        if is_here { relative.display().to_string() } else { path.display().to_string() }
    };
    let names: Vec<String> = changed.files.iter().map(|path| format!("`{}`", shown(path))).collect();
    let (copy, file) = if names.len() == 1 { ("copy", "file") } else { ("copies", "files") };
    let names = names.join(", ");
    format!(
        "warning: {names} changed after run {run} started, and the run uses its frozen {copy}; \
         `{rerun}` uses the changed {file} and reuses what is unchanged"
    )
}
