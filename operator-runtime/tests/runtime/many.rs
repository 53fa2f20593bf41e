//! Many parents at once, and silence after them.

use crate::world::{HANG, Maps, Running, World, config, is_settled};
use futures_util::StreamExt as _;
use futures_util::stream;
use kube::runtime::watcher::{self, Event, watcher};
use pop_operator_runtime::Settings;
use std::collections::HashSet;
use tokio::time::timeout;

/// Waits until this number of sites have settled with one child each.
async fn all_settled(world: &World, count: usize) {
    let mut events = watcher(world.sites.clone(), watcher::Config::default()).boxed();
    let mut settled = HashSet::new();
    while settled.len() < count {
        let event = timeout(HANG, events.next()).await.unwrap().unwrap();
        if let Ok(Event::Apply(site) | Event::InitApply(site)) = event
            && is_settled(&serde_json::to_value(&site).unwrap(), 1)
        {
            settled.extend(site.metadata.name);
        }
    }
}

#[tokio::test]
async fn o26_thousand_parents_at_the_start_settle() {
    let world = World::start().await;
    let names: Vec<String> = (0..1000).map(|number| format!("site-{number}")).collect();
    stream::iter(&names).for_each_concurrent(16, |name| world.create_site(name, 1)).await;
    let handler = Maps::default();
    let operator = Running::start(&world.client, config(), handler.clone(), Settings::default()).await;
    all_settled(&world, names.len()).await;
    operator.stop().await;
    let calls = handler.0.lock().unwrap();
    assert!(calls.overlaps.is_empty(), "{:?}", calls.overlaps);
    assert!(calls.most_running <= 16, "{}", calls.most_running);
    // one call makes the child, one sees it, and one sees the last status
    let most = calls.syncs.values().max().copied();
    assert!(most <= Some(5), "{most:?}");
}

#[tokio::test]
async fn o19_settled_parents_cause_no_requests() {
    let world = World::start().await;
    let handler = Maps::default();
    let operator = Running::start(&world.client, config(), handler.clone(), Settings::default()).await;
    for name in ["a", "b"] {
        world.create_site(name, 1).await;
        world.settled(name, 1).await;
    }
    // the syncs of a later parent show that those of the earlier ones have ended
    world.create_site("marker-1", 1).await;
    world.settled("marker-1", 1).await;
    let calls = (handler.syncs_of("a"), handler.syncs_of("b"));
    world.stand_in.reset_requests();
    world.create_site("marker-2", 1).await;
    world.settled("marker-2", 1).await;
    assert_eq!((handler.syncs_of("a"), handler.syncs_of("b")), calls);
    let foreign: Vec<_> = world
        .stand_in
        .requests()
        .into_iter()
        .filter(|request| !matches!(request.verb.as_str(), "list" | "watch"))
        .filter(|request| !request.name.is_empty() && !request.name.starts_with("marker-"))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    // the operator itself lists and watches nothing anew
    let maps = |request: &pop_stand_in::Request| request.resource == "configmaps" && request.verb != "create";
    assert!(!world.stand_in.requests().iter().any(maps));
    operator.stop().await;
}
