//! `pop runs`: lists runs, newest first.

use super::saved_run::{agenda_words, read_folder, short_wall, took, word};
use crate::args::{Output, RunsArgs};
use crate::error::CommandError;
use crate::ui;
use pop_agenda::Outcome;
use pop_assembly::SavedRun;
use pop_executor::{RunFolder, Settings};
use pop_reporters::run::how_long;
use serde_json::{Value, json};
use std::path::Path;

/// Heads of the columns.
const HEADS: [&str; 6] = ["RUN", "STATE", "DONE", "STARTED", "TOOK", "AGENDA"];
/// Fewest columns of an agenda's name on a terminal.
const LEAST_AGENDA: usize = 8;

pub(crate) fn runs(args: &RunsArgs) -> Result<u8, CommandError> {
    let is_filtered = !args.outcome.is_empty() || args.agenda.is_some();
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for folder in RunFolder::list(&args.runs.runs)?.into_iter().rev() {
        if args.number.is_some_and(|number| rows.len() >= number) {
            break;
        }
        let run = folder.run().to_owned();
        let saved = match read_folder(folder) {
            Ok(saved) => saved,
            // an unreadable run is listed, too
            Err(error) => {
                ui::say(&format!("warning: cannot read run {run}: {}", error.message()));
                if !is_filtered {
                    list.push(json!({"run": run, "outcome": null, "readable": false}));
                    let unknown = ["unreadable", "", "", "", ""].map(str::to_owned);
                    let [state, done, started, took, agenda] = unknown;
                    rows.push([run, state, done, started, took, agenda]);
                }
                continue;
            }
        };
        let state = word(&saved);
        let is_wanted = args.outcome.is_empty() || args.outcome.iter().any(|wanted| wanted.is(state));
        let settings = &saved.inputs.settings;
        if is_wanted && args.agenda.as_deref().is_none_or(|agenda| is_of(settings, agenda)) {
            match args.output {
                Output::Json => list.push(as_json(&saved)),
                Output::Text => rows.push(row(&saved)),
            }
        }
    }
    if args.output == Output::Json {
        ui::print(&format!("{:#}\n", json!(list)));
    } else if args.quiet {
        let names = rows.iter().flat_map(|row| [row[0].as_str(), "\n"]);
        ui::print(&names.collect::<String>());
    } else if rows.is_empty() {
        let which = if is_filtered { "no such runs" } else { "no runs" };
        ui::say(&format!("{which} in `{}`", args.runs.runs.display()));
    } else {
        ui::print(&fitting_table(rows, ui::stdout_columns()));
    }
    Ok(0)
}

/// Whether the agenda of a run is this file, or has this file name.
fn is_of(settings: &Settings, agenda: &Path) -> bool {
    let own = Path::new(&settings.agenda);
    let is_same_file = || {
        let wanted = std::path::absolute(agenda).ok()?;
        Some(wanted == settings.folder.join(own).components().collect::<std::path::PathBuf>())
    };
    own == agenda || own.file_name().is_some_and(|name| name == agenda) || is_same_file().unwrap_or(false)
}

/// Number of operations that have succeeded, were skipped or came from the cache.
fn done(saved: &SavedRun) -> usize {
    let is_done = |outcome| matches!(outcome, Outcome::Succeeded | Outcome::FromCache | Outcome::Skipped);
    let outcomes = saved.plan.operations().filter_map(|(op, _)| saved.history.operation(op).outcome());
    outcomes.filter(|outcome| is_done(*outcome)).count()
}

fn as_json(saved: &SavedRun) -> Value {
    let settings = &saved.inputs.settings;
    let mut about = json!({
        "run": saved.folder.run(), "agenda": settings.agenda, "outcome": word(saved),
        "startedTime": saved.history.started, "tookMs": took(saved),
        "operations": saved.plan.len(), "done": done(saved),
    });
    if let Some(letter) = &settings.replay_of {
        about["replayOf"] = json!(letter);
    }
    if let Some(rerun) = &settings.rerun_of {
        about["rerunOf"] = json!(rerun.parent.run);
    }
    about
}

fn row(saved: &SavedRun) -> [String; 6] {
    [
        saved.folder.run().to_owned(),
        word(saved).to_owned(),
        format!("{}/{}", done(saved), saved.plan.len()),
        short_wall(saved.history.started),
        how_long(took(saved)),
        match &saved.inputs.settings.rerun_of {
            Some(rerun) => format!("{} (rerun of {})", agenda_words(saved), rerun.parent.run),
            None => agenda_words(saved),
        },
    ]
}

/// Formats runs as a table. Names of agendas are cut at the front to fit into the columns of a terminal.
fn fitting_table(mut rows: Vec<[String; 6]>, columns: Option<usize>) -> String {
    if let Some(columns) = columns {
        let others: usize = (0..5)
            .map(|at| {
                rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0).max(HEADS[at].len()) + 2
            })
            .sum();
        let room = columns.saturating_sub(others).max(LEAST_AGENDA);
        for row in &mut rows {
            row[5] = ui::end_of(&row[5], room);
        }
    }
    rows.insert(0, HEADS.map(str::to_owned));
    ui::table(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_runs_fits_80_columns() {
        let row = |cells: [&str; 6]| cells.map(str::to_owned);
        let rows = vec![
            row([
                "20260102-030405-6789",
                "deadLettered",
                "1200/1234",
                "01-02 03:04",
                "59 m 59 s",
                "media/archive/thumbnails.yaml",
            ]),
            row(["20260102-030404-6789", "running", "0/3", "01-02 03:04", "0.1 s", "a.yaml"]),
            row(["20260102-030403-6789", "unreadable", "", "", "", ""]),
        ];
        let text = fitting_table(rows.clone(), Some(80));
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        assert!(text.contains(" …ils.yaml\n") && text.contains(" a.yaml\n"), "{text}");
        assert!(fitting_table(rows, None).contains(" media/archive/thumbnails.yaml\n"));
    }
}
