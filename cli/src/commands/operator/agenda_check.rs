//! The check of an Agenda before it runs: the same as `pop check`.

use pop_agenda::{GivenInput, GivenValue};
use pop_agenda_operator::AgendaText;
use pop_assembly::{RunRequest, RunTexts, Surroundings, TextFaults};
use pop_contract::LaunchType;
use pop_document::{Fault, Source};
use std::path::Path;

/// Name of the registry in faults.
const REGISTRY: &str = "registry.json";

/// All faults of an agenda, its inputs and its registry, a text each.
pub(super) fn faults_of(agenda: &AgendaText) -> Vec<String> {
    let mut faults = TextFaults::default();
    let registry = agenda.registry.as_ref().map(|text| (REGISTRY, text.as_bytes()));
    let texts =
        RunTexts::from_bytes((agenda.file, agenda.text.as_bytes()), registry, Path::new("/"), &mut faults);
    let inputs = agenda.inputs.as_object().into_iter().flatten();
    let inputs = inputs.map(|(name, value)| GivenInput {
        name: name.clone(),
        value: GivenValue::Value(value.clone()),
        origin: "`inputs`".to_owned(),
    });
    let request =
        RunRequest { inputs: inputs.collect(), ..RunRequest::new(texts.clone(), LaunchType::Kubernetes) };
    let assembled = request.assemble(&Surroundings::default(), &mut faults);
    let of_agenda = faults.agenda.iter().chain(&faults.inputs).filter(|fault| fault.is_error());
    let of_agenda = of_agenda.map(|fault| line(&texts.agenda, fault));
    let of_registry = texts.registry.iter().flat_map(|registry| {
        faults.registry.iter().filter(|fault| fault.is_error()).map(|fault| line(registry, fault))
    });
    let mut lines: Vec<String> = of_agenda.chain(of_registry).collect();
    if lines.is_empty() && assembled.is_none() {
        lines.push("the agenda cannot be planned".to_owned());
    }
    lines
}

/// A fault in one line: the place, what is wrong, and how to mend it.
fn line(source: &Source, fault: &Fault) -> String {
    // an agenda inside of a resource has no lines, so its places are paths of fields
    let place = match (source.name(), fault.pointer()) {
        ("agenda.json", "") => "agenda".to_owned(),
        ("agenda.json", pointer) => format!("agenda{}", pointer.replace('/', ".")),
        (name, _) => match source.places(&[&fault.site]).into_iter().next().flatten() {
            Some(place) => format!("{name}:{}:{}", place.line, place.column),
            None => name.to_owned(),
        },
    };
    let words = [Some(&fault.message), fault.label.as_ref(), fault.hint.as_ref()];
    let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
    format!("{place}: {}", words.join("; "))
}
