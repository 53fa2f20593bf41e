//! Killed and interrupted runs, torn journals, and how `pop resume` and `pop logs -f` handle them.

use crate::bench::Bench;
use rustix::process::Signal;
use serde_json::json;
use std::fs;

/// Each operation appends its name to `ran`; `hold` waits for ever, unless there is a file `again`.
const HOLDING: &str = r#"
operations:
  - {name: one, type: exec, payload: {command: [sh, -c, "echo one >> ran"]}}
  - {name: two, type: exec, params: {dependsOn: one}, payload: {command: [sh, -c, "echo two >> ran"]}}
  - name: hold
    type: exec
    params: {dependsOn: two}
    payload: {command: [sh, -c, "echo $$ > pid; echo hold >> ran; test -e again || exec sleep 1000"]}
  - name: held
    type: exec
    params: {dependsOn: two}
    payload: {command: [sh, -c, "echo $$ > pid2; echo held >> ran; test -e again || exec sleep 1000"]}
  - {name: last, type: exec, params: {dependsOn: "hold, held"}, payload: {command: [sh, -c, "echo last >> ran"]}}
"#;

#[test]
fn f1_f10_resume_after_kill_repeats_nothing_and_leaves_nothing() {
    for sync in ["behind", "each"] {
        let bench = Bench::with_agenda(HOLDING);
        let running = bench.call("run a.yaml -j 2 --sync").argument(sync).spawn();
        bench.wait_for("ran", 4);
        let children = [bench.process("pid"), bench.process("pid2")];
        running.crash();
        children.iter().for_each(super::bench::Process::ends);
        let said = bench.pop(0, "explain last hold").stdout;
        assert!(said.contains("no executor is running; `pop resume "), "{said}");
        assert!(bench.pop(0, "runs").stdout.contains("stopped"));
        assert!(bench.shown()["outcome"].is_null());

        bench.write("again", "");
        let ended = bench.pop(0, "resume last");
        assert!(ended.stderr.contains("lost      hold"), "{}", ended.stderr);
        assert!(
            ended.stderr.contains("succeeded after") && ended.stderr.contains("5 succeeded"),
            "{}",
            ended.stderr
        );
        assert_eq!(bench.sorted_lines("ran"), ["held", "held", "hold", "hold", "last", "one", "two"]);
        assert_eq!(
            (&bench.operation("one")["attempts"], &bench.operation("hold")["attempts"]),
            (&json!(1), &json!(2))
        );
        assert_eq!(bench.shown()["outcome"], "succeeded");
    }
}

#[test]
fn f1_run_killed_repeatedly_still_succeeds() {
    let bench = Bench::with_agenda(HOLDING);
    let running = bench.call("run a.yaml -j 2").spawn();
    bench.wait_for("ran", 4);
    running.crash();
    for times in 2..5 {
        let running = bench.call("resume last").spawn();
        bench.wait_for("ran", 2 + 2 * times);
        running.crash();
    }
    bench.write("again", "");
    bench.pop(0, "resume last");
    let ran = bench.sorted_lines("ran");
    let count = |name: &str| ran.iter().filter(|line| *line == name).count();
    assert_eq!(["one", "two", "hold", "held", "last"].map(count), [1, 1, 5, 5, 1]);
}

#[test]
fn f2_a_journal_cut_anywhere_is_resumed_to_the_same_end() {
    let bench = Bench::with_agenda(
        r#"
operations:
  - {name: one, type: exec, payload: {command: [sh, -c, "echo one >> ran; printf 1"], capture: text}}
  - {name: two, type: exec, payload: {command: [sh, -c, "echo two >> ran; printf @<one.out::/stdout>2"], capture: text}}
  - {name: three, type: exec, payload: {command: [echo, "@<two.out::/stdout>3"], capture: text}}
"#,
    );
    bench.pop(0, "run a.yaml");
    let wanted = bench.operation("three")["result"].clone();
    let journal = bench.run_folder().join("journal");
    let whole = fs::read(&journal).unwrap();
    let header = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let cuts = (0..12).map(|part| header + (whole.len() - header) * part / 12);
    for cut in cuts.chain([0, 1, header - 1, header, header + 1, whole.len() - 1]) {
        fs::write(&journal, &whole[..cut]).unwrap();
        fs::write(bench.path("ran"), "").unwrap();
        let said = bench.pop(0, "resume last").stderr;
        let is_torn = cut > 0 && whole[cut - 1] != b'\n';
        assert_eq!(said.contains("of the journal are ignored: a crash"), is_torn, "cut at {cut}: {said}");
        let kept = String::from_utf8_lossy(&whole[..cut]);
        let kept = kept.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let finished = kept.lines().filter(|line| line[9..].starts_with('e')).count().min(2);
        assert_eq!(bench.sorted_lines("ran").len(), 2 - finished, "cut at {cut}: {said}");
        assert_eq!(bench.operation("three")["result"], wanted, "cut at {cut}");
        assert_eq!(bench.shown()["outcome"], "succeeded", "cut at {cut}");
    }
    fs::remove_file(&journal).unwrap();
    bench.pop(0, "resume last");
    assert_eq!(bench.operation("three")["result"], wanted);
}

#[test]
fn f2_damaged_journal_resumes_after_the_suggested_cut() {
    let bench = Bench::with_agenda(HOLDING);
    bench.write("again", "");
    bench.pop(0, "run a.yaml -j 1");
    let journal = bench.run_folder().join("journal");
    let mut bytes = fs::read(&journal).unwrap();
    let lines: Vec<usize> =
        bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1).collect();
    let bad = lines[lines.len() / 2];
    bytes[bad + 10] ^= 1;
    fs::write(&journal, &bytes).unwrap();
    let said = bench.pop(15, "resume last").stderr;
    assert!(said.contains(&format!("is damaged at byte {bad} ")), "{said}");
    assert!(said.contains(&format!("hint: cut the file with `truncate -s {bad}`, then resume")), "{said}");
    fs::OpenOptions::new().write(true).open(&journal).unwrap().set_len(bad as u64).unwrap();
    bench.pop(0, "resume last");
    assert_eq!(bench.shown()["outcome"], "succeeded");
    // what stood before the damage was not done again
    assert_eq!(bench.sorted_lines("ran").iter().filter(|name| *name == "one").count(), 1);
}

#[test]
fn resume_repeats_failed_and_cancelled_operations() {
    let bench = Bench::with_agenda(
        r#"
operations:
  - {name: good, type: exec, payload: {command: [sh, -c, "echo good >> ran"]}}
  - {name: bad, type: exec, payload: {command: [sh, -c, "echo bad >> ran; test -e mended"]}}
  - {name: needs, type: exec, params: {dependsOn: bad}, payload: {command: [sh, -c, "echo needs >> ran"]}}
"#,
    );
    bench.pop(10, "run a.yaml -k");
    let said = bench.pop(10, "resume last").stderr;
    assert!(said.contains("failed: bad after 2 attempts"), "{said}");
    assert!(said.ends_with("1 succeeded, 1 failed, 1 cancelled\n"), "{said}");
    bench.write("mended", "");
    // the agenda of a run is the one it began with
    bench.write("a.yaml", "operations: nothing\n");
    let said = bench.pop(0, "resume last").stderr;
    assert!(said.ends_with("3 succeeded\n"), "{said}");
    assert_eq!(bench.sorted_lines("ran"), ["bad", "bad", "bad", "good", "needs"]);
    let run = bench.shown()["run"].as_str().unwrap().to_owned();
    let said = bench.call("resume").argument(&run).ends(0).stderr;
    assert_eq!(said, format!("run {run} has succeeded already; nothing to do\n"));
    assert_eq!(bench.sorted_lines("ran").len(), 5);
}

#[test]
fn f76_signal_stops_handlers_and_the_run_can_be_resumed() {
    for (signal, code, word) in [
        (Signal::INT, 130, "interrupted"),
        (Signal::TERM, 143, "terminated"),
        (Signal::HUP, 143, "terminated"),
    ] {
        let bench = Bench::with_agenda(
            r#"
operations:
  - name: a
    type: exec
    payload: {command: [sh, -c, "trap 'echo trapped > said; exit 1' TERM; echo > here; test -e again || { sleep 1000 & wait; }"]}
"#,
        );
        let running = bench.call("run a.yaml").spawn();
        bench.wait_for("here", 1);
        running.signal(signal);
        let said = running.end();
        assert_eq!(said.code, code, "{}", said.stderr);
        assert_eq!(bench.read("said"), "trapped\n");
        assert_eq!(
            (&bench.operation("a")["outcome"], &bench.shown()["outcome"]),
            (&json!("cancelled"), &json!(word))
        );
        bench.write("again", "");
        bench.pop(0, "resume last");
    }
}

#[test]
fn f76_ignored_hangup_stays_ignored() {
    let bench = Bench::with_agenda(
        r#"
operations:
  - {name: a, type: exec, payload: {command: [sh, -c, "echo > here; while [ ! -e go ]; do sleep 0.01; done"]}}
"#,
    );
    let running = bench.call("run a.yaml").signals("--ignore-signal=HUP").spawn();
    bench.wait_for("here", 1);
    running.signal(Signal::HUP);
    bench.write("go", "");
    assert_eq!(running.end().code, 0);
}

#[test]
fn ignored_sigchld_does_not_hide_ends_of_children() {
    let bench = Bench::with_agenda(
        "operations: [{name: a, type: exec, payload: {command: [sh, -c, 'sleep 0.01']}}]\n",
    );
    bench.call("run a.yaml").signals("--ignore-signal=CHLD").ends(0);
}

#[test]
fn f76_second_signal_kills_operations() {
    let stubborn = "operations:\n  - {name: a, type: exec, payload: {command: [sh, -c, \"trap '' TERM; echo $$ > pid; echo > \
                    here; while :; do sleep 1000; done\"]}}\n";
    let bench = Bench::with_agenda(stubborn);
    let mut running = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    let child = bench.process("pid");
    running.signal(Signal::INT);
    running.says("stopping running operations (interrupt again to kill them)");
    running.signal(Signal::INT);
    let ended = running.end();
    child.ends();
    assert_eq!(ended.code, 130);
    assert!(ended.stderr.contains("kill      a: it did not stop when asked"), "{}", ended.stderr);

    // without a second signal the grace decides
    let bench = Bench::with_agenda(stubborn);
    let running = bench.call("run a.yaml --grace 0").spawn();
    bench.wait_for("here", 1);
    let child = bench.process("pid");
    running.signal(Signal::TERM);
    assert_eq!(running.end().code, 143);
    child.ends();
}

#[test]
fn f76_third_signal_ends_pop_and_children_at_once() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, payload: {command: [sh, -c, \"trap '' TERM; echo $$ > pid; echo > here; while :; \
         do sleep 1000; done\"]}}\n",
    );
    let mut running = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    let child = bench.process("pid");
    running.signal(Signal::INT);
    running.says("stopping running operations");
    // two kinds, so that the kernel does not make one signal of them
    running.signal(Signal::TERM);
    running.signal(Signal::HUP);
    assert_eq!(running.end().code, 143);
    child.ends();
}

#[test]
fn f77_interrupted_retry_wait_ends_at_once() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, params: {retry: {maxAttempts: 2, delayMs: 1000000}}, payload: {command: \
         ['false']}}\n",
    );
    let mut running = bench.call("run a.yaml").spawn();
    running.says("retry     a in 16 m 40 s");
    running.signal(Signal::INT);
    assert_eq!(running.end().code, 130);
    assert_eq!(bench.operation("a")["attempts"], 1);
}

#[test]
fn logs_follow_ends_when_the_operation_settles() {
    let bench = Bench::with_agenda(
        r#"
operations:
  - {name: a, type: exec, payload: {command: [sh, -c, "echo one; echo > here; read go < fifo; echo two >&2"]}}
  - {name: b, type: exec, params: {dependsOn: a}, payload: {command: [sh, -c, "echo three; read go < fifo2"]}}
"#,
    );
    bench.fifo("fifo");
    bench.fifo("fifo2");
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    let mut of_one = bench.call("logs last a -f").spawn();
    let mut of_all = bench.call("logs last --follow").spawn();
    of_one.prints("one");
    of_all.prints("one");
    fs::write(bench.path("fifo"), "go\n").unwrap();
    of_all.prints("three");
    let ended = of_one.end();
    assert_eq!((ended.code, ended.stdout.as_str()), (0, "==> a <==\none\ntwo\n"));
    fs::write(bench.path("fifo2"), "go\n").unwrap();
    assert_eq!(running.end().code, 0);
    assert_eq!(of_all.end().stdout, "==> a <==\none\ntwo\n==> b <==\nthree\n");

    // the executor dies: nothing more can come
    let bench = Bench::with_agenda(HOLDING);
    let running = bench.call("run a.yaml -j 2").spawn();
    bench.wait_for("ran", 4);
    let following = bench.call("logs last -f").spawn();
    running.crash();
    assert_eq!(following.end().code, 0);
}

#[test]
fn reading_commands_change_nothing() {
    let bench = Bench::with_agenda(HOLDING);
    let running = bench.call("run a.yaml -j 2").spawn();
    bench.wait_for("ran", 4);
    running.crash();
    let journal = bench.run_folder().join("journal");
    let torn = [fs::read(&journal).unwrap(), b"torn".to_vec()].concat();
    fs::write(&journal, &torn).unwrap();
    for line in [
        "runs",
        "show last",
        "show last hold",
        "show last --output json",
        "logs last",
        "explain last last",
        "plan a.yaml",
        "check a.yaml",
    ] {
        bench.pop(0, line);
    }
    assert_eq!(fs::read(&journal).unwrap(), torn);
    assert_eq!(bench.sorted_lines("ran").len(), 4);
}
