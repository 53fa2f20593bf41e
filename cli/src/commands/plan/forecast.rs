//! `pop plan --cached`: which operations would take their results from the cache, and why the others would run.

use super::super::machine::now;
use crate::args::{PlanArgs, PlanOutput};
use crate::error::CommandError;
use crate::ui;
use pop_agenda::{OpIx, Plan};
use pop_assembly::{Assembly, Surroundings, preview_setting};
use pop_executor::{Prospect, RunIdentity, forecast};
use pop_field_retriever::LaunchDataWrapper;
use pop_reporters::run::visible;
use serde_json::{Value, json};

/// Name of the run in the forecast.
const RUN: &str = "preview";
/// Maximum number of operations named in a reason.
const SHOWN: usize = 5;

pub(super) fn show(
    assembly: Assembly,
    args: &PlanArgs,
    surroundings: &Surroundings,
    launch: &dyn LaunchDataWrapper,
) -> Result<u8, CommandError> {
    let texts = &assembly.request().texts;
    let on = assembly.request().launcher;
    let (identity, _) =
        preview_setting(&assembly.plan, RUN, on, texts.home.as_deref(), surroundings, launch)?;
    let identity = RunIdentity { start: texts.folder.clone(), ..identity };
    let host = args.host.of(&args.runs);
    let (plan, prospects) = forecast(assembly.plan, &identity, host, now);
    ui::print(&match args.output {
        PlanOutput::Json => {
            let list = prospects.iter().map(|(op, prospect)| document(&plan, *op, prospect));
            format!("{:#}\n", json!({"operations": list.collect::<Vec<Value>>()}))
        }
        _ => text(&plan, &prospects),
    });
    Ok(0)
}

fn text(plan: &Plan, prospects: &[(OpIx, Prospect)]) -> String {
    let rows = prospects.iter().map(|(op, prospect)| {
        let (word, reason) = words(plan, prospect);
        [word.to_owned(), plan.operation(*op).name.to_string(), reason]
    });
    let runs = prospects.iter().filter(|(_, prospect)| matches!(prospect, Prospect::Runs(_))).count();
    let up_to_date =
        prospects.iter().filter(|(_, prospect)| matches!(prospect, Prospect::UpToDate { .. })).count();
    format!("{}{up_to_date} up to date, {runs} to run, {} operations\n", ui::table(rows), prospects.len())
}

/// The prospect as a word, and its reason.
fn words(plan: &Plan, prospect: &Prospect) -> (&'static str, String) {
    match prospect {
        Prospect::UpToDate { by, restored } => {
            let by = by.as_ref().map(|by| format!("result of {by}"));
            let restored = match restored {
                0 => None,
                1 => Some("1 file is put back".to_owned()),
                count => Some(format!("{count} files are put back")),
            };
            ("cached", by.into_iter().chain(restored).collect::<Vec<_>>().join(", "))
        }
        Prospect::Runs(why) => ("run", visible(why)),
        Prospect::Depends(ops) if ops.is_empty() => ("depends", "on operations that run".to_owned()),
        Prospect::Depends(ops) => {
            let name = |op: &OpIx| format!("`{}`", plan.operation(*op).name);
            let names: Vec<String> = ops.iter().take(SHOWN).map(name).collect();
            let more = ops.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            ("depends", format!("on {}{more}", names.join(", ")))
        }
        Prospect::Parts { open, all } => ("run", format!("{open} of {all} instances or calls")),
        Prospect::Skipped => ("skipped", String::new()),
        Prospect::Fails(failure) => ("fails", format!("[{}] {}", failure.code, visible(&failure.message))),
    }
}

fn document(plan: &Plan, op: OpIx, prospect: &Prospect) -> Value {
    let (word, reason) = words(plan, prospect);
    let depends_on: Vec<&str> = match prospect {
        Prospect::Depends(ops) => ops.iter().map(|op| plan.operation(*op).name.as_str()).collect(),
        _ => Vec::new(),
    };
    json!({
        "name": plan.operation(op).name.as_str(), "prospect": word, "reason": reason, "dependsOn": depends_on,
    })
}
