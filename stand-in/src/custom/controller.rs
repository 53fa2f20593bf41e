//! The controller of CustomResourceDefinitions: establishes new kinds, and deletes the objects of deleted ones.

use super::definition::{CLEANUP, accept_names, establish, set_condition};
use crate::cluster::{Cluster, now};
use crate::deletion::DeleteOptions;
use crate::kind::{DEFINITIONS, Kind, interned};
use crate::store::name_of;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::sleep;

/// Handles definitions after every change. Runs forever.
pub(crate) async fn run(cluster: Arc<Cluster>) {
    let mut changes = cluster.changes();
    loop {
        changes.borrow_and_update();
        let definitions = cluster.store().list(&DEFINITIONS, None);
        let is_deleted = |definition: &Value| definition["metadata"]["deletionTimestamp"].is_string();
        for definition in definitions.iter().filter(|definition| is_deleted(definition)) {
            clean_up(&cluster, &name_of(definition).1, definition);
        }
        let is_new =
            |definition: &Value| !is_deleted(definition) && definition["status"]["conditions"].is_null();
        let new: Vec<_> = definitions.iter().filter(|definition| is_new(definition)).collect();
        if !new.is_empty() {
            sleep(cluster.config.establish_after).await;
        }
        for definition in new {
            establish_kind(&cluster, &name_of(definition).1);
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Establishes the kind of a new definition.
pub(crate) fn establish_kind(cluster: &Cluster, name: &str) {
    let kinds = cluster.served().kinds.clone();
    let steps: [&dyn Fn(&mut Value); 2] =
        [&|definition| accept_names(definition, &kinds, &now()), &|definition| establish(definition, &now())];
    for step in steps {
        change(cluster, name, "status", step);
    }
}

/// Deletes the objects of a definition, then releases the definition.
fn clean_up(cluster: &Cluster, name: &str, definition: &Value) {
    let (group, plural) = (&definition["spec"]["group"], &definition["spec"]["names"]["plural"]);
    let of = |text: &Value| interned(text.as_str().unwrap_or_default());
    // the version does not matter to the store
    let kind = Kind::new(of(group), "", of(plural), "");
    let progress = ("InstanceDeletionInProgress", "CustomResource deletion is in progress");
    change(cluster, name, "status", &|it| set_condition(it, "Terminating", "True", progress, &now()));
    let objects = cluster.store().list(&kind, None);
    for object in objects.iter().filter(|object| object["metadata"]["deletionTimestamp"].is_null()) {
        let (namespace, name) = name_of(object);
        // an object that is gone meanwhile counts as deleted
        cluster.delete(&kind, (&namespace, &name), &DeleteOptions::default()).ok();
    }
    if cluster.store().list(&kind, None).is_empty() {
        let done = ("InstanceDeletionCompleted", "removed all instances");
        change(cluster, name, "status", &|it| set_condition(it, "Terminating", "False", done, &now()));
        change(cluster, name, "", &|definition| {
            if let Some(finalizers) = definition["metadata"]["finalizers"].as_array_mut() {
                finalizers.retain(|finalizer| finalizer != CLEANUP);
            }
        });
    }
}

fn change(cluster: &Cluster, name: &str, subresource: &str, change: &dyn Fn(&mut Value)) {
    let changed = cluster.change(&DEFINITIONS, ("", name), subresource, false, |old| {
        let mut new = old.clone();
        change(&mut new);
        Ok(new)
    });
    // the definition may be deleted meanwhile
    changed.ok();
}
