//! The handle of a running stand-in: start, end, and the control actions of tests.

use crate::cluster::{Cluster, Webhook};
use crate::config::{Backend, Config};
use crate::custom::controller;
use crate::deletion::DeleteOptions;
use crate::failure::Failure;
use crate::fault::FaultRule;
use crate::kind::{DEFINITIONS, PODS};
use crate::kubelet::{self, Engine};
use crate::request::Request;
use crate::server;
use crate::store::name_of;
use crate::tls::{Identity, TlsError};
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// Why a stand-in cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No port, folder or thread.
    #[error("cannot start")]
    Machine(#[from] io::Error),
    /// No Docker Engine.
    #[error("cannot use the Docker Engine")]
    Docker(#[from] bollard::errors::Error),
    /// No certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The cluster refused its initial objects.
    #[error(transparent)]
    InitialObjects(#[from] ControlError),
}

/// A control action failed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ControlError(String);

impl From<Failure> for ControlError {
    fn from(failure: Failure) -> Self {
        Self(failure.message)
    }
}

/// A running stand-in; it ends when it is dropped.
#[derive(Debug)]
pub struct StandIn {
    cluster: Arc<Cluster>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Starts one on its own thread.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let (started, has_started) = oneshot::channel();
        let (end, ends) = oneshot::channel();
        let thread = thread::Builder::new().name("stand-in".to_owned()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                // the caller may have stopped waiting
                Err(error) => return drop(started.send(Err(StartError::Machine(error)))),
            };
            runtime.block_on(run(config, started, ends));
        })?;
        let ended = || io::Error::other("the server's thread ended");
        let cluster = has_started.await.map_err(|_| ended())??;
        Ok(Self { cluster, end: Some(end), thread: Some(thread) })
    }

    /// Base URL.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.cluster.port)
    }

    /// A kubeconfig with the admin token.
    pub fn kubeconfig(&self) -> String {
        self.cluster.kubeconfig("127.0.0.1", &self.cluster.admin_token, "pop")
    }

    /// A kubeconfig with a new token of a service account.
    pub fn kubeconfig_for(&self, namespace: &str, account: &str) -> String {
        let token = self.token_for(namespace, account);
        self.cluster.kubeconfig("127.0.0.1", &token, namespace)
    }

    /// The CA certificate, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.cluster.ca_pem
    }

    /// The token of the admin, who has all rights.
    pub fn admin_token(&self) -> &str {
        &self.cluster.admin_token
    }

    /// Issues a token for a service account.
    pub fn token_for(&self, namespace: &str, account: &str) -> String {
        self.cluster.issue_token(namespace, account)
    }

    /// Adds a fault rule.
    pub fn add_fault(&self, rule: FaultRule) -> Result<(), ControlError> {
        self.cluster.faults.add(rule).map_err(|why| ControlError(why.to_string()))
    }

    /// Removes all fault rules.
    pub fn clear_faults(&self) {
        self.cluster.faults.clear();
    }

    /// All requests since the last reset.
    pub fn requests(&self) -> Vec<Request> {
        self.cluster.requests.all()
    }

    /// Clears the request log.
    pub fn reset_requests(&self) {
        self.cluster.requests.reset();
    }

    /// Deletes the change history: requests for older versions get 410.
    pub fn compact(&self) {
        self.cluster.compact();
    }

    /// Sets the reply of the admission webhook to new pods.
    pub fn set_webhook(&self, webhook: Webhook) {
        self.cluster.set_webhook(webhook);
    }

    /// Evicts a pod, like a kubelet under memory pressure.
    pub fn evict(&self, namespace: &str, name: &str) -> Result<(), ControlError> {
        Ok(self.cluster.evict(namespace, name, "")?)
    }

    /// Preempts a pod for another one.
    pub fn preempt(&self, namespace: &str, name: &str) -> Result<(), ControlError> {
        Ok(self.cluster.preempt(namespace, name)?)
    }

    /// Deletes a pod, like a user.
    pub fn delete_pod(&self, namespace: &str, name: &str) -> Result<(), ControlError> {
        let options = DeleteOptions::default();
        Ok(self.cluster.delete(&PODS, (namespace, name), &options).map(drop)?)
    }

    /// Disconnects the node, or reconnects it.
    pub fn set_node_lost(&self, is_lost: bool) {
        self.cluster.set_node_lost(is_lost);
    }

    /// Revokes the tokens of a service account and gives its pods a new one.
    pub fn rotate_token(&self, namespace: &str, account: &str) {
        self.cluster.rotate_token(namespace, account);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        // both fail only if the thread has ended already
        self.end.take().map(|end| end.send(()).ok());
        self.thread.take().map(|thread| thread.join().ok());
    }
}

async fn run(
    config: Config,
    started: oneshot::Sender<Result<Arc<Cluster>, StartError>>,
    ends: oneshot::Receiver<()>,
) {
    let (cluster, engine, serving) = match open(config).await {
        Ok(parts) => parts,
        // the caller may have stopped waiting
        Err(error) => return drop(started.send(Err(error))),
    };
    let kubelet = kubelet::run(Arc::clone(&cluster.0), Arc::clone(&engine), cluster.1.path().to_owned());
    if started.send(Ok(Arc::clone(&cluster.0))).is_err() {
        return;
    }
    let (listener, tls) = serving;
    let definitions = controller::run(Arc::clone(&cluster.0));
    tokio::select! {
        () = server::serve(Arc::clone(&cluster.0), listener, tls) => {}
        () = kubelet => {}
        () = definitions => {}
        _ = ends => {}
    }
    engine.end().await;
}

type Parts = ((Arc<Cluster>, tempfile::TempDir), Arc<Engine>, (tokio::net::TcpListener, TlsAcceptor));

async fn open(config: Config) -> Result<Parts, StartError> {
    let engine = Engine::open(&config).await?;
    let own = [
        "127.0.0.1",
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        engine.host(),
    ];
    let names = own.into_iter().map(str::to_owned).chain(config.names.iter().cloned()).collect();
    let identity = Identity::generate(names)?;
    let address = match config.backend {
        Backend::Process => Ipv4Addr::LOCALHOST,
        // containers connect from another network
        Backend::Docker => Ipv4Addr::UNSPECIFIED,
    };
    let listener = tokio::net::TcpListener::bind((address, config.port)).await?;
    let port = listener.local_addr()?.port();
    let folder = tempfile::Builder::new().prefix("pop-stand-in-").tempdir()?;
    let cluster = Cluster::new(config, port, identity.ca_pem).map_err(ControlError::from)?;
    for definition in &cluster.config.definitions {
        let created =
            cluster.create(&DEFINITIONS, "", definition.clone(), false).map_err(ControlError::from)?;
        controller::establish_kind(&cluster, &name_of(&created).1);
    }
    Ok(((Arc::new(cluster), folder), engine, (listener, TlsAcceptor::from(identity.server))))
}
