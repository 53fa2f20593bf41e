//! `pop check`: every fault at once, nothing started.

use crate::args::{CheckArgs, Output};
use crate::error::{CommandError, Kind};
use crate::faults::Faults;
use crate::inputs::{launch_data, plan, texts};
use crate::ui;
use pop_field_retriever::LaunchDataWrapper as _;
use serde_json::{Value, json};

pub(crate) fn check(args: &CheckArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.launch)?;
    let on = launch.external_launch_type().value;
    let mut worst = 0;
    let mut found: Vec<Value> = Vec::new();
    for path in &args.agendas {
        let mut faults = Faults::default();
        let texts = texts(Some(path), &args.registry, &launch, &mut faults)?;
        let plan = plan(&texts, &args.registry.params, on, &mut faults);
        if args.strict {
            faults.be_strict();
        }
        if args.output == Output::Json {
            found.extend(ui::faults_json(&texts.agenda, &faults.agenda));
            let registry = texts.registry.iter().map(|registry| (registry, &faults.registry));
            let descriptors = faults.descriptors.iter().map(|(source, faults)| (source, faults));
            for (source, faults) in registry.chain(descriptors) {
                for fault in ui::faults_json(source, faults) {
                    // agendas may share a registry and descriptors
                    if !found.contains(&fault) {
                        found.push(fault);
                    }
                }
            }
            worst = worst.max(code(&faults));
        } else {
            match faults.tell(&texts) {
                Err(_) => worst = worst.max(code(&faults)),
                Ok(()) => {
                    let count = plan.map_or(0, |plan| plan.len());
                    let what = if count == 1 { "operation" } else { "operations" };
                    ui::say(&format!("{}: {count} {what}, no faults", texts.agenda.name()));
                }
            }
        }
    }
    if args.output == Output::Json {
        ui::print(&format!("{:#}\n", json!(found)));
    }
    Ok(worst)
}

fn code(faults: &Faults) -> u8 {
    faults.kind().map_or(0, Kind::exit_code)
}
