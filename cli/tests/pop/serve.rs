//! `pop handler serve` and `pop handler ctl`: real callers (pyzmq), the rows S of the table of promises.

use crate::bench::{Bench, Ended, PATIENCE};
use crate::docker_warm;
use crate::prometheus::Metrics;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const TESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pop");

/// The Python that has pyzmq.
fn python() -> &'static str {
    static PYTHON: OnceLock<String> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let found = Command::new("deploy/pyzmq").current_dir(ROOT).output().unwrap();
        assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stderr));
        String::from_utf8(found.stdout).unwrap().trim().to_owned()
    })
}

/// A handler that is served in a folder of its own.
struct Serving {
    bench: Bench,
    child: Child,
    stdout: BufReader<ChildStdout>,
    stderr: Option<std::process::ChildStderr>,
    /// What it printed when it was ready to be called.
    line: Value,
}

impl Serving {
    /// Serves the type `h`; `entry` are further fields of its registry entry.
    fn new(entry: &str, options: &str) -> Self {
        Self::within(bench(entry), "h", options)
    }

    fn within(bench: Bench, handler_type: &str, options: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pop"));
        let words = format!("handler serve {handler_type} --output json {options}");
        command.args(words.split_whitespace()).current_dir(bench.path(""));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("XDG_RUNTIME_DIR", bench.path("")).env("HOME", bench.path(""));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let mut stderr = child.stderr.take();
        let mut words = String::new();
        if line.is_empty() {
            stderr.take().unwrap().read_to_string(&mut words).unwrap();
        }
        let line = serde_json::from_str(&line).ok();
        assert!(line.is_some(), "not served: {words}");
        let line = line.unwrap();
        Self { bench, child, stdout, stderr, line }
    }

    fn endpoint(&self) -> &str {
        self.line["endpoint"].as_str().unwrap()
    }

    fn id(&self) -> &str {
        self.line["id"].as_str().unwrap()
    }

    /// Starts callers of this endpoint.
    fn callers(&self, scenario: &str, mut arguments: Value) -> Child {
        arguments["endpoint"] = self.endpoint().into();
        callers(scenario, &arguments)
    }

    /// What callers of this endpoint saw.
    fn call(&self, scenario: &str, arguments: Value) -> Value {
        seen(self.callers(scenario, arguments))
    }
    /// The reply to one request.
    fn ask(&self, parameters: &Value) -> Value {
        self.call("call", json!({"requests": [["work", parameters]]}))[0].clone()
    }

    /// A command for the manager, with its exit code.
    fn ctl(&self, code: i32, words: &str) -> Ended {
        let call = self.bench.call(&format!("handler ctl {} {words}", self.id()));
        call.variable("XDG_RUNTIME_DIR", self.bench.path("").to_str().unwrap()).ends(code)
    }

    /// A command for the manager, whether it carries it out or not.
    fn try_ctl(&self, words: &str) {
        let call = self.bench.call(&format!("handler ctl {} {words}", self.id()));
        let ended = call.variable("XDG_RUNTIME_DIR", self.bench.path("").to_str().unwrap()).run();
        assert!([0, 10].contains(&ended.code), "{ended:?}");
    }

    /// The output of a command for the manager.
    fn manage(&self, words: &str) -> Value {
        self.ctl(0, words).json()
    }

    /// Waits until the manager says this.
    fn until(&self, command: &str, wanted: impl Fn(&Value) -> bool) {
        let begun = Instant::now();
        loop {
            let found = self.manage(command);
            if wanted(&found) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{command}: {found}");
        }
    }

    /// Closes the handler; its exit code and what it said.
    fn close(mut self) -> (Option<i32>, String) {
        self.ctl(0, "close");
        self.end()
    }

    fn end(&mut self) -> (Option<i32>, String) {
        let mut words = String::new();
        self.stderr.take().unwrap().read_to_string(&mut words).unwrap();
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
        (self.child.wait().unwrap().code(), words)
    }

    fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // it may have ended
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A folder with a handler of type `h`.
fn bench(entry: &str) -> Bench {
    let bench = Bench::new();
    let copy = |from: &str, name: &str| {
        std::fs::copy(from, bench.path(name)).unwrap();
    };
    copy(&format!("{TESTS}/served_handler.py"), "served_handler.py");
    copy(&format!("{ROOT}/scaffold/templates/handler/python/pop_handler.py"), "pop_handler.py");
    bench.write("registry.yaml", format!("h: {{command: [{}, served_handler.py], {entry}}}\n", python()));
    bench
}

/// Starts callers.
fn callers(scenario: &str, arguments: &Value) -> Child {
    let mut command = Command::new(python());
    command.arg(format!("{TESTS}/sds_peers.py")).args([scenario, &arguments.to_string()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn seen(callers: Child) -> Value {
    let ended = callers.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// Most requests that were handled at the same time.
fn overlap(replies: &Value) -> usize {
    let times = |reply: &Value| {
        let time = |name: &str| reply["parameters"][name].as_f64().unwrap();
        (time("begin"), time("end"))
    };
    let times: Vec<_> = replies.as_array().unwrap().iter().map(times).collect();
    let at = |moment: f64| times.iter().filter(|(begin, end)| *begin <= moment && moment < *end).count();
    times.iter().map(|(begin, _)| at(*begin)).max().unwrap()
}

fn all_ready(found: &Value) -> bool {
    found["instances"].as_array().unwrap().iter().all(|one| one["status"] == "ready")
}

fn count(replies: &Value, message: &str) -> usize {
    replies.as_array().unwrap().iter().filter(|reply| reply["message"] == message).count()
}

#[test]
fn s1_a_hundred_callers_of_a_sync_replier_are_handled_one_by_one() {
    let serving = Serving::new("warm: true", "--kind sync-replier");
    let replies = serving.call("crowd", json!({"callers": 100, "parameters": {"ms": 2}}));
    assert_eq!((count(&replies, ""), overlap(&replies)), (100, 1));
    for (number, reply) in replies.as_array().unwrap().iter().enumerate() {
        assert_eq!(reply["parameters"]["got"]["caller"], number);
    }
    let in_order = serving.call("queue", json!({"count": 50, "parameters": {}}));
    let uuids: Vec<_> = in_order.as_array().unwrap().iter().map(|reply| reply["uuid"].clone()).collect();
    assert_eq!(uuids, (0..50).map(|number| json!(number.to_string())).collect::<Vec<_>>());
    let refused = serving.ctl(10, "add-instance").stderr;
    assert!(refused.contains("a sync-replier has only one instance"), "{refused}");
}

#[test]
fn s2_a_replier_handles_as_many_requests_at_a_time_as_it_has_instances() {
    let serving = Serving::new("warm: true", "--instances 2 --max-instances 3");
    serving.until("instances", all_ready);
    let replies = serving.call("crowd", json!({"callers": 40, "parameters": {"ms": 20}}));
    assert_eq!((count(&replies, ""), overlap(&replies)), (40, 2));
    let pids: std::collections::BTreeSet<_> =
        replies.as_array().unwrap().iter().map(|reply| reply["parameters"]["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 2);
    for (number, reply) in replies.as_array().unwrap().iter().enumerate() {
        assert_eq!(reply["parameters"]["got"]["caller"], number);
    }
    serving.manage("add-instance");
    let refused = serving.ctl(10, "add_instance").stderr;
    assert!(refused.contains("there are 3 instances, the maximum amount"), "{refused}");
}

#[test]
fn s3_every_subscriber_gets_every_broadcast_and_commands_are_topics() {
    let mut serving = Serving::within(Bench::new(), "news", "--kind publisher");
    let arguments = json!({
        "trigger": serving.endpoint(), "broadcast": serving.line["broadcast"], "count": 3, "messages": 20,
    });
    let seen = seen(callers("subscribers", &arguments));
    assert_eq!(count(&seen["replies"], ""), 20);
    let all: Vec<Value> =
        (0..20).map(|number| json!([if number % 2 == 1 { "a" } else { "b" }, 3, number])).collect();
    let some: Vec<Value> = all.iter().filter(|message| message[0] == "b").cloned().collect();
    assert_eq!(seen["seen"], json!([all, all, all, some]));
    let refused = serving.ctl(10, "add-instance").stderr;
    assert!(refused.contains("a publisher has no instances"), "{refused}");
    serving.ctl(0, "close");
    assert_eq!(serving.end().0, Some(0));
}

#[test]
fn s3_a_full_broadcasting_queue_refuses_the_trigger_and_sends_the_others_later() {
    let serving = Serving::within(Bench::new(), "news", "--kind pusher --queue 10");
    let arguments = json!({"trigger": serving.endpoint(), "count": 12});
    let replies = seen(callers("triggers", &arguments));
    assert_eq!((count(&replies, ""), count(&replies, "broadcasting queue full")), (10, 2));
    let amounts = json!({"broadcasting_length": 10, "processing_length": 0, "queue_length": 0});
    assert_eq!(serving.manage("message-amount"), amounts);
    let late = seen(callers("pull", &json!({"broadcast": serving.line["broadcast"], "count": 10})));
    assert_eq!(late, json!((0..10).collect::<Vec<_>>()));
}

#[test]
fn s4_a_pusher_sends_to_its_receivers_in_turn() {
    let serving = Serving::within(Bench::new(), "work", "--kind pusher");
    let arguments = json!({
        "trigger": serving.endpoint(), "broadcast": serving.line["broadcast"], "count": 3, "messages": 32,
    });
    let seen = seen(callers("receivers", &arguments));
    let counts: Vec<usize> =
        seen["seen"].as_array().unwrap().iter().map(|one| one.as_array().unwrap().len()).collect();
    assert_eq!(counts.iter().sum::<usize>(), 32);
    assert!(counts.iter().all(|count| (10..=11).contains(count)), "{counts:?}");
    assert_eq!(seen["seen"][0][0].as_array().unwrap()[..2], [json!("work"), json!("")]);
}

#[test]
fn s5_frames_of_a_reply_are_those_of_its_request() {
    let serving = Serving::new("warm: true", "");
    let expected = json!({
        "req": ["OK"], "req with an empty frame": ["OK"], "req in parts": ["OK"], "correlated": ["OK"],
        "dealer": ["", "OK"], "dealer without a frame": ["OK"], "dealer with two": ["", "OK"],
    });
    assert_eq!(serving.call("frames", json!({})), expected);
}

#[test]
fn s8_unknown_commands_and_requests_that_cannot_be_read_are_refused_with_a_reason() {
    let serving = Serving::new("warm: true, actions: [work, other]", "--metrics 127.0.0.1:0");
    let bodies = json!([
        r#"{"command":"nope","parameters":{},"uuid":"u1","traces":[{"request_time":1}]}"#,
        "nonsense",
        r#"{"command":"work"}"#,
        r#"{"command":"work","parameters":{"n":1152921504606846976},"uuid":"u2"}"#,
    ]);
    let replies = serving.call("raw", json!({"bodies": bodies}));
    let text = |at: usize| replies[at].as_str().unwrap();
    assert_eq!(
        text(0),
        r#"{"message":"the handler `h` has no command `nope`; it has: work, other","parameters":{},"status":"fail","traces":[{"request_time":1}],"uuid":"u1"}"#
    );
    assert!(text(1).contains("the request is not a JSON object"), "{}", text(1));
    assert!(text(2).contains("the request needs `parameters`"), "{}", text(2));
    let reply: Value = serde_json::from_str(text(3)).unwrap();
    assert_eq!((&reply["status"], &reply["uuid"]), (&json!("OK"), &json!("u2")));
    assert_eq!(reply["parameters"]["got"]["n"], 1_152_921_504_606_846_976_u64);
    assert_eq!(reply["parameters"]["action"], "work");
    let metrics = Metrics::of(serving.line["metrics"].as_str().unwrap());
    let requests =
        |outcome: &str| metrics.value("pop_handler_request_seconds_count", &[("outcome", outcome)]);
    assert!((requests("refused") - 3.0).abs() < 0.5 && (requests("ok") - 1.0).abs() < 0.5);
    let instances = |state: &str| metrics.value("pop_handler_instances", &[("state", state)]);
    assert!(["ready", "handling"].map(instances).iter().sum::<f64>() > 0.5);
}

#[test]
fn s10_an_action_calls_another_handler_that_is_checked_before_the_start() {
    let actions = "warm: true, actions: {work: {dependencies: [h-2]}, \"*\": {}}";
    let inner = Serving::new("warm: true", "");
    let missing = bench(actions).call("handler serve h").ends(2);
    assert!(missing.stderr.contains("no endpoint is given for `h-2`"), "{}", missing.stderr);
    assert!(missing.stderr.contains("--dependency h-2=ENDPOINT"), "{}", missing.stderr);
    for (options, why) in [
        ("--dependency h-2=a --dependency h-2=b", "the dependency `h-2` is given twice"),
        ("--dependency h-2=a --dependency h-3=b", "no action of the handler depends on `h-3`"),
    ] {
        let refused = bench(actions).call(&format!("handler serve h {options}")).ends(2);
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
    }
    let outer = Serving::new(actions, &format!("--dependency h-2={}", inner.endpoint()));
    let reply = outer.ask(&json!({"do": "call", "variable": "POP_HANDLER_H_2", "n": 5}));
    let answer = &reply["parameters"]["answer"];
    assert_eq!((&answer["status"], &answer["parameters"]["got"]["n"]), (&json!("OK"), &json!(5)), "{reply}");
    assert_eq!(answer["parameters"]["action"], "inner");
}

#[test]
fn s11_s12_the_configuration_names_kind_id_and_port_and_a_second_start_has_another_id() {
    let serving = Serving::new("warm: true", "--instances 2");
    let config = &serving.manage("config")["config"];
    assert_eq!(
        (&config["category"], &config["id"], &config["type"]),
        (&json!("h"), &json!("h_1"), &json!("Replier"))
    );
    assert_eq!(config["instance_amount"], 2);
    let endpoint = format!("tcp://127.0.0.1:{}", config["port"]);
    assert_eq!(serving.endpoint(), endpoint);
    let again = serving.bench.call(&format!("handler serve h --bind {endpoint}"));
    let refused = again.variable("XDG_RUNTIME_DIR", serving.bench.path("").to_str().unwrap()).ends(2);
    assert!(refused.stderr.contains(&format!("cannot listen on {endpoint}")), "{}", refused.stderr);
    let same_id = serving.bench.call("handler serve h --id h_1");
    let refused = same_id.variable("XDG_RUNTIME_DIR", serving.bench.path("").to_str().unwrap()).ends(2);
    assert!(refused.stderr.contains("h_1.sock"), "{}", refused.stderr);
}

#[test]
fn s13_s14_s18_added_is_another_event_than_ready_and_queued_requests_are_answered() {
    let mut serving = Serving::new("warm: true", "");
    serving.until("instances", |found| found["instances"][0]["status"] == "ready");
    serving.manage("delete-instance instance_1");
    assert_eq!(serving.manage("instance-amount"), json!({"instance_amount": 0}));
    serving.bench.write("events", "");
    let file = serving.bench.path("events");
    let events = serving.bench.call(&format!("handler ctl {} events", serving.id()));
    let events = events
        .variable("XDG_RUNTIME_DIR", serving.bench.path("").to_str().unwrap())
        .into(file.to_str().unwrap())
        .spawn();
    serving.bench.wait_for("events", 1);
    let waiting = serving.callers("crowd", json!({"callers": 5, "parameters": {}}));
    serving.until("message-amount", |found| found["queue_length"] == 5);
    assert_eq!(serving.manage("add-instance"), json!({"instance_id": "instance_2"}));
    assert_eq!(count(&seen(waiting), ""), 5);
    serving.manage("delete-instance instance_2");
    serving.ctl(0, "close");
    assert_eq!(serving.end().0, Some(0));
    events.end();
    let lines: Vec<Value> =
        serving.bench.read("events").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0], json!({"event": "present", "instances": []}));
    let words: Vec<&str> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    let expected = ["present", "instance_added", "instance_ready", "instance_deleted", "close", "closed"];
    assert_eq!(words, expected);
}

#[test]
fn s15_the_caller_of_a_deleted_instance_is_told_and_others_are_served() {
    let serving = Serving::new("warm: true", "--instances 2 --max-instances 2");
    serving.until("instances", all_ready);
    let long = serving.callers("call", json!({"requests": [["work", {"ms": 60_000}]]}));
    let handling = |found: &Value| {
        let of = |one: &Value| {
            (one["status"] == "handling").then(|| one["instance_id"].as_str().unwrap().to_owned())
        };
        found["instances"].as_array().unwrap().iter().find_map(of)
    };
    serving.until("instances", |found| handling(found).is_some());
    let busy = handling(&serving.manage("instances")).unwrap();
    serving.manage(&format!("delete-instance {busy}"));
    assert_eq!(seen(long)[0]["message"], "cancelled: the instance was deleted");
    assert_eq!(serving.ask(&json!({}))["status"], "OK");
    let unknown = serving.ctl(10, &format!("delete-instance {busy}")).stderr;
    assert!(unknown.contains(&format!("there is no instance `{busy}`")), "{unknown}");
    serving.until("instances", |found| found["instances"].as_array().unwrap().len() == 1);
}

#[test]
fn s16_thirty_callers_and_a_queue_of_ten() {
    let serving = Serving::new("warm: true", "--queue 10");
    serving.until("instances", all_ready);
    serving.manage("delete-instance instance_1");
    let file = serving.bench.path("full");
    let callers = serving.callers("overload", json!({"callers": 30, "refused": 20, "file": file}));
    serving.bench.wait_for("full", 1);
    serving.manage("add-instance");
    let replies = seen(callers);
    assert_eq!((count(&replies, ""), count(&replies, "queue is full")), (10, 20));
}

#[test]
fn s16_an_idle_server_does_not_wake_up() {
    let serving = Serving::new("warm: true", "");
    assert_eq!(serving.ask(&json!({}))["status"], "OK");
    let switches = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", serving.line["pid"])).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    let before = switches();
    // idleness is a property of a time
    std::thread::sleep(std::time::Duration::from_secs(1));
    let woken = switches() - before;
    assert!(woken < 20, "{woken} times in a second");
}

#[test]
fn s19_parts_are_closed_and_run_again_and_what_waits_is_answered() {
    let serving = Serving::new("warm: true", "");
    assert_eq!(serving.manage("status"), json!({"status": "ready"}));
    let parts = json!({
        "parts": ["frontend", "instance_manager"], "message_types": ["processing_length", "queue_length"],
    });
    assert_eq!(serving.manage("parts"), parts);
    serving.manage("close_part instance_manager");
    let incomplete =
        json!({"status": "incomplete", "parts": {"frontend": "running", "instance_manager": "idle"}});
    assert_eq!(serving.manage("status"), incomplete);
    let waiting = serving.callers("call", json!({"requests": [["work", {"n": 1}]]}));
    serving.until("message_amount", |found| found["queue_length"] == 1);
    serving.manage("run-part instance_manager");
    assert_eq!(seen(waiting)[0]["parameters"]["got"]["n"], 1);
    serving.manage("close-part frontend");
    let incomplete =
        json!({"status": "incomplete", "parts": {"frontend": "created", "instance_manager": "running"}});
    assert_eq!(serving.manage("status"), incomplete);
    let waiting = serving.callers("call", json!({"requests": [["work", {"n": 2}]]}));
    serving.manage("run_part frontend");
    assert_eq!(seen(waiting)[0]["parameters"]["got"]["n"], 2);
    for (command, why) in [
        ("run-part frontend", "the part `frontend` is running"),
        ("close-part nope", "there is no part `nope`; the parts are: frontend, instance_manager"),
        ("nope", "the manager has no command `nope`"),
    ] {
        let refused = serving.ctl(10, command).stderr;
        assert!(refused.contains(why), "{refused}");
    }
    serving.ctl(2, "close-part");
    let unknown = serving.bench.call("handler ctl nope status");
    let unknown =
        unknown.variable("XDG_RUNTIME_DIR", serving.bench.path("").to_str().unwrap()).ends(2).stderr;
    assert!(unknown.contains("no handler `nope` is served; served are: h_1"), "{unknown}");
}

#[test]
fn s20_an_action_may_have_the_name_of_a_command_of_the_manager() {
    let serving = Serving::new("warm: true, actions: [status, close]", "");
    let replies = serving.call("call", json!({"requests": [["close", {}], ["status", {"n": 1}]]}));
    assert_eq!(replies[1]["parameters"]["action"], "status", "{replies}");
}

#[test]
fn s21_instances_come_and_go_under_load_and_no_request_is_lost() {
    let serving = Serving::new("warm: true", "--instances 2 --max-instances 4 --grace 1");
    let load = serving.callers("load", json!({"callers": 20, "each": 60}));
    for number in 1..=12 {
        serving.try_ctl(&format!("delete-instance instance_{number}"));
        serving.try_ctl("add-instance");
    }
    let replies = seen(load);
    let answered: u64 = replies.as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(answered, 20 * 60, "{replies}");
    let words: Vec<&String> = replies.as_object().unwrap().keys().collect();
    assert!(words.iter().all(|word| *word == "OK" || word.contains("the instance was deleted")), "{replies}");
    serving.until("message-amount", |found| *found == json!({"processing_length": 0, "queue_length": 0}));
}

#[test]
fn s22_a_pair_serves_one_peer_and_the_next_one_after_it() {
    let serving = Serving::new("warm: true", "--kind pair");
    let expected = json!({"replies": [0, 1, 2, 3, 4, 5], "beside": "not answered", "after": [9, 6]});
    assert_eq!(serving.call("pair", json!({})), expected);
}

#[test]
fn s24_a_handler_that_fails_or_ends_answers_and_the_next_request_is_served() {
    let serving = Serving::new("warm: true", "--logs logs");
    let pid = serving.ask(&json!({}))["parameters"]["pid"].clone();
    let failed = serving.ask(&json!({"do": "fail"}));
    assert_eq!(
        (&failed["status"], &failed["message"]),
        (&json!("fail"), &json!("RuntimeError: asked to fail"))
    );
    assert_eq!(failed["parameters"]["code"], "failed");
    assert_eq!(serving.ask(&json!({}))["parameters"]["pid"], pid);
    let crashed = serving.ask(&json!({"do": "crash"}));
    assert_eq!(crashed["parameters"]["code"], "signal", "{crashed}");
    assert_eq!(crashed["parameters"]["log"], json!(["last words"]));
    let left = serving.ask(&json!({"do": "leave", "status": 7}));
    assert_eq!(
        (&left["message"], &left["parameters"]["code"]),
        (&json!("ended with exit status 7"), &json!("exit"))
    );
    let next = serving.ask(&json!({}));
    assert!(next["status"] == "OK" && next["parameters"]["pid"] != pid, "{next}");
    assert_eq!(serving.bench.read("logs/instance_1.log"), "last words\n");
}

#[test]
fn peers_that_break_the_protocol_disturb_nobody() {
    let serving = Serving::new("warm: true", "--queue 5000");
    let (host, port) = serving.endpoint().trim_start_matches("tcp://").rsplit_once(':').unwrap();
    let arguments = json!({"host": host, "port": port.parse::<u16>().unwrap()});
    let expected = json!({
        "http is cut": true, "a large message": "not answered", "16 MiB": "OK",
        "with heartbeats": ["OK", "OK", "OK", "OK"], "disconnections": 0, "one name": ["OK", "OK"],
        "afterwards": {"n": 7}, "silent ones are cut": true,
    });
    assert_eq!(seen(callers("misbehave", &arguments)), expected);
}

#[test]
fn a_program_that_is_not_warm_runs_once_for_each_request() {
    let serving = Serving::new("", "--instances 2 --max-instances 2");
    let replies = serving.call("crowd", json!({"callers": 6, "parameters": {"ms": 300}}));
    assert_eq!((count(&replies, ""), overlap(&replies)), (6, 2));
    assert!(replies.as_array().unwrap().iter().all(|reply| reply["parameters"]["begun"] == 1));
    let large = serving.ask(&json!({"filler": "x".repeat(100), "size": 3_000_000}));
    assert_eq!(large["parameters"]["filler"].as_str().unwrap().len(), 3_000_000);
}

#[test]
fn a_program_that_should_be_warm_and_is_not_runs_once_and_that_is_said_once() {
    let bench = bench("");
    bench.program("once", "#!/bin/sh\necho 'pop.report.payload {\"once\": true}'\n");
    bench.write("registry.yaml", "h: {command: [./once], warm: true}\n");
    let serving = Serving::within(bench, "h", "--instances 2 --max-instances 2");
    let replies = serving.call("crowd", json!({"callers": 6, "parameters": {}}));
    assert!(replies.as_array().unwrap().iter().all(|reply| reply["parameters"]["once"] == true), "{replies}");
    let (code, words) = serving.close();
    assert_eq!((code, words.matches("is run once for each operation").count()), (Some(0), 1), "{words}");
}

#[test]
fn instances_in_containers_are_warm_and_a_new_server_removes_what_a_killed_one_left() {
    let bench = docker_warm::bench(&json!([]), &json!({}), &json!({}));
    let mut serving = Serving::within(bench, "t", "--on docker --instances 2 --max-instances 2");
    let hosts = |serving: &Serving| {
        let replies = serving.call("crowd", json!({"callers": 10, "parameters": {}}));
        let host = |reply: &Value| reply["parameters"]["host"].as_str().unwrap_or_default().to_owned();
        replies.as_array().unwrap().iter().map(host).collect::<std::collections::BTreeSet<_>>()
    };
    serving.until("instances", all_ready);
    let first = hosts(&serving);
    assert!((1..=2).contains(&first.len()) && !first.contains(""), "{first:?}");
    serving.signal(rustix::process::Signal::KILL);
    serving.child.wait().unwrap();
    let bench = std::mem::replace(&mut serving.bench, Bench::new());
    let again = Serving::within(bench, "t", "--on docker");
    let reply = again.ask(&json!({}));
    assert_eq!(reply["parameters"]["variables"]["OPERATION_NAME"], "work", "{reply}");
    let last = hosts(&again);
    assert!(first.is_disjoint(&last), "{first:?} {last:?}");
    assert_eq!(again.close().0, Some(0));
    first.union(&last).for_each(|container| docker_warm::until_removed(container));
}

#[test]
fn a_program_that_does_not_start_is_an_error_with_its_reason() {
    let bench = bench("");
    bench.write("registry.yaml", "h: {command: [nope], warm: true}\n");
    let refused = bench.call("handler serve h").ends(4);
    assert!(refused.stderr.contains("type `h`:") && refused.stderr.contains("nope"), "{}", refused.stderr);
    let unknown = bench.call("handler serve g").ends(2);
    assert!(unknown.stderr.contains("no handler serves type `g`"), "{}", unknown.stderr);
    for (options, why) in [
        ("h --bind tcp://nowhere", "needs a port"),
        ("h --kind reply", "the kind must be one of"),
        ("h --instances 5 --max-instances 4", "--instances 5 is more than --max-instances 4"),
        ("h --on kubernetes", "not as pods"),
        ("exec", "type `exec` is built in"),
    ] {
        let refused = bench.call(&format!("handler serve {options}")).ends(2);
        assert!(refused.stderr.contains(why), "{options}: {}", refused.stderr);
    }
}

#[test]
fn a_request_over_its_limit_is_stopped_and_said_to_be() {
    let serving = Serving::new("warm: true", "--timeout-ms 300 --grace 1");
    let reply = serving.ask(&json!({"ms": 60_000}));
    assert_eq!(
        (&reply["message"], &reply["parameters"]["code"]),
        (&json!("exceeded the limit of 300 ms"), &json!("timeout"))
    );
    assert_eq!(serving.ask(&json!({}))["status"], "OK");
}

#[test]
fn closing_finishes_what_is_in_hand_and_answers_what_waits() {
    let mut serving = Serving::new("warm: true", "");
    serving.until("instances", |found| found["instances"][0]["status"] == "ready");
    let both =
        serving.callers("crowd", json!({"callers": 2, "parameters": {"ms": 4_000, "size": 5_000_000}}));
    let amounts = json!({"processing_length": 1, "queue_length": 1});
    serving.until("message-amount", |found| *found == amounts);
    serving.signal(rustix::process::Signal::TERM);
    let replies = seen(both);
    assert_eq!((count(&replies, ""), count(&replies, "the handler is closing")), (1, 1), "{replies}");
    assert_eq!(serving.end().0, Some(0));
    assert!(!serving.bench.has("pop/handlers/h_1.sock"));
}

#[test]
fn a_killed_server_leaves_no_instance_and_can_start_again_at_once() {
    let endpoint = |bench: &Bench| format!("ipc://{}", bench.path("socket").display());
    let bench = bench("warm: true");
    let options = format!("--bind {}", endpoint(&bench));
    let mut serving = Serving::within(bench, "h", &options);
    assert_eq!(serving.line["endpoint"], endpoint(&serving.bench));
    let mode = |name: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(serving.bench.path(name)).unwrap().permissions().mode() & 0o777
    };
    assert_eq!((mode("socket"), mode("pop/handlers"), mode("pop/handlers/h_1.sock")), (0o600, 0o700, 0o600));
    let pid = serving.ask(&json!({}))["parameters"]["pid"].as_u64().unwrap();
    serving.bench.write("pid", format!("{pid}\n"));
    let instance = serving.bench.process("pid");
    serving.signal(rustix::process::Signal::KILL);
    serving.child.wait().unwrap();
    instance.ends();
    let folder = std::mem::replace(&mut serving.bench, Bench::new());
    assert!(Path::exists(&folder.path("socket")));
    let again = Serving::within(folder, "h", &options);
    assert_eq!((again.id(), &again.ask(&json!({}))["status"]), ("h_1", &json!("OK")));
}
