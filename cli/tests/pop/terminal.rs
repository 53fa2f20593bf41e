//! `pop run` on a terminal, which `script` of util-linux provides.

use crate::bench::Bench;
use std::process::{Command, Stdio};

/// What pop writes to a terminal of this size.
pub(crate) fn on_terminal(bench: &Bench, columns: u32, rows: u32, line: &str) -> String {
    let pop = env!("CARGO_BIN_EXE_pop");
    let line = format!("stty cols {columns} rows {rows}; exec {pop} {line}");
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(bench.path("")).stdin(Stdio::null());
    script.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("TERM", "xterm-256color");
    let ended = script.output().unwrap();
    String::from_utf8(ended.stdout).unwrap()
}

/// The frames of the block: what follows each erasure.
pub(crate) fn frames(said: &str) -> Vec<Vec<&str>> {
    said.split("\u{1b}[J").skip(1).map(|frame| frame.lines().collect()).collect()
}

#[test]
fn fr_g2_thirty_operations_take_half_of_a_small_terminal() {
    let name = "operation-with-a-long-name-".repeat(3);
    // each waits until all run
    let together = "echo >> here; while [ $(wc -l < here) -lt 30 ]; do sleep 0.05; done; sleep 0.4";
    let bench = Bench::with_agenda(&format!(
        "operations:\n  - name: {name}\n    type: exec\n    params: {{forEach: {:?}}}\n    payload: {{command: [sh, -c, {together:?}]}}\n",
        (0..30).collect::<Vec<_>>()
    ));
    let said = on_terminal(&bench, 80, 15, "run a.yaml -j 30");
    let frames = frames(&said);
    let full = frames.iter().find(|lines| lines.iter().any(|line| line.ends_with("… 25 more")));
    let full = full.unwrap_or_else(|| unreachable!("{said}"));
    let operations: Vec<_> = full.iter().filter(|line| line.starts_with("operation-")).collect();
    assert_eq!(operations.len(), 5, "{full:?}");
    for (at, line) in operations.iter().enumerate() {
        let (shown, rest) = line.split_once(' ').unwrap();
        assert!(shown.ends_with(&format!("#{at}")) && shown.contains('…'), "{line}");
        // no operation has reported a percentage
        assert!(!rest.contains('%') && line.chars().count() < 80, "{line}");
    }
    // the last frame erases the block; the summary follows
    assert!(frames.last().unwrap().iter().all(|line| !line.contains("… ")), "{said}");
    assert!(said.trim_end().ends_with("31 succeeded"), "{said}");
}

#[test]
fn a_percentage_is_shown_once_it_is_reported() {
    let bench = Bench::with_agenda(
        r#"operations:
  - {name: silent, type: exec, payload: {command: [sleep, '0.6']}}
  - {name: reports, type: exec, payload: {command: [sh, -c, "echo 'pop.report.progress {\"percentComplete\": 40}'; sleep 0.6"]}}
"#,
    );
    let said = on_terminal(&bench, 80, 24, "run a.yaml -j 2");
    let lines: Vec<&str> = frames(&said).into_iter().flatten().collect();
    assert!(lines.iter().any(|line| line.starts_with("reports") && line.contains(" 40%")), "{said}");
    assert!(lines.iter().all(|line| !line.starts_with("silent") || !line.contains('%')), "{said}");
}
