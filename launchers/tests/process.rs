//! The local launcher against real programs: ends, output, signals, silence, leftovers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_contract::{Blame, Exit};
use pop_launchers::process::{LAUNCH_VARIABLE, Signal, left_by};
use pop_launchers::{
    LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher, ProcessLauncher, Program,
    StdoutUse, Stream,
};
use pop_registry::Capture;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use serde_json::json;
use std::time::Duration;
use tokio::sync::mpsc;

/// The kernel's number for tmpfs.
const TMPFS: i64 = 0x0102_1994;
const ID: LaunchId = LaunchId(7);
/// Short grace for programs with leftovers.
const GRACE: Duration = Duration::from_millis(300);

fn shell(script: &str) -> LaunchOrder {
    order(&["/bin/sh", "-c", script])
}

fn order(argv: &[&str]) -> LaunchOrder {
    let argv = argv.iter().map(|&arg| arg.to_owned()).collect();
    LaunchOrder { program: Program { argv, ..Program::default() }, ..LaunchOrder::default() }
}

fn launcher() -> ProcessLauncher {
    ProcessLauncher::new(std::env::vars_os(), std::env::current_dir().unwrap())
}

/// Launches, calls `each` for every event, and returns all events and the end.
async fn follow(
    order: LaunchOrder,
    mut each: impl FnMut(&ProcessLauncher, &LaunchEvent),
) -> (Vec<LaunchEvent>, LaunchEnd) {
    let launcher = launcher();
    let (sender, mut receiver) = mpsc::channel(64);
    launcher.launch(ID, order, &sender);
    let mut events = Vec::new();
    loop {
        let LaunchUpdate { id, event } = receiver.recv().await.unwrap();
        assert_eq!(id, ID);
        each(&launcher, &event);
        if let LaunchEvent::Ended(ended) = event {
            return (events, *ended);
        }
        events.push(event);
    }
}

async fn end(order: LaunchOrder) -> LaunchEnd {
    follow(order, |_, _| {}).await.1
}

#[tokio::test]
async fn ends_are_distinguished() {
    assert_eq!(end(order(&["true"])).await.exit, Ok(Exit::Code(0)));
    assert_eq!(end(shell("exit 3")).await.exit, Ok(Exit::Code(3)));
    assert_eq!(end(shell("kill -SEGV $$")).await.exit, Ok(Exit::Signal(11)));
}

#[tokio::test]
async fn end_has_what_program_and_its_children_used() {
    let folder = tempfile::tempdir().unwrap();
    // dd is a child of the shell
    let script = format!(
        "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done
        dd if=/dev/zero of={}/out bs=64k count=32 2>/dev/null; kill -9 $$",
        folder.path().display()
    );
    let ended = end(shell(&script)).await;
    assert_eq!(ended.exit, Ok(Exit::Signal(9)));
    let usage = ended.usage.unwrap();
    assert!(usage.user_us > 1_000 && usage.cpu_us() < 60_000_000, "{usage:?}");
    // a file system in memory writes no blocks
    if rustix::fs::statfs(folder.path()).unwrap().f_type != TMPFS {
        assert!((2_048..1 << 20).contains(&usage.write_kib), "{usage:?}");
    }
    assert_eq!(end(order(&["/no/such/file"])).await.usage, None);
}

#[tokio::test]
async fn f25_start_failure_names_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "x").unwrap();
    for (program, why) in [
        ("no-such-program-at-all", "not found"),
        ("/no/such/file", "not found"),
        (plain.to_str().unwrap(), "not executable"),
        ("/tmp", "directory"),
    ] {
        let failure = end(order(&[program])).await.exit.unwrap_err();
        assert_eq!((failure.blame, failure.code.as_str()), (Blame::Handler, "spawn"));
        assert!(failure.message.contains(why), "{}", failure.message);
    }
}

#[tokio::test]
async fn f25_exec_failure_names_the_reason() {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let folder = tempfile::tempdir().unwrap();
    let own = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let program = |name: &str, bytes: &[u8]| {
        std::fs::write(own(name), bytes).unwrap();
        std::fs::set_permissions(own(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        own(name)
    };
    // bytes 18 and 19 hold the machine type; this number does not exist
    let mut foreign = std::fs::read("/bin/true").unwrap();
    foreign[18..20].copy_from_slice(&[0xfe, 0xca]);
    let mut open = std::fs::OpenOptions::new();
    let _writing = open.append(true).create(true).mode(0o755).open(own("busy")).unwrap();
    for (program, why) in [
        (program("foreign", &foreign), "Exec format error"),
        (own("busy"), "Text file busy"),
        (
            program("script", b"#!/no/such/python3\n"),
            "is a script for `/no/such/python3`, which does not exist",
        ),
        (program("nothing", b""), "Exec format error"),
    ] {
        let failure = end(order(&[&program])).await.exit.unwrap_err();
        assert_eq!((failure.blame, failure.code.as_str()), (Blame::Handler, "spawn"));
        assert!(failure.message.contains(&program) && failure.message.contains(why), "{}", failure.message);
    }
}

#[tokio::test]
async fn f31_standard_input_is_empty() {
    assert_eq!(end(order(&["cat"])).await.exit, Ok(Exit::Code(0)));
}

#[tokio::test]
async fn reports_are_read_and_other_output_is_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("a.log");
    let script = r#"echo one; echo 'pop.report.progress {"percentComplete":40}'; echo two >&2
                    echo 'pop.report.payload {"w":720}'"#;
    let ended = end(LaunchOrder { log: Some(log.clone()), ..shell(script) }).await;
    assert_eq!(ended.said.result, Some(json!({"w": 720})));
    assert_eq!(ended.said.progress.unwrap().percent_complete, Some(40.0));
    let mut lines: Vec<_> = ended.log_tail.clone();
    lines.sort();
    assert_eq!(lines, ["one", "two"]);
    assert_eq!(std::fs::read_to_string(log).unwrap().len(), "one\ntwo\n".len());
}

#[tokio::test]
async fn captured_output_is_not_log() {
    let captured = StdoutUse::Value(Capture::Json);
    let ended = end(LaunchOrder { captured, ..shell("echo '{\"a\":1}'; echo note >&2") }).await;
    assert_eq!((ended.captured, ended.log_tail), (Some(json!({"a": 1})), vec!["note".to_owned()]));
}

#[tokio::test]
async fn lines_are_sent_as_they_come() {
    let lines = LaunchOrder { captured: StdoutUse::Lines, ..shell("printf 'a\\rb\\nc'; echo d >&2") };
    let (events, _) = follow(lines, |_, _| {}).await;
    let mut heard: Vec<(bool, String)> = Vec::new();
    for event in events {
        let LaunchEvent::Lines(lines) = event else { unreachable!() };
        heard.extend(lines.into_iter().map(|line| (line.stream == Stream::Stderr, line.text)));
    }
    heard.sort();
    let heard: Vec<_> = heard.iter().map(|(is_error, text)| (*is_error, text.as_str())).collect();
    assert_eq!(heard, [(false, "a"), (false, "b"), (false, "c"), (true, "d")]);
}

#[tokio::test]
async fn f23_progress_is_sent_while_running_and_a_flood_is_merged() {
    let script = r#"i=0; while [ $i -lt 20000 ]; do echo "pop.report.progress {\"percentComplete\":$((i/200))}"; i=$((i+1)); done"#;
    let (events, ended) = follow(shell(script), |_, _| {}).await;
    let told = events.iter().filter(|event| matches!(event, LaunchEvent::Progress(_))).count();
    assert!((1..60).contains(&told), "{told} progress events");
    assert_eq!(ended.said.progress.unwrap().percent_complete, Some(99.0));
}

#[tokio::test]
async fn f15_program_that_ignores_sigterm_is_killed() {
    let script = "trap '' TERM; echo 'pop.report.progress {}'; while :; do sleep 1; done";
    let mut asked = 0;
    let (_, ended) = follow(shell(script), |launcher, event| {
        if matches!(event, LaunchEvent::Progress(_)) && asked == 0 {
            asked += 1;
            launcher.stop(ID, false);
            launcher.stop(ID, true);
        }
    })
    .await;
    assert_eq!(ended.exit, Ok(Exit::Signal(9)));
}

#[tokio::test]
async fn program_that_handles_sigterm_ends_by_itself() {
    let script = "trap 'exit 5' TERM; echo 'pop.report.progress {}'; while :; do sleep 0.01; done";
    let (_, ended) = follow(shell(script), |launcher, event| {
        if matches!(event, LaunchEvent::Progress(_)) {
            launcher.stop(ID, false);
        }
    })
    .await;
    assert_eq!(ended.exit, Ok(Exit::Code(5)));
}

#[tokio::test]
async fn programs_that_run_one_after_the_other_on_a_thread_may_use_all_processors() {
    let nproc = std::process::Command::new("nproc").output().unwrap().stdout;
    let nproc = String::from_utf8(nproc).unwrap();
    let (launcher, (sender, mut receiver)) = (launcher(), mpsc::channel(64));
    for number in 0..20 {
        let order = LaunchOrder { captured: StdoutUse::Whole, ..order(&["nproc"]) };
        let mut events = Vec::new();
        let prepared = launcher.prepare(LaunchId(number), order, &sender).unwrap();
        prepared.run(&mut |on_thread| events.extend(on_thread));
        let ended = loop {
            match events.pop() {
                Some(LaunchEvent::Ended(ended)) => break ended,
                // it ran longer than a short program
                _ => events.push(receiver.recv().await.unwrap().event),
            }
        };
        assert_eq!(
            (ended.exit, String::from_utf8(ended.stdout).unwrap()),
            (Ok(Exit::Code(0)), nproc.clone())
        );
    }
}

#[tokio::test]
async fn a_stop_before_the_start_is_the_first_signal_of_the_program() {
    for is_on_a_thread in [false, true] {
        let launcher = launcher();
        let (sender, mut receiver) = mpsc::channel(64);
        let prepared = launcher.prepare(ID, order(&["sleep", "600"]), &sender).unwrap();
        launcher.stop(ID, false);
        if is_on_a_thread {
            prepared.run(&mut |events| assert_eq!(events, [], "it runs longer than a short program"));
        } else {
            prepared.start();
        }
        let ended = loop {
            if let LaunchEvent::Ended(ended) = receiver.recv().await.unwrap().event {
                break ended;
            }
        };
        assert_eq!(ended.exit, Ok(Exit::Signal(15)));
    }
}

#[tokio::test]
async fn f17_leftover_with_open_output_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let pid = folder.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; exit 0", pid.display());
    let ended = end(LaunchOrder { grace: Some(GRACE), ..shell(&script) }).await;
    assert_eq!((ended.exit, ended.left), (Ok(Exit::Code(0)), 1));
    assert!(ended.log_tail[0].contains("`sleep`; SIGTERM"), "{:?}", ended.log_tail);
    let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
    assert!(is_gone(pid), "{pid} still runs");
}

#[tokio::test]
async fn process_outside_its_group_is_found_by_its_variable() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("left-by-{}", std::process::id());
    // both ends of a named pipe are opened together: by then the daemon has left its group
    let script = "mkfifo p; setsid sh -c ': > p; exec sleep 1000' & sleep 1000 & : < p";
    let mut order = shell(script);
    order.program.working_directory = Some(folder.path().to_owned());
    order.program.env = vec![(LAUNCH_VARIABLE.to_owned(), name.clone())];
    order.grace = Some(GRACE);
    let launched = end(order).await;
    assert_eq!(launched.exit, Ok(Exit::Code(0)));
    let ends = |process: &_, seconds| {
        let patience = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&patience)).unwrap() == 1
    };
    // members of the group are being killed and may not be gone yet
    let left: Vec<_> = left_by(&name).into_iter().filter(|process| !ends(process, 1)).collect();
    // found by its variable, which the launcher does not set in this order
    assert_eq!(left.len(), 1);
    pidfd_send_signal(&left[0], Signal::KILL).unwrap();
    assert!(ends(&left[0], 10));
    assert_eq!(left_by(&name).len(), 0);
    assert_eq!(left_by("left-by-nobody").len(), 0);
}

#[tokio::test]
async fn f21_silence_is_reported_once() {
    let quiet = LaunchOrder { silence: Some(Duration::from_millis(30)), ..shell("sleep 1000") };
    let (events, ended) = follow(quiet, |launcher, event| {
        if *event == LaunchEvent::Silent {
            launcher.stop(ID, false);
        }
    })
    .await;
    assert_eq!(events, [LaunchEvent::Silent]);
    assert_eq!(ended.exit, Ok(Exit::Signal(15)));
}

#[tokio::test]
async fn f19_flood_of_output_passes_in_constant_memory() {
    let before = peak_memory_kib();
    let ended = end(shell("head -c 300000000 /dev/zero; echo; echo done")).await;
    assert_eq!(ended.exit, Ok(Exit::Code(0)));
    assert_eq!(ended.log_tail.last().map(String::as_str), Some("done"));
    assert!(peak_memory_kib() - before < 20_000);
}

fn peak_memory_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn relative_program_is_found_in_its_home_first() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("true");
    std::fs::write(&own, "#!/bin/sh\nexit 42\n").unwrap();
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut order = order(&["true"]);
    order.program.home = Some(folder.path().to_owned());
    assert_eq!(end(order).await.exit, Ok(Exit::Code(42)));
}

#[tokio::test]
async fn variables_and_working_directory_are_set() {
    let folder = tempfile::tempdir().unwrap();
    let mut order =
        LaunchOrder { captured: StdoutUse::Whole, ..shell("echo $A; pwd; echo $PWD; env | grep ^PWD=") };
    order.program.env = vec![("A".into(), "x y".into())];
    order.program.working_directory = Some(folder.path().canonicalize().unwrap());
    let text = String::from_utf8(end(order).await.stdout).unwrap();
    let place = folder.path().canonicalize().unwrap();
    assert_eq!(text, format!("x y\n{0}\n{0}\nPWD={0}\n", place.display()));
}

#[tokio::test]
async fn a_launch_of_an_earlier_process_is_lost() {
    let (sender, mut receiver) = mpsc::channel(4);
    launcher().launch(ID, LaunchOrder { again: true, ..order(&["true"]) }, &sender);
    assert_eq!(receiver.recv().await.unwrap().event, LaunchEvent::Lost);
}

/// Waits until a process is gone, or about to be.
fn is_gone(pid: i32) -> bool {
    let Ok(pidfd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) else { return true };
    let mut watched = [PollFd::new(&pidfd, PollFlags::IN)];
    poll(&mut watched, Some(&Timespec { tv_sec: 10, tv_nsec: 0 })).unwrap() == 1
}
