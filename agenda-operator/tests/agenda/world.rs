//! A cluster with one Agenda, in memory: it applies what the handler answers, and pods do what a test says.

use jiff::{SignedDuration, Timestamp};
use pop_agenda_operator::{AgendaHandler, AgendaText, ExecutorDefaults, Surroundings};
use pop_operator::{Handler, SyncRequest};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Syncs after which a world that still changes never settles.
const NEVER: usize = 12;

pub(crate) struct World {
    pub(crate) parent: Value,
    pub(crate) children: Vec<Value>,
    pub(crate) maps: Arc<Mutex<Vec<Value>>>,
    pub(crate) resync: Option<Duration>,
    now: Arc<Mutex<Timestamp>>,
    handler: AgendaHandler,
    last_uid: u32,
}

impl World {
    pub(crate) fn new(spec: &Value) -> Self {
        let now = Arc::new(Mutex::new(Timestamp::UNIX_EPOCH));
        let maps = Arc::new(Mutex::new(Vec::<Value>::new()));
        let (clock, found) = (Arc::clone(&now), Arc::clone(&maps));
        let surroundings = Surroundings {
            check: Box::new(|agenda: &AgendaText| {
                if agenda.text.contains("many") {
                    return vec!["x".repeat(2000); 100];
                }
                let is_bad = agenda.text.contains("bad");
                if is_bad {
                    vec!["agenda.operations: bad".to_owned(), "agenda.x: worse".to_owned()]
                } else {
                    Vec::new()
                }
            }),
            config_map: Box::new(move |_, name| {
                let maps = found.lock().unwrap();
                Ok(maps.iter().find(|map| map["metadata"]["name"] == name).cloned())
            }),
            now: Box::new(move || *clock.lock().unwrap()),
        };
        let parent = json!({
            "apiVersion": "pop-rs.dev/v1alpha1", "kind": "Agenda",
            "metadata": {"name": "a", "namespace": "n", "uid": "u", "generation": 1}, "spec": spec,
        });
        let handler = AgendaHandler::new(ExecutorDefaults::new("pop:1"), surroundings);
        Self { parent, children: Vec::new(), maps, resync: None, now, handler, last_uid: 0 }
    }

    /// Syncs until nothing changes.
    pub(crate) fn settle(&mut self) {
        for _ in 0..NEVER {
            let before = (self.parent.clone(), self.children.clone());
            self.sync();
            if before == (self.parent.clone(), self.children.clone()) {
                return;
            }
        }
        panic!("it never settles: {:#}\n{:#?}", self.parent, self.children);
    }

    /// One pass: children first, then the status.
    pub(crate) fn sync(&mut self) {
        let request = SyncRequest::new(self.parent.clone(), self.children.clone());
        let response = self.handler.sync(&request).unwrap();
        self.resync = response.resync;
        self.apply(&response.children);
        self.parent["status"] = response.status;
    }

    /// One pass over a deleted Agenda. Returns whether it may go.
    pub(crate) fn finalize(&mut self) -> bool {
        let request = SyncRequest::new(self.parent.clone(), self.children.clone());
        let response = self.handler.finalize(&request).unwrap();
        if let Some(children) = &response.children {
            self.apply(children);
        }
        if !response.status.is_null() {
            self.parent["status"] = response.status;
        }
        response.retry.is_none()
    }

    fn apply(&mut self, desired: &[Value]) {
        let is_same = |one: &Value, other: &Value| {
            one["kind"] == other["kind"] && one["metadata"]["name"] == other["metadata"]["name"]
        };
        for child in desired {
            if self.children.iter().any(|known| is_same(known, child)) {
                continue;
            }
            assert!(
                child.get("spec").is_some() || child.get("data").is_some(),
                "a new child without content: {child}"
            );
            self.last_uid += 1;
            let mut child = child.clone();
            child["metadata"]["uid"] = format!("uid-{}", self.last_uid).into();
            self.children.push(child);
        }
        let is_wanted = |known: &Value| desired.iter().any(|child| is_same(known, child));
        self.children.retain(|known| known["kind"] != "ConfigMap" || is_wanted(known));
        for pod in self.children.iter_mut().filter(|child| child["kind"] == "Pod" && !is_wanted(child)) {
            pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
        }
    }

    pub(crate) fn edit(&mut self, field: &str, value: Value) {
        self.parent["spec"][field] = value;
        let generation = self.parent["metadata"]["generation"].as_i64().unwrap();
        self.parent["metadata"]["generation"] = (generation + 1).into();
    }

    pub(crate) fn pass_time(&mut self, seconds: i64) {
        let mut now = self.now.lock().unwrap();
        *now += SignedDuration::from_secs(seconds);
    }

    pub(crate) fn pods(&self) -> Vec<&Value> {
        self.children.iter().filter(|child| child["kind"] == "Pod").collect()
    }

    pub(crate) fn names(&self, kind: &str) -> Vec<&str> {
        let of_kind = self.children.iter().filter(|child| child["kind"] == kind);
        of_kind.map(|child| child["metadata"]["name"].as_str().unwrap()).collect()
    }

    /// Changes a pod that exists.
    pub(crate) fn pod(&mut self, name: &str, change: impl FnOnce(&mut Value)) {
        let pod = self
            .children
            .iter_mut()
            .find(|child| child["kind"] == "Pod" && child["metadata"]["name"] == name);
        change(pod.unwrap_or_else(|| panic!("there is no pod {name}")));
    }

    /// The pod is gone.
    pub(crate) fn remove(&mut self, name: &str) {
        self.children.retain(|child| child["kind"] != "Pod" || child["metadata"]["name"] != name);
    }

    pub(crate) fn status(&self, field: &str) -> &Value {
        &self.parent["status"][field]
    }

    pub(crate) fn condition(&self, kind: &str) -> &str {
        let conditions = self.parent["status"]["conditions"].as_array().unwrap();
        let it = conditions.iter().find(|condition| condition["type"] == kind).unwrap();
        it["status"].as_str().unwrap()
    }
}

pub(crate) fn run(pod: &mut Value) {
    pod["status"] = json!({
        "phase": "Running", "startTime": "1970-01-01T00:00:01Z",
        "containerStatuses": [{"state": {"running": {}}, "restartCount": 0}],
    });
}

pub(crate) fn progress(pod: &mut Value, percent: f64) {
    let document = json!({"percentComplete": percent}).to_string();
    pod["metadata"]["annotations"]["pop.report.progress"] = document.into();
}

pub(crate) fn report(pod: &mut Value, outcome: &str, code: i64) {
    let result = json!({"run": "r", "outcome": outcome, "exitCode": code, "counts": {"succeeded": 2}});
    pod["metadata"]["annotations"]["pop.report.payload"] = result.to_string().into();
}

pub(crate) fn exit(pod: &mut Value, code: i64, message: &str) {
    let terminated = json!({"exitCode": code, "message": message, "finishedAt": "1970-01-01T00:00:09Z"});
    let phase = if code == 0 { "Succeeded" } else { "Running" };
    pod["status"] = json!({
        "phase": phase,
        "containerStatuses": [{"state": {"terminated": terminated}, "restartCount": 0}],
    });
}

pub(crate) fn evict(pod: &mut Value) {
    pod["status"] = json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."});
}
