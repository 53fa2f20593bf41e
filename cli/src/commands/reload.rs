//! `pop handlers reload`: registry and descriptors read anew, held against those that a run was begun with.

use crate::args::RegistryArgs;
use crate::conf_d::ConfD;
use crate::error::{CommandError, Kind};
use crate::faults::Faults;
use crate::inputs::{catalog, kept_registry, registry};
use crate::ui;
use pop_executor::RunFolder;
use pop_field_retriever::DefaultLaunchData;
use pop_registry::Reloaded;
use std::path::Path;

pub(super) fn reload(
    run: &str,
    runs: &Path,
    args: &RegistryArgs,
    launch: &DefaultLaunchData,
) -> Result<u8, CommandError> {
    let inputs = RunFolder::find(runs, run)?.inputs()?;
    let unfit = |_| CommandError::new(Kind::Journal, "the registry that the run has kept cannot be read");
    let kept = kept_registry(&inputs).map_err(unfit)?;
    let before = catalog(kept.as_ref(), ConfD::of(&inputs).as_ref(), &mut Vec::new());
    // what is not named stands where the run found it
    let settings = &inputs.settings;
    let found = |path: &Path| settings.folder.join(path);
    let mut args = args.clone();
    args.registry = args.registry.or_else(|| settings.registry.as_deref().map(|name| found(Path::new(name))));
    if let Some(conf_d) = &settings.conf_d {
        args.conf_d = args.conf_d.or_else(|| Some(found(&conf_d.folder)));
        if args.handlers.is_empty() {
            args.handlers.clone_from(&conf_d.handlers);
        }
    }
    let folder = found(Path::new(&settings.agenda));
    let folder = folder.parent().unwrap_or(&settings.folder);
    let mut faults = Faults::default();
    let (registry, _) = registry(folder, &args, launch, &mut faults.registry);
    let conf_d = ConfD::read(folder, &args, launch)?;
    let descriptors = conf_d.as_ref().map(ConfD::descriptors).unwrap_or_default();
    let Reloaded { catalog, changes } = before.reload(registry.as_ref(), descriptors, &mut faults.registry);
    faults.take_descriptors(&catalog);
    if let Some(conf_d) = &conf_d {
        for entry in catalog.entries() {
            if let Some(fault) = conf_d.no_program(entry) {
                faults.blame_descriptor(&conf_d.file_of(entry), fault.warning());
            }
        }
    }
    faults.tell_handlers(registry.as_ref());
    for (id, change) in &changes {
        ui::print(&format!("{change} {id}\n"));
    }
    if changes.is_empty() {
        ui::say(&format!("no handler is other than it was when run {run} began"));
    }
    Ok(faults.kind().map_or(0, Kind::exit_code))
}
