//! The faults of a run's agenda, registry and descriptors.

use pop_agenda::ArgumentFault;
use pop_document::{Fault, Severity, Source};
use pop_registry::{Catalog, Descriptor};
use std::collections::HashSet;

/// The faults of a run's agenda, registry and descriptors, by file.
#[derive(Debug, Clone, Default)]
pub struct TextFaults {
    /// Faults of arguments that override the agenda.
    pub arguments: Vec<ArgumentFault>,
    /// Faults of the agenda.
    pub agenda: Vec<Fault>,
    /// Faults of the values that the run gives to inputs; their places are in the agenda.
    pub inputs: Vec<Fault>,
    /// Faults of the registry.
    pub registry: Vec<Fault>,
    /// Faults of each descriptor.
    pub descriptors: Vec<(Source, Vec<Fault>)>,
}

impl TextFaults {
    /// Copies the faults of each descriptor of a catalogue.
    pub fn take_descriptors(&mut self, catalog: &Catalog) {
        let all = catalog.descriptors().iter();
        self.descriptors = all.map(|one| (one.source().clone(), one.faults().to_vec())).collect();
    }

    /// Turns every warning into an error.
    pub fn be_strict(&mut self) {
        let descriptors = self.descriptors.iter_mut().flat_map(|(_, faults)| faults);
        let arguments = self.arguments.iter_mut().map(|argument| &mut argument.fault);
        for fault in arguments.chain(&mut self.agenda).chain(&mut self.registry).chain(descriptors) {
            fault.severity = Severity::Error;
        }
    }

    /// The faults of the registry and of all descriptors.
    pub fn of_handlers(&self) -> impl Iterator<Item = &Fault> {
        self.registry.iter().chain(self.descriptors.iter().flat_map(|(_, faults)| faults))
    }

    /// Adds a fault to the descriptor in a file.
    pub fn add_to_descriptor(&mut self, file: &str, fault: Fault) {
        let descriptor = self.descriptors.iter_mut().find(|(source, _)| source.name() == file);
        if let Some((_, faults)) = descriptor {
            faults.push(fault);
        }
    }

    /// Turns faults of descriptors into warnings, except faults of handlers of these types. A handler with a fault is
    /// not in the catalogue, so the fault affects no other type.
    pub fn spare_descriptors(&mut self, types: &HashSet<&str>) {
        for fault in self.descriptors.iter_mut().flat_map(|(_, faults)| faults) {
            if !Descriptor::type_of(fault).is_some_and(|name| types.contains(name.as_str())) {
                fault.severity = Severity::Warning;
            }
        }
    }
}

/// Whether the fault concerns the whole file, so that the content is unknown.
pub(crate) fn is_of_whole_text(fault: &Fault) -> bool {
    fault.is_error() && fault.pointer().is_empty()
}
