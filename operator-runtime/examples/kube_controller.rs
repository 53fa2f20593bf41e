//! The work of the example `pairs` with the `Controller` of kube, as its own examples use it; the yardstick of
//! `bench/operator`.

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ApiResource, DynamicObject, Patch, PatchParams};
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::watcher;
use kube::{Client, ResourceExt as _};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

struct Context {
    client: Client,
    kind: ApiResource,
}

async fn reconcile(site: Arc<DynamicObject>, context: Arc<Context>) -> Result<Action, kube::Error> {
    let namespace = site.namespace().unwrap_or_default();
    let (client, name) = (context.client.clone(), site.name_any());
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), &namespace);
    let sites: Api<DynamicObject> = Api::namespaced_with(client, &namespace, &context.kind);
    let params = PatchParams::apply("pairs").force();
    let owner = json!({
        "apiVersion": "x.dev/v1", "kind": "Site", "name": name, "uid": site.uid(), "controller": true,
    });
    for side in ["left", "right"] {
        let child = format!("{name}-{side}");
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": {"side": side},
            "metadata": {"name": child, "ownerReferences": [owner]},
        });
        maps.patch(&child, &params, &Patch::Apply(map)).await?;
    }
    let status = json!({"apiVersion": "x.dev/v1", "kind": "Site", "status": {"children": 2}});
    sites.patch_status(&name, &params, &Patch::Apply(status)).await?;
    Ok(Action::await_change())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client = Client::try_default().await?;
    let kind = ApiResource::from_gvk(&kube::core::GroupVersionKind::gvk("x.dev", "v1", "Site"));
    let sites: Api<DynamicObject> = Api::all_with(client.clone(), &kind);
    let maps: Api<ConfigMap> = Api::all(client.clone());
    let context = Arc::new(Context { client, kind: kind.clone() });
    Controller::new_with(sites, watcher::Config::default(), kind)
        .owns(maps, watcher::Config::default())
        .with_config(Config::default().concurrency(16))
        .shutdown_on_signal()
        .run(reconcile, |_, _: &kube::Error, _| Action::requeue(Duration::from_secs(1)), context)
        .for_each(|_| async {})
        .await;
    Ok(())
}
