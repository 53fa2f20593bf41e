//! Arguments of `pop handlers` and `pop handler`.

use super::shared::{DescribeArg, LaunchArgs, Output, RegistryArgs, RunsFolder};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// `pop handlers`
#[derive(Debug, Args)]
pub(crate) struct HandlersArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HandlersCommand>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// What `pop handlers` does.
#[derive(Debug, Subcommand)]
pub(crate) enum HandlersCommand {
    /// Show the handlers of one type
    Show {
        /// The operation type
        handler_type: String,
        #[command(flatten)]
        describe: DescribeArg,
    },
    /// Read and check registry and descriptors anew, and say what is not as a run began with it
    Reload {
        /// The run, or `last`
        #[arg(long, value_name = "RUN", default_value = "last")]
        run: String,
        #[command(flatten)]
        runs: RunsFolder,
    },
}

/// What `pop handler` does.
#[derive(Debug, Subcommand)]
pub(crate) enum HandlerCommand {
    /// Launch a program some thirty times, and say which promises of the handler contract it keeps
    #[command(after_help = "Exit codes: 0 no promise is broken, 10 one is, 1 fault in pop, 2 command line.")]
    Check(HandlerCheckArgs),
}

/// `pop handler check`
#[derive(Debug, Args)]
pub(crate) struct HandlerCheckArgs {
    /// JSON file of a payload with which the program succeeds [default: the payload {}]
    #[arg(long, value_name = "FILE")]
    pub(crate) payload: Option<PathBuf>,
    /// File of a payload that the program must refuse
    #[arg(long, value_name = "FILE")]
    pub(crate) bad_payload: Option<PathBuf>,
    /// How long one launch may take, in milliseconds; of that ten seconds at most after SIGTERM
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: u64,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// The program; it is started in an empty folder, so files are named by absolute paths
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: String,
    /// Its own arguments; after -- they may begin with a dash
    #[arg(value_name = "ARG")]
    pub(crate) arguments: Vec<String>,
}
