//! The sample handlers put to the handler contract: what the toolkit promises, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_conformance::{CheckVerdict, Finding, Subject, examine, examine_warm};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Puts a handler to every check. It must break none, and be bound by all; a quick one may be done before it can be
/// asked to stop.
fn keeps_the_contract(program: &str, good: &Value, bad: &Value) {
    is_kept_by(&[program], good, bad);
}

fn is_kept_by(program: &[&str], good: &Value, bad: &Value) {
    let subject = Subject {
        argv: program.iter().map(|&word| word.to_owned()).collect(),
        payload: good.to_string(),
        bad_payload: Some(bad.to_string()),
        limit: Duration::from_mins(1),
        grace: Duration::from_secs(10),
        path: std::env::var_os("PATH"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for Finding { check, verdict } in runtime.block_on(examine(&subject)).unwrap() {
        let is_quick = check.id == "stops-when-asked" && matches!(verdict, CheckVerdict::NotApplicable(_));
        assert!(verdict == CheckVerdict::Kept || is_quick, "{program:?} {}: {verdict:#?}", check.id);
    }
    for Finding { check, verdict } in runtime.block_on(examine_warm(&subject)).unwrap() {
        assert_eq!(verdict, CheckVerdict::Kept, "{program:?} {}", check.id);
    }
}

/// A video of one second, and its path.
fn video(folder: &Path) -> String {
    let path = folder.join("in.mp4").to_str().unwrap().to_owned();
    let picture = ["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=30:duration=1"];
    let codec = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"];
    let mut ffmpeg = Command::new("ffmpeg");
    assert!(ffmpeg.args(["-v", "error"]).args(picture).args(codec).arg(&path).status().unwrap().success());
    path
}

#[test]
fn sample() {
    let log = json!({"action": "log", "paramsMap": {"logMessage": "hello", "sleepMilliseconds": 50}});
    let good = json!({"actions": [log], "resultPayload": {"k": ["v", "ä"]}});
    keeps_the_contract(env!("CARGO_BIN_EXE_pop-sample"), &good, &json!({"actions": 7}));
}

#[test]
fn probe() {
    let folder = tempfile::tempdir().unwrap();
    let good = json!({"input": video(folder.path())});
    keeps_the_contract(env!("CARGO_BIN_EXE_pop-probe"), &good, &json!({"input": ""}));
}

#[test]
fn transcode() {
    let folder = tempfile::tempdir().unwrap();
    let good = json!({"input": video(folder.path()), "output": "out.mp4", "durationSeconds": 1, "height": 90,
        "preset": "ultrafast"});
    let bad = json!({"input": "in.mp4", "output": "in.mp4", "durationSeconds": -1, "height": 3});
    keeps_the_contract(env!("CARGO_BIN_EXE_pop-transcode"), &good, &bad);
}

#[test]
fn thumbnail() {
    let folder = tempfile::tempdir().unwrap();
    let good = json!({"input": video(folder.path()), "output": "a/out.jpg", "atSeconds": 0.5, "width": 160});
    keeps_the_contract(env!("CARGO_BIN_EXE_pop-thumbnail"), &good, &json!({"input": 7}));
}

#[test]
fn filmstrip() {
    let folder = tempfile::tempdir().unwrap();
    let good = json!({"input": video(folder.path()), "output": "strip.jpg", "durationSeconds": 1, "count": 3,
        "width": 80});
    keeps_the_contract(env!("CARGO_BIN_EXE_pop-filmstrip"), &good, &json!({}));
}

#[test]
fn package() {
    let folder = tempfile::tempdir().unwrap();
    let rendition = json!({"path": video(folder.path()), "height": 180});
    let good = json!({"renditions": [rendition], "outputFolder": "hls", "segmentSeconds": 1});
    keeps_the_contract(env!("CARGO_BIN_EXE_pop-package"), &good, &json!({"renditions": []}));
}

#[test]
fn software() {
    let folder = tempfile::tempdir().unwrap();
    let properties = format!("POP_PROPERTIES={}", json!({"root": folder.path()}));
    let call = |method: &str| json!({"capability": "content", "method": method, "type": "software"});
    // `env` becomes the program
    let program = ["env", &properties, env!("CARGO_BIN_EXE_pop-software")];
    is_kept_by(&program, &call("profile"), &call("install"));
}
