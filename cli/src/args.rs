//! The command line: commands, arguments, and POP's spellings of long options.

mod age;
mod cache;
mod check;
mod dlq;
mod exit_codes;
mod handlers;
mod inputs;
mod manage;
mod new;
mod operator;
mod otlp;
mod report;
mod rerun;
mod resources;
mod run;
mod saved_runs;
mod service;
mod shared;
mod size;
mod spelling;
mod traces;
mod verify;

pub(crate) use cache::{CacheClearArgs, CacheCommand, CacheListArgs, CachePruneArgs, CacheSizeArgs};
pub(crate) use check::{CheckArgs, PlanArgs, PlanOutput};
pub(crate) use dlq::{DlqCommand, DlqDropArgs, DlqListArgs, DlqReplayArgs, DlqShowArgs};
pub(crate) use handlers::{
    HandlerCheckArgs, HandlerCommand, HandlerCtlArgs, HandlerServeArgs, HandlersArgs, HandlersCommand,
};
pub(crate) use inputs::{InputArgs, InputsArgs, PlanningArgs};
pub(crate) use manage::{CancelArgs, PruneArgs, WaitArgs, WatchArgs};
pub(crate) use new::{NewArgs, NewKind, NewLanguage};
pub(crate) use operator::{
    HttpAddress, OperatorCommand, OperatorManifestArgs, OperatorRunArgs, OperatorSource,
};
pub(crate) use report::{ReportArgs, ReportFormat};
pub(crate) use rerun::RerunArgs;
pub(crate) use resources::ResourceArgs;
pub(crate) use run::{ResumeArgs, RunArgs};
pub(crate) use saved_runs::{ExplainArgs, LogsArgs, RunsArgs, ShowArgs};
pub(crate) use service::{NewToken, PullArgs, PullerArgs, ReapArgs, ServeArgs};
pub(crate) use shared::{
    GoArgs, HostFolder, LaunchArgs, Output, RegistryArgs, RunsFolder, StrictArg, SyncArg,
};
pub(crate) use traces::{TracesCommand, TracesSendArgs};
pub(crate) use verify::VerifyArgs;

use crate::ui;
use clap::error::ErrorKind;
use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use spelling::{long_names, with_camel_case, with_two_dashes};
use std::ffi::OsString;
use std::process::ExitCode;

/// Run agendas (operations with dependencies) as processes, containers or pods
#[derive(Debug, Parser)]
#[command(name = "pop", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = exit_codes::ALL)]
pub(crate) struct Cli {
    /// Command to perform
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Commands of `pop`.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an agenda
    #[command(after_help = exit_codes::RUN)]
    Run(RunArgs),
    /// Check agendas and list every error; start nothing
    #[command(after_help = exit_codes::PLAN)]
    Check(CheckArgs),
    /// Show what would run, in which order and why; start nothing
    #[command(after_help = exit_codes::PLAN)]
    Plan(PlanArgs),
    /// Resume a run after a crash, a stop or a failure; finished operations do not run again
    #[command(after_help = exit_codes::RUN)]
    Resume(ResumeArgs),
    /// Start a new run that reuses the unchanged results of an earlier one
    #[command(after_help = exit_codes::RUN)]
    Rerun(RerunArgs),
    /// List the inputs of an agenda
    #[command(after_help = exit_codes::INPUTS)]
    Inputs(InputsArgs),
    /// Cancel a running run, from any terminal; running operations get time to stop
    #[command(after_help = exit_codes::CANCEL)]
    Cancel(CancelArgs),
    /// Wait for the end of a run, and exit with its exit code
    #[command(after_help = exit_codes::WAIT)]
    Wait(WaitArgs),
    /// Show a running run, as `pop run` shows its own, and exit with its exit code
    #[command(after_help = exit_codes::WAIT)]
    Watch(WatchArgs),
    /// List runs, newest first
    #[command(after_help = exit_codes::READ)]
    Runs(RunsArgs),
    /// Show a run, or one of its operations
    #[command(after_help = exit_codes::READ)]
    Show(ShowArgs),
    /// Print the logs of a run, or of one of its operations
    #[command(after_help = exit_codes::READ)]
    Logs(LogsArgs),
    /// Explain the state of an operation: dependencies, attempts, payload, policies
    #[command(after_help = exit_codes::READ)]
    Explain(ExplainArgs),
    /// Write a page about a run, or a report for CI and other programs; follow a run live
    #[command(after_help = exit_codes::READ)]
    Report(ReportArgs),
    /// Delete old runs, but none that runs, has dead letters or wrote cached results
    #[command(after_help = exit_codes::PRUNE)]
    Prune(PruneArgs),
    /// Manage the dead-letter queue: failed operations with `onFail: DLQ`
    #[command(after_help = exit_codes::DLQ)]
    Dlq {
        /// Command to perform
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// List or clear cached results
    #[command(after_help = exit_codes::CACHE)]
    Cache {
        /// Command to perform
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Send the trace of a run (spans of OpenTelemetry) to a collector
    #[command(after_help = exit_codes::TRACES)]
    Traces {
        /// Command to perform
        #[command(subcommand)]
        command: TracesCommand,
    },
    /// Run an agenda under several launchers and compare outcomes, results and files
    #[command(after_help = exit_codes::VERIFY)]
    Verify(VerifyArgs),
    /// List handlers by operation type, or show one type with the origin of each field
    #[command(after_help = exit_codes::HANDLERS)]
    Handlers(HandlersArgs),
    /// Test a program against the handler contract; serve and manage a handler
    #[command(after_help = exit_codes::HANDLER)]
    Handler {
        /// Command to perform
        #[command(subcommand)]
        command: HandlerCommand,
    },
    /// Run a Kubernetes operator: that of Agendas, or one whose handler is a program
    #[command(after_help = exit_codes::OPERATOR)]
    Operator {
        /// Command to perform
        #[command(subcommand)]
        command: OperatorCommand,
    },
    /// Serve agendas over HTTP: queue them, hand them to pullers, keep their progress
    #[command(after_help = exit_codes::SERVE)]
    Serve(Box<ServeArgs>),
    /// Take agendas from a service, and run each with an executor of its own
    #[command(after_help = exit_codes::PULL)]
    Pull(Box<PullArgs>),
    /// Delete old pods or containers of pop, or old agendas of a service
    #[command(after_help = exit_codes::REAP)]
    Reap(ReapArgs),
    /// Create the files of a new handler or operator
    #[command(after_help = exit_codes::NEW)]
    New(NewArgs),
    /// Print a shell completion script, for example for `source <(pop completions bash)`
    #[command(after_help = exit_codes::PRINT)]
    Completions {
        /// Shell that reads the script
        shell: clap_complete::Shell,
    },
    /// Print the manual page, or write a page for each command
    #[command(after_help = exit_codes::PRINT)]
    Man {
        /// Write the pages of all commands into this folder
        #[arg(long, value_name = "DIR")]
        into: Option<std::path::PathBuf>,
    },
    /// Wait for the end of standard input, then end the processes that an executor left; `run` and `resume` start this
    #[command(hide = true)]
    Guard {
        /// Identity of the executor
        executor: String,
        /// File whose time becomes the time of the executor's end
        mark: Option<std::path::PathBuf>,
    },
}

/// Builds the grammar of the command line, with POP's camel-case alias for every long option.
pub(crate) fn grammar() -> clap::Command {
    with_camel_case(Cli::command())
}

/// Parses the command line. On error, the message is already printed.
pub(crate) fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    let argv: Vec<OsString> = argv.into_iter().collect();
    if let Some(cli) = parse_run_or_resume(&argv) {
        return Ok(cli);
    }
    let grammar = grammar();
    let argv = with_two_dashes(argv, &long_names(&grammar));
    let parsed = grammar.try_get_matches_from(argv).and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| {
        let printed = error.print();
        match (error.kind(), printed) {
            (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Ok(())) => ExitCode::SUCCESS,
            (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(error)) => ui::exit_unprinted(&error),
            // nothing can be reported without standard error
            _ => ExitCode::from(2),
        }
    })
}

/// Parses `pop run` or `pop resume` with the grammar of that subcommand alone, because building the whole grammar takes
/// a noticeable part of a short run. Returns `None` for help, for POP's spellings and for errors: the whole grammar then
/// parses the line again and reports them.
fn parse_run_or_resume(argv: &[OsString]) -> Option<Cli> {
    let name = argv.get(1)?.to_str()?;
    let subcommand = clap::Command::new(name.to_owned()).disable_help_flag(true);
    let subcommand = match name {
        "run" => RunArgs::augment_args(subcommand),
        "resume" => ResumeArgs::augment_args(subcommand),
        _ => return None,
    };
    // a single dash before a long name is POP's spelling, not a group of short options
    let is_popish = |argument: &OsString| {
        let bytes = argument.as_encoded_bytes();
        bytes.len() > 2 && bytes[0] == b'-' && bytes[1] != b'-'
    };
    if argv.iter().any(is_popish) {
        return None;
    }
    let grammar = clap::Command::new("pop").subcommand(subcommand);
    Cli::from_arg_matches(&grammar.try_get_matches_from(argv).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_field_retriever::LaunchType;
    use std::path::PathBuf;

    fn parsed(line: &str) -> Result<RunArgs, ExitCode> {
        let argv = std::iter::once("pop").chain(line.split(' ')).map(OsString::from);
        parse(argv).map(|cli| match cli.command {
            Command::Run(args) => args,
            other => unreachable!("{other:?}"),
        })
    }

    #[test]
    fn grammar_is_valid() {
        grammar().debug_assert();
    }

    #[test]
    fn launch_data_options_accept_every_spelling() {
        for line in [
            "run a.json -externalLaunchType docker",
            "run a.json -externalLaunchType=docker",
            "run a.json --externalLaunchType docker",
            "run a.json --externalLaunchType=docker",
            "run a.json --external-launch-type docker",
            "run a.json --on docker",
            "run -on docker a.json",
        ] {
            let args = parsed(line).unwrap();
            assert_eq!(args.launch.external_launch_type, Some(LaunchType::Docker), "{line}");
            assert_eq!(args.agenda, Some(PathBuf::from("a.json")), "{line}");
        }
        assert_eq!(parsed("run -j4 a.json").unwrap().go.parallel, Some(4));
        assert_eq!(parsed("run -- -launchType").unwrap().agenda, Some(PathBuf::from("-launchType")));
    }

    #[test]
    fn fast_parse_equals_the_whole_grammar() {
        for line in [
            "run a.json",
            "run",
            "run a.json --on docker -j 4 -k --policy x=1 --policy y=2 --sync each --output json",
            "run --run-id r1 --grace 3 --time-limit 9 --runs r --host-folder h a.json",
            "run -- a.json",
            "resume last --keep-going",
        ] {
            let argv: Vec<OsString> =
                std::iter::once("pop").chain(line.split(' ')).map(OsString::from).collect();
            let whole = grammar().try_get_matches_from(&argv).unwrap();
            let whole = Cli::from_arg_matches(&whole).unwrap();
            let alone = parse_run_or_resume(&argv).unwrap();
            assert_eq!(format!("{alone:?}"), format!("{whole:?}"), "{line}");
        }
        for line in [
            "run --help",
            "run -launchType docker a.json",
            "run -j4 a.json",
            "run --launchType local",
            "runs",
            "run a b c",
        ] {
            let argv: Vec<OsString> =
                std::iter::once("pop").chain(line.split(' ')).map(OsString::from).collect();
            assert!(parse_run_or_resume(&argv).is_none(), "{line}");
        }
    }

    #[test]
    fn policy_is_a_key_value_pair_and_param_is_gone() {
        let args = parsed("run a.json --policy timeoutMs=5 --policy x=a=b").unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(args.plan.policies.policies, [pair("timeoutMs", "5"), pair("x", "a=b")]);
        for line in ["--policy x", "--policy =1", "--param timeoutMs=5", "--param=x=1", "-param x=1"] {
            assert!(parsed(&format!("run a.json {line}")).is_err(), "{line}");
        }
    }
}
