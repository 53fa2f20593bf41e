//! Lookup of launch data in arguments, environment and properties file, with the origin of each value.

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};

use thiserror::Error;

use crate::arguments::{ArgumentError, Arguments};
use crate::environment::Environment;
use crate::field::{FieldError, FieldName, FieldValue, Found, Origin};
use crate::file::{FileError, read_text};
use crate::names::{self, launch_data};
use crate::oauth::{self, Oauth, OauthError, Secret};
use crate::payload::{self, MAX_PAYLOAD_BYTES, PayloadError};
use crate::properties::{Properties, PropertiesError};
use pop_contract::LaunchType;

/// Launch data: the settings with which a process starts. [`DefaultLaunchData`] is the default implementation.
///
/// [`TypedFields`] adds typed getters, also to `dyn LaunchDataWrapper`.
pub trait LaunchDataWrapper: Send + Sync {
    /// The text of a setting. An argument overrides the environment, which overrides a property.
    fn field(&self, name: &FieldName) -> Option<Found<String>>;

    /// How this process was launched.
    fn launch_type(&self) -> Found<LaunchType>;

    /// How this process launches other programs.
    fn external_launch_type(&self) -> Found<LaunchType>;

    /// The payload. A missing payload is an error.
    fn payload(&self) -> Result<Found<Arc<str>>, LaunchDataError>;

    /// The progress of an earlier attempt as text, not necessarily JSON.
    fn last_progress(&self) -> Result<Option<Found<String>>, LaunchDataError>;

    /// Certificate and token to access a cluster from outside. Only one of the two is an error.
    fn oauth(&self) -> Result<Option<Oauth>, OauthError> {
        oauth::find(|name| self.field(name))
    }

    /// Path of the certificate file from an argument or a property.
    fn oauth_cert_path(&self) -> Option<Found<PathBuf>> {
        Some(self.field(&launch_data::OAUTH_CERT_PATH)?.map(PathBuf::from))
    }

    /// Path of the token file from an argument or a property.
    fn oauth_token_path(&self) -> Option<Found<PathBuf>> {
        Some(self.field(&launch_data::OAUTH_TOKEN_PATH)?.map(PathBuf::from))
    }

    /// The certificate in the environment.
    fn oauth_cert(&self) -> Option<Found<Secret>> {
        Some(self.field(&launch_data::OAUTH_CERT)?.map(Secret::new))
    }

    /// The token in the environment.
    fn oauth_token(&self) -> Option<Found<Secret>> {
        Some(self.field(&launch_data::OAUTH_TOKEN)?.map(Secret::new))
    }

    /// The correlation id, if set.
    fn cid(&self) -> Option<Found<String>> {
        self.field(&launch_data::CID)
    }

    /// The agenda id.
    fn agenda_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::AGENDA_ID)
    }

    /// The customer id.
    fn customer_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::CUSTOMER_ID)
    }

    /// The name of the operation.
    fn operation_name(&self) -> Option<Found<String>> {
        self.field(&launch_data::OPERATION_NAME)
    }

    /// The id of the operation.
    fn operation_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::OPERATION_ID)
    }

    /// The id in every progress report of the agenda.
    fn progress_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::PROGRESS_ID)
    }

    /// The log level.
    fn log_level(&self) -> Option<Found<String>> {
        self.field(&launch_data::LOG_LEVEL)
    }

    /// The run id.
    fn run_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::RUN_ID)
    }

    /// The name of this pod.
    fn pod_name(&self) -> Option<Found<String>> {
        self.field(&launch_data::POD_NAME)
    }

    /// The number of this attempt, from 1.
    fn attempt(&self) -> Result<Option<Found<u32>>, FieldError> {
        self.field(&launch_data::ATTEMPT).map(Found::parse).transpose()
    }
}

/// Typed getters. A value of the wrong type is an error; the default never replaces it.
pub trait TypedFields: LaunchDataWrapper {
    /// An optional setting.
    fn find<T: FieldValue>(&self, name: &FieldName) -> Result<Option<Found<T>>, FieldError> {
        self.field(name).map(Found::parse).transpose()
    }

    /// A setting with a default.
    fn find_or<T: FieldValue>(&self, name: &FieldName, default: T) -> Result<Found<T>, FieldError> {
        Ok(self.find(name)?.unwrap_or(Found::defaulted(default)))
    }

    /// A required setting.
    fn require<T: FieldValue>(&self, name: &FieldName) -> Result<Found<T>, FieldError> {
        self.find(name)?.ok_or_else(|| FieldError::Missing { name: name.clone() })
    }

    /// An optional setting, parsed with the `FromStr` of its type.
    fn find_word<T>(&self, name: &FieldName) -> Result<Option<Found<T>>, FieldError>
    where
        T: FromStr,
        T::Err: Error + Send + Sync + 'static,
    {
        self.field(name).map(Found::parse_word).transpose()
    }
}

impl<W: LaunchDataWrapper + ?Sized> TypedFields for W {}

/// Default launch data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// How the process was launched.
    pub launch_type: LaunchType,
    /// How it launches other programs.
    pub external_launch_type: LaunchType,
    /// Default properties files; the first existing one is read.
    pub property_files: Vec<PathBuf>,
}

impl Defaults {
    /// Defaults of a handler, which usually runs in a pod.
    pub fn handler() -> Self {
        Self::of(LaunchType::Kubernetes)
    }

    /// Defaults of the executor, which usually runs on the user's machine.
    pub fn executor() -> Self {
        Self::of(LaunchType::Local)
    }

    fn of(launch_type: LaunchType) -> Self {
        let property_files = names::PROPERTY_FILES.map(PathBuf::from).into();
        Self { launch_type, external_launch_type: launch_type, property_files }
    }
}

/// Error in launch data.
#[derive(Debug, Error)]
pub enum LaunchDataError {
    /// The command line is invalid.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// A setting has the wrong type.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A named properties file, or an existing default one, cannot be used.
    #[error("properties file named by {origin} is not usable")]
    Properties {
        /// Origin of the path.
        origin: Origin,
        /// Error of the file.
        #[source]
        source: PropertiesError,
    },
    /// A named file with payload or progress cannot be used.
    #[error("file named by {origin} is not usable")]
    File {
        /// Origin of the path.
        origin: Origin,
        /// Error of the file.
        #[source]
        source: FileError,
    },
    /// The payload in the environment cannot be used.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// `POP_PROPERTIES` is not a JSON map of strings.
    #[error("environment variable `POP_PROPERTIES` is not a JSON map of strings")]
    HandlerProperties(#[source] serde_json::Error),
    /// There is no payload.
    #[error("no payload; give `--payloadFile FILE` or set the environment variable `PAYLOAD`")]
    NoPayload,
}

impl LaunchDataError {
    /// How to fix the error, unless the message says so.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Argument(error) => Some(error.hint()),
            Self::Field(error) => Some(error.hint()),
            Self::Properties { source, .. } => Some(source.hint()),
            Self::File { .. } => Some("name a readable file of UTF-8 text within the size limit".to_owned()),
            Self::Payload(error) => Some(error.hint().to_owned()),
            Self::HandlerProperties(_) | Self::NoPayload => None,
        }
    }
}

/// Launch data from the command line, the environment and one properties file.
///
/// The property key of a launch data field is the name of its argument.
pub struct DefaultLaunchData {
    arguments: Arguments,
    environment: Environment,
    properties: Properties,
    /// Properties of this handler, which the registry passes in `POP_PROPERTIES`.
    handler_properties: BTreeMap<String, String>,
    launch_type: Found<LaunchType>,
    external_launch_type: Found<LaunchType>,
    payload_limit: u64,
    payload: OnceLock<Found<Arc<str>>>,
}

impl DefaultLaunchData {
    /// Reads a command line without the program name, and the properties file.
    pub fn load<A>(argv: A, environment: Environment, defaults: &Defaults) -> Result<Self, LaunchDataError>
    where
        A: IntoIterator,
        A::Item: Into<OsString>,
    {
        Self::from_arguments(Arguments::parse(argv, &[])?, environment, defaults)
    }

    /// Reads the properties file for a parsed command line, which may have arguments of the caller.
    pub fn from_arguments(
        arguments: Arguments,
        environment: Environment,
        defaults: &Defaults,
    ) -> Result<Self, LaunchDataError> {
        let named = launch_data::PROP_FILE.argument.and_then(|name| arguments.find(name));
        let named = named.or_else(|| environment.find(launch_data::PROP_FILE.environment));
        let properties = match named {
            Some(Found { value, origin }) => Properties::read(Path::new(&value))
                .map_err(|source| LaunchDataError::Properties { origin, source })?,
            None => read_first(&defaults.property_files)?,
        };
        Self::from_parts(arguments, environment, properties, defaults)
    }

    /// Combines the three sources without reading files.
    pub fn from_parts(
        arguments: Arguments,
        environment: Environment,
        properties: Properties,
        defaults: &Defaults,
    ) -> Result<Self, LaunchDataError> {
        let handler_properties = match environment.value(names::environment::PROPERTIES) {
            Some(json) => serde_json::from_str(json).map_err(LaunchDataError::HandlerProperties)?,
            None => BTreeMap::new(),
        };
        let mut data = Self {
            arguments,
            environment,
            properties,
            handler_properties,
            launch_type: Found::defaulted(defaults.launch_type),
            external_launch_type: Found::defaulted(defaults.external_launch_type),
            payload_limit: MAX_PAYLOAD_BYTES,
            payload: OnceLock::new(),
        };
        data.launch_type = data.find_or(&launch_data::LAUNCH_TYPE, defaults.launch_type)?;
        data.external_launch_type =
            data.find_or(&launch_data::EXTERNAL_LAUNCH_TYPE, defaults.external_launch_type)?;
        Ok(data)
    }

    /// The launch data of one operation of this process: its variables override those of the process.
    pub fn with_variables<'v>(
        &self,
        variables: impl IntoIterator<Item = (&'v str, &'v str)>,
        defaults: &Defaults,
    ) -> Result<Self, LaunchDataError> {
        let environment = self.environment.with(variables);
        Self::from_parts(self.arguments.clone(), environment, self.properties.clone(), defaults)
    }

    /// Limits payload and last progress to this many bytes.
    #[must_use]
    pub fn with_payload_limit(mut self, bytes: u64) -> Self {
        self.payload_limit = bytes;
        self
    }

    /// The command line.
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// The environment.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The properties; empty without a file.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// A file named by an argument overrides the environment, which overrides a file named by a property.
    fn file_or(
        &self,
        name: &str,
        environment: impl FnOnce() -> Result<Option<Found<String>>, PayloadError>,
    ) -> Result<Option<Found<String>>, LaunchDataError> {
        if let Some(named) = self.arguments.find(name) {
            return self.read(named).map(Some);
        }
        if let Some(found) = environment()? {
            return Ok(Some(found));
        }
        self.properties.find(name).map(|named| self.read(named)).transpose()
    }

    /// A property of the handler overrides the properties file.
    fn property(&self, key: &str) -> Option<Found<String>> {
        let of_handler = self.handler_properties.get(key).map(|value| {
            let name = format!("{}/{key}", names::environment::PROPERTIES);
            Found::new(value.clone(), Origin::Environment { name })
        });
        of_handler.or_else(|| self.properties.find(key))
    }

    fn read(&self, named: Found<String>) -> Result<Found<String>, LaunchDataError> {
        let Found { value, origin } = named;
        match read_text(Path::new(&value), self.payload_limit) {
            Ok(text) => Ok(Found::new(text, origin)),
            Err(source) => Err(LaunchDataError::File { origin, source }),
        }
    }
}

impl LaunchDataWrapper for DefaultLaunchData {
    fn field(&self, name: &FieldName) -> Option<Found<String>> {
        name.argument
            .and_then(|argument| self.arguments.find(argument))
            .or_else(|| self.environment.find(name.environment))
            .or_else(|| self.property(name.property.as_deref()?))
    }

    fn launch_type(&self) -> Found<LaunchType> {
        self.launch_type.clone()
    }

    fn external_launch_type(&self) -> Found<LaunchType> {
        self.external_launch_type.clone()
    }

    /// Reads the payload once; later calls return the same text.
    fn payload(&self) -> Result<Found<Arc<str>>, LaunchDataError> {
        if let Some(payload) = self.payload.get() {
            return Ok(payload.clone());
        }
        let found = self.file_or(names::argument::PAYLOAD_FILE, || {
            payload::decode(&self.environment, self.payload_limit)
        })?;
        let found = found.ok_or(LaunchDataError::NoPayload)?.map(Arc::from);
        Ok(self.payload.get_or_init(|| found).clone())
    }

    fn last_progress(&self) -> Result<Option<Found<String>>, LaunchDataError> {
        let inline = self.environment.find(&[names::environment::LAST_PROGRESS]);
        let in_file = self.environment.find(&[names::environment::LAST_PROGRESS_FILE]);
        match (self.arguments.find(names::argument::LAST_PROGRESS_FILE), inline, in_file) {
            (None, None, Some(named)) => self.read(named).map(Some),
            (_, inline, _) => self.file_or(names::argument::LAST_PROGRESS_FILE, || Ok(inline)),
        }
    }
}

impl fmt::Debug for DefaultLaunchData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DefaultLaunchData")
            .field("launch_type", &self.launch_type)
            .field("external_launch_type", &self.external_launch_type)
            .field("environment", &self.environment)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

/// Reads the first existing file, if any.
fn read_first(files: &[PathBuf]) -> Result<Properties, LaunchDataError> {
    for file in files {
        match Properties::read(file) {
            Err(PropertiesError::File(error)) if error.is_missing() => {}
            result => {
                let origin = Origin::Default;
                return result.map_err(|source| LaunchDataError::Properties { origin, source });
            }
        }
    }
    Ok(Properties::default())
}

#[cfg(test)]
mod tests;
