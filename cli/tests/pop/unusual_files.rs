//! Special files and paths that are not UTF-8: refused at once, with the reason.

use crate::bench::Bench;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

#[test]
fn fr_h9_only_regular_files_are_read() {
    let agenda = "operations: [{name: a, type: size}]";
    let bench = Bench::with_agenda(agenda);
    bench.write("registry.yaml", "size: {command: ['true'], secrets: {TOKEN: {fromFile: token}}}\n");
    bench.fifo("pipe");
    bench.fifo("token");
    std::fs::create_dir(bench.path("folder")).unwrap();
    bench.write("conf.d/good.txt", "");
    for (arguments, code, said) in [
        ("check pipe", 3, "cannot read the agenda `pipe`: it is a named pipe, not a regular file"),
        ("check folder", 3, "cannot read the agenda `folder`: it is a folder, not a regular file"),
        ("run /dev/zero", 3, "cannot read the agenda `/dev/zero`: it is a device, not a regular file"),
        ("run --registry pipe a.yaml", 4, "cannot read the registry `pipe`: it is a named pipe"),
        ("run a.yaml", 4, "token` cannot be read: it is a named pipe, not a regular file"),
        ("handler check --payload pipe true", 2, "cannot read the payload `pipe`: it is a named pipe"),
    ] {
        let ended = bench.pop(code, arguments);
        assert!(ended.stderr.contains(said), "{arguments}: {}", ended.stderr);
    }
    bench.fifo("conf.d/bad.conf");
    let said = bench.pop(4, "handlers --registry /dev/null").stderr;
    assert!(said.contains("cannot read the registry `/dev/null`: it is a device"), "{said}");
    std::fs::remove_file(bench.path("registry.yaml")).unwrap();
    let said = bench.pop(4, "handlers").stderr;
    assert!(said.contains("bad.conf`: it is a named pipe, not a regular file"), "{said}");
}

#[test]
fn fr_h9_runs_with_pipes_as_files_are_listed_unreadable() {
    let bench = Bench::with_agenda("operations: [{name: a, type: exec, payload: {command: ['true']}}]");
    for run in ["good", "settings", "journal", "lock"] {
        bench.pop(0, &format!("run --run-id {run} a.yaml"));
    }
    for file in ["settings/inputs/settings.json", "journal/journal", "lock/lock", "good/out/a.1.log"] {
        let name = format!(".pop/runs/{file}");
        std::fs::remove_file(bench.path(&name)).ok();
        bench.fifo(&name);
    }
    let ended = bench.pop(0, "runs");
    // with a line of heads
    assert_eq!(ended.stdout.lines().count(), 5, "{}", ended.stdout);
    for run in ["settings", "journal"] {
        let said =
            ended.stderr.lines().find(|line| line.contains(&format!("cannot read run {run}"))).unwrap();
        assert!(said.ends_with("it is a named pipe, not a regular file"), "{said}");
        bench.pop(15, &format!("show {run}"));
        bench.pop(15, &format!("explain {run} a"));
        bench.pop(15, &format!("resume {run}"));
    }
    bench.pop(0, "show lock");
    let said = bench.pop(1, "logs good").stderr;
    assert!(said.contains("it is a named pipe, not a regular file"), "{said}");
}

#[test]
fn fr_h2_paths_that_are_not_utf8_are_refused() {
    let odd = OsStr::from_bytes(b"odd\xff");
    let bench = Bench::new();
    let folder = bench.path("").join(odd);
    std::fs::create_dir_all(&folder).unwrap();
    let agenda = "operations: [{name: a, type: exec, payload: {command: [touch, started]}}]";
    std::fs::write(folder.join("a.yaml"), agenda).unwrap();
    bench.write("a.yaml", agenda);
    let refused = |current: &Path, arguments: &[&OsStr]| {
        let mut pop = std::process::Command::new(env!("CARGO_BIN_EXE_pop"));
        let ended = pop.args(arguments).current_dir(current).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("is not UTF-8") && said.contains("hint: rename it"), "{said}");
        assert!(!current.join("started").exists());
        assert!(!current.join(".pop/runs/r/inputs/settings.json").exists());
    };
    let id = ["run".as_ref(), "--run-id=r".as_ref()];
    refused(&folder, &[id[0], id[1], "a.yaml".as_ref()]);
    let inside = folder.join("a.yaml");
    let named = |option: &str| {
        let mut whole = OsString::from(option);
        whole.push(&folder);
        whole
    };
    refused(&bench.path(""), &[id[0], id[1], inside.as_os_str()]);
    for option in ["--registry=", "--conf-d=", "--handlers=", "--runs=", "--prop-file="] {
        std::fs::create_dir_all(bench.path("conf.d")).unwrap();
        let option = named(option);
        refused(&bench.path(""), &[id[0], id[1], option.as_os_str(), "a.yaml".as_ref()]);
    }
}
