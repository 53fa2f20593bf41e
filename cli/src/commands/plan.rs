//! `pop plan`: shows what would run, in which order and why; starts nothing.

mod forecast;

use super::manifests::Manifests;
use super::operation_words::{quoted, rare_properties, served_by};
use crate::args::{PlanArgs, PlanOutput};
use crate::error::{CommandError, Kind};
use crate::faults::{assemble, print_unchecked_types};
use crate::launch_data::{launch_data, request, surroundings};
use crate::ui;
use pop_agenda::{EdgeKind, OpIx, Outcomes, Payload, Plan, PlannedOperation, Serves};
use pop_assembly::{RunRequest, TextFaults};
use serde_json::{Value, json};
use std::fmt::Write as _;

pub(crate) fn plan(args: &PlanArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.launch, args.strict)?;
    let surroundings = surroundings()?;
    let mut faults = TextFaults::default();
    let request = request(args.agenda.as_deref(), &args.plan, &launch, &surroundings, &mut faults)?;
    if args.cached && !matches!(args.output, PlanOutput::Text | PlanOutput::Json) {
        let message = "`--cached` has no such output";
        return Err(CommandError::new(Kind::Usage, message).hint("use `--output text` or `--output json`"));
    }
    let request = RunRequest { descriptions: args.describe.source(), needs_inputs: args.cached, ..request };
    let assembly = assemble(request, &surroundings, faults, args.strict)?;
    print_unchecked_types(&assembly, "plan");
    if args.cached {
        return forecast::show(assembly, args, &surroundings, &launch);
    }
    let manifests = Manifests::new(&assembly, &surroundings, &launch)?;
    let plan = &assembly.plan;
    ui::print(&match args.output {
        PlanOutput::Text => text(plan),
        PlanOutput::Json => format!("{:#}\n", document(plan, &manifests)),
        PlanOutput::Manifests => format!("{:#}\n", manifests.list()?),
        PlanOutput::Dot => dot(plan),
        PlanOutput::Mermaid => mermaid(plan),
    });
    Ok(0)
}

/// Earliest step of each operation, without a limit on parallel operations.
fn steps(plan: &Plan) -> Vec<(OpIx, usize)> {
    let (order, _) = plan.graph().order();
    let mut step = vec![0_usize; plan.len()];
    for op in &order {
        let before = plan.graph().dependencies(*op).iter().map(|edge| step[edge.on.index()] + 1);
        step[op.index()] = before.max().unwrap_or(0);
    }
    let after = step.iter().max().map_or(0, |last| last + 1);
    for op in plan.last() {
        step[op.index()] = after;
    }
    let mut steps: Vec<(OpIx, usize)> = order.into_iter().map(|op| (op, step[op.index()])).collect();
    steps.sort_by_key(|(op, step)| (*step, *op));
    steps
}

fn command(planned: &PlannedOperation) -> Option<String> {
    match &planned.serves {
        Serves::Exec => {
            let payload = planned.payload.template();
            if let Some(script) = payload["shell"].as_str() {
                return Some(quoted(&["sh", "-eu", "-c", script].map(str::to_owned)));
            }
            let argv = payload["command"].as_array()?;
            let text = |arg: &Value| arg.as_str().map_or_else(|| arg.to_string(), str::to_owned);
            Some(quoted(&argv.iter().map(text).collect::<Vec<_>>()))
        }
        Serves::Resident(_) | Serves::Dispatch => None,
        Serves::Program(entry) => entry.command.as_deref().map(quoted),
    }
}

fn text(plan: &Plan) -> String {
    let mut text = String::new();
    let mut last = None;
    // writing to a string cannot fail
    for (op, step) in steps(plan) {
        let planned = plan.operation(op);
        if last != Some(step) {
            writeln!(text, "step {}", step + 1).ok();
            last = Some(step);
        }
        writeln!(text, "  {} ({})", planned.name, planned.handler_type).ok();
        for edge in plan.graph().dependencies(op) {
            let how = match edge.kind {
                EdgeKind::Reads => "reads",
                EdgeKind::Follows => "follows",
            };
            let asked =
                if edge.needs == Outcomes::GOOD { String::new() } else { format!(", if {}", edge.needs) };
            writeln!(text, "      {how} {}{asked}", plan.operation(edge.on).name).ok();
        }
        for words in rare_properties(plan, planned) {
            writeln!(text, "      {words}").ok();
        }
        writeln!(text, "      runs {}", command(planned).unwrap_or_else(|| served_by(planned))).ok();
        for pointer in planned.payload.holes() {
            let value = pointer.find(planned.payload.template()).cloned().unwrap_or_default();
            writeln!(text, "      fills {pointer} from {value}").ok();
        }
    }
    text
}

fn document(plan: &Plan, manifests: &Manifests<'_>) -> Value {
    let operations: Vec<Value> = steps(plan)
        .into_iter()
        .map(|(op, step)| {
            let planned = plan.operation(op);
            let edges = plan.graph().dependencies(op).iter();
            let named = |kind| -> Vec<&str> {
                let of_kind = edges.clone().filter(|edge| edge.kind == kind);
                of_kind.map(|edge| plan.operation(edge.on).name.as_str()).collect()
            };
            let mut described = json!({
                "name": planned.name.as_str(), "type": planned.handler_type, "step": step + 1,
                "reads": named(EdgeKind::Reads), "follows": named(EdgeKind::Follows),
                "runs": command(planned), "payload": planned.payload.template(),
            });
            let asked: Vec<Value> = edges
                .clone()
                .filter(|edge| edge.needs != Outcomes::GOOD)
                .map(|edge| json!({"operation": plan.operation(edge.on).name.as_str(), "outcome": edge.needs.to_string()}))
                .collect();
            if !asked.is_empty() {
                described["asks"] = json!(asked);
            }
            if let Some(for_each) = planned.for_each() {
                described["forEach"] = for_each.items.template().clone();
                described["maxParallel"] = json!(for_each.max_parallel);
            }
            if let Some(files) = planned.files() {
                let template = |list: &Option<Payload>| list.as_ref().map(|list| list.template().clone());
                described["files"] = json!({"reads": template(&files.reads), "writes": template(&files.writes)});
            }
            if planned.is_last() {
                described["finally"] = json!(true);
            }
            if let Some((what, manifest)) = manifests.of(op) {
                described[what] = manifest;
            }
            described
        })
        .collect();
    json!({ "operations": operations })
}

fn dot(plan: &Plan) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = "digraph agenda {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (op, planned) in plan.operations() {
        let label = quote(&format!("{}\\n{}", planned.name, planned.handler_type)).replace("\\\\n", "\\n");
        writeln!(text, "  {} [label={label}];", quote(planned.name.as_str())).ok();
        for edge in plan.graph().dependencies(op) {
            let style = match (edge.kind, edge.needs == Outcomes::GOOD) {
                (EdgeKind::Reads, true) => String::new(),
                (EdgeKind::Follows, true) => " [style=dashed]".to_owned(),
                (_, false) => format!(" [style=dashed, label=\"{}\"]", edge.needs),
            };
            let (from, to) = (quote(plan.operation(edge.on).name.as_str()), quote(planned.name.as_str()));
            writeln!(text, "  {from} -> {to}{style};").ok();
        }
    }
    text.push_str("}\n");
    text
}

fn mermaid(plan: &Plan) -> String {
    let mut text = "graph LR\n".to_owned();
    for (op, planned) in plan.operations() {
        writeln!(text, "  o{}[\"{}\"]", op.0, planned.name).ok();
        for edge in plan.graph().dependencies(op) {
            let arrow = if edge.kind == EdgeKind::Follows { "-.->" } else { "-->" };
            writeln!(text, "  o{} {arrow} o{}", edge.on.0, op.0).ok();
        }
    }
    text
}
