//! `pop verify`: equality, differences and their places, and cleanup.

use crate::bench::{Bench, Ended};
use crate::docker::{engine, shell};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::fs::{self, File};

fn agenda(operations: &Value) -> Bench {
    let bench = Bench::new();
    bench.write("a.json", json!({ "operations": operations }).to_string());
    bench
}

/// A verification whose second launcher is unavailable, so that its output is about the first.
fn under_local_alone(bench: &Bench, arguments: &str) -> Ended {
    bench
        .call(&format!("verify {arguments} --on local,docker"))
        .variable("DOCKER_HOST", "unix:///none")
        .ends(14)
}

#[test]
fn equal_runs_leave_nothing_behind() {
    engine();
    let bench = agenda(&json!([
        shell("makes", "mkdir d; cat in > d/made; echo '#!' > tool; chmod 755 tool; rm old; echo same > kept; ln -s \"$PWD/d\" link"),
        {"name": "where", "type": "exec", "payload": {"command": ["sh", "-c", "echo \"[\\\"$PWD/in\\\", 1.50]\""], "image": "pop-tools:0.1.0", "capture": "json"}},
        shell("fails", "exit 7"),
    ]));
    bench.write("in", "text\n");
    bench.write("old", "");
    bench.write("kept", "same\n");
    let ended = bench.pop(0, "verify a.json -k --on local,docker");
    insta::assert_snapshot!(ended.stdout, @r"
    WHAT       NAME    local                 docker                VERDICT
    run        a.json  failed (10)           failed (10)           equal
    operation  makes   succeeded c58368b3    succeeded c58368b3    equal
    operation  where   succeeded d4f192b7    succeeded d4f192b7    equal
    operation  fails   failed [exit] code 7  failed [exit] code 7  equal
    file       d/made  5 bytes 42173aaf      5 bytes 42173aaf      equal
    file       link    -> ./d                -> ./d                equal
    file       old     missing               missing               equal
    file       tool    3 bytes e0636fd3      3 bytes e0636fd3      equal

    verify: 3 operations and 4 files are equal under local, docker
    ");
    assert!(
        ended.stderr.contains("local: succeeded makes") && ended.stderr.contains("docker: succeeded makes")
    );
    // neither workspaces nor what the operations did
    assert!(!bench.has(".pop") && !bench.has("tool") && bench.has("old"), "{}", ended.stderr);
}

#[test]
fn difference_is_shown_with_place_and_values() {
    engine();
    let line = "echo $POP_LAUNCH_TYPE > who; echo same > same; test $POP_LAUNCH_TYPE = docker || echo x > more; \
        test $POP_LAUNCH_TYPE = local || chmod 755 in; \
        echo \"pop.report.payload {\\\"a\\\": [1, {\\\"b/c\\\": \\\"$POP_LAUNCH_TYPE\\\"}]}\"";
    let bench = agenda(&json!([shell("a", line), shell("b", "test $POP_LAUNCH_TYPE = local")]));
    bench.write("in", "");
    let ended = bench.pop(10, "verify a.json --on local,docker");
    insta::assert_snapshot!(ended.stdout, @r#"
    WHAT       NAME    local               docker                VERDICT
    run        a.json  succeeded (0)       failed (10)           /exitCode: 0 under local, 10 under docker
    operation  a       succeeded f4237b5b  succeeded feb38897    /result/a/1/b~1c: "local" under local, "docker" under docker
    operation  b       succeeded c58368b3  failed [exit] code 1  /failure: null under local, {"code":"exit","exit":{"code":1}} under docker
    file       in      0 bytes af1349b9    0 bytes af1349b9      /executable: false under local, true under docker
    file       more    2 bytes 44c77418    missing               missing under docker
    file       same    5 bytes 8f5f7950    5 bytes 8f5f7950      equal
    file       who     6 bytes b8c8b0cb    7 bytes c36c040f      contents differ

    verify: the run, 2 of 2 operations and 3 of 4 files differ under local, docker
    "#);
    for on in ["local", "docker"] {
        let kept = format!("kept workspace of {on}: ");
        let kept = ended.stderr.lines().find_map(|line| line.strip_prefix(&kept)).unwrap();
        assert_eq!(fs::read_to_string(format!("{kept}/who")).unwrap(), format!("{on}\n"));
    }
    let told = bench
        .pop(10, "verify a.json --on docker,local --output json --outputs same more --policy delayMs=0")
        .json();
    assert_eq!(told["launchers"], json!(["docker", "local"]));
    assert_eq!(
        told["operations"][0]["difference"],
        json!({"pointer": "/result/a/1/b~1c", "values": {"local": "local", "docker": "docker"}})
    );
    assert_eq!(
        (&told["run"]["under"]["docker"], &told["equal"]),
        (&json!({"outcome": "failed", "exitCode": 10}), &json!(false))
    );
    let files: Vec<_> =
        told["files"].as_array().unwrap().iter().map(|file| (&file["name"], &file["equal"])).collect();
    assert_eq!(files, [(&json!("more"), &json!(false)), (&json!("same"), &json!(true))]);
    assert_eq!(told["files"][0]["under"]["docker"], Value::Null);
}

#[test]
fn run_that_cannot_start_ends_verify_with_its_code() {
    let bench = agenda(&json!([shell("a", "true")]));
    let ended = under_local_alone(&bench, "a.json");
    assert!(ended.stderr.contains("docker: hint: start the Docker Engine"), "{}", ended.stderr);
    assert!(ended.stdout.is_empty() && !bench.has(".pop"));
    let ended = bench.pop(3, "verify none.json --on local,docker");
    assert!(ended.stderr.contains("local: error[unreadable]: cannot read the agenda"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("docker:"), "{}", ended.stderr);
}

#[test]
fn workspace_copies_links_modes_and_times() {
    let line = "test -x tool && test ! -x in && test -L link && test ! -e big && test ! -e .pop/mark && test in -ot tool \
        && test \"$(cat d/in)\" = text && echo all there";
    let bench = agenda(&json!([shell("a", line), {"name": "b", "type": "say"}]));
    let registry =
        json!({"basePodConfig": {}, "say": {"command": ["say"], "podConfig": {"imageName": "none"}}});
    bench.write("r/registry.json", registry.to_string());
    // a program beside a registry is found, wherever runs are
    bench.program("r/say", "#!/bin/sh\n");
    bench.program("tool", "");
    bench.write("in", "");
    bench.write("d/in", "text");
    bench.write(".pop/mark", "");
    File::open(bench.path("in")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    std::os::unix::fs::symlink("none", bench.path("link")).unwrap();
    File::create(bench.path("big")).unwrap().set_len(3 << 30).unwrap();
    let ended = bench.pop(2, "verify a.json --registry r/registry.json --on local,docker");
    assert_eq!(
        ended.stderr,
        "error: the current folder has 3072 MiB; at most 2048 MiB are copied for each launcher\n\
         hint: leave files out with `--without PATH`, for example build output\n"
    );
    let ended = under_local_alone(&bench, "a.json --registry r/registry.json --without ./big");
    assert!(ended.stderr.contains("local: succeeded a"), "{}", ended.stderr);
    assert!(ended.stderr.contains("local: succeeded b"), "{}", ended.stderr);
}

#[test]
fn agenda_on_stdin_reaches_every_run() {
    let text = json!({"operations": [shell("a", "true")]}).to_string();
    let bench = Bench::new();
    let call = bench.call("verify - --on local,docker").variable("DOCKER_HOST", "unix:///none").stdin(&text);
    let ended = call.ends(14);
    assert!(ended.stderr.contains("local: succeeded a"), "{}", ended.stderr);
    assert!(ended.stderr.contains("docker: hint: start the Docker Engine"), "{}", ended.stderr);
}

#[test]
fn signal_is_forwarded_and_workspaces_are_removed() {
    let bench = agenda(&json!([shell("a", "exec sleep 1000")]));
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut running = bench.call("verify a.json --on local,docker").spawn();
        running.says("local: start     a");
        running.signal(signal);
        let ended = running.ends(code);
        assert!(
            ended.stderr.contains("1 cancelled") && !ended.stderr.contains("docker:"),
            "{}",
            ended.stderr
        );
        assert!(!bench.has(".pop"));
    }
}

#[test]
fn verify_refuses_arguments_that_compare_nothing() {
    let bench = agenda(&json!([shell("a", "true")]));
    for (arguments, words) in [
        ("--on local", "error: cannot compare a single launcher with itself"),
        ("--on local,docker,local", "error: launcher local is named twice"),
        ("--on local,docker --without none", "error: `--without none`: no such file or folder"),
        ("--on local,docker --outputs ../x", "error: `../x` is not inside the current folder"),
        ("--on local,docker --outputs .", "error: `.` is not inside the current folder"),
    ] {
        let ended = bench.pop(2, &format!("verify a.json {arguments}"));
        assert!(ended.stderr.starts_with(words), "{}", ended.stderr);
    }
    assert!(!bench.has(".pop"));
}
