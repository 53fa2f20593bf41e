//! Agendas through their lives, in memory.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use proptest::prelude::*;
use serde_json::{Value, json};
use world::{World, evict, exit, progress, report, run};

fn spec() -> Value {
    json!({"agenda": {"operations": [{"name": "x", "type": "exec"}]}})
}

fn started(spec: &Value) -> World {
    let mut world = World::new(spec);
    world.settle();
    world.pod("a-g1-1", run);
    world.settle();
    world
}

#[test]
fn agenda_runs_to_its_end() {
    let mut world = World::new(&spec());
    world.settle();
    assert_eq!((world.names("ConfigMap"), world.names("Pod")), (vec!["a-g1"], vec!["a-g1-1"]));
    assert_eq!((world.status("phase"), world.condition("Accepted")), (&json!("Pending"), "True"));
    let arguments = world.pods()[0]["spec"]["containers"][0]["args"].as_array().unwrap();
    assert_eq!(&arguments[..2], ["run", "/etc/pop/agenda/agenda.json"]);
    world.pod("a-g1-1", |pod| {
        run(pod);
        progress(pod, 42.7);
    });
    world.settle();
    assert_eq!((world.status("phase"), world.status("percentComplete")), (&json!("Running"), &json!(42)));
    assert_eq!((world.condition("Running"), world.condition("Complete")), ("True", "False"));
    world.pod("a-g1-1", |pod| {
        report(pod, "succeeded", 0);
        exit(pod, 0, "");
    });
    world.settle();
    assert_eq!((world.status("phase"), world.status("outcome")), (&json!("Succeeded"), &json!("succeeded")));
    assert_eq!(world.status("completedTime"), "1970-01-01T00:00:09Z");
    assert_eq!(world.status("startedTime"), "1970-01-01T00:00:01Z");
    assert_eq!((world.condition("Complete"), world.condition("Succeeded")), ("True", "True"));
    assert_eq!((world.names("Pod"), world.resync), (vec!["a-g1-1"], None));
}

#[test]
fn failed_run_is_complete_and_not_succeeded() {
    let mut world = started(&spec());
    world.pod("a-g1-1", |pod| {
        report(pod, "failed", 10);
        exit(pod, 0, "");
    });
    world.settle();
    assert_eq!((world.status("phase"), world.status("exitCode")), (&json!("Failed"), &json!(10)));
    assert_eq!((world.condition("Complete"), world.condition("Succeeded")), ("True", "False"));
}

#[test]
fn faulty_agenda_tells_all_faults_and_starts_nothing() {
    let mut world = World::new(&json!({"agenda": {"bad": true}}));
    world.settle();
    assert_eq!(world.status("faults"), &json!(["agenda.operations: bad", "agenda.x: worse"]));
    assert_eq!((world.status("phase"), world.condition("Complete")), (&json!("Invalid"), "True"));
    assert_eq!(world.children, Vec::<Value>::new());
    for (wrong, words) in [
        (json!({}), "neither `agenda` nor `agendaFrom`"),
        (json!({"agenda": {}, "agendaFrom": {"configMap": "m"}}), "both `agenda` and `agendaFrom`"),
        (json!({"agenda": {}, "parallel": "x"}), "the spec cannot be read"),
    ] {
        let mut world = World::new(&wrong);
        world.settle();
        assert!(world.status("faults")[0].as_str().unwrap().contains(words), "{}", world.parent);
    }
    // mended
    world.edit("agenda", json!({"good": true}));
    world.settle();
    assert_eq!((world.names("Pod"), world.status("faults")), (vec!["a-g2-1"], &Value::Null));
}

#[test]
fn faulty_edit_leaves_the_run_as_it_is() {
    let mut world = started(&spec());
    world.edit("agenda", json!({"bad": true}));
    world.settle();
    assert_eq!((world.names("Pod"), world.condition("Accepted")), (vec!["a-g1-1"], "False"));
    assert!(world.pods()[0]["metadata"].get("deletionTimestamp").is_none());
    assert_eq!((world.status("phase"), world.condition("Running")), (&json!("Running"), "True"));
    // a lost executor is replaced, with the agenda that it had
    world.remove("a-g1-1");
    world.settle();
    assert_eq!(world.names("Pod"), ["a-g1-2"]);
    world.pod("a-g1-2", |pod| report(pod, "succeeded", 0));
    world.settle();
    assert_eq!((world.names("Pod"), world.names("ConfigMap")), (vec!["a-g1-2"], vec!["a-g1"]));
    // the phase shows the faults, and the outcome of the run stays on record
    assert_eq!((world.status("phase"), world.status("outcome")), (&json!("Invalid"), &json!("succeeded")));
    assert_eq!((world.condition("Complete"), world.condition("Succeeded")), ("True", "False"));
    // an edit back is the same run, which is not repeated
    world.edit("agenda", spec()["agenda"].clone());
    world.settle();
    assert_eq!((world.status("phase"), world.status("run")), (&json!("Succeeded"), &json!("a-g1")));
    assert_eq!((world.condition("Succeeded"), world.names("Pod")), ("True", vec!["a-g1-2"]));
}

#[test]
fn suspend_and_resume_at_once_is_no_loss() {
    let mut world = started(&json!({"agenda": {}, "executorPods": 1}));
    world.edit("suspend", json!(true));
    world.settle();
    world.edit("suspend", json!(false));
    world.settle();
    world.remove("a-g1-1");
    world.settle();
    assert_eq!((world.names("Pod"), world.status("lostPods")), (vec!["a-g1-2"], &Value::Null));
}

#[test]
fn pod_goes_only_when_its_end_is_on_record() {
    let mut world = started(&json!({"agenda": {}, "keepFinishedSeconds": 0, "executorPods": 1}));
    world.pass_time(9);
    world.pod("a-g1-1", |pod| {
        report(pod, "succeeded", 0);
        exit(pod, 0, "");
    });
    // the status cannot be written
    let before = world.parent["status"].clone();
    world.sync();
    assert!(world.pods()[0]["metadata"].get("deletionTimestamp").is_none());
    world.parent["status"] = before;
    world.settle();
    world.remove("a-g1-1");
    world.settle();
    assert_eq!(world.status("outcome"), "succeeded");
}

#[test]
fn very_many_faults_are_cut() {
    let mut world = World::new(&json!({"agenda": {"many": true}}));
    world.settle();
    let faults = world.status("faults").as_array().unwrap();
    assert_eq!((faults.len(), faults[50].as_str().unwrap()), (51, "… and 50 more; `pop check` lists all"));
    let text = world.parent["status"].to_string();
    assert!(text.len() < 80_000, "{}", text.len());
}

#[test]
fn edit_starts_another_run_when_the_first_is_gone() {
    let mut world = started(&spec());
    world.edit("parallel", json!(3));
    world.settle();
    assert_eq!(world.names("Pod"), ["a-g1-1"]);
    assert_eq!(world.status("phase"), "Waiting");
    world.settle();
    world.remove("a-g1-1");
    world.settle();
    assert_eq!((world.names("Pod"), world.names("ConfigMap")), (vec!["a-g2-1"], vec!["a-g2"]));
    // an edit back to the first spec is a third run
    world.edit("parallel", Value::Null);
    world.settle();
    world.remove("a-g2-1");
    world.settle();
    assert_eq!(world.names("Pod"), ["a-g3-1"]);
}

#[test]
fn evicted_executor_is_followed_by_one_that_knows_the_progress() {
    let mut world = started(&spec());
    world.pod("a-g1-1", |pod| progress(pod, 50.0));
    world.settle();
    world.pod("a-g1-1", evict);
    world.settle();
    // the pod must be gone first
    assert_eq!((world.names("Pod"), world.status("phase")), (vec!["a-g1-1"], &json!("Stopping")));
    assert_eq!(world.status("message"), "The node was low on memory.");
    world.remove("a-g1-1");
    world.settle();
    assert_eq!((world.names("Pod"), world.status("lostPods")), (vec!["a-g1-2"], &json!(1)));
    assert_eq!(world.names("ConfigMap"), ["a-g1", "a-g1-2"]);
    let arguments = world.pods()[0]["spec"]["containers"][0]["args"].to_string();
    assert!(arguments.contains("--lastProgressFile"), "{arguments}");
}

#[test]
fn lost_executors_are_limited() {
    let mut world = started(&json!({"agenda": {}, "executorPods": 2}));
    world.remove("a-g1-1");
    world.settle();
    assert_eq!(world.names("Pod"), ["a-g1-2"]);
    world.remove("a-g1-2");
    world.settle();
    assert_eq!((world.status("outcome"), world.names("Pod").len()), (&json!("lost"), 0));
    assert_eq!(world.condition("Complete"), "True");
}

#[test]
fn suspended_run_goes_on_and_costs_no_executor() {
    let mut world = started(&json!({"agenda": {}, "executorPods": 1}));
    for number in 1..4 {
        world.edit("suspend", json!(true));
        world.settle();
        let name = format!("a-g1-{number}");
        world.pod(&name, |pod| report(pod, "terminated", 143));
        world.settle();
        assert_eq!(world.status("phase"), "Stopping");
        world.remove(&name);
        world.settle();
        assert_eq!((world.status("phase"), world.names("Pod").len()), (&json!("Suspended"), 0));
        world.edit("suspend", json!(false));
        world.settle();
        let next = format!("a-g1-{}", number + 1);
        assert_eq!(world.names("Pod"), [&next]);
        world.pod(&next, run);
        world.settle();
    }
    assert_eq!(world.status("lostPods"), &Value::Null);
}

#[test]
fn cancelled_run_stops_gently_and_ends_once() {
    let mut world = started(&spec());
    world.edit("cancel", json!(true));
    world.settle();
    assert_eq!((world.status("phase"), world.condition("Complete")), (&json!("Stopping"), "False"));
    world.pod("a-g1-1", |pod| report(pod, "terminated", 143));
    world.settle();
    world.remove("a-g1-1");
    world.settle();
    assert_eq!((world.status("phase"), world.status("outcome")), (&json!("Cancelled"), &json!("cancelled")));
    assert_eq!(world.status("counts"), &json!({"succeeded": 2}));
    world.edit("cancel", json!(false));
    world.settle();
    assert_eq!((world.status("outcome"), world.names("Pod").len()), (&json!("cancelled"), 0));
    // before it starts
    let mut world = World::new(&json!({"agenda": {}, "cancel": true}));
    world.settle();
    assert_eq!((world.status("outcome"), world.names("Pod").len()), (&json!("cancelled"), 0));
}

#[test]
fn executor_that_refuses_or_crashes_ends_the_run() {
    let mut world = started(&spec());
    world.pod("a-g1-1", |pod| exit(pod, 3, "error: the agenda has a fault\n"));
    world.settle();
    assert_eq!((world.status("phase"), world.status("outcome")), (&json!("Failed"), &json!("refused")));
    assert_eq!(world.status("message"), "pop ended with 3: error: the agenda has a fault");
    let mut world = started(&spec());
    world.pod("a-g1-1", |pod| exit(pod, 137, ""));
    world.settle();
    assert_eq!(world.status("outcome"), &Value::Null);
    world.pod("a-g1-1", |pod| pod["status"]["containerStatuses"][0]["restartCount"] = 6.into());
    world.settle();
    assert_eq!(world.status("outcome"), "lost");
}

#[test]
fn missing_config_map_is_waited_for() {
    let mut world = World::new(&json!({"agendaFrom": {"configMap": "texts", "key": "k"}}));
    world.settle();
    assert_eq!((world.status("phase"), world.condition("Complete")), (&json!("Waiting"), "False"));
    assert!(world.status("message").as_str().unwrap().contains("no ConfigMap `texts`"));
    assert!(world.resync.is_some());
    world.maps.lock().unwrap().push(json!({"metadata": {"name": "texts"}, "data": {"k": "operations: []"}}));
    world.settle();
    assert_eq!(world.names("Pod"), ["a-g1-1"]);
    let map = world.children.iter().find(|child| child["kind"] == "ConfigMap").unwrap();
    assert_eq!(map["data"], json!({"agenda.yaml": "operations: []"}));
}

#[test]
fn deleted_agenda_waits_until_its_executor_has_stopped() {
    let mut world = started(&spec());
    world.parent["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
    assert!(!world.finalize());
    assert!(world.pods()[0]["metadata"].get("deletionTimestamp").is_some());
    assert_eq!((world.status("phase"), world.names("ConfigMap")), (&json!("Stopping"), vec!["a-g1"]));
    assert!(!world.finalize());
    world.remove("a-g1-1");
    assert!(world.finalize());
}

#[test]
fn finished_pod_is_kept_for_its_time() {
    let mut world = started(&json!({"agenda": {}, "keepFinishedSeconds": 60}));
    world.pass_time(9);
    world.pod("a-g1-1", |pod| {
        report(pod, "succeeded", 0);
        exit(pod, 0, "");
    });
    world.settle();
    assert_eq!(world.resync.map(|rest| rest.as_secs()), Some(60));
    world.pass_time(60);
    world.settle();
    world.remove("a-g1-1");
    world.settle();
    assert_eq!((world.names("Pod").len(), world.names("ConfigMap").len()), (0, 0));
    assert_eq!((world.status("outcome"), world.status("phase")), (&json!("succeeded"), &json!("Succeeded")));
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Sync,
    Start,
    Progress,
    Succeed,
    Evict,
    Delete,
    Gone,
    Edit,
    Suspend(bool),
    Cancel,
    StatusLost,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => Just(Event::Sync),
        4 => Just(Event::Start),
        2 => Just(Event::Progress),
        1 => Just(Event::Succeed),
        2 => Just(Event::Evict),
        1 => Just(Event::Delete),
        4 => Just(Event::Gone),
        1 => Just(Event::Edit),
        1 => any::<bool>().prop_map(Event::Suspend),
        1 => Just(Event::Cancel),
        1 => Just(Event::StatusLost),
    ]
}

proptest! {
    /// Whatever happens in whatever order: at most one executor, one outcome for each run, and an end.
    #[test]
    fn one_executor_and_one_outcome(events in prop::collection::vec(event(), 1..120)) {
        let mut world = World::new(&json!({"agenda": {}, "executorPods": 3}));
        let mut outcomes = std::collections::HashMap::new();
        for event in events {
            let newest = world.names("Pod").last().map(|name| (*name).to_owned());
            let is_deleting = |world: &World| world.pods().last().is_some_and(|pod| pod["metadata"].get("deletionTimestamp").is_some());
            match (event, newest) {
                (Event::Sync, _) => world.sync(),
                (Event::Start, Some(pod)) => world.pod(&pod, run),
                (Event::Progress, Some(pod)) => world.pod(&pod, |pod| progress(pod, 10.0)),
                (Event::Succeed, Some(pod)) => world.pod(&pod, |pod| { report(pod, "succeeded", 0); exit(pod, 0, ""); }),
                (Event::Evict, Some(pod)) => world.pod(&pod, evict),
                (Event::Delete, Some(pod)) => world.pod(&pod, |pod| pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into()),
                (Event::Gone, Some(pod)) if is_deleting(&world) => world.remove(&pod),
                (Event::Edit, _) => { let generation = world.parent["metadata"]["generation"].clone(); world.edit("parallel", generation); }
                (Event::Suspend(is_on), _) => world.edit("suspend", json!(is_on)),
                (Event::Cancel, _) => world.edit("cancel", json!(true)),
                // the writes of a pass are done, but not that of its status
                (Event::StatusLost, _) => { let status = world.parent["status"].clone(); world.sync(); world.parent["status"] = status; }
                _ => {}
            }
            prop_assert!(world.pods().len() <= 1, "{:#?}", world.children);
            if let (Some(run), Some(outcome)) = (world.status("run").as_str(), world.status("outcome").as_str()) {
                let first = outcomes.entry(run.to_owned()).or_insert_with(|| outcome.to_owned());
                prop_assert_eq!(first.as_str(), outcome);
            }
        }
        // with a cluster that does its part, every run ends
        world.edit("suspend", json!(false));
        for _ in 0..20 {
            world.settle();
            let Some(pod) = world.names("Pod").last().map(|name| (*name).to_owned()) else { break };
            if world.pods()[0]["metadata"].get("deletionTimestamp").is_some() {
                world.remove(&pod);
            } else {
                world.pod(&pod, |pod| { report(pod, "succeeded", 0); exit(pod, 0, ""); });
            }
        }
        prop_assert!(world.status("outcome").is_string(), "{:#}", world.parent);
    }
}
