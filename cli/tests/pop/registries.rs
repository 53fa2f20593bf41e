//! Invalid registries: errors and warnings have a place, and errors stop the run before it starts.

use crate::bench::Bench;
use crate::faults::{HEAD, first_place, nothing_started};

/// Runs a good agenda with a registry that must be refused.
fn registry_refused(what: &str, file: &str, text: &str, place: &str, code: &str, words: &str) {
    let bench = Bench::new();
    bench.write("a.yaml", format!("{HEAD}  - {{name: p, type: probe}}\n"));
    bench.write(file, text);
    let ended = bench.call("run a.yaml --registry").argument(file).ends(4);
    nothing_started(&bench, &ended);
    let said = &ended.stderr;
    assert!(said.starts_with(&format!("error[{code}]: ")), "{what}: {said}");
    let wanted = if place.is_empty() { file.to_owned() } else { format!("{file}:{place}") };
    assert_eq!(first_place(&ended), wanted, "{what}: {said}");
    assert!(said.contains(words), "{what}: {said}");
}

#[test]
fn invalid_registries_are_refused() {
    for (what, file, text, place, code, words) in [
        ("an open map", "r.json", "{\"probe\": ", "1:10", "syntax", "1 fault in r.json"),
        (
            "a duplicate type",
            "r.yaml",
            "probe: {command: [a]}\nprobe: {command: [b]}\n",
            "2:1",
            "duplicate-key",
            "first on line 1",
        ),
        ("a list", "r.yaml", "- probe\n", "1:1", "wrong-type", "a registry must be a map"),
        (
            "a shell line",
            "r.yaml",
            "probe: {command: 'a b'}\n",
            "1:18",
            "wrong-type",
            "`command` must be a list",
        ),
        (
            "an empty command",
            "r.yaml",
            "probe: {command: []}\n",
            "1:18",
            "wrong-value",
            "must begin with a program",
        ),
        (
            "a list for envVars",
            "r.yaml",
            "probe: {command: ['true'], envVars: []}\n",
            "1:37",
            "wrong-type",
            "`envVars` must be a map",
        ),
        (
            "a number for a folder",
            "r.yaml",
            "probe: {command: ['true'], workingDirectory: 7}\n",
            "1:46",
            "wrong-type",
            "must be text",
        ),
        (
            "a policy",
            "r.yaml",
            "probe: {command: ['true'], policies: {timeoutMs: x}}\n",
            "1:50",
            "wrong-type",
            "a whole number",
        ),
        (
            "no base",
            "r.yaml",
            "probe: {command: ['true'], podConfig: {imageName: p:1}}\n",
            "1:28",
            "no-base",
            "`\"basePodConfig\": {}`",
        ),
        (
            "a program that is not there",
            "r.yaml",
            "probe: {command: [./nope]}\n",
            "1:19",
            "program-not-found",
            "beside the registry",
        ),
        (
            "a program that is on no PATH",
            "r.yaml",
            "probe: {command: [no-such-program]}\n",
            "1:19",
            "program-not-found",
            "not found",
        ),
    ] {
        registry_refused(what, file, text, place, code, words);
    }
    let bench = Bench::with_agenda(HEAD);
    let ended = bench.pop(4, "run a.yaml --registry none.json");
    nothing_started(&bench, &ended);
    assert!(ended.stderr.starts_with("error[unreadable]: cannot read the registry"), "{}", ended.stderr);
}

#[test]
fn a_type_without_a_command_cannot_run_here() {
    let bench = Bench::with_agenda("operations:\n  - {name: p, type: probe}\n");
    bench.write("registry.yaml", "basePodConfig: {}\nprobe: {podConfig: {imageName: p:1}}\n");
    let ended = bench.pop(3, "run a.yaml");
    nothing_started(&bench, &ended);
    assert_eq!(first_place(&ended), "a.yaml:2:21");
    assert!(
        ended.stderr.contains("error[not-launchable]") && ended.stderr.contains("a `command`"),
        "{}",
        ended.stderr
    );
}

#[test]
fn unknown_registry_field_is_a_warning() {
    let bench = Bench::with_agenda("operations:\n  - {name: p, type: probe}\n");
    bench.write("registry.yaml", "probe: {command: ['true'], polices: {}}\n");
    let ended = bench.pop(0, "run a.yaml");
    assert!(ended.stderr.starts_with("warning[unknown-field]: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("did you mean `policies`?"), "{}", ended.stderr);
    assert_eq!(first_place(&ended), "registry.yaml:1:28");
    bench.write(
        "b.yaml",
        "operation: []\noperations:\n  - {name: a, typo: x, type: sample, params: {retries: 1}}\n",
    );
    let said = bench.pop(0, "check b.yaml").stderr;
    for words in
        ["unknown field `operation`", "no field `typo`", "did you mean `type`?", "warning[unknown-param]"]
    {
        assert!(said.contains(words), "{words}: {said}");
    }
}
