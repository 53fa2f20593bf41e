//! Misbehaving handlers and readers: floods, broken reports, crashes, closed and stalled pipes.

use crate::bench::Bench;
use rustix::process::Signal;
use serde_json::json;
use std::io::Read as _;

/// Maximum memory of pop, whatever its handlers print, in KiB.
const MOST_MEMORY_KIB: u64 = 64 * 1024;
/// The most that a log may take on disk: head, tail and the mark between them.
const MOST_LOG: u64 = (64 << 20) + (256 << 10) + 100;

#[test]
fn f19_gigabyte_of_output_has_bounded_memory_and_log() {
    let bench = Bench::with_agenda(
        r#"operations:
  - {name: line, type: exec, payload: {command: [sh, -c, "head -c 1000000000 /dev/zero; printf end"]}}
  - {name: bytes, type: exec, payload: {command: [sh, -c, "yes \"$(printf '\\377\\033[2J\\033]0;x\\007')\" | head -c 200000000"]}}
  - {name: after, type: exec, params: {dependsOn: "line, bytes"}, payload: {command: [sh, -c, "echo > here; read line < fifo"]}}
"#,
    );
    bench.fifo("fifo");
    let running = bench.call("run a.yaml -j 2").spawn();
    bench.wait_for("here", 1);
    let peak = running.peak_memory_kib();
    assert!(peak < MOST_MEMORY_KIB, "{peak} KiB");
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    assert_eq!(running.end().code, 0);
    for (name, printed) in [("line", 1_000_000_003), ("bytes", 200_000_000)] {
        let mut log =
            std::fs::File::open(bench.run_folder().join("out").join(format!("{name}.1.log"))).unwrap();
        let length = log.metadata().unwrap().len();
        assert!((64 << 20..MOST_LOG).contains(&length), "{name}: {length}");
        let mut text = Vec::new();
        log.read_to_end(&mut text).unwrap();
        let missing = printed - (64 << 20) - (256 << 10);
        let mark = format!("\n[truncated {missing} bytes]\n");
        assert_eq!(&text[64 << 20..][..mark.len()], mark.as_bytes(), "{name}");
    }
}

#[test]
fn f20_closed_output_does_not_end_the_run() {
    let bench = Bench::with_agenda(
        r#"operations:
  - {name: closes, type: exec, payload: {command: [sh, -c, "exec >&- 2>&-; read line < fifo; echo > done"]}}
  - {name: speaks, type: exec, params: {dependsOn: closes}, payload: {command: [sh, -c, "(sleep 1000; echo late) & yes | head -n 100000"]}}
"#,
    );
    for output in ["text", "json"] {
        bench.fifo("fifo");
        let running = bench.call("run a.yaml --output").argument(output).into_closed_pipe().spawn();
        std::fs::write(bench.path("fifo"), "go\n").unwrap();
        let ended = running.end();
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(bench.has("done"));
        assert_eq!(bench.shown()["outcome"], "succeeded");
        std::fs::remove_file(bench.path("fifo")).unwrap();
    }
}

#[test]
fn f19_f85_stalled_reader_does_not_delay_the_run() {
    let count = 1_500;
    let operation = |number| json!({"name": format!("op{number}"), "type": "logMessages", "payload": {"logMessages": ["hi"]}});
    let mut operations: Vec<_> = (0..count).map(operation).collect();
    let all: Vec<String> = (0..count).map(|number| format!("op{number}")).collect();
    operations.push(json!({"name": "last", "type": "exec", "params": {"dependsOn": all}, "payload": {"command": ["sh", "-c", "echo > here"]}}));
    let bench = Bench::with_agenda(&json!({ "operations": operations }).to_string());
    let (mut reader, writer) = std::io::pipe().unwrap();
    let running = bench.call("run a.yaml --output json").to(writer).spawn();
    // no byte was read, and the run still ends
    bench.wait_for("here", 1);
    let following = bench.call("logs last -f").spawn();
    following.stop();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(text.len() > 3 * 65_536, "more than a pipe holds");
    assert_eq!(text.matches("\"event\":\"AttemptEnded\"").count(), count + 1);
    assert!(text.lines().last().unwrap().contains("RunEnded"), "{text}");
    following.signal(Signal::CONT);
    let followed = following.end();
    assert_eq!((followed.code, followed.stdout.matches("==> op").count()), (0, count));
}

#[test]
fn f23_million_reports_are_merged_in_order() {
    let report = |percent: &str| format!("pop.report.progress {{\\\"percentComplete\\\":{percent}}}");
    let script = format!(
        "yes \"$(printf '%s\\n%s\\n%s' \"{}\" \"{}\" \"{}\")\" | head -n 1000000; echo \"{}\"",
        report("60"),
        report("1e9"),
        report("-5"),
        report("30"),
    );
    let operation = json!({"name": "a", "type": "exec", "payload": {"command": ["sh", "-c", script]}});
    let bench = Bench::with_agenda(&json!({"operations": [operation]}).to_string());
    let events = bench.pop(0, "run a.yaml --output json").events();
    let told: Vec<f64> =
        events.iter().filter_map(|event| event["progress"]["percentComplete"].as_f64()).collect();
    assert!((1..200).contains(&told.len()), "{} reports", told.len());
    assert!(told.is_sorted() && told.iter().all(|percent| (0.0..=100.0).contains(percent)), "{told:?}");
}

#[test]
fn f24_result_that_cannot_be_stored_fails_its_attempt() {
    for (script, code, words) in [
        (
            r#"printf 'pop.report.payload "'; head -c 200000000 /dev/zero | tr '\0' x; echo '"'"#,
            "too-large",
            "longer than 16777216 bytes",
        ),
        (
            r#"printf 'pop.report.payload '; head -c 100000 /dev/zero | tr '\0' '['; echo"#,
            "contract",
            "nested deeper than 127",
        ),
        (r#"echo 'pop.report.payload {"a":1,"a":2}'"#, "contract", "duplicate key `a`"),
        (
            r#"echo 'pop.report.payload [123456789012345678901]'"#,
            "contract",
            "has more digits than a 64-bit integer",
        ),
    ] {
        let bench = Bench::new();
        let operation = json!({"name": "a", "type": "exec", "payload": {"command": ["sh", "-c", script]}});
        bench.write("a.json", json!({"operations": [operation]}).to_string());
        let said = bench.pop(10, "run a.json").stderr;
        assert!(said.contains(&format!("[{code}]")) && said.contains(words), "{said}");
    }
    let bench = Bench::with_agenda(
        r#"operations: [{name: a, type: exec, payload: {command: [echo, '[18446744073709551615, -9223372036854775808]'], capture: json}}]"#,
    );
    bench.pop(0, "run a.yaml");
    let kept = bench.operation("a")["result"]["stdout"].to_string();
    assert_eq!(kept, "[18446744073709551615,-9223372036854775808]");
}

#[test]
fn f9_launch_waits_for_a_free_file_descriptor() {
    let bench = Bench::with_agenda(
        r#"operations:
  - {name: long, type: exec, payload: {command: [sh, -c, "read line < fifo"]}}
  - {name: guarded, type: exec, payload: {command: [sleep, "0.05"]}}
  - {name: first, type: exec, params: {dependsOn: guarded}, payload: {command: [sh, -c, "echo > here; read line < fifo2"]}}
  - {name: then, type: exec, params: {dependsOn: first}, payload: {command: ["true"]}}
"#,
    );
    bench.fifo("fifo");
    bench.fifo("fifo2");
    let mut running = bench.call("run a.yaml -j 2").spawn();
    bench.wait_for("here", 1);
    running.may_open_no_more();
    // one that ends leaves less than another needs to begin
    std::fs::write(bench.path("fifo2"), "go\n").unwrap();
    running.says("Too many open files (os error 24): it is tried again for a while");
    running.is_set_free();
    // an end is when it is tried at once
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    let ended = running.end();
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(bench.operation("then")["attempts"], 1);
}

#[test]
fn f26_crash_names_its_signal_and_is_retried() {
    let bench = Bench::with_agenda(
        "operations: [{name: a, type: exec, params: {retry: {maxAttempts: 2, delayMs: 30}}, payload: {command: [sh, -c, 'kill -SEGV $$']}}]\n",
    );
    let events = bench.pop(10, "run a.yaml --output json").events();
    let told = bench.operation("a")["diagnosticEvents"][0].clone();
    assert_eq!(
        (&told["statusCode"], &told["message"]),
        (&json!("signal"), &json!("ended with signal SIGSEGV"))
    );
    let starts: Vec<u64> = events
        .iter()
        .filter(|event| event["event"] == "AttemptStarted")
        .map(|event| event["time"].as_u64().unwrap())
        .collect();
    assert!(starts.len() == 2 && starts[1] - starts[0] >= 30, "{starts:?}");
}

#[test]
fn f19_character_at_a_chunk_boundary_stays_whole() {
    let script = "head -c 65535 /dev/zero | tr '\\0' x; echo é";
    let operation = json!({"name": "a", "type": "exec", "payload": {"command": ["sh", "-c", script]}});
    let bench = Bench::with_agenda(&json!({"operations": [operation]}).to_string());
    bench.pop(0, "run a.yaml");
    let printed = bench.pop(0, "logs last").stdout;
    assert_eq!(printed, format!("==> a <==\n{}é\n", "x".repeat(65_535)));
}
