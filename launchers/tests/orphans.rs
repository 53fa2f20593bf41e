//! What programs leave behind, in a process of its own: whoever adopts orphans adopts those of other tests too.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_launchers::{LaunchEvent, LaunchId, LaunchOrder, Launcher, ProcessLauncher, Program};
use pop_registry::contract::Exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::mpsc;

const ID: LaunchId = LaunchId(7);

fn shell(script: &str) -> LaunchOrder {
    let argv = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
    LaunchOrder { program: Program { argv, ..Program::default() }, ..LaunchOrder::default() }
}

fn launcher() -> ProcessLauncher {
    ProcessLauncher::new(std::env::vars_os(), std::env::current_dir().unwrap()).holding_on(Vec::new())
}

/// Waits until a process is gone, or will be at once.
fn is_gone(pid: i32) -> bool {
    let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { return true };
    let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
    poll(&mut watched, Some(&Timespec { tv_sec: 10, tv_nsec: 0 })).unwrap() == 1
}

#[tokio::test]
async fn f16_a_daemon_that_left_its_group_is_ended_with_its_launch() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}.new; mv {0}.new {0}; exec sleep 1000' & \
                          while [ ! -e {0} ]; do sleep 0.01; done",
        file.display()
    );
    let launcher = launcher();
    let (sender, mut receiver) = mpsc::channel(64);
    launcher.launch(ID, LaunchOrder { name: "run-daemon-1".into(), ..shell(&script) }, &sender);
    let LaunchEvent::Ended(ended) = receiver.recv().await.unwrap().event else { unreachable!() };
    assert_eq!(ended.exit, Ok(Exit::Code(0)));
    let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert!(is_gone(pid), "{pid} still runs");
}

#[tokio::test]
async fn f18_orphans_are_collected() {
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
