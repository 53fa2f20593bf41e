//! Drives the leader election against a Lease of the API server.

use crate::api::{Api, ApiError};
use crate::settings::LeaseTarget;
use pop_operator::{Action, Answer, Input, KindConfig, LeaderElection, Lease, metadata_text};
use serde_json::{Value, json};
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{info, warn};

/// Whether this replica leads.
#[derive(Debug)]
pub(crate) struct Leadership {
    started: Instant,
    /// None for an operator without a Lease, which always leads.
    election: Option<Mutex<LeaderElection>>,
    /// Tells the loop about changes.
    changes: watch::Sender<bool>,
}

impl Leadership {
    pub(crate) fn new(target: Option<&LeaseTarget>) -> Self {
        let election = target.map(|target| Mutex::new(LeaderElection::new(target.settings.clone())));
        let changes = watch::channel(election.is_none()).0;
        Self { started: Instant::now(), election, changes }
    }

    /// Whether a write may be sent now.
    pub(crate) fn is_leading(&self) -> bool {
        self.election.as_ref().is_none_or(|election| locked(election).is_leading(self.started.elapsed()))
    }

    /// Changes of the leader, with the current state first.
    pub(crate) fn changes(&self) -> watch::Receiver<bool> {
        let mut changes = self.changes.subscribe();
        changes.mark_changed();
        changes
    }
}

fn locked(election: &Mutex<LeaderElection>) -> MutexGuard<'_, LeaderElection> {
    election.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The replica's part in the election of one Lease.
struct Candidate<'c> {
    api: &'c Api,
    target: &'c LeaseTarget,
    kind: KindConfig,
    /// The Lease as it was last seen: what others wrote into it survives.
    seen: Mutex<Value>,
}

/// Takes part in the election until `release` becomes true and the Lease is given up.
pub(crate) async fn drive(
    api: &Api,
    target: &LeaseTarget,
    leadership: &Leadership,
    mut release: watch::Receiver<bool>,
) {
    let Some(election) = &leadership.election else { return };
    let kind = KindConfig::namespaced("coordination.k8s.io/v1", "Lease", "leases");
    let candidate = Candidate { api, target, kind, seen: Mutex::default() };
    let limit = locked(election).request_timeout();
    let mut request: Pin<Box<dyn Future<Output = Answer> + Send + '_>> = Box::pin(pending());
    let mut input = Input::Time;
    let mut is_released = false;
    loop {
        let step = |input| locked(election).step(leadership.started.elapsed(), input);
        for action in step(input) {
            match action {
                Action::StartLeading => {
                    info!(lease = target.name, "this replica leads");
                    leadership.changes.send_replace(true);
                }
                Action::StopLeading => {
                    info!(lease = target.name, "this replica does not lead any more");
                    leadership.changes.send_replace(false);
                }
                Action::Ended => return,
                action => request = Box::pin(candidate.answer(action, limit)),
            }
        }
        let deadline = locked(election).deadline().map(|at| leadership.started + at);
        input = tokio::select! {
            answer = &mut request => {
                request = Box::pin(pending());
                Input::Answered(answer)
            }
            () = until(deadline) => Input::Time,
            Ok(_) = release.wait_for(|is_released| *is_released), if !is_released => {
                is_released = true;
                Input::Release
            }
        };
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => sleep_until(at).await,
        None => pending().await,
    }
}

impl Candidate<'_> {
    /// Sends the request of an action. A request without an answer in time has failed.
    async fn answer(&self, action: Action, limit: Duration) -> Answer {
        let LeaseTarget { namespace, name, .. } = self.target;
        let namespace = Some(namespace.as_str());
        let is_read = matches!(action, Action::Get);
        let request = async {
            match action {
                Action::Create(lease) => {
                    let body = self.body(&Value::Null, &lease, true);
                    self.api.create(&self.kind, namespace, &body).await
                }
                Action::Replace { lease, is_acquired } => {
                    let seen = self.seen().clone();
                    let body = self.body(&seen, &lease, is_acquired);
                    self.api.replace(&self.kind, namespace, name, "", &body).await
                }
                // the other actions are no requests
                _ => self.api.get(&self.kind, namespace, name).await,
            }
        };
        match timeout(limit, request).await {
            Ok(Ok(object)) => {
                let lease = read(&object);
                *self.seen() = object;
                if is_read { Answer::Found(lease) } else { Answer::Written(lease) }
            }
            Ok(Err(error)) => self.refused(is_read, &error),
            Err(_) => {
                warn!(lease = name, "the API server did not answer in {limit:?}");
                Answer::Failed
            }
        }
    }

    fn refused(&self, is_read: bool, error: &ApiError) -> Answer {
        match error.code() {
            Some(404) if is_read => Answer::NotFound,
            Some(409) => Answer::Conflict,
            Some(403) => {
                let hint = "add the verbs get, create and update on `leases` of the API group \"coordination.k8s.io\" to the Role of the operator";
                warn!(lease = self.target.name, %error, hint, "the Lease cannot be used");
                Answer::Failed
            }
            _ => {
                warn!(lease = self.target.name, %error, "the request for the Lease failed and is repeated");
                Answer::Failed
            }
        }
    }

    /// The object to write: the seen one with the fields of the election.
    fn body(&self, seen: &Value, lease: &Lease, is_acquired: bool) -> Value {
        let mut object = if seen.is_object() { seen.clone() } else { json!({}) };
        object["apiVersion"] = self.kind.api_version.as_str().into();
        object["kind"] = self.kind.kind.as_str().into();
        object["metadata"]["name"] = self.target.name.as_str().into();
        object["metadata"]["namespace"] = self.target.namespace.as_str().into();
        if !lease.version.is_empty() {
            object["metadata"]["resourceVersion"] = lease.version.as_str().into();
        }
        let now = format!("{:.6}", jiff::Timestamp::now());
        let spec = &mut object["spec"];
        spec["holderIdentity"] = lease.holder.as_deref().into();
        spec["leaseDurationSeconds"] = (lease.duration.as_secs_f64().ceil() as u64).into();
        spec["leaseTransitions"] = lease.transitions.into();
        spec["renewTime"] = now.as_str().into();
        if is_acquired {
            spec["acquireTime"] = now.into();
        }
        object
    }

    fn seen(&self) -> MutexGuard<'_, Value> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The fields of the election.
fn read(object: &Value) -> Lease {
    let spec = &object["spec"];
    let number = |key: &str| spec[key].as_u64().unwrap_or_default();
    let holder = spec["holderIdentity"].as_str().filter(|holder| !holder.is_empty());
    Lease {
        holder: holder.map(str::to_owned),
        duration: Duration::from_secs(number("leaseDurationSeconds")),
        transitions: number("leaseTransitions") as u32,
        version: metadata_text(object, "resourceVersion").unwrap_or_default().to_owned(),
    }
}
