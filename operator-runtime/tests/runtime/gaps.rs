//! Broken watches, lists after them, and kinds that the API server refuses.

use crate::world::{Maps, Running, World, client, config};
use k8s_openapi::api::core::v1::{Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{Role, RoleBinding};
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use pop_operator::{KindConfig, Strategy, SyncRequest, rules};
use pop_operator_runtime::Settings;
use pop_stand_in::{FaultAction, FaultRule, Request};
use serde_json::json;
use std::time::Duration;

fn refusal(status: u16) -> FaultAction {
    FaultAction::Answer { status, reason: None, body: None, retry_after: None }
}

#[tokio::test]
async fn o27_child_that_vanished_in_a_gap_is_made_again() {
    let world = World::start().await;
    let watches = "/configmaps.*watch=true";
    let cut = FaultRule::new("GET", watches, FaultAction::CutAfterEvents { events: 1 }).times(1);
    world.stand_in.add_fault(cut).unwrap();
    world.stand_in.add_fault(FaultRule::new("GET", watches, refusal(503))).unwrap();
    let operator = Running::start(&world.client, config(), Maps::default(), Settings::default()).await;
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    // the watch has broken behind the creation, so nobody sees this deletion
    let uid = world.maps.get("a-0").await.unwrap().metadata.uid.unwrap();
    world.maps.delete("a-0", &DeleteParams::default()).await.unwrap();
    world.stand_in.compact();
    world.stand_in.clear_faults();
    let map = world.map("a-0", |map| !map.is_null()).await;
    assert_ne!(map["metadata"]["uid"], uid);
    world.settled("a", 1).await;
    operator.stop().await;
}

#[tokio::test]
async fn o27_list_after_410_calls_no_handler_for_unchanged_parents() {
    let world = World::start().await;
    let handler = Maps::default();
    let settings = Settings { watch_duration: Duration::from_secs(1), ..Settings::default() };
    let operator = Running::start(&world.client, config(), handler.clone(), settings).await;
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    // the marker's end shows that the last sync of `a` has ended too
    world.create_site("b", 1).await;
    world.settled("b", 1).await;
    let calls = handler.syncs_of("a");
    let before = lists(&world.stand_in.requests());
    for kind in ["/sites[?].*timeoutSeconds=1(&|$)", "/configmaps[?].*timeoutSeconds=1(&|$)"] {
        world.stand_in.add_fault(FaultRule::new("GET", kind, refusal(410)).times(1)).unwrap();
    }
    world.received(|requests| lists(requests) >= before + 2).await;
    world.create_site("c", 1).await;
    world.settled("c", 1).await;
    assert_eq!(handler.syncs_of("a"), calls);
    operator.stop().await;
}

/// Number of lists by the operator; the watches of a test have a field selector.
fn lists(requests: &[Request]) -> usize {
    let is_list = |request: &&Request| {
        request.verb == "list" && request.status == Some(200) && !request.query.contains("fieldSelector")
    };
    requests.iter().filter(is_list).count()
}

/// A Role of the operator's service account.
async fn grant(world: &World, name: &str, rules: &serde_json::Value) {
    let role = json!({"metadata": {"name": name}, "rules": rules});
    let binding = json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "demo", "namespace": "pop"}],
    });
    let roles: Api<Role> = Api::namespaced(world.client.clone(), "pop");
    roles.create(&PostParams::default(), &serde_json::from_value(role).unwrap()).await.unwrap();
    let bindings: Api<RoleBinding> = Api::namespaced(world.client.clone(), "pop");
    bindings.create(&PostParams::default(), &serde_json::from_value(binding).unwrap()).await.unwrap();
}

#[tokio::test]
async fn o28_refused_kind_holds_up_only_its_own_writes() {
    let world = World::start().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), "pop");
    let account = serde_json::from_value(json!({"metadata": {"name": "demo"}})).unwrap();
    accounts.create(&PostParams::default(), &account).await.unwrap();
    grant(&world, "demo", &serde_json::to_value(rules(&config())).unwrap()).await;
    let own = client(&world.stand_in.kubeconfig_for("pop", "demo")).await;
    let both = config()
        .child(KindConfig::namespaced("v1", "Secret", "secrets"), Strategy::Replace)
        .child(KindConfig::namespaced("y.dev/v1", "Missing", "missings"), Strategy::Replace);
    let handler = |request: &SyncRequest| {
        let mut response = crate::world::answer(request)?;
        response.add_child(
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "pop"}}),
        )?;
        Ok(response)
    };
    let operator = Running::start(&own, both, handler, Settings::default()).await;
    world.create_site("a", 1).await;
    world.settled("a", 1).await;
    let asked = world.stand_in.requests();
    assert!(asked.iter().any(|request| request.resource == "secrets" && request.status == Some(403)));
    assert!(!asked.iter().any(|request| request.resource == "secrets" && request.verb == "create"));
    let right = json!([{"apiGroups": [""], "resources": ["secrets"], "verbs": ["list", "watch", "create", "update"]}]);
    grant(&world, "secrets", &right).await;
    let secrets: Api<Secret> = Api::namespaced(world.client.clone(), "pop");
    crate::world::until(&secrets, "s", |secret| !secret.is_null()).await;
    world.settled("a", 2).await;
    operator.stop().await;
}
