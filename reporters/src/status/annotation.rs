//! The annotation reporter: a pod's progress and result as annotations of the pod itself.

use super::StatusReporter;
use super::courier::{Courier, Delivery};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Error};
use pop_registry::contract::{PROGRESS, Progress, RESULT};
use serde_json::{Map, Value, json};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::sleep;

/// Annotations are patched at most this often.
const EVERY: Duration = Duration::from_secs(1);
/// The longest result that becomes an annotation: all annotations of a pod together have 256 KiB.
const RESULT_LIMIT: usize = 128 * 1024;
/// How often the last annotations are tried to be written.
const TRIES: u32 = 6;
/// The first wait between two tries; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(300);

/// A cluster on the way to be reached: a client, and the namespace of the own pod.
pub type Connecting = Pin<Box<dyn Future<Output = Result<(Client, String), String>>>>;

/// What annotations are to be.
type Annotations = Vec<(&'static str, String)>;

/// Writes annotations onto one pod, coalesced; it is reached when there is something to write.
#[derive(Debug)]
pub struct PodAnnotations(Courier<Annotations>);

impl PodAnnotations {
    /// For the pod of this name, in the namespace that `connect` gives.
    pub fn of(pod: String, connect: impl Fn() -> Connecting + Send + 'static) -> io::Result<Self> {
        let deliver = move || {
            let connect = Rc::new(connect);
            let reached: Rc<OnceCell<Api<Pod>>> = Rc::default();
            move |annotations: Annotations, is_last| -> Delivery {
                let (pod, connect, reached) = (pod.clone(), Rc::clone(&connect), Rc::clone(&reached));
                Box::pin(async move {
                    let reach =
                        || async { connect().await.map(|(client, space)| Api::namespaced(client, &space)) };
                    let api = reached.get_or_try_init(reach).await?;
                    patch(api, &pod, &annotations, if is_last { TRIES } else { 1 }).await
                })
            }
        };
        Courier::start(EVERY, deliver).map(Self)
    }

    /// Has these annotations written, in place of others that are still to be written.
    pub fn tell(&self, annotations: Annotations) {
        self.0.tell(annotations);
    }

    /// Has these annotations written as the last, and waits for that.
    pub fn tell_last(&mut self, annotations: Annotations) -> Result<(), String> {
        self.0.tell_last(annotations)
    }
}

async fn patch(api: &Api<Pod>, pod: &str, annotations: &Annotations, tries: u32) -> Result<(), String> {
    let mut wait = FIRST_WAIT;
    let mut left = tries;
    let mut annotations: Map<String, Value> =
        annotations.iter().map(|(name, text)| ((*name).to_owned(), json!(text))).collect();
    loop {
        left -= 1;
        let merge = json!({"metadata": {"annotations": annotations}});
        let patched = api.patch(pod, &PatchParams::default(), &Patch::Merge(&merge)).await;
        let Err(error) = patched else { return Ok(()) };
        match &error {
            Error::Api(status) if status.code == 403 => {
                return Err(format!(
                    "pod `{pod}` may not write its own annotations: its service account lacks a Role with the verbs \
                     get and patch on pods ({})",
                    status.message
                ));
            }
            // too large after all: the result goes by its line alone
            Error::Api(status) if status.code == 422 && annotations.remove(RESULT).is_some() => left += 1,
            Error::Api(status) if !matches!(status.code, 409 | 429 | 500..) => {
                return Err(format!(
                    "the annotations of pod `{pod}` could not be written: {}",
                    status.message
                ));
            }
            _ if left == 0 => {
                return Err(format!("the annotations of pod `{pod}` could not be written: {error}"));
            }
            _ => {}
        }
        sleep(wait).await;
        wait *= 2;
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
        let mut annotations = vec![(PROGRESS, serde_json::to_string(progress)?)];
        let result = result.map(Value::to_string).filter(|text| text.len() <= RESULT_LIMIT);
        annotations.extend(result.map(|text| (RESULT, text)));
        if !progress.is_final() {
            self.annotations.tell(annotations);
        } else if let Err(error) = self.annotations.tell_last(annotations) {
            (self.warn)(&format!("{error}; the report stands in the log"));
        }
        told
    }
}
