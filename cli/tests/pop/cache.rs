//! `pop cache` lists and clears results. The entries are written through the executor's own module.

use crate::bench::Bench;
use pop_executor::{CacheOrigin, Host};
use pop_policy::{CacheKey, KeyInput};
use serde_json::{Value, json};
use std::fs;

fn keep(host: &Host, state: &str, operation: &str, payload: &Value) {
    let key = CacheKey::new("transcode", KeyInput::payload(payload));
    let by =
        CacheOrigin { run: "r1".to_owned(), operation: operation.to_owned(), written: 1_700_000_000_000 };
    assert!(host.write(state, &key, &json!({"w": 720}), None, &by).unwrap());
}

#[test]
fn r7_cache_lists_and_clears_results() {
    let bench = Bench::new();
    let ended = bench.pop(0, "cache list");
    assert_eq!(ended.stderr, "no cached results in `.pop/runs/.host`\n");
    assert!(!bench.has(".pop"));
    let host = Host::of_runs(&bench.path(".pop/runs"));
    keep(&host, "films", "thumb 1", &json!(1));
    keep(&host, "films", "probe", &json!(2));
    keep(&host, "../x", "thumb 2", &json!(3));
    let listed = bench.pop(0, "cache list --output json").json();
    let mut names: Vec<_> = listed.as_array().unwrap().iter().map(|kept| &kept["operation"]).collect();
    names.sort_unstable_by_key(|name| name.as_str());
    assert_eq!(names, ["probe", "thumb 1", "thumb 2"]);
    let ended = bench.pop(0, "cache list ../x");
    let bytes = host.kept(Some("../x")).unwrap()[0].bytes;
    assert_eq!(ended.stdout, format!("../x  thumb 2  transcode  2023-11-14 22:13:20 by r1  {bytes} bytes\n"));
    assert_eq!(bench.pop(0, "cache clear films --operation thumb").stderr, "1 cached result deleted\n");
    assert_eq!(host.kept(None).unwrap().len(), 2);
    fs::write(&host.kept(Some("films")).unwrap()[0].file, "").unwrap();
    assert_eq!(bench.pop(0, "cache list films").stdout, "unreadable        0 bytes\n");
    assert_eq!(bench.pop(0, "cache clear").stderr, "2 cached results deleted\n");
    assert_eq!(host.kept(None).unwrap(), []);

    let elsewhere = Host::new(bench.path("shared"));
    keep(&elsewhere, "films", "probe", &json!(1));
    assert_eq!(bench.pop(0, "cache clear --host-folder shared").stderr, "1 cached result deleted\n");
    let named = bench.call("cache list").variable("POP_HOST_FOLDER", "shared").ends(0);
    assert_eq!(named.stderr, "no cached results in `shared`\n");
}
