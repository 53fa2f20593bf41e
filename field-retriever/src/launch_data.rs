//! One look-up over arguments, environment and the properties file, each value with its origin.

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

/// What a process was given at its start; another implementation may take the place of the default one.
///
/// [`TypedFields`] adds getters of every type, also to `dyn LaunchDataWrapper`.
pub trait LaunchDataWrapper: Send + Sync {
    /// Finds the text of a setting: argument before environment before property.
    fn field(&self, name: &FieldName) -> Option<Found<String>>;

    /// Tells how this process was launched.
    fn launch_type(&self) -> Found<LaunchType>;

    /// Tells how this process launches what it calls.
    fn external_launch_type(&self) -> Found<LaunchType>;

    /// Returns the payload; to have none is an error that says how to give one.
    fn payload(&self) -> Result<Found<Arc<str>>, LaunchDataError>;

    /// Returns the progress of an earlier attempt as text, which need not be JSON.
    fn last_progress(&self) -> Result<Option<Found<String>>, LaunchDataError>;

    /// Returns what is needed to reach a cluster from outside; only half of it is an error.
    fn oauth(&self) -> Result<Option<Oauth>, OauthError> {
        oauth::find(|name| self.field(name))
    }

    /// Returns the path of the certificate file, as named by an argument or a property.
    fn oauth_cert_path(&self) -> Option<Found<PathBuf>> {
        Some(self.field(&launch_data::OAUTH_CERT_PATH)?.map(PathBuf::from))
    }

    /// Returns the path of the token file, as named by an argument or a property.
    fn oauth_token_path(&self) -> Option<Found<PathBuf>> {
        Some(self.field(&launch_data::OAUTH_TOKEN_PATH)?.map(PathBuf::from))
    }

    /// Returns the certificate that the environment holds.
    fn oauth_cert(&self) -> Option<Found<Secret>> {
        Some(self.field(&launch_data::OAUTH_CERT)?.map(Secret::new))
    }

    /// Returns the token that the environment holds.
    fn oauth_token(&self) -> Option<Found<Secret>> {
        Some(self.field(&launch_data::OAUTH_TOKEN)?.map(Secret::new))
    }

    /// Returns the correlation identifier; the caller makes one when there is none.
    fn cid(&self) -> Option<Found<String>> {
        self.field(&launch_data::CID)
    }

    /// Returns the identifier of the agenda.
    fn agenda_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::AGENDA_ID)
    }

    /// Returns the identifier of the customer.
    fn customer_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::CUSTOMER_ID)
    }

    /// Returns the name of the operation.
    fn operation_name(&self) -> Option<Found<String>> {
        self.field(&launch_data::OPERATION_NAME)
    }

    /// Returns the identifier of the operation.
    fn operation_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::OPERATION_ID)
    }

    /// Returns the identifier that every progress report of the agenda carries.
    fn progress_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::PROGRESS_ID)
    }

    /// Returns the level of the log.
    fn log_level(&self) -> Option<Found<String>> {
        self.field(&launch_data::LOG_LEVEL)
    }

    /// Returns the identifier of the run.
    fn run_id(&self) -> Option<Found<String>> {
        self.field(&launch_data::RUN_ID)
    }

    /// Returns the name of the own pod.
    fn pod_name(&self) -> Option<Found<String>> {
        self.field(&launch_data::POD_NAME)
    }

    /// Returns the number of this attempt at the operation.
    fn attempt(&self) -> Result<Option<Found<u32>>, FieldError> {
        self.field(&launch_data::ATTEMPT).map(Found::parse).transpose()
    }
}

/// Typed getters; a value of the wrong type is an error and never the default.
pub trait TypedFields: LaunchDataWrapper {
    /// Finds a setting that need not be given.
    fn find<T: FieldValue>(&self, name: &FieldName) -> Result<Option<Found<T>>, FieldError> {
        self.field(name).map(Found::parse).transpose()
    }

    /// Finds a setting, or takes the default when nobody gives it.
    fn find_or<T: FieldValue>(&self, name: &FieldName, default: T) -> Result<Found<T>, FieldError> {
        Ok(self.find(name)?.unwrap_or(Found::defaulted(default)))
    }

    /// Finds a setting that must be given.
    fn require<T: FieldValue>(&self, name: &FieldName) -> Result<Found<T>, FieldError> {
        self.find(name)?.ok_or_else(|| FieldError::Missing { name: name.clone() })
    }

    /// Finds a setting of a type that has its own words and its own error.
    fn find_word<T>(&self, name: &FieldName) -> Result<Option<Found<T>>, FieldError>
    where
        T: FromStr,
        T::Err: Error + Send + Sync + 'static,
    {
        self.field(name).map(Found::parse_word).transpose()
    }
}

impl<W: LaunchDataWrapper + ?Sized> TypedFields for W {}

/// What holds when nobody says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defaults {
    /// How the process was launched.
    pub launch_type: LaunchType,
    /// How it launches what it calls.
    pub external_launch_type: LaunchType,
    /// Properties files of which the first that exists is read.
    pub property_files: Vec<PathBuf>,
}

impl Defaults {
    /// Returns the defaults of a handler, which usually is in a pod.
    pub fn handler() -> Self {
        Self::of(LaunchType::Kubernetes)
    }

    /// Returns the defaults of the executor, which usually is on the user's machine.
    pub fn executor() -> Self {
        Self::of(LaunchType::Local)
    }

    fn of(launch_type: LaunchType) -> Self {
        let property_files = names::PROPERTY_FILES.map(PathBuf::from).into();
        Self { launch_type, external_launch_type: launch_type, property_files }
    }
}

/// Launch data that cannot be used.
#[derive(Debug, Error)]
pub enum LaunchDataError {
    /// The command line is wrong.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// A setting has the wrong type.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The properties file that somebody named, or a default one that exists, cannot be used.
    #[error("properties file named by {origin} is not usable")]
    Properties {
        /// Who named it.
        origin: Origin,
        /// What is wrong with it.
        #[source]
        source: PropertiesError,
    },
    /// A file that somebody named for payload or progress cannot be used.
    #[error("file named by {origin} is not usable")]
    File {
        /// Who named it.
        origin: Origin,
        /// What is wrong with it.
        #[source]
        source: FileError,
    },
    /// The payload in the environment cannot be used.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// What the environment says of properties is no map of texts.
    #[error("environment variable `POP_PROPERTIES` is no JSON map of texts")]
    GivenProperties(#[source] serde_json::Error),
    /// There is no payload.
    #[error("no payload; give `--payloadFile FILE` or set the environment variable `PAYLOAD`")]
    NoPayload,
}

impl LaunchDataError {
    /// Says how to mend it, where the message itself does not.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Argument(error) => Some(error.hint()),
            Self::Field(error) => Some(error.hint()),
            Self::Properties { source, .. } => Some(source.hint()),
            Self::File { .. } => Some("name a readable file of UTF-8 text within the size limit".to_owned()),
            Self::Payload(error) => Some(error.hint().to_owned()),
            Self::GivenProperties(_) | Self::NoPayload => None,
        }
    }
}

/// Launch data from the command line, the environment and one properties file.
///
/// The property key of a launch datum is the name of its argument.
pub struct DefaultLaunchData {
    arguments: Arguments,
    environment: Environment,
    properties: Properties,
    /// Properties of this handler alone, which the registry gives in the environment.
    given: BTreeMap<String, String>,
    launch_type: Found<LaunchType>,
    external_launch_type: Found<LaunchType>,
    payload_limit: u64,
    payload: OnceLock<Found<Arc<str>>>,
}

impl DefaultLaunchData {
    /// Reads a command line without the program's name, and the properties file that it or others name.
    pub fn load<A>(argv: A, environment: Environment, defaults: &Defaults) -> Result<Self, LaunchDataError>
    where
        A: IntoIterator,
        A::Item: Into<OsString>,
    {
        Self::from_arguments(Arguments::parse(argv, &[])?, environment, defaults)
    }

    /// Does the same with a command line already taken apart, which may have arguments of the caller.
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

    /// Joins the three sources; reads no file.
    pub fn from_parts(
        arguments: Arguments,
        environment: Environment,
        properties: Properties,
        defaults: &Defaults,
    ) -> Result<Self, LaunchDataError> {
        let given = match environment.value(names::environment::PROPERTIES) {
            Some(json) => serde_json::from_str(json).map_err(LaunchDataError::GivenProperties)?,
            None => BTreeMap::new(),
        };
        let mut data = Self {
            arguments,
            environment,
            properties,
            given,
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

    /// Bounds the payload and the last progress to this many bytes.
    #[must_use]
    pub fn with_payload_limit(mut self, bytes: u64) -> Self {
        self.payload_limit = bytes;
        self
    }

    /// Returns the command line.
    pub fn arguments(&self) -> &Arguments {
        &self.arguments
    }

    /// Returns the environment.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Returns the properties; without a file they are empty.
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// A file that an argument names beats the environment, which beats a file that a property names.
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

    /// A property of this handler alone beats one of the file, which is for many.
    fn property(&self, key: &str) -> Option<Found<String>> {
        let given = self.given.get(key).map(|value| {
            let name = format!("{}/{key}", names::environment::PROPERTIES);
            Found::new(value.clone(), Origin::Environment { name })
        });
        given.or_else(|| self.properties.find(key))
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

    /// Reads the payload once; later calls give the same text.
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

/// Reads the first file that exists; to have none is fine.
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
