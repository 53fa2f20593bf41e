//! The three sample jobs: run with something bad in them, mended, and continued with `pop rerun`.

use crate::bench::{Bench, Call};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

fn sample(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../samples").join(name).display().to_string()
}

fn run<'b>(bench: &'b Bench, agenda: &str) -> Call<'b> {
    bench.call("run").argument(&sample(&format!("agendas/{agenda}")))
}

/// The operations of the last run that ran themselves, without those whose result was reused.
fn ran(bench: &Bench) -> Vec<String> {
    let shown = bench.shown();
    let operations = shown["operations"].as_array().unwrap().iter();
    let ran = operations.filter(|operation| operation["attempts"] != 0);
    let name = |operation: &Value| {
        let shown = operation.get("shownName").unwrap_or(&operation["name"]);
        shown.as_str().unwrap().to_owned()
    };
    ran.map(name).collect()
}

#[test]
fn three_hundred_csv_files_with_a_bad_one_are_mended_and_rerun() {
    let bench = Bench::new();
    for index in 0..300 {
        bench.write(&format!("sales/{index:03}.csv"), format!("a,{index}\nb,1\n"));
    }
    bench.write("sales/123.csv", "a,1\nb,2,3\n");
    let ended =
        run(&bench, "sales.yaml").argument("--input").argument("folder=sales").argument("-j4").ends(0);
    assert!(ended.stderr.contains("(1 of 300 items of `file` failed)"), "{}", ended.stderr);
    assert!(ended.stderr.contains("| line 2 has 3 columns"), "{}", ended.stderr);
    assert_eq!(bench.read("sums.csv").lines().count(), 299);
    assert!(bench.read("bad.csv").starts_with("123.csv,"), "{}", bench.read("bad.csv"));
    bench.write("sales/123.csv", "a,1\nb,2\n");
    bench.pop(0, "rerun last -j 4");
    assert_eq!(ran(&bench), ["list", "tables", "file[123.csv]/check", "file[123.csv]/sum"]);
    assert_eq!((bench.read("sums.csv").lines().count(), bench.read("bad.csv").as_str()), (300, ""));
}

#[test]
fn broken_variant_of_a_matrix_is_mended_and_rerun() {
    let bench = Bench::new();
    let source = std::fs::read_to_string(sample("ci/sum.c")).unwrap();
    // only wrong if the standard is not the newer one
    let broken = source.replace("long sum = 0;", "long sum = __STDC_VERSION__ < 201710L;");
    bench.write("sum.c", &broken);
    let ended = run(&bench, "ci.yaml")
        .argument("--input")
        .argument("source=sum.c")
        .argument("--input")
        .argument("keep=true")
        .argument("-k")
        .ends(10);
    assert!(ended.stderr.contains("failed    variant[-O2, c11]/test"), "{}", ended.stderr);
    assert_eq!(bench.read("result.txt"), "failed: [\"variant\",\"variant#1\",\"variant#1/test\"]\n");
    assert!(!bench.has("dist"));
    bench.write("sum.c", &source);
    bench.pop(0, "rerun last");
    assert_eq!(bench.read("result.txt"), "succeeded: []\n");
    assert!(bench.has("dist/1/sum"));
    // the source is an input of every build, and the notice of every run
    assert!(ran(&bench).contains(&"variant[-O2, c17]/build".to_owned()));
}

#[test]
fn nightly_videos_with_a_bad_one_are_mended_and_rerun() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("clips")).unwrap();
    let clip = |name: &str| {
        let made = Command::new("ffmpeg")
            .args(["-y", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=320x180:rate=5:duration=1"])
            .arg(bench.path(&format!("clips/{name}")))
            .status();
        assert!(made.unwrap().success());
    };
    clip("one.mp4");
    clip("two words.mp4");
    bench.write("clips/bad.mp4", "no video");
    let ended = run(&bench, "nightly.yaml").argument("--input").argument("folder=clips").ends(0);
    assert!(ended.stderr.contains("failed: video[bad.mp4]/probe\n"), "{}", ended.stderr);
    assert!(bench.has("nightly/two words.mp4") && bench.has("nightly/one.mp4.jpg"));
    let report: Value = serde_json::from_str(&bench.read("nightly/report.json")).unwrap();
    let failed = |entry: &&Value| entry["outcome"] == "failed" && entry["item"] == "bad.mp4";
    assert_eq!(report.as_array().unwrap().iter().filter(failed).count(), 1);
    clip("bad.mp4");
    bench.pop(0, "rerun last");
    let ran = ran(&bench);
    for name in ["video[bad.mp4]/probe", "video[bad.mp4]/small", "video[bad.mp4]/poster", "report"] {
        assert!(ran.contains(&name.to_owned()), "{name}: {ran:?}");
    }
    assert!(!ran.contains(&"video[one.mp4]/small".to_owned()), "{ran:?}");
    assert!(bench.has("nightly/bad.mp4"));
}
