//! The annotation reporter: a pod's progress and result as annotations of the pod itself.

use super::StatusReporter;
use super::courier::{Closing, Courier, Delivery, Pace};
use super::own_pod::{Annotations, Connecting, OwnPod};
use pop_contract::{PROGRESS, Progress, RESULT};
use serde_json::Value;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// Annotations are patched at most this often.
const PACE: Pace = Pace { every: Duration::from_secs(1), beat: None, closing: Closing::PATIENT };
/// The longest result that becomes an annotation: all annotations of a pod together have 256 KiB.
const RESULT_LIMIT: usize = 128 * 1024;

/// Writes annotations onto one pod, coalesced; it is reached when there is something to write.
#[derive(Debug)]
pub struct PodAnnotations(Courier<Vec<Annotations>>);

impl PodAnnotations {
    /// For the pod of this name, in the namespace that `connect` gives.
    pub fn of(pod: String, connect: impl Fn() -> Connecting + Send + 'static) -> io::Result<Self> {
        let deliver = move || {
            let pod = Rc::new(OwnPod::new(pod, connect));
            move |forms: Vec<Annotations>, is_last| -> Delivery {
                let pod = Rc::clone(&pod);
                Box::pin(async move { pod.annotate(forms, is_last).await })
            }
        };
        Courier::start(PACE, deliver).map(Self)
    }

    /// Has the first of these forms that is not too large written, in place of others that are still to be written.
    pub fn tell(&self, forms: Vec<Annotations>) {
        self.0.tell(forms);
    }

    /// Has the first of these forms that is not too large written as the last, and waits for that.
    pub fn tell_last(&mut self, forms: Vec<Annotations>) -> Result<(), String> {
        self.0.tell_last(forms)
    }
}

/// Reports by annotations of the own pod, beside another reporter that has everything too.
pub struct AnnotationReporter<Beside> {
    beside: Beside,
    annotations: PodAnnotations,
    /// Takes a line of log.
    warn: fn(&str),
}

impl<Beside: StatusReporter> AnnotationReporter<Beside> {
    /// A reporter that tells `beside` everything, and the pod what fits. What cannot be written is said by `warn`.
    pub fn new(beside: Beside, annotations: PodAnnotations, warn: fn(&str)) -> Self {
        Self { beside, annotations, warn }
    }
}

impl<Beside: StatusReporter> StatusReporter for AnnotationReporter<Beside> {
    fn report(&mut self, progress: &Progress, result: Option<&Value>) -> io::Result<()> {
        // the lines stand in the pod's log whatever becomes of the annotations, and have all of it
        let told = self.beside.report(progress, result);
        let small = Annotations::from([(PROGRESS, serde_json::to_string(progress)?)]);
        let result = result.map(Value::to_string).filter(|text| text.len() <= RESULT_LIMIT);
        let whole = result.map(|text| {
            let mut whole = small.clone();
            whole.insert(RESULT, text);
            whole
        });
        // should it be too large after all, the result goes by its line alone
        let forms = whole.into_iter().chain([small]).collect();
        if !progress.is_final() {
            self.annotations.tell(forms);
        } else if let Err(error) = self.annotations.tell_last(forms) {
            (self.warn)(&format!("{error}; the report stands in the log"));
        }
        told
    }
}
