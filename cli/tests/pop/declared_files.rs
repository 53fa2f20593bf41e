//! Files that operations declare: verified, recorded, and up to date by content.

use crate::bench::Bench;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::time::{Duration, SystemTime};

/// Twenty inputs `in/N.txt`, an operation for each that writes `out/N.txt`, and one that joins them. Each notes that it ran.
pub(crate) fn pipeline(params: &Value) -> Bench {
    let mut upper = json!({
        "forEach": "@<list.out::/stdout>", "reads": "in/@<pop.item>", "writes": "out/@<pop.item>",
    });
    let mut all = json!({
        "dependsOn": "upper", "reads": ["out/*.txt"], "writes": ["all.txt"],
    });
    for (key, value) in params.as_object().unwrap() {
        upper[key] = value.clone();
        all[key] = value.clone();
    }
    let script = "echo $FILE >> ran; mkdir -p out; tr a-z A-Z < \"in/$FILE\" > \"out/$FILE\"";
    let agenda = json!({"operations": [
        {"name": "list", "type": "exec", "payload": {"command": ["ls", "in"], "capture": "lines"}},
        {"name": "upper", "type": "exec", "params": upper, "payload": {"shell": script, "env": {"FILE": "@<pop.item>"}}},
        {"name": "all", "type": "exec", "params": all, "payload": {"shell": "echo all >> ran; cat out/*.txt > all.txt"}},
    ]});
    let bench = Bench::with_agenda(&agenda.to_string());
    for index in 0..20 {
        bench.write(&format!("in/{index:02}.txt"), format!("file {index}\n"));
    }
    bench
}

/// What has run since the last call, in order of names.
pub(crate) fn ran(bench: &Bench) -> Vec<String> {
    let path = bench.path("ran");
    let text = fs::read_to_string(&path).unwrap_or_default();
    fs::remove_file(path).ok();
    let mut names: Vec<String> = text.lines().map(str::to_owned).collect();
    names.sort_unstable();
    names
}

fn age(bench: &Bench, file: &str, seconds: u64) {
    let file = File::options().append(true).open(bench.path(file)).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).unwrap();
}

#[test]
fn fr_d2_only_what_changed_by_content_runs_again() {
    let bench = pipeline(&json!({"useCache": true}));
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench).len(), 21);
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), [""; 0]);
    // a new time is no change
    age(&bench, "in/03.txt", 60);
    age(&bench, "out/04.txt", 60);
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), [""; 0]);
    assert_eq!(bench.operation("upper#3")["outcome"], "fromCache");

    bench.write("in/03.txt", "changed\n");
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), ["03.txt", "all"]);
    assert!(bench.read("all.txt").contains("CHANGED\n"));
    let said = bench.pop(0, "explain last upper#3").stdout;
    assert!(said.contains("miss: the key has changed: input `in/03.txt`"), "{said}");

    // the content of before is known by its key, but the output has another
    bench.write("in/03.txt", "file 3\n");
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), ["03.txt", "all"]);
    let said = bench.pop(0, "explain last upper#3").stdout;
    assert!(said.contains("miss: output `out/03.txt` has changed"), "{said}");
}

#[test]
fn fr_d2_missing_or_changed_output_is_made_again() {
    let bench = pipeline(&json!({"useCache": true}));
    bench.pop(0, "run a.yaml");
    ran(&bench);
    fs::remove_file(bench.path("out/07.txt")).unwrap();
    bench.write("all.txt", "damage");
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), ["07.txt", "all"]);
    assert_eq!(bench.read("all.txt").lines().count(), 20);
    assert_eq!(bench.operation("upper#7")["outcome"], "succeeded");
    let said = bench.pop(0, "explain last upper#7").stdout;
    assert!(said.contains("miss: output `out/07.txt` is missing"), "{said}");
}

#[test]
fn fr_d2_cached_files_are_put_back_instead() {
    let bench = pipeline(&json!({"useCache": true, "cacheFiles": true}));
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench).len(), 21);
    let all = bench.read("all.txt");
    fs::remove_dir_all(bench.path("out")).unwrap();
    bench.write("all.txt", "damage");
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), [""; 0]);
    assert_eq!(bench.read("all.txt"), all);
    assert_eq!(bench.read("out/19.txt"), "FILE 19\n");
    let said = bench.pop(0, "explain last upper#7").stdout;
    assert!(said.contains(", 1 file put back"), "{said}");

    // a content of before comes back without a run
    bench.write("in/03.txt", "other\n");
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), ["03.txt", "all"]);
    bench.write("in/03.txt", "file 3\n");
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), [""; 0]);
    assert_eq!((bench.read("out/03.txt"), bench.read("all.txt")), ("FILE 3\n".to_owned(), all));
}

#[test]
fn fr_d2_deleted_output_of_an_operation_without_inputs_is_made_again() {
    let agenda = json!({"operations": [
        {"name": "a", "type": "exec", "params": {"useCache": true, "writes": "out.txt"},
         "payload": {"shell": "echo x > out.txt; echo a >> ran"}},
        {"name": "b", "type": "exec", "params": {"dependsOn": "a", "reads": "out.txt"}, "payload": {"command": ["cat", "out.txt"]}},
    ]});
    let bench = Bench::with_agenda(&agenda.to_string());
    bench.pop(0, "run a.yaml");
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), ["a"]);
    fs::remove_file(bench.path("out.txt")).unwrap();
    assert_eq!(prospects(&bench, &["a"]), ["a: run output `out.txt` is missing"]);
    bench.pop(0, "run a.yaml");
    assert_eq!((ran(&bench), bench.read("out.txt")), (vec!["a".to_owned()], "x\n".to_owned()));
}

#[test]
fn fr_d2_result_of_inputs_that_changed_meanwhile_is_not_cached() {
    let params = json!({"useCache": true, "reads": "in.txt", "writes": "out.txt"});
    let script = "cat in.txt > out.txt; echo other > in.txt";
    let agenda = json!({"operations": [{"name": "a", "type": "exec", "params": params, "payload": {"shell": script}}]});
    let bench = Bench::with_agenda(&agenda.to_string());
    bench.write("in.txt", "one\n");
    let said = bench.pop(0, "run a.yaml").stderr;
    assert!(said.contains("is not cached: input `in.txt` has changed while it ran"), "{said}");
    bench.write("in.txt", "one\n");
    bench.write("out.txt", "one\n");
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.operation("a")["outcome"], "succeeded");
    // the content of before is no proof that the program has read it
    bench.write("a.yaml", agenda.to_string().replace("echo other > in.txt", "echo one > in.txt"));
    bench.write("in.txt", "one\n");
    let said = bench.pop(0, "run a.yaml").stderr;
    assert!(said.contains("is not cached: input `in.txt` was written while it ran"), "{said}");
}

#[test]
fn fr_d2_missing_output_fails_the_attempt_and_policies_apply() {
    let agenda = |params: Value| {
        let script = "echo x >> tries; test $(wc -l < tries) -lt 3 || echo done > out.txt";
        let params = [("writes", json!("out.txt"))]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .chain(params.as_object().unwrap().clone())
            .collect::<serde_json::Map<_, _>>();
        json!({"operations": [{"name": "a", "type": "exec", "params": params, "payload": {"shell": script}}]})
            .to_string()
    };
    let bench = Bench::with_agenda(&agenda(json!({})));
    let said = bench.pop(10, "run a.yaml").stderr;
    let folder = fs::canonicalize(bench.path(".")).unwrap();
    let wanted = format!("[missing-output] no file matches `out.txt` in `{}`", folder.display());
    assert!(said.contains(&wanted), "{said}");
    bench.write("b.yaml", agenda(json!({"retry": {"maxAttempts": 2, "on": ["missing-output"]}})));
    bench.pop(0, "run b.yaml");
    let shown = bench.operation("a");
    assert_eq!((&shown["attempts"], &shown["files"]["written"][0]["size"]), (&json!(2), &json!(5)));
    let said = bench.pop(0, "show last a").stdout;
    assert!(said.contains("  wrote     out.txt (5 bytes, blake3 "), "{said}");
    bench.write("c.yaml", agenda(json!({"ignoreErrors": "missing-output"})));
    fs::remove_file(bench.path("out.txt")).unwrap();
    fs::remove_file(bench.path("tries")).unwrap();
    bench.pop(0, "run c.yaml");
}

#[test]
fn fr_d2_missing_input_fails_before_the_start() {
    let agenda = json!({"operations": [
        {"name": "a", "type": "exec", "params": {"reads": ["in/*.csv"]}, "payload": {"shell": "echo x > ran"}},
    ]});
    let bench = Bench::with_agenda(&agenda.to_string());
    let said = bench.pop(10, "run a.yaml").stderr;
    assert!(said.contains("[missing-input] no file matches `in/*.csv` in `"), "{said}");
    assert!(!bench.path("ran").exists());
}

#[test]
fn fr_d2_item_with_wildcards_in_its_name_is_that_file() {
    let agenda = json!({"operations": [{
        "name": "a", "type": "exec",
        "params": {"forEach": ["clip [1].txt", "*.txt"], "reads": "@<pop.item>", "writes": "out/@<pop.item>"},
        "payload": {"shell": "mkdir -p out; cp \"$FILE\" \"out/$FILE\"", "env": {"FILE": "@<pop.item>"}},
    }]});
    let bench = Bench::with_agenda(&agenda.to_string());
    bench.write("clip [1].txt", "1");
    bench.write("clip 1.txt", "other");
    bench.write("*.txt", "star");
    bench.pop(0, "run a.yaml");
    let read = |index: u32| bench.operation(&format!("a#{index}"))["files"]["read"].clone();
    assert_eq!((read(0).as_array().unwrap().len(), read(1).as_array().unwrap().len()), (1, 1));
    assert_eq!(read(1)[0]["path"], "*.txt");
}

#[test]
fn fr_d2_file_of_a_result_is_a_reference_and_a_dependency() {
    let agenda = json!({"operations": [
        {"name": "b", "type": "exec", "params": {"reads": "@<a.out::/stdout>"}, "payload": {"shell": "true"}},
        {"name": "a", "type": "exec", "params": {"writes": "made.txt"},
         "payload": {"shell": "echo hi > made.txt; echo made.txt", "capture": "text"}},
    ]});
    let bench = Bench::with_agenda(&agenda.to_string());
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.operation("b")["files"]["read"][0]["path"], "made.txt");
    let said = bench.pop(0, "plan a.yaml").stdout;
    assert!(said.contains("step 2\n  b (exec)\n      reads a\n"), "{said}");
}

#[test]
fn fr_d2_killed_between_success_and_verification_is_verified_by_the_resume() {
    for is_there in [true, false] {
        let agenda = json!({"operations": [{
            "name": "a", "type": "exec", "params": {"writes": "out.txt"},
            "payload": {"shell": "echo x > out.txt; echo x >> ran"},
        }]});
        let bench = Bench::with_agenda(&agenda.to_string());
        bench.pop(0, "run a.yaml --run-id r");
        // the executor died after it had recorded the success
        let journal = bench.path(".pop/runs/r/journal");
        let text = fs::read_to_string(&journal).unwrap();
        let end = text.find("CommitAsked").unwrap();
        let end = end + text[end..].find('\n').unwrap() + 1;
        fs::write(&journal, &text[..end]).unwrap();
        if !is_there {
            fs::remove_file(bench.path("out.txt")).unwrap();
        }
        let ended = bench.pop(if is_there { 0 } else { 10 }, "resume r");
        assert_eq!(ended.stderr.contains("[missing-output]"), !is_there, "{}", ended.stderr);
        assert_eq!(bench.read("ran"), "x\n");
        let written = &bench.operation("a")["files"]["written"];
        assert_eq!(written[0]["path"].as_str(), is_there.then_some("out.txt"));
    }
}

/// Prospect and reason of each operation in `pop plan --cached`, without those whose names are not listed.
pub(crate) fn prospects(bench: &Bench, names: &[&str]) -> Vec<String> {
    let planned = bench.pop(0, "plan a.yaml --cached --output json").json();
    let all = planned["operations"].as_array().unwrap().clone();
    let all = all.iter().filter(|one| names.contains(&one["name"].as_str().unwrap()));
    all.map(|one| {
        let text = |key: &str| one[key].as_str().unwrap().to_owned();
        // a result names its run
        let reason = text("reason").split(" of ").next().unwrap_or_default().to_owned();
        format!("{}: {} {reason}", text("name"), text("prospect"))
    })
    .collect()
}

#[test]
fn fr_d2_check_warns_of_files_that_nobody_or_two_write() {
    let exec = |name: &str, params: Value| json!({"name": name, "type": "exec", "params": params, "payload": {"shell": "true"}});
    let agenda = json!({"operations": [
        exec("a", json!({"writes": ["x.txt", "dir/y.txt"]})),
        exec("b", json!({"writes": "x.txt"})),
        exec("changes", json!({"dependsOn": "a", "reads": "dir/y.txt", "writes": "dir/y.txt"})),
        exec("fallback", json!({"dependsOn": "b.failed", "writes": "z.txt"})),
        exec("c", json!({"reads": ["dir/*.txt", "there.txt", "not-there.txt"]})),
        exec("each", json!({"forEach": [1, 2], "writes": "same.txt"})),
        exec("made", json!({"dependsOn": "each", "reads": "same.txt"})),
    ]});
    let bench = Bench::with_agenda(&agenda.to_string());
    bench.write("there.txt", "");
    let found = bench.pop(0, "check a.yaml --output json").json();
    let mut said: Vec<String> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|fault| format!("{}: {}", fault["code"].as_str().unwrap(), fault["message"].as_str().unwrap()))
        .collect();
    said.sort_unstable();
    assert_eq!(
        said,
        [
            "missing-file: operation `c` reads `not-there.txt`, which does not exist and which no operation writes",
            "no-order: operation `c` reads a file that `a` writes, but does not depend on it",
            "no-order: operation `c` reads a file that `changes` writes, but does not depend on it",
            "shared-file: each instance of operation `each` writes `same.txt`",
            "shared-file: operations `a` and `b` both write `x.txt`",
        ]
    );
}

#[test]
fn fr_d2_check_refuses_files_that_programs_do_not_share() {
    let agenda = |params: Value, payload: Value| {
        json!({"operations": [{"name": "a", "type": "exec", "params": params, "payload": payload}]})
            .to_string()
    };
    let payload = json!({"command": ["true"], "image": "busybox"});
    let bench = Bench::with_agenda(&agenda(json!({"writes": "out.txt"}), payload.clone()));
    bench.pop(0, "check a.yaml");
    bench.pop(0, "check a.yaml --on docker");
    let said = bench.pop(3, "check a.yaml --on kubernetes").stderr;
    assert!(
        said.contains("error[not-launchable]: operation `a` cannot start: it declares files, but its programs do not share a folder with pop under the kubernetes launcher"),
        "{said}"
    );
    bench.write("registry.json", r#"{"basePodConfig": {"workspaceMountPath": "/work"}}"#);
    bench.pop(0, "check a.yaml --on kubernetes");
    for (params, payload) in [
        (json!({"reads": "/etc/passwd"}), payload.clone()),
        (json!({"reads": "../x"}), payload),
        (
            json!({"writes": "x"}),
            json!({"command": ["true"], "image": "busybox", "workingDirectory": "/tmp"}),
        ),
    ] {
        bench.write("a.yaml", agenda(params, payload));
        let said = bench.pop(3, "check a.yaml --on docker").stderr;
        assert!(said.contains("is outside the folder that its programs share with pop"), "{said}");
    }
}

#[test]
fn fr_d2_bad_patterns_are_faults_with_their_place() {
    let agenda = "operations:
  - name: a
    type: exec
    params: {reads: [ok.txt, \"a**\", 7], writes: \"x[\", cacheFiles: true}
    payload: {shell: \"true\"}
";
    let bench = Bench::with_agenda(agenda);
    let said = bench.pop(3, "check a.yaml").stderr;
    for words in [
        "`reads` must be a file or a list of files, not a number",
        "a pattern in `writes` of operation `a` is not a pattern",
    ] {
        assert!(said.contains(words), "{words} in {said}");
    }
}

#[test]
fn fr_d2_replayed_dead_letter_has_the_files_of_its_item() {
    let agenda = json!({"operations": [{
        "name": "a", "type": "exec",
        "params": {"forEach": ["x @<y>.txt"], "writes": "out/@<pop.item>", "onFail": "DLQ"},
        "payload": {"shell": "mkdir -p out; test ! -e again || echo x > \"out/$FILE\"", "env": {"FILE": "@<pop.item>"}},
    }]});
    // the text of an item is no reference
    let agenda = agenda.to_string().replace("x @<y>", "x @<pop.at><y>");
    let bench = Bench::with_agenda(&agenda);
    let said = bench.pop(11, "run a.yaml").stderr;
    assert!(said.contains("[missing-output]"), "{said}");
    bench.pop(11, "dlq replay last a#0");
    bench.write("again", "");
    let first = bench.pop(0, "runs --output json").json()[1]["run"].as_str().unwrap().to_owned();
    bench.pop(0, &format!("dlq replay {first} a#0 --again"));
    assert_eq!(bench.shown()["operations"][0]["files"]["written"][0]["path"], "out/x @<y>.txt");
}

#[test]
fn fr_d2_output_that_is_an_argument_is_a_name_and_not_an_input() {
    let params = json!({"useCache": true, "reads": "in.txt", "writes": "out.txt"});
    for output in ["out.txt", "./out.txt", "--to=out.txt"] {
        let command = json!(["sh", "-c", "echo x >> ran; cp in.txt out.txt", "name", output]);
        let agenda = json!({"operations": [
            {"name": "a", "type": "exec", "params": params, "payload": {"command": command}},
        ]});
        let bench = Bench::with_agenda(&agenda.to_string());
        bench.write("in.txt", "1");
        bench.pop(0, "run a.yaml");
        bench.pop(0, "run a.yaml");
        assert_eq!(ran(&bench), ["x"], "{output}");
    }
}

#[test]
fn fr_d1_result_of_a_script_that_changed_meanwhile_is_not_cached() {
    let agenda = json!({"operations": [
        {"name": "a", "type": "exec", "params": {"useCache": true}, "payload": {"command": ["sh", "calc.sh"]}},
    ]});
    let bench = Bench::with_agenda(&agenda.to_string());
    let script = "echo x >> ran; echo 'echo other' > calc.sh";
    bench.write("calc.sh", script);
    let said = bench.pop(0, "run a.yaml").stderr;
    assert!(said.contains("calc.sh`, its program or an argument, was written while it ran"), "{said}");
    bench.write("calc.sh", script);
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench), ["x", "x"]);
}
