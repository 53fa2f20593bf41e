//! `pop prune`: deletes old runs that nothing needs any more.

use super::machine::now;
use super::saved_run::{read_folder, until, wall, word};
use crate::args::PruneArgs;
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_assembly::SavedRun;
use pop_executor::{DeadLetters, FolderError, RunFolder};
use std::collections::{HashMap, HashSet};

/// Number of the newest runs that are kept by default.
const KEPT: usize = 20;

pub(crate) fn prune(args: &PruneArgs) -> Result<u8, CommandError> {
    let needs = Needs::of(args)?;
    let keep = args.keep.unwrap_or(if args.older_than.is_some() { 0 } else { KEPT });
    let before = args.older_than.map(|age| now().saturating_sub(age.as_millis() as u64));
    let mut folders = RunFolder::list(&args.runs.runs)?;
    folders.truncate(folders.len().saturating_sub(keep));
    let (mut deleted, mut failed) = (0, false);
    for folder in folders {
        let run = folder.run().to_owned();
        let saved = match read_folder(folder) {
            Ok(saved) => saved,
            Err(error) => {
                ui::say(&format!(
                    "warning: run {run} is kept, because it cannot be read: {}",
                    error.message()
                ));
                failed = true;
                continue;
            }
        };
        let ended = until(&saved);
        if before.is_some_and(|before| ended >= before) {
            continue;
        }
        if let Some(reason) = needs.reason(&saved) {
            say_unless(args.quiet, &format!("kept {run}: {reason}"));
            continue;
        }
        let about = format!("{run} ({}, {})", word(&saved), wall(ended));
        if !args.dry_run {
            match saved.folder.delete() {
                Ok(()) => {}
                // resumed in this moment
                Err(FolderError::Held { .. }) => {
                    say_unless(args.quiet, &format!("kept {run}: it is running"));
                    continue;
                }
                Err(error) => {
                    let error = CommandError::from(error);
                    ui::say(&format!("warning: run {run} cannot be deleted: {}", error.message()));
                    failed = true;
                    continue;
                }
            }
        }
        deleted += 1;
        match (args.quiet, args.dry_run) {
            (true, _) => ui::print(&format!("{run}\n")),
            (false, true) => ui::print(&format!("would delete {about}\n")),
            (false, false) => ui::print(&format!("deleted {about}\n")),
        }
    }
    if deleted == 0 {
        say_unless(args.quiet, "no runs to delete");
    }
    if failed { Err(CommandError::printed(Kind::Journal)) } else { Ok(0) }
}

fn say_unless(is_quiet: bool, line: &str) {
    if !is_quiet {
        ui::say(line);
    }
}

/// What refers to runs.
struct Needs {
    /// Number of dead letters by run, damaged ones included.
    letters: HashMap<String, usize>,
    /// Number of cached results by the run that wrote them.
    cached: HashMap<String, usize>,
    /// Runs that replay an existing dead letter.
    replays: HashSet<String>,
}

impl Needs {
    fn of(args: &PruneArgs) -> Result<Self, CommandError> {
        let (mut letters, mut cached, mut replays) = (HashMap::new(), HashMap::new(), HashSet::new());
        for folder in RunFolder::list(&args.runs.runs)? {
            let list = DeadLetters::of(folder.path()).list();
            replays.extend(list.iter().flatten().flat_map(|letter| letter.replays.iter().cloned()));
            if !list.is_empty() {
                letters.insert(folder.run().to_owned(), list.len());
            }
        }
        for file in args.host.of(&args.runs).kept(None)? {
            if let Some(about) = file.about {
                *cached.entry(about.by.run).or_insert(0) += 1;
            }
        }
        Ok(Self { letters, cached, replays })
    }

    /// Why a run must stay; none if nothing needs it.
    fn reason(&self, saved: &SavedRun) -> Option<String> {
        let run = saved.folder.run();
        if word(saved) == "running" {
            return Some("it is running".to_owned());
        }
        if saved.history.ended.is_none() {
            if let Some(owner) = saved.folder.remote_executor() {
                return Some(format!("{owner} may execute it"));
            }
            if saved.may_have_left_programs() {
                return Some(format!(
                    "its containers or pods may still run (`pop resume {run}` adopts them)"
                ));
            }
        }
        if let Some(count) = self.letters.get(run) {
            let letters = if *count == 1 { "dead letter" } else { "dead letters" };
            return Some(format!("it has {count} {letters} (`pop dlq drop --all {run}` deletes them)"));
        }
        if self.replays.contains(run) {
            return Some("it replays a dead letter of another run (`pop dlq list`)".to_owned());
        }
        let count = self.cached.get(run)?;
        let results = if *count == 1 { "result" } else { "results" };
        Some(format!("it wrote {count} cached {results} (`pop cache clear` deletes them)"))
    }
}
