//! Tests of the dead-letter queue.

use super::*;
use pop_contract::Blame;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;

fn letter(operation: &str) -> DeadLetter {
    let failure = Failure::new(Blame::Handler, "exit", "ended with exit status 7");
    DeadLetter {
        run: "r1".to_owned(),
        operation: operation.to_owned(),
        handler_type: "exec".to_owned(),
        agenda: "a.yaml".to_owned(),
        launcher: "local".to_owned(),
        inserted_maps: Vec::new(),
        payload: json!({"command": ["false"], "n": 0.1}),
        params: Map::from_iter([("onFail".to_owned(), json!("DLQ"))]),
        attempts: vec![PastAttempt { number: 1, started: 5, ended: 9, failure: failure.message.clone() }],
        failure,
        settled: 9,
        replays: Vec::new(),
    }
}

fn letters() -> (tempfile::TempDir, DeadLetters) {
    let runs = tempfile::tempdir().unwrap();
    let letters = DeadLetters::of(&runs.path().join("r1"));
    (runs, letters)
}

#[test]
fn r2_letter_is_written_found_listed_and_dropped() {
    let (runs, letters) = letters();
    assert!(letters.list().is_empty());
    for name in ["b", "A b"] {
        letters.write(&letter(name)).unwrap();
        assert_eq!(letters.find(name).unwrap(), letter(name));
    }
    let listed: Vec<_> = letters.list().into_iter().map(|letter| letter.unwrap().id()).collect();
    assert_eq!(listed, ["r1/A b", "r1/b"]);
    let mode = |name: &str| {
        fs::metadata(runs.path().join("r1").join(FOLDER).join(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode(""), mode("b.json"), mode("lock")), (0o700, 0o600, 0o600));
    letters.drop("b").unwrap();
    for name in ["b", "../b", ""] {
        let error = letters.find(name).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no dead letter `r1/{name}`"));
        assert!(matches!(letters.drop(name), Err(LetterError::NoLetter { .. })));
        assert!(matches!(letters.lock_letter(name), Err(LetterError::NoLetter { .. })));
    }
    assert_eq!((letters.drop_all().unwrap(), letters.drop_all().unwrap()), (1, 0));
}

#[test]
fn r2_letter_written_twice_keeps_its_replays() {
    let (_runs, letters) = letters();
    letters.write(&letter("a")).unwrap();
    letters.lock_letter("a").unwrap().note_replay("r2").unwrap();
    letters.write(&letter("a")).unwrap();
    letters.lock_letter("a").unwrap().note_replay("r3").unwrap();
    assert_eq!(
        letters.find("a").unwrap(),
        DeadLetter { replays: vec!["r2".into(), "r3".into()], ..letter("a") }
    );
}

#[test]
fn f84_truncated_letter_is_damaged_and_others_stay_listed() {
    let (_runs, letters) = letters();
    letters.write(&letter("a")).unwrap();
    letters.write(&letter("b")).unwrap();
    let path = letters.path("a").unwrap();
    let complete = fs::read(&path).unwrap();
    for length in 0..complete.len() {
        fs::write(&path, &complete[..length]).unwrap();
        assert!(matches!(letters.find("a"), Err(LetterError::Damaged { .. })), "{length}");
        assert!(matches!(letters.lock_letter("a"), Err(LetterError::Damaged { .. })), "{length}");
        let listed = letters.list();
        assert!(listed[0].is_err() && listed[1].as_ref().unwrap().operation == "b");
    }
    fs::write(&path, r#"{"format": 2, "message": {}}"#).unwrap();
    let error = letters.find("a").unwrap_err().to_string();
    assert_eq!(error, format!("the dead letter `{}` has format 2, not 1", path.display()));
    // a damaged letter can be replaced and dropped
    letters.write(&letter("a")).unwrap();
    fs::write(&path, "").unwrap();
    letters.drop("a").unwrap();
}

#[test]
fn f84_unwritable_queue_is_an_error_with_its_path() {
    let (runs, letters) = letters();
    fs::create_dir_all(runs.path().join("r1")).unwrap();
    fs::write(runs.path().join("r1").join(FOLDER), "").unwrap();
    let error = letters.write(&letter("a")).unwrap_err();
    assert!(matches!(&error, LetterError::Io { path, .. } if path.ends_with(FOLDER)), "{error}");
}

#[test]
fn r2_all_lists_every_run_and_deep_payloads_are_read_back() {
    let (runs, letters) = letters();
    let deep = (0..130).fold(json!(1), |value, _| json!([value]));
    let letter = DeadLetter { payload: deep, ..letter("a") };
    letters.write(&letter).unwrap();
    assert_eq!(letters.find("a").unwrap(), letter);
    // a folder without settings is not a run
    assert!(DeadLetters::all(runs.path()).unwrap().is_empty());
    fs::create_dir_all(runs.path().join("r1/inputs")).unwrap();
    fs::write(runs.path().join("r1/inputs/settings.json"), "{}").unwrap();
    assert_eq!(DeadLetters::all(runs.path()).unwrap().len(), 1);
}
