//! Arguments of `pop check` and `pop plan`.

use super::inputs::PlanningArgs;
use super::shared::{DescribeArg, HostFolder, LaunchArgs, Output, RunsFolder, StrictArg};
use crate::completion;
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCompleter;
use std::path::PathBuf;

/// `pop check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Agenda files (JSON or YAML), or - for standard input
    #[arg(value_name = "AGENDA", required = true, add = ArgValueCompleter::new(completion::agendas()))]
    pub(crate) agendas: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) strict: StrictArg,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) describe: DescribeArg,
    #[command(flatten)]
    pub(crate) plan: PlanningArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// `pop plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Agenda file (JSON or YAML), or - for standard input
    #[arg(value_name = "AGENDA", add = ArgValueCompleter::new(completion::agendas()))]
    pub(crate) agenda: Option<PathBuf>,
    /// Output format
    #[arg(long, value_enum, default_value_t = PlanOutput::Text)]
    pub(crate) output: PlanOutput,
    /// Show which operations would take their results from the cache, and why the others would run; looks at files and cached
    /// results, and needs a value for each input
    #[arg(long)]
    pub(crate) cached: bool,
    #[command(flatten)]
    pub(crate) strict: StrictArg,
    #[command(flatten)]
    pub(crate) describe: DescribeArg,
    #[command(flatten)]
    pub(crate) plan: PlanningArgs,
    #[command(flatten)]
    pub(crate) host: HostFolder,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// Output formats of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanOutput {
    /// Text for people
    Text,
    /// JSON for programs
    Json,
    /// Graph for Graphviz
    Dot,
    /// Graph for Markdown pages
    Mermaid,
    /// Containers or pods that pop would create; needs `--on docker` or `--on kubernetes`
    Manifests,
}
