//! What an executor pod tells: its state, its progress and its result.

use crate::names::{LOST_PODS, POD_NUMBER, RUN};
use jiff::Timestamp;
use pop_contract::{ExecutorExit, PROGRESS, RESULT};
use pop_operator::{annotation, is_deleting, label, metadata_text};
use serde_json::Value;

/// Restarts of the executor's container after which its crashes end the run.
const MOST_RESTARTS: i64 = 5;

/// How an executor pod stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum State {
    /// It has not started yet; the reason if Kubernetes tells one.
    Pending(Option<String>),
    /// The executor runs.
    Running,
    /// The run has ended.
    Ended(RunEnd),
    /// pop refuses to start the run, or crashes each time; the reason.
    Broken(&'static str, String),
    /// The pod has ended without the end of its run; the reason.
    Displaced(String),
}

/// The end of a run as pop reports it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RunEnd {
    pub(crate) outcome: String,
    pub(crate) exit_code: Option<i64>,
    pub(crate) counts: Value,
}

impl RunEnd {
    /// Whether a signal ended the run, so that it can go on.
    pub(crate) fn is_stop(&self) -> bool {
        matches!(self.outcome.as_str(), "interrupted" | "terminated")
    }
}

/// An executor pod.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ExecutorPod<'r> {
    pub(crate) object: &'r Value,
    pub(crate) name: &'r str,
    pub(crate) run: &'r str,
    pub(crate) number: u32,
    /// Pods of the run before it that were evicted or lost.
    pub(crate) lost: u32,
    /// Whether it is being deleted.
    pub(crate) is_deleting: bool,
    pub(crate) state: State,
    /// How a signal ended the run, if it did.
    pub(crate) stop: Option<RunEnd>,
}

impl<'r> ExecutorPod<'r> {
    /// Reads a pod. None if it is no executor pod.
    pub(crate) fn of(object: &'r Value) -> Option<Self> {
        let label = |name: &str| label(object, name);
        let end = run_end(object);
        let stop = end.clone().filter(RunEnd::is_stop);
        Some(Self {
            object,
            name: metadata_text(object, "name")?,
            run: label(RUN)?,
            number: label(POD_NUMBER)?.parse().ok()?,
            lost: label(LOST_PODS).and_then(|lost| lost.parse().ok()).unwrap_or_default(),
            is_deleting: is_deleting(object),
            state: match end {
                Some(end) if !end.is_stop() => State::Ended(end),
                Some(_) => State::Displaced("the executor was asked to stop".to_owned()),
                None => state(object),
            },
            stop,
        })
    }

    /// Whether the pod can still end its run.
    pub(crate) fn is_live(&self) -> bool {
        !self.is_deleting && matches!(self.state, State::Pending(_) | State::Running)
    }

    /// The progress document.
    pub(crate) fn progress(&self) -> Option<&'r str> {
        annotation(self.object, PROGRESS)
    }

    /// When the pod started.
    pub(crate) fn started(&self) -> Option<Timestamp> {
        time(&self.object["status"]["startTime"])
    }

    /// When its container ended.
    pub(crate) fn ended(&self) -> Option<Timestamp> {
        time(&container(self.object)["state"]["terminated"]["finishedAt"])
    }
}

/// A time of the API.
pub(crate) fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}

fn run_end(object: &Value) -> Option<RunEnd> {
    let report: Value = serde_json::from_str(annotation(object, RESULT)?).ok()?;
    Some(RunEnd {
        outcome: report["outcome"].as_str()?.to_owned(),
        exit_code: report["exitCode"].as_i64(),
        counts: report["counts"].clone(),
    })
}

/// The status of the executor's container; null before it has one.
fn container(object: &Value) -> &Value {
    object["status"]["containerStatuses"].get(0).unwrap_or(&Value::Null)
}

/// The state of a pod whose run has not ended.
fn state(object: &Value) -> State {
    let (status, container) = (&object["status"], container(object));
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    // the reason of the pod, for example Evicted, or that of its disruption
    let disruption = status["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "DisruptionTarget" && condition["status"] == "True");
    let reason = text(&status["message"])
        .or_else(|| text(&status["reason"]))
        .or_else(|| disruption.and_then(|condition| text(&condition["message"])));
    match status["phase"].as_str() {
        Some("Failed") => {
            State::Displaced(reason.unwrap_or_else(|| "the pod failed before its run ended".to_owned()))
        }
        Some("Succeeded") => State::Displaced("the executor ended without a result".to_owned()),
        _ => {
            let waiting = &container["state"]["waiting"];
            let last = [&container["state"]["terminated"], &container["lastState"]["terminated"]];
            let last = last.into_iter().find(|last| last.is_object());
            if let Some(last) = last {
                let code = last["exitCode"].as_i64().unwrap_or_default();
                let words = text(&last["message"]).or_else(|| text(&last["reason"])).unwrap_or_default();
                let message = format!("pop ended with {code}: {}", words.trim());
                if ExecutorExit::of(code) == ExecutorExit::Refused {
                    return State::Broken("refused", message);
                }
                if container["restartCount"].as_i64().unwrap_or_default() > MOST_RESTARTS {
                    return State::Broken("lost", message);
                }
            }
            if container["state"]["running"].is_object() {
                return State::Running;
            }
            let unscheduled = status["conditions"]
                .as_array()
                .into_iter()
                .flatten()
                .find(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False");
            let why = unscheduled.and_then(|condition| text(&condition["message"]));
            let waits = text(&waiting["message"]).or_else(|| text(&waiting["reason"]));
            State::Pending(waits.or(why).filter(|why| why != "ContainerCreating"))
        }
    }
}
