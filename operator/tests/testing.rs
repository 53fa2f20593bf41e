//! The test kit.

use pop_operator::testing::{NotSettled, World};
use pop_operator::{
    Error, FinalizeResponse, Handler, KindConfig, OperatorConfig, Strategy, SyncRequest, SyncResponse,
};
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn world() -> World {
    let config = OperatorConfig::new("demo", KindConfig::namespaced("x.dev/v1", "Site", "sites"))
        .child(KindConfig::namespaced("v1", "ConfigMap", "configmaps"), Strategy::Replace);
    World::new(config)
}

/// A ConfigMap of a fixed name with this text.
fn response(request: &SyncRequest, name: &str, text: &str) -> Result<SyncResponse, Error> {
    let mut response = SyncResponse::from_status(json!({"children": request.children.len()}))?;
    response.add_child(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"text": text},
        "metadata": {"name": name, "namespace": request.parent_namespace()},
    }))?;
    Ok(response)
}

#[test]
fn o20_o30_handler_that_never_settles_is_told_with_what_it_writes() {
    let calls = AtomicU32::new(0);
    let sync = move |request: &SyncRequest| {
        response(request, "clock", &calls.fetch_add(1, Ordering::Relaxed).to_string())
    };
    let mut world = world();
    world.create_parent("a", &json!({}));
    let error = world.settle(&sync).unwrap_err();
    assert!(
        error.to_string().starts_with("`a` never settles: each pass writes ConfigMap test/clock (replaced)"),
        "{error}"
    );
}

#[test]
fn o30_parents_children_and_errors_are_shown() {
    let sync = |request: &SyncRequest| {
        let text = request.parent["spec"]["text"].as_str().ok_or("`text` is missing")?;
        response(request, request.parent_name(), text)
    };
    let mut world = world();
    world.create_parent("a", &json!({}));
    let failed = world.settle(&sync).unwrap_err();
    assert!(matches!(&failed, NotSettled::Failed { parent, .. } if parent == "a"), "{failed}");
    assert_eq!((world.errors("a"), world.errors("b")), (1, 0));
    assert!(world.child("ConfigMap", "a").is_none());
    world.edit_parent("a", &json!({"text": "x"}));
    world.settle(&sync).unwrap();
    assert_eq!(world.child("ConfigMap", "a").unwrap()["data"]["text"], "x");
    assert_eq!(world.parent("a").unwrap()["status"], json!({"children": 1, "observedGeneration": 2}));
    world.delete_child("ConfigMap", "a");
    assert!(world.child("ConfigMap", "a").is_none());
    world.settle(&sync).unwrap();
    assert!(world.child("ConfigMap", "a").is_some());
    world.delete_parent("a");
    world.settle(&sync).unwrap();
    assert!(world.parent("a").is_none() && world.child("ConfigMap", "a").is_none());
}

#[test]
fn o21_o30_name_of_another_parent_fails_the_second() {
    let sync = |request: &SyncRequest| response(request, "same", request.parent_name());
    let mut world = world();
    world.create_parent("a", &json!({}));
    world.settle(&sync).unwrap();
    world.create_parent("b", &json!({}));
    let error = world.settle(&sync).unwrap_err();
    assert!(error.to_string().contains("the sync of `b` failed"), "{error}");
    assert_eq!(world.child("ConfigMap", "same").unwrap()["data"]["text"], "a");
}

#[test]
fn o30_finalize_is_called_until_it_is_done() {
    struct Slow(AtomicU32);
    impl Handler for Slow {
        fn sync(&self, request: &SyncRequest) -> Result<SyncResponse, Error> {
            response(request, "m", "x")
        }
        fn finalize(&self, _: &SyncRequest) -> Result<FinalizeResponse, Error> {
            let is_done = self.0.fetch_add(1, Ordering::Relaxed) == 3;
            Ok(if is_done {
                FinalizeResponse::done()
            } else {
                FinalizeResponse::retry(Duration::from_secs(9))
            })
        }
    }
    let (mut world, handler) = (world(), Slow(AtomicU32::new(0)));
    world.create_parent("a", &json!({}));
    world.settle(&handler).unwrap();
    world.delete_parent("a");
    world.settle(&handler).unwrap();
    assert!(world.parent("a").is_none());
    assert_eq!(handler.0.load(Ordering::Relaxed), 4);
}
