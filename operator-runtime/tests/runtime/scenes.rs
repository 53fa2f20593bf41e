//! The requests of an operator in typical scenes, one after another. docs/operator.md compares them with roperator's.

use crate::world::{HANG, Running, World, config};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use pop_operator::{Error, SyncRequest, SyncResponse};
use pop_operator_runtime::Settings;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

/// What the spec of a site says: status and children.
#[expect(clippy::unnecessary_wraps, reason = "it is a handler")]
fn echo(request: &SyncRequest) -> Result<SyncResponse, Error> {
    let spec = &request.parent["spec"];
    Ok(SyncResponse {
        status: spec["status"].clone(),
        children: spec["children"].as_array().cloned().unwrap_or_default(),
        ..SyncResponse::default()
    })
}

fn map(name: &str, text: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "pop"}, "data": {"text": text}})
}

fn spec(children: &[Value]) -> Value {
    json!({"status": {"phase": "on"}, "children": children})
}

/// A world with an operator, and the writes since the last scene.
struct Stage {
    world: World,
    seen: usize,
}

impl Stage {
    async fn create(&self, name: &str, spec: Value) {
        let site =
            json!({"apiVersion": "x.dev/v1", "kind": "Site", "metadata": {"name": name}, "spec": spec});
        let site = serde_json::from_value(site).unwrap();
        self.world.sites.create(&PostParams::default(), &site).await.unwrap();
    }

    async fn set(&self, name: &str, spec: &Value) {
        // a merge keeps fields, and the children are one field
        let patch = Patch::Merge(json!({ "spec": spec }));
        self.world.sites.patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Waits for these writes of the operator, in this order.
    async fn sends(&mut self, scene: &str, expected: &[&str]) {
        let own = |stage: &Self| {
            let requests = stage.world.stand_in.requests();
            let is_own = |request: &&pop_stand_in::Request| {
                !matches!(request.verb.as_str(), "list" | "watch") && !request.path.contains("/events")
            };
            requests.iter().filter(is_own).map(words).collect::<Vec<_>>()
        };
        let waited = timeout(HANG, async {
            // the log of requests has no events
            while own(self).len() < self.seen + expected.len() {
                sleep(std::time::Duration::from_millis(10)).await;
            }
        });
        let is_done = waited.await.is_ok();
        let sent = own(self)[self.seen..].to_vec();
        assert!(is_done && sent == expected, "{scene}: {sent:#?} instead of {expected:#?}");
        self.seen += expected.len();
    }
}

fn words(request: &pop_stand_in::Request) -> String {
    let status = request.status.filter(|status| *status >= 400);
    let status = status.map(|status| format!(" {status}")).unwrap_or_default();
    let words = [&request.verb, &request.resource, &request.subresource, &request.name].map(String::as_str);
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ") + &status
}

#[tokio::test]
async fn o2_o5_o6_o9_o14_o15_scenes_send_these_requests() {
    let world = World::start().await;
    let operator = Running::start(&world.client, config(), echo, Settings::default()).await;
    let mut stage = Stage { world, seen: 0 };
    let (params, delete) = (PatchParams::default(), DeleteParams::default());

    stage.create("a", spec(&[map("m1", "x"), map("m2", "x")])).await;
    let first =
        ["create sites", "patch sites a", "create configmaps", "create configmaps", "update sites status a"];
    stage.sends("first sight of a parent", &first).await;

    stage.world.edit_map("m1", &json!({"data": {"text": "spoilt"}})).await;
    stage
        .sends("a child's field is changed by others", &["patch configmaps m1", "update configmaps m1"])
        .await;

    stage
        .world
        .edit_map("m1", &json!({"data": {"theirs": "y"}, "metadata": {"labels": {"theirs": "y"}}}))
        .await;
    stage.sends("a field and a label are added by others", &["patch configmaps m1"]).await;

    stage.world.maps.delete("m2", &delete).await.unwrap();
    stage.sends("a child is deleted by others", &["delete configmaps m2", "create configmaps"]).await;

    stage.set("a", &spec(&[map("m1", "new"), map("m2", "x")])).await;
    let changed = ["patch sites a", "update configmaps m1", "update sites status a"];
    stage.sends("the spec is changed", &changed).await;
    let kept = stage.world.map("m1", |map| map["data"]["text"] == "new").await;
    assert_eq!((&kept["data"]["theirs"], &kept["metadata"]["labels"]["theirs"]), (&json!("y"), &json!("y")));

    stage.set("a", &spec(&[map("m1", "new")])).await;
    let dropped = ["patch sites a", "delete configmaps m2", "update sites status a"];
    stage.sends("a child is no longer in the response", &dropped).await;

    let minimal =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m1", "namespace": "pop"}});
    stage.set("a", &spec(&[minimal])).await;
    stage.sends("a child is only named", &["patch sites a", "update sites status a"]).await;

    let elsewhere =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m3", "namespace": "other"}});
    stage.set("a", &spec(&[map("m1", "z"), elsewhere])).await;
    stage.sends("a child is in another namespace", &["patch sites a"]).await;

    stage.set("a", &json!({"status": null, "children": [map("m1", "new")]})).await;
    stage.sends("the status is null", &["patch sites a"]).await;

    stage.create("b", json!({"status": null, "children": [map("m1", "b")]})).await;
    let taken = ["create sites", "patch sites b", "create configmaps 409", "get configmaps m1"];
    stage.sends("two parents want one name", &taken).await;
    stage.world.sites.delete("b", &delete).await.unwrap();
    stage.sends("the second is deleted", &["delete sites b", "patch sites b"]).await;

    let removed = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    stage.world.sites.patch("a", &params, &removed).await.unwrap();
    stage.sends("the finalizer is taken away", &["patch sites a", "patch sites a"]).await;

    stage.world.sites.delete("a", &delete).await.unwrap();
    stage.sends("the parent is deleted", &["delete sites a", "patch sites a"]).await;
    // nothing more was under way
    operator.stop().await;
    stage.sends("the end", &[]).await;
}
