//! What is wrong in the texts of a command: collected, weighed, and told text by text.

use crate::error::{CommandError, Kind};
use crate::inputs::Texts;
use crate::ui;
use pop_document::{Fault, Severity, Source};
use pop_registry::{Catalog, Descriptor};
use std::collections::HashSet;

/// What is wrong in the texts.
#[derive(Default)]
pub(crate) struct Faults {
    pub(crate) agenda: Vec<Fault>,
    pub(crate) registry: Vec<Fault>,
    pub(crate) descriptors: Vec<(Source, Vec<Fault>)>,
}

impl Faults {
    /// Takes over what is wrong in each descriptor.
    pub(crate) fn take_descriptors(&mut self, catalog: &Catalog) {
        let all = catalog.descriptors().iter();
        self.descriptors = all.map(|one| (one.source().clone(), one.faults().to_vec())).collect();
    }

    /// Makes every warning an error.
    pub(crate) fn be_strict(&mut self) {
        let descriptors = self.descriptors.iter_mut().flat_map(|(_, faults)| faults);
        for fault in self.agenda.iter_mut().chain(&mut self.registry).chain(descriptors) {
            fault.severity = Severity::Error;
        }
    }

    /// The faults of all that handlers are known from.
    pub(crate) fn of_handlers(&self) -> impl Iterator<Item = &Fault> {
        self.registry.iter().chain(self.descriptors.iter().flat_map(|(_, faults)| faults))
    }

    /// Adds a fault of the descriptor in this file.
    pub(crate) fn blame_descriptor(&mut self, file: &str, fault: Fault) {
        let descriptor = self.descriptors.iter_mut().find(|(source, _)| source.name() == file);
        if let Some((_, faults)) = descriptor {
            faults.push(fault);
        }
    }

    /// A descriptor that is wrong is left out and warned of, but for what concerns these types.
    pub(crate) fn spare_descriptors(&mut self, types: &HashSet<&str>) {
        for fault in self.descriptors.iter_mut().flat_map(|(_, faults)| faults) {
            if !Descriptor::type_of(fault).is_some_and(|name| types.contains(name.as_str())) {
                fault.severity = Severity::Warning;
            }
        }
    }

    /// Tells what is wrong where handlers are known from.
    pub(crate) fn tell_handlers(&self, registry: Option<&Source>) {
        if let Some(registry) = registry {
            ui::tell_faults(registry, &self.registry);
        }
        for (descriptor, faults) in &self.descriptors {
            ui::tell_faults(descriptor, faults);
        }
    }

    /// What they are all in all; nothing if none is an error.
    pub(crate) fn kind(&self) -> Option<Kind> {
        if self.agenda.iter().any(Fault::is_error) {
            return Some(Kind::Agenda);
        }
        self.of_handlers().any(Fault::is_error).then_some(Kind::Registry)
    }

    /// Tells everything; an error if any of it is one, the agenda's first.
    pub(crate) fn tell(&self, texts: &Texts) -> Result<(), CommandError> {
        ui::tell_faults(&texts.agenda, &self.agenda);
        self.tell_handlers(texts.registry.as_ref());
        let registry = texts.registry.as_ref().map_or("the registry", |registry| registry.name());
        let descriptors = self.descriptors.iter().map(|(source, faults)| (source.name(), faults));
        let mut wheres = Vec::new();
        for (name, faults) in
            [(texts.agenda.name(), &self.agenda), (registry, &self.registry)].into_iter().chain(descriptors)
        {
            match faults.iter().filter(|fault| fault.is_error()).count() {
                0 => {}
                1 => wheres.push(format!("1 fault in {name}")),
                count => wheres.push(format!("{count} faults in {name}")),
            }
        }
        let Some(kind) = self.kind() else { return Ok(()) };
        ui::say(&format!("{}; nothing was started (exit {})", wheres.join(", "), kind.exit_code()));
        Err(CommandError::told(kind))
    }
}
