//! Two replicas: one works, the other takes over.

use crate::world::{HANG, Maps, Running, World, answer, config};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use pop_operator::{LeaseSettings, SyncRequest};
use pop_operator_runtime::{LeaseTarget, Settings};
use pop_stand_in::Request;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

fn replica(name: &str, seconds: u64) -> Settings {
    let lease = LeaseTarget {
        settings: LeaseSettings { identity: name.to_owned(), duration: Duration::from_secs(seconds) },
        ..LeaseTarget::new("pop", "demo", name)
    };
    Settings { lease: Some(lease), ..Settings::default() }
}

async fn led_by(world: &World, holder: &str) -> Value {
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), "pop");
    crate::world::until(&leases, "demo", |lease| lease["spec"]["holderIdentity"] == holder).await
}

#[tokio::test]
async fn o29_other_replica_takes_over_after_a_release() {
    let world = World::start().await;
    let (first, second) = (Maps::default(), Maps::default());
    // the first look of the second replica is long after the release, unless it looks at a third of the duration
    let one = Running::start(&world.client, config(), first.clone(), replica("one", 3)).await;
    led_by(&world, "one").await;
    let two = Running::start(&world.client, config(), second.clone(), replica("two", 3)).await;
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    assert!(first.syncs_of("a") > 0 && second.syncs_of("a") == 0);
    one.stop().await;
    let lease = led_by(&world, "two").await;
    assert_eq!(lease["spec"]["leaseTransitions"], 1);
    let calls = first.syncs_of("a");
    world.maps.delete("a-0", &DeleteParams::default()).await.unwrap();
    world.map("a-0", |map| !map.is_null()).await;
    world.settled("a", 1).await;
    assert!(first.syncs_of("a") == calls && second.syncs_of("a") > 0);
    two.stop().await;
}

#[tokio::test]
async fn o29_other_replica_takes_over_from_a_killed_leader() {
    let world = World::start().await;
    let (first, second) = (Maps::default(), Maps::default());
    let one = Running::start(&world.client, config(), first.clone(), replica("one", 2)).await;
    led_by(&world, "one").await;
    let two = Running::start(&world.client, config(), second.clone(), replica("two", 2)).await;
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    one.kill().await;
    world.maps.delete("a-0", &DeleteParams::default()).await.unwrap();
    led_by(&world, "two").await;
    world.map("a-0", |map| !map.is_null()).await;
    world.settled("a", 1).await;
    assert!(second.syncs_of("a") > 0);
    two.stop().await;
}

#[tokio::test]
async fn o29_sync_that_outlives_the_lease_writes_nothing() {
    let world = World::start().await;
    let (enters, mut entered) = unbounded_channel();
    let (go, goes) = channel::<()>();
    let goes = Mutex::new(goes);
    let handler = move |request: &SyncRequest| {
        enters.send(())?;
        goes.lock().unwrap().recv()?;
        answer(request)
    };
    let operator = Running::start(&world.client, config(), handler, replica("one", 2)).await;
    world.create_site("a", 1).await;
    timeout(HANG, entered.recv()).await.unwrap();
    // another replica takes the Lease, as after a pause of this process
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), "pop");
    let taken = json!({"spec": {"holderIdentity": "other", "leaseDurationSeconds": 3600}});
    leases.patch("demo", &PatchParams::default(), &Patch::Merge(taken)).await.unwrap();
    let is_read = |request: &Request| request.resource == "leases" && request.verb == "get";
    let reads = |requests: &[Request]| requests.iter().filter(|request| is_read(request)).count();
    // the second read behind the loss shows that the answer to the first one has arrived
    let before = reads(&world.stand_in.requests());
    world.received(|requests| reads(requests) >= before + 2).await;
    go.send(()).unwrap();
    operator.stop().await;
    assert_eq!(world.writes().iter().filter(|write| write.contains("configmaps")).count(), 0);
    assert!(world.sites.get("a").await.unwrap().data["status"].is_null());
}
