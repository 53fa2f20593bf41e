//! `pop check`: lists every fault of agendas at once; starts nothing.

use crate::args::{CheckArgs, Output};
use crate::error::CommandError;
use crate::faults::{exit_code, print as print_faults, print_unchecked_types};
use crate::launch_data::{launch_data, request, surroundings};
use crate::ui;
use pop_agenda::ArgumentFault;
use pop_assembly::{RunRequest, RunTexts, TextFaults};
use serde_json::{Value, json};

pub(crate) fn check(args: &CheckArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.launch, args.strict)?;
    let surroundings = surroundings()?;
    let mut worst = 0;
    let mut found: Vec<Value> = Vec::new();
    let mut reported: Vec<ArgumentFault> = Vec::new();
    for path in &args.agendas {
        let mut faults = TextFaults::default();
        let request = request(Some(path), &args.plan, &launch, &surroundings, &mut faults)?;
        let totals = args.resources.totals(request.launcher, &surroundings, false)?;
        let request = RunRequest {
            descriptions: args.describe.source(),
            needs_inputs: false,
            totals: Some(totals),
            ..request
        };
        let texts = request.texts.clone();
        let assembly = request.assemble(&surroundings, &mut faults);
        if args.strict.is_on {
            faults.be_strict();
        }
        worst = worst.max(exit_code(&faults));
        // an argument has the same faults for each agenda
        faults.arguments.retain(|fault| !reported.contains(fault));
        reported.extend(faults.arguments.iter().cloned());
        if args.output == Output::Json {
            add(&mut found, &texts, &faults);
        } else if print_faults(&faults, &texts).is_ok()
            && let Some(assembly) = &assembly
        {
            let counted = |count: usize, what: &str| match count {
                1 => format!("1 {what}"),
                count => format!("{count} {what}s"),
            };
            let operations = counted(assembly.plan.len(), "operation");
            let warnings = match faults.agenda.len() + faults.of_handlers().count() {
                0 => "no faults".to_owned(),
                count => counted(count, "warning"),
            };
            ui::say(&format!("{}: {operations}, {warnings}", texts.agenda.name()));
        }
        if let Some(assembly) = &assembly {
            print_unchecked_types(assembly, "check");
        }
    }
    if args.output == Output::Json {
        ui::print(&format!("{:#}\n", json!(found)));
    }
    Ok(worst)
}

/// Adds the faults of an agenda as JSON. Faults of a shared registry or descriptor are listed once.
fn add(found: &mut Vec<Value>, texts: &RunTexts, faults: &TextFaults) {
    found.extend(faults.arguments.iter().map(argument_json));
    for (source, faults) in ui::by_document(&texts.agenda, &texts.files, &faults.agenda) {
        found.extend(ui::faults_json(source, &faults));
    }
    found.extend(ui::faults_json(&texts.agenda, &faults.inputs));
    let registry = texts.registry.iter().map(|registry| (registry, &faults.registry));
    let descriptors = faults.descriptors.iter().map(|(source, faults)| (source, faults));
    for (source, faults) in registry.chain(descriptors) {
        for fault in ui::faults_json(source, faults) {
            if !found.contains(&fault) {
                found.push(fault);
            }
        }
    }
}

/// A fault of an argument as JSON; it has no place in a file.
fn argument_json(ArgumentFault { argument, fault }: &ArgumentFault) -> Value {
    json!({
        "file": null,
        "line": null,
        "column": null,
        "pointer": "",
        "code": fault.code,
        "severity": fault.severity.word(),
        "message": format!("`{argument}`: {}", fault.message),
        "hint": fault.hint.as_ref().or(fault.label.as_ref()),
    })
}
