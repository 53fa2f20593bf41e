//! Arguments of `pop check` and `pop plan`.

use super::shared::{DescribeArg, LaunchArgs, Output, RegistryArgs};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `pop check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Agendas to check
    #[arg(value_name = "AGENDA", required = true)]
    pub(crate) agendas: Vec<PathBuf>,
    /// Take every warning for an error
    #[arg(long)]
    pub(crate) strict: bool,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) describe: DescribeArg,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// `pop plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The agenda: a JSON or YAML file, or - for standard input
    #[arg(value_name = "AGENDA")]
    pub(crate) agenda: Option<PathBuf>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = PlanOutput::Text)]
    pub(crate) output: PlanOutput,
    #[command(flatten)]
    pub(crate) describe: DescribeArg,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// The forms of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanOutput {
    /// For people
    Text,
    /// For programs
    Json,
    /// For Graphviz
    Dot,
    /// For Markdown pages
    Mermaid,
    /// What the Engine or the cluster would be asked to create; with `--on docker` or `--on kubernetes`
    Manifests,
}
