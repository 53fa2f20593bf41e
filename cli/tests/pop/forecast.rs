//! `pop plan --cached`, `pop cache size` and `pop cache prune`.

use crate::bench::Bench;
use crate::declared_files::{pipeline, prospects, ran};
use serde_json::{Value, json};
use std::fs;

#[test]
fn fr_d2_plan_tells_what_would_run_and_why_and_starts_nothing() {
    let bench = pipeline(&json!({"useCache": true}));
    // everything is cached, the list too, and at most two instances run at once
    let agenda = bench
        .read("a.yaml")
        .replace(r#""name":"list","#, r#""name":"list","params":{"useCache":true,"reads":"in/*"},"#);
    assert!(agenda.contains("\"reads\":\"in/*\""), "{agenda}");
    let agenda = agenda.replace(r#""forEach":"#, r#""maxParallel":2,"forEach":"#);
    bench.write("a.yaml", &agenda);
    assert_eq!(
        prospects(&bench, &["list", "upper", "all"]),
        [
            "list: run never run: the cache has no result",
            "upper: depends on `list`",
            "all: depends on `upper`"
        ]
    );
    bench.pop(0, "run a.yaml");
    ran(&bench);
    assert_eq!(
        prospects(&bench, &["list", "upper", "all", "upper#3"]),
        ["list: cached result", "upper: cached ", "all: cached result", "upper#3: cached result"]
    );
    bench.write("in/03.txt", "changed");
    fs::remove_file(bench.path("out/05.txt")).unwrap();
    bench.write("out/06.txt", "damage");
    // the list has the same result, but that is not known before it runs
    assert_eq!(
        prospects(&bench, &["list", "upper"]),
        ["list: run the key has changed: input `in/03.txt`", "upper: depends on `list`"]
    );
    bench.write("a.yaml", agenda.replace(r#","reads":"in/*""#, ""));
    bench.pop(0, "run a.yaml");
    ran(&bench);
    bench.write("in/03.txt", "changed again");
    fs::remove_file(bench.path("out/05.txt")).unwrap();
    bench.write("out/06.txt", "damage");
    let runs = fs::read_dir(bench.path(".pop/runs")).unwrap().count();
    assert_eq!(
        prospects(&bench, &["list", "upper", "all", "upper#3", "upper#4", "upper#5", "upper#6"]),
        [
            "list: cached result",
            "upper: run 3",
            "all: depends on `upper`",
            "upper#3: run the key has changed: input `in/03.txt`",
            "upper#4: cached result",
            "upper#5: run output `out/05.txt` is missing",
            "upper#6: run output `out/06.txt` has changed"
        ]
    );
    let said = bench.pop(0, "plan a.yaml --cached").stdout;
    assert!(said.ends_with("18 up to date, 3 to run, 23 operations\n"), "{said}");
    assert_eq!((ran(&bench).len(), fs::read_dir(bench.path(".pop/runs")).unwrap().count()), (0, runs));
    assert!(!bench.has("out/05.txt"));
    let said = bench.pop(2, "plan a.yaml --cached --output dot").stderr;
    assert!(said.contains("use `--output text` or `--output json`"), "{said}");
}

#[test]
fn fr_d2_plan_knows_uncached_failing_and_changed_operations() {
    let exec = |name: &str, params: Value, command: &str| json!({"name": name, "type": "exec", "params": params, "payload": {"shell": command}});
    let agenda = |payload: &str| {
        json!({"operations": [
            exec("plain", json!({}), "true"),
            exec("source", json!({"useCache": true, "reads": "none.txt"}), "true"),
            exec("known", json!({"useCache": true}), payload),
            exec("twin", json!({"useCache": true}), payload),
            exec("off", json!({"when": "`false`"}), "true"),
        ]})
        .to_string()
    };
    let bench = Bench::with_agenda(&agenda("true"));
    bench.pop(10, "run a.yaml -k");
    bench.write("a.yaml", agenda("echo"));
    let all = ["plain", "source", "known", "twin", "off"];
    assert_eq!(
        prospects(&bench, &all),
        [
            "plain: run its result is not cached (`useCache`)".to_owned(),
            format!(
                "source: fails [missing-input] no file matches `none.txt` in `{}`",
                bench.path(".").parent().unwrap().join(bench.path(".").file_name().unwrap()).display()
            )
            .replace("/./", "/"),
            "known: run the key has changed: program, payload /shell".to_owned(),
            "twin: depends on `known`".to_owned(),
            "off: skipped ".to_owned(),
        ]
    );
}

#[test]
fn fr_d2_cache_commands_count_and_delete_stored_files() {
    let bench = pipeline(&json!({"useCache": true, "cacheFiles": true}));
    bench.pop(0, "run a.yaml");
    let size = bench.pop(0, "cache size --output json").json();
    assert_eq!((&size["results"]["count"], &size["files"]["count"]), (&json!(21), &json!(21)));
    let said = bench.pop(0, "cache size").stdout;
    assert!(said.contains("files    21"), "{said}");
    let listed = bench.pop(0, "cache list --output json").json();
    assert_eq!(listed[0]["files"].as_array().unwrap().len(), 1);
    assert_eq!(bench.pop(0, "cache prune --older-than 1d").stderr, "0 stored files deleted (0 bytes)\n");
    let said = bench.pop(0, "cache prune --size 155").stderr;
    assert_eq!(said, "20 stored files deleted (150 bytes)\n");
    // a result whose files cannot be put back does not count
    ran(&bench);
    fs::remove_dir_all(bench.path("out")).unwrap();
    bench.pop(0, "run a.yaml");
    assert_eq!(ran(&bench).len(), 20);
    assert!(bench.pop(0, "cache clear").stderr.ends_with(" stored files deleted\n"));
    // the limit of a run deletes the files that were not used for the longest time
    let bench = pipeline(&json!({"useCache": true, "cacheFiles": true}));
    bench.pop(0, "run a.yaml --file-cache-size 100");
    let size = bench.pop(0, "cache size --output json").json();
    assert!(size["files"]["bytes"].as_u64().unwrap() <= 100, "{size}");
    let said = bench.pop(0, "run a.yaml --file-cache-size 3").stderr;
    assert!(!said.contains("are not stored"), "nothing ran: {said}");
}
