//! A stand-in with the kind Site, and an operator that makes ConfigMaps from Sites.

use futures_util::{Stream, StreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::watcher::watch_object;
use kube::{Api, Client, Config as ClientConfig};
use pop_operator::{
    Error, FinalizeResponse, Handler, KindConfig, OperatorConfig, Strategy, SyncRequest, SyncResponse,
};
use pop_operator_runtime::{Operator, RuntimeError, Settings};
use pop_stand_in::{Config, Request, StandIn};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Time after which a test counts as hanging.
pub(crate) const HANG: Duration = Duration::from_mins(2);

/// The cluster of a test.
pub(crate) struct World {
    pub(crate) stand_in: StandIn,
    pub(crate) client: Client,
    pub(crate) sites: Api<DynamicObject>,
    pub(crate) maps: Api<ConfigMap>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let schema = json!({"type": "object", "properties": {"spec": open, "status": open}});
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "sites.x.dev"},
            "spec": {
                "group": "x.dev", "scope": "Namespaced", "names": {"plural": "sites", "kind": "Site"},
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema},
                    "subresources": {"status": {}},
                }],
            },
        });
        let config = Config { definitions: vec![definition], ..Config::default() };
        let stand_in = StandIn::start(config).await.unwrap();
        let client = client(&stand_in.kubeconfig()).await;
        let kind = ApiResource {
            group: "x.dev".to_owned(),
            version: "v1".to_owned(),
            api_version: "x.dev/v1".to_owned(),
            kind: "Site".to_owned(),
            plural: "sites".to_owned(),
        };
        let sites = Api::namespaced_with(client.clone(), "pop", &kind);
        let maps = Api::namespaced(client.clone(), "pop");
        Self { stand_in, client, sites, maps }
    }

    /// Creates a site that wants this number of ConfigMaps.
    pub(crate) async fn create_site(&self, name: &str, size: u32) {
        let site = json!({
            "apiVersion": "x.dev/v1", "kind": "Site", "metadata": {"name": name}, "spec": {"size": size},
        });
        let site = serde_json::from_value(site).unwrap();
        self.sites.create(&PostParams::default(), &site).await.unwrap();
    }

    /// Waits until a site meets a condition; null if there is none.
    pub(crate) async fn site(&self, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
        until(&self.sites, name, condition).await
    }

    /// Waits until a site has settled with this number of children.
    pub(crate) async fn settled(&self, name: &str, children: u32) -> Value {
        self.site(name, |site| is_settled(site, children)).await
    }

    /// Waits until a ConfigMap meets a condition; null if there is none.
    pub(crate) async fn map(&self, name: &str, condition: impl Fn(&Value) -> bool) -> Value {
        until(&self.maps, name, condition).await
    }

    /// Waits until the requests meet a condition.
    pub(crate) async fn received(&self, condition: impl Fn(&[Request]) -> bool) {
        let looking = async {
            // the log of requests has no events
            while !condition(&self.stand_in.requests()) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(HANG, looking).await.unwrap();
    }

    /// The writes of the operator, in order: `create configmaps`.
    pub(crate) fn writes(&self) -> Vec<String> {
        let requests = self.stand_in.requests();
        let is_write = |request: &&Request| !matches!(request.verb.as_str(), "get" | "list" | "watch");
        let words = |request: &Request| {
            let path = [&request.verb, &request.resource, &request.subresource].map(String::as_str);
            path.join(" ").trim().to_owned()
        };
        requests.iter().filter(is_write).map(words).collect()
    }

    /// Changes a field of a ConfigMap, like a user.
    pub(crate) async fn edit_map(&self, name: &str, patch: &Value) {
        self.maps.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    }
}

pub(crate) fn is_settled(site: &Value, children: u32) -> bool {
    site["status"]["children"] == children
        && site["status"]["observedGeneration"] == site["metadata"]["generation"]
}

/// Waits until an object meets a condition; null if there is none.
pub(crate) async fn until<K>(api: &Api<K>, name: &str, condition: impl Fn(&Value) -> bool) -> Value
where
    K: kube::Resource + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug + Send + 'static,
    K: Sync,
{
    let mut last = Value::Null;
    let found = timeout(HANG, first(watch_object(api.clone(), name), &mut last, condition)).await;
    assert!(found.is_ok(), "{name} never meets the condition: {last:#}");
    last
}

async fn first<K: serde::Serialize>(
    objects: impl Stream<Item = kube::runtime::watcher::Result<Option<K>>>,
    last: &mut Value,
    condition: impl Fn(&Value) -> bool,
) {
    let mut objects = std::pin::pin!(objects);
    while let Some(object) = objects.next().await {
        // a broken watch goes on by itself
        let Ok(object) = object else { continue };
        *last = serde_json::to_value(object).unwrap();
        if condition(last) {
            return;
        }
    }
}

pub(crate) async fn client(kubeconfig: &str) -> Client {
    let config = Kubeconfig::from_yaml(kubeconfig).unwrap();
    let config = ClientConfig::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

/// Sites of the namespace `pop` with ConfigMaps.
pub(crate) fn config() -> OperatorConfig {
    OperatorConfig::new("demo", KindConfig::namespaced("x.dev/v1", "Site", "sites"))
        .child(KindConfig::namespaced("v1", "ConfigMap", "configmaps"), Strategy::Replace)
        .within_namespace("pop")
}

/// What a handler has done.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    /// Calls of `sync` by name of the parent.
    pub(crate) syncs: HashMap<String, u32>,
    pub(crate) finalized: Vec<String>,
    running: Vec<String>,
    pub(crate) most_running: usize,
    /// Parents with two calls at the same time.
    pub(crate) overlaps: Vec<String>,
}

/// Makes as many ConfigMaps as a site wants, and counts those that it sees.
#[derive(Debug, Clone, Default)]
pub(crate) struct Maps(pub(crate) Arc<Mutex<Calls>>);

impl Maps {
    pub(crate) fn syncs_of(&self, name: &str) -> u32 {
        self.0.lock().unwrap().syncs.get(name).copied().unwrap_or_default()
    }
}

/// The answer for a site: ConfigMaps, and their seen number.
pub(crate) fn answer(request: &SyncRequest) -> Result<SyncResponse, Error> {
    let mut response = SyncResponse::from_status(json!({"children": request.children.len()}))?;
    for index in 0..request.parent["spec"]["size"].as_u64().unwrap_or_default() {
        let name = format!("{}-{index}", request.parent_name());
        response.add_child(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"index": index.to_string()},
            "metadata": {"name": name, "namespace": request.parent_namespace()},
        }))?;
    }
    Ok(response)
}

impl Handler for Maps {
    fn sync(&self, request: &SyncRequest) -> Result<SyncResponse, Error> {
        let name = request.parent_name().to_owned();
        {
            let mut calls = self.0.lock().unwrap();
            *calls.syncs.entry(name.clone()).or_default() += 1;
            if calls.running.contains(&name) {
                calls.overlaps.push(name.clone());
            }
            calls.running.push(name.clone());
            calls.most_running = calls.most_running.max(calls.running.len());
        }
        let answer = answer(request);
        self.0.lock().unwrap().running.retain(|running| *running != name);
        answer
    }

    fn finalize(&self, request: &SyncRequest) -> Result<FinalizeResponse, Error> {
        self.0.lock().unwrap().finalized.push(request.parent_name().to_owned());
        Ok(FinalizeResponse::done())
    }
}

/// A running operator.
pub(crate) struct Running {
    stop: Option<oneshot::Sender<()>>,
    pub(crate) task: JoinHandle<Result<(), RuntimeError>>,
    pub(crate) address: Option<SocketAddr>,
}

impl Running {
    pub(crate) async fn start(
        client: &Client,
        config: OperatorConfig,
        handler: impl Handler,
        settings: Settings,
    ) -> Self {
        let operator = Operator::bind(client.clone(), config, handler, settings).await.unwrap();
        let address = operator.http_address();
        let (stop, stops) = oneshot::channel::<()>();
        let task = tokio::spawn(operator.run(async { stops.await.unwrap_or_default() }));
        Self { stop: Some(stop), task, address }
    }

    /// Asks the operator to end, as SIGTERM does.
    pub(crate) fn ask_to_stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Ends the operator gracefully.
    pub(crate) async fn stop(mut self) {
        self.ask_to_stop();
        timeout(HANG, self.task).await.unwrap().unwrap().unwrap();
    }

    /// Ends the operator without any last request.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}
