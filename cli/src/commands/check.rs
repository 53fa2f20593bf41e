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
    for path in &args.agendas {
        let mut faults = TextFaults::default();
        let request = request(Some(path), &args.registry, &launch, &surroundings, &mut faults)?;
        let request = RunRequest { descriptions: args.describe.source(), ..request };
        let texts = request.texts.clone();
        let assembly = request.assemble(&surroundings, &mut faults);
        if args.strict.is_on {
            faults.be_strict();
        }
        worst = worst.max(exit_code(&faults));
        if args.output == Output::Json {
            add(&mut found, &texts, &faults);
        } else if print_faults(&faults, &texts).is_ok() {
            let count = assembly.as_ref().map_or(0, |assembly| assembly.plan.len());
            let what = if count == 1 { "operation" } else { "operations" };
            ui::say(&format!("{}: {count} {what}, no faults", texts.agenda.name()));
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

/// Adds the faults of an agenda as JSON. Faults of arguments, and of a shared registry or descriptor, are listed once.
fn add(found: &mut Vec<Value>, texts: &RunTexts, faults: &TextFaults) {
    for fault in faults.arguments.iter().map(argument_json) {
        if !found.contains(&fault) {
            found.push(fault);
        }
    }
    found.extend(ui::faults_json(&texts.agenda, &faults.agenda));
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
