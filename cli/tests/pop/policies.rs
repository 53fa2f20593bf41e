//! Policies end to end: between operations of a run, between runs of a host, and after a kill.

use crate::bench::Bench;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// The ladder of the samples, in a folder of its own.
fn ladder() -> Bench {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples/agendas/ladder.yaml");
    Bench::with_agenda(&fs::read_to_string(path).unwrap())
}

fn outcomes(bench: &Bench) -> Vec<String> {
    let shown = bench.shown();
    let words = shown["operations"].as_array().unwrap().iter().map(|operation| {
        format!("{} {}", operation["name"].as_str().unwrap(), operation["outcome"].as_str().unwrap_or("-"))
    });
    words.collect()
}

#[test]
fn sample_ladder_uses_every_policy() {
    let bench = ladder();
    let ended = bench.pop(11, "run a.yaml");
    assert_eq!(
        outcomes(&bench),
        [
            "source succeeded",
            "probe succeeded",
            "rendition succeeded",
            "package deadLettered",
            "alarm succeeded",
            "announce succeeded",
            "clean-up succeeded",
            "rendition#0 succeeded",
            "rendition#1 succeeded",
            "rendition#2 skipped",
            "announce.small succeeded",
            "announce.all succeeded",
        ]
    );
    assert!(ended.stderr.contains("skipped   rendition#2: to_number(env.HEIGHT) > to_number(env.SOURCE): env.HEIGHT is 1080, env.SOURCE is 360"));
    let renditions = bench.operation("rendition")["result"].clone();
    assert_eq!(
        renditions,
        json!([{"file": "240.mp4", "height": 240}, {"file": "144.mp4", "height": 144}, null])
    );
    // the starts of the two that share an encoder lie half a second apart
    let start = |name: &str| bench.operation(name)["startedTime"].as_u64().unwrap();
    assert!(start("rendition#0").abs_diff(start("rendition#1")) >= 500);
    let said = bench.pop(0, "explain last rendition#0").stdout;
    for words in [
        "origin    item 0 of `rendition`",
        "gate      the lock `samples/work/ladder/240.mp4`: granted",
        "gate      the delay `encoder`: 500 ms between starts: granted",
        "policy    lockKey = \"samples/work/ladder/@<pop.item::/height>.mp4\" (operation)",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }

    // once more: the probe is known, and what has failed fails again
    bench.pop(11, "run a.yaml");
    assert_eq!(bench.operation("probe")["outcome"], "fromCache");
    let said = bench.pop(0, "explain last probe").stdout;
    assert!(
        said.contains("gate      the cache `probes`: hit: written by ") && said.contains("/probe at "),
        "{said}"
    );

    // the missing file exists now, and the dead letter has everything that a replay needs
    fs::create_dir_all(bench.path("samples/work/ladder/hls")).unwrap();
    assert!(bench.pop(0, "dlq list").stdout.lines().count() == 2);
    bench.pop(0, "dlq replay last package");
    assert!(bench.read("samples/work/ladder/hls/index.m3u8").starts_with("#EXTM3U"));
    assert_eq!(bench.operation("package")["outcome"], "succeeded");
}

/// An operation that notes when it begins and when it ends; between, it waits for a byte of a fifo.
fn noting(params: &Value) -> String {
    let command = "echo begin >> notes; cat < gate > /dev/null; echo end >> notes";
    json!({"operations": [{"name": "a", "type": "exec", "params": params, "payload": {"command": ["sh", "-c", command]}}]})
        .to_string()
}

#[test]
fn r3_safe_lock_holds_between_runs_and_names_the_holder() {
    let bench = Bench::with_agenda(&noting(&json!({"lock": "SAFE", "lockKey": "shared"})));
    bench.fifo("gate");
    let first = bench.call("run a.yaml --run-id first").spawn();
    bench.wait_for("notes", 1);
    let mut second = bench.call("run a.yaml --run-id second").spawn();
    second.says("wait      a: for operation `a` of run first (process ");
    let said = bench.pop(0, "explain second a").stdout;
    assert!(said.starts_with("a: waits for the lock `shared`, held by operation `a` of run first"), "{said}");
    fs::write(bench.path("gate"), "").unwrap();
    first.ends(0);
    bench.wait_for("notes", 3);
    fs::write(bench.path("gate"), "").unwrap();
    second.ends(0);
    assert_eq!(bench.read("notes"), "begin\nend\nbegin\nend\n");
}

#[test]
fn f79_lock_of_a_killed_executor_is_free() {
    let bench = Bench::with_agenda(&noting(&json!({"lock": "SAFE"})));
    bench.fifo("gate");
    let first = bench.call("run a.yaml --run-id first").spawn();
    bench.wait_for("notes", 1);
    let mut waiting = bench.call("run a.yaml --run-id interrupted").spawn();
    waiting.says("wait      a: ");
    waiting.signal(rustix::process::Signal::INT);
    waiting.ends(130);
    let mut second = bench.call("run a.yaml --run-id second").spawn();
    second.says("wait      a: ");
    first.crash();
    bench.wait_for("notes", 2);
    fs::write(bench.path("gate"), "").unwrap();
    second.ends(0);
    // the killed run resumes as if nothing had happened
    let resumed = bench.call("resume first").spawn();
    bench.wait_for("notes", 4);
    fs::write(bench.path("gate"), "").unwrap();
    resumed.ends(0);
}

#[test]
fn r3_optimistic_lock_loser_gets_a_conflict_and_retries() {
    let agenda = |retry: u32| {
        noting(
            &json!({"lock": "OPTIMISTIC", "lockKey": "asset", "retry": {"maxAttempts": retry, "on": ["conflict"]}}),
        )
    };
    let bench = Bench::with_agenda(&agenda(1));
    bench.write("b.yaml", agenda(2));
    bench.write("quick.yaml", agenda(1).replace("cat < gate > /dev/null; ", ""));
    bench.fifo("gate");
    for (slow, code) in [("a.yaml", 10), ("b.yaml", 0)] {
        bench.write("notes", "");
        let running = bench.call(&format!("run {slow} --run-id {slow}")).spawn();
        bench.wait_for("notes", 1);
        bench.pop(0, "run quick.yaml");
        fs::write(bench.path("gate"), "").unwrap();
        if code == 0 {
            // begin, the quick one's two, end, and begin once more
            bench.wait_for("notes", 5);
            fs::write(bench.path("gate"), "").unwrap();
        }
        let said = running.ends(code).stderr;
        assert!(said.contains("[conflict] `asset` was changed meanwhile"), "{said}");
    }
}

#[test]
fn r5_f80_starts_keep_their_distance_across_runs() {
    let agenda = json!({"params": {"delayMs": 800, "delayId": "api"}, "operations": [
        {"name": "a", "type": "exec", "payload": {"command": ["true"]}},
        {"name": "b", "type": "exec", "payload": {"command": ["true"]}}]});
    let bench = Bench::with_agenda(&agenda.to_string());
    let mut starts = Vec::new();
    for _ in 0..2 {
        bench.pop(0, "run a.yaml -j 2");
        starts.extend(["a", "b"].map(|name| bench.operation(name)["startedTime"].as_u64().unwrap()));
    }
    starts.sort_unstable();
    // the recorded time is that of the driver's decision, which a loaded machine delays
    assert!(starts.windows(2).all(|two| two[1] - two[0] >= 500), "{starts:?}");
}

#[test]
fn r7_cache_needs_permission_and_explain_shows_its_key() {
    let bench = Bench::new();
    bench.program("count.sh", "#!/bin/sh\necho ran >> ran\necho \"pop.report.payload $PAYLOAD\"\n");
    let registry = |leave: &str| format!("count: {{command: [./count.sh]{leave}}}\n");
    let agenda = |n: u32| {
        json!({"operations": [{"name": "a", "type": "count", "payload": {"n": n, "other": [1]},
               "params": {"useCache": true, "cacheTtlMs": 3_600_000}}]})
        .to_string()
    };
    bench.write("registry.yaml", registry(""));
    bench.write("a.yaml", agenda(1));
    for _ in 0..2 {
        bench.pop(0, "run a.yaml");
    }
    assert_eq!(bench.sorted_lines("ran").len(), 2, "without the handler's leave nothing is cached");
    let said = bench.pop(0, "explain last a").stdout;
    assert!(said.contains("policy    useCache = true, but not used: cache.use is false"), "{said}");

    bench.write("registry.yaml", registry(", policies: {cache.use: true}"));
    for _ in 0..2 {
        bench.pop(0, "run a.yaml");
    }
    assert_eq!(bench.sorted_lines("ran").len(), 3);
    assert_eq!(bench.operation("a")["result"], json!({"n": 1, "other": [1]}));
    // another payload has another key, and the explanation shows the difference
    bench.write("a.yaml", agenda(2));
    bench.pop(0, "run a.yaml");
    let said = bench.pop(0, "explain last a").stdout;
    assert!(said.contains("miss: the key has changed: payload /n"), "{said}");
    // so is another program
    bench.program("count.sh", "#!/bin/sh\necho again >> ran\necho 'pop.report.payload {}'\n");
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.operation("a")["result"], json!({}));
    // a damaged entry is computed again
    for entry in fs::read_dir(bench.path(".pop/runs/.host/cache")).unwrap() {
        for file in fs::read_dir(entry.unwrap().path().join("entries")).unwrap() {
            let path = file.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        }
    }
    bench.pop(0, "run a.yaml");
    assert!(bench.pop(0, "explain last a").stdout.contains("miss: the entry is damaged"));
}

#[test]
fn r8_log_detail_applies_to_one_operation() {
    let agenda = json!({"operations": [
        {"name": "loud", "type": "exec", "params": {"logDetail": "always"},
         "payload": {"command": ["sh", "-c", "printf $LOG_LEVEL"], "capture": "text"}},
        {"name": "quiet", "type": "exec", "payload": {"command": ["sh", "-c", "printf $LOG_LEVEL"], "capture": "text"}}]});
    let bench = Bench::with_agenda(&agenda.to_string());
    bench.call("run a.yaml").variable("LOG_LEVEL", "ERROR").ends(0);
    let level = |name: &str| bench.operation(name)["result"]["stdout"].clone();
    assert_eq!((level("loud"), level("quiet")), (json!("DEBUG"), json!("ERROR")));
}

/// Items, a generator, a clean-up and a lock; each operation notes that it ran, and some end only when they may.
const TREE: &str = r#"
operations:
  - {name: list, type: exec, payload: {command: [echo, "[1,2,3,4]"], capture: json}}
  - name: each
    type: exec
    params: {forEach: "@<list.out::/stdout>", maxParallel: 2, lock: SAFE, lockKey: "k@<pop.item>"}
    payload: {command: [sh, -c, "echo each$0 >> ran; test -e free || test $0 -lt 2 || exec sleep 1000", "@<pop.item>"]}
  - name: gen
    type: updateAgenda
    params: {dependsOn: each, agenda.operation.generator: {operationsJsonPointer: /operations}}
    payload:
      operations:
        - {name: made, type: exec, payload: {command: [sh, -c, "echo made >> ran"]}}
        - {name: made2, type: exec, params: {dependsOn: made}, payload: {command: [sh, -c, "echo made2 >> ran; test -e free2 || exec sleep 1000"]}}
  - {name: last, type: exec, params: {finally: true}, payload: {command: [sh, -c, "echo last >> ran"]}}
"#;

#[test]
fn f1_generated_operations_survive_their_executor() {
    let bench = Bench::with_agenda(TREE);
    let running = bench.call("run a.yaml -j 2").spawn();
    // the first item is through, the second and third are out
    bench.wait_for("ran", 3);
    running.crash();
    bench.write("free", "");
    let running = bench.call("resume last").spawn();
    // items two, three once more, four, and both that were generated
    bench.wait_for("ran", 8);
    running.crash();
    bench.write("free2", "");
    let said = bench.pop(0, "resume last").stderr;
    assert!(said.contains("lost      made2"), "{said}");
    let ran = bench.sorted_lines("ran");
    assert_eq!(
        ran,
        ["each1", "each2", "each2", "each3", "each3", "each4", "last", "made", "made2", "made2"],
        "{said}"
    );
    assert_eq!(bench.operation("each")["result"].as_array().unwrap().len(), 4);
    assert_eq!(bench.shown()["operations"].as_array().unwrap().len(), 10);
    bench.pop(0, "resume last");
    assert_eq!(bench.sorted_lines("ran").len(), 10);
}

#[test]
fn finally_runs_after_the_first_ctrl_c_only() {
    for (signals, wanted) in [(1, "hold\nbye\n"), (2, "hold\n")] {
        let bench = Bench::with_agenda(
            "operations:\n  - {name: hold, type: exec, payload: {command: [sh, -c, \"trap 'test -e stubborn || exit 1' TERM; echo hold >> ran; while :; do sleep 0.05; done\"]}}\n  \
             - {name: next, type: exec, params: {dependsOn: hold}, payload: {command: [sh, -c, 'echo next >> ran']}}\n  \
             - {name: clean, type: exec, params: {finally: true}, payload: {command: [sh, -c, 'echo bye >> ran']}}\n",
        );
        if signals == 2 {
            bench.write("stubborn", "");
        }
        let mut running = bench.call("run a.yaml").spawn();
        bench.wait_for("ran", 1);
        running.signal(rustix::process::Signal::INT);
        if signals == 2 {
            running.says("stop      hold");
            running.signal(rustix::process::Signal::INT);
        }
        running.ends(130);
        assert_eq!(bench.read("ran"), wanted);
    }
}

#[test]
fn r2_lost_dead_letter_is_rewritten_but_not_a_dropped_one() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, params: {onFail: DLQ}, payload: {command: ['false']}}\n",
    );
    bench.pop(11, "run a.yaml");
    let letter = bench.run_folder().join("dead-letters/a.json");
    fs::remove_file(&letter).unwrap();
    bench.pop(11, "resume last");
    assert!(letter.exists());
    bench.pop(0, "dlq drop last a");
    bench.pop(11, "resume last");
    assert!(!letter.exists());
}

#[test]
fn f45_secret_of_a_generated_handler_reaches_only_it() {
    let bench = Bench::with_agenda(
        r#"
operations:
  - name: gen
    type: updateAgenda
    params: {agenda.operation.generator: {operationsJsonPointer: /operations}}
    payload: {operations: [{name: knows, type: told, payload: {}}]}
  - {name: other, type: exec, payload: {command: [sh, -c, 'printf "%s" "${A_SECRET:-nothing}"'], capture: text}}
"#,
    );
    bench.write("registry.yaml", "told: {command: [./told.sh], secrets: {A_SECRET: {fromEnv: A_SECRET}}}\n");
    bench.program(
        "told.sh",
        "#!/bin/sh\necho \"it is $A_SECRET\"\necho \"pop.report.payload {\\\"length\\\": ${#A_SECRET}}\"\n",
    );
    bench.call("run a.yaml").variable("A_SECRET", "hunter2-hunter2").ends(0);
    assert_eq!(bench.operation("knows")["result"], json!({"length": 15}));
    assert_eq!(bench.operation("other")["result"]["stdout"], "nothing");
    assert!(!bench.pop(0, "logs last knows").stdout.contains("hunter2"));
}

#[test]
fn fr_a5_lock_held_by_the_calling_operation_is_a_deadlock() {
    let operation = |command: Value| {
        json!({"operations": [{"name": "a", "type": "exec", "params": {"lock": "SAFE", "lockKey": "db"},
            "payload": {"command": command}}]})
        .to_string()
    };
    let pop = env!("CARGO_BIN_EXE_pop");
    let bench = Bench::with_agenda(&operation(json!(["sh", "-c", format!("{pop} run inner.yaml; exit $?")])));
    bench.write("inner.yaml", operation(json!(["true"])));
    bench.pop(10, "run a.yaml --run-id outer");
    let failure = bench.pop(0, "logs outer a").stdout;
    assert!(failure.contains("[deadlock] operation `a` of run outer holds the lock `db`"), "{failure}");
}

#[test]
fn fr_d1_changed_file_argument_or_folder_is_a_cache_miss() {
    let bench = Bench::new();
    let command = |argv: &Value| {
        json!({"operations": [{"name": "a", "type": "exec", "params": {"useCache": true, "cacheKeyPattern": "'same'"},
            "payload": {"command": argv, "capture": "text"}}]})
        .to_string()
    };
    let run = |folder: &str, wanted: &str| {
        let moved = format!("cd {folder}");
        let ended = bench.call("run a.yaml --host-folder ../host --runs runs").after(&moved).ends(0);
        let shown = bench.call("show last a --output json --runs runs").after(&moved).ends(0).json();
        assert_eq!(shown["outcome"], wanted, "{folder}: {}", ended.stderr);
        shown["result"]["stdout"].as_str().unwrap().trim().to_owned()
    };
    for folder in ["one", "two"] {
        fs::create_dir(bench.path(folder)).unwrap();
        bench.write(&format!("{folder}/a.yaml"), command(&json!(["sh", "calc.sh"])));
        bench.write(&format!("{folder}/calc.sh"), "cat value");
        bench.write(&format!("{folder}/value"), folder);
    }
    assert_eq!(run("one", "succeeded"), "one");
    assert_eq!(run("one", "fromCache"), "one");
    assert_eq!(run("two", "succeeded"), "two", "the same command in another folder");
    bench.write("one/calc.sh", "echo changed");
    assert_eq!(run("one", "succeeded"), "changed");
    bench.write("one/a.yaml", command(&json!(["sh", "-c", "cat ${0#--from=}", "--from=value"])));
    assert_eq!(run("one", "succeeded"), "one");
    assert_eq!(run("one", "fromCache"), "one");
    bench.write("one/value", "other");
    assert_eq!(run("one", "succeeded"), "other", "a file named by an option");
    bench.write("one/a.yaml", command(&json!(["sh", "-c", "echo arguments"])));
    assert_eq!(run("one", "succeeded"), "arguments", "the key pattern does not hide the command");
}

/// Another process that holds the one short lock of a kind and is stopped, as an executor under SIGSTOP would be.
fn stopped_holder(bench: &Bench, kind: &str) -> std::process::Child {
    let folder = bench.path(".pop/runs/.host").join(kind);
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let lock = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "lock")).unwrap();
    let mut command = std::process::Command::new("flock");
    // the shell does not inherit the lock, and ends with its standard input
    command.arg("-o").arg(lock).args(["sh", "-c", "echo held; read word"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut word = [0; 5];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut word).unwrap();
    let holder = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(holder, rustix::process::Signal::STOP).unwrap();
    child
}

#[test]
fn stopped_run_delays_only_sharers_of_its_delay_or_version() {
    let bench = Bench::with_agenda(
        r#"{"operations": [
            {"name": "spaced", "type": "exec", "params": {"delayMs": 1, "delayId": "api"}, "payload": {"command": ["true"]}},
            {"name": "counted", "type": "exec", "params": {"lock": "OPTIMISTIC", "lockKey": "k"}, "payload": {"command": ["true"]}},
            {"name": "free", "type": "exec", "params": {"dependsOn": ["plain"]}, "payload": {"command": ["true"]}},
            {"name": "plain", "type": "exec", "payload": {"command": ["true"]}}]}"#,
    );
    bench.pop(0, "run a.yaml");
    for (kind, words) in
        [("delays", "wait      spaced: for process "), ("versions", "the run waits for process ")]
    {
        let mut holder = stopped_holder(&bench, kind);
        let mut running = bench.call("run a.yaml -j 3 --grace 1").spawn();
        running.says(&format!("{words}{} (stopped)", holder.id()));
        running.signal(rustix::process::Signal::INT);
        let ended = running.end();
        assert_eq!(ended.code, 130, "{}", ended.stderr);
        rustix::process::kill_process(
            rustix::process::Pid::from_child(&holder),
            rustix::process::Signal::KILL,
        )
        .unwrap();
        holder.wait().unwrap();
        assert_eq!(bench.operation("plain")["outcome"], "succeeded");
        bench.pop(0, "resume last");
    }
}
