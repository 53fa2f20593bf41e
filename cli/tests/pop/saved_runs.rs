//! Snapshots of commands that read saved runs: lists, results, logs and explanations.

use crate::bench::Bench;
use crate::screens::mixed;

#[test]
fn runs_show_and_logs_of_a_failed_run() {
    let bench = mixed();
    insta::assert_snapshot!(bench.pop(0, "runs").screen(), @r"
    exit 0
    --- stdout
    RUN                   STATE   DONE  STARTED      TOOK   AGENDA
    $RUN  failed  1/4   $START  $TOOK  a.yaml
    ");
    insta::assert_snapshot!(bench.pop(0, "show last").screen(), @r"
    exit 0
    --- stdout
    run $RUN of a.yaml: failed, started $TIME, took $TOOK
    used $USAGE

    OPERATION  TYPE  STATE      STARTED   TOOK
    probe      exec  succeeded  $CLOCK  $TOOK
    thumb      exec  failed     $CLOCK  $TOOK  2 attempts, [exit] ended with exit status 3
    upload     exec  cancelled                   depends on `thumb`, which has outcome failed
    notify     exec  cancelled                   depends on `upload`, which has outcome cancelled

    run $RUN failed after $TOOK: 1 succeeded, 1 failed, 2 cancelled
    ");
    insta::assert_snapshot!(bench.pop(0, "show last thumb").screen(), @r"
    exit 0
    --- stdout
    thumb (exec): failed
      attempt 1 at $TIME: failed after $TOOK: ended with exit status 3 [exit, blame: handler]
          | no such codec
          | giving up
          used $USAGE
      attempt 2 at $TIME: failed after $TOOK: ended with exit status 3 [exit, blame: handler]
          | no such codec
          | giving up
          used $USAGE
    ");
    insta::assert_snapshot!(bench.pop(0, "show last probe").screen(), @r#"
    exit 0
    --- stdout
    probe (exec): succeeded
      attempt 1 at $TIME: succeeded in $TOOK
          used $USAGE
    result {
      "exitCode": 0,
      "stdout": {
        "w": 720
      }
    }
    "#);
    insta::assert_snapshot!(bench.pop(0, "show last thumb --output json").screen(), @r#"
    exit 0
    --- stdout
    {
      "attempts": 2,
      "completedTime": $MS,
      "diagnosticEvents": [
        {
          "message": "ended with exit status 3",
          "payload": {
            "attempt": 1,
            "blame": "handler",
            "exit": {
              "code": 3
            },
            "logTail": [
              "no such codec",
              "giving up"
            ]
          },
          "statusCode": "exit"
        },
        {
          "message": "ended with exit status 3",
          "payload": {
            "attempt": 2,
            "blame": "handler",
            "exit": {
              "code": 3
            },
            "logTail": [
              "no such codec",
              "giving up"
            ]
          },
          "statusCode": "exit"
        }
      ],
      "name": "thumb",
      "outcome": "failed",
      "replayedBy": null,
      "result": null,
      "reusedFrom": null,
      "startedTime": $MS,
      "type": "exec",
      "usage": $USAGE
    }
    "#);
    insta::assert_snapshot!(bench.pop(0, "logs last").screen(), @r"
    exit 0
    --- stdout
    ==> thumb <==
    no such codec
    giving up
    ==> thumb (attempt 2) <==
    no such codec
    giving up
    ");
    insta::assert_snapshot!(bench.pop(2, "show last thmb").screen(), @r"
    exit 2
    --- stderr
    error: run $RUN has no operation `thmb`
    hint: did you mean `thumb`?
    ");
}

#[test]
fn a_run_as_data() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, payload: {command: [echo, x], capture: text}}\n",
    );
    bench.pop(0, "run a.yaml");
    insta::assert_snapshot!(bench.pop(0, "show last --output json").screen(), @r#"
    exit 0
    --- stdout
    {
      "agenda": "a.yaml",
      "completedTime": $MS,
      "exitCode": 0,
      "operations": [
        {
          "attempts": 1,
          "completedTime": $MS,
          "diagnosticEvents": [],
          "name": "a",
          "outcome": "succeeded",
          "replayedBy": null,
          "result": {
            "exitCode": 0,
            "stdout": "x"
          },
          "reusedFrom": null,
          "startedTime": $MS,
          "type": "exec",
          "usage": $USAGE
        }
      ],
      "outcome": "succeeded",
      "rerunOf": null,
      "run": "$RUN",
      "startedTime": $MS
    }
    "#);
    let said = bench.pop(0, "runs --output json");
    assert!(said.json()[0]["tookMs"].is_u64());
    let said = said.stdout.lines().filter(|line| !line.contains("tookMs")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(crate::steady::steady(&said, &bench.path("")), @r#"
    [
      {
        "agenda": "a.yaml",
        "done": 1,
        "operations": 1,
        "outcome": "succeeded",
        "run": "$RUN",
        "startedTime": $MS,
      }
    ]
    "#);
    insta::assert_snapshot!(bench.pop(0, "run a.yaml --output json -j 2").screen(), @r#"
    exit 0
    --- stdout
    {"event":"RunStarted","operations":1,"options":{"graceMs":10000,"keepGoing":false,"parallel":2},"run":"$RUN","time":$MS}
    {"attempt":1,"event":"AttemptStarted","operation":"a","time":$MS}
    {"attempt":1,"ending":{"succeeded":{"result":{"exitCode":0,"stdout":"x"}}},"event":"AttemptEnded","operation":"a","time":$MS,"usage":$USAGE}
    {"event":"RunEnded","exitCode":0,"outcome":"succeeded","time":$MS}
    "#);
}

#[test]
fn explain_failed_and_cancelled_operations() {
    let bench = mixed();
    insta::assert_snapshot!(bench.pop(0, "explain last thumb").screen(), @r#"
    exit 0
    --- stdout
    thumb: failed
      handler   type `exec`: the command in its payload
      follows   probe (succeeded)
      attempt 1 at $TIME failed: ended with exit status 3 [codes exit, 3; blame: handler]
                used $USAGE
      attempt 2 at $TIME failed: ended with exit status 3 [codes exit, 3; blame: handler]
                used $USAGE
      payload   {"command":["sh","-c","echo 'no such codec'; echo giving up >&2; exit 3"]}
      policy    retry = 2 attempts, 1 ms apart times 2, on any failure (operation)
      policy    timeoutMs = 60000 (agenda)
      policy    noOutputTimeoutMs = none (built-in default)
      policy    pendingTimeoutMs = none (built-in default)
      policy    onFail = REPLY (built-in default)
      policy    ignoreErrors = none (built-in default)
    "#);
    insta::assert_snapshot!(bench.pop(0, "explain last upload").screen(), @r#"
    exit 0
    --- stdout
    upload: was cancelled: it depends on `thumb`, which did not succeed
      handler   type `exec`: the command in its payload
      reads     thumb (failed)
      payload   {"command":["echo","@<thumb.out::/exitCode>"]} (references not resolved yet)
      policy    retry = 1 attempt (built-in default)
      policy    timeoutMs = 60000 (agenda)
      policy    noOutputTimeoutMs = none (built-in default)
      policy    pendingTimeoutMs = none (built-in default)
      policy    onFail = REPLY (built-in default)
      policy    ignoreErrors = none (built-in default)
    "#);
    let first = |name: &str| {
        let said = bench.call("explain last").argument(name).ends(0).stdout;
        said.lines().next().unwrap().to_owned()
    };
    insta::assert_snapshot!(first("probe"), @"probe: succeeded");
    insta::assert_snapshot!(first("notify"), @"notify: was cancelled: it depends on `upload`, which did not succeed");
}

#[test]
fn explain_operation_cancelled_by_a_failure() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: bad, type: exec, payload: {command: ['false']}}\n  - {name: free, type: exec, payload: {command: \
         ['true']}}\n",
    );
    bench.pop(10, "run a.yaml -j 1");
    insta::assert_snapshot!(bench.pop(0, "explain last free").screen(), @r#"
    exit 0
    --- stdout
    free: was cancelled: another operation failed (--keep-going would have run it)
      handler   type `exec`: the command in its payload
      payload   {"command":["true"]}
      policy    retry = 1 attempt (built-in default)
      policy    timeoutMs = none (built-in default)
      policy    noOutputTimeoutMs = none (built-in default)
      policy    pendingTimeoutMs = none (built-in default)
      policy    onFail = REPLY (built-in default)
      policy    ignoreErrors = none (built-in default)
    "#);
}

#[test]
fn full_stdout_is_an_error_but_a_closed_pipe_is_not() {
    let bench = mixed();
    for line in ["show last", "runs", "explain last thumb", "plan a.yaml", "help", "run --help", "--version"]
    {
        let said = bench.call(line).into("/dev/full").ends(1).stderr;
        assert!(said.starts_with("error: cannot write to standard output: "), "{said}");
        bench.call(line).into_closed_pipe().ends(0);
    }
}

#[test]
fn usage_of_attempts_is_recorded_added_up_and_survives_a_resume() {
    let burn = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
    let bench = Bench::with_agenda(&format!(
        r#"
operations:
  - name: busy
    type: exec
    params: {{retry: {{maxAttempts: 2, delayMs: 1}}, writes: out}}
    payload: {{command: [sh, -c, "{burn}; test -e tried && echo > out; touch tried; test -e out"]}}
  - {{name: hold, type: exec, params: {{dependsOn: busy}}, payload: {{command: [sh, -c, "echo hold >> ran; test -e again || exec sleep 1000"]}}}}
  - {{name: said, type: logMessages, params: {{dependsOn: hold}}, payload: {{logMessages: [x]}}}}
"#
    ));
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("ran", 1);
    let before = bench.operation("busy")["usage"].clone();
    assert!(before["userUs"].as_u64().unwrap() > 1_000, "{before}");
    running.crash();
    bench.write("again", "");
    bench.pop(0, "resume last");
    assert_eq!(bench.operation("busy")["usage"], before);
    let attempts = bench.pop(0, "explain last busy --output json").json()["attempts"].clone();
    let user = |attempt: usize| attempts[attempt]["usage"]["userUs"].as_u64().unwrap();
    assert_eq!(before["userUs"], user(0) + user(1));
    // the attempt that was lost has none, the one that replaced it has
    let attempts = bench.pop(0, "explain last hold --output json").json()["attempts"].clone();
    assert_eq!((attempts[0].get("usage"), attempts[1]["usage"].is_object()), (None, true));
    // a handler inside the executor has none
    assert_eq!(bench.operation("said").get("usage"), None);
    let shown = bench.pop(0, "show last").stdout;
    assert!(shown.lines().any(|line| line.starts_with("used ") && line.contains(" ms CPU")), "{shown}");
}
