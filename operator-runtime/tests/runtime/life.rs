//! A parent from its creation to its deletion.

use crate::world::{Maps, Running, World, config};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use pop_operator::Backoff;
use pop_operator_runtime::Settings;
use pop_stand_in::Request;
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn new_parent_gets_finalizer_children_and_status() {
    let world = World::start().await;
    let operator = Running::start(&world.client, config(), Maps::default(), Settings::default()).await;
    world.create_site("a", 2).await;
    let site = world.settled("a", 2).await;
    assert_eq!(site["metadata"]["finalizers"], json!(["pop-rs.dev/demo"]));
    assert_eq!(site["status"]["observedGeneration"], 1);
    let map = world.map("a-1", |map| !map.is_null()).await;
    assert_eq!(map["data"], json!({"index": "1"}));
    assert_eq!(map["metadata"]["labels"]["pop-rs.dev/owner"], site["metadata"]["uid"]);
    let expected = [
        "create sites",
        "patch sites",
        "create configmaps",
        "create configmaps",
        "update sites status",
        "update sites status",
    ];
    assert_eq!(world.writes(), expected);
    operator.stop().await;
}

#[tokio::test]
async fn changed_and_deleted_children_come_back() {
    let world = World::start().await;
    let operator = Running::start(&world.client, config(), Maps::default(), Settings::default()).await;
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    let before = world.map("a-0", |map| !map.is_null()).await;
    world.edit_map("a-0", &json!({"data": {"index": "wrong", "other": "stays"}})).await;
    world.map("a-0", |map| map["data"] == json!({"index": "0", "other": "stays"})).await;
    world.maps.delete("a-0", &DeleteParams::default()).await.unwrap();
    world.map("a-0", |map| !map.is_null() && map["metadata"]["uid"] != before["metadata"]["uid"]).await;
    // a smaller site loses the last child
    let patch = json!({"spec": {"size": 0}});
    world.sites.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    world.map("a-0", Value::is_null).await;
    let site = world.settled("a", 0).await;
    assert_eq!(site["status"]["observedGeneration"], 2);
    operator.stop().await;
}

#[tokio::test]
async fn deleted_parent_is_finalized_and_takes_its_children() {
    let world = World::start().await;
    let handler = Maps::default();
    let operator = Running::start(&world.client, config(), handler.clone(), Settings::default()).await;
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    world.sites.delete("a", &DeleteParams::default()).await.unwrap();
    world.site("a", Value::is_null).await;
    world.map("a-0", Value::is_null).await;
    assert_eq!(handler.0.lock().unwrap().finalized, ["a"]);
    // a new parent of the same name is another one
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    operator.stop().await;
}

#[tokio::test]
async fn name_of_others_is_claimed_when_it_becomes_free() {
    let world = World::start().await;
    // no retry by time: only the change of the foreign object can wake the parent
    let backoff = Backoff { give_up_after: Some(2), ..Backoff::fixed_interval(Duration::from_millis(1)) };
    let settings = Settings { backoff, ..Settings::default() };
    let foreign = json!({"metadata": {"name": "a-0"}});
    world.maps.create(&PostParams::default(), &serde_json::from_value(foreign).unwrap()).await.unwrap();
    let operator = Running::start(&world.client, config(), Maps::default(), settings).await;
    world.create_site("a", 1).await;
    let is_taken = |request: &Request| request.verb == "create" && request.status == Some(409);
    world.received(|requests| requests.iter().any(is_taken)).await;
    world.maps.delete("a-0", &DeleteParams::default()).await.unwrap();
    world.map("a-0", |map| map["data"]["index"] == "0").await;
    world.settled("a", 1).await;
    operator.stop().await;
}
