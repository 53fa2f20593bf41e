//! Arguments of `pop verify`.

use super::inputs::PlanningArgs;
use super::resources::ResourceArgs;
use super::shared::Output;
use crate::completion;
use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use pop_field_retriever::LaunchType;
use std::path::PathBuf;

/// `pop verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Agenda file (JSON or YAML), or - for standard input
    #[arg(add = ArgValueCompleter::new(completion::agendas()))]
    pub(crate) agenda: PathBuf,
    /// Two or more launchers, separated by commas [local, docker, kubernetes]
    #[arg(long, value_name = "TYPES", required = true, value_delimiter = ',')]
    pub(crate) on: Vec<LaunchType>,
    /// Leave this file or folder out of the copies of the current folder; repeatable
    #[arg(long, value_name = "PATH")]
    pub(crate) without: Vec<PathBuf>,
    /// Compare only these files or folders [default: every new or changed file]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) outputs: Vec<PathBuf>,
    /// Keep the copies even if everything is equal
    #[arg(long)]
    pub(crate) keep: bool,
    /// Run at most N operations at once [default: the number of processors]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) parallel: Option<u32>,
    /// After a failure, still run operations that do not depend on the failed one
    #[arg(long, short = 'k')]
    pub(crate) keep_going: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) plan: PlanningArgs,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    /// How this pop process itself was launched; in a pod (kubernetes), pop annotates the pod with its progress [local, docker,
    /// kubernetes; default: local]
    #[arg(long, value_name = "TYPE")]
    pub(crate) launch_type: Option<LaunchType>,
    /// Java .properties file with settings such as registryPathOverride
    #[arg(long, value_name = "FILE")]
    pub(crate) prop_file: Option<PathBuf>,
}
