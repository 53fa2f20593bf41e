//! Snapshots of the text output of runs and faults.

use crate::bench::Bench;

/// Four operations, of which the second fails after a retry.
pub(crate) const MIXED: &str = r#"params: {timeoutMs: 60000}
operations:
  - name: probe
    type: exec
    payload: {command: [echo, '{"w": 720}'], capture: json}
  - name: thumb
    type: exec
    params: {dependsOn: probe, retry: {maxAttempts: 2, delayMs: 1}}
    payload: {command: [sh, -c, "echo 'no such codec'; echo giving up >&2; exit 3"]}
  - name: upload
    type: exec
    payload: {command: [echo, "@<thumb.out::/exitCode>"]}
  - name: notify
    type: exec
    params: {dependsOn: [upload]}
    payload: {command: [echo, done]}
"#;

/// A run with a failed operation, and with operations cancelled because of it.
pub(crate) fn mixed() -> Bench {
    let bench = Bench::with_agenda(MIXED);
    bench.pop(10, "run a.yaml -j 1");
    bench
}

#[test]
fn a_run_that_succeeds() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: probe, type: exec, payload: {command: [echo, hi]}}\n  - {name: thumb, type: logMessages, params: \
         {dependsOn: probe}, payload: {logMessages: [hello]}}\n",
    );
    insta::assert_snapshot!(bench.pop(0, "run a.yaml -j 2").screen(), @r"
    exit 0
    --- stderr
    run $RUN: 2 operations, at most 2 at once
    start     probe
    succeeded probe in $TOOK
    start     thumb
    succeeded thumb in $TOOK
    run $RUN succeeded after $TOOK: 2 succeeded
    ");
    insta::assert_snapshot!(bench.pop(0, "logs last").screen(), @r"
    exit 0
    --- stdout
    ==> probe <==
    hi
    ==> thumb <==
    hello
    ");
}

#[test]
fn a_run_that_fails_after_a_retry() {
    let bench = Bench::with_agenda(MIXED);
    insta::assert_snapshot!(bench.pop(10, "run a.yaml -j 1").screen(), @r#"
    exit 10
    --- stderr
    run $RUN: 4 operations, at most 1 at once
    start     probe
    succeeded probe in $TOOK
    start     thumb
    retry     thumb in $TOOK: attempt 1 of 2 failed: [exit] ended with exit status 3
    start     thumb (attempt 2)
    failed    thumb after $TOOK: [exit] ended with exit status 3
    ending: an operation failed, no more operations start (--keep-going continues)
    cancelled upload
    cancelled notify

    failed: thumb after 2 attempts
      why: ended with exit status 3 [exit, blame: handler]
      | no such codec
      | giving up
      more: pop logs $RUN "thumb"

    run $RUN failed after $TOOK: 1 succeeded, 1 failed, 2 cancelled
    "#);
}

#[test]
fn a_run_that_skips_ignores_and_reports_progress() {
    let bench = Bench::with_agenda(
        r#"operations:
  - {name: a, type: exec, params: {onFail: SKIP}, payload: {command: [sh, -c, "echo sorry; exit 4"]}}
  - {name: b, type: exec, params: {ignoreErrors: "5", dependsOn: a}, payload: {command: [sh, -c, "exit 5"]}}
  - name: c
    type: exec
    params: {dependsOn: b}
    payload: {command: [sh, -c, "echo 'pop.report.progress {\"processingState\":\"EXECUTING\",\"percentComplete\":60}'"]}
"#,
    );
    insta::assert_snapshot!(bench.pop(0, "run a.yaml -j 2").screen(), @r#"
    exit 0
    --- stderr
    run $RUN: 3 operations, at most 2 at once
    start     a
    skipped   a after $TOOK: [exit] ended with exit status 4
    start     b
    succeeded b in $TOOK (its failure `5` is ignored): [exit] ended with exit status 5
    start     c
    progress  c 50%
    succeeded c in $TOOK

    skipped: a
      why: ended with exit status 4 [exit, blame: handler]
      | sorry
      more: pop logs $RUN "a"

    run $RUN succeeded after $TOOK: 2 succeeded, 1 skipped
    "#);
}

#[test]
fn a_run_that_ends_by_fatal() {
    let bench = Bench::with_agenda(
        r#"operations:
  - {name: long, type: exec, payload: {command: [sleep, "1000"]}}
  - {name: bad, type: exec, params: {onFail: FATAL}, payload: {command: [no-such-program]}}
  - {name: later, type: exec, params: {dependsOn: bad}, payload: {command: [echo]}}
"#,
    );
    insta::assert_snapshot!(bench.call("run a.yaml -j 2").variable("PATH", "/usr/bin:/bin").ends(12).screen(), @r#"
    exit 12
    --- stderr
    warning[program-not-found]: `no-such-program` is not on PATH now; operation `bad` may fail
     --> a.yaml:3:74
      |
    3 |   - {name: bad, type: exec, params: {onFail: FATAL}, payload: {command: [no-such-program]}}
      |                                                                          ^^^^^^^^^^^^^^^

    run $RUN: 3 operations, at most 2 at once
    start     long
    start     bad
    failed    bad after $TOOK: [spawn] `no-such-program` could not be started: program `no-such-program` not found, looked in `/usr/bin`, `/bin`
    ending: an operation with onFail FATAL failed
    cancelled later
    stop      long: the run is being ended
    cancelled long: stopped

    failed: bad
      why: `no-such-program` could not be started: program `no-such-program` not found, looked in `/usr/bin`, `/bin` [spawn, blame: handler]
      more: pop logs $RUN "bad"

    run $RUN ended by onFail FATAL after $TOOK: 1 failed, 2 cancelled
    "#);
}

#[test]
fn a_run_that_is_resumed() {
    let bench = mixed();
    insta::assert_snapshot!(bench.pop(10, "resume last -j 1").screen(), @r#"
    exit 10
    --- stderr
    resumed $RUN
    reopen    thumb, upload, notify
    start     thumb (attempt 3)
    retry     thumb in $TOOK: attempt 3 failed: [exit] ended with exit status 3
    start     thumb (attempt 4)
    failed    thumb after $TOOK: [exit] ended with exit status 3
    ending: an operation failed, no more operations start (--keep-going continues)
    cancelled upload
    cancelled notify

    failed: thumb after 4 attempts
      why: ended with exit status 3 [exit, blame: handler]
      | no such codec
      | giving up
      more: pop logs $RUN "thumb"

    run $RUN failed after $TOOK: 1 succeeded, 1 failed, 2 cancelled
    "#);
}

#[test]
fn faults_show_file_line_and_caret() {
    let bench = Bench::new();
    bench.write(
        "thumbs.yaml",
        r#"operations:
  - {name: probe, type: exec, payload: {command: [ffprobe-x, in.mp4], capture: json}}
  - name: thumb
    type: exec
    params: {timeoutMs: soon}
    payload:
      command: [echo, -ss, "@<prbe.out::/stdout/format/start_time?0>", in.mp4]
"#,
    );
    insta::assert_snapshot!(bench.pop(3, "check thumbs.yaml").screen(), @r#"
    exit 3
    --- stderr
    error[wrong-type]: `timeoutMs` must be a whole number from 0, not `soon`
     --> thumbs.yaml:5:25
      |
    5 |     params: {timeoutMs: soon}
      |                         ^^^^

    error[unknown-reference]: operation `thumb` refers to `prbe`, which is not in this agenda
     --> thumbs.yaml:7:31
      |
    7 |       command: [echo, -ss, "@<prbe.out::/stdout/format/start_time?0>", in.mp4]
      |                               ^^^^ did you mean `probe`?

    2 faults in thumbs.yaml; nothing was started (exit 3)
    "#);
    insta::assert_snapshot!(bench.pop(3, "check thumbs.yaml --output json").screen(), @r#"
    exit 3
    --- stdout
    [
      {
        "code": "wrong-type",
        "column": 25,
        "file": "thumbs.yaml",
        "hint": null,
        "line": 5,
        "message": "`timeoutMs` must be a whole number from 0, not `soon`",
        "pointer": "/operations/1/params/timeoutMs",
        "severity": "error"
      },
      {
        "code": "unknown-reference",
        "column": 31,
        "file": "thumbs.yaml",
        "hint": "did you mean `probe`?",
        "line": 7,
        "message": "operation `thumb` refers to `prbe`, which is not in this agenda",
        "pointer": "/operations/1/payload/command/2",
        "severity": "error"
      }
    ]
    "#);
    bench.write("good.yaml", "operations: []\n");
    insta::assert_snapshot!(bench.pop(0, "check good.yaml").screen(), @r"
    exit 0
    --- stderr
    good.yaml: 0 operations, no faults
    ");
    insta::assert_snapshot!(bench.pop(0, "check good.yaml --output json").screen(), @r"
    exit 0
    --- stdout
    []
    ");
}

#[test]
fn fr_g6_a_failure_shows_the_lines_of_the_program_and_its_stack_trace() {
    let bench = Bench::new();
    let report = r#"{"processingState":"COMPLETE","processingStateMessage":"failed","diagnosticEvents":[{"message":"KeyError: 'w'","stackTrace":"Traceback (most recent call last):\n  File \"handler.py\", line 7, in work\nKeyError: 'w'\n"}]}"#;
    bench.program(
        "handler",
        &format!("#!/bin/sh\necho 'reading in.mp4' >&2\nprintf '%s\\n' 'pop.report.progress {}'\necho 'INFO Progress: {{\"processingState\":\"COMPLETE\"}}' >&2\necho HandlerComplete >&2\nexit 1\n", report.replace('\'', "'\\''")),
    );
    bench.write("registry.yaml", "probe: {command: [./handler]}\n");
    bench.write("a.yaml", "operations: [{name: a, type: probe}]\n");
    insta::assert_snapshot!(bench.pop(10, "run a.yaml").screen(), @r#"
    exit 10
    --- stderr
    run $RUN: 1 operation, at most 2 at once
    start     a
    failed    a after $TOOK: [failed] KeyError: 'w'
    ending: an operation failed, no more operations start (--keep-going continues)

    failed: a
      why: KeyError: 'w' [failed, blame: handler]
      | reading in.mp4
      | Traceback (most recent call last):
      |   File "handler.py", line 7, in work
      | KeyError: 'w'
      more: pop logs $RUN "a"

    run $RUN failed after $TOOK: 1 failed
    "#);
    let shown = bench.pop(0, "show last a").stdout;
    let end = "| KeyError: 'w'\n      used ";
    assert!(shown.contains("| reading in.mp4\n") && shown.contains(end), "{shown}");
}

#[test]
fn f89_environment_does_not_change_messages() {
    // every call of the bench looks for escape bytes; here are the variables that might bring them
    let bench = Bench::with_agenda(MIXED);
    let plain = bench.pop(10, "run a.yaml -j 1").screen();
    for (name, value) in [
        ("NO_COLOR", "1"),
        ("CLICOLOR", "1"),
        ("TERM", "dumb"),
        ("TERM", "xterm-256color"),
        ("COLORTERM", "truecolor"),
        ("COLUMNS", "20"),
        ("LANG", "de_DE.UTF-8"),
        ("LC_ALL", "C"),
        ("HOME", "/nowhere"),
        ("TZ", "Pacific/Chatham"),
    ] {
        let ended = bench.call("run a.yaml -j 1").variable(name, value).ends(10);
        assert_eq!(ended.screen(), plain, "{name}={value}");
        bench.call("explain last thumb").variable(name, value).ends(0);
        bench.call("check none.yaml").variable(name, value).ends(3);
    }
    // neither does what a shell may have set before
    for line in ["umask 000", "umask 077", "exec < /dev/null", "exec <&-", "cd ."] {
        assert_eq!(bench.call("run a.yaml -j 1").after(line).ends(10).screen(), plain, "{line}");
        let journal = bench.run_folder().join("journal");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(journal).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{line}");
    }
}

#[test]
fn f19_control_characters_of_handlers_are_masked() {
    let bench = Bench::with_agenda(
        r#"operations:
  - {name: a, type: exec, payload: {command: [printf, 'x\033[2Jy\007z\n']}}
  - {name: b, type: exec, params: {dependsOn: a}, payload: {command: [sh, -c, "printf 'x\\033[2Jy\\007z\\n'; exit 1"]}}
"#,
    );
    let said = bench.pop(10, "run a.yaml").stderr;
    assert!(said.contains("| x\u{fffd}[2Jy\u{fffd}z"), "{said}");
    bench.pop(0, "show last b");
    let lie = r#"{"processingState":"COMPLETE","processingStateMessage":"failed","diagnosticEvents":[{"message":"\u001b[2Jgone"}]}"#;
    let operation = serde_json::json!({"name": "a", "type": "exec", "payload": {"command": ["echo", format!("pop.report.progress {lie}")]}});
    bench.write("a.yaml", serde_json::json!({"operations": [operation]}).to_string());
    bench.pop(10, "run a.yaml");
    for line in ["show last", "show last a", "explain last a", "logs last"] {
        bench.pop(0, line);
    }
}
