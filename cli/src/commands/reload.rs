//! `pop handlers reload`: reads registry and descriptors again and compares them with those of a run.

use crate::error::CommandError;
use crate::faults::{exit_code, print_handler_faults};
use crate::ui;
use pop_assembly::{DescriptorFolder, KnownHandlers, TextFaults, TextFiles};
use pop_executor::RunFolder;
use pop_registry::ReloadReport;
use std::path::Path;

pub(super) fn reload(run: &str, runs: &Path, files: &TextFiles<'_>) -> Result<u8, CommandError> {
    let inputs = RunFolder::find(runs, run)?.inputs()?;
    let path = files.surroundings.variable("PATH");
    let before = KnownHandlers::from_inputs(&inputs, path)?;
    // files that the command line does not name are read at the paths that the run used
    let settings = &inputs.settings;
    let found = |path: &Path| settings.folder.join(path);
    let registry = settings.registry.as_deref().map(|name| found(Path::new(name)));
    let conf_d = settings.conf_d.as_ref().map(|conf_d| found(&conf_d.folder));
    let mut files = *files;
    files.registry = files.registry.or(registry.as_deref());
    if let Some(frozen) = &settings.conf_d {
        files.conf_d = files.conf_d.or(conf_d.as_deref());
        if files.handlers.is_empty() {
            files.handlers = &frozen.handlers;
        }
    }
    let folder = found(Path::new(&settings.agenda));
    let folder = folder.parent().unwrap_or(&settings.folder);
    let mut faults = TextFaults::default();
    let (registry, _) = files.registry(folder, &mut faults.registry)?;
    let descriptors = files.descriptors(folder)?;
    let all = descriptors.as_ref().map(DescriptorFolder::descriptors).unwrap_or_default();
    let ReloadReport { catalog, changes } =
        before.catalog.reload(registry.as_ref(), all, &mut faults.registry);
    faults.take_descriptors(&catalog);
    if let Some(descriptors) = &descriptors {
        for entry in catalog.entries() {
            if let Some(fault) = descriptors.program_fault(entry, path) {
                faults.add_to_descriptor(&descriptors.file_of(entry), fault.warning());
            }
        }
    }
    print_handler_faults(&faults, registry.as_ref());
    for (id, change) in &changes {
        ui::print(&format!("{change} {id}\n"));
    }
    if changes.is_empty() {
        ui::say(&format!("no handler has changed since run {run} started"));
    }
    Ok(exit_code(&faults))
}
