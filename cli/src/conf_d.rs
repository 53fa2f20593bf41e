//! The folder of descriptors: read, kept with a run, and the programs that its descriptors name looked for.

use crate::args::RegistryArgs;
use crate::error::{CommandError, Kind};
use crate::inputs::read;
use pop_document::{Fault, Pointer, Source};
use pop_executor::{ConfDSettings, Inputs};
use pop_field_retriever::names::property;
use pop_field_retriever::{DefaultLaunchData, FieldName, LaunchDataWrapper as _};
use pop_launchers::process::{ResolveError, resolve};
use pop_registry::{Catalog, Declared, Descriptor, Entry};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "conf.d";
const FOLDER_IN_IMAGE: &str = "/app/config/conf.d";
const HANDLERS: &str = "handlers";
const HANDLERS_OF_SYSTEM: [&str; 2] = ["/usr/lib/pop/handlers", "/usr/lib64/pop/handlers"];

/// What a folder of descriptors has, before anything is made of it.
pub(crate) struct ConfD {
    pub(crate) settings: ConfDSettings,
    /// The bytes of each file, by its name.
    files: BTreeMap<String, Result<Vec<u8>, Fault>>,
    /// The folder from which relative programs are taken.
    started_in: PathBuf,
}

impl ConfD {
    /// Reads the folder that goes with agendas of a folder; one that is named must be there.
    pub(crate) fn read(
        folder: &Path,
        args: &RegistryArgs,
        launch: &DefaultLaunchData,
    ) -> Result<Option<Self>, CommandError> {
        let property = |name| launch.field(&FieldName::of_property(name)).map(|found| found.value);
        let named = args.conf_d.clone().or_else(|| property(property::CONF_D_PATH).map(PathBuf::from));
        let defaults = [folder.join(FOLDER), PathBuf::from(FOLDER_IN_IMAGE)];
        let Some(conf_d) = named.or_else(|| defaults.into_iter().find(|path| path.is_dir())) else {
            return Ok(None);
        };
        let files = files(&conf_d)?;
        let mut handlers = args.handlers.clone();
        if handlers.is_empty() {
            let listed = property(property::HANDLER_FOLDERS).unwrap_or_default();
            let listed = listed.split(',').map(str::trim).filter(|folder| !folder.is_empty());
            handlers = listed.map(PathBuf::from).collect();
        }
        if handlers.is_empty() {
            let beside = std::path::absolute(&conf_d)?.with_file_name(HANDLERS);
            handlers = std::iter::once(beside).chain(HANDLERS_OF_SYSTEM.map(PathBuf::from)).collect();
        }
        let handlers = handlers.into_iter().map(std::path::absolute).collect::<Result<_, _>>()?;
        let started_in = std::env::current_dir()?;
        Ok(Some(Self { settings: ConfDSettings { folder: conf_d, handlers }, files, started_in }))
    }

    /// What a run keeps of it.
    pub(crate) fn kept(&self) -> BTreeMap<String, Vec<u8>> {
        let read = self.files.iter().filter_map(|(name, bytes)| Some((name, bytes.as_ref().ok()?)));
        read.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
    }

    /// What a run has kept.
    pub(crate) fn of(inputs: &Inputs) -> Option<Self> {
        let files =
            inputs.descriptors.iter().map(|(name, bytes)| (name.clone(), Ok(bytes.clone()))).collect();
        Some(Self {
            settings: inputs.settings.conf_d.clone()?,
            files,
            started_in: inputs.settings.folder.clone(),
        })
    }

    /// Its descriptors, in the order of their names.
    pub(crate) fn descriptors(&self) -> Vec<Descriptor> {
        let all = self.files.iter().map(|(file, bytes)| {
            let name = self.name_of(file);
            match bytes.clone().and_then(|bytes| Source::ini(name.as_str(), &bytes)) {
                Ok(source) => Descriptor::read(source),
                Err(fault) => Descriptor::unreadable(name, fault),
            }
        });
        all.collect()
    }

    /// The file of a handler's descriptor, as messages give it.
    pub(crate) fn file_of(&self, entry: &Entry) -> String {
        let declared = entry.declared.as_ref().map_or("", |declared| &declared.descriptor);
        self.name_of(&format!("{declared}.conf"))
    }

    fn name_of(&self, file: &str) -> String {
        self.settings.folder.join(file).display().to_string()
    }

    /// Finds the programs of all handlers that have one.
    pub(crate) fn locate(&self, catalog: &mut Catalog) {
        catalog.locate(|declared| {
            let program = self.program(declared).ok()?;
            Some(program.to_string_lossy().into_owned())
        });
    }

    /// What is wrong if the program of a handler is not there; none if it is, or if it has none.
    pub(crate) fn no_program(&self, entry: &Entry) -> Option<Fault> {
        let declared = entry.declared.as_ref().filter(|declared| !declared.is_built_in())?;
        let error = self.program(declared).err()?;
        let folders = self.settings.handlers.iter().map(|folder| format!("`{}`", folder.display()));
        let hint = format!(
            "first `{}`, then the class is looked for in {}, then the class on PATH",
            declared.descriptor,
            folders.collect::<Vec<_>>().join(", ")
        );
        let at = Pointer::root().join(&entry.name).join("class");
        let message = format!("type `{}`: {error}", entry.name);
        Some(Fault::value("program-not-found", at, message).hint(hint))
    }

    /// In each folder by the name of the descriptor, then by the class; then by the class on PATH.
    fn program(&self, declared: &Declared) -> Result<PathBuf, ResolveError> {
        let mut refused = None;
        for folder in &self.settings.handlers {
            for name in [&declared.descriptor, &declared.class] {
                match resolve(&folder.join(name), Path::new("/"), None) {
                    Ok(path) => return Ok(path),
                    // a folder of that name may hold what belongs to the program
                    Err(ResolveError::NotFound { .. } | ResolveError::Directory { .. }) => {}
                    Err(error) => drop(refused.get_or_insert(error)),
                }
            }
        }
        let path = std::env::var_os("PATH");
        resolve(Path::new(&declared.class), &self.started_in, path.as_deref())
            .map_err(|error| refused.unwrap_or(error))
    }
}

/// The files of a folder that are descriptors; what cannot be read of them is a fault of theirs.
fn files(folder: &Path) -> Result<BTreeMap<String, Result<Vec<u8>, Fault>>, CommandError> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot read the descriptors in `{}`: {error}", folder.display());
        CommandError::new(Kind::Registry, message)
    };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let path = entry.path();
        let is_other = path.metadata().is_ok_and(|about| !about.is_file());
        if path.extension().is_some_and(|ending| ending == "conf") && !is_other {
            let name = entry.file_name().to_string_lossy().into_owned();
            files.insert(name, read(&path, "descriptor"));
        }
    }
    Ok(files)
}
