//! A program that serves keeps every warm check; one with a fault breaks the checks of that fault.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_conformance::{CheckVerdict, Subject, WARM_CHECKS, examine_warm};
use std::time::Duration;

/// A server in a few lines. `FAULT` selects what it does wrong.
const SERVER: &str = r#"
import json, os, socket, subprocess, sys, time
fault = sys.argv[1]
if "POP_WARM_SOCKET" not in os.environ or fault == "one-shot":
    sys.exit(0)
channel = socket.socket(fileno=int(os.environ["POP_WARM_SOCKET"]))
stream = channel.makefile("rb")
def send(kind, number, body):
    channel.sendall(b"%s %d %d\n%s" % (kind, number, len(body), body))
    if fault == "prints":
        os.write(1, body)
count = 0
if fault == "leaves":
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
send(b"hello", 0, json.dumps({"version": 2 if fault == "version" else 1, "pid": os.getpid()}).encode())
while head := stream.readline():
    kind, number, length = head.split()
    body = stream.read(int(length))
    if kind == b"bye" and fault != "stays":
        break
    if kind != b"handle":
        continue
    count += 1
    try:
        payload = json.loads(body.partition(b"\n\n")[2])
        result = {"name": payload["name"], "count": count if fault == "counts" else 0}
        send(b"report", int(number), b"pop.report.payload " + json.dumps(result).encode())
        send(b"end", int(number), b"0")
    except (ValueError, KeyError):
        if fault == "dies":
            sys.exit(1)
        send(b"end", int(number), b"1")
if fault == "stays":
    time.sleep(1000)
"#;

async fn broken(fault: &str) -> Vec<&'static str> {
    let subject = Subject {
        argv: ["/usr/bin/env", "python3", "-c", SERVER, fault].map(str::to_owned).to_vec(),
        payload: r#"{"name": "Ada"}"#.to_owned(),
        bad_payload: Some(r#"{"nmae": "Ada"}"#.to_owned()),
        limit: Duration::from_secs(20),
        grace: Duration::from_secs(3),
        path: std::env::var_os("PATH"),
    };
    let findings = examine_warm(&subject).await.unwrap();
    assert_eq!(findings.len(), WARM_CHECKS.len());
    let broken = findings.iter().filter(|finding| matches!(finding.verdict, CheckVerdict::Broken(_)));
    broken.map(|finding| finding.check.id).collect()
}

#[tokio::test]
async fn a_server_keeps_every_check_and_may_print() {
    assert_eq!(broken("none").await, [""; 0]);
    assert_eq!(broken("prints").await, [""; 0]);
}

#[tokio::test]
async fn faults_of_a_server_are_found() {
    for (fault, wanted) in [
        ("one-shot", &["warm-hello"][..]),
        ("version", &["warm-hello"]),
        ("counts", &["warm-same-result"]),
        ("dies", &["warm-same-result"]),
        ("stays", &["warm-half-close", "warm-bye"]),
        ("leaves", &["warm-crash", "warm-half-close", "warm-bye"]),
    ] {
        assert_eq!(broken(fault).await, wanted, "{fault}");
    }
}
