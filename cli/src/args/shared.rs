//! Arguments that several commands share.

use super::otlp::{OtlpArg, otlp};
use super::size::size;
use clap::{Args, ValueEnum};
use pop_assembly::DescriptionSource;
use pop_executor::Host;
use pop_field_retriever::LaunchType;
use pop_report::RepeatedOptions;
use std::convert::Infallible;
use std::path::{Path, PathBuf};

/// Launch data on the command line: settings that variables or a properties file can set, too.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Launch data (variables or a properties file can set these, too)")]
pub(crate) struct LaunchArgs {
    /// How this pop process itself was launched; in a pod (kubernetes), pop annotates the pod with its progress [local, docker,
    /// kubernetes; default: local]
    #[arg(long, value_name = "TYPE")]
    pub(crate) launch_type: Option<LaunchType>,
    /// How to launch operations: as processes (local), containers (docker) or pods (kubernetes) [default: local]
    #[arg(long, visible_alias = "on", value_name = "TYPE")]
    pub(crate) external_launch_type: Option<LaunchType>,
    /// Java .properties file with settings such as registryPathOverride and agenda.progress.url [default: the first of
    /// ./config/external.properties, ./config/external-properties, /app/config/external.properties]
    #[arg(long, value_name = "FILE")]
    pub(crate) prop_file: Option<PathBuf>,
    /// Agenda file, if AGENDA is omitted
    #[arg(long, value_name = "FILE")]
    pub(crate) payload_file: Option<PathBuf>,
    /// File with the progress of an earlier run
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) last_progress_file: Option<PathBuf>,
    /// File with the certificate of a cluster, if pop runs outside it
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) oauth_cert_path: Option<PathBuf>,
    /// File with a token for a cluster, if pop runs outside it
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) oauth_token_path: Option<PathBuf>,
}

/// Where handlers are declared.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RegistryArgs {
    /// Registry file, which maps operation types to programs [default: registry.json or registry.yaml next to the agenda, then
    /// /app/config/registry.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) registry: Option<PathBuf>,
    /// Folder of descriptors, *.conf files that declare handlers [default: conf.d next to the agenda, then
    /// /app/config/conf.d]
    #[arg(long, value_name = "DIR")]
    pub(crate) conf_d: Option<PathBuf>,
    /// Look in this folder for the programs that descriptors name; repeatable [default: handlers next to conf.d, then
    /// /usr/lib/pop/handlers, /usr/lib64/pop/handlers]
    #[arg(long = "handlers", value_name = "DIR")]
    pub(crate) handlers: Vec<PathBuf>,
}

/// Policies that override those of the agenda.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PolicyArgs {
    /// Set a policy of the agenda (a key of its params, such as timeoutMs=5000), in place of the agenda's own value; repeatable
    #[arg(long = "policy", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) policies: Vec<(String, String)>,
    /// The former name of `--policy`
    #[arg(long = "param", hide = true, value_name = "KEY=VALUE", value_parser = former_name)]
    former_policies: Vec<Infallible>,
}

/// Whether pop starts programs to read their descriptions.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct DescribeArg {
    /// Start handlers that the registry marks `describe: true`, and check payloads against the schemas that they print
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
    #[arg(long, env = RunsFolder::VARIABLE, default_value = RunsFolder::DEFAULT, value_name = "DIR")]
    pub(crate) runs: PathBuf,
}

impl RunsFolder {
    /// The folder of runs that neither the command line nor the environment sets.
    pub(crate) const DEFAULT: &str = ".pop/runs";
    /// The variable that sets it.
    pub(crate) const VARIABLE: &str = "POP_RUNS";

    /// A folder of runs as commands name it; none for the default one.
    pub(crate) fn in_commands(runs: &Path) -> Option<&str> {
        runs.to_str().filter(|runs| *runs != Self::DEFAULT)
    }
}

/// Folder for the state that several runs share.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostFolder {
    /// Folder for the state that several runs share: locks, start times (delayMs), lock versions, cached results [default:
    /// .host in the --runs folder]
    #[arg(long, env = HostFolder::VARIABLE, value_name = "DIR")]
    pub(crate) host_folder: Option<PathBuf>,
}

impl HostFolder {
    /// The variable that sets it.
    pub(crate) const VARIABLE: &str = "POP_HOST_FOLDER";

    /// The shared state: in the folder of this option, else in the folder of the runs.
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
    /// After --time-limit, give clean-up (operations with `finally`) this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = GoArgs::DEFAULT_CLEANUP_LIMIT)]
    pub(crate) cleanup_limit: u64,
    /// When pop stops an operation, wait this many seconds after SIGTERM before SIGKILL
    #[arg(long, value_name = "SECONDS", default_value_t = GoArgs::DEFAULT_GRACE)]
    pub(crate) grace: u64,
    /// When to sync the journal (the run's record of events) to disk: behind (in the background, within 100 ms) or each (each
    /// event, before pop acts on it)
    #[arg(long, value_enum, default_value_t = SyncArg::Behind)]
    pub(crate) sync: SyncArg,
    /// Print warnings, and a summary only of a run that does not succeed; no events, no progress bars
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Format of events during the run: text on stderr, or JSON lines on stdout
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// In a GitHub job (GITHUB_ACTIONS is true), also print each failure as an annotation, on standard error, when the run has
    /// ended
    #[arg(long)]
    pub(crate) github_annotations: bool,
    /// Send spans of the run to this OpenTelemetry collector, such as http://localhost:4318 (OTLP over HTTP); `env` takes the
    /// address from OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or OTEL_EXPORTER_OTLP_ENDPOINT [default: send none]
    #[arg(long, env = "POP_OTLP", value_name = "URL", value_parser = otlp)]
    pub(crate) otlp: Option<OtlpArg>,
    #[command(flatten)]
    pub(crate) host: HostFolder,
    /// Limit of the files that operations with `cacheFiles` store in the host folder, for example 500M or 2T; the least
    /// recently used ones are deleted [default: 10G]
    #[arg(long, env = "POP_FILE_CACHE_SIZE", value_name = "SIZE", value_parser = size)]
    pub(crate) file_cache_size: Option<u64>,
}

impl GoArgs {
    /// Default of `--grace`, in seconds.
    pub(crate) const DEFAULT_GRACE: u64 = 10;
    /// Default of `--cleanup-limit`, in seconds.
    pub(crate) const DEFAULT_CLEANUP_LIMIT: u64 = 60;

    /// Options that commands about the run repeat.
    pub(crate) fn repeated(&self) -> RepeatedOptions {
        RepeatedOptions {
            keep_going: self.keep_going,
            parallel: self.parallel,
            grace: Some(self.grace).filter(|grace| *grace != Self::DEFAULT_GRACE),
            time_limit: self.time_limit,
            cleanup_limit: Some(self.cleanup_limit).filter(|limit| *limit != Self::DEFAULT_CLEANUP_LIMIT),
        }
    }
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
    /// In the background, within 100 ms
    Behind,
    /// Each event, before pop acts on it
    Each,
}

/// Rejects `--param`, the former name of `--policy`.
fn former_name(text: &str) -> Result<Infallible, String> {
    Err(format!("write `--policy {text}`: policies are no longer set with `--param`"))
}

pub(super) fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}
