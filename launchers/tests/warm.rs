//! The launcher of warm handlers against real instances: order, crashes, stops, limits, output, secrets.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_contract::Exit;
use pop_launchers::process::{LAUNCH_VARIABLE, Signal, left_by};
use pop_launchers::{
    LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher, ProcessLauncher, Program, RunOnce,
    Secrets, WarmLauncher, WarmOrder,
};
use pop_registry::{LocalSecret, Secret, SecretSource};
use pop_warm::{PoolSettings, Recycle};
use rustix::process::{Pid, kill_process};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A launcher, the orders that it got, and their ends.
struct World {
    launcher: WarmLauncher,
    settings: PoolSettings,
    /// What the instances read from `STATE`.
    state: Value,
    secrets: Vec<Secret>,
    silence: Option<Duration>,
    folder: tempfile::TempDir,
    sender: mpsc::Sender<LaunchUpdate>,
    receiver: mpsc::Receiver<LaunchUpdate>,
    last: u64,
    ends: HashMap<LaunchId, LaunchEnd>,
    events: Vec<(LaunchId, LaunchEvent)>,
    lane: Option<u32>,
}

impl World {
    fn new() -> Self {
        Self::with(Secrets::default())
    }

    fn with(secrets: Secrets) -> Self {
        let inner = ProcessLauncher::new(std::env::vars_os(), std::env::current_dir().unwrap());
        let (sender, receiver) = mpsc::channel(64);
        Self {
            launcher: WarmLauncher::new(Arc::new(inner), secrets),
            settings: PoolSettings { max: 1, ..PoolSettings::default() },
            state: json!({}),
            lane: None,
            secrets: Vec::new(),
            silence: None,
            folder: tempfile::tempdir().unwrap(),
            sender,
            receiver,
            last: 0,
            ends: HashMap::new(),
            events: Vec::new(),
        }
    }

    fn launch(&mut self, payload: &Value) -> LaunchId {
        self.last += 1;
        self.launch_attempt(payload, self.last)
    }

    /// Launches an attempt of this operation.
    fn launch_attempt(&mut self, payload: &Value, subject: u64) -> LaunchId {
        let id = LaunchId(self.last);
        let payload: Option<Arc<str>> = (!payload.is_null()).then(|| payload.to_string().into());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/warm_program.py");
        let variables = vec![("OPERATION_NAME".to_owned(), format!("op {}", id.0))];
        let run_once: RunOnce = {
            let (payload, variables) = (payload.clone(), variables.clone());
            Arc::new(move |order| {
                let payload = payload.as_deref().unwrap_or_default().to_owned();
                order.program.env.push(("PAYLOAD".to_owned(), payload));
                order.program.env.extend(variables.iter().cloned());
                Ok(())
            })
        };
        let order = LaunchOrder {
            name: format!("run-op-{}", id.0),
            program: Program {
                argv: vec!["python3".to_owned(), script.to_owned()],
                env: vec![("STATE".to_owned(), self.state.to_string())],
                secrets: self.secrets.clone(),
                ..Program::default()
            },
            log: Some(self.folder.path().join(format!("{}.log", id.0))),
            silence: self.silence,
            warm: Some(Box::new(WarmOrder {
                settings: self.settings,
                handler: "test/one".to_owned(),
                version: None,
                subject,
                lane: self.lane,
                variables,
                payload,
                run_once,
            })),
            ..LaunchOrder::default()
        };
        self.launcher.launch(id, order, &self.sender);
        id
    }

    /// The next event that is no end.
    async fn event(&mut self) -> (LaunchId, LaunchEvent) {
        loop {
            let LaunchUpdate { id, event } = self.receiver.recv().await.unwrap();
            match event {
                LaunchEvent::Ended(end) => {
                    assert!(self.ends.insert(id, *end).is_none(), "{id:?} ended twice");
                }
                event => {
                    self.events.push((id, event.clone()));
                    return (id, event);
                }
            }
        }
    }

    async fn end(&mut self, id: LaunchId) -> LaunchEnd {
        loop {
            if let Some(end) = self.ends.remove(&id) {
                return end;
            }
            let LaunchUpdate { id, event } = self.receiver.recv().await.unwrap();
            match event {
                LaunchEvent::Ended(end) => {
                    assert!(self.ends.insert(id, *end).is_none(), "{id:?} ended twice");
                }
                event => self.events.push((id, event)),
            }
        }
    }

    async fn run(&mut self, payload: &Value) -> LaunchEnd {
        let id = self.launch(payload);
        self.end(id).await
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(format!("{name}.log"))).unwrap_or_default()
    }

    async fn close(self) {
        self.launcher.close().await;
    }
}

fn pid(end: &LaunchEnd) -> i32 {
    let pid = end.said.result.as_ref().unwrap()["pid"].as_i64().unwrap();
    i32::try_from(pid).unwrap()
}

#[tokio::test]
async fn one_instance_serves_operations_with_their_own_variables() {
    let mut world = World::new();
    let first = world.run(&json!({"n": 1, "text": "a\nb\\"})).await;
    let second = world.run(&json!({"n": 2})).await;
    let result = first.said.result.clone().unwrap();
    assert_eq!(result["payload"], json!({"n": 1, "text": "a\nb\\"}));
    assert_eq!(result["variables"], json!({"OPERATION_NAME": "op 1"}));
    assert_eq!(second.said.result.as_ref().unwrap()["variables"], json!({"OPERATION_NAME": "op 2"}));
    assert_eq!(pid(&first), pid(&second));
    assert_eq!(first.exit, Ok(Exit::Code(0)));
    assert_eq!(second.instance.as_deref(), Some("test/one-1"));
    world.close().await;
}

#[tokio::test]
async fn a_closed_launcher_leaves_no_process() {
    let mut world = World::new();
    let end = world.run(&json!({})).await;
    world.launcher.close().await;
    let pid = Pid::from_raw(pid(&end)).unwrap();
    assert!(rustix::process::test_kill_process(pid).is_err());
    assert!(left_by(&format!("{LAUNCH_VARIABLE}=run-op-1-instance-1")).is_empty());
}

#[tokio::test]
async fn large_payloads_and_results_pass() {
    let mut world = World::new();
    let text = "ü\n".repeat(500_000);
    let end = world.run(&json!({"text": text, "size": 8_000_000})).await;
    let result = end.said.result.unwrap();
    assert!(result["payload"]["text"] == text && result["filler"].as_str().unwrap().len() == 8_000_000);
    world.close().await;
}

#[tokio::test]
async fn output_of_an_instance_breaks_nothing() {
    let mut world = World::new();
    let end = world.run(&json!({"do": "print"})).await;
    assert_eq!(end.exit, Ok(Exit::Code(0)));
    assert!(world.log("1").contains("a line of the log\n"), "{}", world.log("1"));
    world.close_and_check_prints().await;
}

impl World {
    /// What an instance prints is in the log of its operation, or in that of the instance.
    async fn close_and_check_prints(self) {
        self.launcher.close().await;
        let all = self.log("1") + &self.log("warm-test-one-1");
        for line in ["a stray print", "hello 0 0", "and an error"] {
            assert!(all.contains(line), "{line}: {all}");
        }
    }
}

#[tokio::test]
async fn progress_and_a_failure_are_those_of_the_operation() {
    let mut world = World::new();
    let end = world.run(&json!({"do": "progress"})).await;
    assert_eq!(end.said.progress.unwrap().percent_complete, Some(40.0));
    assert!(world.events.iter().any(|(_, event)| matches!(event, LaunchEvent::Progress(_))));
    let end = world.run(&json!({"do": "fail"})).await;
    assert_eq!(end.exit, Ok(Exit::Code(7)));
    assert_eq!(end.log_tail, ["why it failed"]);
    world.close().await;
}

#[tokio::test]
async fn a_crash_is_the_failure_of_its_operation_and_the_next_one_is_served() {
    let mut world = World::new();
    let crashed = world.launch(&json!({"do": "crash"}));
    let next = world.launch(&json!({}));
    let end = world.end(crashed).await;
    assert_eq!(end.exit, Ok(Exit::Signal(11)));
    assert!(end.log_tail.contains(&"last words".to_owned()), "{:?}", end.log_tail);
    let end = world.end(next).await;
    assert_eq!((end.exit, end.instance.as_deref()), (Ok(Exit::Code(0)), Some("test/one-2")));
    world.close().await;
}

#[tokio::test]
async fn an_instance_that_leaves_with_status_0_has_not_succeeded() {
    let mut world = World::new();
    let failure = world.run(&json!({"do": "leave", "status": 0})).await.exit.unwrap_err();
    assert_eq!(failure.code, "contract");
    assert_eq!(world.run(&json!({"do": "leave", "status": 5})).await.exit, Ok(Exit::Code(5)));
    world.close().await;
}

#[tokio::test]
async fn an_instance_that_breaks_the_protocol_is_killed() {
    let mut world = World::new();
    for (what, why) in [("garbage", "`this is no frame`"), ("half-close", "closed its socket")] {
        let failure = world.run(&json!({"do": what})).await.exit.unwrap_err();
        assert_eq!(failure.code, "contract", "{what}");
        assert!(failure.message.contains(why), "{}", failure.message);
    }
    assert_eq!(world.run(&json!({})).await.exit, Ok(Exit::Code(0)));
    world.close().await;
}

#[tokio::test]
async fn a_cancelled_operation_leaves_the_instance_if_that_can_cancel() {
    let mut world = World::new();
    let first = pid(&world.run(&json!({})).await);
    let waiting = world.launch(&json!({"do": "wait"}));
    let queued = world.launch(&json!({}));
    world.event().await;
    world.launcher.stop(queued, false);
    world.launcher.stop(waiting, false);
    assert_eq!(world.end(queued).await.exit, Ok(Exit::Signal(15)));
    assert_eq!(world.end(waiting).await.exit, Ok(Exit::Code(1)));
    assert_eq!(pid(&world.run(&json!({})).await), first);
    world.close().await;
}

#[tokio::test]
async fn a_cancelled_operation_ends_an_instance_that_cannot_cancel() {
    for (force, signal) in [(false, 15), (true, 9)] {
        let mut world = World::new();
        world.state = json!({"cancels": false});
        let waiting = world.launch(&json!({"do": "wait"}));
        world.event().await;
        world.launcher.stop(waiting, force);
        let end = world.end(waiting).await;
        assert_eq!(end.exit, Ok(Exit::Signal(signal)));
        assert_eq!(world.run(&json!({})).await.instance.as_deref(), Some("test/one-2"));
        world.close().await;
    }
}

#[tokio::test]
async fn a_killed_operation_displaces_its_neighbours_without_blame() {
    let mut world = World::new();
    world.settings.slots = 2;
    let [one, other] = [(), ()].map(|()| world.launch(&json!({"do": "wait"})));
    world.event().await;
    world.event().await;
    world.launcher.stop(one, true);
    assert_eq!(world.end(one).await.exit, Ok(Exit::Signal(9)));
    assert!(world.end(other).await.exit.unwrap_err().is_displaced());
    world.close().await;
}

#[tokio::test]
async fn a_suspect_of_two_crashes_gets_the_blame_when_it_runs_alone() {
    let mut world = World::new();
    world.settings.slots = 2;
    let crash = json!({"do": "crash"});
    for _ in 0..2 {
        let neighbour = world.launch(&json!({"do": "wait"}));
        // the neighbour is in hand before the crash
        world.event().await;
        world.last += 1;
        let suspect = world.launch_attempt(&crash, 1_000);
        assert!(world.end(suspect).await.exit.unwrap_err().is_displaced());
        assert!(world.end(neighbour).await.exit.unwrap_err().is_displaced());
    }
    world.last += 1;
    let suspect = world.launch_attempt(&crash, 1_000);
    let after = world.launch(&json!({}));
    assert_eq!(world.end(suspect).await.exit, Ok(Exit::Signal(11)));
    assert_eq!(world.end(after).await.exit, Ok(Exit::Code(0)));
    world.close().await;
}

#[tokio::test]
async fn a_program_without_hello_is_run_once_and_that_is_said_once() {
    for (state, limit) in [(json!({"start": "exit"}), 10_000), (json!({"start": "silent"}), 100)] {
        let mut world = World::new();
        world.state = state.clone();
        world.settings.start_timeout = Duration::from_millis(limit);
        let ids = [(), ()].map(|()| world.launch(&json!({"n": 1})));
        // the second start ends by the request to stop, which now reaches the program itself
        world.event().await;
        for id in ids {
            world.launcher.stop(id, true);
            world.end(id).await;
        }
        let notices = world.events.iter().filter(|(_, event)| matches!(event, LaunchEvent::Notice(_)));
        assert_eq!(notices.count(), 1, "{state}");
        world.close().await;
    }
    let mut world = World::new();
    world.state = json!({"version": 2});
    let failed = world.run(&json!({"n": 1})).await;
    assert_eq!(failed.said.result.unwrap(), json!({"once": r#"{"n":1}"#, "name": "op 1"}));
    let (_, LaunchEvent::Notice(words)) = &world.events[0] else { unreachable!("{:?}", world.events) };
    assert!(words.contains("version 2"), "{words}");
    world.close().await;
}

#[tokio::test]
async fn silence_is_that_of_each_operation() {
    let mut world = World::new();
    world.run(&json!({})).await;
    world.silence = Some(Duration::from_millis(50));
    let id = world.launch(&json!({"do": "wait"}));
    let silent = loop {
        let (of, event) = world.event().await;
        if event == LaunchEvent::Silent {
            break of;
        }
    };
    assert_eq!(silent, id);
    world.launcher.stop(id, false);
    world.end(id).await;
    world.close().await;
}

#[tokio::test]
async fn an_idle_instance_ends_and_a_worn_one_is_replaced() {
    let mut world = World::new();
    world.settings.idle = Duration::from_millis(50);
    let first = pid(&world.run(&json!({})).await);
    let process =
        rustix::process::pidfd_open(Pid::from_raw(first).unwrap(), rustix::process::PidfdFlags::empty());
    let ended = pop_launchers::process::AsyncDescriptor::new(process.unwrap()).unwrap();
    drop(ended.readable().await.unwrap());
    world.settings = PoolSettings {
        recycle: Recycle { operations: Some(2), ..Recycle::default() },
        ..PoolSettings { max: 1, ..PoolSettings::default() }
    };
    let mut pids = Vec::new();
    for _ in 0..4 {
        pids.push(pid(&world.run(&json!({})).await));
    }
    assert!(pids[0] == pids[1] && pids[1] != pids[2] && pids[2] == pids[3], "{pids:?}");
    world.settings.recycle = Recycle { memory: Some(1), ..Recycle::default() };
    let first = pid(&world.run(&json!({})).await);
    assert_ne!(pid(&world.run(&json!({})).await), first);
    world.close().await;
}

#[tokio::test]
async fn a_changed_secret_retires_the_instances() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let local = Some(LocalSecret::File(file.to_string_lossy().into_owned()));
    let secret = Secret { variable: "TOKEN".to_owned(), source: SecretSource { in_cluster: None, local } };
    std::fs::write(&file, "first-token").unwrap();
    let secrets = Secrets::new(std::slice::from_ref(&secret), &[], None);
    let mut world = World::with(secrets);
    world.secrets = vec![secret];
    let one = world.run(&json!({"do": "secret"})).await;
    std::fs::write(&file, "second-token").unwrap();
    let two = world.run(&json!({"do": "secret"})).await;
    assert_ne!(pid(&one), pid(&two));
    assert_eq!((world.log("1").as_str(), world.log("2").as_str()), ("***\n", "***\n"));
    world.close().await;
}

#[tokio::test]
async fn lanes_have_their_own_instances_and_an_order_without_payload_only_starts_one() {
    let mut world = World::new();
    let mut names = Vec::new();
    for (lane, payload) in [(1, Value::Null), (2, Value::Null), (1, json!({})), (2, json!({}))] {
        world.lane = Some(lane);
        let end = world.run(&payload).await;
        assert_eq!((end.exit, end.said.result.is_some()), (Ok(Exit::Code(0)), !payload.is_null()));
        names.push(end.instance.unwrap_or_default());
    }
    assert_eq!(names, ["test/one-1", "test/one-2", "test/one-1", "test/one-2"].map(Into::into));
    world.launcher.retire(1);
    world.lane = Some(1);
    assert_eq!(world.run(&json!({})).await.instance.as_deref(), Some("test/one-3"));
    world.lane = Some(2);
    assert_eq!(world.run(&json!({})).await.instance.as_deref(), Some("test/one-2"));
    world.launcher.close().await;
}

#[tokio::test]
async fn killed_instances_lose_no_operation() {
    let mut world = World::new();
    world.settings.max = 3;
    let mut killed = 0;
    let mut open: Vec<LaunchId> = (0..6).map(|n| world.launch(&json!({"n": n}))).collect();
    while world.last < 120 {
        let end = world.end(open.remove(0)).await;
        match end.exit {
            Ok(Exit::Code(0)) if world.last.is_multiple_of(5) => {
                // it may have ended already, or serve another operation
                if kill_process(Pid::from_raw(pid(&end)).unwrap(), Signal::KILL).is_ok() {
                    killed += 1;
                }
            }
            Ok(Exit::Code(0) | Exit::Signal(9)) => {}
            other => unreachable!("{other:?}"),
        }
        open.push(world.launch(&json!({"n": 0})));
    }
    for id in open {
        world.end(id).await;
    }
    assert!(killed > 10, "{killed}");
    world.close().await;
}
