//! `pop watch`: shows a run that another process executes, as `pop run` shows its own, and exits with its exit code.

use super::earlier_runs::earlier_durations;
use super::machine::now;
use super::run_watch::RunWatch;
use super::saved_run::{closing, next_events, read_folder, tail_of};
use super::signals::SUSPENSION;
use crate::args::WatchArgs;
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_agenda::{EventRecord, Sink};
use pop_assembly::SavedRun;
use pop_executor::{JournalTail, RunFolder};
use pop_reporters::run::{Bars, Lines, SinkThread, summary};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn watch(args: &WatchArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    // watched before it is read, so that no event in between is missed
    let news = RunWatch::of_journal(&folder)?;
    let mut saved = read_folder(folder)?;
    if saved.history.ended.is_none() {
        let (mut tail, past) = tail_of(&saved)?;
        let mut screen = screen(&saved, &past, args)?;
        follow(&mut saved, &mut tail, &news, screen.as_mut())?;
    }
    let run = saved.folder.run();
    match (saved.history.ended, saved.folder.remote_executor()) {
        (Some((_, outcome)), _) => {
            ui::say(summary(&saved.plan, &saved.history).trim_end());
            Ok(outcome.exit_code())
        }
        (None, Some(owner)) => {
            let message = format!("run {run} cannot be watched from here: its executor is or was {owner}");
            Err(CommandError::new(Kind::Journal, message).hint("run `pop watch` on that host"))
        }
        (None, None) => {
            ui::say(&closing(&saved));
            let message = format!("run {run} has no end: its executor died");
            Err(CommandError::new(Kind::Journal, message).hint(format!("`pop resume {run}` continues it")))
        }
    }
}

/// What shows the events to come. It knows those of the past.
fn screen(saved: &SavedRun, past: &[EventRecord], args: &WatchArgs) -> Result<Box<dyn Sink>, CommandError> {
    let run = saved.folder.run();
    if !ui::can_draw() {
        let mut lines = Lines::new(std::io::stderr(), run);
        lines.catch_up(&saved.plan, past);
        ui::say(&closing(saved));
        return Ok(Box::new(lines));
    }
    let began = Duration::from_millis(now().saturating_sub(saved.history.started));
    let settings = &saved.inputs.settings;
    let earlier = earlier_durations(&args.runs.runs, run, &settings.agenda, &settings.folder);
    let mut bars = Bars::new(std::io::stderr(), ui::terminal_size, &SUSPENSION, run, 0).with_earlier(earlier);
    bars.catch_up(&saved.plan, past, began);
    Ok(Box::new(SinkThread::new(Arc::clone(&saved.plan), bars)?))
}

/// Follows the run until it ends or its executor dies.
fn follow(
    saved: &mut SavedRun,
    tail: &mut JournalTail,
    news: &RunWatch,
    screen: &mut dyn Sink,
) -> Result<(), CommandError> {
    loop {
        let is_held = saved.folder.is_held();
        let events = next_events(tail)?;
        for recorded in &events {
            saved.add(recorded);
            screen.on_event(&saved.plan, recorded);
        }
        screen.flush();
        if !events.is_empty() {
            continue;
        }
        // an executor that is gone has written everything
        if saved.history.ended.is_some() || !is_held {
            return Ok(());
        }
        news.wait()?;
    }
}
