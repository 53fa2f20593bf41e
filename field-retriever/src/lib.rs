//! Finds the settings of a process in arguments, environment and one properties file, with the origin of each value.
//!
//! These settings are called *launch data*; a *field* is one of them. An argument overrides the environment, which overrides
//! the properties file, which overrides the default. If a value has the wrong type, the error says where the value was set;
//! the default never replaces it.
//!
//! ```
//! use pop_field_retriever::{
//!     Arguments, DefaultLaunchData, Defaults, Environment, FieldName, LaunchDataWrapper, LaunchType, Properties,
//!     TypedFields, names::property,
//! };
//! use std::path::Path;
//!
//! let launch = DefaultLaunchData::from_parts(
//!     Arguments::parse(["--launch-type=Local"], &[])?,
//!     Environment::from_pairs([("PAYLOAD", "{}"), ("CID", "c-1")]),
//!     Properties::parse(Path::new("external.properties"), b"metrics.enabled = yes")?,
//!     &Defaults::handler(),
//! )?;
//! assert_eq!(launch.launch_type().value, LaunchType::Local);
//! assert_eq!(launch.launch_type().origin.to_string(), "argument `launchType`");
//! assert_eq!(&*launch.payload()?.value, "{}");
//!
//! let size = launch.find_or(&FieldName::of_property(property::CONDUCTOR_THREAD_POOL_SIZE), 50_u64)?;
//! assert_eq!((size.value, size.origin.to_string()), (50, "the default".to_owned()));
//!
//! let metrics = launch.find_or(&FieldName::of_property(property::METRICS_ENABLED), false);
//! assert_eq!(
//!     metrics.unwrap_err().to_string(),
//!     "`yes` of property `metrics.enabled` (external.properties:1) is not `true` or `false`"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod arguments;
pub mod environment;
pub mod field;
pub mod file;
pub mod intermediate;
pub mod launch_data;
pub mod names;
pub mod oauth;
pub mod payload;
pub mod properties;

pub use arguments::{ArgumentError, Arguments, Flag};
pub use environment::Environment;
pub use field::{FieldError, FieldName, FieldValue, Found, Origin};
pub use file::FileError;
pub use intermediate::{IntermediateError, intermediate_path};
pub use launch_data::{DefaultLaunchData, Defaults, LaunchDataError, LaunchDataWrapper, TypedFields};
pub use oauth::{Oauth, OauthError, Secret};
pub use payload::{MAX_PAYLOAD_BYTES, PayloadError, PayloadRule};
pub use pop_contract::LaunchType;
pub use properties::{Properties, PropertiesError, Property, PropertyWarning};
