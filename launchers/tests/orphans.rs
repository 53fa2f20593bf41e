//! Leftover processes. A test binary of its own, and one test at a time, since an adopter of orphans would also adopt
//! those of other tests.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_contract::Exit;
use pop_launchers::process::{EXECUTOR_VARIABLE, executor_identity, sweep_run};
use pop_launchers::{LaunchEvent, LaunchId, LaunchOrder, Launcher, ProcessLauncher, Program};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Held by the test that runs.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

const ID: LaunchId = LaunchId(7);
/// Short grace for programs with leftovers.
const GRACE: Duration = Duration::from_millis(300);

fn shell(script: &str) -> LaunchOrder {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    LaunchOrder { program: Program { argv, ..Program::default() }, ..LaunchOrder::default() }
}

fn launcher() -> ProcessLauncher {
    ProcessLauncher::new(std::env::vars_os(), std::env::current_dir().unwrap()).holding_on(Vec::new())
}

/// Waits until a process is gone, or about to be.
fn is_gone(pid: i32) -> bool {
    let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { return true };
    let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
    poll(&mut watched, Some(&Timespec { tv_sec: 10, tv_nsec: 0 })).unwrap() == 1
}

#[tokio::test]
async fn f16_daemon_outside_its_group_ends_with_its_launch() {
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000' & \
                          while [ ! -e {0} ]; do sleep 0.01; done",
        file.display()
    );
    let launcher = launcher();
    let (sender, mut receiver) = mpsc::channel(64);
    launcher.launch(
        ID,
        LaunchOrder { name: "run-daemon-1".into(), grace: Some(GRACE), ..shell(&script) },
        &sender,
    );
    let LaunchEvent::Ended(ended) = receiver.recv().await.unwrap().event else { unreachable!() };
    assert_eq!(ended.exit, Ok(Exit::Code(0)));
    let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert!(is_gone(pid), "{pid} still runs");
}

#[tokio::test]
async fn f18_orphans_are_reaped() {
    let _turn = TURN.lock().await;
    let launcher = launcher();
    let (sender, mut receiver) = mpsc::channel(64);
    // each round leaves fifty processes behind that end by themselves
    let script = "i=0; while [ $i -lt 50 ]; do (setsid true &) ; i=$((i+1)); done";
    for round in 0..4 {
        let order = LaunchOrder { name: format!("run-storm-{round}"), ..shell(script) };
        launcher.launch(ID, order, &sender);
        while !matches!(receiver.recv().await.unwrap().event, LaunchEvent::Ended(_)) {}
    }
    drop(launcher);
    let own = std::process::id();
    let children = std::fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap();
    assert!(children.split_whitespace().count() < 10, "{children}");
}

async fn launch(launcher: &ProcessLauncher, order: LaunchOrder) -> pop_launchers::LaunchEnd {
    let (sender, mut receiver) = mpsc::channel(64);
    launcher.launch(ID, order, &sender);
    loop {
        if let LaunchEvent::Ended(ended) = receiver.recv().await.unwrap().event {
            return *ended;
        }
    }
}

#[tokio::test]
async fn fr_a2_daemon_without_outputs_gets_sigterm_at_once() {
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let order = |script: &str| LaunchOrder { name: "run-quiet-1".into(), ..shell(script) };
    let place = folder.path().display();
    let daemon = format!(
        "setsid sh -c 'trap \"touch {place}/asked; exit\" TERM; : > {place}/ready; while :; do sleep 0.02; done' \
         >/dev/null 2>&1 & while [ ! -e {place}/ready ]; do sleep 0.01; done"
    );
    let start = Instant::now();
    let ended = launch(&launcher(), order(&daemon)).await;
    assert_eq!((ended.exit, ended.left > 0), (Ok(Exit::Code(0)), true));
    assert!(folder.path().join("asked").exists() && start.elapsed() < Duration::from_secs(8));
    // a member of the session is waited for although it holds no output
    let member = format!("(sleep 0.2; touch {place}/done) >/dev/null 2>&1 & exit 0");
    let ended = launch(&launcher(), order(&member)).await;
    assert_eq!((ended.left, folder.path().join("done").exists()), (0, true));
}

#[tokio::test]
async fn fr_h13_stopped_guard_is_replaced_and_blocks_nothing() {
    let _turn = TURN.lock().await;
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let guard = format!("echo $$ >> {}; exec cat", pids.display());
    let guard = ["/bin/sh", "-c", &guard].map(str::to_owned).to_vec();
    let launcher =
        ProcessLauncher::new(std::env::vars_os(), std::env::current_dir().unwrap()).holding_on(guard);
    let order = || LaunchOrder { name: "run-guarded-1".into(), ..shell("sleep 0.3") };
    let guards = || -> Vec<i32> {
        let text = std::fs::read_to_string(&pids).unwrap_or_default();
        text.lines().map(|line| line.parse().unwrap()).collect()
    };
    for signal in [Signal::STOP, Signal::KILL, Signal::STOP] {
        let before = guards().len();
        launch(&launcher, order()).await;
        until(|| guards().len() > before);
        let guard = guards()[before];
        kill_process(Pid::from_raw(guard).unwrap(), signal).unwrap();
        let stat = || std::fs::read_to_string(format!("/proc/{guard}/stat")).unwrap_or_default();
        until(|| stat().contains(") T ") || stat().contains(") Z "));
    }
    let start = Instant::now();
    drop(launcher);
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(guards().into_iter().all(is_gone));
}

/// Waits until another process makes a condition true.
fn until(holds: impl Fn() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "the condition never holds");
        std::thread::yield_now();
    }
}

#[test]
fn fr_h1_only_leftovers_of_a_dead_executor_are_swept() {
    let _turn = TURN.blocking_lock();
    let run = format!("fr-h1-{}", std::process::id());
    let start = |executor: Option<&str>| -> Child {
        let mut command = Command::new("sleep");
        command.arg("1000").env("POP_RUN_ID", &run);
        if let Some(executor) = executor {
            command.env(EXECUTOR_VARIABLE, executor);
        }
        command.spawn().unwrap()
    };
    let own = executor_identity();
    let dead = own.replacen('-', "-1", 1);
    let mut swept = start(Some(&dead));
    let mut kept = [start(Some(&own)), start(None), start(Some("unknown"))];
    sweep_run(&run);
    assert!(!swept.wait().unwrap().success());
    for child in &mut kept {
        assert!(child.try_wait().unwrap().is_none(), "{child:?}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    // an ancestor of the sweeper names the run and a dead executor, as a caller's shell may
    let own = std::env::current_exe().unwrap();
    let script = format!("{} --exact --ignored sweeps_for_its_caller >/dev/null; echo $?", own.display());
    let mut caller = Command::new("sh");
    caller.args(["-c", &script]).env("POP_RUN_ID", &run).env(EXECUTOR_VARIABLE, &dead).env("SWEEP", &run);
    let said = caller.output().unwrap();
    assert_eq!((said.status.code(), said.stdout.as_slice()), (Some(0), b"0\n".as_slice()));
}

#[test]
#[ignore = "started by another test, in a process whose caller names a run"]
fn sweeps_for_its_caller() {
    if let Ok(run) = std::env::var("SWEEP") {
        assert!(sweep_run(&run).is_empty());
    }
}
