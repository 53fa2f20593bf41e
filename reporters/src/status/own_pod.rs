//! The pod of this process: writes its annotations and deletes it.

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client, Error};
use serde_json::json;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::OnceCell;
use tokio::time::sleep;

/// Attempts to write the last annotations.
const LAST_ATTEMPTS: u32 = 6;
/// Wait after the first attempt; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(300);

/// The future of a connection to the cluster: a client and the namespace of the own pod.
pub type ConnectFuture = Pin<Box<dyn Future<Output = Result<(Client, String), String>>>>;

/// Annotations of a pod: names and values.
pub type Annotations = BTreeMap<&'static str, String>;

/// The pod of this process. The first use connects to the cluster.
pub struct OwnPod<C> {
    name: String,
    connect: C,
    api: OnceCell<Api<Pod>>,
}

impl<C: Fn() -> ConnectFuture> OwnPod<C> {
    /// The named pod, in the namespace that `connect` returns.
    pub fn new(name: String, connect: C) -> Self {
        Self { name, connect, api: OnceCell::new() }
    }

    async fn api(&self) -> Result<&Api<Pod>, String> {
        let connect =
            || async { (self.connect)().await.map(|(client, space)| Api::namespaced(client, &space)) };
        self.api.get_or_try_init(connect).await
    }

    /// Adds annotations to the existing ones: the first candidate that is not too large for the cluster. Only the last
    /// annotations of a process are retried, because newer ones soon follow all others.
    pub async fn annotate(&self, candidates: Vec<Annotations>, is_last: bool) -> Result<(), String> {
        let api = self.api().await?;
        let name = &self.name;
        let mut wait = FIRST_WAIT;
        let mut left = if is_last { LAST_ATTEMPTS } else { 1 };
        let mut candidates = candidates.into_iter().peekable();
        while let Some(annotations) = candidates.peek() {
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
                    candidates.next();
                    if candidates.peek().is_some() {
                        left += 1;
                        continue;
                    }
                    return Err(write_failure(name, &status.message));
                }
                Error::Api(status) if !matches!(status.code, 409 | 429 | 500..) => {
                    return Err(write_failure(name, &status.message));
                }
                _ if left == 0 => return Err(write_failure(name, &error.to_string())),
                _ => {}
            }
            sleep(wait).await;
            wait *= 2;
        }
        Ok(())
    }

    /// Deletes the pod. Kubernetes then stops its program, this process.
    pub async fn delete(&self) -> Result<(), String> {
        match self.api().await?.delete(&self.name, &DeleteParams::default()).await {
            Err(error) if !matches!(&error, Error::Api(status) if status.code == 404) => {
                Err(format!("cannot delete pod `{}`: {error}", self.name))
            }
            _ => Ok(()),
        }
    }
}

fn write_failure(pod: &str, reason: &str) -> String {
    format!("cannot write the annotations of pod `{pod}`: {reason}")
}
