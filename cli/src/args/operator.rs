//! Arguments of `pop operator`.

use super::exit_codes::OPERATOR;
use super::shared::{LaunchArgs, RegistryArgs};
use clap::{Args, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Commands of `pop operator`.
#[derive(Debug, Subcommand)]
pub(crate) enum OperatorCommand {
    /// Run an operator until a signal ends it
    #[command(after_help = OPERATOR)]
    Run(Box<OperatorRunArgs>),
    /// Print the CustomResourceDefinition of the operator's parents, for `kubectl apply -f -`
    #[command(after_help = OPERATOR)]
    Crd(OperatorManifestArgs),
    /// Print the service account and the roles that the operator needs
    #[command(after_help = OPERATOR)]
    Rbac(OperatorManifestArgs),
}

/// Which operator.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct OperatorSource {
    /// Operator file (JSON or YAML): the kinds, and the type of the handler
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The operator of Agendas, which runs each Agenda with an executor pod
    #[arg(long)]
    pub(crate) agendas: bool,
}

/// `pop operator run`
#[derive(Debug, Args)]
pub(crate) struct OperatorRunArgs {
    #[command(flatten)]
    pub(crate) source: OperatorSource,
    /// Watch this namespace only [default: that of the operator file, else all]
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Sync at most N parents at once
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) parallel: u32,
    /// Serve /health, /ready and /metrics on this address; `off` opens no port
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "0.0.0.0:8080", value_parser = http_address)]
    pub(crate) http: HttpAddress,
    /// Name of the Lease, so that of several replicas only one works [default: the name of the operator]
    #[arg(long, value_name = "NAME", conflicts_with = "no_lease")]
    pub(crate) lease: Option<String>,
    /// Namespace of the Lease [default: variable MY_POD_NAMESPACE, else that of the cluster configuration]
    #[arg(long, value_name = "NAMESPACE", conflicts_with = "no_lease")]
    pub(crate) lease_namespace: Option<String>,
    /// Use no Lease: there is only one replica
    #[arg(long)]
    pub(crate) no_lease: bool,
    /// With --agendas: image of executor pods, with `pop` as its program
    #[arg(long, value_name = "IMAGE", env = "POP_EXECUTOR_IMAGE")]
    pub(crate) image: Option<String>,
    /// With --agendas: account of executor pods
    #[arg(long, value_name = "NAME", default_value = "pop-executor")]
    pub(crate) service_account: String,
    /// With --agendas: ConfigMap with the keys registry-json, external-properties and env-properties, in the namespace of each
    /// Agenda
    #[arg(long, value_name = "NAME")]
    pub(crate) registry_config_map: Option<String>,
    /// With --agendas: command of the executor's container, a word each, in place of the image's own
    #[arg(long = "executor-command", value_name = "WORD", hide = true, allow_hyphen_values = true)]
    pub(crate) executor_command: Vec<String>,
    /// With --config: when a call of the handler takes too long, wait this many seconds after SIGTERM before SIGKILL
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) grace: u64,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// `pop operator crd` and `pop operator rbac`
#[derive(Debug, Args)]
pub(crate) struct OperatorManifestArgs {
    #[command(flatten)]
    pub(crate) source: OperatorSource,
    /// Namespace of the operator's account
    #[arg(long, value_name = "NAMESPACE", default_value = "pop")]
    pub(crate) namespace: String,
}

/// The address of HTTP endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpAddress {
    /// No port is opened.
    Off,
    /// The address to listen on.
    At(SocketAddr),
}

fn http_address(text: &str) -> Result<HttpAddress, String> {
    if text == "off" {
        return Ok(HttpAddress::Off);
    }
    text.parse().map(HttpAddress::At).map_err(|_| {
        "write an IP address and a port, for example 127.0.0.1:8080 or [::1]:8080, or `off`".to_owned()
    })
}
