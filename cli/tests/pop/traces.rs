//! Traces of runs, received by a collector of another project (oteltap), and collectors that fail.

use crate::bench::{Bench, PATIENCE};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const HANDLER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pop/traced_handler.py");

/// The folder of oteltap's programs, with a Python that has the messages of OTLP.
fn programs() -> &'static str {
    static PROGRAMS: OnceLock<String> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let found = Command::new("deploy/oteltap").current_dir(ROOT).output().unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        String::from_utf8(found.stdout).unwrap().trim().to_owned()
    })
}

/// A running oteltap, which prints each span that it receives as a line of JSON.
struct Collector {
    child: Child,
    lines: Receiver<Value>,
    url: String,
    seen: Vec<Value>,
}

impl Collector {
    fn start() -> Self {
        // oteltap takes no listening socket and does not choose a port
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(format!("{}/oteltap", programs()));
        command.args(["--port", &port.to_string()]).env("PYTHONUNBUFFERED", "1");
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        stdout.read_line(&mut first).unwrap();
        assert!(first.contains(&port.to_string()), "{first}");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(serde_json::from_str(&line).unwrap()).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, url: format!("http://127.0.0.1:{port}"), seen: Vec::new() }
    }

    /// Waits for a span whose name has these words, and returns everything that came so far.
    fn wait_for(&mut self, name: &str) -> &[Value] {
        let is_it = |span: &Value| span["name"].as_str().unwrap().contains(name);
        while !self.seen.iter().any(is_it) {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| unreachable!("no {name:?} in {:#?}", self.seen));
            // a sender that was killed before it moved the mark makes the next one repeat spans, unchanged
            if !self.seen.contains(&line) {
                self.seen.push(line);
            }
        }
        &self.seen
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The names of spans below each span; spans without a parent are below "".
fn tree(spans: &[Value]) -> BTreeMap<String, BTreeSet<String>> {
    let text = |span: &Value, field: &str| span[field].as_str().unwrap().to_owned();
    let names: BTreeMap<String, String> =
        spans.iter().map(|span| (text(span, "spanId"), text(span, "name"))).collect();
    let mut below: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for span in spans {
        let parent = text(span, "parentSpanId");
        let parent = names.get(&parent).cloned().unwrap_or(parent);
        assert!(below.entry(parent).or_default().insert(text(span, "name")), "{span}");
    }
    below
}

fn attribute<'s>(span: &'s Value, name: &str) -> Option<&'s Value> {
    let mut all = span["attributes"].as_array().unwrap().iter();
    all.find(|attribute| attribute["key"] == name).map(|attribute| &attribute["value"])
}

fn named<'s>(spans: &'s [Value], name: &str) -> &'s Value {
    spans.iter().find(|span| span["name"] == name).unwrap()
}

#[test]
fn trace_of_a_run_is_a_tree_with_the_spans_of_handlers() {
    let mut collector = Collector::start();
    let bench = Bench::with_agenda(&format!(
        r#"
operations:
  - name: flaky
    type: exec
    params: {{retry: {{maxAttempts: 2, delayMs: 20}}}}
    payload: {{command: [sh, -c, "test -e tried || {{ touch tried; echo no luck >&2; exit 3; }}"]}}
  - {{name: traced, type: exec, params: {{dependsOn: flaky}}, payload: {{command: [{python}/python, {HANDLER}, "{url}"]}}}}
  - {{name: each, type: logMessages, params: {{forEach: [1, 2], dependsOn: traced}}, payload: {{logMessages: ["item @<pop.item>"]}}}}
"#,
        python = programs(),
        url = collector.url,
    ));
    let said = bench.call("run a.yaml --otlp").argument(&collector.url).ends(0).stderr;
    assert!(said.contains(" spans sent to http://127.0.0.1:"), "{said}");
    let spans = collector.wait_for("run a.yaml");
    let below = tree(spans);
    let below = |name: &str| below.get(name).into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(below(""), ["run a.yaml"]);
    assert_eq!(below("run a.yaml"), ["each", "flaky", "started", "traced"]);
    assert_eq!(below("flaky"), ["flaky: attempt 1", "flaky: attempt 2"]);
    assert_eq!(below("traced: attempt 1"), ["work of the handler"]);
    assert_eq!(below("each"), ["each#0", "each#1"]);
    assert_eq!(spans.last().unwrap()["name"], "run a.yaml");
    let (first, second) = (named(spans, "flaky: attempt 1"), named(spans, "flaky: attempt 2"));
    assert_eq!(first["status"]["message"], "[exit] ended with exit status 3");
    assert_eq!(attribute(first, "pop.log.tail").unwrap()["stringValue"], "no luck");
    assert_eq!(second["links"][0]["spanId"], first["spanId"]);
    assert_eq!(second["links"][0]["attributes"][0]["value"]["stringValue"], "retry");
    assert!(
        attribute(first, "pop.usage.user_us").or(attribute(first, "pop.usage.sys_us")).is_some(),
        "{first}"
    );
    let flaky = named(spans, "flaky");
    assert_eq!(flaky["events"][0]["name"], "backed off");
    let start = |span: &Value| span["startTimeUnixNano"].as_str().unwrap().parse::<u64>().unwrap();
    let from = bench.operation("flaky")["startedTime"].as_u64().unwrap();
    assert_eq!(start(flaky), from * 1_000_000);
    assert_eq!(bench.shown()["traceId"], flaky["traceId"]);
    // nothing is left, and everything can be sent again with the same ids and times
    let before: BTreeSet<String> = spans.iter().map(ToString::to_string).collect();
    let sent = bench.call("traces send last --otlp").argument(&collector.url).ends(0).stderr;
    assert!(sent.contains(": 0 spans sent"), "{sent}");
    let mut second = Collector::start();
    bench.call("traces send last --again --otlp").argument(&second.url).ends(0);
    let again: BTreeSet<String> = second.wait_for("run a.yaml").iter().map(ToString::to_string).collect();
    let own: BTreeSet<String> =
        before.into_iter().filter(|span| !span.contains("work of the handler")).collect();
    assert_eq!(again, own);
}

#[test]
fn killed_and_resumed_run_has_one_trace_without_lost_attempts() {
    let mut collector = Collector::start();
    let bench = Bench::with_agenda(
        r#"
operations:
  - {name: one, type: exec, payload: {command: [sh, -c, "echo $TRACEPARENT >> ran"]}}
  - {name: hold, type: exec, params: {dependsOn: one}, payload: {command: [sh, -c, "echo $TRACEPARENT >> ran; test -e again || exec sleep 1000"]}}
"#,
    );
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let call = bench.call("run a.yaml --otlp").argument(&collector.url);
    let running = call.variable("TRACEPARENT", caller).spawn();
    bench.wait_for("ran", 2);
    collector.wait_for("one: attempt 1");
    running.crash();
    bench.write("again", "");
    // another caller resumes it, and the trace stays that of the first one
    let other = "00-11111111111111111111111111111111-2222222222222222-01";
    let call = bench.call("resume last --otlp").argument(&collector.url);
    call.variable("TRACEPARENT", other).ends(0);
    let spans = collector.wait_for("run a.yaml").to_vec();
    let below = tree(&spans);
    let below = |name: &str| below.get(name).into_iter().flatten().map(String::as_str).collect::<Vec<_>>();
    assert_eq!(below("00f067aa0ba902b7"), ["run a.yaml"]);
    assert_eq!(below("run a.yaml"), ["hold", "one", "started"]);
    assert_eq!(below("hold"), ["hold: attempt 1", "hold: attempt 2"]);
    assert!(spans.iter().all(|span| span["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"), "{spans:#?}");
    let (lost, second) = (named(&spans, "hold: attempt 1"), named(&spans, "hold: attempt 2"));
    assert_eq!(lost["status"]["message"], "the executor died");
    assert_eq!(second["links"][0]["spanId"], lost["spanId"]);
    assert_eq!(second["links"][0]["attributes"][0]["value"]["stringValue"], "resume");
    // each attempt got the id of its own span
    let wanted: BTreeSet<String> = ["one: attempt 1", "hold: attempt 1", "hold: attempt 2"]
        .map(|name| {
            format!(
                "00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01",
                named(&spans, name)["spanId"].as_str().unwrap()
            )
        })
        .into();
    assert_eq!(bench.sorted_lines("ran").into_iter().collect::<BTreeSet<_>>(), wanted);
}

#[test]
fn handlers_get_the_context_of_the_caller_without_a_collector() {
    let bench = Bench::with_agenda(
        "operations:\n  - {name: a, type: exec, payload: {command: [sh, -c, 'echo ${TRACEPARENT-none} ${TRACESTATE-none} >> ran']}}\n",
    );
    let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
    bench.call("run a.yaml").variable("TRACEPARENT", caller).variable("TRACESTATE", "v=1").ends(0);
    bench.call("run a.yaml").variable("TRACEPARENT", "rubbish").variable("TRACESTATE", "v=1").ends(0);
    let ended = bench.call("run a.yaml --otlp http://127.0.0.1:9").variable("TRACEPARENT", caller).ends(0);
    assert!(ended.stderr.contains("no spans are sent: the flags of TRACEPARENT"), "{}", ended.stderr);
    assert_eq!(
        bench.read("ran").lines().collect::<Vec<_>>(),
        [format!("{caller} v=1"), "none none".to_owned(), format!("{caller} none")]
    );
    let bad = bench.call("run a.yaml --otlp localhost:4318").ends(2).stderr;
    assert!(bad.contains("it must begin with http:// or https://"), "{bad}");
}

/// A collector that answers each request with the next of these statuses, and then with the last one; 0 is no answer.
fn answering(statuses: &'static [u16]) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&requests);
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok) {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let status = statuses[number.min(statuses.len() - 1)];
            if status == 0 {
                silent.push(stream);
                continue;
            }
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).is_ok_and(|count| count > 2) {
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            reader.read_exact(&mut vec![0; length]).unwrap();
            let body = if status == 200 { "" } else { "not now" };
            let head =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes())).ok();
        }
    });
    (url, requests)
}

#[test]
fn failing_collector_neither_holds_a_run_up_nor_loses_spans() {
    let agenda = "operations:\n  - {name: a, type: exec, payload: {command: [\"true\"]}}\n";
    // a port that nobody listens on
    let dead = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, words) in [
        (format!("http://{dead}"), "it cannot be reached: "),
        (answering(&[0]).0, "it did not answer within 5 s"),
        (answering(&[400]).0, "it answered with status 400: not now"),
        (answering(&[503]).0, "it answered with status 503: not now"),
    ] {
        let bench = Bench::with_agenda(agenda);
        let began = Instant::now();
        let said = bench.call("run a.yaml --otlp").argument(&url).ends(0).stderr;
        assert!(began.elapsed().as_secs() < 60, "{url}");
        assert!(said.contains("1 succeeded") && said.contains(words), "{said}");
        let rest = said.lines().find_map(|line| line.strip_prefix("send the rest with: pop ")).unwrap();
        assert!(
            rest.starts_with("traces send ") && rest.ends_with(&format!("--otlp {url}/v1/traces")),
            "{rest}"
        );
        let refused = bench.call("traces send last --otlp").argument(&answering(&[401]).0).ends(14).stderr;
        assert!(refused.contains("it answered with status 401"), "{refused}");
        let (working, _) = answering(&[200]);
        let sent = bench.call("traces send last --otlp").argument(&working).ends(0).stderr;
        assert!(sent.contains(": 4 spans sent to http://"), "{sent}");
    }
    // a collector that restarts during the run gets everything
    let (url, requests) = answering(&[503, 503, 503, 503, 503, 200]);
    let bench = Bench::with_agenda(agenda);
    let said = bench.call("run a.yaml --otlp").argument(&url).ends(0).stderr;
    assert!(said.contains(": 4 spans sent to http://"), "{said}");
    assert_eq!(requests.load(Ordering::SeqCst), 6);
}
