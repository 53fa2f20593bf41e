//! Agenda, registry and descriptors of a run, and the catalogue of handlers built from them.

use crate::descriptor_folder::DescriptorFolder;
use crate::text_faults::{TextFaults, is_of_whole_text};
use pop_document::{Fault, Source};
use pop_executor::Inputs;
use pop_registry::Catalog;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Agenda, registry and descriptors of a run, and the folders for relative names in them.
#[derive(Debug, Clone)]
pub struct RunTexts {
    /// The agenda.
    pub agenda: Source,
    /// The agendas that operations of type `agenda` name, by their names.
    pub files: BTreeMap<String, Source>,
    /// The registry.
    pub registry: Option<Source>,
    /// The folder of the registry, in which relative programs and files of the registry are looked up.
    pub home: Option<PathBuf>,
    /// The folder in which programs start.
    pub folder: PathBuf,
    /// The descriptors.
    pub descriptors: Option<DescriptorFolder>,
}

impl RunTexts {
    /// Agenda and registry in memory, each with a name for faults. No file is read.
    pub fn from_bytes(
        agenda: (&str, &[u8]),
        registry: Option<(&str, &[u8])>,
        folder: &Path,
        faults: &mut TextFaults,
    ) -> Self {
        let text = |(name, bytes): (&str, &[u8]), faults| source(name.to_owned(), Ok(bytes.to_vec()), faults);
        Self {
            agenda: text(agenda, &mut faults.agenda),
            files: BTreeMap::new(),
            registry: registry.map(|registry| text(registry, &mut faults.registry)),
            home: None,
            folder: folder.to_owned(),
            descriptors: None,
        }
    }

    /// The frozen agenda, registry and descriptors of a run.
    pub(crate) fn from_inputs(inputs: &Inputs) -> Result<Self, Fault> {
        let settings = &inputs.settings;
        let file =
            |(name, text): (&String, &String)| (name.clone(), Source::new(name.as_str(), text.as_bytes()));
        let files = inputs.files.iter().map(file).map(|(name, source)| Ok((name, source?)));
        Ok(Self {
            files: files.collect::<Result<_, Fault>>()?,
            agenda: Source::new(settings.agenda.as_str(), &inputs.agenda)?,
            registry: frozen_registry(inputs)?,
            home: settings.home.clone(),
            folder: settings.folder.clone(),
            descriptors: DescriptorFolder::from_inputs(inputs),
        })
    }

    pub(crate) fn catalog(&self, path: Option<&OsStr>, faults: &mut Vec<Fault>) -> Catalog {
        catalog(self.registry.as_ref(), self.descriptors.as_ref(), path, faults)
    }
}

/// The registry with which a run was started.
pub(crate) fn frozen_registry(inputs: &Inputs) -> Result<Option<Source>, Fault> {
    let frozen = inputs.settings.registry.as_ref().zip(inputs.registry.as_ref());
    frozen.map(|(name, bytes)| Source::new(name.as_str(), bytes)).transpose()
}

/// The catalogue of a registry and of descriptors. Adds faults of the registry to `faults`.
pub(crate) fn catalog(
    registry: Option<&Source>,
    descriptors: Option<&DescriptorFolder>,
    path: Option<&OsStr>,
    faults: &mut Vec<Fault>,
) -> Catalog {
    let registry = registry.filter(|_| !faults.iter().any(is_of_whole_text));
    let all = descriptors.map(DescriptorFolder::descriptors).unwrap_or_default();
    let mut catalog = Catalog::assemble(registry, all, faults);
    if let Some(descriptors) = descriptors {
        descriptors.locate(&mut catalog, path);
    }
    catalog
}

/// The source with these bytes; if they are not valid UTF-8, an empty source, and a fault.
pub(crate) fn source(name: String, bytes: Result<Vec<u8>, Fault>, faults: &mut Vec<Fault>) -> Source {
    bytes.and_then(|bytes| Source::new(name.as_str(), &bytes)).unwrap_or_else(|fault| {
        faults.push(fault);
        Source::empty(name)
    })
}
