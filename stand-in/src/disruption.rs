//! Disruptions of pods: eviction, preemption, a lost node, a rotated token.

use crate::cluster::{Cluster, Webhook, now};
use crate::deletion::DeleteOptions;
use crate::failure::Failure;
use crate::kind::{NODES, PODS};
use crate::pod_order::PodOrder;
use serde_json::{Value, json};

impl Cluster {
    /// Deletes the change history: requests for older versions get 410.
    pub(crate) fn compact(&self) {
        self.store().compact();
    }

    pub(crate) fn set_webhook(&self, webhook: Webhook) {
        self.switches().webhook = webhook;
    }

    /// Evicts a pod like a kubelet under memory pressure: it stays, failed, with the reason `Evicted`.
    pub(crate) fn evict(&self, namespace: &str, name: &str, message: &str) -> Result<(), Failure> {
        let usual = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 52Mi. ";
        let message = if message.is_empty() { usual } else { message };
        self.disrupt((namespace, name), "TerminationByKubelet", message)?;
        self.order(namespace, name, PodOrder::Evict { message: message.to_owned() })
    }

    /// Preempts a pod: it gets the condition and is deleted.
    pub(crate) fn preempt(&self, namespace: &str, name: &str) -> Result<(), Failure> {
        let message = "default-scheduler: preempting to accommodate a higher priority pod";
        self.disrupt((namespace, name), "PreemptionByScheduler", message)?;
        self.delete(&PODS, (namespace, name), &DeleteOptions::default()).map(drop)
    }

    /// Deletes a pod through the eviction API, like `kubectl drain`.
    pub(crate) fn evict_by_api(&self, pod: (&str, &str), options: &Value) -> Result<(), Failure> {
        let options = serde_json::from_value(options.clone()).unwrap_or_default();
        self.disrupt(pod, "EvictionByEvictionAPI", "Eviction API: evicting")?;
        self.delete(&PODS, pod, &options).map(drop)
    }

    /// Disconnects the node, or reconnects it. Its pods keep running, but their status is not updated.
    pub(crate) fn set_node_lost(&self, is_lost: bool) {
        self.switches().is_node_lost = is_lost;
        let name = self.config.node.name.clone();
        let (status, reason, message) = if is_lost {
            ("Unknown", "NodeStatusUnknown", "Kubelet stopped posting node status.")
        } else {
            ("True", "KubeletReady", "kubelet is posting ready status")
        };
        let condition = json!({
            "type": "Ready", "status": status, "reason": reason, "message": message, "lastTransitionTime": now(),
        });
        // the node may have been deleted
        self.set_condition(&NODES, ("", &name), condition).ok();
        let pods = self.store().list(&PODS, None);
        for pod in pods.iter().filter(|pod| pod["spec"]["nodeName"] == name && is_open(pod)) {
            let (namespace, own) = crate::store::name_of(pod);
            let place = (namespace.as_str(), own.as_str());
            if is_lost {
                let ready = json!({"type": "Ready", "status": "False", "lastTransitionTime": now()});
                self.set_condition(&PODS, place, ready).ok();
                self.change(&PODS, place, "status", false, |pod| {
                    let mut pod = pod.clone();
                    pod["status"]["reason"] = "NodeLost".into();
                    pod["status"]["message"] =
                        format!("Node {name} which was running pod {own} is unresponsive").into();
                    Ok(pod)
                })
                .ok();
            } else {
                self.order(&namespace, &own, PodOrder::Report).ok();
            }
        }
        self.notify();
    }

    /// Revokes the tokens of a service account and gives its pods a new one, as after expiry.
    pub(crate) fn rotate_token(&self, namespace: &str, account: &str) {
        self.revoke_tokens(namespace, account);
        let pods = self.store().list(&PODS, Some(namespace));
        for pod in pods {
            if pod["spec"]["serviceAccountName"] == account {
                // a pod that has ended needs no token
                self.order(
                    namespace,
                    pod["metadata"]["name"].as_str().unwrap_or_default(),
                    PodOrder::RenewToken,
                )
                .ok();
            }
        }
    }

    fn disrupt(&self, pod: (&str, &str), reason: &str, message: &str) -> Result<(), Failure> {
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": now(),
        });
        self.set_condition(&PODS, pod, condition)
    }

    fn set_condition(
        &self,
        kind: &crate::kind::Kind,
        place: (&str, &str),
        condition: Value,
    ) -> Result<(), Failure> {
        let set = |old: &Value| {
            let mut new = old.clone();
            let mut conditions = new["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.retain(|one| one["type"] != condition["type"]);
            conditions.push(condition);
            new["status"]["conditions"] = conditions.into();
            Ok(new)
        };
        self.change(kind, place, "status", false, set).map(drop)
    }
}

fn is_open(pod: &Value) -> bool {
    !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}
