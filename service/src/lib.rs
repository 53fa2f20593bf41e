//! The rules of the agenda service: objects, queue, leases, progress, rerun, templates and insights.
//!
//! [`Service`] performs a request within one transaction of the store, which is the port [`Ledger`]. [`Work`] is the
//! state machine of an agenda: who may run it, and how often. [`Standing`] gives each queued agenda its place. Nothing
//! here has a clock, files or a network.

mod calendar;
mod cron;
mod error;
mod insight;
mod ledger;
mod ledger_error;
mod object;
mod progress;
mod references;
mod rerun;
mod run_list;
mod service;
mod template;
mod turn;
mod work;

pub use calendar::Calendar;
pub use cron::{Cron, CronError, Minute};
pub use error::ServiceError;
pub use insight::select as select_insight;
pub use ledger::{Ledger, QueueDepth};
pub use ledger_error::LedgerError;
pub use object::{Field, Kind, Object, Query};
pub use progress::{COMPLETE, EXECUTING, WAITING, report_of, summary};
pub use rerun::{RerunEffect, RerunWords, Reset};
pub use run_list::{RunFilter, RunOrder, RunRow, RunState};
pub use service::{
    AgendaOverview, CreatedAgenda, DEFAULT_CUSTOMER, Delivery, Effects, Ids, LONGEST_LOG, LONGEST_REPORT,
    LogTail, Loss, MOST_LOGS, OperationStatus, PullRequest, PulledAgenda, Rules, Service,
};
pub use template::instantiate;
pub use turn::{Algorithm, Standing};
pub use work::{
    DEFAULT_ATTEMPTS, Fence, Lease, MOST_ATTEMPTS, MOST_DELIVERIES, Next, Report, Work, WorkOutcome,
    WorkState,
};
