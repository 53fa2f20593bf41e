//! Arguments of `pop report`.

use super::shared::RunsFolder;
use crate::completion;
use clap::{Args, ValueEnum};
use clap_complete::engine::ArgValueCandidates;
use std::path::PathBuf;

/// `pop report`
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs))]
    pub(crate) run: String,
    /// Write the report to this file; `-` is standard output [default: report-RUN.html for html, standard output for other
    /// formats]
    #[arg(long, value_name = "FILE")]
    pub(crate) into: Option<PathBuf>,
    /// Format of the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    pub(crate) format: ReportFormat,
    /// In a GitHub job (GITHUB_ACTIONS is true), also print each failure as an annotation, on standard error
    #[arg(long)]
    pub(crate) github_annotations: bool,
    /// Serve the page on 127.0.0.1 and follow the run, until Ctrl-C
    #[arg(long, conflicts_with_all = ["into", "format", "github_annotations"])]
    pub(crate) live: bool,
    /// With --live: serve on this port [default: a free one]
    #[arg(long, value_name = "PORT", requires = "live")]
    pub(crate) port: Option<u16>,
    /// With --live: stop when the run has ended
    #[arg(long, requires = "live")]
    pub(crate) until_end: bool,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// Formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One page that needs no network: timeline, graph, failures, files
    Html,
    /// Everything that the page shows, for programs
    Json,
    /// Test results for CI systems
    Junit,
    /// Trace for Perfetto and chrome://tracing
    Trace,
    /// One row per attempt, for spreadsheets
    Csv,
    /// Summary for a CI job, such as $GITHUB_STEP_SUMMARY
    Markdown,
}
