//! Prints faults of agenda, registry and descriptors, and derives the exit code.

use crate::args::StrictArg;
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_agenda::ArgumentFault;
use pop_assembly::{Assembly, RunRequest, RunTexts, Surroundings, TextFaults};
use pop_document::{Fault, Source};

/// Prints the faults of the registry and of descriptors.
pub(crate) fn print_handler_faults(faults: &TextFaults, registry: Option<&Source>) {
    if let Some(registry) = registry {
        ui::print_faults(registry, &faults.registry);
    }
    for (descriptor, faults) in &faults.descriptors {
        ui::print_faults(descriptor, faults);
    }
}

/// Kind of error of all faults together; `None` if there are only warnings.
pub(crate) fn kind(faults: &TextFaults) -> Option<Kind> {
    if faults.arguments.iter().any(|argument| argument.fault.is_error()) {
        return Some(Kind::Usage);
    }
    if faults.agenda.iter().any(Fault::is_error) {
        return Some(Kind::Agenda);
    }
    if faults.of_handlers().any(Fault::is_error) {
        return Some(Kind::Registry);
    }
    faults.inputs.iter().any(Fault::is_error).then_some(Kind::Usage)
}

/// Exit code of a command that only checks.
pub(crate) fn exit_code(faults: &TextFaults) -> u8 {
    kind(faults).map_or(0, Kind::exit_code)
}

/// Prints the faults of arguments.
fn print_argument_faults(faults: &TextFaults) {
    for ArgumentFault { argument, fault } in &faults.arguments {
        ui::say(&format!("{}: `{argument}`: {}", fault.severity.word(), fault.message));
        for hint in fault.label.iter().chain(&fault.hint) {
            ui::say(&format!("hint: {hint}"));
        }
    }
}

/// Prints all faults. Returns an error if any of them is an error; an error of an argument takes precedence, then one of
/// the agenda.
pub(crate) fn print(faults: &TextFaults, texts: &RunTexts) -> Result<(), CommandError> {
    print_argument_faults(faults);
    let of_agendas = ui::by_document(&texts.agenda, &texts.files, &faults.agenda);
    for (source, faults) in &of_agendas {
        ui::print_faults(source, faults);
    }
    ui::print_faults(&texts.agenda, &faults.inputs);
    print_handler_faults(faults, texts.registry.as_ref());
    let registry = texts.registry.as_ref().map_or("the registry", |registry| registry.name());
    let descriptors = faults.descriptors.iter().map(|(source, faults)| (source.name(), faults));
    let mut counts = Vec::new();
    let of_agendas = of_agendas.iter().map(|(source, faults)| (source.name(), faults));
    let others = [("the inputs", &faults.inputs), (registry, &faults.registry)];
    for (name, faults) in of_agendas.chain(others).chain(descriptors) {
        match faults.iter().filter(|fault| fault.is_error()).count() {
            0 => {}
            1 => counts.push(format!("1 fault in {name}")),
            count => counts.push(format!("{count} faults in {name}")),
        }
    }
    let Some(kind) = kind(faults) else { return Ok(()) };
    if counts.is_empty() {
        return Err(CommandError::printed(kind));
    }
    ui::say(&format!("{}; nothing was started (exit {})", counts.join(", "), kind.exit_code()));
    Err(CommandError::printed(kind))
}

/// Plans a run and prints all faults, also those known before. Returns an error if any of them is an error.
pub(crate) fn assemble(
    request: RunRequest,
    surroundings: &Surroundings,
    mut faults: TextFaults,
    strict: StrictArg,
) -> Result<Assembly, CommandError> {
    let texts = request.texts.clone();
    let assembly = request.assemble(surroundings, &mut faults);
    if strict.is_on {
        faults.be_strict();
    }
    print(&faults, &texts)?;
    assembly.ok_or_else(|| CommandError::printed(Kind::Agenda))
}

/// Names the handlers without a known description, whose payloads were not checked.
pub(crate) fn print_unchecked_types(assembly: &Assembly, command: &str) {
    let types: Vec<String> = assembly.undescribed_types().iter().map(|name| format!("`{name}`")).collect();
    if !types.is_empty() {
        ui::say(&format!(
            "hint: payloads of {} were not checked; `pop {command} --describe` starts these handlers and reads their input schemas",
            types.join(", ")
        ));
    }
}
