//! The agenda service over HTTP (docs/service.md).
//!
//! `route` turns requests into calls and is pure. `desk` performs calls as transactions of the store. `server` owns
//! connections, limits and tokens. `page` is the file of the web pages, `page_desk` performs their calls, and `origin` decides
//! which requests of browsers are accepted. `timers` does what comes with time.

mod audit;
mod call;
mod check;
mod clock;
mod desk;
mod metrics;
mod origin;
mod page;
mod page_call;
mod page_desk;
mod rate;
mod reply;
mod route;
mod scope;
mod server;
mod status_report;
mod timers;
mod tls;
mod token;
mod uri;
mod zones;

pub use audit::AuditLog;
pub use check::AgendaCheck;
pub use scope::{Scope, UnknownScope};
pub use server::{AgendaServer, ServerError, ServerSettings, admit_token, issue_token};
pub use timers::{SendWebhook, WebhookRequest};
pub use tls::{Tls, TlsError};
