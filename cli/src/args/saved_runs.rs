//! Arguments of commands that read saved runs: `pop runs`, `show`, `logs` and `explain`.

use super::age::age;
use super::shared::{Output, RunsFolder};
use crate::completion;
use clap::{Args, ValueEnum};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter};
use std::path::PathBuf;
use std::time::Duration;

/// `pop runs`
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Only runs in this state; repeatable
    #[arg(long, value_enum, value_name = "STATE")]
    pub(crate) outcome: Vec<RunState>,
    /// Only runs of this agenda: its file, or only the name of the file
    #[arg(long, value_name = "AGENDA", add = ArgValueCompleter::new(completion::agendas()))]
    pub(crate) agenda: Option<PathBuf>,
    /// At most N runs, the newest [default: all]
    #[arg(short = 'n', long = "number", value_name = "N")]
    pub(crate) number: Option<usize>,
    /// Print only the names of the runs
    #[arg(short, long, conflicts_with = "output")]
    pub(crate) quiet: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// States of a run: its outcome, or why it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "camelCase")]
pub(crate) enum RunState {
    /// A process executes the run
    Running,
    /// The executor died; `pop resume` continues the run
    Stopped,
    /// Every operation succeeded, was skipped or came from the cache
    Succeeded,
    /// An operation failed
    Failed,
    /// Some operations are in the dead-letter queue
    DeadLettered,
    /// An operation with `onFail: FATAL` failed
    Fatal,
    /// The time limit was reached
    TimeLimit,
    /// SIGINT ended the run
    Interrupted,
    /// SIGTERM or SIGHUP ended the run
    Terminated,
    /// No operation could proceed: a bug in pop
    Stuck,
}

impl RunState {
    /// Whether this is the state that `pop runs` prints as `word`.
    pub(crate) fn is(self, word: &str) -> bool {
        self.to_possible_value().is_some_and(|value| value.matches(word, false))
    }
}

/// `pop show`
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs))]
    pub(crate) run: String,
    /// Limit the output to this operation [default: all]
    #[arg(add = ArgValueCandidates::new(completion::operations))]
    pub(crate) operation: Option<String>,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop logs`
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs))]
    pub(crate) run: String,
    /// Limit the output to this operation [default: all]
    #[arg(add = ArgValueCandidates::new(completion::operations))]
    pub(crate) operation: Option<String>,
    /// Keep printing until the operation or the run ends
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Begin with the last N lines of each log [default: all lines]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub(crate) lines: Option<usize>,
    /// Only logs of attempts that ran in the last AGE, for example 90s, 10m, 2h or 7d; lines have no times of their own
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub(crate) since: Option<Duration>,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// Name of the run, or `last` for the newest
    #[arg(add = ArgValueCandidates::new(completion::runs))]
    pub(crate) run: String,
    /// Name of the operation
    #[arg(add = ArgValueCandidates::new(completion::operations))]
    pub(crate) operation: String,
    /// Output format
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}
