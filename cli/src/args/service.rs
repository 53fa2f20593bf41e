//! Arguments of `pop serve`, `pop pull` and `pop reap`.

use super::shared::{LaunchArgs, Output, RegistryArgs, RunsFolder};
use super::size::size;
use clap::Args;
use pop_agenda_server::Scope;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `pop serve`
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Listen here; any other address than one of this machine alone needs tokens
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7070")]
    pub(crate) listen: SocketAddr,
    /// Serve HTTPS with this certificate: a PEM file with the chain, the certificate of the service first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// Private key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Folder of the service: database, audit log, logs of executors
    #[arg(long, value_name = "DIR", default_value = ".pop/service")]
    pub(crate) data: PathBuf,
    /// Store everything in this PostgreSQL database, which several services may share, for example
    /// `postgresql://pop@host/pop` [default: SQLite in the folder of the service]
    #[arg(long, env = "POP_POSTGRES", value_name = "URL", hide_env_values = true)]
    pub(crate) postgres: Option<String>,
    /// Also take agendas of the insight and run them here
    #[arg(long)]
    pub(crate) with_puller: bool,
    /// Require a token also from callers on this machine
    #[arg(long)]
    pub(crate) require_token: bool,
    /// Store a new token with these scopes (submit, pull, read, admin), print it once, and exit
    #[arg(long, value_name = "NAME=SCOPE,SCOPE", value_parser = new_token)]
    pub(crate) issue_token: Option<NewToken>,
    /// Answer errors below /pop with the HTTP status 200, as POP's service does; the code is in `errorResponse`
    #[arg(long)]
    pub(crate) status_200: bool,
    /// End a lease that was not renewed for this many seconds, if the puller asks for no other length
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) lease: u64,
    /// Refuse longer bodies
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = size)]
    pub(crate) max_body: u64,
    /// Refuse more requests of one caller in a second; a burst may have twice as many
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rate: u32,
    /// How to print the address: text (standard error) or json (one line on standard output)
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) puller: PullerArgs,
}

/// `pop pull`
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Address of the service [default: property pop.puller.resourcePoolServiceUrl, else
    /// http://127.0.0.1:7070/pop/resourcepool/service]
    #[arg(long, value_name = "URL")]
    pub(crate) service: Option<String>,
    /// Answer health checks here: 200 if the service has answered lately, else 503; and Prometheus at the path /metrics
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) health: Option<SocketAddr>,
    /// Folder for logs and payloads of executors
    #[arg(long, value_name = "DIR", default_value = ".pop/puller")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) puller: PullerArgs,
}

/// `pop reap`
#[derive(Debug, Args)]
pub(crate) struct ReapArgs {
    /// Delete what ended at least so many minutes ago [default: property pod.reap.age.minutes, else 1440]
    #[arg(long, value_name = "MINUTES")]
    pub(crate) age: Option<u64>,
    /// Delete so many pods or containers at the same time [default: property pod.reap.batch.size, else 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) batch: Option<u32>,
    /// Stop after so many minutes; at least one batch is deleted [default: property reaper.run.maxminutes, else 5]
    #[arg(long, value_name = "MINUTES")]
    pub(crate) max_minutes: Option<u64>,
    /// Namespace of the pods [default: property pop.kubernetes.namespace, else pop]
    #[arg(long, value_name = "NAME")]
    pub(crate) namespace: Option<String>,
    /// Print what would be deleted, and delete nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete old agendas and their progress from the service at this address, such as http://127.0.0.1:7070, instead of pods
    /// or, with `--on docker`, containers; POP_SERVICE_TOKEN needs the scope admin
    #[arg(long, value_name = "URL")]
    pub(crate) service: Option<String>,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// How agendas are taken and run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Puller (properties can set the first four, too)")]
pub(crate) struct PullerArgs {
    /// Take agendas of this insight [default: property pop.puller.insightId, else default]
    #[arg(long, value_name = "ID")]
    pub(crate) insight: Option<String>,
    /// Ask for so many agendas at once [default: property pop.puller.agendaRequestCount, else 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) count: Option<u32>,
    /// Let a request wait this many seconds for the first agenda [default: property pop.puller.pullWait, else 30]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) wait: Option<u64>,
    /// Run at most so many agendas at once [default: property insight.execution.limit, else the number of processors for
    /// processes, no limit for containers and pods]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: Option<u32>,
    /// Name in leases [default: the name of this machine]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Lease an agenda for this many seconds; the lease is renewed while its executor lives
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub(crate) pull_lease: u64,
    /// When pop stops, let executors finish for this many seconds; then stop them and give their agendas back
    #[arg(long, value_name = "SECONDS", default_value_t = 20)]
    pub(crate) drain: u64,
    /// When pop stops an executor, wait this many seconds after SIGTERM before SIGKILL
    #[arg(long, value_name = "SECONDS", default_value_t = 15)]
    pub(crate) grace: u64,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// A token to issue.
#[derive(Debug, Clone)]
pub(crate) struct NewToken {
    pub(crate) name: String,
    pub(crate) scopes: Vec<Scope>,
}

fn new_token(text: &str) -> Result<NewToken, String> {
    let (name, scopes) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("write NAME=SCOPE,SCOPE")?;
    let scopes =
        scopes.split(',').map(|scope| scope.trim().parse::<Scope>().map_err(|error| error.to_string()));
    Ok(NewToken { name: name.to_owned(), scopes: scopes.collect::<Result<_, _>>()? })
}
