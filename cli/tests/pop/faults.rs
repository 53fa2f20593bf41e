//! Invalid agendas: each fault has its place and code, and nothing starts.

use crate::bench::{Bench, Ended};

/// An operation that leaves a file behind, should it ever be started.
pub(crate) const HEAD: &str =
    "operations:\n  - {name: side, type: exec, payload: {command: [touch, side]}}\n";

/// Asserts that nothing was started or printed on stdout, and that the last line says so.
pub(crate) fn nothing_started(bench: &Bench, ended: &Ended) {
    assert_eq!(ended.stdout, "");
    assert!(!bench.has("side") && !bench.has(".pop"), "{}", ended.stderr);
    let closing = ended.stderr.lines().last().unwrap_or_default();
    assert!(closing.ends_with(&format!("; nothing was started (exit {})", ended.code)), "{}", ended.stderr);
}

/// First place in the output.
pub(crate) fn first_place(ended: &Ended) -> &str {
    ended.stderr.lines().find_map(|line| line.trim_start().strip_prefix("--> ")).unwrap_or_default()
}

/// Runs an agenda that must be refused, within little memory.
fn refused(what: &str, file: &str, text: impl AsRef<[u8]>, place: &str, code: &str, words: &str) {
    let bench = Bench::new();
    bench.write(file, text);
    let ended = bench.call("run").argument(file).within_two_gigabytes().ends(3);
    nothing_started(&bench, &ended);
    let said = &ended.stderr;
    assert!(said.starts_with(&format!("error[{code}]: ")), "{what}: {said}");
    let wanted = if place.is_empty() { file.to_owned() } else { format!("{file}:{place}") };
    assert_eq!(first_place(&ended), wanted, "{what}: {said}");
    assert!(said.contains(words), "{what}: {said}");
}

#[test]
fn texts_that_do_not_parse_are_refused() {
    for (what, file, text, place, code, words) in [
        (
            "a trailing comma",
            "a.json",
            "{\"operations\": [\n  {\"name\": \"a\",\n}]}",
            "3:1",
            "syntax",
            "trailing comma",
        ),
        ("a wrong word", "a.json", "{\"operations\": tru}", "1:19", "syntax", "not JSON"),
        ("something after the end", "a.json", "{\"operations\": []}\n{}", "2:1", "syntax", "trailing"),
        ("an open text", "a.json", "{\"operations\": [\"a\n]}", "1:19", "syntax", "not JSON"),
        ("an open list", "a.yaml", "operations:\n  - name: [a\n", "2:11", "syntax", "unclosed bracket"),
        ("a tab", "a.yaml", "operations:\n\t- name: a\n", "2:2", "syntax", "tabs disallowed"),
        ("an alias without anchor", "a.yaml", "operations: *nope\n", "1:13", "syntax", "no anchor before it"),
        (
            "two documents",
            "a.yaml",
            "operations: []\n---\noperations: []\n",
            "3:1",
            "syntax",
            "more than one document",
        ),
        (
            "a tag of a language",
            "a.yaml",
            "operations: !!python/object:os.system x\n",
            "1:39",
            "syntax",
            "not YAML",
        ),
        ("nothing, as JSON", "a.json", "", "1:1", "syntax", "EOF"),
        ("nothing, as YAML", "a.yaml", "", "1:1", "wrong-type", "must be a map, not null"),
        ("a comment alone", "a.yaml", "# later\n", "2:1", "wrong-type", "must be a map, not null"),
        ("a list", "a.json", "[]", "1:1", "wrong-type", "must be a map, not a list"),
        ("plain text", "a.txt", "hello", "1:1", "wrong-type", "must be a map, not text"),
        ("no operations", "a.yaml", "title: x\n", "1:1", "missing-field", "needs the list `operations`"),
        (
            "a duplicate key",
            "a.yaml",
            "operations:\n  - name: a\n    name: b\n",
            "3:5",
            "duplicate-key",
            "duplicate key `name`",
        ),
    ] {
        refused(what, file, text, place, code, words);
    }
    refused("a binary file", "a.json", b"\x7fELF\xff\xfe\0", "", "not-text", "byte 4 is not valid UTF-8");
    refused("a NUL", "a.yaml", b"operations: \0[]", "", "not-text", "byte 12 is NUL");
}

#[test]
fn every_duplicate_key_is_reported() {
    for (file, text) in [
        ("a.json", "{\"operations\": [],\n \"params\": {\"x\": 1, \"x\": 2},\n \"operations\": []}"),
        ("a.yaml", "operations: []\nparams: {x: 1, x: 2}\noperations: []\n"),
    ] {
        let bench = Bench::new();
        bench.write(file, text);
        let ended = bench.call("run").argument(file).ends(3);
        nothing_started(&bench, &ended);
        let told: Vec<_> =
            ended.stderr.lines().filter(|line| line.starts_with("error[duplicate-key]")).collect();
        assert_eq!(told.len(), 2, "{}", ended.stderr);
        assert!(ended.stderr.contains("first on line 1"), "{}", ended.stderr);
    }
}

#[test]
fn values_of_the_wrong_type_are_refused() {
    let exec = |fields: &str| format!("{HEAD}  - {{name: a, type: exec, {fields}}}\n");
    for (what, text, place, code, words) in [
        (
            "a number for the title",
            format!("title: 5\n{HEAD}"),
            "1:8",
            "wrong-type",
            "`title` must be text, not `5`",
        ),
        ("a list for params", format!("params: []\n{HEAD}"), "1:9", "wrong-type", "`params` must be a map"),
        (
            "text for operations",
            "operations: all\n".to_owned(),
            "1:13",
            "wrong-type",
            "must be a list, not text",
        ),
        ("text for an operation", format!("{HEAD}  - all\n"), "3:5", "wrong-type", "must be a map, not text"),
        (
            "a number for a name",
            format!("{HEAD}  - {{name: 5, type: exec}}\n"),
            "3:12",
            "wrong-type",
            "must be text",
        ),
        ("no name", format!("{HEAD}  - {{type: sample}}\n"), "3:5", "missing-field", "needs a `name`"),
        ("no type", format!("{HEAD}  - {{name: a}}\n"), "3:5", "missing-field", "needs a `type`"),
        ("no command", exec("payload: {}"), "3:36", "missing-field", "needs a `command`"),
        ("no payload", exec("id: 3"), "3:5", "wrong-type", "must be a map, not null"),
        (
            "a shell line",
            exec("payload: {command: 'rm -rf $HOME; ls'}"),
            "3:46",
            "wrong-type",
            "write `shell: \"rm -rf $HOME; ls\"`, or `command: [sh, -c, \"rm -rf $HOME; ls\"]`",
        ),
        (
            "an empty command",
            exec("payload: {command: []}"),
            "3:46",
            "wrong-value",
            "must begin with a program",
        ),
        (
            "a list for env",
            exec("payload: {command: [a], env: [b]}"),
            "3:56",
            "wrong-type",
            "`env` must be a map, not a list",
        ),
        (
            "an unknown capture",
            exec("payload: {command: [a], capture: jsn}"),
            "3:60",
            "wrong-value",
            "did you mean `json`?",
        ),
        (
            "a strange exit status",
            exec("payload: {command: [a], successCodes: [300]}"),
            "3:66",
            "wrong-value",
            "from 0 to 255",
        ),
        (
            "a negative timeout",
            exec("payload: {command: [a]}, params: {timeoutMs: -1}"),
            "3:72",
            "wrong-type",
            "a whole number from 0, not `-1`",
        ),
        (
            "a timeout in words",
            exec("payload: {command: [a]}, params: {timeoutMs: soon}"),
            "3:72",
            "wrong-type",
            "not `soon`",
        ),
        (
            "no attempts",
            exec("payload: {command: [a]}, params: {retry: {maxAttempts: 0}}"),
            "3:82",
            "wrong-value",
            "at least 1",
        ),
        (
            "a number for retry",
            exec("payload: {command: [a]}, params: {retry: 3}"),
            "3:68",
            "wrong-type",
            "`retry` must be a map",
        ),
        (
            "an unknown onFail",
            exec("payload: {command: [a]}, params: {onFail: RPLY}"),
            "3:69",
            "wrong-value",
            "did you mean `REPLY`?",
        ),
        (
            "a map for dependsOn",
            exec("payload: {command: [a]}, params: {dependsOn: {}}"),
            "3:72",
            "wrong-type",
            "must name operations",
        ),
    ] {
        refused(what, "a.yaml", text, place, code, words);
    }
}

#[test]
fn unknown_reference_suggests_the_nearest_name() {
    let exec = |fields: &str| format!("{HEAD}  - {{name: a, type: exec, {fields}}}\n");
    for (what, text, place, code, words) in [
        (
            "an unknown type",
            format!("{HEAD}  - {{name: a, type: exce}}\n"),
            "3:21",
            "unknown-type",
            "did you mean `exec`?",
        ),
        (
            "an unknown dependency",
            exec("payload: {command: [a]}, params: {dependsOn: sid}"),
            "3:72",
            "unknown-dependency",
            "did you mean `side`?",
        ),
        (
            "an unknown reference",
            exec("payload: {command: ['@<sde.out::/x>']}"),
            "3:50",
            "unknown-reference",
            "did you mean `side`?",
        ),
        (
            "a plain name",
            exec("payload: {command: ['@<side>']}"),
            "3:50",
            "unknown-reference",
            "its result is `side.out`",
        ),
        (
            "a word of pop",
            exec("payload: {command: ['@<pop.agendId>']}"),
            "3:50",
            "unknown-reference",
            "did you mean `pop.agendaId`?",
        ),
        (
            "a result that may be missing",
            format!(
                "{HEAD}  - {{name: a, type: sample, params: {{onFail: SKIP}}}}\n  - {{name: b, type: exec, payload: {{command: [x, '@<a.out::/x>']}}}}\n"
            ),
            "4:51",
            "no-fallback",
            "`@<a.out::/x?text>`",
        ),
    ] {
        refused(what, "a.yaml", text, place, code, words);
    }
}

#[test]
fn f43_f79_f81_params_of_wrong_type_are_refused_with_place() {
    for (params, column, code, words) in [
        ("skipPattern: 'a =='", 27, "bad-expression", "write text in single quotes"),
        ("cacheKeyPattern: [x]", 31, "wrong-type", "must be a JMESPath expression, not a list"),
        ("lock: SAVE", 20, "wrong-value", "did you mean `SAFE`?"),
        ("lockKey: []", 23, "wrong-value", "`lockKey` must name at least one key"),
        ("onFail: DQL", 22, "wrong-value", "one of REPLY, SKIP, DLQ, FATAL, not `DQL`"),
        ("delayMs: soon", 23, "wrong-type", "a whole number from 0"),
        ("forEach: 7", 23, "wrong-type", "for example \"@<probe.out::/streams>\""),
        ("maxParallel: 2", 14, "misplaced-param", "`pop run --parallel` limits the run as a whole"),
        (
            "agenda.operation.generator: {}",
            42,
            "missing-field",
            "the location of the operations in its result",
        ),
        ("handler: nobody", 23, "unknown-handler", "`pop handlers` lists them"),
        ("version: 2", 23, "unknown-version", "no handler of type `sample` has version `2`"),
        ("dependsOn: side.faild", 25, "unknown-outcome", "did you mean `side.failed`?"),
    ] {
        let text = format!("{HEAD}  - name: a\n    type: sample\n    params: {{{params}}}\n");
        refused(params, "a.yaml", text, &format!("5:{column}"), code, words);
    }
}

#[test]
fn files_that_cannot_be_read_are_refused() {
    let bench = Bench::new();
    std::fs::create_dir(bench.path("folder")).unwrap();
    for (file, words) in [("none.yaml", "No such file"), ("folder", "it is a folder, not a regular file")] {
        let ended = bench.call("run").argument(file).ends(3);
        nothing_started(&bench, &ended);
        assert_eq!(first_place(&ended), file);
        assert!(ended.stderr.starts_with("error[unreadable]: cannot read the agenda"), "{}", ended.stderr);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    // root may read everything
    if !rustix::process::geteuid().is_root() {
        bench.write("secret.yaml", HEAD);
        let none = std::os::unix::fs::PermissionsExt::from_mode(0o0);
        std::fs::set_permissions(bench.path("secret.yaml"), none).unwrap();
        assert!(bench.pop(3, "run secret.yaml").stderr.contains("Permission denied"));
    }
    // the one that is there is checked all the same
    bench.write("good.yaml", HEAD);
    let ended = bench.pop(3, "check none.yaml good.yaml");
    assert!(ended.stderr.ends_with("good.yaml: 1 operation, no faults\n"), "{}", ended.stderr);
    let list = bench.pop(3, "check --output json none.yaml good.yaml").json();
    assert_eq!((&list[0]["code"], &list[0]["file"]), (&"unreadable".into(), &"none.yaml".into()));
}

#[test]
fn all_faults_are_reported_in_text_order() {
    let bench = Bench::with_agenda(
        "title: 7\noperations:\n  - {name: a, type: exce}\n  - {name: a, type: sample, params: {dependsOn: zz}}\n  - \
         {name: -b, type: exec, payload: {command: x}}\n",
    );
    let ended = bench.pop(3, "run a.yaml");
    nothing_started(&bench, &ended);
    let places: Vec<_> =
        ended.stderr.lines().filter_map(|line| line.trim_start().strip_prefix("--> ")).collect();
    assert_eq!(places, ["a.yaml:1:8", "a.yaml:3:21", "a.yaml:4:12", "a.yaml:4:49", "a.yaml:5:12"]);
    assert_eq!(ended.stderr.lines().last(), Some("5 faults in a.yaml; nothing was started (exit 3)"));
}

#[test]
fn f46_secret_in_an_agenda_is_a_warning_without_its_text() {
    let bench = Bench::new();
    let token = ["ghp_", "0123456789abcdefghijABCDEFGHIJ012345"].concat();
    bench.write(
        "a.yaml",
        format!(
            "operations:\n  - {{name: a, type: exec, payload: {{command: 'curl {token} x', env: {{PASSWORD: hunter2, A: []}}}}}}\n"
        ),
    );
    let told = bench.pop(3, "check a.yaml");
    insta::assert_snapshot!(told.screen(), @r#"
    exit 3
    --- stderr
    error[wrong-type]: `command` must be a list of arguments, not a shell line
     --> a.yaml:2:46
      |
    2 |   - {name: a, type: exec, payload: {command: 'curl **************************************** x', env: {PASSWORD: *******, A: []}}}
      |                                              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write it as ["curl","***","x"]

    warning[secret-literal]: a GitHub token in plain text
     --> a.yaml:2:52
      |
    2 |   - {name: a, type: exec, payload: {command: 'curl **************************************** x', env: {PASSWORD: *******, A: []}}}
      |                                                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: an agenda is stored unchanged: let the program read its environment, or set `secrets` of its type in the registry

    warning[secret-literal]: `PASSWORD` is a secret in plain text
     --> a.yaml:2:113
      |
    2 |   - {name: a, type: exec, payload: {command: 'curl **************************************** x', env: {PASSWORD: *******, A: []}}}
      |                                                                                                                 ^^^^^^^
      |
      = help: an agenda is stored unchanged: let the program read its environment, or set `secrets` of its type in the registry

    error[wrong-type]: `A` in `env` must be text, not a list
     --> a.yaml:2:125
      |
    2 |   - {name: a, type: exec, payload: {command: 'curl **************************************** x', env: {PASSWORD: *******, A: []}}}
      |                                                                                                                             ^
      |
      = help: `{json: …}` is the value as JSON, `{file: …}` the path of a file with it

    2 faults in a.yaml; nothing was started (exit 3)
    "#);
    for output in ["text", "json"] {
        let told = bench.pop(3, &format!("check a.yaml --output {output}")).screen();
        assert!(!told.contains(&token) && !told.contains("hunter2"), "{told}");
    }
}

#[test]
fn f46_strict_treats_warnings_as_errors() {
    let bench = Bench::new();
    bench.write("a.yaml", "operations:\n  - {name: a, type: sample, payload: {api_key: hunter2}}\n");
    bench.pop(0, "check a.yaml");
    insta::assert_snapshot!(bench.pop(3, "check a.yaml --strict").screen(), @r"
    exit 3
    --- stderr
    error[secret-literal]: `api_key` is a secret in plain text
     --> a.yaml:2:48
      |
    2 |   - {name: a, type: sample, payload: {api_key: *******}}
      |                                                ^^^^^^^
      |
      = help: an agenda is stored unchanged: let the program read its environment, or set `secrets` of its type in the registry

    1 fault in a.yaml; nothing was started (exit 3)
    ");
    assert!(bench.pop(3, "check a.yaml --strict --output json").screen().contains("\"severity\": \"error\""));
}
