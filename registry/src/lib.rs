//! Handlers: who they are, and what they say.
//!
//! A [`Catalog`] knows which handler serves an operation type; what these and the executor say to one another
//! is in `pop-contract`. Pure: the caller reads the files.
//!
//! ```
//! use pop_document::Source;
//! use pop_contract::LaunchType;
//! use pop_registry::{Catalog, RouteRequest, Target, route};
//!
//! let text = br#"{"basePodConfig": {"cpuMinRequestCount": "250m"},
//!                 "probe": {"command": ["bin/probe"], "podConfig": {"imageName": "media/probe:1"}}}"#;
//! let source = Source::new("registry.json", text).unwrap();
//! let mut faults = Vec::new();
//! let catalog = Catalog::build(Some(&source), &mut faults);
//! assert!(faults.is_empty());
//! let target = |name| route(&catalog, &RouteRequest::of_type(name, LaunchType::Local)).map(|routed| routed.target);
//! assert!(matches!(target("probe"), Ok(Target::Program(_))));
//! assert!(matches!(target("exec"), Ok(Target::Exec)));
//! let entry = catalog.entry("probe").unwrap();
//! assert_eq!(entry.pod.cpu_request.unwrap().millis(), 250);
//! assert_eq!(entry.pod_config["cpuMinRequestCount"].value, "250m");
//! ```

mod argv;
mod catalog;
mod conf_d;
mod entry;
mod exec;
mod pod_config;
mod registry_json;
mod reload;
mod route;
mod routing;
mod secret;
mod target;

pub use argv::ARGUMENT_LIMIT;
pub use catalog::Catalog;
pub use conf_d::Descriptor;
pub use entry::{Describe, DescriptorFields, Entry};
pub use exec::{Capture, ExecPayload};
pub use pod_config::{
    AliveCheck, ConfigMapSetting, Cpu, HostPath, Layer, Memory, Nfs, PodConfig, QuantityError, SourcedValue,
    Taints, field_names as pod_config_fields,
};
pub use reload::{Change, ReloadReport};
pub use route::{NoRoute, PassedOver, RouteRequest, RouteStep, RoutedHandler, Why, route};
pub use routing::{AGENDA, LOCAL, Role, Routing};
pub use secret::{LocalSecret, Secret, SecretKey, SecretSource};
pub use target::{Resident, Target};
