//! The handlers of a registry and of descriptors, without an agenda.

use crate::descriptions::DescriptionSource;
use crate::descriptor_folder::DescriptorFolder;
use crate::error::AssemblyError;
use crate::run_texts::{catalog, frozen_registry};
use crate::surroundings::Surroundings;
use crate::text_faults::TextFaults;
use crate::text_files::TextFiles;
use pop_document::Source;
use pop_executor::Inputs;
use pop_registry::Catalog;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The catalogue of handlers, with the registry.
pub struct KnownHandlers {
    /// The catalogue.
    pub catalog: Catalog,
    /// The registry.
    pub registry: Option<Source>,
    home: Option<PathBuf>,
}

impl KnownHandlers {
    /// The handlers for agendas of a folder.
    pub fn read(
        files: &TextFiles<'_>,
        folder: &Path,
        faults: &mut TextFaults,
    ) -> Result<Self, AssemblyError> {
        let (registry, home) = files.registry(folder, &mut faults.registry)?;
        let descriptors = files.descriptors(folder)?;
        let path = files.surroundings.path();
        let catalog = catalog(registry.as_ref(), descriptors.as_ref(), path, &mut faults.registry);
        faults.take_descriptors(&catalog);
        Ok(Self { catalog, registry, home })
    }

    /// The registry's folder.
    pub fn home(&self) -> Option<&Path> {
        self.home.as_deref()
    }

    /// The handlers with which a run was started.
    pub fn from_inputs(inputs: &Inputs, path: Option<&OsStr>) -> Result<Self, AssemblyError> {
        let registry = frozen_registry(inputs).map_err(|_| AssemblyError::FrozenRegistry)?;
        let descriptors = DescriptorFolder::from_inputs(inputs);
        let catalog = catalog(registry.as_ref(), descriptors.as_ref(), path, &mut Vec::new());
        Ok(Self { catalog, registry, home: inputs.settings.home.clone() })
    }

    /// Adds descriptions of the handlers of these types.
    #[must_use]
    pub fn describe(
        mut self,
        types: &HashSet<&str>,
        source: &DescriptionSource,
        surroundings: &Surroundings,
        faults: &mut TextFaults,
    ) -> Self {
        faults.spare_descriptors(types);
        let home = self.home.as_deref();
        source.add_to_catalog(&mut self.catalog, types, home, surroundings, &mut faults.registry);
        self
    }
}
