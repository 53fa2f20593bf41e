//! The graceful end.

use crate::world::{HANG, Running, World, answer, config};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use pop_operator::SyncRequest;
use pop_operator_runtime::{LeaseTarget, Settings};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use tokio::sync::mpsc::unbounded_channel;
use tokio::time::timeout;

#[tokio::test]
async fn running_sync_ends_and_no_other_starts_after_a_stop() {
    let world = World::start().await;
    let (enters, mut entered) = unbounded_channel();
    let (go, goes) = channel::<()>();
    let goes = Mutex::new(goes);
    let handler = move |request: &SyncRequest| {
        enters.send(request.parent_name().to_owned())?;
        goes.lock().unwrap().recv()?;
        answer(request)
    };
    let settings = Settings {
        lease: Some(LeaseTarget::new("pop", "demo", "one")),
        most_syncs: 1,
        ..Settings::default()
    };
    let mut operator = Running::start(&world.client, config(), handler, settings).await;
    world.create_site("a", 1).await;
    assert_eq!(timeout(HANG, entered.recv()).await.unwrap().as_deref(), Some("a"));
    // this one waits for the place of the first
    world.create_site("b", 1).await;
    operator.ask_to_stop();
    assert!(!operator.task.is_finished());
    go.send(()).unwrap();
    timeout(HANG, operator.task).await.unwrap().unwrap().unwrap();
    world.map("a-0", |map| !map.is_null()).await;
    let site = world.site("a", |site| !site.is_null()).await;
    assert_eq!(site["status"]["observedGeneration"], 1);
    assert!(entered.recv().await.is_none());
    assert!(world.sites.get("b").await.unwrap().metadata.finalizers.is_none());
    let leases: Api<Lease> = Api::namespaced(world.client.clone(), "pop");
    assert_eq!(leases.get("demo").await.unwrap().spec.unwrap().holder_identity, None);
}
