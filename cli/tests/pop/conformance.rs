//! `pop handler check`: output, exit codes and cleanup.

use crate::bench::Bench;
use rustix::process::Signal;
use serde_json::Value;

/// A handler that reads only the variable PAYLOAD, and accepts any value.
const NAIVE: &str = r#"#!/bin/sh
[ -n "$PAYLOAD" ] || exit 1
echo "pop.report.payload {\"length\": ${#PAYLOAD}}"
"#;

#[test]
fn help_of_handler_check() {
    insta::assert_snapshot!(Bench::new().pop(0, "handler check -h").screen(), @r"
    exit 0
    --- stdout
    Launch a program about 30 times and check each promise of the handler contract

    Usage: pop handler check [OPTIONS] <PROGRAM> [ARG]...

    Arguments:
      <PROGRAM>  Program to test; it starts in an empty folder, so pass absolute paths
      [ARG]...   Arguments of the program; write -- before arguments that begin with a dash

    Options:
          --payload <FILE>      JSON file with a payload that the program accepts [default: the payload
                                {}]
          --bad-payload <FILE>  File with a payload that the program must reject
          --timeout-ms <MS>     Limit the time of one launch, in milliseconds; it also limits the grace
                                after SIGTERM (at most 10 s) [default: 10000]
          --warm                Check instead whether the program serves many operations, as `warm` in a
                                registry entry asks for
          --output <OUTPUT>     Output format [default: text] [possible values: text, json]
      -h, --help                Print help (see more with '--help')

    Exit codes: 0 no promise is broken, 1 internal error, 2 invalid command line, 10 a promise is broken
    ");
}

#[test]
fn plain_program_keeps_all_applicable_promises() {
    let bench = Bench::new();
    insta::assert_snapshot!(bench.pop(0, "handler check true").screen(), @r"
    exit 0
    --- stdout
    CHECK                      PROMISE                                                             VERDICT
    payload-variable           it succeeds with the payload in PAYLOAD                             kept
    same-result                it returns the same result when the attempt is launched again       kept
    payload-compressed         it reads a payload in compressed segments                           not applicable: it ends in the same way without a payload
    payload-file               it reads a payload from a file                                      not applicable: it ends in the same way without a payload
    payload-large              it reads a payload of 16 MiB                                        not applicable: it ends in the same way without a payload
    payload-file-unreadable    it fails if the payload file is missing, whatever PAYLOAD holds     not applicable: it ends in the same way without a payload
    payload-not-json           it fails with a message if the payload is not JSON                  not applicable: it ends in the same way without a payload
    payload-not-utf8           it fails if the payload file is not UTF-8                           not applicable: it ends in the same way without a payload
    payload-refused            it fails if it cannot use the payload                               not applicable: no payload was given that it must refuse
    argument-spellings         it accepts every spelling of --payloadFile                          not applicable: its log does not end with HandlerComplete
    argument-over-environment  arguments override the environment                                  not applicable: its log does not end with HandlerComplete
    property-file              it reads launch data from the properties file of --propFile         not applicable: its log does not end with HandlerComplete
    property-file-missing      it exits with 2 if the named properties file is missing             not applicable: its log does not end with HandlerComplete
    launch-type-unknown        it exits with 2 if the launch type is unknown                       not applicable: its log does not end with HandlerComplete
    describes-itself           --describe prints one description and needs no payload              not applicable: its log does not end with HandlerComplete
    last-progress              it returns the same result with the progress of an earlier attempt  kept
    last-progress-broken       it ignores a last progress that is not JSON                         not applicable: its log does not end with HandlerComplete
    environment-not-utf8       it ignores foreign variables that are not UTF-8                     kept
    environment-unusual        it works in any locale and time zone, and without HOME              kept
    stdin-unused               it does not wait for standard input                                 kept
    stdout-closed              it ends without success if nobody reads its reports                 not applicable: it reports nothing
    stops-when-asked           SIGTERM ends it within the grace                                    not applicable: it finished before it was stopped; give a payload that takes longer
    leaves-nothing-behind      no process that it started outlives it                              kept
    report-lines               its report lines are JSON of the right shape, within the limits     not applicable: it reports nothing
    percent-range              its percentages lie between 0 and 100                               not applicable: it reports nothing
    percent-grows              its percentages never go back                                       not applicable: it reports nothing
    final-report               it sends at most one final report, with launch data exactly one     not applicable: it reports nothing
    report-agrees              its final report and exit status agree                              not applicable: it reports nothing
    --- stderr
    7 kept, 0 broken, 21 not applicable
    ");
    assert!(!bench.has(".pop"));
}

#[test]
fn broken_promise_shows_how_to_repeat_and_fix_it() {
    let bench = Bench::new();
    bench.program("naive.sh", NAIVE);
    bench.write("good.json", "{\"a\": [\"it's\"]}\n");
    let ended = bench.pop(10, "handler check --payload good.json ./naive.sh");
    assert!(ended.stderr.ends_with("kept, 5 broken, 9 not applicable\n"), "{}", ended.stderr);
    let (_, details) = ended.stdout.split_once("\n\n").unwrap();
    let told: Vec<&str> = details.lines().filter(|line| line.ends_with("is broken")).collect();
    assert_eq!(
        told,
        [
            "payload-compressed is broken",
            "payload-file is broken",
            "payload-large is broken",
            "payload-file-unreadable is broken",
            "payload-not-json is broken"
        ]
    );
    let unreadable = details.split("\n\n").find(|part| part.starts_with("payload-file-unreadable")).unwrap();
    let lines: Vec<&str> = unreadable.lines().collect();
    assert_eq!(
        lines[1..4],
        [
            "  action:  launched with POP_PAYLOAD_FILE naming no file, and a good PAYLOAD",
            "  result:  it succeeded: exit status 0",
            "  fix:     when a payload file is named and cannot be read, end with status 2 and try nothing else"
        ]
    );
    let command = lines[4].strip_prefix("  repeat:  ").unwrap();
    let repeated = std::process::Command::new("sh").args(["-c", command]).output().unwrap();
    assert_eq!(String::from_utf8(repeated.stdout).unwrap(), "pop.report.payload {\"length\": 15}\n");
}

#[test]
fn check_output_json_lists_every_check() {
    let bench = Bench::new();
    bench.program("naive.sh", NAIVE);
    let list = bench.pop(10, "handler check --output json ./naive.sh").json();
    let check = |id: &str| list.as_array().unwrap().iter().find(|check| check["check"] == id).unwrap();
    let kept = check("same-result");
    assert_eq!(
        (&kept["verdict"], &kept["seen"], &kept["hint"]),
        (&"kept".into(), &Value::Null, &Value::Null)
    );
    let excused = check("property-file");
    assert_eq!(excused["verdict"], "notApplicable");
    assert_eq!(excused["seen"], "its log does not end with HandlerComplete");
    let broken = check("payload-file");
    assert_eq!(broken["verdict"], "broken");
    assert_eq!(broken["seen"], "launched with the payload in the file of POP_PAYLOAD_FILE: exit status 1");
    assert!(broken["hint"].as_str().unwrap().starts_with("for POP_PAYLOAD_TYPE `file` read the file"));
    assert!(broken["command"].as_str().unwrap().contains("> payload.json && env -i PATH=\"$PATH\" "));
}

#[test]
fn invalid_handler_check_arguments_exit_with_2() {
    let bench = Bench::new();
    bench.write("text.json", "no JSON");
    bench.write("long.json", format!("[{}1]", " ".repeat(200_000)));
    for (arguments, words) in [
        ("no-such-program", "program `no-such-program` not found"),
        ("./text.json", "is not executable"),
        ("--payload none.json true", "cannot read the payload `none.json`: No such file"),
        ("--bad-payload none.json true", "cannot read the payload `none.json`"),
        ("--payload text.json true", "payload is not JSON"),
        ("--payload long.json true", "does not fit in the environment variable `PAYLOAD`"),
        ("--timeout-ms 0 true", "0 is not in 1.."),
        ("true -x", "unexpected argument '-x'"),
    ] {
        let said = bench.pop(2, &format!("handler check {arguments}")).stderr;
        assert!(said.contains(words), "{arguments}: {said}");
    }
    bench.pop(0, "handler check -- true -x");
}

#[test]
fn interrupted_check_leaves_nothing_behind() {
    let bench = Bench::new();
    bench.write("tmp/here", "");
    bench.fifo("never");
    let script = "#!/bin/sh\n[ -e ../../../pid ] && exit\necho $$ > ../../../pid; setsid sh -c 'echo $$ > ../../../daemon; read line < ../../../never'\n";
    bench.program("waits.sh", script);
    let tmp = bench.path("tmp");
    let call = bench.call("handler check --timeout-ms 60000 ./waits.sh");
    let running = call.variable("TMPDIR", tmp.to_str().unwrap()).spawn();
    bench.wait_for("daemon", 1);
    let (handler, daemon) = (bench.process("pid"), bench.process("daemon"));
    running.signal(Signal::INT);
    assert_eq!(running.end().code, 130);
    handler.ends();
    daemon.ends();
    let left: Vec<_> = std::fs::read_dir(tmp).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["here"]);
}
