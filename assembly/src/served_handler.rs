//! A handler that is served outside of a run: its entry, checked, and the setting of its launcher.

use crate::error::AssemblyError;
use crate::known_handlers::KnownHandlers;
use crate::program_lookup::program_of;
use crate::run_identity::program_setting;
use crate::surroundings::Surroundings;
use pop_contract::Failure;
use pop_field_retriever::{LaunchDataWrapper, LaunchType, names::environment as variable};
use pop_launchers::Setting;
use pop_launchers::process::ResolveError;
use pop_registry::{Catalog, Entry, Target};
use std::path::PathBuf;
use std::sync::Arc;

/// Why a handler cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum NotServable {
    /// No handler serves the type.
    #[error("no handler serves type `{0}`")]
    Unknown(String),
    /// The type is served inside pop.
    #[error("type `{0}` is built in: only the program of a registry entry can be served")]
    BuiltIn(String),
    /// The launcher needs a field that the entry lacks.
    #[error("handler `{handler}` has no `{missing}`, which launcher {on} needs")]
    Missing {
        /// Id of the handler.
        handler: String,
        /// The field.
        missing: &'static str,
        /// The launcher.
        on: LaunchType,
    },
    /// The program is not found.
    #[error("type `{0}`: {1}")]
    Program(String, ResolveError),
    /// A secret is not found.
    #[error("type `{0}`: {message}", message = .1.message)]
    Secret(String, Failure),
    /// The settings are invalid.
    #[error(transparent)]
    Settings(#[from] AssemblyError),
}

/// A handler that can be served.
pub struct ServedHandler {
    /// Its entry.
    pub entry: Arc<Entry>,
    /// The registry's folder.
    pub home: Option<PathBuf>,
    /// The setting of its launcher; the caller adds the guard.
    pub setting: Setting,
}

impl ServedHandler {
    /// Checks the default handler of a type: that its program and its secrets exist. `mark` is the same for every server
    /// that takes the place of an earlier one, so containers that a killed one left are found; `executor` identifies this
    /// process.
    pub fn of(
        known: &KnownHandlers,
        handler_type: &str,
        (mark, executor): (&str, &str),
        on: LaunchType,
        surroundings: &Surroundings,
        launch_data: &dyn LaunchDataWrapper,
    ) -> Result<Self, NotServable> {
        let Some(entry) = known.catalog.entry(handler_type) else {
            let name = handler_type.to_owned();
            if Catalog::built_in().any(|built_in| built_in == name) {
                return Err(NotServable::BuiltIn(name));
            }
            return Err(NotServable::Unknown(name));
        };
        match entry.target(on) {
            Ok(Target::Program(_)) => {}
            Ok(_) => return Err(NotServable::BuiltIn(handler_type.to_owned())),
            Err(missing) => return Err(NotServable::Missing { handler: entry.id.clone(), missing, on }),
        }
        let home = known.home().map(Into::into);
        let program = program_of(entry, known.home(), &surroundings.folder, surroundings);
        if let Some(Err(error)) = program.filter(|_| on.capabilities().uses_host_programs) {
            return Err(NotServable::Program(handler_type.to_owned(), error));
        }
        let setting = program_setting(&entry.secrets, known.home(), executor, surroundings, launch_data)?;
        let found = setting.secrets.values(&entry.secrets);
        found.map_err(|failure| NotServable::Secret(handler_type.to_owned(), failure))?;
        let of_all = [
            (variable::RUN_ID, mark),
            (variable::CID, mark),
            (variable::LAUNCH_TYPE, on.as_str()),
            (variable::EXTERNAL_LAUNCH_TYPE, on.as_str()),
        ];
        let of_all = of_all.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let setting = Setting {
            variables: of_all.into_iter().chain([surroundings.log_level()]).collect(),
            folder: surroundings.folder.clone(),
            run: Some(mark.to_owned()),
            ..setting
        };
        Ok(Self { entry: Arc::new(entry.clone()), home, setting })
    }
}
