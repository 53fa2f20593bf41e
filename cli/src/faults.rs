//! Faults of texts on the screen, and the exit code that they mean.

use crate::error::{CommandError, Kind};
use crate::ui;
use pop_assembly::{Assembly, RunTexts, TextFaults};
use pop_document::{Fault, Source};

/// Prints the faults of the registry and of descriptors.
pub(crate) fn tell_handlers(faults: &TextFaults, registry: Option<&Source>) {
    if let Some(registry) = registry {
        ui::tell_faults(registry, &faults.registry);
    }
    for (descriptor, faults) in &faults.descriptors {
        ui::tell_faults(descriptor, faults);
    }
}

/// What kind of error the faults are together; none if none of them is an error.
pub(crate) fn kind(faults: &TextFaults) -> Option<Kind> {
    if faults.agenda.iter().any(Fault::is_error) {
        return Some(Kind::Agenda);
    }
    faults.of_handlers().any(Fault::is_error).then_some(Kind::Registry)
}

/// The exit code of a command that only checks.
pub(crate) fn exit_code(faults: &TextFaults) -> u8 {
    kind(faults).map_or(0, Kind::exit_code)
}

/// Prints all faults. They are an error if one of them is, the agenda's first.
pub(crate) fn tell(faults: &TextFaults, texts: &RunTexts) -> Result<(), CommandError> {
    ui::tell_faults(&texts.agenda, &faults.agenda);
    tell_handlers(faults, texts.registry.as_ref());
    let registry = texts.registry.as_ref().map_or("the registry", |registry| registry.name());
    let descriptors = faults.descriptors.iter().map(|(source, faults)| (source.name(), faults));
    let mut counts = Vec::new();
    for (name, faults) in
        [(texts.agenda.name(), &faults.agenda), (registry, &faults.registry)].into_iter().chain(descriptors)
    {
        match faults.iter().filter(|fault| fault.is_error()).count() {
            0 => {}
            1 => counts.push(format!("1 fault in {name}")),
            count => counts.push(format!("{count} faults in {name}")),
        }
    }
    let Some(kind) = kind(faults) else { return Ok(()) };
    ui::say(&format!("{}; nothing was started (exit {})", counts.join(", "), kind.exit_code()));
    Err(CommandError::told(kind))
}

/// Says which handlers were not asked to describe themselves, so that their payloads were not checked.
pub(crate) fn tell_not_asked(assembly: &Assembly, command: &str) {
    let types: Vec<String> = assembly.undescribed_types().iter().map(|name| format!("`{name}`")).collect();
    if !types.is_empty() {
        ui::say(&format!(
            "hint: payloads of {} were not checked; `pop {command} --describe` starts the programs to ask what they take",
            types.join(", ")
        ));
    }
}
