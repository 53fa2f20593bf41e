//! The program `pop-software` killed in the middle of its work, and started once more.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// How many files the package has: many more than a pipe takes lines of progress.
const FILES: usize = 1_000;

fn software(folder: &Path, method: &str) -> Command {
    let properties = json!({"repository": folder.join("repository"), "root": folder.join("root")});
    let call = json!({"capability": "content", "method": method, "type": "software",
                      "units": [{"name": "large", "version": "1"}]});
    let mut command = Command::new(env!("CARGO_BIN_EXE_pop-software"));
    command.args(["--launchType", "local", "--externalLaunchType", "local"]);
    command.env_clear().env("POP_PROPERTIES", properties.to_string()).env("PAYLOAD", call.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Starts a call and kills it when it has told of its progress this often. It cannot have come to its end: nobody
/// reads the rest.
fn killed(folder: &Path, method: &str, after: usize) {
    let mut child = software(folder, method).spawn().unwrap();
    let mut lines = BufReader::with_capacity(64, child.stdout.take().unwrap()).lines();
    for _ in 0..after {
        assert!(lines.next().unwrap().unwrap().starts_with("pop.report.progress"));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

fn report(folder: &Path, method: &str) -> Value {
    let output = software(folder, method).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let line = stdout.lines().find_map(|line| line.strip_prefix("pop.report.payload "));
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    serde_json::from_str(line.unwrap()).unwrap()
}

/// The files of a folder with their texts.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    let file = |entry: fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
    };
    entries.map(|entry| file(entry.unwrap())).collect()
}

#[test]
fn a_call_that_is_killed_is_repaired_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let package = folder.join("repository/large/1/data");
    fs::create_dir_all(&package).unwrap();
    for number in 0..FILES {
        fs::write(package.join(number.to_string()), format!("file {number}")).unwrap();
    }
    let note = folder.join("root/.software/large.json");
    for after in [1, 40] {
        killed(folder, "install", after);
        let noted: Value = serde_json::from_str(&fs::read_to_string(&note).unwrap()).unwrap();
        assert_eq!(noted["state"], "coming");
        let there = files(&folder.join("root/data"));
        assert!(there.len() < FILES, "it came to its end");
        assert!(there.iter().all(|(name, text)| *text == format!("file {name}")), "a part of a file");
    }
    assert_eq!(report(folder, "install")["num_changes"], 1);
    assert_eq!(files(&folder.join("root/data")), files(&package));
    assert_eq!(report(folder, "install")["num_changes"], 0);
    assert_eq!(report(folder, "uninstall")["num_changes"], 1);
    assert_eq!(
        fs::read_dir(folder.join("root")).unwrap().count(),
        1,
        "the folder of the notes alone is left"
    );
}
