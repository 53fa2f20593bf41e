//! Arguments of `pop handlers` and `pop handler`.

use super::exit_codes::{HANDLER_CHECK, HANDLER_CTL, HANDLER_SERVE, HANDLERS};
use super::shared::{DescribeArg, LaunchArgs, Output, RegistryArgs, RunsFolder, key_value};
use crate::completion;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;
use pop_handler_server::{DEFAULT_QUEUE, Endpoint, MAX_QUEUE, ServeKind};
use std::net::SocketAddr;
use std::path::PathBuf;

/// `pop handlers`
#[derive(Debug, Args)]
pub(crate) struct HandlersArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HandlersCommand>,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// Commands of `pop handlers`.
#[derive(Debug, Subcommand)]
pub(crate) enum HandlersCommand {
    /// Show the handlers of one type, with the origin of each field
    #[command(after_help = HANDLERS)]
    Show {
        /// Operation type
        #[arg(add = ArgValueCandidates::new(completion::types))]
        handler_type: String,
        #[command(flatten)]
        describe: DescribeArg,
    },
    /// Read registry and descriptors again and list changes since a run started
    #[command(after_help = HANDLERS)]
    Reload {
        /// Compare with this run
        #[arg(long, value_name = "RUN", default_value = "last", add = ArgValueCandidates::new(completion::runs))]
        run: String,
        #[command(flatten)]
        runs: RunsFolder,
    },
}

/// Commands of `pop handler`.
#[derive(Debug, Subcommand)]
pub(crate) enum HandlerCommand {
    /// Launch a program about 30 times and check each promise of the handler contract
    #[command(after_help = HANDLER_CHECK)]
    Check(HandlerCheckArgs),
    /// Serve a handler to callers outside of a run, by ZeroMQ
    #[command(after_help = HANDLER_SERVE)]
    Serve(Box<HandlerServeArgs>),
    /// Look at a handler that is served, and manage it
    #[command(after_help = HANDLER_CTL)]
    Ctl(HandlerCtlArgs),
}

/// `pop handler check`
#[derive(Debug, Args)]
pub(crate) struct HandlerCheckArgs {
    /// JSON file with a payload that the program accepts [default: the payload {}]
    #[arg(long, value_name = "FILE")]
    pub(crate) payload: Option<PathBuf>,
    /// File with a payload that the program must reject
    #[arg(long, value_name = "FILE")]
    pub(crate) bad_payload: Option<PathBuf>,
    /// Limit the time of one launch, in milliseconds; it also limits the grace after SIGTERM (at most 10 s)
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: u64,
    /// Check instead whether the program serves many operations, as `warm` in a registry entry asks for
    #[arg(long)]
    pub(crate) warm: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// Program to test; it starts in an empty folder, so pass absolute paths
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: String,
    /// Arguments of the program; write -- before arguments that begin with a dash
    #[arg(value_name = "ARG")]
    pub(crate) arguments: Vec<String>,
}

/// `pop handler serve`
#[derive(Debug, Args)]
pub(crate) struct HandlerServeArgs {
    /// Type of the handler; for the kinds publisher and pusher, any name
    #[arg(value_name = "TYPE", add = ArgValueCandidates::new(completion::types))]
    pub(crate) handler_type: String,
    /// How to serve: sync-replier (one request at a time), replier (several at a time), publisher (each trigger to all
    /// subscribers), pusher (each trigger to one receiver, in turn), pair (one peer)
    #[arg(long, value_name = "KIND", default_value = "replier")]
    pub(crate) kind: ServeKind,
    /// Listen here for requests and triggers: tcp://ADDRESS:PORT or ipc://PATH [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) bind: Option<Endpoint>,
    /// Listen here for subscribers (publisher) or receivers (pusher) [default: a free port of 127.0.0.1]
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) broadcast: Option<Endpoint>,
    /// Start with this many instances
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) instances: u32,
    /// Allow at most this many instances of a replier [default: the number of processors, or --instances if that is more]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) max_instances: Option<u32>,
    /// Let at most this many requests wait; more are answered `queue is full`
    #[arg(long, value_name = "N", default_value_t = DEFAULT_QUEUE, value_parser = clap::value_parser!(u32).range(0..=i64::from(MAX_QUEUE)))]
    pub(crate) queue: u32,
    /// Stop a request that takes longer [default: no limit]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: Option<u64>,
    /// When pop stops a request, wait this many seconds after SIGTERM before SIGKILL; at the end, wait this long for requests
    /// in hand
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) grace: u64,
    /// Endpoint of a handler that an action depends on; repeatable
    #[arg(long = "dependency", value_name = "TYPE=ENDPOINT", value_parser = key_value)]
    pub(crate) dependencies: Vec<(String, String)>,
    /// Name for `pop handler ctl` [default: TYPE_1, or the next free number]
    #[arg(long, value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Answer Prometheus here, at the path /metrics
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) metrics: Option<SocketAddr>,
    /// Write the output of instances to files in this folder
    #[arg(long, value_name = "DIR")]
    pub(crate) logs: Option<PathBuf>,
    /// How to print the endpoints: text (standard error) or json (one line on standard output)
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// `pop handler ctl`
#[derive(Debug, Args)]
pub(crate) struct HandlerCtlArgs {
    /// Id of the handler
    #[arg(value_name = "ID", add = ArgValueCandidates::new(completion::served_handlers))]
    pub(crate) id: String,
    /// status, parts, message-amount, instance-amount, instances, config, add-instance, delete-instance ID, close-part PART,
    /// run-part PART, close, or events
    #[arg(value_name = "COMMAND")]
    pub(crate) command: String,
    /// Instance or part that the command is about
    #[arg(value_name = "WHAT")]
    pub(crate) what: Option<String>,
}
