//! Arguments that several commands have.

use clap::{Args, ValueEnum};
use pop_assembly::DescriptionSource;
use pop_executor::Host;
use pop_field_retriever::LaunchType;
use std::path::PathBuf;

/// The standard launch data.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Launch data")]
pub(crate) struct LaunchArgs {
    /// How this process was launched [local, docker, kubernetes; default: local]
    #[arg(long, value_name = "TYPE")]
    pub(crate) launch_type: Option<LaunchType>,
    /// How operations are launched [local, docker, kubernetes; default: local]
    #[arg(long, visible_alias = "on", value_name = "TYPE")]
    pub(crate) external_launch_type: Option<LaunchType>,
    /// Java .properties file [default: the first of ./config/external.properties, ./config/external-properties,
    /// /app/config/external.properties]
    #[arg(long, value_name = "FILE")]
    pub(crate) prop_file: Option<PathBuf>,
    /// File of the agenda, if it is not given as an argument
    #[arg(long, value_name = "FILE")]
    pub(crate) payload_file: Option<PathBuf>,
    /// Progress of an earlier try
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) last_progress_file: Option<PathBuf>,
    /// Certificate to reach a cluster from outside
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) oauth_cert_path: Option<PathBuf>,
    /// Token to reach a cluster from outside
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) oauth_token_path: Option<PathBuf>,
}

/// Where handlers are known from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RegistryArgs {
    /// Registry file [default: registry.json or registry.yaml beside the agenda, then /app/config/registry.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) registry: Option<PathBuf>,
    /// Folder of handler descriptors (*.conf) [default: conf.d beside the agenda, then /app/config/conf.d]
    #[arg(long, value_name = "DIR")]
    pub(crate) conf_d: Option<PathBuf>,
    /// Folder in which programs of descriptors are looked for; may be repeated [default: handlers beside conf.d,
    /// then /usr/lib/pop/handlers, /usr/lib64/pop/handlers]
    #[arg(long = "handlers", value_name = "DIR")]
    pub(crate) handlers: Vec<PathBuf>,
    /// A value for the agenda's params, over what stands there; may be repeated
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) params: Vec<(String, String)>,
}

/// Whether programs are started for their descriptions.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct DescribeArg {
    /// Start programs with --describe where the registry says `describe: true`, to check payloads against what they
    /// take [default: use only answers that a run got before; start nothing]
    #[arg(long)]
    describe: bool,
}

impl DescribeArg {
    /// Where descriptions come from.
    pub(crate) fn source(self) -> DescriptionSource {
        if self.describe { DescriptionSource::Programs } else { DescriptionSource::Cached }
    }
}

/// Where runs are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunsFolder {
    /// Folder of runs
    #[arg(long, env = "POP_RUNS", default_value = ".pop/runs", value_name = "DIR")]
    pub(crate) runs: PathBuf,
}

/// Where runs share locks, delays, versions and cached results.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostFolder {
    /// Folder of what runs share: locks, delays, versions, cached results [default: .host in the folder of runs]
    #[arg(long, env = "POP_HOST_FOLDER", value_name = "DIR")]
    pub(crate) host_folder: Option<PathBuf>,
}

impl HostFolder {
    /// What runs share, for those of a folder.
    pub(crate) fn of(&self, runs: &RunsFolder) -> Host {
        self.host_folder.clone().map_or_else(|| Host::of_runs(&runs.runs), Host::new)
    }
}

/// How a run is to go.
#[derive(Debug, Clone, Args)]
pub(crate) struct GoArgs {
    /// How many operations run at once [default: the number of processors]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) parallel: Option<u32>,
    /// After a failure, run everything that does not need what failed
    #[arg(long, short = 'k')]
    pub(crate) keep_going: bool,
    /// How long the run may take, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) time_limit: Option<u64>,
    /// How long operations that are asked to stop may take before they are killed, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) grace: u64,
    /// When the disk is made to have the journal: behind (within 100 ms) or each (before anything follows)
    #[arg(long, value_enum, default_value_t = SyncArg::Behind)]
    pub(crate) sync: SyncArg,
    /// What is printed while it runs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) host: HostFolder,
}

/// Text for people or JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// When the disk has the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncArg {
    /// Within 100 ms
    Behind,
    /// Before anything follows
    Each,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}
