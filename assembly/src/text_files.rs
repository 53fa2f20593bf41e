//! Finds and reads agenda, registry and descriptors of a run: the files that the caller names, else those of a
//! property, else those at a default place.

use crate::agenda_files::read_files;
use crate::descriptor_folder::{DescriptorFolder, DescriptorPlaces};
use crate::error::AssemblyError;
use crate::run_texts::{RunTexts, source};
use crate::surroundings::Surroundings;
use crate::text_faults::TextFaults;
use crate::text_file::{read_text, utf8};
use pop_document::{Fault, Source};
use pop_field_retriever::names::property;
use pop_field_retriever::{FieldName, LaunchDataWrapper};
use std::path::{Path, PathBuf};

const REGISTRY_BESIDE: [&str; 3] = ["registry.json", "registry.yaml", "registry.yml"];
const REGISTRY_IN_IMAGE: &str = "/app/config/registry.json";

/// Source of the agenda.
#[derive(Debug, Clone)]
pub enum AgendaOrigin<'o> {
    /// A file. Its folder is a default place of the registry and the descriptors.
    File(&'o Path),
    /// Bytes that were read already, with their name in faults.
    Bytes(&'o str, Result<Vec<u8>, Fault>),
    /// The payload of the launch data.
    Payload,
}

/// The files that the caller names, and the sources for the others.
#[derive(Clone, Copy)]
pub struct TextFiles<'f> {
    /// The registry.
    pub registry: Option<&'f Path>,
    /// The folder of descriptors.
    pub conf_d: Option<&'f Path>,
    /// Folders with programs of descriptors; empty for those of the properties or the default.
    pub handlers: &'f [PathBuf],
    /// Properties for files that the caller does not name.
    pub launch_data: &'f dyn LaunchDataWrapper,
    /// Variables and current folder of the process; relative names are resolved in that folder.
    pub surroundings: &'f Surroundings,
}

impl TextFiles<'_> {
    /// Reads agenda, registry and descriptors of a run. A file that cannot be read is a fault.
    pub fn read(&self, agenda: AgendaOrigin<'_>, faults: &mut TextFaults) -> Result<RunTexts, AssemblyError> {
        let mut folder = Path::new("");
        let (name, bytes) = match agenda {
            AgendaOrigin::File(path) => {
                folder = path.parent().unwrap_or(folder);
                (utf8(path)?.to_owned(), read_text(path, "agenda"))
            }
            AgendaOrigin::Bytes(name, bytes) => (name.to_owned(), bytes),
            AgendaOrigin::Payload => {
                let payload = self.launch_data.payload()?;
                ("<payload>".to_owned(), Ok(payload.value.as_bytes().to_vec()))
            }
        };
        let agenda = source(name, bytes, &mut faults.agenda);
        let (registry, home) = self.registry(folder, &mut faults.registry)?;
        let files = read_files(&agenda, &self.surroundings.folder, &mut faults.agenda);
        Ok(RunTexts {
            agenda,
            files,
            registry,
            home,
            folder: self.surroundings.folder.clone(),
            descriptors: self.descriptors(folder)?,
        })
    }

    /// Reads the registry for agendas of a folder. The second value is the folder of the registry.
    pub fn registry(
        &self,
        folder: &Path,
        faults: &mut Vec<Fault>,
    ) -> Result<(Option<Source>, Option<PathBuf>), AssemblyError> {
        let Some(path) = self.registry_path(folder) else { return Ok((None, None)) };
        let home = path.parent().map(|home| if home.as_os_str().is_empty() { Path::new(".") } else { home });
        let home = home.and_then(|home| home.canonicalize().ok());
        if let Some(home) = &home {
            utf8(home)?;
        }
        let registry = source(utf8(&path)?.to_owned(), read_text(&path, "registry"), faults);
        Ok((Some(registry), home))
    }

    fn registry_path(&self, folder: &Path) -> Option<PathBuf> {
        let named = self
            .registry
            .map(Path::to_owned)
            .or_else(|| self.property(property::REGISTRY_PATH_OVERRIDE).map(PathBuf::from));
        let in_image = || Some(PathBuf::from(REGISTRY_IN_IMAGE)).filter(|path| is_there(path));
        named.or_else(|| registry_beside(folder)).or_else(in_image)
    }

    /// Reads the descriptors for agendas of a folder. A folder of descriptors that the caller names must exist.
    pub fn descriptors(&self, folder: &Path) -> Result<Option<DescriptorFolder>, AssemblyError> {
        let listed = self.property(property::HANDLER_FOLDERS).unwrap_or_default();
        let listed = listed.split(',').map(str::trim).filter(|folder| !folder.is_empty());
        let places = DescriptorPlaces {
            conf_d: self
                .conf_d
                .map(Path::to_owned)
                .or_else(|| self.property(property::CONF_D_PATH).map(PathBuf::from)),
            handlers: match self.handlers {
                [] => listed.map(PathBuf::from).collect(),
                named => named.to_vec(),
            },
            beside: folder,
        };
        places.read(&self.surroundings.folder)
    }

    fn property(&self, name: &'static str) -> Option<String> {
        self.launch_data.field(&FieldName::of_property(name)).map(|found| found.value)
    }
}

/// The registry in a folder of agendas, under one of its default names.
pub(crate) fn registry_beside(folder: &Path) -> Option<PathBuf> {
    REGISTRY_BESIDE.iter().map(|name| folder.join(name)).find(|path| is_there(path))
}

/// Whether a file exists. A file that is not regular counts as found; reading it then fails.
fn is_there(path: &Path) -> bool {
    path.exists() && !path.is_dir()
}
