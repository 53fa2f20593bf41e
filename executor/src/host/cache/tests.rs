//! Tests of cached results.

use super::*;
use pop_policy::KeyInput;
use serde_json::json;

fn key(payload: &Value) -> CacheKey {
    CacheKey::new("transcode", KeyInput::payload(payload))
}

fn by(operation: &str, written: Millis) -> CacheOrigin {
    CacheOrigin { run: "r1".to_owned(), operation: operation.to_owned(), written }
}

fn host() -> (tempfile::TempDir, Host) {
    let folder = tempfile::tempdir().unwrap();
    let host = Host::of_runs(folder.path());
    (folder, host)
}

#[test]
fn r7_result_is_found_by_key_and_state_until_it_expires() {
    let (_folder, host) = host();
    let (one, two) = (key(&json!({"in": 1})), key(&json!({"in": 2})));
    let absent = |changed: &[&str]| {
        let has_run = !changed.is_empty();
        CacheAnswer::Miss(Miss::Absent {
            changed: changed.iter().map(|&word| word.to_owned()).collect(),
            has_run,
        })
    };
    assert_eq!(host.look_up("s", &one, "a", 100, None), absent(&[]));
    assert!(host.write("s", &one, &json!({"w": 0.1}), None, &by("a", 100)).unwrap());
    let hit = CacheAnswer::Hit { result: json!({"w": 0.1}), from: by("a", 100), files: None };
    assert_eq!(host.look_up("s", &one, "other", 100, None), hit);
    assert_eq!(host.look_up("s", &one, "a", 149, Some(50)), hit);
    for now in [150, 99] {
        let expired = CacheAnswer::Miss(Miss::Expired { written: 100 });
        assert_eq!(host.look_up("s", &one, "a", now, Some(50)), expired);
    }
    assert_eq!(host.look_up("s", &two, "a", 100, None), absent(&["payload /in"]));
    assert_eq!(host.look_up("s", &two, "b", 100, None), absent(&[]));
    assert_eq!(host.look_up("t", &one, "a", 100, None), absent(&[]));
}

#[test]
fn f81_damaged_entry_is_a_miss_and_is_replaced() {
    let (_folder, host) = host();
    let key = key(&json!({"in": 1}));
    let write = || host.write("s", &key, &json!({"w": [1, 2]}), None, &by("a", 100)).unwrap();
    write();
    let path = host.file(CACHE, "s").join(ENTRIES).join(key.digest());
    let whole = fs::read(&path).unwrap();
    let damaged = CacheAnswer::Miss(Miss::Damaged);
    for place in 0..whole.len() {
        fs::write(&path, &whole[..place]).unwrap();
        assert_eq!(host.look_up("s", &key, "a", 100, None), damaged, "cut at {place}");
        let mut changed = whole.clone();
        changed[place] ^= 1;
        fs::write(&path, changed).unwrap();
        assert_eq!(host.look_up("s", &key, "a", 100, None), damaged, "changed at {place}");
    }
    // an entry of another key in this file is damaged, too
    let mut other = key.clone();
    other.version = Some("2".to_owned());
    assert!(host.write("s", &other, &json!(1), None, &by("a", 1)).unwrap());
    fs::rename(path.with_file_name(other.digest()), &path).unwrap();
    assert_eq!(host.look_up("s", &key, "a", 100, None), damaged);
    write();
    assert!(matches!(host.look_up("s", &key, "a", 100, None), CacheAnswer::Hit { .. }));
}

#[test]
fn f81_concurrent_writers_of_a_key_leave_one_complete_entry() {
    let (_folder, host) = host();
    let key = key(&json!(1));
    std::thread::scope(|scope| {
        for name in ["a", "b", "c", "d"] {
            let (host, key) = (&host, &key);
            scope.spawn(move || {
                let result = Value::from(name.repeat(10_000));
                for _ in 0..50 {
                    host.write("s", key, &result, None, &by(name, 1)).unwrap();
                    let CacheAnswer::Hit { result, from, .. } = host.look_up("s", key, name, 1, None) else {
                        unreachable!()
                    };
                    assert_eq!(result, from.operation.repeat(10_000));
                }
            });
        }
    });
    assert_eq!(host.kept(None).unwrap().len(), 1);
    assert_eq!(files(&host.file(CACHE, "s").join(ENTRIES)).unwrap().len(), 1);
}

#[test]
fn r7_invalidate_selects_by_state_and_operation() {
    let (_folder, host) = host();
    assert_eq!((host.invalidate(None, "").unwrap(), host.kept(None).unwrap()), (0, vec![]));
    for (state, operation) in [("s", "thumb 1"), ("s", "thumb 2"), ("s", "probe"), ("t", "probe")] {
        host.write(state, &key(&json!(operation)), &json!(1), None, &by(operation, 1)).unwrap();
    }
    let names = |state| {
        let kept = host.kept(state).unwrap();
        let mut names: Vec<_> = kept.into_iter().map(|kept| kept.about.unwrap().by.operation).collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(None), ["probe", "probe", "thumb 1", "thumb 2"]);
    // an unfinished file stays unless everything is removed
    let unfinished = host.file(CACHE, "t").join(ENTRIES).join("x.1-0.new");
    fs::write(&unfinished, "").unwrap();
    assert_eq!(host.invalidate(None, "thumb").unwrap(), 2);
    assert!(unfinished.exists());
    assert_eq!((names(Some("s")), names(Some("t"))), (vec!["probe".to_owned()], vec!["probe".to_owned()]));
    // removing everything also removes files of killed writers, which do not count
    assert_eq!(host.invalidate(None, "").unwrap(), 2);
    assert_eq!(names(None), [""; 0]);
    assert!(files(&host.file(CACHE, "t").join(ENTRIES)).unwrap().is_empty());
}

#[test]
fn r7_large_result_is_cached_and_one_over_the_limit_is_not() {
    let (_folder, host) = host();
    let result = json!({"text": "x".repeat(50_000_000)});
    assert!(host.write("s", &key(&json!(1)), &result, None, &by("a", 1)).unwrap());
    let CacheAnswer::Hit { result: read, .. } = host.look_up("s", &key(&json!(1)), "a", 1, None) else {
        unreachable!()
    };
    assert!(read == result);
    let result = Value::from("x".repeat(MOST_BYTES as usize));
    assert!(!host.write("s", &key(&json!(2)), &result, None, &by("a", 1)).unwrap());
    assert_eq!(host.kept(None).unwrap().len(), 1);
}

#[test]
fn r7_deepest_result_is_read_back() {
    let (_folder, host) = host();
    let deep = (0..130).fold(json!(1), |value, _| json!([value]));
    host.write("s", &key(&json!(1)), &deep, None, &by("a", 1)).unwrap();
    let answer = host.look_up("s", &key(&json!(1)), "a", 1, None);
    assert_eq!(answer, CacheAnswer::Hit { result: deep, from: by("a", 1), files: None });
}
