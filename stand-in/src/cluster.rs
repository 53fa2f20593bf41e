//! The state of a stand-in: objects, identities and switches.

use crate::config::Config;
use crate::failure::Failure;
use crate::fault::Faults;
use crate::kind::{Kind, PODS};
use crate::log::Logs;
use crate::pod_order::{PodOrder, PodOrders};
use crate::request::Requests;
use crate::served::{Served, ServedKinds};
use crate::store::Store;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The authenticated user of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum User {
    Admin,
    ServiceAccount { namespace: String, name: String },
    Anonymous,
}

impl User {
    /// Name in messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Admin => "kubernetes-admin".to_owned(),
            Self::ServiceAccount { namespace, name } => format!("system:serviceaccount:{namespace}:{name}"),
            Self::Anonymous => "system:anonymous".to_owned(),
        }
    }
}

/// The reply of an admission webhook to every new pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Webhook {
    /// No webhook.
    #[default]
    None,
    /// Denies the pod.
    Denies,
    /// Cannot be reached.
    Unavailable,
}

/// Faults of the cluster that tests turn on and off.
#[derive(Debug, Default)]
pub(crate) struct Switches {
    pub(crate) webhook: Webhook,
    /// The kubelet cannot reach the server: pods keep running, but their status is not updated.
    pub(crate) is_node_lost: bool,
}

/// The state of a stand-in.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) config: Config,
    pub(crate) admin_token: String,
    pub(crate) ca_pem: String,
    pub(crate) port: u16,
    served: ServedKinds,
    pub(crate) logs: Logs,
    pub(crate) faults: Faults,
    pub(crate) requests: Requests,
    store: Mutex<Store>,
    switches: Mutex<Switches>,
    tokens: Mutex<HashMap<String, (String, String)>>,
    changed: watch::Sender<u64>,
    pub(crate) workers: PodOrders,
}

impl Cluster {
    pub(crate) fn new(config: Config, port: u16, ca_pem: String) -> Result<Self, Failure> {
        let cluster = Self {
            admin_token: random_token(),
            ca_pem,
            port,
            served: ServedKinds::default(),
            logs: Logs::new(config.log_limit),
            faults: Faults::default(),
            requests: Requests::default(),
            store: Mutex::new(Store::new(config.remembered_changes)),
            switches: Mutex::default(),
            tokens: Mutex::default(),
            changed: watch::Sender::new(0),
            workers: PodOrders::default(),
            config,
        };
        cluster.notify();
        cluster.create_initial_objects()?;
        Ok(cluster)
    }

    /// Creates the objects of every cluster: a node, and the namespaces with their objects.
    fn create_initial_objects(&self) -> Result<(), Failure> {
        let node = &self.config.node;
        let amounts = json!({"cpu": node.cpu, "memory": node.memory, "pods": node.pods.to_string()});
        let mut labels = json!({"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux"});
        for (key, value) in &node.labels {
            labels[key] = value.as_str().into();
        }
        let ready = json!({
            "type": "Ready", "status": "True", "reason": "KubeletReady",
            "message": "kubelet is posting ready status", "lastTransitionTime": now(), "lastHeartbeatTime": now(),
        });
        let node = json!({
            "metadata": {"name": node.name, "labels": labels},
            "spec": {},
            "status": {"capacity": amounts, "allocatable": amounts, "conditions": [ready]},
        });
        self.create(&crate::kind::NODES, "", node, false)?;
        let own = ["default", "kube-system", "kube-public", "kube-node-lease"];
        for name in own.into_iter().chain(self.config.namespaces.iter().map(String::as_str)) {
            let namespace = json!({"metadata": {"name": name}});
            self.create(&crate::kind::NAMESPACES, "", namespace, false)?;
        }
        Ok(())
    }

    /// Locks the store.
    pub(crate) fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Updates the served kinds, and wakes all watchers if objects have changed.
    pub(crate) fn notify(&self) {
        let version = {
            let store = self.store();
            self.served.refresh(&store, &self.config.kinds);
            store.version()
        };
        // a pending pod checks again after each change and writes a condition: without this test it would wake itself
        self.changed.send_if_modified(|seen| std::mem::replace(seen, version) != version);
    }

    /// Signals changes of objects and switches.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn switches(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kind served at a path.
    pub(crate) fn kind(&self, group: &str, version: &str, resource: &str) -> Result<Kind, Failure> {
        self.served().kind(group, version, resource).ok_or_else(Failure::no_such_path)
    }

    /// The kinds that are served now.
    pub(crate) fn served(&self) -> Arc<Served> {
        self.served.current()
    }

    /// The user of a token; anonymous without one.
    pub(crate) fn user(&self, token: Option<&str>) -> Result<User, Failure> {
        let Some(token) = token else { return Ok(User::Anonymous) };
        if token == self.admin_token {
            return Ok(User::Admin);
        }
        let tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let (namespace, name) = tokens.get(token).cloned().ok_or_else(Failure::unauthorized)?;
        Ok(User::ServiceAccount { namespace, name })
    }

    /// Issues a token for a service account.
    pub(crate) fn issue_token(&self, namespace: &str, name: &str) -> String {
        let token = random_token();
        let owner = (namespace.to_owned(), name.to_owned());
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), owner);
        token
    }

    /// Revokes all tokens of a service account.
    pub(crate) fn revoke_tokens(&self, namespace: &str, name: &str) {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, owner| (owner.0.as_str(), owner.1.as_str()) != (namespace, name));
    }

    /// A kubeconfig with the server's address, its CA and a token.
    pub(crate) fn kubeconfig(&self, host: &str, token: &str, namespace: &str) -> String {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca_pem);
        let server = format!("https://{host}:{}", self.port);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "stand-in",
            "clusters": [{"name": "stand-in", "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": "stand-in", "user": {"token": token}}],
            "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": "stand-in", "namespace": namespace}}],
        });
        format!("{config:#}\n")
    }

    /// Sends an order to the worker of a pod.
    pub(crate) fn order(&self, namespace: &str, name: &str, order: PodOrder) -> Result<(), Failure> {
        let pod = self.get(&PODS, namespace, name)?;
        let is_sent = self.workers.send(pod["metadata"]["uid"].as_str().unwrap_or_default(), order);
        let not_running = || Failure::bad_request(format!("pod {name:?} is not running"));
        is_sent.then_some(()).ok_or_else(not_running)
    }

    /// The current state of an object.
    pub(crate) fn get(&self, kind: &Kind, namespace: &str, name: &str) -> Result<Arc<Value>, Failure> {
        self.store().find(kind, namespace, name).cloned().ok_or_else(|| Failure::not_found(kind, name))
    }
}

fn random_token() -> String {
    format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}

/// The current time in whole seconds, in the format of objects.
pub(crate) fn now() -> String {
    timestamp(jiff::Timestamp::now())
}

/// A time in whole seconds, in the format of objects.
pub(crate) fn timestamp(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The time in this many seconds from now.
pub(crate) fn seconds_from_now(seconds: i64) -> String {
    timestamp(jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds))
}
