//! A stand-in with a client, and pods to put into it.

use futures_util::{Stream, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Config as ClientConfig};
use pop_stand_in::{Config, StandIn};
use serde_json::{Value, json};
use std::time::Duration;

/// How long anything may take before a test is said to hang.
pub(crate) const HANG: Duration = Duration::from_mins(1);

/// A stand-in and its admin's client.
pub(crate) struct Played {
    pub(crate) stand_in: StandIn,
    pub(crate) client: Client,
    pub(crate) pods: Api<Pod>,
}

impl Played {
    pub(crate) async fn start() -> Self {
        Self::start_with(Config { backoff: Duration::from_millis(200), ..Config::default() }).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let stand_in = StandIn::start(config).await.unwrap();
        let client = client(&stand_in.kubeconfig()).await;
        let pods = Api::namespaced(client.clone(), "pop");
        Self { stand_in, client, pods }
    }

    /// Creates a pod and waits until it is as wanted.
    pub(crate) async fn run(&self, pod: Value, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let created = self.pods.create(&PostParams::default(), &pod).await.unwrap();
        self.until(&created.metadata.name.unwrap(), is_wanted).await
    }

    /// Waits until a pod is as wanted.
    pub(crate) async fn until(&self, name: &str, is_wanted: impl Fn(&Value) -> bool) -> Value {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut last = Value::Null;
        let stream = watcher(self.pods.clone(), config).applied_objects();
        let found = tokio::time::timeout(
            HANG,
            first(stream, |pod| {
                last = pod;
                is_wanted(&last)
            }),
        );
        let found = found.await.ok();
        assert!(found.is_some(), "never as wanted: {last:#}");
        found.unwrap()
    }
}

/// The first object that is as wanted.
async fn first(
    stream: impl Stream<Item = watcher::Result<Pod>>,
    mut is_wanted: impl FnMut(Value) -> bool,
) -> Value {
    let mut stream = std::pin::pin!(stream);
    loop {
        let pod = stream.try_next().await.unwrap().unwrap();
        let pod = serde_json::to_value(pod).unwrap();
        if is_wanted(pod.clone()) {
            return pod;
        }
    }
}

/// A client as a kubeconfig says.
pub(crate) async fn client(kubeconfig: &str) -> Client {
    let config = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = ClientConfig::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// A pod with one container that runs a line of shell, hears every signal, and is not started again.
pub(crate) fn pod(name: &str, line: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {
            "restartPolicy": "Never",
            "shareProcessNamespace": true,
            "containers": [{"name": "main", "image": "any:1", "command": ["sh", "-c", line]}],
        },
    })
}

pub(crate) fn has_phase(phase: &'static str) -> impl Fn(&Value) -> bool {
    move |pod| pod["status"]["phase"] == phase
}

/// The state of a pod's first container.
pub(crate) fn state(pod: &Value) -> &Value {
    &pod["status"]["containerStatuses"][0]["state"]
}
