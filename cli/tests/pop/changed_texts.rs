//! Files that change after a run has started: a resumed run uses its frozen copies, and says so.

use crate::bench::Bench;

const FAILS: &str = "operations:\n  - {name: a, type: exec, payload: {command: ['false']}}\n";
const SUCCEEDS: &str = "operations:\n  - {name: a, type: exec, payload: {command: ['true']}}\n";

/// The first line of `pop resume` that is a warning.
fn warning(bench: &Bench, line: &str) -> Option<String> {
    let ended = bench.call(line).ends(10);
    ended.stderr.lines().find(|line| line.starts_with("warning")).map(|line| ended.steady(line))
}

#[test]
fn fr_d4_resume_names_a_changed_agenda_and_the_command_that_uses_it() {
    let bench = Bench::with_agenda(FAILS);
    bench.pop(10, "run a.yaml --run-id r");
    assert_eq!(warning(&bench, "resume r"), None);
    bench.write("a.yaml", SUCCEEDS);
    insta::assert_snapshot!(warning(&bench, "resume r").unwrap(), @"warning: `a.yaml` changed after run r started, and the run uses its frozen copy; `pop rerun r` uses the changed file and reuses what is unchanged");
    bench.pop(0, "run a.yaml");
    // a byte order mark is not part of the frozen text
    bench.write("a.yaml", format!("\u{feff}{FAILS}"));
    assert_eq!(warning(&bench, "resume r"), None);
    std::fs::remove_file(bench.path("a.yaml")).unwrap();
    assert_eq!(warning(&bench, "resume r"), None);
}

#[test]
fn fr_d4_resume_names_changed_registry_and_descriptors() {
    let bench = Bench::new();
    bench.write("my agendas/a.yaml", FAILS);
    bench.call("run --run-id r").argument("my agendas/a.yaml").ends(10);
    bench.write("my agendas/registry.yaml", "{}\n");
    insta::assert_snapshot!(warning(&bench, "resume r").unwrap(), @"warning: `my agendas/registry.yaml` changed after run r started, and the run uses its frozen copy; `pop rerun r` uses the changed file and reuses what is unchanged");
    bench.call("run --run-id s").argument("my agendas/a.yaml").ends(10);
    assert_eq!(warning(&bench, "resume s"), None);
    bench.write("my agendas/registry.yaml", "# a comment\n{}\n");
    bench.write("my agendas/a.yaml", SUCCEEDS);
    insta::assert_snapshot!(warning(&bench, "resume s").unwrap(), @"warning: `my agendas/a.yaml`, `my agendas/registry.yaml` changed after run s started, and the run uses its frozen copies; `pop rerun s` uses the changed files and reuses what is unchanged");
}

#[test]
fn fr_d4_resume_from_another_folder_names_the_folder_of_the_run() {
    let bench = Bench::with_agenda(FAILS);
    bench.pop(10, "run a.yaml --run-id r");
    bench.write("a.yaml", SUCCEEDS);
    bench.write("elsewhere/file", "");
    let ended = bench.call("resume r --runs ../.pop/runs").after("cd elsewhere").ends(10);
    let said = ended.steady(ended.stderr.lines().next().unwrap());
    insta::assert_snapshot!(said, @"warning: `$BENCH/a.yaml` changed after run r started, and the run uses its frozen copy; `pop rerun r --runs ../.pop/runs` uses the changed file and reuses what is unchanged");
    // an agenda from standard input has no file to compare
    bench.call("run - --run-id s").stdin(FAILS).ends(10);
    assert_eq!(warning(&bench, "resume s"), None);
}
