//! Events through both of their APIs, and quantities as they are stored.

use crate::test_cluster::{TestCluster, pod};
use k8s_openapi::api::core::v1::{Event, ObjectReference, Pod};
use k8s_openapi::api::events::v1::Event as NewEvent;
use kube::Api;
use kube::api::{ListParams, PostParams};
use kube::runtime::events::{Event as Message, EventType, Recorder, Reporter};
use serde_json::json;

#[tokio::test]
async fn a_recorded_event_is_visible_through_both_apis() {
    let cluster = TestCluster::start().await;
    let recorder = Recorder::new(cluster.client.clone(), Reporter::from("pop.test/operator"));
    let about = ObjectReference {
        kind: Some("Pod".to_owned()),
        namespace: Some("pop".to_owned()),
        name: Some("x".to_owned()),
        uid: Some("1".to_owned()),
        ..ObjectReference::default()
    };
    let message = Message {
        type_: EventType::Warning,
        reason: "Refused".to_owned(),
        note: Some("the name is taken".to_owned()),
        action: "Create".to_owned(),
        secondary: None,
    };
    // the second one raises the count of the first
    for _ in 0..2 {
        recorder.publish(&message, &about).await.unwrap();
    }
    let old: Api<Event> = Api::namespaced(cluster.client.clone(), "pop");
    let found = old.list(&ListParams::default().fields("involvedObject.name=x")).await.unwrap().items;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].message.as_deref(), Some("the name is taken"));
    assert_eq!(found[0].reporting_component.as_deref(), Some("pop.test/operator"));
    let new: Api<NewEvent> = Api::namespaced(cluster.client.clone(), "pop");
    let found = new.list(&ListParams::default()).await.unwrap().items;
    assert_eq!(found[0].regarding.as_ref().unwrap().name.as_deref(), Some("x"));
    assert_eq!(found[0].series.as_ref().unwrap().count, 2);
}

#[tokio::test]
async fn quantities_are_stored_in_one_form() {
    let cluster = TestCluster::start().await;
    let mut wanted = pod("x", "exit 0");
    wanted["spec"]["containers"][0]["resources"] = json!({
        "limits": {"cpu": "0.5", "memory": "2048Ki"}, "requests": {"cpu": "0.1", "memory": "1024Ki"},
    });
    let wanted: Pod = serde_json::from_value(wanted).unwrap();
    let made = cluster.pods.create(&PostParams::default(), &wanted).await.unwrap();
    let resources = serde_json::to_value(&made.spec.unwrap().containers[0].resources).unwrap();
    let expected = json!({
        "limits": {"cpu": "500m", "memory": "2Mi"}, "requests": {"cpu": "100m", "memory": "1Mi"},
    });
    assert_eq!(resources, expected);
}
