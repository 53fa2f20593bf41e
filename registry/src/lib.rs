//! Registries and descriptors of handlers, and the choice of the handler for an operation.
//!
//! A [`Catalog`] contains the handlers of each operation type; [`route`] chooses one. The contract between handlers
//! and executor is in `pop-contract`. This crate is pure: the caller reads the files.
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

mod capture;
mod catalog;
mod descriptor;
mod entry;
mod exec_limits;
mod exec_payload;
mod payload_delivery;
mod pod_config;
mod program_text;
mod registry_json;
mod reload;
mod route;
mod routing;
mod secret;
mod target;
mod warm;

pub use capture::Capture;
pub use catalog::Catalog;
pub use descriptor::Descriptor;
pub use entry::{Describe, DescriptorFields, Entry};
pub use exec_limits::ARGUMENT_LIMIT;
pub use exec_payload::ExecPayload;
pub use payload_delivery::PayloadDelivery;
pub use pod_config::{
    AliveCheck, ConfigMapSetting, HostPath, Layer, Nfs, PodConfig, SourcedValue, Taints,
    field_names as pod_config_fields,
};
pub use pop_policy::{Cpu, Memory, QuantityError};
pub use pop_warm::PoolSettings as WarmSettings;
pub use program_text::ProgramText;
pub use reload::{Change, ReloadReport};
pub use route::{NoRoute, RejectedHandler, RejectionReason, RouteRequest, RouteStep, RoutedHandler, route};
pub use routing::{AGENDA, LOCAL, Role, Routing};
pub use secret::{LocalSecret, Secret, SecretKey, SecretSource};
pub use target::{Resident, Target};
