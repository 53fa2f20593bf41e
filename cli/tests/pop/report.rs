//! `pop report`: formats, files, runs without an end, and the live server.

use crate::bench::{Bench, PATIENCE};
use crate::running::Running;
use serde_json::Value;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

const AGENDA: &str = "
inputs: {width: {type: integer, default: 720}}
operations:
  - {name: good, type: exec, payload: {command: [echo, hi]}}
  - {name: bad, type: exec, params: {retry: {maxAttempts: 2, delayMs: 1}}, payload: {shell: 'echo \"<b>&\"; exit 3'}}
  - {name: after, type: exec, params: {dependsOn: bad}, payload: {command: ['true']}}
  - {name: never, type: exec, params: {when: 'inputs.width > `900`'}, payload: {command: ['true']}}
";

fn failed() -> Bench {
    let bench = Bench::with_agenda(AGENDA);
    bench.pop(10, "run a.yaml -j 1 -k --run-id r1");
    bench
}

/// The folder of the repository.
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
fn report_writes_a_page_and_names_it() {
    let bench = failed();
    let ended = bench.pop(0, "report r1");
    assert_eq!(ended.stderr, "report: report-r1.html\n");
    let page = bench.read("report-r1.html");
    assert!(page.starts_with("<!doctype html>") && page.contains("default-src 'none'"));
    assert!(page.contains("pop rerun r1 bad -k") && !page.contains("<b>\\u0026"));
    // a file is replaced as a whole, and readable as others that the user creates
    bench.write("into/report.html", "old");
    bench.pop(0, "report last --into into/report.html");
    assert_eq!(bench.read("into/report.html").len(), page.len());
    let names: Vec<_> =
        fs::read_dir(bench.path("into")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["report.html"]);
}

#[test]
fn report_that_cannot_be_written_says_so() {
    let bench = failed();
    let ended = bench.pop(1, "report r1 --into none/report.html");
    assert!(ended.stderr.contains("cannot write the report to `none/report.html`"), "{}", ended.stderr);
    let ended = bench.pop(2, "report r9");
    assert!(ended.stderr.contains("there is no run `r9`"), "{}", ended.stderr);
    bench.pop(2, "report r1 --format pdf");
    bench.pop(2, "report r1 --port 1");
    fs::write(bench.path(".pop/runs/r1/journal"), "not a journal\nat all\n").unwrap();
    bench.pop(15, "report r1");
}

#[test]
fn report_formats_agree_about_the_run() {
    let bench = failed();
    let data = bench.pop(0, "report r1 --format json").json();
    assert_eq!(data["run"]["outcome"], "failed");
    assert_eq!(data["inputs"]["width"], 720);
    let bad = &data["operations"][1];
    assert_eq!((&bad["state"], bad["attempts"].as_array().unwrap().len()), (&"failed".into(), 2));
    assert_eq!(bad["attempts"][1]["waits"][0]["kind"], "backOff");
    let rows = bench.pop(0, "report r1 --format csv").stdout;
    assert_eq!(rows.lines().count(), 1 + 1 + 2 + 1 + 1);
    let text = bench.pop(0, "report r1 --format markdown --into -").stdout;
    assert!(text.contains("| failed | 1 |") && text.contains("<b>&") && text.contains("```text"), "{text}");
    let trace: Value = bench.pop(0, "report r1 --format trace").json();
    let slices = trace["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["ph"] == "X" && event["pid"] == 1);
    assert_eq!(slices.count(), 3);
}

/// A reader of JUnit that CI systems of Python use.
#[test]
fn junit_is_read_by_another_program() {
    let bench = failed();
    bench.pop(0, "report r1 --format junit --into junit.xml");
    let found = Command::new("deploy/wheel").arg("junitparser==5.0.3").current_dir(ROOT).output().unwrap();
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
    let programs = String::from_utf8(found.stdout).unwrap();
    let script = "
import sys
from junitparser import JUnitXml, Failure, Skipped
xml = JUnitXml.fromfile(sys.argv[1])
print(xml.tests, xml.failures, xml.errors, xml.skipped)
for suite in xml:
    for case in suite:
        print(case.name, [type(result).__name__ for result in case.result], repr(case.system_out))
";
    let read = Command::new(format!("{}/python", programs.trim()))
        .args(["-c", script])
        .arg(bench.path("junit.xml"))
        .output()
        .unwrap();
    let text = String::from_utf8(read.stdout).unwrap();
    let wanted =
        "4 1 0 2\ngood [] None\nbad ['Failure'] '<b>&'\nafter ['Skipped'] None\nnever ['Skipped'] None\n";
    // elements about repeated attempts are results in some versions of the reader
    let text = text.replace(", 'RerunFailure'", "");
    assert_eq!(text, wanted, "{}", String::from_utf8_lossy(&read.stderr));
}

#[test]
fn annotations_need_a_github_job() {
    let bench = failed();
    let call = || bench.call("report r1 --format csv --into report.csv --github-annotations");
    assert!(!call().ends(0).stderr.contains("::error"));
    let ended = call().variable("GITHUB_ACTIONS", "true").ends(0);
    assert!(
        ended.stderr.contains("::error title=bad%3A failed::ended with exit status 3"),
        "{}",
        ended.stderr
    );
    let call = |id: &str| bench.call("run a.yaml -j 1 -k -q --github-annotations --run-id").argument(id);
    assert!(!call("r2").ends(10).stderr.contains("::error"));
    let ended = call("r3").variable("GITHUB_ACTIONS", "true").ends(10);
    assert_eq!(
        ended.stderr.matches("::error title=bad%3A failed::ended with exit status 3").count(),
        1,
        "{}",
        ended.stderr
    );
}

/// Parts, operations inside an operation, an empty list, and a list of results.
const NESTED: &str = "
operations:
  - {name: none, type: exec, params: {forEach: []}, payload: {command: ['true']}}
  - {name: items, type: exec, params: {forEach: [a, b], itemFailures: keep}, payload: {shell: 'test $I = a', env: {I: '@<pop.item>'}}}
  - name: inner
    type: agenda
    params: {forEach: [x, y]}
    payload: {operations: [{name: one, type: exec, payload: {command: ['true']}}, {name: two, type: exec, params: {dependsOn: one, when: 'inputs.no'}, payload: {command: ['true']}}]}
  - {name: read, type: exec, params: {forEach: '@<items.out::>'}, payload: {command: ['true']}}
  - {name: after, type: exec, params: {dependsOn: read}, payload: {command: ['true']}}
inputs: {no: {type: boolean, default: false}}
";

#[test]
fn counts_of_a_report_are_those_of_show() {
    let bench = Bench::with_agenda(NESTED);
    bench.pop(0, "run a.yaml -k --run-id r1");
    let shown = bench.pop(0, "show r1").stdout;
    let closing = shown.lines().last().unwrap().to_owned();
    let counts = bench.pop(0, "report r1 --format json").json()["counts"].clone();
    let counts: Vec<(String, u64)> = counts
        .as_array()
        .unwrap()
        .iter()
        .map(|count| (count["state"].as_str().unwrap().to_owned(), count["count"].as_u64().unwrap()))
        .collect();
    assert!(counts.len() >= 3, "{counts:?}");
    for (state, count) in &counts {
        assert!(closing.contains(&format!("{count} {state}")), "{state} {count}: {closing}");
    }
    let all = bench.shown()["operations"].as_array().unwrap().len() as u64;
    assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), all);
    let text = bench.pop(0, "report r1 --format markdown").stdout;
    assert!(counts.iter().all(|(state, count)| text.contains(&format!("| {state} | {count} |"))), "{text}");
}

#[test]
fn report_of_a_rerun_names_its_parent() {
    let bench = failed();
    bench.pop(10, "rerun r1 --run-id r2 -k");
    let data = bench.pop(0, "report r2 --format json").json();
    assert_eq!(data["run"]["rerunOf"], "r1");
    assert_eq!(data["run"]["reusedFrom"], serde_json::json!([["r1", 1]]));
}

/// One request; the answer as it comes.
fn request(address: &str, head: &str) -> BufReader<TcpStream> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "{head}\r\nConnection: close\r\n\r\n").unwrap();
    BufReader::new(stream)
}

fn answer(address: &str, head: &str) -> String {
    let mut text = String::new();
    request(address, head).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn live_report_follows_a_run_and_answers_only_to_its_name() {
    let bench = Bench::with_agenda(
        "operations:
  - {name: first, type: exec, payload: {shell: 'echo started > ready; cat go'}}
  - {name: second, type: exec, params: {dependsOn: first}, payload: {command: ['true']}}
",
    );
    bench.fifo("go");
    let run = bench.call("run a.yaml --run-id r1").spawn();
    bench.wait_for("ready", 1);
    let ended = bench.pop(0, "report r1 --into now.html");
    assert!(ended.stderr.contains("run r1 has not ended"), "{}", ended.stderr);
    let mut live: Running = bench.call("report --live r1 --until-end").spawn();
    live.prints("http://127.0.0.1:");
    let printed = live.printed().trim().to_owned();
    let (address, path) = printed.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let page = answer(address, &format!("GET /{path} HTTP/1.1\r\nHost: {address}"));
    assert!(
        page.starts_with("HTTP/1.1 200")
            && page.contains("connect-src 'self'")
            && page.contains("\"state\":\"running\"")
    );
    assert!(!page.to_lowercase().contains("access-control-allow"));
    let status = |head: &str| answer(address, head).split(' ').nth(1).unwrap().to_owned();
    assert_eq!(status(&format!("GET /{path} HTTP/1.1\r\nHost: evil.example")), "421");
    assert_eq!(status(&format!("GET /{path} HTTP/1.1\r\nHost: evil.example:80")), "421");
    assert_eq!(status(&format!("POST /{path} HTTP/1.1\r\nHost: {address}")), "405");
    assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: {address}")), "404");
    assert_eq!(status(&format!("GET /{path}../x HTTP/1.1\r\nHost: {address}")), "404");
    let mut events = request(address, &format!("GET /{path}events?since=1 HTTP/1.1\r\nHost: {address}"));
    fs::write(bench.path("go"), "go\n").unwrap();
    let mut line = String::new();
    while !line.contains("\"outcome\":\"succeeded\"") {
        line.clear();
        assert_ne!(events.read_line(&mut line).unwrap(), 0, "the stream ended before the run");
    }
    run.ends(0);
    live.ends(0);
}

#[test]
fn live_report_until_the_end_ends_with_a_dead_executor() {
    let bench = Bench::with_agenda(
        "operations:
  - {name: waits, type: exec, payload: {shell: 'echo started > ready; cat go'}}
",
    );
    bench.fifo("go");
    let run = bench.call("run a.yaml --run-id r1").spawn();
    bench.wait_for("ready", 1);
    let mut live: Running = bench.call("report --live r1 --until-end").spawn();
    live.prints("http://127.0.0.1:");
    run.crash();
    let ended = live.end();
    assert_eq!(ended.code, 15, "{}", ended.stderr);
    assert!(ended.stderr.contains("run r1 has no end: its executor died"), "{}", ended.stderr);
    let data = bench.pop(0, "report r1 --format json").json();
    let operation = &data["operations"][0];
    assert_eq!((&data["run"]["state"], &operation["state"]), (&"stopped".into(), &"stopped".into()));
    assert_eq!(operation["attempts"][0]["outcome"], "lost");
    assert!(operation["attempts"][0]["completedTime"].is_number(), "{operation:#}");
    let shown = bench.pop(0, "show r1").stdout;
    assert!(shown.lines().any(|line| line.starts_with("waits") && line.contains(" stopped ")), "{shown}");
}
