//! Suspends and continues pop, by Ctrl-Z or SIGSTOP, while operations with timeouts run.

use crate::bench::Bench;
use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The time limit of the operations below, and a pause that is longer.
const LIMIT: &str = "1500";
const PAUSE: Duration = Duration::from_millis(1_700);

fn bench(script: &str) -> Bench {
    let operation = format!(
        r#"{{"operations": [{{"name": "a", "type": "exec", "params": {{"timeoutMs": {LIMIT}}},
            "payload": {{"command": ["sh", "-c", "{script}"]}}}}]}}"#
    );
    Bench::with_agenda(&operation)
}

/// State of a process in `/proc`: `T` if it is stopped.
fn state(pid: &str) -> String {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap();
    stat.rsplit(") ").next().unwrap()[..1].to_owned()
}

fn wait_until_stopped(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    let (_, status) = waitpid(pid, WaitOptions::UNTRACED).unwrap().unwrap();
    assert!(status.stopped());
}

#[test]
fn fr_a4_ctrl_z_stops_operations_with_pop_and_limits_do_not_count_the_pause() {
    let bench = bench("echo $$ > pid; sleep 0.2; read x < fifo; echo $x > end");
    bench.fifo("fifo");
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("pid", 1);
    running.signal(Signal::TSTP);
    wait_until_stopped(running.pid());
    // the kernel stops a process that is running on another processor a moment later
    let start = Instant::now();
    while state(&bench.read("pid")) != "T" {
        assert!(start.elapsed() < Duration::from_secs(10), "the operation still runs");
        std::thread::yield_now();
    }
    sleep(PAUSE);
    running.signal(Signal::CONT);
    // blocks until the operation reads again
    fs::write(bench.path("fifo"), "after\n").unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(bench.read("end"), "after\n");
}

#[test]
fn fr_h3_an_operation_that_ends_in_time_while_pop_is_stopped_has_not_timed_out() {
    let bench = bench("echo $$ > pid; sleep 0.2; echo done > end");
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("pid", 1);
    running.signal(Signal::STOP);
    wait_until_stopped(running.pid());
    bench.wait_for("end", 1);
    sleep(PAUSE);
    running.signal(Signal::CONT);
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
}
