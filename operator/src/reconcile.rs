//! One pass over one parent: call the handler, plan the writes.

use crate::finalizer::{Phase, add_finalizer, phase};
use crate::handler::{Error, Handler, SyncRequest};
use crate::kinds::OperatorConfig;
use crate::settle::SettleGuard;
use crate::validate::ChildFault;
use crate::write::Write;
use crate::write_plan::{plan_finalize, plan_sync};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

/// What one pass decides.
#[derive(Debug, Clone, PartialEq)]
pub struct Pass {
    /// What was done about the parent.
    pub phase: Phase,
    /// The writes, in order. After an error of one, those behind it are left out except the status, and the pass counts as
    /// failed.
    pub writes: Vec<Write>,
    /// Time until the next pass if nothing changes; none waits for a change.
    pub again_after: Option<Duration>,
    /// Whether the handler answered an error with this pass. Its writes are performed, and it counts as failed.
    pub has_failed: bool,
}

/// A pass that changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The handler returned an error.
    #[error("the handler failed: {0}")]
    Handler(#[source] Error),
    /// The handler panicked.
    #[error("the handler panicked: {0}")]
    Panic(String),
    /// Children of the response cannot be written. None of them are.
    #[error("{} of the response cannot be written, so nothing is: {}", count(.0), list(.0))]
    Children(Vec<ChildFault>),
}

fn count(faults: &[ChildFault]) -> String {
    match faults.len() {
        1 => "a child".to_owned(),
        count => format!("{count} children"),
    }
}

fn list(faults: &[ChildFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Calls the handler if the phase of the parent asks for it, and plans the writes. With a [`Write::Probe`], the next
/// pass follows at once.
pub fn reconcile(
    config: &OperatorConfig,
    handler: &dyn Handler,
    request: &SyncRequest,
    guard: &SettleGuard,
) -> Result<Pass, ReconcileError> {
    let phase = phase(config, &request.parent);
    let mut pass = match phase {
        Phase::New => {
            let writes = add_finalizer(config, &request.parent).into_iter().collect();
            Pass { phase, writes, again_after: Some(Duration::ZERO), has_failed: false }
        }
        Phase::Live => {
            let response = call(|| handler.sync(request))?;
            let writes = plan_sync(config, request, &response, guard).map_err(ReconcileError::Children)?;
            Pass { phase, writes, again_after: response.resync, has_failed: response.has_failed }
        }
        Phase::Finalizing => {
            let response = call(|| handler.finalize(request))?;
            let writes =
                plan_finalize(config, request, &response, guard).map_err(ReconcileError::Children)?;
            Pass { phase, writes, again_after: response.retry, has_failed: response.has_failed }
        }
        Phase::Leaving => Pass { phase, writes: Vec::new(), again_after: None, has_failed: false },
    };
    if pass.writes.iter().any(|write| matches!(write, Write::Probe(_))) {
        pass.again_after = Some(Duration::ZERO);
    }
    Ok(pass)
}

fn call<T>(handler: impl FnOnce() -> Result<T, Error>) -> Result<T, ReconcileError> {
    // a handler is called with a reference only, so a panic leaves no half-changed value of ours behind
    match catch_unwind(AssertUnwindSafe(handler)) {
        Ok(answer) => answer.map_err(ReconcileError::Handler),
        Err(panic) => Err(ReconcileError::Panic(words(panic.as_ref()))),
    }
}

fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message").to_owned()
}
