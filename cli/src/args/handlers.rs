//! Arguments of `pop handlers` and `pop handler`.

use super::exit_codes::{HANDLER_CHECK, HANDLERS};
use super::shared::{DescribeArg, LaunchArgs, Output, RegistryArgs, RunsFolder};
use crate::completion;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;
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

/// Commands of `pop handlers`.
#[derive(Debug, Subcommand)]
pub(crate) enum HandlersCommand {
    /// Show the handlers of one type, with the origin of each field
    #[command(after_help = HANDLERS)]
    Show {
        /// Operation type
        #[arg(add = ArgValueCandidates::new(completion::types))]
        handler_type: String,
        #[command(flatten)]
        describe: DescribeArg,
    },
    /// Read registry and descriptors again and list changes since a run started
    #[command(after_help = HANDLERS)]
    Reload {
        /// Compare with this run
        #[arg(long, value_name = "RUN", default_value = "last", add = ArgValueCandidates::new(completion::runs))]
        run: String,
        #[command(flatten)]
        runs: RunsFolder,
    },
}

/// Commands of `pop handler`.
#[derive(Debug, Subcommand)]
pub(crate) enum HandlerCommand {
    /// Launch a program about 30 times and check each promise of the handler contract
    #[command(after_help = HANDLER_CHECK)]
    Check(HandlerCheckArgs),
}

/// `pop handler check`
#[derive(Debug, Args)]
pub(crate) struct HandlerCheckArgs {
    /// JSON file with a payload that the program accepts [default: the payload {}]
    #[arg(long, value_name = "FILE")]
    pub(crate) payload: Option<PathBuf>,
    /// File with a payload that the program must reject
    #[arg(long, value_name = "FILE")]
    pub(crate) bad_payload: Option<PathBuf>,
    /// Limit the time of one launch, in milliseconds; it also limits the grace after SIGTERM (at most 10 s)
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: u64,
    /// Check instead whether the program serves many operations, as `warm` in a registry entry asks for
    #[arg(long)]
    pub(crate) warm: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Program to test; it starts in an empty folder, so pass absolute paths
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: String,
    /// Arguments of the program; write -- before arguments that begin with a dash
    #[arg(value_name = "ARG")]
    pub(crate) arguments: Vec<String>,
}
