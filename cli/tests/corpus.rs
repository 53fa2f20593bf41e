//! Runs the assertions of the fuzz targets over the saved corpus, so that fixed findings stay fixed.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../fuzz/src/lib.rs"]
pub mod targets;

use std::path::Path;

#[test]
fn corpus_inputs_hold_the_fuzz_assertions() {
    // as much stack as the main thread of a program has: the reader of YAML takes more of it in a build for tests
    std::thread::Builder::new().stack_size(8 << 20).spawn(replay).unwrap().join().unwrap();
}

fn replay() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, target) in targets::TARGETS {
        let mut count = 0;
        for file in std::fs::read_dir(corpus.join(name)).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let kept = std::panic::catch_unwind(|| target(&bytes));
            assert!(kept.is_ok(), "target {name}: {}", path.display());
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
    }
}
