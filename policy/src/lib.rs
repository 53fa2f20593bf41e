//! Policies: the rules that order, lock, delay, skip, retry or end an operation.
//!
//! Each policy is one file and one row in `table.rs`. The file has its key in `params`, its reader, its text for
//! `pop explain`, and its rule during the run. The rules are pure functions of settings and a small state. Nothing here
//! waits, reads files or starts processes, so every decision can be explained, journaled and resumed.
//!
//! Settings come from the `params` of an operation or an agenda, or from the `policies` of a registry entry.
//! [`Policies::resolve`] merges them and records the scope of each value.
//!
//! ```
//! use pop_policy::{verdict, FailedAttempt, OnFail, Policies, PolicyLayer, Scope, PolicyDecision};
//! use serde_json::json;
//!
//! let mut faults = Vec::new();
//! let params = json!({"retry": {"maxAttempts": 2, "delayMs": 500}});
//! let layer = PolicyLayer::parse(&params, "/operations/0/params".into(), &mut faults);
//! let policies = Policies::resolve(&[(Scope::Operation, &layer)]);
//!
//! let failing = FailedAttempt { codes: &["exit", "1"], repeatable: true, failures: 1 };
//! assert_eq!(verdict(&policies, &failing), PolicyDecision::Retry { delay_ms: 500 });
//! assert_eq!(verdict(&policies, &FailedAttempt { failures: 2, ..failing }), PolicyDecision::Settle(OnFail::Reply));
//! ```

mod cache;
mod cache_key;
mod choice;
mod delay;
mod foreign_keys;
mod handler;
mod ignore;
mod keys;
mod layer;
mod limits;
mod lock;
mod log_detail;
mod on_fail;
mod pattern;
mod policies;
mod policy;
mod priority;
mod quantity;
mod read;
mod resources;
mod retry;
mod scope;
mod skip;
mod table;
mod unknown_key;
mod verdict;

pub use cache_key::{CacheKey, KeyFiles, KeyInput, MOST_LEAVES};
pub use handler::HandlerPolicies;
pub use ignore::IgnoredCodes;
pub use keys::{AGENDA_FIELDS, AROUND, EXEC_FIELDS, Level, OPERATION_FIELDS, OPERATION_ONLY, OWN_KEY_PREFIX};
pub use limits::Limits;
pub use lock::Lock;
pub use on_fail::OnFail;
pub use pattern::{Pattern, PatternError, PatternMatch};
pub use quantity::{Cpu, Memory, QuantityError, quantity};
pub use resources::{CPU, MEMORY, NeededResources, ResourceError, Resources};
pub use retry::Retry;
pub use scope::{Scope, ScopedValue};
pub use table::{POLICIES, Policies, PolicyLayer, PolicyLine};
pub use unknown_key::Advice;
pub use verdict::{FailedAttempt, PolicyDecision, verdict};
