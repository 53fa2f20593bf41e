//! `pop plan`: shows what would run, in which order and why; starts nothing.

mod forecast;

use super::manifests::Manifests;
use super::operation_words::{name_from, quoted, rare_properties, served_by};
use crate::args::{PlanArgs, PlanOutput};
use crate::error::{CommandError, Kind};
use crate::faults::{assemble, print_unchecked_types};
use crate::launch_data::{launch_data, request, surroundings};
use crate::ui;
use pop_agenda::{Body, EdgeKind, OpIx, OpRef, Outcomes, Payload, Plan, PlannedOperation, Serves};
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
    let totals = args.resources.totals(request.launcher, &surroundings, false)?;
    let request = RunRequest {
        descriptions: args.describe.source(),
        needs_inputs: args.cached,
        totals: Some(totals),
        ..request
    };
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
        let before = plan.graph().dependencies(*op).map(|edge| step[edge.on.index()] + 1);
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
        Serves::Resident(_) | Serves::Dispatch | Serves::Agenda(_) => None,
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
            let name = &plan.operation(edge.on).name;
            writeln!(text, "      {} {name}{}", how(edge.kind), asked(edge.needs)).ok();
        }
        describe(&mut text, planned, "      ", &name_from(plan, op));
    }
    text
}

/// Adds the lines about one operation, and about those inside it.
fn describe(text: &mut String, planned: &PlannedOperation, indent: &str, name: &dyn Fn(OpRef) -> String) {
    for words in rare_properties(planned, name) {
        writeln!(text, "{indent}{words}").ok();
    }
    if let Some(body) = planned.body() {
        let inside =
            |named: OpRef| named_inside(body, named).unwrap_or_else(|| "an operation around it".to_owned());
        for (index, inner) in body.operations().iter().enumerate() {
            writeln!(text, "{indent}{} ({})", inner.name, inner.handler_type).ok();
            for edge in body.dependencies(index) {
                if let Some(name) = named_inside(body, edge.on) {
                    writeln!(text, "{indent}    {} {name}{}", how(edge.kind), asked(edge.needs)).ok();
                }
            }
            let indent = format!("{indent}    ");
            describe(text, inner, &indent, &inside);
        }
        return;
    }
    writeln!(text, "{indent}runs {}", command(planned).unwrap_or_else(|| served_by(planned))).ok();
    for pointer in planned.payload.holes() {
        let value = pointer.find(planned.payload.template()).cloned().unwrap_or_default();
        writeln!(text, "{indent}fills {pointer} from {value}").ok();
    }
}

/// The name of an operation of the same body.
fn named_inside(body: &Body, named: OpRef) -> Option<String> {
    let OpRef::Inner { up: 0, index } = named else { return None };
    body.operations().get(index as usize).map(|inner| inner.name.to_string())
}

fn how(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Reads => "reads",
        EdgeKind::Follows => "follows",
    }
}

fn asked(needs: Outcomes) -> String {
    if needs == Outcomes::GOOD { String::new() } else { format!(", if {needs}") }
}

fn document(plan: &Plan, manifests: &Manifests<'_>) -> Value {
    let operations: Vec<Value> = steps(plan)
        .into_iter()
        .map(|(op, step)| {
            let planned = plan.operation(op);
            let edges = plan.graph().dependencies(op);
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
                described["itemFailures"] = json!(for_each.failures.word());
            }
            if let Some(body) = planned.body() {
                described["operations"] = inside(body);
            }
            if let Some(files) = planned.files() {
                let template = |list: &Option<Payload>| list.as_ref().map(|list| list.template().clone());
                described["files"] = json!({"reads": template(&files.reads), "writes": template(&files.writes)});
            }
            if let Some(needs) = planned.rare.as_ref().and_then(|rare| rare.needs.as_ref()) {
                described["resources"] = json!(needs.known.to_json());
            }
            if planned.policies.priority.value != 0 {
                described["priority"] = json!(planned.policies.priority.value);
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

/// The operations inside an operation.
fn inside(body: &Body) -> Value {
    let described = body.operations().iter().enumerate().map(|(index, inner)| {
        let edges = body.dependencies(index);
        let named = |kind: EdgeKind| -> Vec<String> {
            let of_kind = edges.iter().filter(|edge| edge.kind == kind);
            of_kind.filter_map(|edge| named_inside(body, edge.on)).collect()
        };
        let mut described = json!({
            "name": inner.name.as_str(), "type": inner.handler_type,
            "reads": named(EdgeKind::Reads), "follows": named(EdgeKind::Follows),
            "runs": command(inner), "payload": inner.payload.template(),
        });
        if let Some(for_each) = inner.for_each() {
            described["forEach"] = for_each.items.template().clone();
            described["maxParallel"] = json!(for_each.max_parallel);
            described["itemFailures"] = json!(for_each.failures.word());
        }
        if let Some(body) = inner.body() {
            described["operations"] = inside(body);
        }
        described
    });
    described.collect()
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
