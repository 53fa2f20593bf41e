//! The node: a worker per pod, which runs its containers.

mod container;
mod docker;
mod engine;
mod environment;
mod event;
mod order;
mod pause;
mod pod_state;
mod process;
mod schedule;
mod volume;
mod worker;

pub(crate) use engine::Engine;

use crate::cluster::Cluster;
use crate::kind::PODS;
use crate::pod_order::PodOrder;
use crate::store::name_of;
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinSet;
use worker::Worker;

/// Starts a worker for each pod, and sends it deletions. Runs forever.
///
/// It checks all pods after every change, so it misses none.
pub(crate) async fn run(cluster: Arc<Cluster>, engine: Arc<Engine>, folder: PathBuf) {
    let mut changes = cluster.changes();
    let mut graces: HashMap<String, i64> = HashMap::new();
    let mut tasks = JoinSet::new();
    loop {
        changes.borrow_and_update();
        // pods deleted meanwhile end when the node is back
        let is_lost = cluster.switches().is_node_lost;
        let pods = cluster.store().list(&PODS, None);
        for pod in &pods {
            let uid = uid(pod);
            let is_ended = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            if !graces.contains_key(uid) && !is_ended {
                graces.insert(uid.to_owned(), i64::MAX);
                let orders = cluster.workers.open(uid);
                tasks.spawn(Worker::new(&cluster, &engine, folder.join(uid), pod).run(orders));
            }
            if let (true, Some(last)) =
                (!is_lost && pod["metadata"]["deletionTimestamp"].is_string(), graces.get_mut(uid))
            {
                let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or(0);
                if grace < *last {
                    *last = grace;
                    if !cluster.workers.send(uid, PodOrder::Delete { grace }) {
                        // its containers have ended
                        let (namespace, name) = name_of(pod);
                        cluster.finish_pod(&namespace, &name, uid);
                    }
                }
            }
        }
        let existing: std::collections::HashSet<&str> = pods.iter().map(|pod| uid(pod)).collect();
        graces.retain(|uid, _| {
            let is_there = is_lost || existing.contains(uid.as_str());
            if !is_there {
                cluster.workers.send(uid, PodOrder::Gone);
                cluster.workers.close(uid);
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

/// The uid of a pod.
fn uid(pod: &Value) -> &str {
    pod["metadata"]["uid"].as_str().unwrap_or_default()
}
