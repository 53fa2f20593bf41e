//! An agenda: the document as written, its plan, its schedule, its events.
//!
//! Three stages, three types. [`Agenda`] is what stands in the file. [`Plan`] is what can run: only
//! [`Plan::build`] makes one, and it finds every fault before it refuses. [`Scheduler`] is a plan in motion: a
//! value with one method, [`Scheduler::step`], that turns what happened into facts and into orders. It has no
//! clock, no files and no tasks; its state changes only by [`Scheduler::evolve`], so live running and resuming
//! from a journal are the same code.
//!
//! ```
//! use pop_agenda::{Agenda, Input, Plan, RunEvent, RunOptions, RunTime, Scheduler, Verdict};
//! use pop_document::Source;
//! use pop_contract::LaunchType;
//! use pop_registry::Catalog;
//!
//! let source = Source::new("a.yaml", b"operations: [{name: a, type: logMessages, payload: {}}]").unwrap();
//! let mut faults = Vec::new();
//! let agenda = Agenda::parse(source.read().unwrap(), &mut faults).unwrap();
//! let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap();
//!
//! let mut scheduler = Scheduler::new(plan, RunOptions::default());
//! let step = scheduler.step(RunTime(0), Input::Begun { run: "r1".into(), started: 0, adopted: vec![] });
//! let pop_agenda::Action::Launch { op, attempt, .. } = step.actions[0] else { unreachable!() };
//! let verdict = Verdict::succeeded(serde_json::json!({}));
//! let step = scheduler.step(RunTime(5), Input::Ended { op, attempt, verdict });
//! assert!(matches!(step.events.last(), Some(RunEvent::RunEnded { .. })));
//! ```

mod document;
mod event;
mod gate;
mod history;
mod name;
mod ops;
mod outcome;
mod plan;
mod reference;
mod schedule;
pub mod schema;

pub use document::{Agenda, DependsOn, ForEach, Generator, Identity, Operation, RareParams};
pub use event::{
    CancelReason, Ending, EventRecord, PriorOutcome, RunEvent, RunOptions, RunOutcome, RunTime, Sink,
    StopReason,
};
pub use gate::{Answer, CacheAsk, Gate};
pub use history::{
    Admission, Attempt, Backoff, FailedStart, GateHolder, GateWait, History, OperationHistory, StopRequest,
};
pub use name::{NameError, OperationName};
pub use ops::{OpIx, OpMap};
pub use outcome::{Outcome, Outcomes};
pub use plan::{
    BindError, BoundPayload, Dependant, Edge, EdgeKind, Graph, Origin, Payload, Plan, PlannedOperation,
    RareFields, Serves,
};
pub use reference::{Fallback, Piece, Token, pieces};
pub use schedule::{Action, Explanation, Hold, Input, OpState, Scheduler, Step, Tally, Verdict};
