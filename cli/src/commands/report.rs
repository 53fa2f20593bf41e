//! `pop report`: writes a report about a run, or serves one that follows the run.

mod followed;
mod live;
mod output;

use super::machine::{now, processors};
use super::saved_run::{read, until};
use crate::args::{GoArgs, ReportArgs, ReportFormat, RunsFolder};
use crate::error::{CommandError, Kind};
use crate::ui;
use output::{Place, write};
use pop_assembly::SavedRun;
use pop_report::format::{annotations, csv, json, junit, markdown, page, trace};
use pop_report::{RepeatedOptions, Report, RunFacts, RunState};
use std::path::{Path, PathBuf};

pub(crate) fn report(args: &ReportArgs) -> Result<u8, CommandError> {
    let saved = read(&args.runs.runs, &args.run)?;
    if args.live {
        return live::serve(saved, args);
    }
    let facts = facts(&saved, &args.runs.runs);
    let report = Report::of(&saved.plan, &saved.history, &facts);
    let text = text(&report, args.format)?;
    let place = place(args, facts.run);
    write(&place, &text)?;
    let run = facts.run;
    match facts.state {
        RunState::Ended => {}
        RunState::Running => ui::say(&format!("run {run} has not ended: the report shows it as it is now")),
        RunState::Stopped => ui::say(&format!("run {run} has not ended, and no process executes it")),
    }
    if let Place::File(path) = &place {
        ui::say(&format!("report: {}", path.display()));
    }
    if args.github_annotations && is_github_job() {
        print_annotations(&report);
    }
    Ok(0)
}

/// Prints the failures of a run that has ended as annotations, in a GitHub job only.
pub(super) fn annotate(runs: &Path, run: &str) -> Result<(), CommandError> {
    if is_github_job() {
        let saved = read(runs, run)?;
        print_annotations(&Report::of(&saved.plan, &saved.history, &facts(&saved, runs)));
    }
    Ok(())
}

fn is_github_job() -> bool {
    std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true")
}

fn print_annotations(report: &Report<'_>) {
    for line in annotations::annotations(report).lines() {
        ui::say(line);
    }
}

/// What the folder of the run knows beside its events.
fn facts<'r>(saved: &'r SavedRun, runs: &'r Path) -> RunFacts<'r> {
    let settings = &saved.inputs.settings;
    RunFacts {
        run: saved.folder.run(),
        agenda: &settings.agenda,
        launcher: &settings.on,
        inputs: &settings.inputs,
        replay_of: settings.replay_of.as_ref().map(|letter| (letter.run.as_str(), letter.operation.as_str())),
        state: match saved.history.ended {
            Some(_) => RunState::Ended,
            None if saved.folder.is_held() => RunState::Running,
            None => RunState::Stopped,
        },
        until: until(saved),
        now: now(),
        runs: RunsFolder::in_commands(runs),
        options: options(saved),
        pop: env!("CARGO_PKG_VERSION"),
    }
}

/// Options of the run that differ from their defaults.
fn options(saved: &SavedRun) -> RepeatedOptions {
    let options = saved.scheduler.options();
    // after a resume, the time limit counts from the start of the run: it is not the one that was asked for
    let is_first = saved.history.executors.len() == 1;
    let limit = |ms: Option<u64>| ms.filter(|_| is_first).map(|ms| ms / 1_000);
    RepeatedOptions {
        keep_going: options.keep_going,
        parallel: Some(options.parallel).filter(|parallel| *parallel != processors()),
        grace: Some(options.grace_ms / 1_000).filter(|grace| *grace != GoArgs::DEFAULT_GRACE),
        time_limit: limit(options.time_limit_ms),
        cleanup_limit: limit(options.cleanup_limit_ms)
            .filter(|limit| *limit != GoArgs::DEFAULT_CLEANUP_LIMIT),
    }
}

fn text(report: &Report<'_>, format: ReportFormat) -> Result<String, CommandError> {
    let written = match format {
        ReportFormat::Html => page::page(report),
        ReportFormat::Json => json(report),
        ReportFormat::Trace => Ok(trace::trace(report)),
        ReportFormat::Junit => Ok(junit::junit(report)),
        ReportFormat::Csv => Ok(csv::csv(report)),
        ReportFormat::Markdown => Ok(markdown::markdown(report)),
    };
    written.map_err(|error| CommandError::new(Kind::Internal, format!("cannot write the report: {error}")))
}

fn place(args: &ReportArgs, run: &str) -> Place {
    match (&args.into, args.format) {
        (Some(path), _) if path.as_os_str() == "-" => Place::StandardOutput,
        (Some(path), _) => Place::File(path.clone()),
        (None, ReportFormat::Html) => Place::File(PathBuf::from(format!("report-{run}.html"))),
        (None, _) => Place::StandardOutput,
    }
}
