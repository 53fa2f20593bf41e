//! A stand-in for a Kubernetes API server and its node, for tests: real HTTPS, objects, watches and errors, and pods that
//! really run, as local processes or as containers of the local Docker Engine.
//!
//! [`StandIn::start`] starts one on its own port. Dropping it ends everything that it started.
//!
//! Tests not in Rust start the program `pop-stand-in` and use its control API below `/_stand-in/`, with the admin token
//! and JSON: `POST faults` (a [`FaultRule`], `{"method": "POST", "path": "/pods", "times": 1, "action":
//! {"answer": {"status": 429, "retryAfter": 1}}}`; actions without fields are strings, `"resetAfter"`), `DELETE faults`,
//! `GET` and `DELETE requests`, `POST compact`, `webhook` (`{"says": "denies"}`), `node` (`{"isLost": true}`), `evict`,
//! `preempt` (`{"namespace": …, "name": …}` of a pod), `token` and `rotate-token` (of a service account). Node size and
//! labels, quotas, limits and pod security are objects and labels, as in any cluster.
//!
//! It reproduces the traps of a real node:
//! - only the first grace of a deletion counts;
//! - process 1 of a pod ignores signals that it does not handle (not with `shareProcessNamespace: true`);
//! - a pod that never ran is deleted as failed with 137;
//! - a log stream closes a while after the end;
//! - objects of more than 1.5 MiB are answered with 500.
//!
//! A CustomResourceDefinition is served shortly after its creation. Its schema sets defaults, prunes unknown fields and
//! refuses wrong values with the words of a real server; `fieldValidation` is followed. Definitions with all their objects
//! are deleted like in a real server. [`Config::kinds`] adds kinds without a schema.
//!
//! Its limits: one node; no image pulls; no probes, so a running container is ready; quotas count only pods; jobs and
//! other objects are stored without effect; no `x-kubernetes-validations` and no conversion webhooks. Under
//! [`Backend::Process`] a container is its `command` and `args` as a local process: mounts are below
//! `$POP_STAND_IN_ROOT` instead of at `mountPath`, and `KUBECONFIG` names a file with the service account's token.

mod admission;
mod body;
mod cluster;
mod config;
mod control;
mod custom;
mod deletion;
mod discovery;
mod disruption;
mod failure;
mod fault;
mod field_owner;
mod field_path;
mod kind;
mod kubelet;
mod list_type;
mod log;
mod log_view;
mod object;
mod openapi;
mod patch;
mod pod_order;
mod quantity;
mod rbac;
mod representation;
mod request;
mod route;
mod selector;
mod served;
mod server;
mod stand_in;
mod store;
mod strategic_merge;
mod target;
mod tls;
mod validate;
mod watch;
mod write_rules;

pub use cluster::Webhook;
pub use config::{Backend, Config, NodeConfig};
pub use fault::{FaultAction, FaultRule};
pub use kind::Kind;
pub use request::Request;
pub use stand_in::{ControlError, StandIn, StartError};
pub use tls::TlsError;
