//! Metrics as a reader of the Prometheus project sees them.

use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// Parses the text, and fails if it does not have the form of the content type.
const SCRIPT: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
samples = []
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation and family.type in ('counter', 'gauge', 'summary'), family
    for sample in family.samples:
        assert sample.name.startswith(family.name), sample
        samples.append([family.type, sample.name, sample.labels, sample.value])
assert samples
json.dump(samples, sys.stdout)
";

/// The metrics at an address.
pub(crate) struct Metrics(Vec<Value>);

impl Metrics {
    /// Reads the metrics of a server.
    pub(crate) fn of(address: &str) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(crate::bench::PATIENCE)).unwrap();
        write!(stream, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        Self::parsed(text)
    }

    fn parsed(text: &str) -> Self {
        let found =
            Command::new("deploy/wheel").arg("prometheus-client==0.26.0").current_dir(ROOT).output().unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        let programs = String::from_utf8(found.stdout).unwrap();
        let mut reader = Command::new(format!("{}/python", programs.trim()))
            .args(["-c", SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        reader.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let read = reader.wait_with_output().unwrap();
        assert!(read.status.success(), "{}\n{text}", String::from_utf8_lossy(&read.stderr));
        Self(serde_json::from_slice(&read.stdout).unwrap())
    }

    /// The value of the series with this name and all these labels; zero if there is none.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let is_it = |sample: &&Value| {
            sample[1] == name && labels.iter().all(|(label, text)| sample[2][*label] == *text)
        };
        self.0
            .iter()
            .filter(is_it)
            .filter_map(|sample| sample[3].as_f64())
            .fold(0.0, |sum, value| sum + value)
    }
}
