//! Arguments of `pop dlq`.

use super::shared::{GoArgs, Output, RunsFolder};
use clap::{Args, Subcommand};

/// What `pop dlq` does.
#[derive(Debug, Subcommand)]
pub(crate) enum DlqCommand {
    /// List all dead letters, those of the oldest run first
    List(DlqListArgs),
    /// Show a dead letter
    Show(DlqShowArgs),
    /// Run the operation of a dead letter once more, in a run of its own
    #[command(after_help = "Exit codes: those of `pop run`.")]
    Replay(DlqReplayArgs),
    /// Forget dead letters
    Drop(DlqDropArgs),
}

/// `pop dlq list`
#[derive(Debug, Args)]
pub(crate) struct DlqListArgs {
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop dlq show`
#[derive(Debug, Args)]
pub(crate) struct DlqShowArgs {
    /// The run, or `last`
    pub(crate) run: String,
    /// The operation
    pub(crate) operation: String,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop dlq replay`
#[derive(Debug, Args)]
pub(crate) struct DlqReplayArgs {
    /// The run, or `last`
    pub(crate) run: String,
    /// The operation
    pub(crate) operation: String,
    /// Also if it was replayed before
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) go: GoArgs,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop dlq drop`
#[derive(Debug, Args)]
pub(crate) struct DlqDropArgs {
    /// The run, or `last`
    pub(crate) run: String,
    /// The operation
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    pub(crate) operation: Option<String>,
    /// All dead letters of the run
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}
