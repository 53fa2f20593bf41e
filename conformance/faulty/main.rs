//! A handler that keeps the contract, except for the fault named by its first argument.
#![expect(clippy::unwrap_used, reason = "a handler of the tests may fail by panicking")]

use pop_contract::HANDLER_COMPLETE;
use pop_field_retriever::{DefaultLaunchData, Defaults, Environment, Flag, LaunchDataWrapper as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio, exit};
use std::time::Duration;

/// The end of an operation.
type Ending = Result<Value, String>;

struct Faulty {
    fault: String,
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let fault = arguments.next().unwrap();
    let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    let variables = std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect();
    let mut handler = Faulty { fault, arguments: arguments.collect(), variables };
    handler.begin_badly();
    handler.misread_launch_data();
    let status = handler.run();
    say(HANDLER_COMPLETE);
    exit(status);
}

fn say(line: &str) {
    // a failed write to the log cannot be reported
    writeln!(std::io::stderr(), "{line}").ok();
}

impl Faulty {
    fn has(&self, fault: &str) -> bool {
        self.fault == fault
    }

    /// Faults unrelated to launch data.
    fn begin_badly(&self) {
        match self.fault.as_str() {
            "reads-stdin" => drop(std::io::stdin().read_to_end(&mut Vec::new())),
            "needs-home" => drop(std::env::var("HOME").unwrap()),
            "needs-utf8" => assert!(std::env::vars().count() > 0),
            "never-ends" => std::thread::sleep(Duration::from_mins(1)),
            "leaves-daemon" => {
                // its own group: it is not killed with this process
                let mut daemon = Command::new("sleep");
                daemon.arg("1000").process_group(0).stdin(Stdio::null());
                drop(daemon.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
            }
            _ => {}
        }
    }

    /// Removes an argument and its value.
    fn drop_argument(&mut self, name: &str) -> Option<String> {
        let at = self.arguments.iter().position(|argument| argument == name)?;
        self.arguments.drain(at..(at + 2).min(self.arguments.len())).nth(1)
    }

    fn variable(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    /// Faults in reading arguments and environment: removes what the faulty handler overlooks.
    fn misread_launch_data(&mut self) {
        let payload_type = self.variable("POP_PAYLOAD_TYPE").to_owned();
        match self.fault.as_str() {
            "ignores-segments" if payload_type == "compressedEnvVar" => self.forget("POP_PAYLOAD_TYPE"),
            "ignores-file" if payload_type == "file" => self.forget("POP_PAYLOAD_TYPE"),
            "falls-back" => {
                let named = self.arguments.iter().skip_while(|name| *name != "--payloadFile").nth(1).cloned();
                if named.is_some_and(|file| !Path::new(&file).exists()) {
                    self.drop_argument("--payloadFile");
                }
                if payload_type == "file" && !Path::new(self.variable("POP_PAYLOAD_FILE")).exists() {
                    self.forget("POP_PAYLOAD_TYPE");
                }
            }
            "environment-first" if !self.variable("PAYLOAD").is_empty() => {
                self.drop_argument("--payloadFile");
            }
            "knows-no-kebab" => self.arguments.retain(|argument| !argument.starts_with("--payload-file")),
            "ignores-properties" if Path::new("p.properties").exists() => {
                self.drop_argument("--propFile");
            }
            "forgives-properties" if !Path::new("p.properties").exists() => {
                self.drop_argument("--propFile");
                self.forget("POP_PROP_FILE");
            }
            "accepts-launch-type" => {
                self.drop_argument("--launchType");
                self.forget("POP_LAUNCH_TYPE");
            }
            _ => {}
        }
    }

    fn forget(&mut self, variable: &str) {
        self.variables.remove(variable);
    }

    fn run(&self) -> i32 {
        let environment = Environment::from_pairs(self.variables.clone());
        let launch = DefaultLaunchData::load(self.arguments.clone(), environment, &Defaults::handler());
        if launch.as_ref().is_ok_and(|launch| launch.arguments().has(Flag::Describe)) {
            let description = if self.has("describes-badly") { "a greeting" } else { r#"{"input": true}"# };
            return i32::from(!self.print(&format!("{description}\n")));
        }
        let read = launch.and_then(|launch| Ok((launch.payload()?.value, launch.last_progress()?)));
        let (payload, last) = match read {
            Ok((payload, last)) => (payload.to_string(), last.map(|found| found.value)),
            Err(_) if self.has("replaces-bytes") && self.variable("POP_PAYLOAD_TYPE") == "file" => {
                let Ok(bytes) = std::fs::read(self.variable("POP_PAYLOAD_FILE")) else { return 2 };
                (String::from_utf8_lossy(&bytes).into_owned(), None)
            }
            Err(error) => {
                say(&error.to_string());
                return 2;
            }
        };
        if self.has("small-buffer") && payload.len() > 1 << 20 {
            std::process::abort();
        }
        if let Some(last) = last.filter(|_| self.has("trusts-progress") || self.has("counts-progress")) {
            let is_json = serde_json::from_str::<Value>(&last).is_ok();
            match self.fault.as_str() {
                "trusts-progress" => assert!(is_json),
                _ if is_json => return self.end(&Ok(json!({"greeting": "hello again"}))),
                _ => {}
            }
        }
        let progress = match self.fault.as_str() {
            "report-no-json" => "{percentComplete: 10}",
            "above-100" => r#"{"percentComplete":110}"#,
            "backwards" => "{\"percentComplete\":20}\npop.report.progress {\"percentComplete\":10}",
            _ => r#"{"processingState":"EXECUTING","percentComplete":10}"#,
        };
        self.print(&format!("pop.report.progress {progress}\n"));
        if self.variable("POP_LAUNCH").contains("stops-when-asked") {
            // long work that the signal interrupts
            std::thread::sleep(Duration::from_mins(1));
        }
        self.end(&self.greet(&payload))
    }

    fn greet(&self, payload: &str) -> Ending {
        let read: Result<Value, _> = serde_json::from_str(payload);
        if self.has("refuses-silently") && read.is_err() {
            exit(1);
        }
        let name = read.ok().and_then(|payload| Some(payload["name"].as_str()?.to_owned()));
        let name = match name {
            None if self.has("forgives-payload") => String::new(),
            name => name.ok_or("the payload has no name")?,
        };
        let greeting = if self.has("random-result") {
            format!("hello, {name}, from {}", std::process::id())
        } else {
            format!("hello, {name}")
        };
        Ok(json!({"greeting": greeting}))
    }

    fn end(&self, ending: &Ending) -> i32 {
        let mut lines = String::new();
        if let Ok(result) = ending {
            writeln!(lines, "pop.report.payload {result}").unwrap();
        }
        let word = if ending.is_ok() { "succeeded" } else { "failed" };
        let report = json!({"processingState": "COMPLETE", "processingStateMessage": word});
        let times = match self.fault.as_str() {
            "two-finals" => 2,
            "no-final" => 0,
            _ => 1,
        };
        for _ in 0..times {
            writeln!(lines, "pop.report.progress {report}").unwrap();
        }
        // a failure is logged, whatever the report says
        if let Err(message) = ending {
            say(message);
        }
        if !self.print(&lines) {
            return 1;
        }
        i32::from(ending.is_err() && !self.has("failed-and-0"))
    }

    /// Prints report lines; false if there is no reader.
    fn print(&self, lines: &str) -> bool {
        match std::io::stdout().write_all(lines.as_bytes()) {
            Err(_) if self.has("dies-silently") => exit(1),
            Err(error) if !self.has("loses-reports") => {
                say(&error.to_string());
                false
            }
            _ => true,
        }
    }
}
