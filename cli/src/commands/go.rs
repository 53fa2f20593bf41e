//! Executes a run for `run`, `resume` and `dlq replay`: runtime, signals, reporters, summary.

use super::earlier_runs::earlier_durations;
use super::elsewhere;
use super::machine::{now, processors};
use super::operation_words::quoted;
use super::report::annotate;
use super::run_traces::RunTraces;
use super::service_report;
use super::signals::{SUSPENSION, run_requests, suspend};
use crate::args::{GoArgs, HostFolder, Output, RunsFolder, SyncArg};
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_agenda::{EventRecord, History, Plan, PriorOutcomes, Resources, RunOptions, RunOutcome, Sink};
use pop_assembly::{AdoptedProgress, PreparedRun, Surroundings};
use pop_executor::{
    FinishedRun, Host, HostEffects, Ports, RunIdentity, Runners, Sync, cluster, remote_file_system, run,
};
use pop_field_retriever::{LaunchDataWrapper, LaunchType};
use pop_launchers::process::{MemoryKills, executor_identity};
use pop_launchers::{Setting, choose};
use pop_reporters::run::{
    Bars, FollowedRun, Follower, JsonEvents, Lines, SinkThread, Spool, SpoolLoss, summary,
};
use std::io::Stdout;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

impl From<SyncArg> for Sync {
    fn from(arg: SyncArg) -> Self {
        match arg {
            SyncArg::Behind => Self::Behind,
            SyncArg::Each => Self::Each,
        }
    }
}

/// Options of the run from the command line, without totals of resources.
pub(crate) fn options(args: &GoArgs) -> RunOptions {
    RunOptions {
        parallel: args.parallel.unwrap_or_else(processors),
        keep_going: args.keep_going,
        grace_ms: args.grace.saturating_mul(1_000),
        time_limit_ms: args.time_limit.map(|seconds| seconds.saturating_mul(1_000)),
        cleanup_limit_ms: args.time_limit.map(|_| args.cleanup_limit.saturating_mul(1_000)),
        resources: Resources::default(),
    }
}

/// Operations that an earlier run finished, according to the launch data.
pub(crate) fn adopted(plan: &Plan, launch: &dyn LaunchDataWrapper) -> Result<PriorOutcomes, CommandError> {
    let progress = AdoptedProgress::of(plan, launch)?;
    for warning in &progress.warnings {
        ui::say(&format!("warning: {warning}"));
    }
    Ok(progress.operations)
}

/// Checks, before the run starts, that the Docker Engine or the cluster can be reached.
pub(crate) fn reach(
    launch_data: &dyn LaunchDataWrapper,
    surroundings: &Surroundings,
) -> Result<(), CommandError> {
    elsewhere::check(launch_data)?;
    check_open_files()?;
    let on = launch_data.external_launch_type().value;
    if !on.capabilities().needs_connection {
        return Ok(());
    }
    let setting = Setting {
        surroundings: surroundings.for_programs().collect(),
        cluster: cluster(launch_data)?,
        ..Setting::default()
    };
    let reached = event_loop()?.block_on(choose(on, setting).reach());
    reached.map_err(|failure| {
        let hint = match on {
            LaunchType::Docker => "start the Docker Engine, or set DOCKER_HOST to its address",
            _ => "check `kubectl cluster-info`; set KUBECONFIG or `pop.kubernetes.masterUrl` to the cluster",
        };
        CommandError::new(Kind::Unreachable, failure.message).hint(hint)
    })
}

/// Warns of folders on a remote file system, where other hosts may not see file locks.
pub(crate) fn look_at_disk(host: &HostFolder, runs: &RunsFolder) {
    let mut warned = Vec::new();
    for folder in [runs.runs.as_path(), host.of(runs).folder()] {
        if let Some(name) = remote_file_system(folder).filter(|name| !warned.contains(name)) {
            ui::say(&format!(
                "warning: `{}` is on {name}: other hosts may not see its locks; use it from one host only",
                folder.display()
            ));
            warned.push(name);
        }
    }
}

/// Minimum limit of open files for a run: its own files, and the pipes of one program.
const MIN_OPEN_FILES: u64 = 24;

/// Raises the limit of open files if it is too small for any run. Fails if it cannot be raised.
fn check_open_files() -> Result<(), CommandError> {
    let limit = || rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let is_enough = |limit: Option<u64>| limit.is_none_or(|limit| limit >= MIN_OPEN_FILES);
    if is_enough(limit()) {
        return Ok(());
    }
    open_more();
    let limit = limit();
    if is_enough(limit) {
        return Ok(());
    }
    let limit = limit.unwrap_or_default();
    let message = format!("this process may open {limit} files, and a run needs at least {MIN_OPEN_FILES}");
    Err(CommandError::new(Kind::Internal, message).hint("raise the limit: `ulimit -n 1024`"))
}

/// Raises the limit of open files to its maximum: each followed container or pod needs one or two connections.
fn open_more() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = rustix::process::Rlimit { current: limit.maximum, ..limit };
    // the run continues with the old limit
    rustix::process::setrlimit(rustix::process::Resource::Nofile, most).ok();
}

pub(super) fn event_loop() -> Result<tokio::runtime::Runtime, CommandError> {
    let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
    made.map_err(|error| CommandError::new(Kind::Internal, format!("cannot start the event loop: {error}")))
}

/// Executes a run to its end and prints the summary.
pub(crate) fn drive(
    mut prepared: PreparedRun,
    args: &GoArgs,
    runs: &RunsFolder,
    launch_data: &Arc<dyn LaunchDataWrapper>,
    surroundings: &Surroundings,
) -> Result<u8, CommandError> {
    let runtime = event_loop()?;
    let RunSinks { mut sinks, loss, followed } = all_sinks(&mut prepared, args, runs, launch_data.as_ref())?;
    let traces = RunTraces::start(&mut prepared, args, &mut sinks);
    // distinguishes this executor from earlier and later executors of the same run
    let executor = executor_identity();
    let setting = Setting {
        guard_command: Some(guard_command(&executor, &prepared.identity)),
        grace: Some(Duration::from_secs(args.grace)),
        ..prepared.launch_setting(surroundings, launch_data.as_ref(), &executor)?
    };
    let launcher = launch_data.external_launch_type().value;
    if launcher.capabilities().needs_connection {
        open_more();
    }
    let requests = run_requests()?;
    let host = host(&prepared.identity, args);
    let run_id = prepared.identity.run.clone();
    let (given, journal, _lock) = prepared.into_parts();
    let mut memory = MemoryKills::watch();
    let ports = Ports {
        journal: Box::new(journal),
        sinks,
        runners: Runners::new(choose(launcher, setting), Arc::clone(launch_data), now, &given.identity),
        memory_kills: Box::new(move || memory.were_any()),
        requests,
        suspend,
        clock: now,
        effects: Box::new(HostEffects::new(host, &given.identity, now)),
    };
    let keys = (args.output == Output::Text && ui::can_draw()).then(ui::QuietKeys::hold);
    let outcome = runtime.block_on(async { tokio::spawn(run(given, ports)).await });
    drop(keys);
    let finished = outcome.map_err(|error| CommandError::new(Kind::Internal, error.to_string()))??;
    let FinishedRun { outcome, plan } = finished;
    if args.output == Output::Text && !(args.quiet && outcome == RunOutcome::Succeeded) {
        let followed = followed.lock().unwrap_or_else(PoisonError::into_inner);
        ui::say(summary(&plan, &followed.history).trim_end());
    }
    if matches!(outcome, RunOutcome::Interrupted | RunOutcome::Terminated) {
        ui::say(&format!("continue it with: {}", run_command("resume", &run_id, args, runs)));
    }
    if args.github_annotations
        && let Err(error) = annotate(&runs.runs, &run_id)
    {
        ui::say(&format!("warning: no annotations: {}", error.message()));
    }
    if let Some(traces) = traces {
        traces.finish(args, &run_command("traces send", &run_id, args, runs));
    }
    runtime.block_on(elsewhere::reap(launch_data.as_ref(), outcome))?;
    // the run has dropped its sinks, so every event is written or lost
    let lost = loss.and_then(|loss| loss.error()).map(|error| {
        let message = format!("events were lost: cannot write to standard output: {error}");
        CommandError::new(Kind::Internal, message)
            .hint(format!("`pop show {run_id} --output json` has the whole run"))
    });
    match (lost, outcome.exit_code()) {
        (Some(lost), 0) => Err(lost),
        (lost, code) => {
            lost.map(CommandError::print);
            Ok(code)
        }
    }
}

/// A command about a run (`resume`, `rerun`, `traces send`), from the current folder and with the same environment and
/// options.
pub(super) fn run_command(command: &str, run: &str, args: &GoArgs, runs: &RunsFolder) -> String {
    let words = std::iter::once("pop").chain(command.split(' ')).chain([run]);
    let mut words: Vec<String> = words.map(str::to_owned).collect();
    words.extend(match command {
        "resume" => args.repeated().of_resume(),
        "rerun" => args.repeated().of_new_run(),
        _ => Vec::new(),
    });
    let mut add = |option: &str, folder: &Path, variable: &str| {
        if std::env::var_os(variable).is_none_or(|value| value != folder.as_os_str()) {
            words.extend([option.to_owned(), folder.display().to_string()]);
        }
    };
    if runs.runs != Path::new(RunsFolder::DEFAULT) {
        add("--runs", &runs.runs, RunsFolder::VARIABLE);
    }
    if let Some(folder) = &args.host.host_folder {
        add("--host-folder", folder, HostFolder::VARIABLE);
    }
    quoted(&words)
}

/// The command of the guard, which ends what the executor leaves behind and marks the time of its end.
fn guard_command(executor: &str, identity: &RunIdentity) -> Vec<String> {
    let lock = identity.lock_file().into_os_string().into_string();
    guard_of(executor).into_iter().chain(lock).collect()
}

/// The command of the guard, which ends what this process leaves behind.
pub(super) fn guard_of(executor: &str) -> Vec<String> {
    vec![own_program(), "guard".to_owned(), executor.to_owned()]
}

/// Path of this program. If it is not UTF-8, the kernel's link to it, which is valid while this process runs.
pub(super) fn own_program() -> String {
    let path = std::env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok());
    path.unwrap_or_else(|| "/proc/self/exe".to_owned())
}

/// The state that several runs share: in the folder that the command line names, else in the one next to the folder of
/// the run.
fn host(identity: &RunIdentity, args: &GoArgs) -> Host {
    let default = || Host::of_runs(identity.folder.parent().unwrap_or(Path::new(".")));
    let host = args.host.host_folder.clone().map_or_else(default, Host::new);
    match args.file_cache_size {
        Some(bytes) => host.with_files_limit(bytes),
        None => host,
    }
}

/// The sinks of the run's events.
struct RunSinks {
    sinks: Vec<Box<dyn Sink>>,
    /// Printed events that were lost.
    loss: Option<SpoolLoss<Stdout>>,
    /// The run as the events leave it.
    followed: Arc<Mutex<FollowedRun>>,
}

/// All sinks of the run's events. Takes the history out of `prepared`.
fn all_sinks(
    prepared: &mut PreparedRun,
    args: &GoArgs,
    runs: &RunsFolder,
    launch_data: &dyn LaunchDataWrapper,
) -> Result<RunSinks, CommandError> {
    let (mut sinks, loss) = sinks(args, prepared)?;
    let report = service_report::sink(launch_data, prepared, runs, now)?;
    let plan = Arc::clone(prepared.scheduler.plan());
    let history = std::mem::replace(&mut prepared.history, History::new(0));
    let followed = FollowedRun { plan: Arc::clone(&plan), follows_plan: false, history };
    let followed = Arc::new(Mutex::new(followed));
    let elsewhere = elsewhere::sinks(launch_data, &plan.identity, &prepared.identity.run, &followed)?;
    {
        let mut followed = followed.lock().unwrap_or_else(PoisonError::into_inner);
        followed.follows_plan = !elsewhere.is_empty();
        if elsewhere.is_empty() {
            // only the summary reads it
            followed.history.forget_successes();
        }
    }
    if args.output == Output::Text || !elsewhere.is_empty() {
        sinks.push(Box::new(Follower(Arc::clone(&followed))));
    }
    // before the progress, the end of which may give the agenda to another executor
    sinks.extend(report);
    sinks.extend(elsewhere);
    Ok(RunSinks { sinks, loss, followed })
}

type PrintingSinks = (Vec<Box<dyn Sink>>, Option<SpoolLoss<Stdout>>);

/// The sinks that print events, and a record of events for programs that were lost.
fn sinks(args: &GoArgs, prepared: &PreparedRun) -> std::io::Result<PrintingSinks> {
    let is_quiet = args.quiet;
    Ok(match args.output {
        Output::Json => {
            let (run, started) = (&*prepared.identity.run, prepared.history.started);
            let spool = Spool::new(std::io::stdout());
            let loss = spool.loss();
            (vec![Box::new(JsonEvents::new(spool, run, started)), Box::new(Notices)], Some(loss))
        }
        Output::Text if is_quiet => (vec![Box::new(Notices)], None),
        Output::Text if ui::can_draw() => {
            let settled = prepared.scheduler.tally().settled();
            let plan = Arc::clone(prepared.scheduler.plan());
            let run = &prepared.identity.run;
            let bars = Bars::new(std::io::stderr(), ui::terminal_size, &SUSPENSION, run, settled.into());
            let identity = &prepared.identity;
            let runs = identity.folder.parent().unwrap_or(Path::new("."));
            let bars = bars.with_earlier(earlier_durations(runs, run, &identity.agenda, &identity.start));
            (vec![Box::new(SinkThread::new(plan, bars)?)], None)
        }
        Output::Text => {
            (vec![Box::new(Lines::new(Spool::new(std::io::stderr()), &prepared.identity.run))], None)
        }
    })
}

/// Prints messages for the user while events go to a program.
struct Notices;

impl Sink for Notices {
    fn on_event(&mut self, _: &Arc<Plan>, _: &EventRecord) {}

    fn on_notice(&mut self, words: &str) {
        ui::say(words);
    }
}
