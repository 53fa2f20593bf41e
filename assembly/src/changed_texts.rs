//! Compares the frozen texts of a run with the files that they were read from.

use crate::descriptor_folder::files;
use crate::text_file::read_text;
use crate::text_files::registry_beside;
use pop_document::Source;
use pop_executor::Inputs;
use std::path::{Path, PathBuf};

/// Files whose content differs from the frozen inputs of a run, which a resumed run uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedTexts {
    /// The changed files, as absolute paths: agenda, agendas that it uses, registry, folder of descriptors. A rerun reads
    /// them.
    pub files: Vec<PathBuf>,
}

impl ChangedTexts {
    /// Compares the texts of a run with their files. None if no file changed. A missing file counts as unchanged, and so do
    /// the files of a replayed dead letter, because every replay uses the inputs of the original run.
    pub fn of(inputs: &Inputs) -> Option<Self> {
        let settings = &inputs.settings;
        if settings.replay_of.is_some() {
            return None;
        }
        let found = |path: &Path| settings.folder.join(path);
        let agenda = Some(found(Path::new(&settings.agenda))).filter(|path| path.is_file());
        let registry = settings.registry.as_deref().map(|name| found(Path::new(name)));
        let mut changed = Vec::new();
        changed.extend(agenda.clone().filter(|path| is_changed(path, "agenda", &inputs.agenda)));
        for (name, frozen) in &inputs.files {
            let file = Some(found(Path::new(name)));
            changed.extend(file.filter(|path| is_changed(path, "agenda", frozen.as_bytes())));
        }
        match (registry, &agenda) {
            (Some(registry), _) => {
                let frozen = inputs.registry.as_deref().unwrap_or_default();
                changed.extend(Some(registry).filter(|path| is_changed(path, "registry", frozen)));
            }
            // a registry that did not exist when the run started
            (None, Some(agenda)) => changed.extend(registry_beside(agenda.parent()?)),
            (None, None) => {}
        }
        if let Some(conf_d) = settings.conf_d.as_ref().map(|conf_d| found(&conf_d.folder)) {
            let now = files(&conf_d).unwrap_or_default();
            let now = now.iter().filter_map(|(name, bytes)| Some((name, bytes.as_ref().ok()?)));
            changed.extend((!now.eq(inputs.descriptors.iter())).then_some(conf_d));
        }
        (!changed.is_empty()).then_some(Self { files: changed })
    }
}

/// Whether a file has another text than the frozen one, which has no byte order mark.
fn is_changed(path: &Path, what: &str, frozen: &[u8]) -> bool {
    if !path.is_file() {
        return false;
    }
    let now = read_text(path, what).and_then(|bytes| Source::new(what, &bytes));
    now.map_or(true, |now| now.text().as_bytes() != frozen)
}
