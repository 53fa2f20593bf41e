//! The command line: its commands, and POP's spellings of their arguments.

mod cache;
mod check;
mod dlq;
mod handlers;
mod new;
mod run;
mod saved_runs;
mod shared;
mod spelling;
mod verify;

pub(crate) use cache::{CacheClearArgs, CacheCommand, CacheListArgs};
pub(crate) use check::{CheckArgs, PlanArgs, PlanOutput};
pub(crate) use dlq::{DlqCommand, DlqDropArgs, DlqListArgs, DlqReplayArgs, DlqShowArgs};
pub(crate) use handlers::{HandlerCheckArgs, HandlerCommand, HandlersArgs, HandlersCommand};
pub(crate) use new::{NewArgs, NewKind, NewLanguage};
pub(crate) use run::{ResumeArgs, RunArgs};
pub(crate) use saved_runs::{ExplainArgs, LogsArgs, RunsArgs, ShowArgs};
pub(crate) use shared::{GoArgs, HostFolder, LaunchArgs, Output, RegistryArgs, RunsFolder, SyncArg};
pub(crate) use verify::VerifyArgs;

use clap::error::ErrorKind;
use clap::{Args as _, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use spelling::{long_names, with_camel_case, with_two_dashes};
use std::ffi::OsString;
use std::process::ExitCode;

/// Run an agenda of operations: as processes here, in dependency order, resumable, explained
#[derive(Debug, Parser)]
#[command(name = "pop", version, max_term_width = 100, arg_required_else_help = true)]
#[command(
    after_help = "Exit codes: 0 all settled as allowed, 1 fault in pop, 2 command line, 3 agenda does not plan, \
    4 registry or settings invalid, 10 an operation failed, 12 stopped by FATAL, 13 time limit, 14 Docker or cluster not reachable, 15 journal unusable, 130 interrupted, 143 terminated."
)]
pub(crate) struct Cli {
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What `pop` does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run an agenda
    Run(RunArgs),
    /// Find every fault of agendas; nothing is started
    Check(CheckArgs),
    /// Show what would run, in which order and why; nothing is started
    Plan(PlanArgs),
    /// Go on with a run after a crash, a stop or a failure; what finished is not run again
    Resume(ResumeArgs),
    /// List runs, newest first
    Runs(RunsArgs),
    /// Show a run, or one of its operations
    Show(ShowArgs),
    /// Print the logs of a run, or of one of its operations
    Logs(LogsArgs),
    /// Explain why an operation is where it is
    Explain(ExplainArgs),
    /// Tell of dead letters (operations that were set aside), and replay them
    Dlq {
        /// What to do with them
        #[command(subcommand)]
        command: DlqCommand,
    },
    /// Tell of results that are kept for later runs, and forget them
    Cache {
        /// What to do with them
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Run an agenda under several launchers and compare all that comes of it
    #[command(
        after_help = "Exit codes: 0 all is equal, 10 something differs; those of `pop run` if a run cannot be compared."
    )]
    Verify(VerifyArgs),
    /// List the types that operations can have, or show one with the origin of each field
    Handlers(HandlersArgs),
    /// Put a program to the handler contract
    Handler {
        /// What to do with it
        #[command(subcommand)]
        command: HandlerCommand,
    },
    /// Make the first files of a new handler
    New(NewArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man,
    /// Wait for the end of standard input, then end what an executor has left; `run` and `resume` start this
    #[command(hide = true)]
    Guard {
        /// The executor
        executor: String,
    },
}

/// The command line's grammar, with POP's camel-case spelling of every long name.
pub(crate) fn grammar() -> clap::Command {
    with_camel_case(Cli::command())
}

/// Reads the command line. An error has been printed when this returns.
pub(crate) fn parse(argv: impl IntoIterator<Item = OsString>) -> Result<Cli, ExitCode> {
    let argv: Vec<OsString> = argv.into_iter().collect();
    if let Some(cli) = parse_run_or_resume(&argv) {
        return Ok(cli);
    }
    let grammar = grammar();
    let argv = with_two_dashes(argv, &long_names(&grammar));
    let parsed = grammar.try_get_matches_from(argv).and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| {
        // help and version are no errors; a terminal that is gone reads neither
        error.print().ok();
        match error.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
            _ => ExitCode::from(2),
        }
    })
}

/// Reads a command line of `pop run` or `pop resume` with the grammar of that subcommand alone: the grammar of all
/// subcommands takes a noticeable part of the time of a short run. Returns `None` for help, for POP's spellings and for
/// every error, which the whole grammar then reads again and explains.
fn parse_run_or_resume(argv: &[OsString]) -> Option<Cli> {
    let name = argv.get(1)?.to_str()?;
    let subcommand = clap::Command::new(name.to_owned()).disable_help_flag(true);
    let subcommand = match name {
        "run" => RunArgs::augment_args(subcommand),
        "resume" => ResumeArgs::augment_args(subcommand),
        _ => return None,
    };
    // a single dash before a long name is POP's spelling, and not several short options
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
    fn the_grammar_is_sound() {
        grammar().debug_assert();
    }

    #[test]
    fn p3_every_spelling_of_launch_data_is_read() {
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
    fn run_alone_is_read_as_by_the_whole_grammar() {
        for line in [
            "run a.json",
            "run",
            "run a.json --on docker -j 4 -k --param x=1 --param y=2 --sync each --output json",
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
    fn params_are_pairs() {
        let args = parsed("run a.json --param timeoutMs=5 --param x=a=b").unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(args.registry.params, [pair("timeoutMs", "5"), pair("x", "a=b")]);
        assert!(parsed("run a.json --param x").is_err());
    }
}
