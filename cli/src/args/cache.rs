//! Arguments of `pop cache`.

use super::exit_codes::CACHE;
use super::shared::{HostFolder, Output, RunsFolder};
use clap::{Args, Subcommand};

/// Commands of `pop cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List cached results
    #[command(after_help = CACHE)]
    List(CacheListArgs),
    /// Delete cached results; their operations run again
    #[command(after_help = CACHE)]
    Clear(CacheClearArgs),
}

/// `pop cache list`
#[derive(Debug, Args)]
pub(crate) struct CacheListArgs {
    /// Select results of this `cacheState` [default: all]
    pub(crate) state: Option<String>,
    /// Output format
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
    /// Select results of this `cacheState` [default: all]
    pub(crate) state: Option<String>,
    /// Select results of operations whose name begins with PREFIX [default: all]
    #[arg(long, value_name = "PREFIX", default_value = "", hide_default_value = true)]
    pub(crate) operation: String,
    #[command(flatten)]
    pub(crate) host: HostFolder,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}
