//! Handlers: who they are, and what they say.
//!
//! A [`Catalog`] knows which handler serves an operation type; the modules under [`contract`] are the words
//! that executor and handler exchange. Pure: the caller reads the files.
//!
//! ```
//! use pop_document::Source;
//! use pop_registry::contract::LaunchType;
//! use pop_registry::{Catalog, Request, Target, route};
//!
//! let text = br#"{"basePodConfig": {"cpuMinRequestCount": "250m"},
//!                 "probe": {"command": ["bin/probe"], "podConfig": {"imageName": "media/probe:1"}}}"#;
//! let source = Source::new("registry.json", text).unwrap();
//! let mut faults = Vec::new();
//! let catalog = Catalog::build(Some(&source), &mut faults);
//! assert!(faults.is_empty());
//! let target = |name| route(&catalog, &Request::of_type(name, LaunchType::Local)).map(|routed| routed.target);
//! assert!(matches!(target("probe"), Ok(Target::Program(_))));
//! assert!(matches!(target("exec"), Ok(Target::Exec)));
//! let entry = catalog.entry("probe").unwrap();
//! assert_eq!(entry.pod.cpu_request.unwrap().millis(), 250);
//! assert_eq!(entry.pod_config["cpuMinRequestCount"].value, "250m");
//! ```

mod argv;
mod catalog;
mod conf_d;
pub mod contract;
mod entry;
mod exec;
mod mask;
mod pod_config;
mod registry_json;
mod reload;
mod route;
mod routing;
pub mod schema;
mod secret;
mod target;

pub use argv::ARGUMENT_LIMIT;
pub use catalog::Catalog;
pub use conf_d::Descriptor;
pub use entry::{Declared, Describe, Entry};
pub use exec::{Capture, ExecPayload};
pub use mask::{Mask, MaskStream};
pub use pod_config::{
    AliveCheck, ConfigMapSetting, Cpu, HostPath, Layer, Memory, Nfs, PodConfig, QuantityError, Sourced,
    Taints, field_names as pod_config_fields,
};
pub use reload::{Change, Reloaded};
pub use route::{NoRoute, PassedOver, Request, Routed, Step, Why, route};
pub use routing::{AGENDA, LOCAL, Role, Routing};
pub use secret::{LocalSecret, Secret, SecretKey, SecretSource};
pub use target::{Resident, Target};
