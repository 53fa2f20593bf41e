//! The folder of descriptors (`conf.d`), and the programs that its descriptors name.

use crate::error::AssemblyError;
use crate::text_file::{read_text, utf8};
use pop_document::{Fault, Pointer, Source};
use pop_executor::{ConfDSettings, Inputs};
use pop_launchers::process::{ResolveError, resolve};
use pop_registry::{Catalog, Descriptor, DescriptorFields, Entry};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "conf.d";
const FOLDER_IN_IMAGE: &str = "/app/config/conf.d";
const HANDLERS: &str = "handlers";
const HANDLERS_OF_SYSTEM: [&str; 2] = ["/usr/lib/pop/handlers", "/usr/lib64/pop/handlers"];

/// The folders of descriptors and of their programs.
pub(crate) struct DescriptorPlaces<'p> {
    /// The folder of descriptors, if the caller names it.
    pub(crate) conf_d: Option<PathBuf>,
    /// The folders of programs; empty for the default folders.
    pub(crate) handlers: Vec<PathBuf>,
    /// The folder whose `conf.d` is the first default.
    pub(crate) beside: &'p Path,
}

impl DescriptorPlaces<'_> {
    /// Reads the descriptors. None if the caller names no folder and no default folder exists.
    pub(crate) fn read(self, started_in: &Path) -> Result<Option<DescriptorFolder>, AssemblyError> {
        let defaults = [self.beside.join(FOLDER), PathBuf::from(FOLDER_IN_IMAGE)];
        let Some(conf_d) = self.conf_d.or_else(|| defaults.into_iter().find(|path| path.is_dir())) else {
            return Ok(None);
        };
        let files = files(&conf_d)?;
        // collecting the components removes inner `.`
        let absolute = |path: &Path| started_in.join(path).components().collect::<PathBuf>();
        let mut handlers = self.handlers;
        if handlers.is_empty() {
            let beside = absolute(&conf_d).with_file_name(HANDLERS);
            handlers = std::iter::once(beside).chain(HANDLERS_OF_SYSTEM.map(PathBuf::from)).collect();
        }
        let handlers: Vec<PathBuf> = handlers.iter().map(|folder| absolute(folder)).collect();
        for path in handlers.iter().chain([&conf_d]) {
            utf8(path)?;
        }
        let settings = ConfDSettings { folder: conf_d, handlers };
        Ok(Some(DescriptorFolder { settings, files, started_in: started_in.to_owned() }))
    }
}

/// The content of a folder of descriptors.
#[derive(Debug, Clone)]
pub struct DescriptorFolder {
    settings: ConfDSettings,
    /// The bytes of each file, by its name.
    files: BTreeMap<String, Result<Vec<u8>, Fault>>,
    /// The folder against which relative programs are resolved.
    started_in: PathBuf,
}

impl DescriptorFolder {
    /// The descriptors with which a run was started.
    pub fn from_inputs(inputs: &Inputs) -> Option<Self> {
        let files =
            inputs.descriptors.iter().map(|(name, bytes)| (name.clone(), Ok(bytes.clone()))).collect();
        Some(Self {
            settings: inputs.settings.conf_d.clone()?,
            files,
            started_in: inputs.settings.folder.clone(),
        })
    }

    /// The settings and files that a run freezes. `None` without readable descriptors.
    pub(crate) fn freeze(&self) -> Option<(ConfDSettings, BTreeMap<String, Vec<u8>>)> {
        let readable = self.files.iter().filter_map(|(name, bytes)| Some((name, bytes.as_ref().ok()?)));
        let files: BTreeMap<_, _> = readable.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
        (!files.is_empty()).then(|| (self.settings.clone(), files))
    }

    /// The descriptors, in the order of their names.
    pub fn descriptors(&self) -> Vec<Descriptor> {
        let all = self.files.iter().map(|(file, bytes)| {
            let name = self.name_of(file);
            match bytes.clone().and_then(|bytes| Source::ini(name.as_str(), &bytes)) {
                Ok(source) => Descriptor::read(source),
                Err(fault) => Descriptor::unreadable(name, fault),
            }
        });
        all.collect()
    }

    /// The file of a handler's descriptor, as faults name it.
    pub fn file_of(&self, entry: &Entry) -> String {
        let declared = entry.descriptor.as_ref().map_or("", |declared| &declared.descriptor);
        self.name_of(&format!("{declared}.conf"))
    }

    fn name_of(&self, file: &str) -> String {
        self.settings.folder.join(file).display().to_string()
    }

    /// Finds the programs of all handlers of a catalogue that come from descriptors.
    pub(crate) fn locate(&self, catalog: &mut Catalog, path: Option<&OsStr>) {
        catalog.locate(|declared| self.program(declared, path).ok()?.into_os_string().into_string().ok());
    }

    /// The fault of a handler whose program is not found.
    pub fn program_fault(&self, entry: &Entry, path: Option<&OsStr>) -> Option<Fault> {
        let declared = entry.descriptor.as_ref().filter(|declared| !declared.is_built_in())?;
        let why = match self.program(declared, path) {
            Ok(program) if program.to_str().is_some() => return None,
            Ok(program) => format!("the path of program `{}` is not UTF-8", program.display()),
            Err(error) => error.to_string(),
        };
        let folders = self.settings.handlers.iter().map(|folder| format!("`{}`", folder.display()));
        let hint = format!(
            "pop looks for `{}`, then for the class, in {}; then for the class on PATH",
            declared.descriptor,
            folders.collect::<Vec<_>>().join(", ")
        );
        let at = Pointer::root().join(&entry.name).join("class");
        Some(Fault::value("program-not-found", at, format!("type `{}`: {why}", entry.name)).hint(hint))
    }

    /// Looks in each folder for the name of the descriptor, then for the class; then for the class on PATH.
    fn program(&self, declared: &DescriptorFields, path: Option<&OsStr>) -> Result<PathBuf, ResolveError> {
        let mut refused = None;
        for folder in &self.settings.handlers {
            for name in [&declared.descriptor, &declared.class] {
                match resolve(&folder.join(name), Path::new("/"), None) {
                    Ok(path) => return Ok(path),
                    // a folder of that name may hold files of the program
                    Err(ResolveError::NotFound { .. } | ResolveError::Directory { .. }) => {}
                    Err(error) => drop(refused.get_or_insert(error)),
                }
            }
        }
        resolve(Path::new(&declared.class), &self.started_in, path).map_err(|error| refused.unwrap_or(error))
    }
}

/// The descriptor files of a folder. A file that cannot be read is a fault of that file.
pub(crate) fn files(folder: &Path) -> Result<BTreeMap<String, Result<Vec<u8>, Fault>>, AssemblyError> {
    let failed = |source| AssemblyError::Descriptors { folder: folder.to_owned(), source };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|ending| ending == "conf") && !path.is_dir() {
            let name = path.file_name().unwrap_or_default();
            files.insert(utf8(Path::new(name))?.to_owned(), read_text(&path, "descriptor"));
        }
    }
    Ok(files)
}
