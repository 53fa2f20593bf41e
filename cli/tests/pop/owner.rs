//! A run has one executor: others are refused while it lives, even stopped. Its inputs are frozen.

use crate::bench::Bench;
use rustix::process::Signal;
use serde_json::json;

/// An agenda whose first operation waits for `fifo`, and a registry with the handler of the second.
fn waiting() -> Bench {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, payload: {command: [sh, -c, 'echo >> here; read line < fifo']}}\n  \
         - {name: b, type: probe, params: {dependsOn: a}}\n",
    );
    bench.write("registry.yaml", "probe: {command: [sh, -c, 'echo \"pop.report.payload {\\\"colour\\\":\\\"$COLOUR\\\"}\"'], envVars: {COLOUR: red}}\n");
    bench.fifo("fifo");
    bench
}

#[test]
fn f4_f5_stopped_executor_keeps_its_run_and_continues() {
    let bench = waiting();
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    running.stop();
    let ended = bench.pop(15, "resume last");
    let pid = running.pid();
    let owner = format!(
        "is being executed by process {pid}, which is stopped (continue it with `kill -CONT {pid}`)\n"
    );
    assert!(ended.stderr.contains(&owner), "{}", ended.stderr);
    assert!(bench.pop(0, "runs").stdout.contains("running"));
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    running.signal(Signal::CONT);
    assert_eq!(running.end().code, 0);
    assert_eq!((bench.read("here").as_str(), &bench.shown()["outcome"]), ("\n", &json!("succeeded")));
}

#[test]
fn f88_the_lock_of_another_boot_is_free() {
    let bench = waiting();
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    let lock = bench.run_folder().join("lock");
    let text = std::fs::read_to_string(&lock).unwrap();
    running.crash();
    // a process of the same number that began at the same time, in another boot
    let own = std::fs::read_to_string("/proc/self/stat").unwrap();
    let start = own[own.rfind(')').unwrap()..].split(' ').nth(20).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let own = format!("{} {start}", std::process::id());
    for (line, word) in [
        (format!("{own} {} {}\n", words[2], words[3]), "running"),
        (format!("{own} 00000000-0000-0000-0000-000000000000 {}\n", words[3]), "stopped"),
    ] {
        std::fs::write(&lock, line).unwrap();
        // only a process that has the lock open can be the executor
        let _open = std::fs::File::open(&lock).unwrap();
        assert!(bench.pop(0, "runs").stdout.contains(word), "{word}");
    }
    let resumed = bench.call("resume last").spawn();
    bench.wait_for("here", 2);
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    assert_eq!(resumed.end().code, 0);
}

#[test]
fn f13_f14_changed_agenda_and_registry_do_not_affect_a_run() {
    let bench = waiting();
    let spoil = || {
        std::fs::remove_file(bench.path("a.yaml")).unwrap();
        bench.write("registry.yaml", "probe: {command: ['false'], envVars: {COLOUR: blue}}\n");
    };
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    spoil();
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    assert_eq!(running.end().code, 0);
    assert_eq!(bench.operation("b")["result"], json!({"colour": "red"}));

    // the same with a crash in between
    let bench = waiting();
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    running.crash();
    std::fs::remove_file(bench.path("a.yaml")).unwrap();
    std::fs::remove_file(bench.path("registry.yaml")).unwrap();
    let resumed = bench.call("resume last").spawn();
    bench.wait_for("here", 2);
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    assert_eq!(resumed.end().code, 0);
    assert_eq!(bench.operation("b")["result"], json!({"colour": "red"}));
}

#[test]
fn fr_h10_a_run_whose_journal_has_lost_its_name_ends_with_15() {
    for script in ["rm -rf .pop", "mv .pop/runs/*/journal moved"] {
        let agenda = json!({"operations": [
            {"name": "a", "type": "exec", "payload": {"command": ["sh", "-c", script]}},
        ]});
        let bench = Bench::with_agenda(&agenda.to_string());
        let ended = bench.pop(15, "run a.yaml");
        assert!(ended.stderr.contains("it was removed or moved"), "{script}: {}", ended.stderr);
    }
}

#[test]
fn fr_h10_a_run_without_its_lock_file_has_one_executor() {
    let bench = waiting();
    let running = bench.call("run a.yaml").spawn();
    bench.wait_for("here", 1);
    let lock = bench.run_folder().join("lock");
    std::fs::remove_file(&lock).unwrap();
    let ended = bench.pop(15, "resume last");
    let owner = "is being executed by another process, whose lock file was removed\n";
    assert!(ended.stderr.contains(owner), "{}", ended.stderr);
    std::fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink("/nowhere/lock", &lock).unwrap();
    let ended = bench.pop(15, "resume last");
    assert!(ended.stderr.contains("it is a link, not a regular file"), "{}", ended.stderr);
    std::fs::write(bench.path("fifo"), "go\n").unwrap();
    assert_eq!(running.end().code, 0);
    assert_eq!(bench.read("here"), "\n");
}
