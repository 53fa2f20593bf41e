//! The driver with scripted ports: the order record, report, act; each port made to fail; nothing left behind.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda::{
    Agenda, CancelReason, OpIx, Outcome, Plan, Recorded, RunEvent, RunOptions, RunOutcome, RunTime,
    Scheduler, Sink,
};
use pop_executor::{Given, Journal, JournalError, Ports, RunError, RunIdentity, restore, run};
use pop_handler_base::field_retriever::{Arguments, DefaultLaunchData, Defaults, Environment, Properties};
use pop_launchers::{Ended, LaunchEvent, LaunchId, LaunchOrder, Launched, Launcher};
use pop_registry::Catalog;
use pop_registry::contract::{Blame, Exit, Failure, LaunchType, Progress, Said};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// What happened in the order in which it did, told by every port.
type Diary = Arc<Mutex<Vec<String>>>;

struct MemoryJournal {
    diary: Diary,
    events: Arc<Mutex<Vec<Recorded>>>,
    /// The append that fails, counted from 1.
    fails_at: Option<usize>,
    appends: usize,
}

impl Journal for MemoryJournal {
    fn append(&mut self, events: &[Recorded]) -> Result<(), JournalError> {
        self.appends += 1;
        if self.fails_at == Some(self.appends) {
            let source = io::Error::from(io::ErrorKind::StorageFull);
            return Err(JournalError::Io { path: PathBuf::from("journal"), source });
        }
        for event in events {
            self.diary.lock().unwrap().push(format!("record {}", word(&event.event)));
        }
        self.events.lock().unwrap().extend_from_slice(events);
        Ok(())
    }
}

struct DiarySink(Diary);

impl Sink for DiarySink {
    fn on_event(&mut self, _: &Plan, recorded: &Recorded) {
        self.0.lock().unwrap().push(format!("report {}", word(&recorded.event)));
    }
}

fn word(event: &RunEvent) -> String {
    let text = serde_json::to_value(event).unwrap();
    let (name, fields) = text.as_object().unwrap().iter().next().unwrap();
    match fields["op"].as_u64() {
        Some(op) => format!("{name} {op}"),
        None => name.clone(),
    }
}

/// How a program behaves: what it says, after how long it ends, and how.
#[derive(Clone)]
struct Play {
    says: Vec<LaunchEvent>,
    takes: Option<Duration>,
    ended: Ended,
}

fn ends(exit: Exit) -> Play {
    Play { says: Vec::new(), takes: Some(Duration::from_millis(5)), ended: Ended::exited(exit) }
}

/// A launcher that plays what it was given, in the order of launches; it must end with nothing at work.
struct Scripted {
    diary: Diary,
    plays: Mutex<std::vec::IntoIter<Play>>,
    at_work: Arc<Mutex<HashMap<LaunchId, mpsc::UnboundedSender<bool>>>>,
    orders: Mutex<Vec<LaunchOrder>>,
}

impl Scripted {
    fn new(diary: &Diary, plays: Vec<Play>) -> Arc<Self> {
        Arc::new(Self {
            diary: Arc::clone(diary),
            plays: Mutex::new(plays.into_iter()),
            at_work: Arc::default(),
            orders: Mutex::default(),
        })
    }

    fn assert_empty(&self) {
        assert!(self.at_work.lock().unwrap().is_empty(), "something is still at work");
        assert_eq!(self.plays.lock().unwrap().len(), 0, "a play was not used");
    }
}

impl Launcher for Scripted {
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<Launched>) {
        self.diary.lock().unwrap().push(format!("act launch {}", id.0 >> 32));
        let is_again = order.again;
        self.orders.lock().unwrap().push(order);
        let events = events.clone();
        if is_again {
            tokio::spawn(async move { events.send(Launched { id, event: LaunchEvent::Lost }).await });
            return;
        }
        let play = self.plays.lock().unwrap().next().unwrap();
        let (stop, mut stopped) = mpsc::unbounded_channel();
        self.at_work.lock().unwrap().insert(id, stop);
        let at_work = Arc::clone(&self.at_work);
        tokio::spawn(async move {
            for event in play.says {
                events.send(Launched { id, event }).await.unwrap();
            }
            let ended = tokio::select! {
                () = tokio::time::sleep(play.takes.unwrap_or_default()), if play.takes.is_some() => play.ended,
                Some(force) = stopped.recv() => Ended::exited(Exit::Signal(if force { 9 } else { 15 })),
            };
            at_work.lock().unwrap().remove(&id);
            events.send(Launched { id, event: LaunchEvent::Ended(Box::new(ended)) }).await.ok();
        });
    }

    fn stop(&self, id: LaunchId, force: bool) {
        self.diary.lock().unwrap().push(format!(
            "act {} {}",
            if force { "kill" } else { "stop" },
            id.0 >> 32
        ));
        if let Some(stop) = self.at_work.lock().unwrap().get(&id) {
            stop.send(force).ok();
        }
    }
}

struct World {
    outcome: Result<RunOutcome, RunError>,
    diary: Vec<String>,
    events: Vec<Recorded>,
    launcher: Arc<Scripted>,
    plan: Arc<Plan>,
}

struct Setup {
    operations: Value,
    options: RunOptions,
    plays: Vec<Play>,
    journal_fails_at: Option<usize>,
    before: Vec<Recorded>,
    cancels: Vec<CancelReason>,
}

fn setup(operations: Value, plays: Vec<Play>) -> Setup {
    Setup {
        operations,
        options: RunOptions::default(),
        plays,
        journal_fails_at: None,
        before: Vec::new(),
        cancels: Vec::new(),
    }
}

async fn drive(setup: Setup) -> World {
    let mut faults = Vec::new();
    let agenda = Agenda::parse(json!({"id": "ag", "operations": setup.operations}), &mut faults).unwrap();
    let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap();
    let plan = Arc::new(plan);
    let diary = Diary::default();
    let launcher = Scripted::new(&diary, setup.plays);
    let events = Arc::new(Mutex::new(setup.before.clone()));
    let journal = MemoryJournal {
        diary: Arc::clone(&diary),
        events: Arc::clone(&events),
        fails_at: setup.journal_fails_at,
        appends: 0,
    };
    let defaults = Defaults { property_files: Vec::new(), ..Defaults::executor() };
    let none = Arguments::parse(Vec::<String>::new(), &[]).unwrap();
    let environment = Environment::from_pairs(Vec::<(String, String)>::new());
    let launch_data =
        DefaultLaunchData::from_parts(none, environment, Properties::default(), &defaults).unwrap();
    let (sender, cancels) = mpsc::unbounded_channel();
    for reason in setup.cancels {
        sender.send(reason).unwrap();
    }
    let (scheduler, resumed, began) = if setup.before.is_empty() {
        (Scheduler::new(Arc::clone(&plan), setup.options), None, None)
    } else {
        let restored = restore(Arc::clone(&plan), &setup.before);
        (restored.scheduler, Some(setup.options), restored.began)
    };
    let logs = tempfile::tempdir().unwrap();
    let identity = RunIdentity {
        run: "r".into(),
        cid: "c".into(),
        logs: logs.path().to_owned(),
        home: None,
        on: "local".into(),
    };
    let ports = Ports {
        journal: Box::new(journal),
        sinks: vec![Box::new(DiarySink(Arc::clone(&diary)))],
        launcher: Arc::clone(&launcher) as Arc<dyn Launcher>,
        launch_data: Arc::new(launch_data),
        cancels,
        clock: || 1_000,
    };
    let given = Given { scheduler, identity, adopted: Vec::new(), resumed, began };
    let outcome = tokio::spawn(run(given, ports)).await.unwrap();
    let diary = diary.lock().unwrap().clone();
    let events = events.lock().unwrap().clone();
    World { outcome, diary, events, launcher, plan }
}

fn exec(name: &str, needs: &[&str]) -> Value {
    json!({"name": name, "type": "exec", "params": {"dependsOn": needs}, "payload": {"command": ["x"]}})
}

fn outcomes(world: &World) -> Vec<Option<Outcome>> {
    let restored = restore(Arc::clone(&world.plan), &world.events);
    world.plan.operations().map(|(op, _)| restored.scheduler.state(op).outcome()).collect()
}

#[tokio::test(start_paused = true)]
async fn record_comes_before_report_and_report_before_act() {
    let world = drive(setup(json!([exec("a", &[]), exec("b", &["a"])]), vec![ends(Exit::Code(0)); 2])).await;
    assert_eq!(world.outcome.unwrap(), RunOutcome::Succeeded);
    assert_eq!(
        world.diary,
        [
            "record RunStarted",
            "record AttemptStarted 0",
            "report RunStarted",
            "report AttemptStarted 0",
            "act launch 0",
            "record AttemptEnded 0",
            "record AttemptStarted 1",
            "report AttemptEnded 0",
            "report AttemptStarted 1",
            "act launch 1",
            "record AttemptEnded 1",
            "record RunEnded",
            "report AttemptEnded 1",
            "report RunEnded",
        ]
    );
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f6_a_journal_that_fails_stops_all_work_and_launches_nothing_more() {
    for fails_at in 1..=3 {
        let forever = Play { takes: None, ..ends(Exit::Code(0)) };
        let plays = match fails_at {
            1 => vec![],
            2 => vec![ends(Exit::Code(0)), forever],
            _ => vec![ends(Exit::Code(0)), forever, ends(Exit::Code(0))],
        };
        let world = drive(Setup {
            options: RunOptions { parallel: 2, ..RunOptions::default() },
            journal_fails_at: Some(fails_at),
            ..setup(json!([exec("a", &[]), exec("long", &[]), exec("b", &["a"]), exec("c", &["b"])]), plays)
        })
        .await;
        assert!(matches!(world.outcome, Err(RunError::Journal(_))), "{fails_at}");
        world.launcher.assert_empty();
        let launches = world.diary.iter().filter(|entry| entry.starts_with("act launch")).count();
        assert_eq!(launches, [0, 2, 3][fails_at - 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn f9_a_launcher_that_fails_is_a_failed_attempt_of_the_platform() {
    let failure = Failure::new(Blame::Platform, "resources", "no room");
    let refused = Play { ended: Ended::failed(failure), ..ends(Exit::Code(0)) };
    let operation = json!([{"name": "a", "type": "exec", "payload": {"command": ["x"]},
        "params": {"retry": {"maxAttempts": 2, "delayMs": 100}}}]);
    let world = drive(setup(operation, vec![refused, ends(Exit::Code(0))])).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded);
    assert!(world.diary.contains(&"record BackedOff 0".to_owned()));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn a_reference_that_leads_nowhere_fails_its_operation_and_launches_nothing() {
    let operations = json!([exec("a", &[]),
        {"name": "b", "type": "exec", "payload": {"command": ["x", "@<a.out::/no/such>"]}}]);
    let world = drive(setup(operations, vec![ends(Exit::Code(0))])).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Failed);
    assert_eq!(outcomes(&world), [Some(Outcome::Succeeded), Some(Outcome::Failed)]);
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn references_reach_the_command_and_the_environment_names_the_operation() {
    let said = Said { result: Some(json!({"w": [7]})), ..Said::default() };
    let first = Play { ended: Ended { said, ..Ended::exited(Exit::Code(0)) }, ..ends(Exit::Code(0)) };
    let operations = json!([exec("a", &[]), {"name": "b", "id": "9", "type": "exec",
        "payload": {"command": ["x", "@<a.out::/w/0>", "@<pop.agendaId>", "@<pop.operationName>"]}}]);
    let world = drive(setup(operations, vec![first, ends(Exit::Code(0))])).await;
    let orders = world.launcher.orders.lock().unwrap();
    assert_eq!(orders[1].program.argv, ["x", "7", "ag", "b"]);
    assert_eq!(orders[1].name, "r-b-1");
    let variable = |name: &str| {
        let env = &orders[1].program.env;
        env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
    };
    assert_eq!(variable("OPERATION_NAME").as_deref(), Some("b"));
    assert_eq!(variable("OPERATION_ID").as_deref(), Some("9"));
    assert_eq!(variable("POP_ATTEMPT").as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_stop_is_killed_after_the_grace() {
    let forever = Play { takes: None, ..ends(Exit::Code(0)) };
    let world = drive(Setup {
        cancels: vec![CancelReason::Interrupted],
        ..setup(json!([exec("a", &[])]), vec![forever])
    })
    .await;
    assert_eq!(world.outcome.unwrap(), RunOutcome::Interrupted);
    assert!(world.diary.contains(&"act stop 0".to_owned()));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f21_a_silent_handler_inside_the_executor_is_stopped_too() {
    let operations = json!([{"name": "a", "type": "sample", "params": {"noOutputTimeoutMs": 200},
        "payload": {"actions": [{"action": "log", "paramsMap": {"sleepMilliseconds": 1_000_000}}]}}]);
    let world = drive(setup(operations, vec![])).await;
    let stalled = world.events.iter().any(|event| {
        matches!(&event.event, RunEvent::AttemptEnded { ending: pop_agenda::Ending::Failed(failure), .. }
            if failure.code == "stalled")
    });
    assert!(stalled, "{:?}", world.events);
}

#[tokio::test(start_paused = true)]
async fn progress_is_recorded_and_handed_to_the_next_attempt() {
    let progress = Progress { percent_complete: Some(40.0), ..Progress::default() };
    let first = Play { says: vec![LaunchEvent::Progress(Box::new(progress))], ..ends(Exit::Code(1)) };
    let operations = json!([{"name": "a", "type": "exec", "payload": {"command": ["x"]},
        "params": {"retry": {"maxAttempts": 2}}}]);
    let world = drive(setup(operations, vec![first, ends(Exit::Code(0))])).await;
    assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded);
    let restored = restore(Arc::clone(&world.plan), &world.events);
    assert_eq!(restored.scheduler.progress(OpIx(0)).unwrap().percent_complete, Some(40.0));
    world.launcher.assert_empty();
}

#[tokio::test(start_paused = true)]
async fn f1_a_run_resumed_at_any_record_ends_the_same_and_repeats_no_success() {
    let operations = json!([exec("a", &[]), exec("b", &["a"]), {"name": "c", "type": "sample",
        "payload": {"resultPayload": 1}}, exec("d", &["b", "c"])]);
    let whole = drive(setup(operations.clone(), vec![ends(Exit::Code(0)); 3])).await;
    let wanted = outcomes(&whole);
    for cut in 1..whole.events.len() {
        let before = whole.events[..cut].to_vec();
        let done = before
            .iter()
            .filter(|event| matches!(event.event, RunEvent::AttemptEnded { op, .. } if op.0 != 2));
        let plays = vec![ends(Exit::Code(0)); 3 - done.count()];
        let world = drive(Setup { before, ..setup(operations.clone(), plays) }).await;
        assert_eq!(world.outcome.as_ref().unwrap(), &RunOutcome::Succeeded, "{cut}");
        assert_eq!(outcomes(&world), wanted, "{cut}");
        world.launcher.assert_empty();
    }
}

#[tokio::test(start_paused = true)]
async fn f68_the_time_of_a_run_never_goes_back() {
    let operations = json!([exec("a", &[])]);
    let started = RunEvent::RunStarted {
        run: "r".into(),
        started: 999_999_999,
        options: RunOptions::default(),
        adopted: Vec::new(),
    };
    let before = vec![Recorded { at: RunTime(50), event: started }];
    // the wall clock of this executor is far behind
    let world = drive(Setup { before, ..setup(operations, vec![ends(Exit::Code(0))]) }).await;
    let times: Vec<u64> = world.events.iter().map(|event| event.at.0).collect();
    assert!(times.is_sorted() && times[0] == 50, "{times:?}");
}
