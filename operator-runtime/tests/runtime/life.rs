//! A parent from its creation to its deletion.

use crate::world::{Maps, Running, World, answer, config};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use pop_operator::{Backoff, SyncRequest};
use pop_operator_runtime::Settings;
use pop_stand_in::Request;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::unbounded_channel;

#[tokio::test]
async fn o13_o14_new_parent_gets_finalizer_children_and_status() {
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
async fn o5_o6_changed_and_deleted_children_come_back() {
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
async fn o15_deleted_parent_is_finalized_and_takes_its_children() {
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
async fn o21_name_of_others_is_claimed_when_it_becomes_free() {
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

#[tokio::test]
async fn o17_failed_handler_is_called_again_and_keeps_the_children() {
    let world = World::start().await;
    let (enters, mut entered) = unbounded_channel();
    let handler = move |request: &SyncRequest| {
        let is_broken = request.parent["spec"]["isBroken"] == true;
        if is_broken {
            enters.send(request.failures)?;
        }
        if is_broken && request.failures < 3 { Err("the database is away".into()) } else { answer(request) }
    };
    let backoff = Backoff::fixed_interval(Duration::from_millis(1));
    let settings = Settings { backoff, ..Settings::default() };
    let operator = Running::start(&world.client, config(), handler, settings).await;
    world.create_site("a", 1).await;
    let before = world.settled("a", 1).await;
    let uid = world.maps.get("a-0").await.unwrap().metadata.uid;
    let patch = json!({"spec": {"isBroken": true}});
    world.sites.patch("a", &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
    let after = world.settled("a", 1).await;
    assert_eq!((&before["metadata"]["generation"], &after["metadata"]["generation"]), (&json!(1), &json!(2)));
    for failures in 0..4 {
        assert_eq!(entered.recv().await, Some(failures));
    }
    assert_eq!(world.maps.get("a-0").await.unwrap().metadata.uid, uid);
    operator.stop().await;
}

#[tokio::test]
async fn o18_handler_is_called_again_after_its_resync_time() {
    let world = World::start().await;
    let (enters, mut entered) = unbounded_channel();
    let handler = move |request: &SyncRequest| {
        enters.send(Instant::now())?;
        Ok(answer(request)?.resync(Duration::from_millis(50)))
    };
    let operator = Running::start(&world.client, config(), handler, Settings::default()).await;
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    world.stand_in.reset_requests();
    let mut times = Vec::new();
    // the first calls follow from changes
    for _ in 0..8 {
        times.push(entered.recv().await.unwrap());
    }
    assert!(times[7] - times[6] >= Duration::from_millis(50), "{times:?}");
    assert_eq!(world.writes(), [""; 0]);
    operator.stop().await;
}
