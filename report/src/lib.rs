//! Reports about a run. [`Report::of`] derives the report from the [`History`](pop_agenda::History) of the run; each
//! module of [`mod@format`] writes it in one format.
//!
//! *Guarantee.* Everything in a report follows from the events of the run and the [`RunFacts`] of its folder. Names,
//! messages and logs are data of strangers: each format shows them as text, and cuts what is very long with a note.

mod attempt_end;
mod build;
mod command;
mod critical_path;
mod cut;
mod facts;
pub mod format;
mod model;
mod slot_use;
mod wait;

pub use command::{command, repeat_command};
pub use facts::{RepeatedOptions, RunFacts, RunState};
pub use model::{
    AttemptEnding, AttemptReport, CriticalPath, OperationReport, OperationState, OriginKind, OutcomeCounts,
    PathStep, Report, RunReport, StateCount, Usage, VERSION, Wait, WaitKind, WaitTotal,
};
