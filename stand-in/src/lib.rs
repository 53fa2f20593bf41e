//! A stand-in for a Kubernetes API server and its node, for tests: real HTTPS, real objects, watches and errors, and pods
//! that are really run, as processes of this machine or as containers of the local Docker Engine.
//!
//! [`StandIn::start`] starts one on a port of its own; it ends with everything that it started when it is dropped.
//!
//! Tests that are no Rust start the program `pop-stand-in` and order the same things below `/_stand-in/`, with the
//! admin's token and JSON: `POST faults` (a [`FaultRule`], `{"method": "POST", "path": "/pods", "times": 1, "action":
//! {"answer": {"status": 429, "retryAfter": 1}}}`; actions without fields are words, `"resetAfter"`), `DELETE faults`,
//! `GET` and `DELETE requests`, `POST compact`, `webhook` (`{"says": "denies"}`), `node` (`{"isLost": true}`), `evict`,
//! `preempt` (`{"namespace": …, "name": …}` of a pod), `token` and `rotate-token` (of a service account). The node's size
//! and labels, quotas, limits and pod security are objects and labels as in any cluster.
//!
//! It is as unkind as a real node: only the first grace of a deletion counts; a program that is process 1 of its pod
//! ignores signals that it does not handle (not with `shareProcessNamespace: true`); a pod that never ran is deleted as
//! failed with 137; a log stream closes a while after the end; objects beyond 1.5 MiB are answered with 500.
//!
//! What it is not: it has one node; images are not pulled; probes are not run and a container that runs is ready;
//! quotas count pods only; jobs and other objects are kept and
//! nothing is done for them. Under [`Backend::Process`] a container is its `command` and `args` as a process of this
//! machine: mounts are not where `mountPath` says but below `$POP_STAND_IN_ROOT`, and `KUBECONFIG` names a file with the
//! service account's token.

mod admission;
mod body;
mod cluster;
mod config;
mod control;
mod deletion;
mod discovery;
mod disruption;
mod failure;
mod fault;
mod field_owner;
mod kind;
mod kubelet;
mod log;
mod log_view;
mod object;
mod patch;
mod pod_order;
mod quantity;
mod rbac;
mod request;
mod route;
mod selector;
mod server;
mod stand_in;
mod store;
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
pub use stand_in::{Refused, StandIn, StartError};
pub use tls::TlsError;
