//! The handler of Agendas.

use crate::crd::{GROUP, KIND, PLURAL, VERSION};
use crate::executor_pod::ExecutorPod;
use crate::manifest::{ExecutorDefaults, RunRef};
use crate::names::{self, RUN, RUN_KEY};
use crate::run::{NextPod, Step, step};
use crate::spec::{AgendaFrom, Spec};
use crate::status::{Condition, Status, phase};
use jiff::Timestamp;
use pop_operator::{
    Error, FinalizeResponse, Handler, KindConfig, OperatorConfig, Strategy, SyncRequest, SyncResponse,
    is_deleting, label, minimal_child,
};
use serde_json::{Value, json};
use std::time::Duration;

/// File of an agenda that the resource holds itself.
const OBJECT_FILE: &str = "agenda.json";
/// File of an agenda from a ConfigMap. JSON is YAML, too.
const TEXT_FILE: &str = "agenda.yaml";
/// Largest texts of a run, because a ConfigMap holds 1 MiB (bytes).
const MOST_TEXT: usize = 1_000_000;
/// Faults in a status, and in the message of its condition.
const MOST_FAULTS: usize = 50;
const MOST_IN_MESSAGE: usize = 5;
/// Longest fault in a status (characters).
const LONGEST_FAULT: usize = 1000;
/// Time until a ConfigMap that is missing is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);
/// Time until a deletion is looked at again; the end of the pod comes as an event.
const STOPPING_AGAIN: Duration = Duration::from_secs(2);

/// An agenda as it will run.
#[derive(Debug, Clone, PartialEq)]
pub struct AgendaText {
    /// Name of its file; the extension tells the format.
    pub file: &'static str,
    /// The agenda.
    pub text: String,
    /// Values for its inputs, a map.
    pub inputs: Value,
    /// The registry, as JSON text.
    pub registry: Option<String>,
}

/// Checks an agenda and returns all its faults, one text each.
pub type Check = dyn Fn(&AgendaText) -> Vec<String> + Send + Sync;
/// Reads a ConfigMap by namespace and name; none if it does not exist.
pub type ReadConfigMap = dyn Fn(&str, &str) -> Result<Option<Value>, Error> + Send + Sync;

/// What the handler needs from outside.
pub struct Surroundings {
    /// Checks agendas before they run.
    pub check: Box<Check>,
    /// Reads the ConfigMaps that an Agenda names.
    pub config_map: Box<ReadConfigMap>,
    /// The time.
    pub now: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

/// The kinds of the operator: Agendas, their ConfigMaps and executor pods. Only children with the operator's label are
/// watched, because a cluster has many pods.
pub fn config() -> OperatorConfig {
    let agenda = KindConfig::namespaced(&format!("{GROUP}/{VERSION}"), KIND, PLURAL);
    let config = OperatorConfig::new("pop-agendas", agenda)
        .child(KindConfig::namespaced("v1", "ConfigMap", "configmaps"), Strategy::OnDelete)
        .child(KindConfig::namespaced("v1", "Pod", "pods"), Strategy::OnDelete);
    OperatorConfig { watches_only_labelled: true, ..config }
}

/// The handler of Agendas.
pub struct AgendaHandler {
    defaults: ExecutorDefaults,
    surroundings: Surroundings,
}

/// Why a run cannot start.
enum NotReady {
    /// The agenda has faults. An edit can mend them.
    Faulty(Vec<String>),
    /// Something is missing that may come.
    Missing(String),
}

impl AgendaHandler {
    /// A handler that creates executor pods with these defaults.
    pub fn new(defaults: ExecutorDefaults, surroundings: Surroundings) -> Self {
        Self { defaults, surroundings }
    }

    /// The agenda of a spec, checked.
    fn agenda(&self, namespace: &str, spec: &Spec) -> Result<AgendaText, NotReady> {
        let (file, text) = match (&spec.agenda, &spec.agenda_from) {
            (Some(agenda), _) => (OBJECT_FILE, Value::Object(agenda.clone()).to_string()),
            (None, Some(from)) => (TEXT_FILE, self.agenda_from(namespace, from)?),
            // `Spec::of` has refused it
            (None, None) => (OBJECT_FILE, String::new()),
        };
        let inputs = spec.inputs.clone().map_or_else(|| json!({}), Value::Object);
        if text.len() + inputs.to_string().len() > MOST_TEXT {
            let fault =
                format!("agenda and inputs have more than {MOST_TEXT} bytes, too many for a ConfigMap");
            return Err(NotReady::Faulty(vec![fault]));
        }
        let registry = spec.registry.as_ref().or(self.defaults.registry.as_ref());
        let registry = match registry {
            None => None,
            Some(name) => {
                let map = self.config_map(namespace, name, "registry")?;
                map["data"]["registry-json"].as_str().map(str::to_owned)
            }
        };
        let agenda = AgendaText { file, text, inputs, registry };
        let faults = (self.surroundings.check)(&agenda);
        if faults.is_empty() { Ok(agenda) } else { Err(NotReady::Faulty(faults)) }
    }

    fn agenda_from(&self, namespace: &str, from: &AgendaFrom) -> Result<String, NotReady> {
        let map = self.config_map(namespace, &from.config_map, "agendaFrom")?;
        let key = from.key();
        let text = map["data"][key].as_str().map(str::to_owned);
        text.ok_or_else(|| {
            NotReady::Missing(format!(
                "the ConfigMap `{}` (`agendaFrom`) has no key `{key}`",
                from.config_map
            ))
        })
    }

    fn config_map(&self, namespace: &str, name: &str, field: &str) -> Result<Value, NotReady> {
        match (self.surroundings.config_map)(namespace, name) {
            Ok(Some(map)) => Ok(map),
            Ok(None) => Err(NotReady::Missing(format!("there is no ConfigMap `{name}` (`{field}`)"))),
            Err(error) => {
                Err(NotReady::Missing(format!("the ConfigMap `{name}` (`{field}`) cannot be read: {error}")))
            }
        }
    }
}

impl AgendaHandler {
    /// Makes the run that the spec asks for that of the status. Returns its agenda if the cluster does not have it yet.
    fn choose_run(
        &self,
        request: &SyncRequest,
        spec: Result<&Spec, &String>,
        status: &mut Status,
    ) -> Result<Option<AgendaText>, NotReady> {
        // without a readable spec, the run that there is goes on
        let spec = spec.map_err(|fault| NotReady::Faulty(vec![fault.clone()]))?;
        let key = Spec::run_key(&request.parent);
        let known = current_run(status, request, &key);
        if let Some(run) = &known {
            adopt_run(status, run, &key);
            if status.has_ended() || request.child("ConfigMap", run).is_some() {
                return Ok(None);
            }
        }
        let agenda = self.agenda(request.parent_namespace().unwrap_or_default(), spec)?;
        adopt_run(status, &known.unwrap_or_else(|| new_run(request)), &key);
        Ok(Some(agenda))
    }

    /// An executor pod, and the ConfigMap with the progress from which it starts.
    fn executor(
        &self,
        run: RunRef<'_>,
        next: NextPod,
        agenda_file: &str,
        spec: &Spec,
        status: &Status,
    ) -> impl Iterator<Item = Value> {
        // with a claim, the run folder itself is there
        let progress =
            status.last_progress.as_deref().filter(|_| next.number > 1 && spec.runs_claim.is_none());
        let pod = run.pod(next, agenda_file, progress.is_some(), spec, &self.defaults);
        progress.map(|progress| run.progress(next.number, progress)).into_iter().chain([pod])
    }
}

impl Handler for AgendaHandler {
    fn sync(&self, request: &SyncRequest) -> Result<SyncResponse, Error> {
        let now = (self.surroundings.now)();
        let mut status = Status::of(&request.parent);
        let pods = executor_pods(request);
        let spec = Spec::of(&request.parent);
        let (text, not_ready) = match self.choose_run(request, spec.as_ref(), &mut status) {
            Ok(text) => (text, None),
            Err(reason) => (None, Some(reason)),
        };
        let is_readable = spec.is_ok();
        let spec = spec.unwrap_or_default();
        let run = status.run.clone().unwrap_or_default();
        let run_key = status.run_key.clone().unwrap_or_default();
        let was_active = !run.is_empty() && !status.has_ended();
        // the run of an earlier spec goes on with its own agenda
        let may_create = not_ready.is_none() || (is_readable && request.child("ConfigMap", &run).is_some());
        let Step { kept, create, again } = step(&spec, &mut status, &pods, may_create, now);
        let namespace = request.parent_namespace().unwrap_or_default();
        let run_ref = RunRef { namespace, id: &run, key: &run_key };
        let mut response = SyncResponse { resync: again, ..SyncResponse::default() };
        if let Some(agenda) = &text {
            response.children.push(run_ref.texts((agenda.file, &agenda.text), &spec));
        }
        if not_ready.is_some() && !was_active {
            // a faulty edit deletes nothing
            response.keep_children(request);
        } else {
            // a finished run whose pod is gone needs its ConfigMaps no longer
            let is_over = status.has_ended() && kept.is_empty() && spec.keep_finished_seconds.is_some();
            let is_needed = |map: &&Value| !is_over && label(map, RUN) == Some(&run);
            let maps = request.children_of_kind("ConfigMap").filter(is_needed);
            response.children.extend(maps.chain(kept.iter().map(|pod| pod.object)).map(minimal_child));
        }
        if let Some(next) = create {
            status.message = status.message.or_else(|| request.last_failure.clone());
            let file = text.as_ref().map_or_else(|| file_of(request, &run), |agenda| agenda.file);
            response.children.extend(self.executor(run_ref, next, file, &spec, &status));
        }
        if let Some(NotReady::Missing(_)) = not_ready {
            response.resync = Some(LOOK_AGAIN);
        }
        note_readiness(&mut status, not_ready.as_ref());
        let conditions = conditions(&status, not_ready.as_ref(), request.generation());
        status.set_conditions(conditions, now);
        response.status = serde_json::to_value(&status)?;
        Ok(response)
    }

    fn finalize(&self, request: &SyncRequest) -> Result<FinalizeResponse, Error> {
        let pods = executor_pods(request);
        if pods.is_empty() {
            return Ok(FinalizeResponse::done());
        }
        // the pods are left out, so they get time to stop their operations and to run those with `finally`
        let kept = request
            .children_of_kind("ConfigMap")
            .filter(|map| !is_deleting(map))
            .map(minimal_child)
            .collect();
        let mut status = Status::of(&request.parent);
        if !status.has_ended() {
            phase::STOPPING.clone_into(&mut status.phase);
            status.message =
                Some("the Agenda is being deleted; the executor stops its operations".to_owned());
        }
        if let Some(progress) = pods.iter().rev().find_map(ExecutorPod::progress) {
            status.take_progress(progress);
        }
        FinalizeResponse::retry(STOPPING_AGAIN).with_children(kept).with_status(&status)
    }
}

fn executor_pods(request: &SyncRequest) -> Vec<ExecutorPod<'_>> {
    request.children_of_kind("Pod").filter_map(ExecutorPod::of).collect()
}

/// The name of the run that the present generation starts.
fn new_run(request: &SyncRequest) -> String {
    names::run_id(request.parent_name(), request.generation().unwrap_or_default())
}

/// The run that the spec already has: by the status, or else by the labels of a child, if the status was not written.
fn current_run(status: &Status, request: &SyncRequest, key: &str) -> Option<String> {
    if status.run_key.as_deref() == Some(key) {
        return status.run.clone();
    }
    // an edit back to an earlier spec is a new run: its generation is not that of the child
    let new = new_run(request);
    let is_it = |child: &Value| label(child, RUN_KEY) == Some(key) && label(child, RUN) == Some(&new);
    request.children.iter().any(is_it).then_some(new)
}

/// Makes a run that of the status. Another run starts with an empty one.
fn adopt_run(status: &mut Status, run: &str, key: &str) {
    if status.run.as_deref() != Some(run) {
        let conditions = std::mem::take(&mut status.conditions);
        *status = Status { run: Some(run.to_owned()), conditions, ..Status::default() };
    }
    status.run_key = Some(key.to_owned());
}

/// The file of the agenda in the ConfigMap of a run.
fn file_of(request: &SyncRequest, run: &str) -> &'static str {
    let has_object = request.child("ConfigMap", run).is_some_and(|map| !map["data"][OBJECT_FILE].is_null());
    if has_object { OBJECT_FILE } else { TEXT_FILE }
}

/// As many faults as a status can hold.
fn shortened(faults: &[String]) -> Vec<String> {
    let cut = |fault: &String| match fault.char_indices().nth(LONGEST_FAULT) {
        Some((at, _)) => format!("{}…", &fault[..at]),
        None => fault.clone(),
    };
    let more = faults.len().saturating_sub(MOST_FAULTS);
    let more = (more > 0).then(|| format!("… and {more} more; `pop check` lists all"));
    faults.iter().take(MOST_FAULTS).map(cut).chain(more).collect()
}

/// Records why the run of the spec cannot start, or that it can.
fn note_readiness(status: &mut Status, not_ready: Option<&NotReady>) {
    status.faults = match not_ready {
        Some(NotReady::Faulty(faults)) => shortened(faults),
        _ => Vec::new(),
    };
    let is_active = status.run.is_some() && !status.has_ended();
    let (phase, message) = match not_ready {
        // what the last run was stays, also for an edit back to its spec
        Some(NotReady::Faulty(_)) if !is_active => (phase::INVALID, None),
        Some(NotReady::Missing(message)) if !is_active => (phase::WAITING, Some(message.clone())),
        _ => return,
    };
    phase.clone_into(&mut status.phase);
    status.message = message;
}

fn conditions(status: &Status, not_ready: Option<&NotReady>, generation: Option<i64>) -> Vec<Condition> {
    let accepted = match not_ready {
        None => Condition::new("Accepted", true, "NoFaults", ""),
        Some(NotReady::Faulty(_)) => {
            let first: Vec<&str> = status.faults.iter().take(MOST_IN_MESSAGE).map(String::as_str).collect();
            Condition::new("Accepted", false, "Faulty", &first.join("\n"))
        }
        Some(NotReady::Missing(message)) => Condition::new("Accepted", false, "Missing", message),
    };
    let message = status.message.as_deref().unwrap_or_default();
    let running = Condition::new("Running", status.phase == phase::RUNNING, &status.phase, message);
    let is_faulty = status.phase == phase::INVALID;
    let is_complete = (status.has_ended() && status.phase != phase::WAITING) || is_faulty;
    let complete = Condition::new("Complete", is_complete, &status.phase, message);
    let succeeded = Condition::new("Succeeded", status.phase == phase::SUCCEEDED, &status.phase, message);
    let all = [accepted, running, complete, succeeded];
    all.into_iter().map(|condition| Condition { observed_generation: generation, ..condition }).collect()
}
