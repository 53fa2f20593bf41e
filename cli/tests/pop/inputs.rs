//! Sources of agenda, registry and settings, and what handlers get of them.

use crate::bench::Bench;
use serde_json::{Value, json};

const TOUCH: &str = "operations:\n  - {name: a, type: exec, payload: {command: [touch, done]}}\n";

#[test]
fn agenda_is_read_from_file_stdin_payload_file_or_environment() {
    let bench = Bench::with_agenda(TOUCH);
    let done = |bench: &Bench| std::fs::remove_file(bench.path("done")).unwrap();
    bench.pop(0, "run a.yaml");
    done(&bench);
    bench.call("run -").stdin(TOUCH).ends(0);
    done(&bench);
    for spelling in ["--payloadFile a.yaml", "-payloadFile a.yaml", "--payload-file=a.yaml"] {
        bench.pop(0, &format!("run {spelling}"));
        done(&bench);
    }
    bench.call("run").variable("PAYLOAD", TOUCH).ends(0);
    done(&bench);
    bench.call("run").variable("POP_PAYLOAD_TYPE", "file").variable("POP_PAYLOAD_FILE", "a.yaml").ends(0);
    done(&bench);
    // the argument is over the environment
    bench.call("run a.yaml").variable("PAYLOAD", "no agenda").ends(0);
    let json = bench.call("run - --output json").stdin("{\"operations\": []}").ends(0).events();
    assert_eq!(json.len(), 2);
}

#[test]
fn launch_types_are_accepted_in_every_spelling() {
    let bench = Bench::with_agenda(TOUCH);
    for spelling in [
        "-launchType local",
        "--launchType LOCAL",
        "--launchType=Local",
        "--launch-type local",
        "-externalLaunchType local",
        "--external-launch-type=local",
        "--on local",
    ] {
        bench.pop(0, &format!("run a.yaml {spelling}"));
    }
    std::fs::remove_dir_all(bench.path(".pop")).unwrap();
    std::fs::remove_file(bench.path("done")).unwrap();
    bench.write("a.yaml", TOUCH.replace("done]}", "done], image: i}"));
    let ends = |call: crate::bench::Call<'_>, says: &str| {
        let call = call.variable("DOCKER_HOST", "unix:///none").variable("KUBECONFIG", "/none");
        let said = call.ends(14).stderr;
        assert!(said.contains(says), "{said}");
    };
    ends(bench.call("run a.yaml --on docker"), "the Docker Engine cannot be reached");
    ends(bench.call("run a.yaml -externalLaunchType KUBERNETES"), "no cluster is configured");
    let by_variable = bench.call("run a.yaml").variable("POP_EXTERNAL_LAUNCH_TYPE", "docker");
    ends(by_variable, "the Docker Engine cannot be reached");
    assert!(!bench.has("done") && !bench.has(".pop"));
}

#[test]
fn registry_is_found_next_to_the_agenda() {
    let bench = Bench::new();
    bench.write("sub/a.yaml", "operations:\n  - {name: p, type: probe}\n");
    bench
        .write("sub/registry.yaml", "probe: {command: [./bin/probe.sh, one two], workingDirectory: there}\n");
    bench.program("sub/bin/probe.sh", "#!/bin/sh\npwd\necho \"$#: $1\"\n");
    std::fs::create_dir(bench.path("there")).unwrap();
    let at_home = |bench: &Bench| {
        let log = bench.call("logs last p").ends(0);
        assert_eq!(log.steady(&log.stdout), "==> p <==\n$BENCH/there\n1: one two\n");
    };
    bench.pop(0, "run sub/a.yaml");
    at_home(&bench);
    for place in ["--registry sub/registry.yaml", "--propFile some.properties"] {
        bench.write("some.properties", "registryPathOverride=sub/registry.yaml\n");
        bench.write("b.yaml", "operations:\n  - {name: p, type: probe}\n");
        bench.pop(0, &format!("run b.yaml {place}"));
        at_home(&bench);
    }
    bench.pop(3, "run b.yaml");
    bench.write("registry.json", "{\"probe\": {\"command\": [\"true\"]}}");
    bench.pop(0, "run b.yaml");
}

/// Runs a handler in this language and returns its report.
fn reported(program: &str, agenda: &Value) -> Value {
    let bench = Bench::new();
    bench.program("handler", program);
    bench.write("registry.yaml", "probe: {command: [./handler], envVars: {COLOUR: red, CID: never}}\n");
    bench.write("a.json", agenda.to_string());
    bench.call("run a.json").variable("OUTER", "kept").variable("PAYLOAD", "not for it").ends(0);
    bench.operation("p")["result"].clone()
}

#[test]
fn handler_gets_its_environment() {
    let program = "#!/usr/bin/env python3\nimport json, os, sys\nassert sys.stdin.read() == ''\n\
                   print('pop.report.payload ' + json.dumps(dict(os.environ)))\n";
    let agenda = json!({"id": "ag-1", "cid": "c-1", "customerId": "cu-1", "progressId": "pr-1", "operations": [
        {"name": "p", "id": 7, "type": "probe", "payload": {"ü": ["@<pop.agendaId>", "@<pop.operationName>"]}}]});
    let given = reported(program, &agenda);
    for (name, value) in [
        ("PAYLOAD", "{\"ü\":[\"ag-1\",\"p\"]}"),
        ("POP_PAYLOAD_TYPE", "envVar"),
        ("OPERATION_NAME", "p"),
        ("OPERATION_ID", "7"),
        ("AGENDA_ID", "ag-1"),
        ("CUSTOMER_ID", "cu-1"),
        ("PROGRESS_ID", "pr-1"),
        ("POP_ATTEMPT", "1"),
        ("POP_LAUNCH_TYPE", "local"),
        ("POP_EXTERNAL_LAUNCH_TYPE", "local"),
        ("LOG_LEVEL", "INFO"),
        ("OUTER", "kept"),
        ("COLOUR", "red"),
    ] {
        assert_eq!(given[name], value, "{name}");
    }
    assert!(given["POP_RUN_ID"].as_str().is_some_and(|run| run.len() == 20), "{given}");
    assert_eq!(given.get("LAST_PROGRESS"), None);
}

#[test]
fn run_without_ids_creates_them() {
    let program = "#!/usr/bin/env python3\nimport json, os\nprint('pop.report.payload ' + json.dumps(dict(os.environ)))\n";
    let bench = Bench::with_agenda("operations:\n  - {name: p, type: probe}\n");
    bench.program("handler", program);
    bench.write("registry.yaml", "probe: {command: [./handler]}\n");
    bench.pop(0, "run a.yaml");
    let given = bench.operation("p")["result"].clone();
    assert_eq!(given["CID"].as_str().map(str::len), Some(36));
    assert_eq!(given["AGENDA_ID"], given["POP_RUN_ID"]);
    assert_eq!((given.get("CUSTOMER_ID"), given.get("OPERATION_ID")), (None, None));
}

#[test]
fn payloads_of_any_size_arrive_whole() {
    let program = "#!/usr/bin/env python3\nimport base64, hashlib, json, os, zlib\nkind = os.environ['POP_PAYLOAD_TYPE']\n\
                   if kind == 'envVar':\n    text = os.environ['PAYLOAD'].encode()\n\
                   elif kind == 'compressedEnvVar':\n    parts = []\n    while f'POP_COMPRESSED_PAYLOAD_{len(parts)}' in os.environ:\n        \
                   parts.append(os.environ[f'POP_COMPRESSED_PAYLOAD_{len(parts)}'])\n    \
                   text = zlib.decompress(base64.b64decode(''.join(parts)))\n\
                   else:\n    text = open(os.environ['POP_PAYLOAD_FILE'], 'rb').read()\n\
                   items = json.loads(text)['items']\n\
                   print('pop.report.payload ' + json.dumps({'kind': kind, 'count': len(items), 'last': items[-1], 'size': len(text)}))\n";
    // numbers without a pattern, so that compressing does not make them small
    let mut state = 1_u64;
    let mut items = |count: usize| -> Vec<String> {
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{:016x}", state ^ (state >> 29))
        };
        (0..count).map(|_| next()).collect()
    };
    for (count, kind) in [(10, "envVar"), (10_000, "compressedEnvVar"), (160_000, "file")] {
        let items = items(count);
        let agenda = json!({"operations": [{"name": "p", "type": "probe", "payload": {"items": items}}]});
        let told = reported(program, &agenda);
        let wanted = json!({"kind": kind, "count": count, "last": items.last(), "size": told["size"]});
        assert_eq!(told, wanted);
        assert!(told["size"].as_u64() > Some(count as u64 * 19), "{told}");
    }
}

#[test]
fn next_attempt_gets_the_last_progress() {
    let bench =
        Bench::with_agenda("operations:\n  - {name: p, type: probe, params: {retry: {maxAttempts: 2}}}\n");
    bench.write("registry.yaml", "probe: {command: [./handler]}\n");
    bench.program(
        "handler",
        "#!/bin/sh\necho \"attempt $POP_ATTEMPT: $LAST_PROGRESS\" >> said\n\
         echo 'pop.report.progress {\"processingState\":\"EXECUTING\",\"percentComplete\":40,\"params\":{\"at\":7}}'\n\
         test \"$POP_ATTEMPT\" = 2\n",
    );
    bench.pop(0, "run a.yaml");
    let said = bench.read("said");
    let (first, second) = said.split_once('\n').unwrap();
    assert_eq!(first, "attempt 1: ");
    let progress: Value = serde_json::from_str(second.trim().strip_prefix("attempt 2: ").unwrap()).unwrap();
    assert_eq!((&progress["percentComplete"], &progress["params"]), (&json!(40.0), &json!({"at": 7})));
}

#[test]
fn registry_policies_apply_to_their_type() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: p, type: probe}\n  - {name: q, type: probe, params: {retry: {maxAttempts: 1}}}\n",
    );
    bench.write("registry.yaml", "probe: {command: ['false'], policies: {retry: {maxAttempts: 3}}}\n");
    bench.pop(10, "run a.yaml --keep-going");
    assert_eq!(
        (&bench.operation("p")["attempts"], &bench.operation("q")["attempts"]),
        (&json!(3), &json!(1))
    );
}

#[test]
fn runs_folder_is_configurable() {
    let bench = Bench::with_agenda(TOUCH);
    bench.pop(0, "run a.yaml --runs elsewhere");
    bench.call("show last").variable("POP_RUNS", "elsewhere").ends(0);
    bench.pop(2, "show last");
    assert!(!bench.has(".pop"));
    let none = bench.pop(0, "runs");
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", "no runs in `.pop/runs`\n"));
}

#[test]
fn last_is_the_newest_of_many_runs_in_a_second() {
    let bench = Bench::with_agenda("operations: []\n");
    for _ in 0..5 {
        let ran = bench.pop(0, "run a.yaml --output json").events()[0]["run"].clone();
        assert_eq!(bench.shown()["run"], ran);
    }
    let all: Vec<_> = (0..4).map(|_| bench.call("run a.yaml").spawn()).collect();
    for running in all {
        assert_eq!(running.end().code, 0);
    }
    assert_eq!(bench.pop(0, "runs --output json").json().as_array().map(Vec::len), Some(9));
}

#[test]
fn command_has_folder_variables_and_no_input() {
    let bench = Bench::with_agenda(
        r#"operations:
  - name: a
    type: exec
    payload:
      command: [sh, -c, 'pwd; echo $MODE $OPERATION_NAME $POP_ATTEMPT; cat']
      workingDirectory: there
      env: {MODE: fast}
      capture: lines
"#,
    );
    std::fs::create_dir(bench.path("there")).unwrap();
    // operations do not read pop's standard input
    let ended = bench.call("run a.yaml").stdin("typed").ends(0);
    let said = bench.operation("a")["result"]["stdout"].to_string();
    assert_eq!(ended.steady(&said), r#"["$BENCH/there","fast a 1"]"#);
    std::fs::remove_dir(bench.path("there")).unwrap();
    let said = bench.pop(10, "run a.yaml").stderr;
    assert!(said.contains("[spawn]") && said.contains("working directory"), "{said}");
}
