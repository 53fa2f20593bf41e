//! The program in docs/formats/journal.md prints the events that pop reads.

use crate::bench::Bench;
use pop_executor::read_journal;
use serde_json::Value;
use std::process::Command;

const DOCUMENT: &str = include_str!("../../../docs/formats/journal.md");

/// Retries, a failure, results, and more files than a journal has slots.
const AGENDA: &str = r#"
operations:
  - {name: plain, type: exec, payload: {command: ["true"]}}
  - name: retried
    type: exec
    payload: {shell: "test -e there || { touch there; exit 1; }"}
    params: {retry: {maxAttempts: 2, delayMs: 1}}
  - {name: read, type: exec, payload: {command: [echo, "a = b"], capture: text}, params: {dependsOn: retried}}
  - {name: files, type: exec, payload: {command: [touch, f0, f1, f2, f3, f4]}}
  - {name: more, type: exec, payload: {command: [touch, g0, g1, g2, g3, g4, g5, g6, g7]}, params: {dependsOn: files}}
  - {name: again, type: exec, payload: {command: [ls, f0, f1, f2, f3, f4]}, params: {dependsOn: more}}
  - {name: many, type: exec, payload: {command: [touch, h0, h1, h2, h3, h4, h5, h6, h7, h8, h9, ha, hb, hc, hd, he, hf, hg]}}
  - {name: fails, type: exec, payload: {command: ["false"]}, params: {dependsOn: "again, many"}}
"#;

#[test]
fn the_program_of_the_document_reads_what_pop_reads() {
    let bench = Bench::with_agenda(AGENDA);
    bench.pop(10, "run a.yaml -j 2 --keep-going");
    bench.pop(10, "resume last");
    let journal = bench.run_folder().join("journal");
    let (_, program) = DOCUMENT.split_once("```python\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    let ran = Command::new("python3").args(["-c", program]).arg(&journal).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let printed = String::from_utf8(ran.stdout).unwrap();
    let printed: Vec<Value> =
        printed.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let read = read_journal(&journal).unwrap().events;
    let read: Vec<_> = read.iter().map(|event| serde_json::to_value(event).unwrap()).collect();
    assert_eq!(printed, read);
    let text = std::fs::read_to_string(&journal).unwrap();
    for kind in [" s0", " s1.2", " e0", " f0 ", " f15 ", " {"] {
        assert!(text.lines().any(|line| line[8..].starts_with(kind)), "no line of kind{kind}: {text}");
    }
}
