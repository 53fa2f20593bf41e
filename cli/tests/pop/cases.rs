//! Unusual inputs of docs/cases.md that no other test file covers.

use crate::bench::Bench;
use rustix::process::{Pid, Signal};
use serde_json::json;
use std::process::Command;

const ONE: &str = "cid: c1\noperations: [{name: a, type: exec, payload: {command: [printf, 'a\\302\\233b'], capture: text, image: i}}]\n";

#[test]
fn fr_a9_too_few_open_files_are_one_sentence_with_the_limit() {
    let bench = Bench::with_agenda(ONE);
    for limit in [5, 8, 16, 23] {
        let ended = bench.call("run a.yaml").after(&format!("ulimit -n {limit}")).ends(1);
        let wanted = format!("error: this process may open {limit} files, and a run needs at least 24\n");
        assert!(ended.stderr.starts_with(&wanted), "{}", ended.stderr);
    }
    bench.call("run a.yaml").after("ulimit -n 24").ends(0);
    bench.call("run a.yaml").after("ulimit -S -n 8").ends(0);
}

#[test]
fn fr_b6_a_control_character_of_a_result_does_not_reach_a_terminal() {
    let bench = Bench::with_agenda(ONE);
    bench.pop(0, "run a.yaml");
    let piped = bench.pop(0, "show last a --output json").stdout;
    assert!(piped.contains("a\u{9b}b"), "data in a pipe is exact: {piped}");
    let mut script = Command::new("script");
    let show = format!("{} show last a --output json", env!("CARGO_BIN_EXE_pop"));
    script.args(["-qec", &show, "/dev/null"]).current_dir(bench.path("."));
    let shown = String::from_utf8(script.output().unwrap().stdout).unwrap();
    assert!(shown.contains("a\u{fffd}b") && !shown.contains('\u{9b}'), "{shown}");
}

#[test]
fn fr_l8_a_handler_that_is_silent_after_its_report_is_stalled() {
    let report = r#"echo 'pop.report.progress {"processingState":"COMPLETE","processingStateMessage":"succeeded"}'; sleep 100"#;
    let operation = json!({"name": "a", "type": "exec", "params": {"noOutputTimeoutMs": 200},
        "payload": {"command": ["sh", "-c", report]}});
    let bench = Bench::with_agenda(&json!({"operations": [operation]}).to_string());
    assert!(bench.pop(10, "run a.yaml").stderr.contains("[stalled]"));
}

#[test]
fn fr_l9_log_level_and_correlation_id_reach_containers() {
    let bench = Bench::with_agenda(ONE);
    let plan = bench.call("plan a.yaml --on docker --output manifests").variable("LOG_LEVEL", "ERROR");
    let manifest = plan.ends(0).stdout;
    for words in ["LOG_LEVEL=ERROR", "CID=c1"] {
        assert!(manifest.contains(words), "{words} in {manifest}");
    }
}

#[test]
fn fr_a1_a_process_without_outputs_has_the_whole_grace_too() {
    let script = "bash -c 'trap \"sleep 0.3; touch saved; exit 0\" TERM; exec >/dev/null 2>&1; \
                  while :; do sleep 0.05; done'; echo end";
    let operation = json!({"name": "a", "type": "exec", "params": {"timeoutMs": 400},
        "payload": {"command": ["bash", "-c", script]}});
    let bench = Bench::with_agenda(&json!({"operations": [operation]}).to_string());
    bench.pop(10, "run a.yaml");
    assert!(bench.has("saved"));
}

#[test]
fn fr_b5_events_that_a_full_device_loses_end_a_run_with_1() {
    let bench = Bench::with_agenda(ONE);
    let ended = bench.call("run a.yaml --run-id r --output json").into("/dev/full").ends(1);
    let wanted = "error: events were lost: cannot write to standard output: No space left on device (os error 28)\n\
                  hint: `pop show r --output json` has the whole run\n";
    assert_eq!(ended.stderr, wanted);
    assert_eq!(bench.operation("a")["outcome"], "succeeded");
    // the code of a failed run says more
    let failing = r#"{"operations": [{"name": "a", "type": "exec", "payload": {"command": ["false"]}}]}"#;
    let bench = Bench::with_agenda(failing);
    let ended = bench.call("run a.yaml --run-id r --output json").into("/dev/full").ends(10);
    assert_eq!(ended.stderr, wanted);
}

#[test]
fn fr_h14_a_process_that_cannot_be_signalled_fails_its_attempt_and_the_run_ends() {
    // a program of root, started by another user, that keeps no right of that user
    let source = r#"
        #include <stdio.h>
        #include <unistd.h>
        int main(void) {
            FILE *pid = fopen("pid", "w");
            fprintf(pid, "%d\n", getpid());
            fclose(pid);
            if (setuid(0)) return 1;
            for (;;) pause();
        }"#;
    let agenda = json!({"operations": [
        {"name": "a", "type": "exec", "params": {"timeoutMs": 500}, "payload": {"command": ["./stubborn"]}},
        {"name": "b", "type": "exec", "payload": {"command": ["true"]}},
    ]});
    let bench = Bench::with_agenda(&agenda.to_string());
    bench.write("stubborn.c", source);
    let as_nobody = "cc -o stubborn stubborn.c; cp \"$3\" pop; chmod 755 .; shift 3\n\
        chown -R 65534 .; chown 0 stubborn; chmod 4755 stubborn\n\
        set -- setpriv --reuid=65534 --regid=65534 --clear-groups ./pop \"$@\"";
    let ended = bench.call("run a.yaml --grace 1 --keep-going").after(as_nobody).run();
    let pid = bench.read("pid");
    rustix::process::kill_process(Pid::from_raw(pid.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    assert_eq!(ended.code, 10, "{}", ended.stderr);
    assert!(ended.stderr.contains("not-stopped"), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 succeeded, 1 failed"), "{}", ended.stderr);
}
