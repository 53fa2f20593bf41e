//! Deletes pods and containers that ended long ago: those that pop or a puller has launched, and no others.
//!
//! *Guarantees.* Only pods and containers with a label of pop are deleted, and only if they do not run: all containers of
//! a pod have terminated. What has no known time stays. A batch that fails does not stop the next one.

use kube::Client;
use pop_contract::{Failure, Millis};
use pop_launchers::EndedContainers;
use serde_json::Value;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// Label selectors of pods that pop has launched, and of executors that POP's own puller has launched.
const SELECTORS: [&str; 2] = ["pop.launchId", "pop.insightId,!pop.launchId"];
/// Phases of pods that have ended.
const PHASES: [&str; 2] = ["Failed", "Succeeded"];
/// Pods in one page of the API server.
const PAGE: u32 = 500;

/// What is deleted.
#[derive(Debug, Clone)]
pub struct ReapSettings {
    /// Least time since the end of a pod or container, in milliseconds.
    pub age: Millis,
    /// Pods or containers that are deleted at the same time.
    pub batch: usize,
    /// Longest time; at least one batch is deleted.
    pub limit: Duration,
    /// Whether pods and containers are only named.
    pub is_dry: bool,
}

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Names of what was deleted; of what would be deleted, if nothing is.
    pub names: Vec<String>,
    /// What could not be deleted, with the reason.
    pub failed: Vec<(String, String)>,
    /// Whether the time was over before everything was deleted.
    pub is_cut: bool,
}

/// Deletes old pods of a namespace. `now` is the wall-clock time, `time_of` reads a time of Kubernetes (RFC 3339).
pub async fn reap_pods(
    client: &Client,
    namespace: &str,
    settings: &ReapSettings,
    now: Millis,
    time_of: fn(&str) -> Option<Millis>,
) -> Result<Reaped, Box<kube::Error>> {
    let mut reaping = Reaping::new(settings, now);
    for (phase, selector) in PHASES.iter().flat_map(|phase| SELECTORS.map(|selector| (phase, selector))) {
        let mut token = String::new();
        loop {
            let page = list(client, namespace, phase, selector, &token).await.map_err(Box::new)?;
            let pods = page["items"].as_array().into_iter().flatten();
            let old = pods.filter(|pod| ended_at(pod, time_of).is_some_and(|ended| reaping.is_old(ended)));
            let names: Vec<String> =
                old.filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect();
            let delete = |name: &str| delete_pod(client.clone(), namespace.to_owned(), name.to_owned());
            if !reaping.delete(&names, delete).await {
                return Ok(reaping.reaped);
            }
            token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() {
                break;
            }
        }
    }
    Ok(reaping.reaped)
}

/// Deletes old containers of an Engine. `now` is the wall-clock time, `time_of` reads a time of the Engine (RFC 3339).
pub async fn reap_containers(
    containers: &EndedContainers,
    settings: &ReapSettings,
    now: Millis,
    time_of: fn(&str) -> Option<Millis>,
) -> Result<Reaped, Failure> {
    let mut reaping = Reaping::new(settings, now);
    let ended = containers.list().await?.into_iter();
    let old = ended.filter(|container| time_of(&container.ended).is_some_and(|ended| reaping.is_old(ended)));
    let names: Vec<String> = old.map(|container| container.name).collect();
    let delete = |name: &str| {
        let (containers, name) = (containers.clone(), name.to_owned());
        async move { containers.remove(&name).await.map_err(|failure| failure.message) }
    };
    reaping.delete(&names, delete).await;
    Ok(reaping.reaped)
}

/// A clean-up under way.
struct Reaping<'s> {
    settings: &'s ReapSettings,
    now: Millis,
    until: Instant,
    reaped: Reaped,
}

impl<'s> Reaping<'s> {
    fn new(settings: &'s ReapSettings, now: Millis) -> Self {
        Self { settings, now, until: Instant::now() + settings.limit, reaped: Reaped::default() }
    }

    fn is_old(&self, ended: Millis) -> bool {
        ended.saturating_add(self.settings.age) <= self.now
    }

    /// Deletes in batches; false if the time is over.
    async fn delete<D>(&mut self, names: &[String], delete: impl Fn(&str) -> D) -> bool
    where
        D: Future<Output = Result<(), String>> + Send + 'static,
    {
        for batch in names.chunks(self.settings.batch.max(1)) {
            let has_deleted = !(self.reaped.names.is_empty() && self.reaped.failed.is_empty());
            if has_deleted && Instant::now() >= self.until {
                self.reaped.is_cut = true;
                return false;
            }
            if self.settings.is_dry {
                self.reaped.names.extend_from_slice(batch);
                continue;
            }
            let deletions: Vec<_> = batch.iter().map(|name| tokio::spawn(delete(name))).collect();
            for (name, deletion) in batch.iter().zip(deletions) {
                match deletion.await.map_err(|error| error.to_string()).flatten() {
                    Ok(()) => self.reaped.names.push(name.clone()),
                    Err(why) => self.reaped.failed.push((name.clone(), why)),
                }
            }
        }
        true
    }
}

/// Deletes a pod; one that somebody else has deleted counts as deleted.
async fn delete_pod(client: Client, namespace: String, name: String) -> Result<(), String> {
    let uri = format!("/api/v1/namespaces/{namespace}/pods/{name}");
    let request = http::Request::delete(uri).body(Vec::new()).map_err(|error| error.to_string())?;
    match client.request::<Value>(request).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

async fn list(
    client: &Client,
    namespace: &str,
    phase: &str,
    selector: &str,
    token: &str,
) -> Result<Value, kube::Error> {
    let query = [
        ("fieldSelector", format!("status.phase={phase}")),
        ("labelSelector", selector.to_owned()),
        ("limit", PAGE.to_string()),
        ("continue", token.to_owned()),
    ];
    let query = query.iter().filter(|(_, value)| !value.is_empty());
    let query: Vec<String> = query.map(|(name, value)| format!("{name}={}", escaped(value))).collect();
    let uri = format!("/api/v1/namespaces/{namespace}/pods?{}", query.join("&"));
    client.request(http::Request::get(uri).body(Vec::new()).map_err(kube::Error::HttpError)?).await
}

/// Percent-escapes everything but letters and digits.
fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// When a pod ended: the end of its first container, or its start if it has no containers. None if a container still
/// runs, or the time is unknown.
fn ended_at(pod: &Value, time_of: fn(&str) -> Option<Millis>) -> Option<Millis> {
    let containers = pod["status"]["containerStatuses"].as_array().map_or(&[] as &[Value], Vec::as_slice);
    let time = |value: &Value| time_of(value.as_str()?);
    match containers.first() {
        None => time(&pod["status"]["startTime"]),
        Some(first) => {
            let is_over = containers.iter().all(|container| container["state"]["terminated"].is_object());
            time(&first["state"]["terminated"]["finishedAt"]).filter(|_| is_over)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seconds(text: &str) -> Option<Millis> {
        text.strip_suffix('s')?.parse().ok()
    }

    #[test]
    fn the_end_of_a_pod_is_that_of_its_first_container() {
        let ended = |at: &str| json!({"state": {"terminated": {"finishedAt": at}}});
        let running = json!({"state": {"running": {}}});
        for (status, wanted) in [
            (json!({"containerStatuses": [ended("5s")]}), Some(5)),
            (json!({"containerStatuses": [ended("5s"), ended("9s")]}), Some(5)),
            (json!({"containerStatuses": [ended("5s"), running]}), None),
            (json!({"containerStatuses": [running, ended("5s")]}), None),
            (json!({"containerStatuses": [ended("soon")]}), None),
            (json!({"containerStatuses": [{"state": {"terminated": {}}}]}), None),
            (json!({"startTime": "3s"}), Some(3)),
            (json!({"containerStatuses": [], "startTime": "3s"}), Some(3)),
            (json!({}), None),
        ] {
            assert_eq!(ended_at(&json!({"status": status}), seconds), wanted, "{status}");
        }
    }

    #[test]
    fn selectors_are_escaped() {
        assert_eq!(escaped("pop.insightId,!pop"), "pop%2EinsightId%2C%21pop");
    }
}
