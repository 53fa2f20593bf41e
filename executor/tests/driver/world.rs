//! A world of scripted ports for the driver: each can be made to fail, and all of them keep one diary.

use pop_agenda::{
    Agenda, CancelReason, EventRecord, Outcome, Plan, RunEvent, RunOptions, RunOutcome, Scheduler, Sink,
};
use pop_contract::{Exit, LaunchType};
use pop_executor::{
    HostEffects, Journal, JournalError, Ports, RunError, RunIdentity, RunRequest, RunStart, Runners, restore,
    run,
};
use pop_handler_base::field_retriever::{Arguments, DefaultLaunchData, Defaults, Environment, Properties};
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher};
use pop_registry::Catalog;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// What happened in the order in which it did, told by every port.
type Diary = Arc<Mutex<Vec<String>>>;

struct MemoryJournal {
    diary: Diary,
    events: Arc<Mutex<Vec<EventRecord>>>,
    /// The appends that fail, counted from 1, and how.
    fails: HashMap<usize, io::ErrorKind>,
    panics_at: Option<usize>,
    appends: Arc<AtomicUsize>,
}

impl Journal for MemoryJournal {
    fn append(&mut self, events: &[EventRecord]) -> Result<(), JournalError> {
        let append = self.appends.fetch_add(1, Ordering::Relaxed) + 1;
        assert_ne!(Some(append), self.panics_at, "as the test wants it");
        if let Some(kind) = self.fails.get(&append) {
            let (path, source) = (PathBuf::from("journal"), io::Error::from(*kind));
            return Err(match kind {
                io::ErrorKind::StorageFull => JournalError::Full { path, source },
                _ => JournalError::Io { path, source },
            });
        }
        for event in events {
            self.diary.lock().unwrap().push(format!("record {}", word(&event.event)));
        }
        self.events.lock().unwrap().extend_from_slice(events);
        Ok(())
    }

    fn close(&mut self) -> Result<(), JournalError> {
        Ok(())
    }
}

struct DiarySink(Diary);

impl Sink for DiarySink {
    fn on_event(&mut self, _: &Arc<Plan>, recorded: &EventRecord) {
        self.0.lock().unwrap().push(format!("report {}", word(&recorded.event)));
    }

    fn on_notice(&mut self, words: &str) {
        self.0.lock().unwrap().push(format!("notice {words}"));
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

/// How a program behaves: what it says, after how long it ends, and how; a stubborn one ends by force alone.
#[derive(Clone)]
pub(crate) struct Play {
    pub(crate) says: Vec<LaunchEvent>,
    pub(crate) takes: Option<Duration>,
    pub(crate) ended: LaunchEnd,
    pub(crate) is_stubborn: bool,
}

pub(crate) fn ends(exit: Exit) -> Play {
    Play {
        says: Vec::new(),
        takes: Some(Duration::from_millis(5)),
        ended: LaunchEnd::exited(exit),
        is_stubborn: false,
    }
}

/// A launcher that plays what it was given, in the order of launches; it must end with nothing at work.
pub(crate) struct Scripted {
    diary: Diary,
    plays: Mutex<std::vec::IntoIter<Play>>,
    at_work: Arc<Mutex<HashMap<LaunchId, mpsc::UnboundedSender<bool>>>>,
    pub(crate) orders: Mutex<Vec<LaunchOrder>>,
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

    pub(crate) fn assert_empty(&self) {
        assert!(self.at_work.lock().unwrap().is_empty(), "something is still at work");
        assert_eq!(self.plays.lock().unwrap().len(), 0, "a play was not used");
    }
}

impl Launcher for Scripted {
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
        self.diary.lock().unwrap().push(format!("act launch {}", id.0 >> 32));
        let is_again = order.again;
        self.orders.lock().unwrap().push(order);
        let events = events.clone();
        if is_again {
            tokio::spawn(async move { events.send(LaunchUpdate { id, event: LaunchEvent::Lost }).await });
            return;
        }
        let play = self.plays.lock().unwrap().next().unwrap();
        let (stop, mut stopped) = mpsc::unbounded_channel();
        self.at_work.lock().unwrap().insert(id, stop);
        let at_work = Arc::clone(&self.at_work);
        tokio::spawn(async move {
            for event in play.says {
                events.send(LaunchUpdate { id, event }).await.unwrap();
            }
            let ended = tokio::select! {
                () = tokio::time::sleep(play.takes.unwrap_or_default()), if play.takes.is_some() => play.ended,
                exit = stops(&mut stopped, play.is_stubborn) => LaunchEnd::exited(exit),
            };
            at_work.lock().unwrap().remove(&id);
            events.send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(ended)) }).await.ok();
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

/// How a program ends that is asked to.
async fn stops(stopped: &mut mpsc::UnboundedReceiver<bool>, is_stubborn: bool) -> Exit {
    while let Some(force) = stopped.recv().await {
        if force || !is_stubborn {
            return Exit::Signal(if force { 9 } else { 15 });
        }
    }
    std::future::pending().await
}

pub(crate) struct World {
    pub(crate) outcome: Result<RunOutcome, RunError>,
    pub(crate) diary: Vec<String>,
    pub(crate) events: Vec<EventRecord>,
    pub(crate) launcher: Arc<Scripted>,
    pub(crate) plan: Arc<Plan>,
}

pub(crate) struct Setup {
    pub(crate) operations: Value,
    pub(crate) options: RunOptions,
    pub(crate) plays: Vec<Play>,
    pub(crate) journal_fails: HashMap<usize, io::ErrorKind>,
    /// The append that panics, counted from 1.
    pub(crate) journal_panics_at: Option<usize>,
    /// Number of appends so far.
    pub(crate) appends: Arc<AtomicUsize>,
    pub(crate) memory_kills: bool,
    pub(crate) before: Vec<EventRecord>,
    pub(crate) cancels: Vec<CancelReason>,
    /// Launches in place of the scripted launcher.
    pub(crate) launcher: Option<Arc<dyn Launcher>>,
}

pub(crate) fn setup(operations: Value, plays: Vec<Play>) -> Setup {
    Setup {
        operations,
        options: RunOptions::default(),
        plays,
        journal_fails: HashMap::new(),
        journal_panics_at: None,
        appends: Arc::default(),
        memory_kills: false,
        before: Vec::new(),
        cancels: Vec::new(),
        launcher: None,
    }
}

pub(crate) async fn drive(setup: Setup) -> World {
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
        fails: setup.journal_fails,
        panics_at: setup.journal_panics_at,
        appends: setup.appends,
    };
    let defaults = Defaults { property_files: Vec::new(), ..Defaults::executor() };
    let none = Arguments::parse(Vec::<String>::new(), &[]).unwrap();
    let environment = Environment::from_pairs(Vec::<(String, String)>::new());
    let launch_data =
        DefaultLaunchData::from_parts(none, environment, Properties::default(), &defaults).unwrap();
    let (sender, requests) = mpsc::unbounded_channel();
    for reason in setup.cancels {
        sender.send(RunRequest::Cancel(reason)).unwrap();
    }
    let (scheduler, resumed, began) = if setup.before.is_empty() {
        (Scheduler::new(Arc::clone(&plan), setup.options), None, None)
    } else {
        let restored = restore(Arc::clone(&plan), &setup.before, Path::new("j")).unwrap();
        (restored.scheduler, Some(setup.options), restored.began)
    };
    let logs = tempfile::tempdir().unwrap();
    let identity = RunIdentity {
        run: "r".into(),
        mark: "r".into(),
        cid: "c".into(),
        agenda: "a".into(),
        folder: logs.path().to_owned(),
        start: logs.path().to_owned(),
        logs: logs.path().to_owned(),
        home: None,
        on: pop_contract::LaunchType::Local,
        trace: pop_telemetry::RunTrace::new("r", "c", None, false),
    };
    let host = pop_executor::Host::new(logs.path().join(".host"));
    let ports = Ports {
        journal: Box::new(journal),
        sinks: vec![Box::new(DiarySink(Arc::clone(&diary)))],
        runners: Runners::new(
            setup.launcher.unwrap_or_else(|| Arc::clone(&launcher) as _),
            Arc::new(launch_data),
            || 1_000,
            &identity,
        ),
        memory_kills: Box::new(move || setup.memory_kills),
        requests,
        suspend: || {},
        clock: || 1_000,
        effects: Box::new(HostEffects::new(host, &identity, || 1_000)),
    };
    let given = RunStart {
        scheduler,
        identity,
        adopted: pop_agenda::PriorOutcomes::default(),
        replayed: Vec::new(),
        resumed,
        began,
    };
    let outcome = tokio::spawn(run(given, ports)).await.unwrap().map(|finished| finished.outcome);
    let diary = diary.lock().unwrap().clone();
    let events = events.lock().unwrap().clone();
    World { outcome, diary, events, launcher, plan }
}

pub(crate) fn exec(name: &str, needs: &[&str]) -> Value {
    json!({"name": name, "type": "exec", "params": {"dependsOn": needs}, "payload": {"command": ["x"]}})
}

pub(crate) fn outcomes(world: &World) -> Vec<Option<Outcome>> {
    let restored = restore(Arc::clone(&world.plan), &world.events, Path::new("j")).unwrap();
    world.plan.operations().map(|(op, _)| restored.scheduler.state(op).outcome()).collect()
}
