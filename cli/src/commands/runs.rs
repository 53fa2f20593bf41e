//! `pop runs`: lists all runs, newest first.

use super::saved_run::{read_folder, wall, word};
use crate::args::{Output, RunsArgs};
use crate::error::CommandError;
use crate::ui;
use pop_agenda::Outcome;
use pop_executor::RunFolder;
use pop_reporters::run::how_long;
use serde_json::json;

pub(crate) fn runs(args: &RunsArgs) -> Result<u8, CommandError> {
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for folder in RunFolder::list(&args.runs.runs)?.into_iter().rev() {
        let run = folder.run().to_owned();
        // an unreadable run is listed, too
        let saved = read_folder(folder);
        if let Err(error) = &saved {
            ui::say(&format!("warning: cannot read run {run}: {}", error.message()));
        }
        let Ok(saved) = saved else {
            rows.push([run.clone(), "unreadable".to_owned(), String::new(), String::new(), String::new()]);
            list.push(json!({"run": run, "outcome": null, "readable": false}));
            continue;
        };
        let history = &saved.history;
        let good = |op| {
            matches!(
                history.operation(op).outcome(),
                Some(Outcome::Succeeded | Outcome::FromCache | Outcome::Skipped)
            )
        };
        let done = saved.plan.operations().filter(|(op, _)| good(*op)).count();
        let mut about = json!({
            "run": run, "agenda": saved.inputs.settings.agenda, "outcome": word(&saved),
            "startedTime": history.started, "operations": saved.plan.len(), "done": done,
        });
        if let Some(letter) = &saved.inputs.settings.replay_of {
            about["replayOf"] = json!(letter);
        }
        list.push(about);
        rows.push([
            run,
            word(&saved).to_owned(),
            format!("{done}/{}", saved.plan.len()),
            format!("{} for {}", wall(history.started), how_long(history.last.0)),
            saved.inputs.settings.agenda.clone(),
        ]);
    }
    if args.output == Output::Json {
        ui::print(&format!("{:#}\n", json!(list)));
    } else if rows.is_empty() {
        ui::say(&format!("no runs in `{}`", args.runs.runs.display()));
    } else {
        ui::print(&table(&rows));
    }
    Ok(0)
}

/// Formats rows as aligned columns.
pub(crate) fn table(rows: &[impl AsRef<[String]>]) -> String {
    let mut widths = Vec::new();
    for row in rows {
        widths.resize(widths.len().max(row.as_ref().len()), 0);
        for (width, cell) in widths.iter_mut().zip(row.as_ref()) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells = row.as_ref().iter().zip(&widths).map(|(cell, width)| {
            let space = " ".repeat(width - cell.chars().count());
            format!("{cell}{space}")
        });
        let line = cells.collect::<Vec<_>>().join("  ");
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
