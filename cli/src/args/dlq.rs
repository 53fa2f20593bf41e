//! Arguments of `pop dlq`.

use super::exit_codes::{DLQ, RUN};
use super::resources::ResourceArgs;
use super::shared::{GoArgs, Output, RunsFolder};
use crate::completion;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;

/// Commands of `pop dlq`.
#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List dead letters, oldest run first
    #[command(after_help = DLQ)]
    List(DlqListArgs),
    /// Show a dead letter
    #[command(after_help = DLQ)]
    Show(DlqShowArgs),
    /// Run the operation of a dead letter again, as a new run
    #[command(after_help = RUN)]
    Replay(DlqReplayArgs),
    /// Delete dead letters
    #[command(after_help = DLQ)]
    Drop(DlqDropArgs),
}

/// `pop dlq list`
#[derive(Debug, Args)]
pub(crate) struct DlqListArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop dlq show`
#[derive(Debug, Args)]
pub(crate) struct DlqShowArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs_with_dead_letters))]
    pub(crate) run: String,
    /// Name of the operation
    #[arg(add = ArgValueCandidates::new(completion::dead_letters))]
    pub(crate) operation: String,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop dlq replay`
#[derive(Debug, Args)]
pub(crate) struct DlqReplayArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs_with_dead_letters))]
    pub(crate) run: String,
    /// Name of the operation
    #[arg(add = ArgValueCandidates::new(completion::dead_letters))]
    pub(crate) operation: String,
    /// Replay even if it was replayed before
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) go: GoArgs,
    #[command(flatten)]
    pub(crate) resources: ResourceArgs,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop dlq drop`
#[derive(Debug, Args)]
pub(crate) struct DlqDropArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs_with_dead_letters))]
    pub(crate) run: String,
    /// Name of the operation
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    #[arg(add = ArgValueCandidates::new(completion::dead_letters))]
    pub(crate) operation: Option<String>,
    /// Delete all dead letters of the run
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}
