//! Arguments of `pop rerun`.

use super::inputs::PlanningArgs;
use super::resources::ResourceArgs;
use super::run::run_id;
use super::shared::{GoArgs, LaunchArgs, RunsFolder, StrictArg};
use crate::completion;
use clap::Args;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use std::path::PathBuf;

/// `pop rerun`
#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    /// Run whose unchanged results are reused, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs), conflicts_with_all = ["payload_file", "last_progress_file"])]
    pub(crate) run: String,
    /// Run these operations even if nothing changed; NAME#3 is one item of a forEach
    #[arg(value_name = "OPERATION", add = ArgValueCandidates::new(completion::operations))]
    pub(crate) operations: Vec<String>,
    /// Run this operation and all that depends on it even if nothing changed; repeatable
    #[arg(long, value_name = "OPERATION", add = ArgValueCandidates::new(completion::operations))]
    pub(crate) from: Vec<String>,
    /// Like --from for each operation that failed, ignored failures and dead letters included; an error if none failed.
    /// Without it, these run too, but an operation that read a failed one is reused if the value is the same
    #[arg(long)]
    pub(crate) failed: bool,
    /// Agenda file [default: the file that RUN was started from, as it is now; the frozen agenda of RUN if that file does not
    /// exist]
    #[arg(long, value_name = "FILE", add = ArgValueCompleter::new(completion::agendas()))]
    pub(crate) agenda: Option<PathBuf>,
    /// Name of the new run [default: its start time]
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub(crate) run_id: Option<String>,
    #[command(flatten)]
    pub(crate) go: GoArgs,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    #[command(flatten)]
    pub(crate) strict: StrictArg,
    #[command(flatten)]
    pub(crate) plan: PlanningArgs,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}
