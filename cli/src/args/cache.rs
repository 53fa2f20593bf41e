//! Arguments of `pop cache`.

use super::shared::{HostFolder, Output, RunsFolder};
use clap::{Args, Subcommand};

/// What `pop cache` does.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List the results that are kept
    List(CacheListArgs),
    /// Forget results; operations that have them run again
    Clear(CacheClearArgs),
}

/// `pop cache list`
#[derive(Debug, Args)]
pub(crate) struct CacheListArgs {
    /// A `cacheState` [default: all]
    pub(crate) state: Option<String>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) host: HostFolder,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop cache clear`
#[derive(Debug, Args)]
pub(crate) struct CacheClearArgs {
    /// A `cacheState` [default: all]
    pub(crate) state: Option<String>,
    /// Only results of operations whose names begin like this
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub(crate) operation: String,
    #[command(flatten)]
    pub(crate) host: HostFolder,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}
