//! An agenda: its document, plan, schedule and events.
//!
//! There are three stages with one type each. [`Agenda`] is the file as parsed. [`Plan`] is a checked agenda that can
//! run: only [`Plan::build`] makes one, and it reports all faults at once. [`Scheduler`] runs a plan: its method
//! [`Scheduler::step`] turns an input into events to record and actions to do. It has no clock, files or tasks. Only
//! [`Scheduler::evolve`] changes its state, so running and resuming from a journal use the same code.
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
//! let step = scheduler.step(RunTime(0), Input::Begun { run: "r1".into(), started: 0, adopted: Default::default() });
//! let pop_agenda::Action::Launch { op, attempt, .. } = step.actions[0] else { unreachable!() };
//! let verdict = Verdict::succeeded(serde_json::json!({}));
//! let step = scheduler.step(RunTime(5), Input::Ended { op, attempt, verdict });
//! assert!(matches!(step.events.last(), Some(RunEvent::RunEnded { .. })));
//! ```

mod document;
mod event;
mod exact_value;
mod files;
mod gate;
mod history;
mod name;
mod ops;
mod outcome;
mod parent_record;
mod plan;
mod policy_arguments;
mod reference;
mod resource_totals;
mod reuse;
mod schedule;
pub mod schema;

pub use document::{
    Agenda, AgendaFile, AgendaFiles, DependsOn, DependsOnGroup, Finally, ForEach, Generator, GivenInput,
    GivenValue, Identity, InputSpec, InputSpecs, InputType, ItemFailures, OPERATIONS, Operation,
    OperationList, PAYLOAD, RareParams,
};
pub use event::{
    CancelReason, Ending, EventRecord, PriorOutcome, PriorOutcomes, RunEvent, RunOptions, RunOutcome,
    RunTime, Sink, StopReason,
};
pub use files::{DeclaredFiles, FilePattern, FileRecord, PatternStep, RecordedFiles};
pub use gate::{Answer, CacheAsk, Gate};
pub use history::{
    Admission, Attempt, Backoff, ExecutorPeriod, FailedStart, GateHolder, GateWait, History,
    OperationHistory, ReplayedLetter, ReusedResult, StopRequest,
};
pub use name::{NameError, OperationName};
pub use ops::{OpIx, OpMap};
pub use outcome::{Outcome, Outcomes};
pub use parent_record::{
    OperationIdentity, ParentRecord, ReusableResult, failed_operations, skipped_by_condition,
};
pub use plan::{
    BindError, Body, BoundPayload, Dependant, Edge, EdgeKind, Graph, Needs, OpRef, Origin, OutcomeGroup,
    Payload, Plan, PlannedFiles, PlannedOperation, RareFields, Serves, SourceFile, When,
};
pub use policy_arguments::{ArgumentFault, check_policy_arguments, override_policies, take_argument_faults};
pub use pop_policy::Resources;
pub use reference::{Fallback, Piece, Token, pieces};
pub use resource_totals::ResourceTotals;
pub use reuse::{NamedFile, ParentRun};
pub use schedule::{
    Action, Commit, Explanation, Hold, Input, OpState, ResourceWait, Scheduler, Shortage, Step, Tally,
    Verdict, resource_waits,
};
