//! What `run` and `resume` share: runtime, signals, reporters, the drive itself, the closing words.

use super::elsewhere;
use crate::args::{GoArgs, HostFolder, Output, RunsFolder, SyncArg};
use crate::error::{CommandError, Kind};
use crate::inputs::handlers_with_secrets;
use crate::ui;
use pop_agenda::{Adopted, CancelReason, History, Plan, Recorded, RunOptions, Sink};
use pop_executor::{
    FileJournal, Finished, Given, Host, HostEffects, Ports, RunIdentity, Runners, Sync, adopt, cluster,
    remote_file_system, run,
};
use pop_field_retriever::{LaunchDataWrapper, LaunchType};
use pop_launchers::process::{EXECUTOR_VARIABLE, MemoryKills, executor_identity};
use pop_launchers::{Secrets, Setting, choose};
use pop_registry::Secret;
use pop_registry::contract::{AgendaProgress, Millis};
use pop_reporters::run::{Apart, Bars, Followed, Follower, JsonEvents, Lines, Spool, summary};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

impl From<SyncArg> for Sync {
    fn from(arg: SyncArg) -> Self {
        match arg {
            SyncArg::Behind => Self::Behind,
            SyncArg::Each => Self::Each,
        }
    }
}

/// How a run is to go, as the command line says.
pub(crate) fn options(args: &GoArgs) -> RunOptions {
    let processors = std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    RunOptions {
        parallel: args.parallel.unwrap_or(processors),
        keep_going: args.keep_going,
        grace_ms: args.grace.saturating_mul(1_000),
        time_limit_ms: args.time_limit.map(|seconds| seconds.saturating_mul(1_000)),
    }
}

/// What the launch data say that an earlier run had reached; a progress that cannot be read is as good as none.
pub(crate) fn adopted(plan: &Plan, launch: &dyn LaunchDataWrapper) -> Result<Vec<Adopted>, CommandError> {
    let Some(found) = launch.last_progress()? else { return Ok(Vec::new()) };
    let warn = |why: &str| ui::say(&format!("warning: the last progress ({}): {why}", found.origin));
    match AgendaProgress::parse(&found.value) {
        Ok(progress) => {
            progress.refused.iter().for_each(|why| warn(&format!("{why}; the entry is ignored")));
            Ok(adopt(plan, progress))
        }
        Err(error) => {
            warn(&format!("{error}; it is ignored"));
            Ok(Vec::new())
        }
    }
}

/// Logs are named from whatever folder a program is started in.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, CommandError> {
    std::path::absolute(path).map_err(|error| CommandError::new(Kind::Internal, error.to_string()))
}

/// The variables of this process that programs of a run may have.
fn surroundings() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| !name.to_str().is_some_and(RunIdentity::is_foreign))
}

/// Makes sure, before anything is begun, that what operations are launched by can be reached.
pub(crate) fn reach(launch_data: &dyn LaunchDataWrapper) -> Result<(), CommandError> {
    elsewhere::check(launch_data)?;
    let on = launch_data.external_launch_type().value;
    if on == LaunchType::Local {
        return Ok(());
    }
    let setting = Setting {
        surroundings: surroundings().collect(),
        cluster: cluster(launch_data)?,
        ..Setting::default()
    };
    let reached = event_loop()?.block_on(choose(on, setting).reach());
    reached.map_err(|failure| {
        let hint = match on {
            LaunchType::Docker => "start the Docker Engine, or name its socket by DOCKER_HOST",
            _ => "see `kubectl cluster-info`; a cluster is found by KUBECONFIG or `pop.kubernetes.masterUrl`",
        };
        CommandError::new(Kind::Unreachable, failure.message).hint(hint)
    })
}

/// Warns of folders whose locks may not be known to all who use them.
pub(crate) fn look_at_disk(host: &HostFolder, runs: &RunsFolder) {
    let mut told = Vec::new();
    for folder in [runs.runs.as_path(), host.of(runs).folder()] {
        if let Some(name) = remote_file_system(folder).filter(|name| !told.contains(name)) {
            ui::say(&format!(
                "warning: `{}` is on {name}: executors elsewhere may not see its locks, so let only one host use it",
                folder.display()
            ));
            told.push(name);
        }
    }
}

/// Lets this process open as much as it may: each container or pod that is followed is a connection or two.
fn open_more() {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let most = rustix::process::Rlimit { current: limit.maximum, ..limit };
    // with fewer the run goes on all the same, as far as it comes
    rustix::process::setrlimit(rustix::process::Resource::Nofile, most).ok();
}

fn event_loop() -> Result<tokio::runtime::Runtime, CommandError> {
    let made = tokio::runtime::Builder::new_current_thread().enable_all().build();
    made.map_err(|error| CommandError::new(Kind::Internal, format!("no event loop: {error}")))
}

/// What a run has written so far, and where it writes on.
pub(crate) struct Book {
    pub(crate) journal: FileJournal,
    pub(crate) history: History,
}

/// Drives a run to its end and tells what became of it.
pub(crate) fn go(
    given: Given,
    book: Book,
    args: &GoArgs,
    launch_data: Arc<dyn LaunchDataWrapper>,
    folder: &Path,
) -> Result<u8, CommandError> {
    let runtime = event_loop()?;
    let host = host(&given.identity, args);
    let plan = Arc::clone(given.scheduler.plan());
    let Book { journal, history } = book;
    let started = history.started;
    let told = Arc::new(Mutex::new(Followed { plan: Arc::clone(&plan), follows_plan: false, history }));
    let settled = u64::from(given.scheduler.tally().settled());
    let mut sinks = sinks(args.output, &given, started, settled)?;
    let elsewhere = elsewhere::sinks(launch_data.as_ref(), &plan.identity, &given.identity.run, &told)?;
    told.lock().unwrap_or_else(PoisonError::into_inner).follows_plan = !elsewhere.is_empty();
    if args.output == Output::Text || !elsewhere.is_empty() {
        sinks.push(Box::new(Follower(Arc::clone(&told))));
    }
    sinks.extend(elsewhere);
    // told apart from an executor before or after this one, whose run is the same
    let executor = executor_identity();
    // given by name: containers and pods inherit nothing of this process
    let log_level = std::env::var("LOG_LEVEL").ok().filter(|level| !level.is_empty());
    let log_level = [("LOG_LEVEL".to_owned(), log_level.unwrap_or_else(|| "INFO".to_owned()))];
    let surroundings = surroundings().chain([(EXECUTOR_VARIABLE.into(), executor.clone().into())]);
    let variables = given.identity.variables(&plan).into_iter().chain(log_level);
    let guard = std::env::current_exe()
        .ok()
        .map(|program| vec![program.to_string_lossy().into_owned(), "guard".to_owned(), executor.clone()]);
    let surroundings: Vec<_> = surroundings.collect();
    let home = given.identity.home.clone();
    let secrets: Vec<Secret> = handlers_with_secrets(&plan).flat_map(|entry| entry.secrets.clone()).collect();
    let setting = Setting {
        secrets: Secrets::new(&secrets, &surroundings, home.clone()),
        surroundings,
        variables: variables.collect(),
        folder: folder.to_owned(),
        home,
        guard_command: guard,
        grace: Some(Duration::from_secs(args.grace)),
        run: Some(given.identity.mark.clone()),
        cluster: cluster(launch_data.as_ref())?,
    };
    let launch = Arc::clone(&launch_data);
    if launch_data.external_launch_type().value != LaunchType::Local {
        open_more();
    }
    let launcher = choose(launch_data.external_launch_type().value, setting);
    let (sender, cancels) = mpsc::unbounded_channel();
    hear_signals(sender)?;
    let keys = (args.output == Output::Text && ui::can_draw()).then(ui::QuietKeys::hold);
    let outcome = runtime.block_on(async {
        let mut memory = MemoryKills::watch();
        let ports = Ports {
            journal: Box::new(journal),
            sinks,
            runners: Runners::new(launcher, launch_data, now, &given.identity),
            memory_kills: Box::new(move || memory.were_any()),
            cancels,
            clock: now,
            effects: Box::new(HostEffects::new(host, &given.identity, now)),
        };
        tokio::spawn(run(given, ports)).await
    });
    drop(keys);
    let finished = outcome.map_err(|error| CommandError::new(Kind::Internal, error.to_string()))??;
    let Finished { outcome, plan } = finished;
    if args.output == Output::Text {
        let told = told.lock().unwrap_or_else(PoisonError::into_inner);
        ui::say(summary(&plan, &told.history).trim_end());
    }
    runtime.block_on(elsewhere::reap(launch.as_ref(), outcome))?;
    Ok(outcome.exit_code())
}

/// What the runs of this host share: beside the run's folder, unless somebody says otherwise.
fn host(identity: &RunIdentity, args: &GoArgs) -> Host {
    let beside = || Host::of_runs(identity.folder.parent().unwrap_or(Path::new(".")));
    args.host.host_folder.clone().map_or_else(beside, Host::new)
}

fn sinks(
    output: Output,
    given: &Given,
    started: Millis,
    settled: u64,
) -> std::io::Result<Vec<Box<dyn Sink>>> {
    Ok(match output {
        Output::Json => {
            let events = JsonEvents::new(Spool::new(std::io::stdout()), &*given.identity.run, started);
            vec![Box::new(events), Box::new(Notices)]
        }
        Output::Text if ui::can_draw() => {
            let plan = Arc::clone(given.scheduler.plan());
            vec![Box::new(Apart::new(plan, Bars::new(ui::columns(), settled))?)]
        }
        Output::Text => vec![Box::new(Lines::new(Spool::new(std::io::stderr())))],
    })
}

/// Tells people what is no event, where events go to a program.
struct Notices;

impl Sink for Notices {
    fn on_event(&mut self, _: &Arc<Plan>, _: &Recorded) {}

    fn on_notice(&mut self, words: &str) {
        ui::say(words);
    }
}

/// Hears signals on a thread of its own, which nothing can hold up: the first asks, the second kills, the third
/// leaves at once, and children die with us. A signal that we were started to ignore (`nohup`) stays ignored.
pub(super) fn hear_signals(sender: mpsc::UnboundedSender<CancelReason>) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let ignored = ignored_signals();
    let is_ignored = |kind: SignalKind| ignored >> (kind.as_raw_value() - 1) & 1 == 1;
    let listen = |kind: SignalKind| -> std::io::Result<Option<Signal>> {
        let _guard = runtime.enter();
        if is_ignored(kind) { Ok(None) } else { signal(kind).map(Some) }
    };
    // heard from before the first program starts
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut hangup = listen(SignalKind::hangup())?;
    if is_ignored(SignalKind::child()) {
        // as long as nobody wants to hear of it, the kernel throws the ends of children away
        let _guard = runtime.enter();
        drop(signal(SignalKind::child())?);
    }
    let hear = async move {
        for heard in 1.. {
            let (reason, code) = tokio::select! {
                () = next(&mut interrupt) => (CancelReason::Interrupted, 130),
                () = next(&mut terminate) => (CancelReason::Terminated, 143),
                () = next(&mut hangup) => (CancelReason::Terminated, 143),
            };
            if heard > 2 || sender.send(reason).is_err() {
                std::process::exit(code);
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(hear))?;
    Ok(())
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Returns the signals that this process ignores, as the mask `SigIgn` of proc(5). Read once: the kernel takes its time
/// to write that file.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

pub(crate) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}
