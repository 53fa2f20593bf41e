//! `pop explain`: state of an operation and its reason, dependencies, attempts, payload, and origin of its policies.

mod data;
mod gates;
mod names;
mod policies;
mod reason;
mod resources;
mod reuse;

use super::file_lines::file_lines;
use super::operation_words::{name_from, rare_properties, served_by};
use super::saved_run::{operation, read, wall};
use crate::args::{ExplainArgs, Output};
use crate::error::CommandError;
use crate::ui;
use gates::gate_words;
use policies::policies;
use pop_agenda::{
    Attempt, Edge, EdgeKind, Ending, FailedStart, OpIx, Origin, Outcome, Outcomes, Plan, PlannedOperation,
    ResourceWait, Scheduler,
};
use pop_assembly::{SavedRun, Surroundings};
use pop_contract::Failure;
use pop_registry::RouteStep;
use pop_reporters::run::{usage_text, visible};
use reason::reason;
use resources::wait_words;
use reuse::reuse_words;
use std::mem::ManuallyDrop;

pub(crate) fn explain(args: &ExplainArgs) -> Result<u8, CommandError> {
    // the process exits next; dropping a large run piece by piece would only delay that
    let saved = ManuallyDrop::new(read(&args.runs.runs, &args.run)?);
    let op = operation(&saved, &args.operation)?;
    let waits = saved.resource_waits(op, &Surroundings::capture_variables())?;
    ui::print(&match args.output {
        Output::Text => explanation(&saved, op, &waits),
        Output::Json => format!("{:#}\n", data::document(&saved, op, &waits)),
    });
    Ok(0)
}

fn explanation(saved: &SavedRun, op: OpIx, waits: &[ResourceWait]) -> String {
    let planned = saved.plan.operation(op);
    let seen = saved.history.operation(op);
    let mut lines = vec![
        format!("{}: {}", shown(saved, op), reason(saved, op)),
        format!("  handler   type `{}`: {}", planned.handler_type, served_by(planned)),
    ];
    if let Some(letter) = &saved.inputs.settings.replay_of {
        lines.push(format!("  replays   dead letter {}/{}", letter.run, letter.operation));
    }
    lines.extend(reuse_words(saved, op).map(|words| format!("  reused    {words}")));
    lines.extend(route_words(planned).into_iter().map(|words| format!("  route     {words}")));
    lines.extend(saved.plan.graph().dependencies(op).map(|edge| dependency_line(saved, *edge)));
    if let Some(origin) = planned.origin {
        lines.push(format!("  origin    {}", origin_words(&saved.plan, origin)));
    }
    lines.extend(
        rare_properties(planned, &name_from(&saved.plan, op)).into_iter().map(|words| format!("  {words}")),
    );
    lines.extend(seen.skipped.iter().map(|decided| format!("  skipped   {decided}")));
    let open = planned.needs().filter(|needs| needs.is_open).and(saved.scheduler.needs(op));
    lines.extend(open.map(|needs| format!("  needs     {needs}")));
    lines.extend(waits.iter().map(|wait| format!("  resources {}", wait_words(saved, wait))));
    let gates = seen.admissions.last().into_iter().flat_map(|admission| gate_words(saved, admission));
    lines.extend(gates.map(|words| format!("  gate      {words}")));
    lines.extend(seen.failed_starts.iter().map(|start| failed_start_line(saved, start)));
    lines.extend(seen.attempts.iter().flat_map(|attempt| attempt_lines(saved, attempt)));
    lines.extend(seen.files.as_deref().into_iter().flat_map(file_lines).map(|words| format!("  {words}")));
    lines.push(payload_line(&saved.scheduler, planned, op));
    for policy in policies(planned) {
        lines.push(format!("  policy    {} = {} ({})", policy.key, policy.value, policy.scope));
    }
    lines.join("\n") + "\n"
}

fn dependency_line(saved: &SavedRun, edge: Edge) -> String {
    let on = saved.plan.operation(edge.on);
    let how = match edge.kind {
        EdgeKind::Reads => "reads",
        EdgeKind::Follows => "follows",
    };
    let state = saved.history.operation(edge.on).outcome().map_or("not finished", Outcome::word);
    let asked =
        if edge.needs == Outcomes::GOOD { String::new() } else { format!("; requires {}", edge.needs) };
    format!("  {how:<9} {} ({state}{asked})", on.name)
}

fn failed_start_line(saved: &SavedRun, start: &FailedStart) -> String {
    let (at, failure) = (wall(saved.history.wall(start.at)), &start.failure);
    format!("  start at {at} {}", failure_with_codes(failure))
}

fn failure_with_codes(failure: &Failure) -> String {
    let (message, codes) = (visible(&failure.message), failure.codes().join(", "));
    format!("failed: {message} [codes {codes}; blame: {}]", failure.blame)
}

fn attempt_lines(saved: &SavedRun, attempt: &Attempt) -> Vec<String> {
    let how = match &attempt.ended {
        None => "has not ended".to_owned(),
        Some((_, Ending::Succeeded { .. })) => "succeeded".to_owned(),
        Some((_, Ending::Cancelled)) => "was cancelled because the run was ending".to_owned(),
        Some((_, Ending::Lost)) => {
            "was lost when its executor died; this does not count as a failure".to_owned()
        }
        Some((_, Ending::Displaced(failure))) => {
            format!("was displaced: {}; this does not count as a failure", visible(&failure.message))
        }
        Some((_, Ending::Failed(failure))) => failure_with_codes(failure),
    };
    let started = wall(saved.history.wall(attempt.started));
    let late =
        attempt.late.map(|exit| format!("            ended later with {exit}; its result was not used"));
    let instance = attempt.instance.as_deref();
    let instance = instance.map(|name| format!("            served by the instance {}", visible(name)));
    let line = format!("  attempt {} at {started} {how}", attempt.number);
    let used = attempt.usage.map(|usage| format!("            used {}", usage_text(&usage)));
    std::iter::once(line).chain(used).chain(instance).chain(late).collect()
}

fn payload_line(scheduler: &Scheduler, planned: &PlannedOperation, op: OpIx) -> String {
    match scheduler.payload(op) {
        Ok(payload) => format!("  payload   {}", cut(&payload.to_string())),
        Err(_) => {
            let template = planned.payload.template().to_string();
            format!("  payload   {} (references not resolved yet)", cut(&template))
        }
    }
}

/// The name of an operation, and the name by which people know it.
fn shown(saved: &SavedRun, op: OpIx) -> String {
    let (name, shown) = (&saved.plan.operation(op).name, saved.plan.shown_name(op));
    if name.as_str() == shown { name.to_string() } else { format!("{name} ({})", visible(&shown)) }
}

fn route_words(planned: &PlannedOperation) -> Vec<String> {
    let Some(route) = &planned.route else { return Vec::new() };
    // a built-in handler without alternatives needs no explanation
    if route.step == RouteStep::BuiltIn && route.passed_over.is_empty() {
        return Vec::new();
    }
    let handler = route.handler.as_deref().unwrap_or(&planned.handler_type);
    let version = route.version.as_ref().map(|version| format!(", version {version}")).unwrap_or_default();
    let chosen = format!("handler `{handler}`{version}: {}", route.step);
    let over = route.passed_over.iter().map(|other| format!("not chosen: {other}"));
    std::iter::once(chosen).chain(over).collect()
}

fn origin_words(plan: &Plan, origin: Origin) -> String {
    match origin {
        Origin::Part { of, index } => format!("item {index} of `{}`", plan.operation(of).name),
        Origin::Inner { of, .. } => format!("an operation inside `{}`", plan.operation(of).name),
        Origin::Generated { by, depth } => match depth {
            1 => format!("generated by `{}`", plan.operation(by).name),
            _ => format!("generated by `{}`, generator depth {depth}", plan.operation(by).name),
        },
    }
}

fn cut(text: &str) -> String {
    const SHOWN: usize = 600;
    if text.len() <= SHOWN {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(SHOWN);
    format!("{}… ({} bytes)", &text[..end], text.len())
}
