//! Full and failing disks: the journal waits for space; an unwritable log fails only its attempt.

use crate::bench::{Bench, Call};
use rustix::process::Signal;
use serde_json::json;

/// Number of operations of [`chain`].
const COUNT: usize = 24;

/// Operations one after another with long results, and one beside them that runs until `fifo` is written to.
fn chain() -> Bench {
    let mut operations = vec![json!({"name": "long", "type": "exec",
        "payload": {"command": ["sh", "-c", "read line < fifo; echo > went-on"]}})];
    for number in 0..COUNT {
        let needs: Vec<String> = (number > 0).then(|| format!("op{}", number - 1)).into_iter().collect();
        operations
            .push(json!({"name": format!("op{number}"), "type": "exec", "params": {"dependsOn": needs},
            "payload": {"command": ["./x"], "capture": "text"}}));
    }
    let bench = Bench::with_agenda(&json!({ "operations": operations }).to_string());
    bench.program("x", "#!/bin/sh\necho x >> ran; printf %0250d 0\n");
    bench.fifo("fifo");
    bench
}

/// Limits files to 4 KiB until the test raises the limit.
fn on_a_small_disk(call: Call<'_>) -> Call<'_> {
    call.after("trap '' XFSZ; ulimit -S -f 8")
}

#[test]
fn f6_run_waits_for_disk_space_and_continues() {
    let bench = chain();
    let mut running = on_a_small_disk(bench.call("run a.yaml -j 2")).spawn();
    running.says("there is no room for journal `");
    let ran = bench.read("ran");
    // running operations continue meanwhile
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    bench.wait_for("went-on", 1);
    assert_eq!((bench.read("ran") == ran, ran.len() < 2 * COUNT), (true, true));
    // and what the journal has is whole
    assert!(bench.shown()["outcome"].is_null());
    running.is_set_free();
    running.says("there is room for the journal again");
    let ended = running.end();
    assert_eq!((ended.code, bench.read("ran").len()), (0, 2 * COUNT), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("there is no room").count(), 1, "{}", ended.stderr);
    assert!(
        ended.stderr.contains("/journal` (File too large (os error 27)): nothing new is started"),
        "{}",
        ended.stderr
    );
    assert_eq!(bench.shown()["outcome"], "succeeded");
}

#[test]
fn f6_signal_ends_the_wait_for_disk_space() {
    let bench = chain();
    let mut running = on_a_small_disk(bench.call("run a.yaml -j 2 --output json")).spawn();
    running.says("there is no room for journal `");
    running.signal(Signal::INT);
    let ended = running.end();
    assert_eq!(ended.code, 15, "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: all running operations were stopped"), "{}", ended.stderr);
    assert!(ended.events().iter().all(|event| event["event"].is_string()));
    let resumed = bench.call("resume last").spawn();
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    assert_eq!(resumed.end().code, 0);
    // the one whose end could not be written has run twice
    assert!((COUNT..=COUNT + 1).contains(&bench.read("ran").matches('x').count()));
}

#[test]
fn f7_f8_unwritable_log_fails_only_its_attempt() {
    let targets = [
        ("full", "/dev/full", "os error 28"),
        ("broken", "/proc/self/mem", "os error 5"),
        ("gone", "/no/x", "os error 2"),
    ];
    let link = |(name, target, _)| format!("ln -s {target} .pop/runs/$POP_RUN_ID/out/{name}.1.log");
    let links = targets.map(link).join("; ");
    let mut operations =
        vec![json!({"name": "before", "type": "exec", "payload": {"command": ["sh", "-c", links]}})];
    for name in targets.map(|(name, ..)| name).into_iter().chain(["again", "free"]) {
        operations.push(json!({"name": name, "type": "exec", "params": {"dependsOn": "before"},
            "payload": {"command": ["sh", "-c", "echo hi"]}}));
    }
    let bench = Bench::with_agenda(&json!({ "operations": operations }).to_string());
    let said = bench.pop(10, "run a.yaml --keep-going").stderr;
    for (name, _, errno) in targets {
        let told = bench.operation(name)["diagnosticEvents"][0].clone();
        assert_eq!(
            (&told["statusCode"], &told["payload"]["blame"]),
            (&json!("storage"), &json!("platform")),
            "{name}"
        );
        let message = told["message"].as_str().unwrap();
        assert!(
            message.starts_with("its log could not be written: ") && message.contains(errno),
            "{message}"
        );
        // what it printed last is there all the same
        assert_eq!(told["payload"]["logTail"], json!(["hi"]));
    }
    assert!(said.contains("3 succeeded, 3 failed"), "{said}");
    // another attempt has another file
    bench.pop(0, "resume last");
}
