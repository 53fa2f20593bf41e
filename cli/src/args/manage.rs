//! Arguments of commands that end, await, watch or delete runs: `pop cancel`, `wait`, `watch` and `prune`.

use super::age::age;
use super::shared::{HostFolder, RunsFolder};
use crate::completion;
use clap::Args;
use clap_complete::engine::ArgValueCandidates;
use std::time::Duration;

/// `pop cancel`
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::running_runs))]
    pub(crate) run: String,
    /// Kill running operations at once, as the second Ctrl-C does
    #[arg(long)]
    pub(crate) kill: bool,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop wait`
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::running_runs))]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop watch`
#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::running_runs))]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop prune`
#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Keep the newest N runs [default: 20; 0 with --older-than]
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,
    /// Delete only runs that ended more than AGE ago, for example 12h, 7d or 4w
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
    /// Print what would be deleted; delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Print only the names of the deleted runs
    #[arg(short, long)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) host: HostFolder,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}
