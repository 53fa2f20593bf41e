//! The API server: connects to it, and retries requests where that can help.

use super::failure::{answer, is_not_found, may_change, platform, refused};
use crate::active_launches::PendingReason;
use crate::backoff::Backoff;
use crate::setting::{Cluster, Setting};
use k8s_openapi::api::core::v1::{Event, Pod, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, ListParams, PostParams, Preconditions};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, Error};
use pop_contract::Failure;
use std::time::Duration;
use tokio::time::timeout;

/// Time limit of an answer.
const CALL: Duration = Duration::from_mins(1);
/// Time that the deletion of a released object is retried.
const DELETING: Duration = Duration::from_secs(25);

/// A client of the cluster, and the namespace of the pods.
pub async fn client(cluster: &Cluster) -> Result<(Client, String), Failure> {
    let unknown = |why: String| platform("cluster", format!("no cluster is configured: {why}"));
    let mut config = match &cluster.master_url {
        Some(url) => of_address(url, cluster).await.map_err(|error| unknown(error.to_string()))?,
        None => Config::infer().await.map_err(|error| unknown(error.to_string()))?,
    };
    if config.cluster_url.scheme_str() == Some("http") {
        // without TLS no certificate is read: a small image has none
        config.root_cert.get_or_insert_default();
    }
    // this module retries by itself, with a deadline
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(20));
    let namespace = cluster.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config).map_err(|error| refused("connect", &error))?;
    Ok((client, namespace))
}

/// The configuration of a cluster with this address.
async fn of_address(url: &str, cluster: &Cluster) -> Result<Config, kube::config::KubeconfigError> {
    let authority = cluster.authority.as_deref().map(|pem| {
        use k8s_openapi::ByteString;
        // the field has the kubeconfig format: base64
        serde_json::to_value(ByteString(pem.as_bytes().to_vec())).unwrap_or_default()
    });
    let token = cluster.token.clone();
    let text = serde_json::json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "pop",
        "clusters": [{"name": "pop", "cluster": {"server": url, "certificate-authority-data": authority}}],
        "users": [{"name": "pop", "user": {"token": token}}],
        "contexts": [{"name": "pop", "context": {"cluster": "pop", "user": "pop"}}],
    });
    let kubeconfig = Kubeconfig::from_yaml(&text.to_string())?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await
}

/// The cluster of the pods.
pub(super) struct Server {
    pub(super) pods: Api<Pod>,
    secrets: Api<Secret>,
    events: Api<Event>,
    /// The pod in which this process runs; it owns all objects that this process creates.
    pub(super) owner: Option<OwnerReference>,
}

impl Server {
    /// Connects to the cluster.
    pub(super) async fn reach(setting: &Setting) -> Result<Self, Failure> {
        let (client, namespace) = client(&setting.cluster).await?;
        let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
        // also shows whether this process may list pods at all
        let listed = call(pods.list(&ListParams::default().limit(1))).await;
        listed.map_err(|error| refused(&format!("list pods of namespace `{namespace}`"), &error))?;
        let owner = match &setting.cluster.own_pod {
            Some(name) => owner(&pods, name, setting).await,
            None => None,
        };
        Ok(Self {
            pods,
            secrets: Api::namespaced(client.clone(), &namespace),
            events: Api::namespaced(client, &namespace),
            owner,
        })
    }

    /// The pod of a launch, if an earlier process created it.
    pub(super) async fn find(&self, name: &str, launch: &str) -> Result<Option<Pod>, Failure> {
        let mut tries = Backoff::new(Some(CALL));
        loop {
            match call(self.pods.get(name)).await {
                Ok(found) if launch_of(&found) == Some(launch) => return Ok(Some(found)),
                Ok(_) => return Err(name_taken(name)),
                Err(error) if is_not_found(&error) => return Ok(None),
                Err(error) => match may_change(&error) {
                    Some(at_least) if tries.next(at_least).await => {}
                    _ => return Err(refused("get pods", &error)),
                },
            }
        }
    }

    /// Creates a pod, or finds the earlier one of this launch. `refusal` holds the error that is being retried.
    pub(super) async fn create(
        &self,
        pod: &Pod,
        tries: &mut Backoff,
        refusal: &PendingReason,
    ) -> Result<Pod, Failure> {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        loop {
            let error = match call(self.pods.create(&PostParams::default(), pod)).await {
                Ok(created) => return Ok(created),
                Err(error) => error,
            };
            if answer(&error).is_some_and(|status| status.code == 409) {
                match call(self.pods.get(name)).await {
                    Ok(found) if launch_of(&found) == launch_of(pod) => return Ok(found),
                    Ok(_) => return Err(name_taken(name)),
                    Err(_) if tries.next(Duration::ZERO).await => continue,
                    Err(error) => return Err(refused("get pods", &error)),
                }
            }
            let refused = refused("create pods", &error);
            refusal.note(&refused);
            match may_change(&error) {
                Some(at_least) if tries.next(at_least).await => {}
                _ => return Err(refused),
            }
        }
    }

    /// Creates the Secret of a pod, from values that only this process has.
    pub(super) async fn create_secret(
        &self,
        pod: &Pod,
        values: Vec<(String, String)>,
        tries: &mut Backoff,
    ) -> Result<(), Failure> {
        let mut secret = Secret { string_data: Some(values.into_iter().collect()), ..Secret::default() };
        secret.metadata.name.clone_from(&pod.metadata.name);
        secret.metadata.labels.clone_from(&pod.metadata.labels);
        secret.metadata.owner_references.clone_from(&pod.metadata.owner_references);
        loop {
            let created = call(self.secrets.create(&PostParams::default(), &secret)).await;
            let Err(error) = created else { return Ok(()) };
            // created by an earlier process, perhaps with another value
            let is_there = answer(&error).is_some_and(|status| status.reason == "AlreadyExists");
            if is_there {
                self.delete_secret(pod.metadata.name.as_deref().unwrap_or_default()).await;
            }
            // concurrent requests can conflict
            let is_crowded = answer(&error).is_some_and(|status| status.code == 409);
            match may_change(&error).or(is_crowded.then_some(Duration::ZERO)) {
                Some(at_least) if tries.next(at_least).await => {}
                _ => return Err(refused("create secrets", &error)),
            }
        }
    }

    /// Deletes a pod; succeeds if it does not exist any more. With a grace period, the program gets SIGTERM first.
    pub(super) async fn delete(
        &self,
        name: &str,
        uid: Option<String>,
        grace_seconds: Option<u32>,
    ) -> Result<(), Error> {
        let params = DeleteParams {
            grace_period_seconds: grace_seconds,
            preconditions: uid.map(|uid| Preconditions { uid: Some(uid), resource_version: None }),
            ..DeleteParams::default()
        };
        until_done(|| call(self.pods.delete(name, &params))).await
    }

    /// Deletes the Secret that was created for a pod.
    pub(super) async fn delete_secret(&self, name: &str) {
        // a remaining Secret is deleted with its owner, the executor's pod
        let params = DeleteParams::default();
        until_done(|| call(self.secrets.delete(name, &params))).await.ok();
    }

    /// The events of a pod, oldest first; empty if they cannot be read.
    pub(super) async fn events_of(&self, pod: &Pod) -> Vec<(String, String)> {
        let Some(uid) = &pod.metadata.uid else { return Vec::new() };
        let params = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        let Ok(listed) = call(self.events.list(&params)).await else { return Vec::new() };
        let mut events = listed.items;
        events.sort_by_key(|event| event.last_timestamp.clone().map(|time| time.0));
        let words = |event: Event| (event.reason.unwrap_or_default(), event.message.unwrap_or_default());
        events.into_iter().map(words).collect()
    }
}

/// Retries a deletion until it is done, or there is nothing left to delete.
async fn until_done<T, F: Future<Output = Result<T, Error>>>(
    mut doing: impl FnMut() -> F,
) -> Result<(), Error> {
    let mut tries = Backoff::new(Some(DELETING));
    loop {
        match doing().await {
            Ok(_) => return Ok(()),
            // gone, or another object of that name
            Err(error) if is_not_found(&error) || answer(&error).is_some_and(|status| status.code == 409) => {
                return Ok(());
            }
            Err(error) => match may_change(&error) {
                Some(at_least) if tries.next(at_least).await => {}
                _ => return Err(error),
            },
        }
    }
}

/// Runs a request with a time limit.
pub(super) async fn call<T>(request: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    match timeout(CALL, request).await {
        Ok(answered) => answered,
        Err(_) => Err(Error::Service("it did not answer in time".into())),
    }
}

/// The launch of a pod.
fn launch_of(pod: &Pod) -> Option<&str> {
    pod.metadata.annotations.as_ref()?.get(crate::port::label::LAUNCH).map(String::as_str)
}

fn name_taken(name: &str) -> Failure {
    platform("name-taken", format!("another pod has the name `{name}`"))
}

/// The owner reference to this process's pod: the cluster deletes owned objects together with their owner.
async fn owner(pods: &Api<Pod>, name: &str, setting: &Setting) -> Option<OwnerReference> {
    let uid = match setting.surrounding("MY_POD_UID") {
        Some(uid) => uid.to_owned(),
        None => call(pods.get(name)).await.ok()?.metadata.uid?,
    };
    Some(OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: name.to_owned(),
        uid,
        ..OwnerReference::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use tower_test::mock;

    /// A request, and the answer to it.
    type Scene = (Method, u16, Value);

    /// A cluster that plays a scenario, and the task that ends with it.
    fn played(scenes: Vec<Scene>) -> (Server, tokio::task::JoinHandle<()>) {
        let (service, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let client = Client::new(service, "pop");
        let server = Server {
            pods: Api::namespaced(client.clone(), "pop"),
            secrets: Api::namespaced(client.clone(), "pop"),
            events: Api::namespaced(client, "pop"),
            owner: None,
        };
        let play = tokio::spawn(async move {
            for (method, status, body) in scenes {
                let (request, answer) = handle.next_request().await.unwrap();
                assert_eq!(*request.method(), method);
                let body = Body::from(body.to_string().into_bytes());
                answer.send_response(Response::builder().status(status).body(body).unwrap());
            }
        });
        (server, play)
    }

    fn refusal(code: u16, reason: &str, message: &str, seconds: u32) -> Value {
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason,
            "message": message, "details": {"retryAfterSeconds": seconds}})
    }

    fn pod(launch: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "annotations": {"pop.launch": launch}}})
    }

    async fn create(scenes: Vec<Scene>, patience: Duration) -> Result<Pod, Failure> {
        let (server, play) = played(scenes);
        let wanted = serde_json::from_value(pod("run-a-1")).unwrap();
        let mut tries = Backoff::new(Some(patience));
        let created = server.create(&wanted, &mut tries, &PendingReason::default()).await;
        // all requests of the scenario were made
        play.await.unwrap();
        created
    }

    #[tokio::test(start_paused = true)]
    async fn f59_f61_busy_server_is_retried_and_existing_pod_taken_over() {
        let begun = tokio::time::Instant::now();
        let scenes = vec![
            (Method::POST, 429, refusal(429, "TooManyRequests", "too many requests", 7)),
            (Method::POST, 500, refusal(500, "InternalError", "etcd is gone", 0)),
            (Method::POST, 409, refusal(409, "AlreadyExists", "pods \"p\" already exists", 0)),
            (Method::GET, 200, pod("run-a-1")),
        ];
        let created = create(scenes, Duration::from_mins(1)).await.unwrap();
        assert_eq!(created.metadata.name.as_deref(), Some("p"));
        assert!(begun.elapsed() >= Duration::from_secs(7), "Retry-After is respected");
    }

    #[tokio::test(start_paused = true)]
    async fn f53_f61_foreign_pod_is_not_taken_over() {
        let scenes = vec![
            (Method::POST, 409, refusal(409, "AlreadyExists", "pods \"p\" already exists", 0)),
            (Method::GET, 200, pod("another")),
        ];
        assert_eq!(create(scenes, Duration::from_mins(1)).await.unwrap_err().code, "name-taken");
    }

    #[tokio::test(start_paused = true)]
    async fn f64_temporary_errors_are_retried_and_lasting_ones_fail() {
        let quota = || {
            (Method::POST, 403, refusal(403, "Forbidden", "pods \"p\" is forbidden: exceeded quota: q", 0))
        };
        let scenes = vec![quota(), quota(), quota()];
        assert_eq!(create(scenes, Duration::from_secs(1)).await.unwrap_err().code, "quota");
        let invalid = refusal(422, "Invalid", "Pod \"p\" is invalid: spec.containers: Required value", 0);
        let scenes = vec![(Method::POST, 422, invalid)];
        assert_eq!(create(scenes, Duration::from_mins(1)).await.unwrap_err().code, "pod-invalid");
    }

    #[tokio::test(start_paused = true)]
    async fn f64_rejected_credentials_are_reported_as_such() {
        let scenes = vec![(Method::POST, 401, refusal(401, "Unauthorized", "Unauthorized", 0))];
        assert_eq!(create(scenes, Duration::from_mins(1)).await.unwrap_err().code, "unauthorized");
    }
}
