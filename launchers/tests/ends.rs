//! The end of all processes that a program started, with real programs. docs/processes.md is the model.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_contract::Exit;
use pop_launchers::{
    LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, Launcher, ProcessLauncher, Program, StdoutUse,
};
use pop_registry::Capture;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const ID: LaunchId = LaunchId(7);
const GRACE: Duration = Duration::from_secs(3);

fn bash(script: &str, folder: &Path) -> LaunchOrder {
    let argv = ["/bin/bash", "-c", script].map(str::to_owned).to_vec();
    let working_directory = Some(folder.to_owned());
    let program = Program { argv, working_directory, ..Program::default() };
    LaunchOrder { program, grace: Some(GRACE), ..LaunchOrder::default() }
}

fn launcher() -> ProcessLauncher {
    ProcessLauncher::new(std::env::vars_os(), std::env::current_dir().unwrap())
}

/// Launches, requests a stop at the first progress, and returns the end and the time from there.
async fn launch(order: LaunchOrder, ask: bool) -> (LaunchEnd, Duration) {
    let launcher = launcher();
    let (sender, mut receiver) = mpsc::channel(64);
    let mut start = Instant::now();
    launcher.launch(ID, order, &sender);
    loop {
        match receiver.recv().await.unwrap().event {
            LaunchEvent::Ended(ended) => return (*ended, start.elapsed()),
            LaunchEvent::Progress(_) if ask => {
                start = Instant::now();
                launcher.stop(ID, false);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn fr_a1_the_group_has_the_whole_grace() {
    let saver = r#"bash -c 'trap "sleep 0.3; touch saved; exit 0" TERM; echo "pop.report.progress {}"; while :; do sleep 0.05; done'"#;
    for script in [
        format!("{saver}; echo end"),
        format!("{saver} | cat; echo end"),
        // in its own group, as a shell with job control or `timeout` makes it
        format!("set -m; {saver} & wait"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (ended, took) = launch(bash(&script, folder.path()), true).await;
        assert!(folder.path().join("saved").exists(), "{script}: {:?} after {took:?}", ended.exit);
        assert!(took < GRACE, "{script}: {took:?}");
    }
}

#[tokio::test]
async fn fr_a1_process_that_exceeds_the_grace_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        r#"bash -c 'trap "" TERM; echo "pop.report.progress {}"; while :; do sleep 0.05; done'; echo end"#;
    let order = LaunchOrder { grace: Some(Duration::from_millis(300)), ..bash(script, folder.path()) };
    let (ended, took) = launch(order, true).await;
    assert_eq!(ended.exit, Ok(Exit::Signal(15)));
    assert!(ended.log_tail.iter().any(|line| line.contains("SIGKILL")), "{:?}", ended.log_tail);
    assert!(took >= Duration::from_millis(300) && took < GRACE, "{took:?}");
}

#[tokio::test]
async fn fr_a2_writing_processes_are_waited_for() {
    let lines = "for i in $(seq 200); do echo line $i; done";
    for script in [
        format!("exec > >(tee build.log) 2>&1; {lines}"),
        format!("exec > >(sleep 0.05; cat > build.log); {lines}"),
        format!("(sleep 0.05; {lines}) | tee build.log & exit 0"),
        format!("exec > >(setsid tee build.log) 2>&1; {lines}"),
    ] {
        for round in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let (ended, _) = launch(bash(&script, folder.path()), false).await;
            assert_eq!((ended.exit, ended.left), (Ok(Exit::Code(0)), 0), "{script}");
            let text = std::fs::read_to_string(folder.path().join("build.log")).unwrap_or_default();
            assert_eq!(text.lines().count(), 200, "{script}, round {round}");
        }
    }
}

#[tokio::test]
async fn fr_a2_captured_output_includes_output_after_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let captured = StdoutUse::Value(Capture::Lines);
    let order = LaunchOrder { captured, ..bash("(sleep 0.1; echo late) & echo early", folder.path()) };
    let (ended, _) = launch(order, false).await;
    assert_eq!(ended.captured, Some(serde_json::json!(["early", "late"])));
}

#[tokio::test]
async fn fr_a3_a_program_has_no_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let script = "read x < /dev/tty || echo none; [ \"$(ps -o sid= -p $$ | tr -d ' ')\" = $$ ] && echo leads";
    let (ended, _) = launch(bash(script, folder.path()), false).await;
    for word in ["none", "leads"] {
        assert!(ended.log_tail.iter().any(|line| line == word), "{word}: {:?}", ended.log_tail);
    }
}

#[tokio::test]
async fn fr_a4_pause_stops_all_processes_and_is_not_counted() {
    let folder = tempfile::tempdir().unwrap();
    let script =
        "echo 'pop.report.progress {}'; setsid -w sh -c 'while :; do echo x >> ticks; sleep 0.02; done'";
    let order = LaunchOrder { silence: Some(Duration::from_millis(600)), ..bash(script, folder.path()) };
    let launcher = launcher();
    let (sender, mut receiver) = mpsc::channel(64);
    launcher.launch(ID, order, &sender);
    assert!(matches!(receiver.recv().await.unwrap().event, LaunchEvent::Progress(_)));
    let ticks = || std::fs::read(folder.path().join("ticks")).map_or(0, |text| text.len());
    while ticks() < 4 {
        tokio::task::yield_now().await;
    }
    launcher.pause();
    let (stopped, at) = (ticks(), Instant::now());
    // block the loop, like a stop of this process
    std::thread::sleep(Duration::from_millis(700));
    assert!(ticks() <= stopped + 2);
    launcher.resume(at.elapsed());
    let resumed = Instant::now();
    assert!(matches!(receiver.recv().await.unwrap().event, LaunchEvent::Silent));
    assert!(resumed.elapsed() > Duration::from_millis(300), "{:?}", resumed.elapsed());
    assert!(ticks() > stopped + 2);
    launcher.stop(ID, true);
    while !matches!(receiver.recv().await.unwrap().event, LaunchEvent::Ended(_)) {}
}

#[tokio::test]
async fn fr_a8_the_program_is_found_in_its_own_path() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let launcher = launcher();
    for (bin, code) in [("venv/bin", 42), ("other/bin", 43)] {
        let bin = folder.path().join(bin);
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("true"), format!("#!/bin/sh\nexit {code}\n")).unwrap();
        std::fs::set_permissions(bin.join("true"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let env = vec![("PATH".to_owned(), format!("{}:/usr/bin", bin.display()))];
        let program = Program { argv: vec!["true".to_owned()], env, ..Program::default() };
        let (sender, mut receiver) = mpsc::channel(4);
        launcher.launch(ID, LaunchOrder { program, ..LaunchOrder::default() }, &sender);
        let LaunchEvent::Ended(ended) = receiver.recv().await.unwrap().event else { unreachable!() };
        assert_eq!(ended.exit, Ok(Exit::Code(code)));
    }
}

#[tokio::test]
async fn fr_h3_events_during_a_stall_precede_the_timeout() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo $$ > pid; echo 'pop.report.progress {}'; for i in 1 2 3 4; do sleep 0.1; echo x; done";
    let order = LaunchOrder { silence: Some(Duration::from_millis(350)), ..bash(script, folder.path()) };
    let launcher = launcher();
    let (sender, mut receiver) = mpsc::channel(64);
    launcher.launch(ID, order, &sender);
    assert!(matches!(receiver.recv().await.unwrap().event, LaunchEvent::Progress(_)));
    // longer than the limit, until the program's end
    let pid = std::fs::read_to_string(folder.path().join("pid")).unwrap();
    let start = Instant::now();
    while !std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap().contains(") Z ") {
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(400).saturating_sub(start.elapsed()));
    launcher.settle().await;
    let LaunchEvent::Ended(ended) = receiver.try_recv().unwrap().event else { unreachable!("not settled") };
    assert_eq!(ended.exit, Ok(Exit::Code(0)));
    assert_eq!(ended.log_tail.len(), 4);
}

#[tokio::test]
async fn fr_h5_file_size_limit_is_an_error_here_and_a_signal_in_children() {
    pop_launchers::process::ignore_file_size_signal();
    let folder = tempfile::tempdir().unwrap();
    let (ended, _) =
        launch(bash("ulimit -f 1; ulimit -c 0; exec head -c 100000 /dev/zero > f", folder.path()), false)
            .await;
    assert_eq!(ended.exit, Ok(Exit::Signal(25)));
}
