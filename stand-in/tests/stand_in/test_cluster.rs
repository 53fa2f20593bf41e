//! A stand-in with a client, and example pods.

use futures_util::{Stream, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Config as ClientConfig};
use pop_stand_in::{Config, StandIn};
use serde_json::{Value, json};
use std::time::Duration;

/// Time after which a test counts as hanging.
pub(crate) const HANG: Duration = Duration::from_mins(1);

/// A stand-in and a client of its admin.
pub(crate) struct TestCluster {
    pub(crate) stand_in: StandIn,
    pub(crate) client: Client,
    pub(crate) pods: Api<Pod>,
}

impl TestCluster {
    pub(crate) async fn start() -> Self {
        Self::start_with(Config { backoff: Duration::from_millis(200), ..Config::default() }).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        let stand_in = StandIn::start(config).await.unwrap();
        let client = client(&stand_in.kubeconfig()).await;
        let pods = Api::namespaced(client.clone(), "pop");
        Self { stand_in, client, pods }
    }

    /// Creates a pod and waits until it meets a condition.
    pub(crate) async fn run(&self, pod: Value, condition: impl Fn(&Value) -> bool) -> Value {
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let created = self.pods.create(&PostParams::default(), &pod).await.unwrap();
        self.until(&created.metadata.name.unwrap(), condition).await
    }

    /// Waits until a pod meets a condition.
    pub(crate) async fn until(&self, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let mut last = Value::Null;
        let stream = watcher(self.pods.clone(), config).applied_objects();
        let found = tokio::time::timeout(
            HANG,
            first(stream, |pod| {
                last = pod;
                condition(&last)
            }),
        );
        let found = found.await.ok();
        assert!(found.is_some(), "the condition is never met: {last:#}");
        found.unwrap()
    }
}

/// The first object that meets a condition.
async fn first(
    stream: impl Stream<Item = watcher::Result<Pod>>,
    mut condition: impl FnMut(Value) -> bool,
) -> Value {
    let mut stream = std::pin::pin!(stream);
    loop {
        let pod = stream.try_next().await.unwrap().unwrap();
        let pod = serde_json::to_value(pod).unwrap();
        if condition(pod.clone()) {
            return pod;
        }
    }
}

/// A client for a kubeconfig.
pub(crate) async fn client(kubeconfig: &str) -> Client {
    let config = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = ClientConfig::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// A pod with one container that runs a line of shell, gets every signal, and does not restart.
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
