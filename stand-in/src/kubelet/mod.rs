//! The node: a worker for each pod, which really runs its containers.

mod container;
mod docker;
mod engine;
mod environment;
mod event;
mod pause;
mod pod_state;
mod process;
mod schedule;
mod volume;
mod worker;

pub(crate) use engine::Engine;

use crate::cluster::Cluster;
use crate::kind::PODS;
use engine::{Exit, Started};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use worker::Worker;

/// What a pod's worker is told.
#[derive(Debug)]
pub(crate) enum Input {
    /// It is to end within so many seconds and then to go.
    Delete { grace: i64 },
    /// It is gone from the server without having ended.
    Gone,
    /// It is to fail because the node lacks something.
    Evict { message: String },
    /// The server can be reached again.
    Report,
    /// The tokens in its volumes are worthless.
    RenewToken,
    /// A container started, or did not.
    Started { slot: usize, result: Started },
    /// A container ended.
    Ended { slot: usize, exit: Exit },
}

/// Gives each pod a worker and tells it of its deletion, for ever.
///
/// It looks at all pods after every change, so that it can miss none.
pub(crate) async fn run(cluster: Arc<Cluster>, engine: Arc<Engine>, folder: PathBuf) {
    let mut changes = cluster.changes();
    let mut told: HashMap<String, i64> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        changes.borrow_and_update();
        // what is deleted meanwhile ends when the node is back
        let is_lost = cluster.switches().is_node_lost;
        let pods = cluster.store().list(&PODS, None);
        for pod in &pods {
            let uid = uid(pod);
            let is_ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            if !told.contains_key(uid) && !is_ended {
                told.insert(uid.to_owned(), i64::MAX);
                let (sender, inputs) = mpsc::unbounded_channel();
                workers(&cluster).insert(uid.to_owned(), sender.clone());
                let own = folder.join(uid);
                tasks.spawn(Worker::new(&cluster, &engine, own, pod, sender).run(inputs));
            }
            if let (true, Some(last)) =
                (!is_lost && pod["metadata"]["deletionTimestamp"].is_string(), told.get_mut(uid))
            {
                let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
                if grace < *last {
                    *last = grace;
                    tell(&cluster, uid, Input::Delete { grace });
                }
            }
        }
        let there: std::collections::HashSet<&str> = pods.iter().map(|pod| uid(pod)).collect();
        told.retain(|uid, _| {
            let is_there = is_lost || there.contains(uid.as_str());
            if !is_there {
                tell(&cluster, uid, Input::Gone);
                workers(&cluster).remove(uid);
                cluster.logs.forget(uid);
            }
            is_there
        });
        while tasks.try_join_next().is_some() {}
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn workers(cluster: &Cluster) -> std::sync::MutexGuard<'_, HashMap<String, mpsc::UnboundedSender<Input>>> {
    cluster.workers.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tell(cluster: &Cluster, uid: &str, input: Input) {
    // a worker that is done needs to hear nothing
    workers(cluster).get(uid).map(|worker| worker.send(input).ok());
}

fn uid(pod: &Value) -> &str {
    pod["metadata"]["uid"].as_str().unwrap_or_default()
}
