//! Values for the inputs of an agenda, what a plan is made from, and the arguments of `pop inputs`.

use super::shared::{Output, PolicyArgs, RegistryArgs};
use clap::Args;
use std::path::PathBuf;

/// Values for the agenda's inputs.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct InputArgs {
    /// Set an input of the agenda; repeatable [default: variable POP_INPUT_NAME, then the input's default]
    #[arg(long = "input", short = 'i', value_name = "NAME=VALUE", value_parser = super::shared::key_value)]
    pub(crate) inputs: Vec<(String, String)>,
    /// Set inputs from a JSON or YAML file, a map of names to values; repeatable. --input takes precedence
    #[arg(long = "input-file", value_name = "FILE")]
    pub(crate) input_files: Vec<PathBuf>,
}

/// What a plan is made from, besides the agenda.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlanningArgs {
    #[command(flatten)]
    pub(crate) inputs: InputArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) policies: PolicyArgs,
}

/// `pop inputs`
#[derive(Debug, Args)]
pub(crate) struct InputsArgs {
    /// Agenda file (JSON or YAML), or - for standard input
    #[arg(value_name = "AGENDA")]
    pub(crate) agenda: PathBuf,
    /// Output format: a table, or the JSON Schema of all inputs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
}
