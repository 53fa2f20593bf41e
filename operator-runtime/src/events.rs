//! Events for people: `kubectl describe` of a parent shows why its syncs fail.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use pop_operator::metadata_text;
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;
use tracing::debug;

/// Longest note of an event, as the API permits (bytes).
const MOST_NOTE: usize = 1024;

/// Publishes events about parents.
pub(crate) struct Events {
    recorder: Recorder,
    limit: Duration,
}

impl Events {
    /// Publishes in the name of an operator; each event gets this time.
    pub(crate) fn new(client: Client, operator: &str, limit: Duration) -> Self {
        Self { recorder: Recorder::new(client, Reporter::from(operator)), limit }
    }

    /// Publishes that a sync has failed, without waiting. A series of failures is one event, whose count grows at the
    /// first, second, fourth, eighth … failure.
    pub(crate) fn failed(&self, parent: ObjectReference, failures: u32, reason: &'static str, message: &str) {
        if !failures.is_power_of_two() {
            return;
        }
        let event = Event {
            type_: EventType::Warning,
            reason: words(reason).to_owned(),
            note: Some(cut(message)),
            action: "Sync".to_owned(),
            secondary: None,
        };
        let (recorder, limit) = (self.recorder.clone(), self.limit);
        tokio::spawn(async move {
            match timeout(limit, recorder.publish(&event, &parent)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "an event cannot be published"),
                Err(_) => debug!("an event was not published in time"),
            }
        });
    }
}

/// The reference of an event to its object.
pub(crate) fn reference(object: &Value) -> ObjectReference {
    let text = |name: &str| metadata_text(object, name).map(str::to_owned);
    ObjectReference {
        api_version: object["apiVersion"].as_str().map(str::to_owned),
        kind: object["kind"].as_str().map(str::to_owned),
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        ..ObjectReference::default()
    }
}

/// The reason of an event for that of a failed sync.
fn words(reason: &str) -> &'static str {
    match reason {
        "panic" => "HandlerPanicked",
        "children" => "ChildrenRefused",
        "conflict" => "NameTaken",
        "write" => "WriteFailed",
        _ => "HandlerFailed",
    }
}

fn cut(message: &str) -> String {
    message[..message.floor_char_boundary(MOST_NOTE)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn note_is_cut_between_characters() {
        let note = cut(&"ä".repeat(600));
        assert_eq!((note.len(), note.chars().all(|letter| letter == 'ä')), (1024, true));
        assert_eq!(cut("short"), "short");
    }
}
