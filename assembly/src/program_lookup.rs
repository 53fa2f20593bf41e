//! Looks up the programs of a plan before anything starts.

use crate::run_texts::RunTexts;
use crate::surroundings::Surroundings;
use crate::text_faults::TextFaults;
use pop_agenda::{OPERATIONS, PAYLOAD, Plan, PlannedOperation, Serves};
use pop_document::{ElementPointer, Fault, Pointer, Site};
use pop_launchers::process::{resolve, resolve_beside};
use pop_registry::Entry;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Looks up every program. A missing program of a registry or descriptor is an error. A missing program of an `exec`
/// command is a warning, because an earlier operation may install it.
pub(crate) fn find_programs(
    plan: &Plan,
    texts: &RunTexts,
    surroundings: &Surroundings,
    faults: &mut TextFaults,
) {
    let mut seen = HashSet::new();
    let all = plan.operations().map(|(_, planned)| planned);
    let mut open: Vec<(ElementPointer, &PlannedOperation)> =
        ElementPointer::all(Pointer::root().join(OPERATIONS)).zip(all).collect();
    open.reverse();
    while let Some((at, planned)) = open.pop() {
        match &planned.serves {
            Serves::Program(entry) if entry.descriptor.is_some() => {
                if let Some(descriptors) =
                    texts.descriptors.as_ref().filter(|_| seen.insert(entry.id.clone()))
                    && let Some(fault) = descriptors.program_fault(entry, surroundings.path())
                {
                    faults.add_to_descriptor(&descriptors.file_of(entry), fault);
                }
            }
            Serves::Program(entry) if seen.insert(entry.id.clone()) => {
                faults.registry.extend(entry_fault(entry, texts, surroundings));
            }
            Serves::Exec => {
                let Some(program) = planned.payload.template()["command"][0].as_str() else { continue };
                let is_plain = !program.contains('/') && !program.contains("@<");
                if is_plain
                    && seen.insert(program.to_owned())
                    && resolve(Path::new(program), &texts.folder, surroundings.path()).is_err()
                {
                    faults.agenda.push(command_fault(&at, planned, program));
                }
            }
            // a file has other places, and its programs are found when they start
            Serves::Agenda(body) if body.file().is_none() => {
                let places = ElementPointer::all(at.join(PAYLOAD).join(OPERATIONS));
                let inside: Vec<_> = places.zip(body.operations()).collect();
                open.extend(inside.into_iter().rev());
            }
            _ => {}
        }
    }
}

/// The file of an entry's program: in the registry's folder, else in the working directory or on PATH.
pub(crate) fn program_of(
    entry: &Entry,
    home: Option<&Path>,
    folder: &Path,
    surroundings: &Surroundings,
) -> Option<Result<PathBuf, pop_launchers::process::ResolveError>> {
    let program = entry.command.as_ref()?.first()?;
    let folder = entry.working_directory.as_ref().map_or_else(|| folder.to_owned(), |own| folder.join(own));
    Some(resolve_beside(home, Path::new(program), &folder, surroundings.path()))
}

fn entry_fault(entry: &Entry, texts: &RunTexts, surroundings: &Surroundings) -> Option<Fault> {
    let error = program_of(entry, texts.home.as_deref(), &texts.folder, surroundings)?.err()?;
    let at = Pointer::root().join(&entry.id).join("command").join(0);
    let message = format!("type `{}`: {error}", entry.name);
    let hint = "pop looks for a relative program beside the registry file, then on PATH";
    Some(Fault::value("program-not-found", at, message).hint(hint))
}

fn command_fault(operation: &ElementPointer, planned: &PlannedOperation, program: &str) -> Fault {
    let message = format!("`{program}` is not on PATH now; operation `{}` may fail", planned.name);
    let at = Site::Value(operation.join(PAYLOAD).join("command").join(0));
    Fault::new("program-not-found", at, message).warning()
}
