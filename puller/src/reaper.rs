//! Deletes pods that ended long ago: those that pop or a puller has launched, and no others.
//!
//! *Guarantees.* Only pods with a label of pop are deleted, and only if all containers have terminated. A pod whose time is
//! unknown stays. A batch that fails does not stop the next one.

use kube::Client;
use pop_contract::Millis;
use serde_json::Value;
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
    /// Namespace of the pods.
    pub namespace: String,
    /// Least time since the end of a pod, in milliseconds.
    pub age: Millis,
    /// Pods that are deleted at the same time.
    pub batch: usize,
    /// Longest time; at least one batch is deleted.
    pub limit: Duration,
    /// Whether pods are only named.
    pub is_dry: bool,
}

/// What was deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Names of the deleted pods; of those that would be deleted, if nothing is.
    pub pods: Vec<String>,
    /// Pods that could not be deleted, with the reason.
    pub failed: Vec<(String, String)>,
    /// Whether the time was over before all pods were deleted.
    pub is_cut: bool,
}

/// Deletes old pods. `now` is the wall-clock time, `time_of` reads a time of Kubernetes.
pub async fn reap_pods(
    client: &Client,
    settings: &ReapSettings,
    now: Millis,
    time_of: fn(&str) -> Option<Millis>,
) -> Result<Reaped, Box<kube::Error>> {
    let until = Instant::now() + settings.limit;
    let mut reaped = Reaped::default();
    let mut has_deleted = false;
    for (phase, selector) in PHASES.iter().flat_map(|phase| SELECTORS.map(|selector| (phase, selector))) {
        let mut token = String::new();
        loop {
            let page = list(client, &settings.namespace, phase, selector, &token).await.map_err(Box::new)?;
            let old = page["items"].as_array().into_iter().flatten().filter(|pod| {
                ended_at(pod, time_of).is_some_and(|ended| ended.saturating_add(settings.age) <= now)
            });
            let names: Vec<String> =
                old.filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned())).collect();
            for batch in names.chunks(settings.batch.max(1)) {
                if has_deleted && Instant::now() >= until {
                    reaped.is_cut = true;
                    return Ok(reaped);
                }
                has_deleted = true;
                delete_batch(client, settings, batch, &mut reaped).await;
            }
            token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
            if token.is_empty() {
                break;
            }
        }
    }
    Ok(reaped)
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

async fn delete_batch(client: &Client, settings: &ReapSettings, names: &[String], reaped: &mut Reaped) {
    if settings.is_dry {
        reaped.pods.extend_from_slice(names);
        return;
    }
    let deletions: Vec<_> = names
        .iter()
        .map(|name| {
            let (client, name) = (client.clone(), name.clone());
            let uri = format!("/api/v1/namespaces/{}/pods/{name}", settings.namespace);
            tokio::spawn(async move {
                let request = http::Request::delete(uri).body(Vec::new()).map_err(kube::Error::HttpError);
                let deleted = match request {
                    Ok(request) => client.request::<Value>(request).await.map(drop),
                    Err(error) => Err(error),
                };
                (name, deleted)
            })
        })
        .collect();
    for deletion in deletions {
        match deletion.await {
            Ok((name, Ok(()))) => reaped.pods.push(name),
            // somebody else has deleted it
            Ok((name, Err(kube::Error::Api(status)))) if status.code == 404 => reaped.pods.push(name),
            Ok((name, Err(error))) => reaped.failed.push((name, error.to_string())),
            Err(error) => reaped.failed.push((String::new(), error.to_string())),
        }
    }
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
