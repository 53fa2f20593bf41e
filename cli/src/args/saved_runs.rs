//! Arguments of commands that read saved runs: `pop runs`, `show`, `logs` and `explain`.

use super::shared::{Output, RunsFolder};
use clap::Args;

/// `pop runs`
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop show`
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Name of the run, or `last` for the newest
    pub(crate) run: String,
    /// Limit the output to this operation [default: all]
    pub(crate) operation: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop logs`
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Name of the run, or `last` for the newest
    pub(crate) run: String,
    /// Limit the output to this operation [default: all]
    pub(crate) operation: Option<String>,
    /// Keep printing until the operation or the run ends
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Name of the run, or `last` for the newest
    pub(crate) run: String,
    /// Name of the operation
    pub(crate) operation: String,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}
