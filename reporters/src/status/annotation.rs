//! The annotation reporter: writes progress and result as annotations of the handler's own pod.

use super::StatusReporter;
use super::delivery_thread::{Delivery, DeliveryThread, FinalWait, Pace};
use super::own_pod::{Annotations, ConnectFuture, OwnPod};
use pop_contract::{PROGRESS, Progress, RESULT};
use serde_json::Value;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Pace of the patches.
const PACE: Pace = Pace { interval: Duration::from_secs(1), heartbeat: None, final_wait: FinalWait::FULL };
/// Longest result in an annotation, in bytes: all annotations of a pod together may have 256 KiB.
const RESULT_LIMIT: usize = 128 * 1024;

/// Writes the latest annotations of one pod. The first write connects to the cluster.
#[derive(Debug)]
pub struct PodAnnotations(DeliveryThread<Vec<Annotations>>);

impl PodAnnotations {
    /// Starts the writer for the named pod, in the namespace that `connect` returns.
    pub fn of(pod: String, connect: impl Fn() -> ConnectFuture + Send + 'static) -> io::Result<Self> {
        let deliver = move || {
            let pod = Rc::new(OwnPod::new(pod, connect));
            move |candidates: Vec<Annotations>, is_last| -> Delivery {
                let pod = Rc::clone(&pod);
                Box::pin(async move { pod.annotate(candidates, is_last).await })
            }
        };
        DeliveryThread::start(PACE, deliver).map(Self)
    }

    /// Queues the first candidate that is not too large. It replaces annotations that are still queued.
    pub fn write(&self, candidates: Vec<Annotations>) {
        self.0.send(candidates);
    }

    /// Writes the last annotations, the first candidate that is not too large, and waits for the end of the write.
    pub fn write_last(&mut self, candidates: Vec<Annotations>) -> Result<(), String> {
        self.0.send_last(candidates)
    }
}

/// Reports to another reporter, and also as annotations of the own pod.
pub struct AnnotationReporter<Primary> {
    primary: Primary,
    annotations: PodAnnotations,
    /// Writes a warning to the log.
    warn: fn(&str),
}

impl<Primary: StatusReporter> AnnotationReporter<Primary> {
    /// Creates a reporter. `primary` gets everything, the pod gets what fits. `warn` logs failed writes.
    pub fn new(primary: Primary, annotations: PodAnnotations, warn: fn(&str)) -> Self {
        Self { primary, annotations, warn }
    }
}

impl<Primary: StatusReporter> StatusReporter for AnnotationReporter<Primary> {
    fn report(&mut self, progress: &Progress, result: Option<&Value>) -> io::Result<()> {
        // the primary's lines in the pod's log are complete, even if the annotations cannot be written
        let outcome = self.primary.report(progress, result);
        let without_result = Annotations::from([(PROGRESS, serde_json::to_string(progress)?)]);
        let result = result.map(Value::to_string).filter(|text| text.len() <= RESULT_LIMIT);
        let whole = result.map(|text| {
            let mut whole = without_result.clone();
            whole.insert(RESULT, text);
            whole
        });
        // if the cluster refuses the result as too large, only the line in the log has it
        let candidates = whole.into_iter().chain([without_result]).collect();
        if !progress.is_final() {
            self.annotations.write(candidates);
        } else if let Err(error) = self.annotations.write_last(candidates) {
            (self.warn)(&format!("{error}; the log has the report"));
        }
        outcome
    }
}
