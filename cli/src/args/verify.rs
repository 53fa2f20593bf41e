//! Arguments of `pop verify`.

use super::shared::{Output, RegistryArgs};
use clap::Args;
use pop_field_retriever::LaunchType;
use std::path::PathBuf;

/// `pop verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The agenda: a JSON or YAML file, or - for standard input
    pub(crate) agenda: PathBuf,
    /// Two or more launchers, with commas [local, docker, kubernetes]
    #[arg(long, value_name = "TYPES", required = true, value_delimiter = ',')]
    pub(crate) on: Vec<LaunchType>,
    /// File or folder that is not copied into the workspaces; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) without: Vec<PathBuf>,
    /// Files, or folders of them, that are compared [default: every file that is new or changed]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) outputs: Vec<PathBuf>,
    /// Keep the workspaces although all is equal
    #[arg(long)]
    pub(crate) keep: bool,
    /// How many operations run at once [default: the number of processors]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) parallel: Option<u32>,
    /// After a failure, run everything that does not need what failed
    #[arg(long, short = 'k')]
    pub(crate) keep_going: bool,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    /// How this process was launched [local, docker, kubernetes; default: local]
    #[arg(long, value_name = "TYPE")]
    pub(crate) launch_type: Option<LaunchType>,
    /// Java .properties file
    #[arg(long, value_name = "FILE")]
    pub(crate) prop_file: Option<PathBuf>,
}
