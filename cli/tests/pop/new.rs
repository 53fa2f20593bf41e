//! `pop new`: created files and refusals. The created handlers are tested, and run alone and in an agenda.

use crate::bench::Bench;
use pop_contract::Description;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The names of everything in a folder, hidden things too.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn help_of_new() {
    insta::assert_snapshot!(Bench::new().pop(0, "new -h").screen(), @r"
    exit 0
    --- stdout
    Create the files of a new handler or operator

    Usage: pop new [OPTIONS] <NAME>

    Arguments:
      <NAME>  Name of the operation type or operator, and of its folder, program and image

    Options:
          --lang <LANG>               Programming language [default: rust] [possible values: rust,
                                      python, shell]
          --kind <KIND>               What to create [default: handler] [possible values: handler,
                                      content, bind, system, operator]
          --toolkit <FOLDER|VERSION>  Source of the Rust toolkit: folder of a pop checkout, or a version
                                      [default: the version of this pop]
          --into <FOLDER>             Create its folder in this folder [default: .]
      -h, --help                      Print help (see more with '--help')

    Exit codes: 0 success, 1 internal error, 2 invalid name or option, or the folder exists already
    ");
}

#[test]
fn invalid_handler_name_suggests_a_valid_one() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.pop(2, "new MyHandler").screen(), @r"
    exit 2
    --- stderr
    error: `MyHandler` is not a handler name: use at most 63 lower-case letters, digits and single `-`, with a letter first and no `-` last
    hint: use `my-handler`
    ");
    insta::assert_snapshot!(bench.pop(2, "new test --lang shell").screen(), @r"
    exit 2
    --- stderr
    error: `test` is not a handler name: it is a name reserved by cargo
    hint: use `test-handler`
    ");
    assert_eq!(names(&bench.path("")), [""; 0]);
}

#[test]
fn new_lists_the_created_files() {
    let bench = Bench::new();
    bench.write("handlers/other", "");
    insta::assert_snapshot!(bench.pop(0, "new my-probe --lang shell --into handlers").screen(), @r"
    exit 0
    --- stdout
    handlers/my-probe/handler.sh
    handlers/my-probe/test.sh
    handlers/my-probe/README.md
    handlers/my-probe/payload.json
    handlers/my-probe/registry.json
    handlers/my-probe/agenda.yaml
    handlers/my-probe/Dockerfile
    handlers/my-probe/.github/workflows/ci.yml
    handlers/my-probe/.gitignore
    --- stderr
    next steps: see `handlers/my-probe/README.md`
    ");
    assert_eq!(names(&bench.path("handlers")), ["my-probe", "other"]);
}

#[test]
fn new_leaves_existing_files_alone() {
    let bench = Bench::new();
    bench.write("a/notes", "mine");
    insta::assert_snapshot!(bench.pop(2, "new a").screen(), @r"
    exit 2
    --- stderr
    error: `a` exists already; nothing was written
    hint: it contains `notes`; choose another name, or move it
    ");
    bench.write("b", "mine");
    bench.pop(2, "new b");
    std::os::unix::fs::symlink("nowhere", bench.path("c")).unwrap();
    bench.pop(2, "new c");
    assert_eq!(names(&bench.path("")), ["a", "b", "c"]);
    assert_eq!(names(&bench.path("a")), ["notes"]);
    assert_eq!(bench.read("b"), "mine");
}

#[test]
fn new_creates_all_files_or_none() {
    let bench = Bench::new();
    for language in ["rust", "python", "shell"] {
        // the first files are short enough, a later one is not
        let call = bench.call("new a --lang").argument(language).after("trap '' XFSZ; ulimit -f 2");
        let said = call.ends(2).stderr;
        assert!(said.contains("cannot create `a`: File too large"), "{said}");
        assert_eq!(names(&bench.path("")), [""; 0]);
    }
    insta::assert_snapshot!(bench.pop(2, "new a --into none").screen(), @r"
    exit 2
    --- stderr
    error: `none` is not a folder; nothing was written
    hint: create it, or pass another folder with `--into`
    ");
}

#[test]
fn toolkit_is_a_checkout_or_a_version_for_rust_only() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.pop(2, "new a --toolkit .").screen(), @r"
    exit 2
    --- stderr
    error: `.` is not a checkout of pop: it has no `handler-base/Cargo.toml`
    hint: pass the folder of a checkout, or a version such as 0.1.0
    ");
    insta::assert_snapshot!(bench.pop(2, "new a --lang python --toolkit 0.1.0").screen(), @r"
    exit 2
    --- stderr
    error: `--toolkit` is for `--lang rust`: other handlers need no toolkit
    ");
    insta::assert_snapshot!(bench.pop(2, "new a --lang shell --kind bind").screen(), @r"
    exit 2
    --- stderr
    error: `--kind content`, `bind` and `system` are for `--lang rust`
    hint: docs/formats/reports.md defines payload and result of such a handler for any language
    ");
    bench.write("pop/handler-base/Cargo.toml", "");
    bench.pop(0, "new a --toolkit pop");
    let path = bench.path("pop").canonicalize().unwrap().join("handler-base");
    let line = format!("pop-handler-base = {{ path = {:?} }}\n", path.to_str().unwrap());
    assert!(bench.read("a/Cargo.toml").contains(&line));
    bench.pop(0, "new b --toolkit 0.7.1");
    assert!(bench.read("b/Cargo.toml").contains("pop-handler-base = \"0.7.1\"\n"));
    bench.pop(0, "new c");
    assert!(bench.read("c/Cargo.toml").contains(concat!(
        "pop-handler-base = \"",
        env!("CARGO_PKG_VERSION"),
        "\"\n"
    )));
}

/// A name of maximum length: the created files must be formatted and found with it, too.
const NAME: &str = "the-longest-name-of-all-is-one-of-sixty-three-letters-no-more-x";

/// A project that was made, and what becomes of it.
struct Made {
    bench: Bench,
    folder: PathBuf,
}

impl Made {
    /// Makes a project.
    fn new(language: &[&str]) -> Self {
        let bench = Bench::new();
        let call = bench.call("new").argument(NAME).argument("--lang");
        let call = language.iter().fold(call, |call, argument| call.argument(argument));
        let printed = call.ends(0).stdout;
        let folder = bench.path(NAME);
        for path in printed.lines() {
            assert!(bench.path(path).is_file(), "{path}");
        }
        Self { bench, folder }
    }

    /// Runs a program in the project's folder; it must succeed. Gives its standard output.
    fn succeeds(&self, program: &str, arguments: &[&str]) -> String {
        let ended = Command::new(program).args(arguments).current_dir(&self.folder).output().unwrap();
        let stdout = String::from_utf8(ended.stdout).unwrap();
        let stderr = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{program} {arguments:?}\n{stdout}\n{stderr}");
        stdout
    }

    /// The handler alone, described, put to the contract, and in its agenda.
    fn works(&self, program: &str, broken: &[&str]) {
        let program = self.folder.join(program);
        let program = program.to_str().unwrap();
        let told = self.succeeds(
            program,
            &["--launchType", "local", "--externalLaunchType", "local", "--payloadFile", "payload.json"],
        );
        let result = told.lines().find_map(|line| line.strip_prefix("pop.report.payload ")).unwrap();
        let result: Value = serde_json::from_str(result).unwrap();
        assert_eq!(result, json!({"text": "hello hello hello", "times": 3}));

        let description = Description::parse(self.succeeds(program, &["--describe"]).as_bytes()).unwrap();
        assert_eq!(description.about.as_deref(), Some("repeats a text"));
        assert_eq!(description.errors.len(), 2);
        let fields = |schema: Option<Value>| {
            let schema = schema.unwrap();
            schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>()
        };
        assert_eq!(fields(description.input), ["pauseSeconds", "text", "times"]);
        assert_eq!(fields(description.result), ["text", "times"]);

        let payload = self.folder.join("payload.json");
        let check =
            self.bench.call("handler check --output json --payload").argument(payload.to_str().unwrap());
        let checked = check.argument(program).ends(if broken.is_empty() { 0 } else { 10 }).json();
        let checks = checked.as_array().unwrap().iter();
        let found: Vec<_> =
            checks.filter(|check| check["verdict"] == "broken").map(|check| &check["check"]).collect();
        assert_eq!(found, broken, "{checked:#}");

        self.bench.pop(0, &format!("run {NAME}/agenda.yaml"));
        let second = self.bench.operation("second");
        assert_eq!(second["result"], json!({"text": "hello hello hello hello", "times": 2}));
    }
}

/// The folder of this workspace.
fn checkout() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/..")
}

#[test]
fn fr_c8_new_shell_handler_keeps_applicable_promises() {
    let made = Made::new(&["shell"]);
    made.succeeds("./test.sh", &[]);
    made.works("handler.sh", &[]);
}

#[test]
fn fr_c8_new_python_handler_keeps_every_promise() {
    let made = Made::new(&["python"]);
    made.succeeds("python3", &["-m", "unittest"]);
    made.works("handler.py", &[]);
}

/// Builds it offline with the versions of this workspace, into a folder that later builds reuse.
fn built(arguments: &[&str], tests: u32) -> Made {
    let made = Made::new(&[&["rust", "--toolkit", checkout()], arguments].concat());
    fs::copy(Path::new(checkout()).join("Cargo.lock"), made.folder.join("Cargo.lock")).unwrap();
    let target = concat!(env!("CARGO_TARGET_TMPDIR"), "/new");
    fs::create_dir_all(target).unwrap();
    std::os::unix::fs::symlink(target, made.folder.join("target")).unwrap();
    let cargo = |arguments: &str| {
        // without debug information
        let config =
            ["profile.dev.debug=0", "profile.dev.incremental=false"].map(|value| ["--config", value]);
        let arguments: Vec<&str> = config.into_iter().flatten().chain(arguments.split(' ')).collect();
        made.succeeds(env!("CARGO"), &arguments)
    };
    cargo("fmt --check");
    cargo("build --offline");
    assert!(cargo("test --offline").contains(&format!("{tests} passed")));
    cargo("clippy --offline --all-targets -- -D warnings");
    made
}

/// One test for all that is built in Rust: they share the folder into which they are built, and their name.
#[test]
#[ignore = "builds the toolkit anew; `.ci/run` has a step for it"]
fn new_rust_handlers_work_without_lints() {
    let program = format!("target/debug/{NAME}");
    let made = built(&[], 2);
    made.works(&program, &[]);
    // its clients are features that are off: in a pod it warns, once, and reports by lines
    let mut in_pod = Command::new(made.folder.join(&program));
    in_pod.current_dir(&made.folder).args(["--launchType", "kubernetes", "--payloadFile", "payload.json"]);
    let ended = in_pod.env("MY_POD_NAME", "my-handler-1").output().unwrap();
    let (stdout, stderr) =
        (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
    assert!(ended.status.success() && stdout.contains("pop.report.payload {"), "{stdout}{stderr}");
    assert_eq!(stderr.matches("reports by lines instead of annotations").count(), 1, "{stderr}");
    for (kind, first, second) in [
        ("content", json!({"installed": ["first"]}), json!({"notes": ["first"]})),
        ("bind", json!({"file": "repositories/zoo.repo"}), json!({"removed": true})),
        ("system", json!({"request": "restart-required"}), json!({"request": "restart-required"})),
    ] {
        let made = built(&["--kind", kind], 2);
        let payload = made.folder.join("payload.json");
        let check = made.bench.call("handler check --payload").argument(payload.to_str().unwrap());
        check.argument(made.folder.join(&program).to_str().unwrap()).ends(0);
        made.bench.pop(0, &format!("run {NAME}/agenda.yaml"));
        for (name, details) in [("first", first), ("second", second)] {
            let result = made.bench.operation(name)["result"].clone();
            assert_eq!((&result["succeeded"], &result["details"]), (&json!(true), &details), "{kind}");
        }
    }
    built(&["--kind", "operator"], 1);
}
