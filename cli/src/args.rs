//! The words of the command line, POP's single-dash names among them.

mod kept;

pub(crate) use kept::{
    CacheClearArgs, CacheCommand, CacheListArgs, DlqCommand, DlqDropArgs, DlqListArgs, DlqReplayArgs,
    DlqShowArgs,
};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use pop_executor::Host;
use pop_field_retriever::LaunchType;
use std::ffi::OsString;
use std::path::PathBuf;
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

/// The standard launch data.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Launch data")]
pub(crate) struct LaunchArgs {
    /// How this process was launched [local, docker, kubernetes; default: local]
    #[arg(long, value_name = "TYPE")]
    pub(crate) launch_type: Option<LaunchType>,
    /// How operations are launched [local, docker, kubernetes; default: local]
    #[arg(long, visible_alias = "on", value_name = "TYPE")]
    pub(crate) external_launch_type: Option<LaunchType>,
    /// Java .properties file [default: the first of ./config/external.properties, ./config/external-properties,
    /// /app/config/external.properties]
    #[arg(long, value_name = "FILE")]
    pub(crate) prop_file: Option<PathBuf>,
    /// File of the agenda, if it is not given as an argument
    #[arg(long, value_name = "FILE")]
    pub(crate) payload_file: Option<PathBuf>,
    /// Progress of an earlier try
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) last_progress_file: Option<PathBuf>,
    /// Certificate to reach a cluster from outside
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) oauth_cert_path: Option<PathBuf>,
    /// Token to reach a cluster from outside
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) oauth_token_path: Option<PathBuf>,
}

/// Where handlers are known from.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RegistryArgs {
    /// Registry file [default: registry.json or registry.yaml beside the agenda, then /app/config/registry.json]
    #[arg(long, value_name = "FILE")]
    pub(crate) registry: Option<PathBuf>,
    /// Folder of handler descriptors (*.conf) [default: conf.d beside the agenda, then /app/config/conf.d]
    #[arg(long, value_name = "DIR")]
    pub(crate) conf_d: Option<PathBuf>,
    /// Folder in which programs of descriptors are looked for; may be repeated [default: handlers beside conf.d,
    /// then /usr/lib/pop/handlers, /usr/lib64/pop/handlers]
    #[arg(long = "handlers", value_name = "DIR")]
    pub(crate) handlers: Vec<PathBuf>,
    /// A value for the agenda's params, over what stands there; may be repeated
    #[arg(long = "param", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) params: Vec<(String, String)>,
}

/// Where runs are kept.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunsFolder {
    /// Folder of runs
    #[arg(long, env = "POP_RUNS", default_value = ".pop/runs", value_name = "DIR")]
    pub(crate) runs: PathBuf,
}

/// Where runs share locks, delays, versions and cached results.
#[derive(Debug, Clone, Args)]
pub(crate) struct HostFolder {
    /// Folder of what runs share: locks, delays, versions, cached results [default: .host in the folder of runs]
    #[arg(long, env = "POP_HOST_FOLDER", value_name = "DIR")]
    pub(crate) host_folder: Option<PathBuf>,
}

impl HostFolder {
    /// What runs share, for those of a folder.
    pub(crate) fn of(&self, runs: &RunsFolder) -> Host {
        self.host_folder.clone().map_or_else(|| Host::of_runs(&runs.runs), Host::new)
    }
}

/// How a run is to go.
#[derive(Debug, Clone, Args)]
pub(crate) struct GoArgs {
    /// How many operations run at once [default: the number of processors]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) parallel: Option<u32>,
    /// After a failure, run everything that does not need what failed
    #[arg(long, short = 'k')]
    pub(crate) keep_going: bool,
    /// How long the run may take, in seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) time_limit: Option<u64>,
    /// How long operations that are asked to stop may take before they are killed, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub(crate) grace: u64,
    /// When the disk is made to have the journal: behind (within 100 ms) or each (before anything follows)
    #[arg(long, value_enum, default_value_t = SyncArg::Behind)]
    pub(crate) sync: SyncArg,
    /// What is printed while it runs
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) host: HostFolder,
}

/// `pop run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The agenda: a JSON or YAML file, or - for standard input
    #[arg(value_name = "AGENDA", conflicts_with = "payload_file")]
    pub(crate) agenda: Option<PathBuf>,
    /// What the run is called; a run of that id that was begun and has not ended is gone on with [default: the time]
    #[arg(long, value_name = "ID", value_parser = run_id)]
    pub(crate) run_id: Option<String>,
    #[command(flatten)]
    pub(crate) go: GoArgs,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// `pop check`
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Agendas to check
    #[arg(value_name = "AGENDA", required = true)]
    pub(crate) agendas: Vec<PathBuf>,
    /// Take every warning for an error
    #[arg(long)]
    pub(crate) strict: bool,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// `pop plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The agenda: a JSON or YAML file, or - for standard input
    #[arg(value_name = "AGENDA")]
    pub(crate) agenda: Option<PathBuf>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = PlanOutput::Text)]
    pub(crate) output: PlanOutput,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
}

/// `pop resume`
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run, or `last`
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) go: GoArgs,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop runs`
#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop show`
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// The run, or `last`
    pub(crate) run: String,
    /// One of its operations
    pub(crate) operation: Option<String>,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop logs`
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// The run, or `last`
    pub(crate) run: String,
    /// One of its operations
    pub(crate) operation: Option<String>,
    /// Print what comes, until the operation or the run is over
    #[arg(long, short)]
    pub(crate) follow: bool,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop explain`
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// The run, or `last`
    pub(crate) run: String,
    /// The operation
    pub(crate) operation: String,
    #[command(flatten)]
    pub(crate) runs: RunsFolder,
}

/// `pop verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The agenda: a JSON or YAML file, or - for standard input
    pub(crate) agenda: PathBuf,
    /// Two or more launchers, with commas [local, docker, kubernetes]
    #[arg(long, value_name = "TYPES", required = true, value_delimiter = ',')]
    pub(crate) on: Vec<LaunchType>,
    /// File or folder that is not copied into the workspaces; may be repeated
    #[arg(long, value_name = "PATH")]
    pub(crate) without: Vec<PathBuf>,
    /// Files, or folders of them, that are compared [default: every file that is new or changed]
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub(crate) outputs: Vec<PathBuf>,
    /// Keep the workspaces although all is equal
    #[arg(long)]
    pub(crate) keep: bool,
    /// How many operations run at once [default: the number of processors]
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) parallel: Option<u32>,
    /// After a failure, run everything that does not need what failed
    #[arg(long, short = 'k')]
    pub(crate) keep_going: bool,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
    /// How this process was launched [local, docker, kubernetes; default: local]
    #[arg(long, value_name = "TYPE")]
    pub(crate) launch_type: Option<LaunchType>,
    /// Java .properties file
    #[arg(long, value_name = "FILE")]
    pub(crate) prop_file: Option<PathBuf>,
}

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

/// What `pop handlers` does.
#[derive(Debug, Subcommand)]
pub(crate) enum HandlersCommand {
    /// Show the handlers of one type
    Show {
        /// The operation type
        handler_type: String,
    },
    /// Read and check registry and descriptors anew, and say what is not as a run began with it
    Reload {
        /// The run, or `last`
        #[arg(long, value_name = "RUN", default_value = "last")]
        run: String,
        #[command(flatten)]
        runs: RunsFolder,
    },
}

/// What `pop handler` does.
#[derive(Debug, Subcommand)]
pub(crate) enum HandlerCommand {
    /// Launch a program some thirty times, and say which promises of the handler contract it keeps
    #[command(after_help = "Exit codes: 0 no promise is broken, 10 one is, 1 fault in pop, 2 command line.")]
    Check(HandlerCheckArgs),
}

/// `pop handler check`
#[derive(Debug, Args)]
pub(crate) struct HandlerCheckArgs {
    /// JSON file of a payload with which the program succeeds [default: the payload {}]
    #[arg(long, value_name = "FILE")]
    pub(crate) payload: Option<PathBuf>,
    /// File of a payload that the program must refuse
    #[arg(long, value_name = "FILE")]
    pub(crate) bad_payload: Option<PathBuf>,
    /// How long one launch may take, in milliseconds; of that ten seconds at most after SIGTERM
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) timeout_ms: u64,
    /// What is printed
    #[arg(long, value_enum, default_value_t = Output::Text)]
    pub(crate) output: Output,
    /// The program; it is started in an empty folder, so files are named by absolute paths
    #[arg(value_name = "PROGRAM")]
    pub(crate) program: String,
    /// Its own arguments; after -- they may begin with a dash
    #[arg(value_name = "ARG")]
    pub(crate) arguments: Vec<String>,
}

/// `pop new`
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// What it is called: the operation type, and the name of its folder, program and image
    pub(crate) name: String,
    /// What it is written in
    #[arg(long, value_enum, default_value_t = NewLanguage::Rust)]
    pub(crate) lang: NewLanguage,
    /// What it is
    #[arg(long, value_enum, default_value_t = NewKind::Handler)]
    pub(crate) kind: NewKind,
    /// Where Rust has the toolkit from: the folder of a checkout of pop, or a version [default: the version of
    /// this pop]
    #[arg(long, value_name = "FOLDER|VERSION")]
    pub(crate) toolkit: Option<String>,
    /// Folder in which the new one is made
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) into: PathBuf,
}

/// What `pop new` can write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewLanguage {
    /// Rust, with the toolkit
    Rust,
    /// Python 3.11 or later, without packages
    Python,
    /// POSIX shell
    Shell,
}

/// What `pop new` can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NewKind {
    /// A program that carries operations of one type out
    Handler,
    /// One that installs, updates, uninstalls and lists units of content
    Content,
    /// One that binds a machine to repositories
    Bind,
    /// One that restarts a machine
    System,
}

/// Text for people or JSON for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The forms of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanOutput {
    /// For people
    Text,
    /// For programs
    Json,
    /// For Graphviz
    Dot,
    /// For Markdown pages
    Mermaid,
    /// What the Engine or the cluster would be asked to create; with `--on docker` or `--on kubernetes`
    Manifests,
}

/// When the disk has the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SyncArg {
    /// Within 100 ms
    Behind,
    /// Before anything follows
    Each,
}

/// An id that names a folder, and is the value of a label on containers and pods.
fn run_id(text: &str) -> Result<String, String> {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric();
    let is_id = text.len() <= 63
        && text.starts_with(is_plain)
        && text.ends_with(is_plain)
        && text.chars().all(|letter| is_plain(letter) || "-_.".contains(letter));
    match text {
        "last" => Err("`last` means the newest run".to_owned()),
        _ if is_id => Ok(text.to_owned()),
        _ => Err("up to 63 letters (a to z), digits, `-`, `_` and `.`, with a letter or digit at both ends"
            .to_owned()),
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as KEY=VALUE".to_owned()),
    }
}

/// The command line's grammar, with POP's camel-case spelling of every long name.
pub(crate) fn grammar() -> clap::Command {
    with_camel_case(Cli::command())
}

fn with_camel_case(command: clap::Command) -> clap::Command {
    let command = command.mut_args(|arg| {
        let camel = arg.get_long().filter(|long| long.contains('-')).map(camel_case);
        match camel {
            Some(camel) => arg.alias(camel),
            None => arg,
        }
    });
    command.mut_subcommands(with_camel_case)
}

fn camel_case(kebab: &str) -> String {
    let mut words = kebab.split('-');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut camel, word| {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
        camel
    })
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

fn long_names(command: &clap::Command) -> Vec<String> {
    let own = command.get_arguments().flat_map(|arg| {
        let long = arg.get_long().map(str::to_owned);
        let aliases = arg.get_all_aliases().unwrap_or_default().into_iter().map(str::to_owned);
        long.into_iter().chain(aliases)
    });
    own.chain(command.get_subcommands().flat_map(long_names)).collect()
}

/// `-launchType x` is POP's spelling: a single dash before a known long name gets its second one.
fn with_two_dashes(argv: impl IntoIterator<Item = OsString>, known: &[String]) -> Vec<OsString> {
    let mut is_over = false;
    let spell = |argument: OsString| {
        is_over = is_over || argument == "--";
        let Some(text) = argument.to_str().filter(|text| !is_over && !text.starts_with("--")) else {
            return argument;
        };
        let Some(rest) = text.strip_prefix('-') else { return argument };
        let name = rest.split('=').next().unwrap_or(rest);
        let is_known = name.len() > 1 && known.iter().any(|known| known == name);
        if is_known { OsString::from(format!("-{text}")) } else { argument }
    };
    argv.into_iter().map(spell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn f35_ids_of_runs_are_folders_and_labels() {
        let longest = "x".repeat(63);
        for id in ["pop-hello", "A.b_c-1", "7", &longest] {
            assert_eq!(run_id(id), Ok(id.to_owned()));
        }
        let too_long = "x".repeat(64);
        for id in ["", "last", "..", ".a", "a.", "-a", "a/b", "a b", "ä", "a\0", &too_long] {
            assert!(run_id(id).is_err(), "{id}");
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
