//! Arguments of `pop cache`.

use super::age::age;
use super::exit_codes::CACHE;
use super::shared::{HostFolder, Output, RunsFolder};
use super::size::size;
use clap::{Args, Subcommand};
use std::time::Duration;

/// Commands of `pop cache`.
#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List cached results
    #[command(after_help = CACHE)]
    List(CacheListArgs),
    /// Delete cached results; their operations run again
    #[command(after_help = CACHE)]
    Clear(CacheClearArgs),
    /// Show the number and size of cached results and of their stored files
    #[command(after_help = CACHE)]
    Size(CacheSizeArgs),
    /// Delete the least recently used files of cached results; the results stay
    #[command(after_help = CACHE)]
    Prune(CachePruneArgs),
}

/// `pop cache size`
#[derive(Debug, Args)]
pub(crate) struct CacheSizeArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) host: HostFolder,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop cache prune`
#[derive(Debug, Args)]
pub(crate) struct CachePruneArgs {
    /// Delete files until the rest has at most this size, for example 500M [default: 10G]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) size: Option<u64>,
    /// Delete only files that were not used for this time, for example 7d (units: s, m, h, d, w)
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) older_than: Option<Duration>,
    #[command(flatten)]
    pub(crate) host: HostFolder,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
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
