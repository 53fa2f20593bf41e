//! Descriptors in `conf.d`: selection, program lookup, copies in runs, and warnings.

use crate::bench::Bench;
use serde_json::json;

/// Says that it ran, and with which properties.
const PROGRAM: &str = "#!/bin/sh\necho \"${0##*/} $POP_PROPERTIES\" >> ran\n";

/// A descriptor of one content type.
fn tar(class: &str) -> String {
    format!("[main]\nenabled=1\n\n[types]\ncontent=tar\n\n[tar]\nclass={class}\n")
}

/// A folder with an agenda of one operation of type `tar`, and a program for it.
fn bench() -> Bench {
    let bench = Bench::with_agenda("operations:\n  - {name: a, type: tar}\n");
    bench.write("conf.d/unpack.conf", tar("tar.Handler"));
    bench.program("handlers/unpack", PROGRAM);
    bench
}

/// The handlers that are listed, `ID COMMAND FROM`.
fn listed(bench: &Bench, code: i32) -> Vec<String> {
    let list = bench.pop(code, "handlers").stdout;
    let rows = list.lines().skip(1).filter(|row| !row.contains("built in"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split_whitespace().collect();
        format!("{} {} {}", cells[1], cells[3], cells[5])
    })
    .collect()
}

#[test]
fn u1_descriptors_are_conf_files_in_sorted_order() {
    let bench = Bench::new();
    for file in ["b.conf", "a.conf", "c.conf~", "d.co", "e.conf.bak", "F.CONF"] {
        bench.write(&format!("conf.d/{file}"), tar(file));
    }
    bench.write("conf.d/folder.conf/x.conf", tar("x"));
    // the second of a type is the later in the order of names
    assert_eq!(listed(&bench, 4), ["a/content.tar a.conf conf.d/a.conf"]);
    let said = bench.pop(4, "handlers").stderr;
    assert!(said.contains("error[duplicate-type]: `a/content.tar` already serves type `tar`"), "{said}");
    assert!(said.contains("--> conf.d/b.conf:7:2\n"), "{said}");
    assert_eq!(said.matches("error").count(), 1, "{said}");
}

#[test]
fn u1_named_descriptor_folder_must_exist() {
    let bench = bench();
    bench.write("there/more.conf", tar("by-argument"));
    bench.write("elsewhere/more.conf", tar("by-property"));
    bench.write("p.properties", "confDPath=elsewhere\n");
    let class = |arguments: &str| {
        let list = bench.pop(0, arguments).stdout;
        let row = list.lines().nth(1).unwrap().split_whitespace().nth(3).unwrap().to_owned();
        row.rsplit('/').next().unwrap().to_owned()
    };
    assert_eq!(class("handlers"), "unpack");
    assert_eq!(class("handlers --prop-file p.properties"), "by-property");
    assert_eq!(class("handlers --prop-file p.properties --conf-d there"), "by-argument");
    for arguments in ["handlers", "check a.yaml", "plan a.yaml", "run a.yaml"] {
        let ended = bench.pop(4, &format!("{arguments} --conf-d nowhere"));
        assert!(!bench.has(".pop"));
        assert!(
            ended.stderr.starts_with("error: cannot read the descriptors in `nowhere`: "),
            "{}",
            ended.stderr
        );
    }
    // a missing default folder is ignored, and not created
    let empty = Bench::new();
    assert_eq!(listed(&empty, 0), [""; 0]);
    assert!(!empty.has("conf.d"));
}

#[test]
fn u1_default_descriptor_folder_is_next_to_the_agenda() {
    let bench = Bench::new();
    bench.write("sub/a.yaml", "operations:\n  - {name: a, type: tar}\n");
    bench.write("sub/conf.d/unpack.conf", tar("tar.Handler"));
    bench.program("sub/handlers/unpack", PROGRAM);
    bench.pop(0, "run sub/a.yaml");
    assert!(bench.read("ran").starts_with("unpack "));
}

#[test]
fn u2_bad_descriptor_is_skipped_with_a_warning() {
    let bench = bench();
    bench.write("conf.d/bad.conf", "[main]\nenabled=perhaps\n[types]\n");
    let ended = bench.pop(0, "run a.yaml");
    assert!(ended.stderr.starts_with("warning[wrong-value]: `enabled` must be 1, true"), "{}", ended.stderr);
    assert!(ended.stderr.contains("--> conf.d/bad.conf:2:9\n"), "{}", ended.stderr);
    // for `pop handlers` and `--strict` it is an error
    bench.pop(0, "check a.yaml");
    bench.pop(4, "check a.yaml --strict");
    assert_eq!(listed(&bench, 4).len(), 1);
    let faults = bench.pop(0, "check a.yaml --output json").json();
    assert_eq!((&faults[0]["file"], &faults[0]["line"]), (&json!("conf.d/bad.conf"), &json!(2)));
}

#[test]
fn u2_descriptor_that_is_not_utf8_is_skipped() {
    let bench = bench();
    bench.write("conf.d/noise.conf", [0x7f, 0xff, 0]);
    let ended = bench.pop(0, "run a.yaml");
    assert!(
        ended.stderr.contains("warning[not-text]") && ended.stderr.contains("noise.conf"),
        "{}",
        ended.stderr
    );
}

#[test]
fn u4_faulty_type_fails_only_agendas_that_use_it() {
    let bench = bench();
    bench.write("conf.d/half.conf", "[main]\nenabled=1\n[types]\ncontent=zip, rpm\n[rpm]\nimport_key=1\n");
    let said = bench.pop(0, "run a.yaml").stderr;
    assert_eq!(said.matches("warning[missing-field]").count(), 2, "{said}");
    for (name, words) in [("zip", "section `[zip]` is missing"), ("rpm", "`[rpm]` has no `class`")] {
        bench.write("b.yaml", format!("operations:\n  - {{name: b, type: {name}}}\n"));
        let ended = bench.pop(4, "run b.yaml");
        assert!(
            ended.stderr.contains("error[missing-field]") && ended.stderr.contains(words),
            "{}",
            ended.stderr
        );
        assert!(
            ended.stderr.contains("1 fault in conf.d/half.conf; nothing was started (exit 4)"),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("unknown-type"), "{}", ended.stderr);
    }
}

#[test]
fn u6_properties_of_the_section_reach_the_handler() {
    let bench = bench();
    bench.write("conf.d/unpack.conf", tar("x") + "preserve_permissions=1\nparameter.query.state=query\n");
    bench.pop(0, "run a.yaml");
    let ran = bench.read("ran");
    let properties: serde_json::Value = serde_json::from_str(ran.strip_prefix("unpack ").unwrap()).unwrap();
    assert_eq!(properties, json!({"class": "x", "preserve_permissions": "1", "query.state": "query"}));
}

#[test]
fn u8_program_is_found_by_name_then_class_then_path() {
    let bench = bench();
    let found = |more: &str| {
        let list = bench.call(&format!("handlers {more}")).variable("PATH", &path(&bench)).ends(0).stdout;
        list.lines().nth(1).unwrap().split_whitespace().nth(3).unwrap().to_owned()
    };
    let at = |name: &str| bench.path("").canonicalize().unwrap().join(name).display().to_string();
    let found = |more: &str| found(more).replace(&bench.path("").display().to_string(), &at(""));
    bench.program("bin/tar.Handler", PROGRAM);
    bench.program("handlers/tar.Handler", PROGRAM);
    bench.program("more/tar.Handler", PROGRAM);
    bench.write("p.properties", "handlerFolders = none, more\n");
    assert_eq!(found(""), at("handlers/unpack"));
    std::fs::remove_file(bench.path("handlers/unpack")).unwrap();
    assert_eq!(found(""), at("handlers/tar.Handler"));
    assert_eq!(found("--prop-file p.properties"), at("more/tar.Handler"));
    assert_eq!(
        found("--handlers none --handlers handlers --prop-file p.properties"),
        at("handlers/tar.Handler")
    );
    assert_eq!(found("--handlers none"), at("bin/tar.Handler"));
}

/// A search path with a folder of the test in front.
fn path(bench: &Bench) -> String {
    format!("{}:{}", bench.path("bin").display(), std::env::var("PATH").unwrap())
}

#[test]
fn u8_missing_program_fails_only_agendas_that_use_its_type() {
    let bench = bench();
    bench.write("conf.d/other.conf", tar("nowhere.Handler").replace("tar", "zip"));
    bench.pop(0, "run a.yaml");
    bench.write("b.yaml", "operations:\n  - {name: b, type: zip}\n");
    let ended = bench.pop(4, "run b.yaml");
    let said = &ended.stderr;
    assert!(
        said.starts_with("error[program-not-found]: type `zip`: program `nowhere.Handler` not found"),
        "{said}"
    );
    assert!(
        said.contains("--> conf.d/other.conf:8:7\n") && said.contains("/usr/lib64/pop/handlers"),
        "{said}"
    );
    // an existing program without permission to start is reported as such
    bench.write("handlers/other", "");
    let said = bench.pop(4, "run b.yaml").stderr;
    assert!(said.contains("handlers/other` is not executable"), "{said}");
}

#[test]
fn u9_run_keeps_a_copy_of_its_descriptors() {
    let bench = bench();
    bench.write("conf.d/unpack.conf", tar("tar.Handler") + "mode=first\n");
    bench.program("handlers/unpack", &format!("{PROGRAM}test -e go\n"));
    bench.pop(10, "run a.yaml");
    let kept = bench.run_folder().join("inputs/conf.d/unpack.conf");
    assert_eq!(std::fs::read_to_string(&kept).unwrap(), tar("tar.Handler") + "mode=first\n");
    std::fs::remove_dir_all(bench.path("conf.d")).unwrap();
    bench.write("go", "");
    bench.pop(0, "resume last");
    let ran = bench.read("ran");
    let wanted = "unpack {\"class\":\"tar.Handler\",\"mode\":\"first\"}\n";
    assert_eq!(ran, format!("{wanted}{wanted}"));
    // a program changed in place differs from the one that the run started with
    std::fs::write(&kept, tar("other")).unwrap();
    assert!(bench.pop(15, "resume last").stderr.contains("were changed since it began"));
}

#[test]
fn u9_reload_lists_changes_since_the_run_started() {
    let bench = bench();
    bench.write("conf.d/zip.conf", tar("exec").replace("tar", "zip"));
    bench.write("registry.yaml", "a: {command: ['true']}\nb: {command: ['true']}\n");
    bench.pop(0, "run a.yaml");
    let same = bench.pop(0, "handlers reload");
    assert_eq!(same.stdout, "");
    assert!(same.stderr.starts_with("no handler has changed since run last started"), "{}", same.stderr);
    bench.write("registry.yaml", "a: {command: ['false']}\nc: {command: ['true']}\n");
    bench.write("conf.d/unpack.conf", tar("tar.Handler") + "mode=2\n");
    bench.write("conf.d/zip.conf", "[main]\nenabled=no\n");
    bench.write("conf.d/new.conf", tar("sample").replace("tar", "yum"));
    let changed = bench.pop(0, "handlers reload").stdout;
    assert_eq!(
        changed,
        "changed a\ngone b\nnew c\nnew new/content.yum\nchanged unpack/content.tar\ngone zip/content.zip\n"
    );
    // a descriptor that became faulty keeps its earlier version, and its fault is reported
    bench.write("conf.d/unpack.conf", "[main]\nenabled=1\n[types]\ncontent=tar\n");
    bench.write("registry.yaml", "a: {command: []}\n");
    let faulty = bench.pop(4, "handlers reload");
    assert_eq!(faulty.stdout, "new new/content.yum\ngone zip/content.zip\n");
    for words in
        ["type `tar` is listed, but section `[tar]` is missing", "`command` must begin with a program"]
    {
        assert!(faulty.stderr.contains(words), "{}", faulty.stderr);
    }
}

#[test]
fn u11_later_descriptor_may_replace_an_earlier_one() {
    let bench = bench();
    bench.program("handlers/zz", PROGRAM);
    bench.write("conf.d/zz.conf", tar("x"));
    let said = bench.pop(4, "run a.yaml").stderr;
    assert!(said.contains("error[duplicate-type]") && said.contains("override=1"), "{said}");
    bench.write("conf.d/zz.conf", tar("x").replace("enabled=1", "enabled=1\noverride=1"));
    bench.pop(0, "run a.yaml");
    assert!(bench.read("ran").starts_with("zz "));
}

#[test]
fn r10_disabled_or_unused_descriptor_starts_nothing() {
    let bench = bench();
    for (name, enabled) in [("off", "0"), ("idle", "1")] {
        bench.write(
            &format!("conf.d/{name}.conf"),
            tar("x").replace("tar", name).replace("enabled=1", &format!("enabled={enabled}")),
        );
        bench.program(&format!("handlers/{name}"), PROGRAM);
    }
    bench.pop(0, "run a.yaml");
    assert_eq!(
        bench.read("ran").lines().map(|line| line.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["unpack"]
    );
    bench.write("b.yaml", "operations:\n  - {name: b, type: off}\n");
    assert!(bench.pop(3, "run b.yaml").stderr.contains("which no handler serves"));
}

#[test]
fn r10_built_in_class_needs_no_program() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: say, payload: {command: [sh, -c, 'echo said > ran']}}\n",
    );
    bench.write("conf.d/say.conf", tar("exec").replace("tar", "say"));
    bench.pop(0, "run a.yaml");
    assert_eq!(bench.read("ran"), "said\n");
}

#[test]
fn handlers_show_lists_every_handler_with_field_origins() {
    let bench = bench();
    bench.write("conf.d/untar.conf", tar("true") + "role.onFail=SKIP\n");
    std::fs::remove_file(bench.path("conf.d/unpack.conf")).unwrap();
    bench.write(
        "registry.yaml",
        "basePodConfig: {}\ntar: {command: ['true'], version: 1, inputs: [agenda], policies: {retry: {maxAttempts: 2}}}\nnew: {type: tar, command: ['true'], actions: {read: {}}}\n",
    );
    insta::assert_snapshot!(bench.pop(0, "handlers --handlers /bin").screen(), @r"
    exit 0
    --- stdout
    TYPE          HANDLER            VERSION  COMMAND    IMAGE  FROM               ACTIONS
    tar           tar                1        true       -      registry.yaml      all
    tar           new                -        true       -      registry.yaml      read
    tar           untar/content.tar  -        /bin/true  -      conf.d/untar.conf  content.install, content.update, content.uninstall, content.profile, bind.clean
    exec          exec               -        -          -      built in           all
    dispatch      dispatch           -        -          -      built in           all
    agenda        agenda             -        -          -      built in           all
    logMessages   logMessages        -        -          -      built in           all
    updateAgenda  updateAgenda       -        -          -      built in           all
    sample        sample             -        -          -      built in           all
    ");
    insta::assert_snapshot!(bench.pop(0, "handlers --handlers /bin show tar").screen(), @r#"
    exit 0
    --- stdout
    tar
    version         1                  entry, registry.yaml:2:35
    inputs          agenda             entry, registry.yaml:2:46
    command         true               entry, registry.yaml:2:16
    policies.retry  {"maxAttempts":2}  entry, registry.yaml:2:74

    new
    type     tar   entry, registry.yaml:3:13
    actions  read  entry, registry.yaml:3:46
    command  true  entry, registry.yaml:3:27

    untar/content.tar
    actions      content.install, content.update, content.uninstall, content.profile, bind.clean  descriptor, conf.d/untar.conf:5:9
    class        true                                                                             descriptor, conf.d/untar.conf:8:7
    role.onFail  SKIP                                                                             descriptor, conf.d/untar.conf:9:13
    command      /bin/true                                                                        program found
    "#);
}
