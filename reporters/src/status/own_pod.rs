//! The pod that this process runs in: its annotations written, and in the end the pod deleted.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Error};
use serde_json::json;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::sleep;

/// How often the last annotations are tried to be written.
const TRIES: u32 = 6;
/// The first wait between two tries; each further one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(300);

/// A cluster on the way to be reached: a client, and the namespace of the own pod.
pub type Connecting = Pin<Box<dyn Future<Output = Result<(Client, String), String>>>>;

/// What annotations are to be.
pub type Annotations = BTreeMap<&'static str, String>;

/// The pod that this process runs in; its cluster is reached when there is something to do.
pub struct OwnPod<C> {
    name: String,
    connect: C,
    reached: OnceCell<Api<Pod>>,
}

impl<C: Fn() -> Connecting> OwnPod<C> {
    /// The pod of this name, in the namespace that `connect` gives.
    pub fn new(name: String, connect: C) -> Self {
        Self { name, connect, reached: OnceCell::new() }
    }

    async fn api(&self) -> Result<&Api<Pod>, String> {
        let reach =
            || async { (self.connect)().await.map(|(client, space)| Api::namespaced(client, &space)) };
        self.reached.get_or_try_init(reach).await
    }

    /// Writes annotations beside those that are there: the first of these forms that is not too large for the cluster.
    /// The last ones of a process are tried again, others are soon followed by newer ones.
    pub async fn annotate(&self, forms: Vec<Annotations>, is_last: bool) -> Result<(), String> {
        let api = self.api().await?;
        let name = &self.name;
        let mut wait = FIRST_WAIT;
        let mut left = if is_last { TRIES } else { 1 };
        let mut forms = forms.into_iter().peekable();
        while let Some(annotations) = forms.peek() {
            left -= 1;
            let merge = json!({"metadata": {"annotations": annotations}});
            let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(&merge)).await;
            let Err(error) = patched else { return Ok(()) };
            match &error {
                Error::Api(status) if status.code == 403 => {
                    return Err(format!(
                        "pod `{name}` may not write its own annotations: its service account lacks a Role with the \
                         verbs get and patch on pods ({})",
                        status.message
                    ));
                }
                Error::Api(status) if matches!(status.code, 413 | 422) => {
                    forms.next();
                    if forms.peek().is_some() {
                        left += 1;
                        continue;
                    }
                    return Err(unwritten(name, &status.message));
                }
                Error::Api(status) if !matches!(status.code, 409 | 429 | 500..) => {
                    return Err(unwritten(name, &status.message));
                }
                _ if left == 0 => return Err(unwritten(name, &error.to_string())),
                _ => {}
            }
            sleep(wait).await;
            wait *= 2;
        }
        Ok(())
    }

    /// Deletes the pod; its program is then asked to stop, as by anybody else.
    pub async fn delete(&self) -> Result<(), String> {
        match self.api().await?.delete(&self.name, &DeleteParams::default()).await {
            Err(error) if !matches!(&error, Error::Api(status) if status.code == 404) => {
                Err(format!("pod `{}` could not be deleted: {error}", self.name))
            }
            _ => Ok(()),
        }
    }
}

fn unwritten(pod: &str, why: &str) -> String {
    format!("the annotations of pod `{pod}` could not be written: {why}")
}
