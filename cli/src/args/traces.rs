//! Arguments of `pop traces`.

use super::exit_codes;
use super::otlp::{OtlpArg, otlp};
use super::shared::RunsFolder;
use crate::completion;
use clap::{Args, Subcommand};
use clap_complete::engine::ArgValueCandidates;

/// Commands of `pop traces`.
#[derive(Debug, Subcommand)]
pub(crate) enum TracesCommand {
    /// Send the spans of a run that have not arrived yet
    #[command(after_help = exit_codes::TRACES)]
    Send(TracesSendArgs),
}

/// `pop traces send`
#[derive(Debug, Args)]
pub(crate) struct TracesSendArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs))]
    pub(crate) run: String,
    /// Address of the OpenTelemetry collector (OTLP over HTTP); `env` takes it from OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
    /// OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318
    #[arg(long, env = "POP_OTLP", value_name = "URL", value_parser = otlp, default_value = "env")]
    pub(crate) otlp: OtlpArg,
    /// Send every span, also those that have arrived before
    #[arg(long)]
    pub(crate) again: bool,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}
