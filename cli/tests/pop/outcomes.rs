//! Outcomes of runs: exit codes, results, policies, and JSON events.

use crate::bench::Bench;
use serde_json::{Value, json};

/// An agenda of one `exec` operation `a` that runs a line of a shell, with these params.
fn shell(line: &str, params: &Value) -> String {
    let operation = json!({
        "name": "a", "type": "exec", "params": params,
        "payload": {"command": ["/bin/sh", "-c", line], "capture": "text"},
    });
    json!({"operations": [operation]}).to_string()
}

/// Runs such an agenda and returns the operation from `pop show`.
fn outcome(code: i32, line: &str, params: &Value) -> Value {
    let bench = Bench::with_agenda(&shell(line, params));
    bench.pop(code, "run a.yaml");
    bench.operation("a")
}

#[test]
fn e0_success() {
    assert_eq!(outcome(0, "exit 0", &json!({}))["outcome"], "succeeded");
    assert_eq!(outcome(0, "exit 7", &json!({"onFail": "SKIP"}))["outcome"], "skipped");
    Bench::with_agenda("operations: []\n").pop(0, "run a.yaml");
}

#[test]
fn e2_the_command_line() {
    let bench = Bench::with_agenda("operations: []\n");
    for line in [
        "",
        "run",
        "walk a.yaml",
        "run a.yaml --parallel 0",
        "run a.yaml --policy x",
        "run a.yaml --output xml",
        "run a.yaml --time-limit 0",
        "show last",
        "show ../x",
        "logs none",
        "handlers show nope",
    ] {
        let ended = bench.pop(2, line);
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "pop {line}");
    }
    bench.pop(0, "run a.yaml");
    let said = bench.pop(2, "explain last x").stderr;
    assert!(said.contains("has no operation `x`"), "{said}");
}

#[test]
fn e3_e4_agenda_and_settings() {
    let bench = Bench::with_agenda("operations: {}\n");
    bench.pop(3, "run a.yaml");
    bench.write("a.yaml", "operations: []\n");
    let said = bench.pop(2, "run a.yaml --launchType moon").stderr;
    assert!(said.contains("use local, docker or kubernetes"), "{said}");
    for (line, words) in [
        ("run a.yaml --propFile none.properties", "none.properties"),
        ("run --payloadFile none.json", "none.json"),
        ("run a.yaml --registry none.json", "none.json"),
    ] {
        let said = bench.pop(4, line).stderr;
        assert!(said.contains(words), "{said}");
        assert!(!bench.has(".pop"));
    }
}

#[test]
fn e10_failure_hides_the_handlers_exit_status() {
    for code in [1, 3, 15, 130] {
        let told = outcome(10, &format!("exit {code}"), &json!({}));
        assert_eq!(told["outcome"], "failed");
        assert_eq!(told["diagnosticEvents"][0]["payload"]["exit"], json!({"code": code}));
    }
    let told = outcome(10, "kill -KILL $$", &json!({}));
    assert_eq!(told["diagnosticEvents"][0]["message"], "ended with signal SIGKILL");
}

#[test]
fn e10_failure_stops_new_starts_without_keep_going() {
    let agenda = "operations:\n  - {name: bad, type: exec, payload: {command: ['false']}}\n  - {name: free, type: exec, \
                  payload: {command: [touch, free]}}\n  - {name: needs, type: exec, params: {dependsOn: bad}, payload: \
                  {command: [touch, needs]}}\n";
    let bench = Bench::with_agenda(agenda);
    bench.pop(10, "run a.yaml -j 1");
    assert!(!bench.has("free"));
    bench.pop(10, "run a.yaml -j 1 --keep-going");
    assert!(bench.has("free") && !bench.has("needs"));
}

#[test]
fn e12_fatal_stops_running_operations() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: long, type: exec, payload: {command: [sleep, '100']}}\n  - {name: a, type: exec, params: \
         {onFail: FATAL}, payload: {command: ['false']}}\n",
    );
    bench.pop(12, "run a.yaml -j 2");
    assert_eq!(bench.operation("long")["outcome"], "cancelled");
    assert_eq!(bench.shown()["exitCode"], 12);
}

#[test]
fn e13_the_time_limit() {
    let bench = Bench::with_agenda(&shell("sleep 100", &json!({})));
    let said = bench.pop(13, "run a.yaml --time-limit 1").stderr;
    assert!(said.contains("ended by its time limit"), "{said}");
    assert_eq!(bench.operation("a")["outcome"], "cancelled");
}

#[test]
fn e15_damaged_journal_changed_inputs_second_executor() {
    let bench = Bench::with_agenda(&shell("exit 1", &json!({})));
    bench.pop(10, "run a.yaml");
    let journal = bench.run_folder().join("journal");
    let whole = std::fs::read_to_string(&journal).unwrap();
    std::fs::write(&journal, whole.replacen(" s0", " s1", 1)).unwrap();
    let said = bench.pop(15, "resume last").stderr;
    assert!(said.contains("is damaged at byte") && said.contains("(line 3)"), "{said}");
    bench.pop(15, "show last");
    let listed = bench.pop(0, "runs").stdout;
    assert!(listed.contains("unreadable"), "{listed}");
    std::fs::write(&journal, "{}\n").unwrap();
    assert!(bench.pop(15, "resume last").stderr.contains("is not a journal of pop"));
    std::fs::write(&journal, &whole).unwrap();
    bench.pop(10, "resume last");

    let agenda = bench.run_folder().join("inputs/agenda");
    std::fs::write(&agenda, shell("exit 0", &json!({}))).unwrap();
    assert!(bench.pop(15, "resume last").stderr.contains("were changed since it began"));

    let bench = Bench::with_agenda(&shell("echo > here; read line < fifo", &json!({})));
    bench.fifo("fifo");
    let first = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    let said = bench.pop(15, "resume last").stderr;
    assert!(said.contains(&format!("is being executed by process {}", first.pid())), "{said}");
    assert!(bench.pop(0, "runs").stdout.contains("running"));
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    assert_eq!(first.end().code, 0);
}

#[test]
fn json_events_start_with_run_started_and_end_with_run_ended() {
    let bench = Bench::with_agenda(&shell("echo hi; exit 3", &json!({"retry": {"maxAttempts": 2}})));
    let ended = bench.pop(10, "run a.yaml --output json");
    assert_eq!(ended.stderr, "");
    let events = ended.events();
    let mut last = 0;
    for event in &events {
        assert!(event["event"].is_string(), "{event}");
        assert!(event["time"].as_u64().unwrap() >= last, "{event}");
        last = event["time"].as_u64().unwrap();
    }
    let first = &events[0];
    assert_eq!(first["event"], "RunStarted");
    assert_eq!(first["run"], bench.shown()["run"]);
    let end = events.last().unwrap();
    assert_eq!(
        (&end["event"], &end["outcome"], &end["exitCode"]),
        (&json!("RunEnded"), &json!("failed"), &json!(10))
    );
    let names: Vec<_> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "AttemptStarted").count(), 2);
    assert!(events.iter().any(|event| event["event"] == "OperationSettled" && event["operation"] == "a"));
}

#[test]
fn show_json_has_the_documented_fields() {
    let bench = Bench::with_agenda(&shell("exit 3", &json!({"retry": {"maxAttempts": 2}})));
    bench.pop(10, "run a.yaml");
    let shown = bench.shown();
    for field in ["run", "agenda", "outcome", "exitCode", "startedTime", "completedTime", "operations"] {
        assert!(!shown[field].is_null(), "{field}");
    }
    let operation = &shown["operations"][0];
    for field in ["name", "type", "outcome", "attempts", "diagnosticEvents", "startedTime", "completedTime"] {
        assert!(!operation[field].is_null(), "{field}");
    }
    assert_eq!((&operation["attempts"], &operation["result"]), (&json!(2), &Value::Null));
    assert!(operation["completedTime"].as_u64() >= operation["startedTime"].as_u64());
    assert!(operation["startedTime"].as_u64() > Some(1_600_000_000_000), "epoch milliseconds");
}

#[test]
fn policies_of_a_failed_attempt() {
    let bench = Bench::with_agenda(&shell(
        "echo x >> tries; test $(wc -l < tries) = 3",
        &json!({"retry": {"maxAttempts": 3}}),
    ));
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.operation("a")["attempts"], 3);
    let told = outcome(10, "exit 5", &json!({"retry": {"maxAttempts": 3, "on": ["6"]}}));
    assert_eq!(told["attempts"], 1);
    let told = outcome(0, "exit 5", &json!({"ignoreErrors": "4, 5"}));
    assert_eq!(told["outcome"], "succeeded");
    let told = outcome(10, "sleep 100", &json!({"timeoutMs": 50}));
    assert_eq!(told["diagnosticEvents"][0]["statusCode"], "timeout");
    let told = outcome(10, "echo hi; sleep 100", &json!({"noOutputTimeoutMs": 500}));
    assert_eq!(told["diagnosticEvents"][0]["statusCode"], "stalled");
    assert_eq!(told["diagnosticEvents"][0]["payload"]["logTail"], json!(["hi"]));
}

#[test]
fn policy_overrides_the_agenda_and_survives_resume() {
    let bench = Bench::with_agenda(&format!(
        "params: {{onFail: FATAL}}\n{}",
        "operations:\n  - {name: a, type: exec, payload: {command: ['false']}}\n"
    ));
    bench.pop(12, "run a.yaml");
    bench.pop(0, "run a.yaml --policy onFail=SKIP");
    bench.call("run a.yaml --policy").argument("retry={\"maxAttempts\": 2}").ends(12);
    assert_eq!(bench.operation("a")["attempts"], 2);
    bench.pop(12, "resume last");
    assert_eq!(bench.operation("a")["attempts"], 4);
    let said = bench.pop(2, "run a.yaml --policy timeoutMs=soon").stderr;
    assert_eq!(
        said,
        "error: `--policy timeoutMs=soon`: `timeoutMs` must be a whole number from 0, not `soon`\n"
    );
}

#[test]
fn results_are_captured_and_referenced() {
    let agenda = r#"
operations:
  - {name: json, type: exec, payload: {command: [echo, '{"w": 720, "t": "x y"}'], capture: json}}
  - {name: lines, type: exec, payload: {command: [printf, 'a\nb\n'], capture: lines}}
  - {name: odd, type: exec, payload: {command: [sh, -c, 'exit 3'], successCodes: [0, 3]}}
  - {name: report, type: exec, payload: {command: [sh, -c, 'echo log; echo "pop.report.payload {\"n\": [1, 2]}"']}}
  - name: reader
    type: exec
    payload:
      capture: lines
      command: [printf, '%s\n', '@<json.out::/stdout/w>', 'w=@<json.out::/stdout/w>', '@<json.out::/stdout/t>',
        '@<lines.out::/stdout/1>', '@<report.out::/n/1>', '@<odd.out::/exitCode>', '@<json.out::/nope?none>']
"#;
    let bench = Bench::with_agenda(agenda);
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.operation("report")["result"], json!({"n": [1, 2]}));
    assert_eq!(bench.operation("odd")["result"], json!({"exitCode": 3}));
    let read = json!(["720", "w=720", "x y", "b", "2", "3", "none"]);
    assert_eq!(bench.operation("reader")["result"]["stdout"], read);
    assert_eq!(bench.pop(0, "logs last report").stdout, "==> report <==\nlog\n");

    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, payload: {command: [echo, x], capture: json}}\n",
    );
    bench.pop(10, "run a.yaml");
    assert_eq!(bench.operation("a")["diagnosticEvents"][0]["statusCode"], "contract");
}

#[test]
fn f22_exit_status_and_final_report_must_agree() {
    let complete = |word: &str| {
        format!(
            "echo 'pop.report.progress {{\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"{word}\"}}'"
        )
    };
    for (line, code) in [
        (complete("succeeded"), "succeeded a"),
        (format!("{}; exit 1", complete("succeeded")), "[contract]"),
        (format!("{}; exit 0", complete("failed")), "[failed]"),
        (format!("{}; exit 0", complete("well")), "[contract]"),
        ("echo 'pop.report.payload {'".to_owned(), "[contract]"),
        ("echo 'pop.report.payload 1'; echo 'pop.report.payload 2'".to_owned(), "[contract]"),
    ] {
        // captured output contains no report lines
        let bench = Bench::with_agenda(&shell(&line, &json!({})).replace(r#""capture":"text","#, ""));
        let said = bench.call("run a.yaml").run().stderr;
        assert!(said.contains(code), "{line}: {said}");
    }
}
