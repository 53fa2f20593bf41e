//! The store of the agenda service. [`Store::sqlite`] needs one file and nothing else; `Store::postgres` serves several
//! replicas of the service.
//!
//! The statements are written once (`ledger`) over a small port (`sql::Connection`), which each database implements.
//! A store has threads of its own, one for each connection, because both clients wait.

mod ledger;
mod migration;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod run_list;
mod sql;
mod sqlite;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use store::{Store, StoreError};

#[cfg(test)]
mod tests;
