//! Rules that hold, skip, repeat or end an operation.
//!
//! A policy is one file (its key in `params`, how it is read, how `pop explain` says it, its rule during the run) and one
//! row in `table.rs`. The rules are pure functions of (settings, small state): nothing here waits, reads or starts anything, so
//! whatever is decided can be explained, journaled and resumed.
//!
//! Settings stand in `params` of an operation, of the agenda, or of a handler's registry entry;
//! [`Policies::resolve`] lays them over one another and keeps where each value came from.
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
mod handler;
mod ignore;
mod layer;
mod limits;
mod lock;
mod log_detail;
mod on_fail;
mod pattern;
mod policies;
mod policy;
mod read;
mod retry;
mod scope;
mod skip;
mod table;
mod verdict;

pub use cache_key::{CacheKey, KeyInput, MOST_LEAVES};
pub use handler::HandlerPolicies;
pub use ignore::IgnoredCodes;
pub use layer::{AROUND, OPERATION_ONLY};
pub use limits::Limits;
pub use lock::Lock;
pub use on_fail::OnFail;
pub use pattern::{Pattern, PatternError, PatternMatch};

pub use retry::Retry;
pub use scope::{Scope, ScopedValue};
pub use table::{POLICIES, Policies, PolicyLayer, PolicyLine};
pub use verdict::{FailedAttempt, PolicyDecision, verdict};
