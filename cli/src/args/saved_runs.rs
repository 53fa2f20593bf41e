//! Arguments of commands that read saved runs: `pop runs`, `show`, `logs` and `explain`.

use super::shared::{Output, RunsFolder};
use clap::Args;

/// `pop runs`
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop show`
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The run, or `last`
    pub(crate) run: String,
    /// One of its operations
    pub(crate) operation: Option<String>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop logs`
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run, or `last`
    pub(crate) run: String,
    /// One of its operations
    pub(crate) operation: Option<String>,
    /// Print what comes, until the operation or the run is over
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The run, or `last`
    pub(crate) run: String,
    /// The operation
    pub(crate) operation: String,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}
