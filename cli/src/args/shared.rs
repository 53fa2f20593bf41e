//! Arguments that several commands share.

use clap::{Args, ValueEnum};
use pop_assembly::DescriptionSource;
use pop_executor::Host;
use pop_field_retriever::LaunchType;
use std::convert::Infallible;
use std::path::PathBuf;

/// Launch data on the command line.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Launch data")]
pub(crate) struct LaunchArgs {
    /// How this pop process was launched [local, docker, kubernetes; default: local]
    #[arg(long, value_name = "TYPE")]
    pub(crate) launch_type: Option<LaunchType>,
    /// Launch operations as processes, containers or pods [local, docker, kubernetes; default: local]
    #[arg(long, visible_alias = "on", value_name = "TYPE")]
    pub(crate) external_launch_type: Option<LaunchType>,
    /// Read launch data from this Java .properties file [default: the first of ./config/external.properties, ./config/external-properties,
    /// /app/config/external.properties]
    #[arg(long, value_name = "FILE")]
    pub(crate) prop_file: Option<PathBuf>,
    /// Agenda file, if AGENDA is not given
    #[arg(long, value_name = "FILE")]
    pub(crate) payload_file: Option<PathBuf>,
    /// Progress of the previous attempt
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) last_progress_file: Option<PathBuf>,
    /// Certificate for a cluster that pop reaches from outside
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) oauth_cert_path: Option<PathBuf>,
    /// Token for a cluster that pop reaches from outside
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) oauth_token_path: Option<PathBuf>,
}

/// Where handlers are declared.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RegistryArgs {
    /// Registry file [default: registry.json or registry.yaml next to the agenda, then /app/config/registry.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) registry: Option<PathBuf>,
    /// Folder of handler descriptors (*.conf) [default: conf.d next to the agenda, then /app/config/conf.d]
    #[arg(long, value_name = "DIR")]
    pub(crate) conf_d: Option<PathBuf>,
    /// Search this folder for the programs of descriptors; repeatable [default: handlers next to conf.d, then
    /// /usr/lib/pop/handlers, /usr/lib64/pop/handlers]
    #[arg(long = "handlers", value_name = "DIR")]
    pub(crate) handlers: Vec<PathBuf>,
}

/// Policies that override those of the agenda.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PolicyArgs {
    /// Set a policy of the agenda, such as `timeoutMs=5000`, replacing the one in its params; repeatable
    #[arg(long = "policy", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) policies: Vec<(String, String)>,
    /// The former name of `--policy`
    #[arg(long = "param", hide = true, value_name = "KEY=VALUE", value_parser = former_name)]
    former_policies: Vec<Infallible>,
}

/// Whether pop starts programs to read their descriptions.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct DescribeArg {
    /// Start handlers that the registry marks `describe: true`, and check payloads against their input schemas
    /// [default: use descriptions cached by earlier runs; start nothing]
    #[arg(long)]
    describe: bool,
}

impl DescribeArg {
    /// Source of handler descriptions.
    pub(crate) fn source(self) -> DescriptionSource {
        if self.describe { DescriptionSource::Programs } else { DescriptionSource::Cached }
    }
}

/// Whether warnings are errors.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct StrictArg {
    /// Treat warnings of the agenda, the registry and the properties file as errors
    #[arg(long = "strict")]
    pub(crate) is_on: bool,
}

/// Folder that stores runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunsFolder {
    /// Folder that stores runs
    #[arg(long, env = "POP_RUNS", default_value = ".pop/runs", value_name = "DIR")]
    pub(crate) runs: PathBuf,
}

/// Folder for state that runs share.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostFolder {
    /// Folder for state that runs share: locks, delays, versions, cached results [default: .host in the --runs folder]
    #[arg(long, env = "POP_HOST_FOLDER", value_name = "DIR")]
    pub(crate) host_folder: Option<PathBuf>,
}

impl HostFolder {
    /// Shared state of the runs in a folder.
    pub(crate) fn of(&self, runs: &RunsFolder) -> Host {
        self.host_folder.clone().map_or_else(|| Host::of_runs(&runs.runs), Host::new)
    }
}

/// Options of a run.
#[derive(Debug, Clone, Args)]
pub(crate) struct GoArgs {
    /// Run at most N operations at once [default: the number of processors]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) parallel: Option<u32>,
    /// After a failure, still run operations that do not depend on the failed one
    #[arg(long, short = 'k')]
    pub(crate) keep_going: bool,
    /// Stop the run after this many seconds [default: no limit]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) time_limit: Option<u64>,
    /// Wait this many seconds after SIGTERM before SIGKILL
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) grace: u64,
    /// When the journal is synced to disk: behind (within 100 ms) or each (before the next step)
    #[arg(long, value_enum, default_value_t = SyncArg::Behind)]
    pub(crate) sync: SyncArg,
    /// Format of events while the run goes on: text on stderr, or JSON lines on stdout
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) host: HostFolder,
}

/// Output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// Text for people
    Text,
    /// JSON for programs
    Json,
}

/// When the journal is synced to disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncArg {
    /// Within 100 ms
    Behind,
    /// Before the next step
    Each,
}

/// Rejects `--param`, the former name of `--policy`.
fn former_name(text: &str) -> Result<Infallible, String> {
    Err(format!("write `--policy {text}`: policies are no longer set with `--param`"))
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}
