//! Lists and watches of objects.

use crate::body::{Body, stream};
use crate::cluster::Cluster;
use crate::failure::Failure;
use crate::kind::Kind;
use crate::representation::{presented, stored_kind};
use crate::selector::Selector;
use crate::store::{Change, Event, name_of};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hyper::body::Bytes;
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// The query of a request, by parameter name.
pub(crate) type Query = HashMap<String, String>;

/// The kind of the list options in error messages.
const LIST_OPTIONS: Kind = Kind::new("meta.k8s.io", "", "", "ListOptions");
/// Duration of a watch without `timeoutSeconds`.
const USUAL_TIMEOUT: Duration = Duration::from_mins(45);

fn text<'q>(query: &'q Query, name: &str) -> &'q str {
    query.get(name).map(String::as_str).unwrap_or_default()
}

pub(crate) fn is_true(query: &Query, name: &str) -> bool {
    matches!(text(query, name), "true" | "1")
}

fn version(query: &Query) -> Result<u64, Failure> {
    let value = text(query, "resourceVersion");
    if value.is_empty() {
        return Ok(0);
    }
    let bad = |_| {
        Failure::bad_request(format!(
            "resourceVersion: Invalid value: {value:?}: strconv.ParseUint: invalid syntax"
        ))
    };
    value.parse().map_err(bad)
}

pub(crate) fn selector(query: &Query) -> Result<Selector, Failure> {
    Selector::parse(text(query, "labelSelector"), text(query, "fieldSelector"))
}

/// Lists objects, in pages if `limit` is set.
pub(crate) fn list(
    cluster: &Cluster,
    kind: &Kind,
    namespace: Option<&str>,
    query: &Query,
) -> Result<Value, Failure> {
    let selector = selector(query)?;
    let store = cluster.store();
    let requested = version(query)?;
    let limit = text(query, "limit").parse().unwrap_or(0_usize);
    let mut from = None;
    let mut at = store.version();
    if requested > at {
        return Err(Failure::too_large_version(requested, at));
    }
    if text(query, "resourceVersionMatch") == "Exact" {
        at = requested;
    }
    let token = text(query, "continue");
    if !token.is_empty() {
        let bad = || Failure::bad_request("continue key is not valid: illegal base64 data");
        let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
        let (version, namespace, name): (u64, String, String) =
            serde_json::from_slice(&bytes).map_err(|_| bad())?;
        at = version;
        from = Some((namespace, name));
    }
    let all = store.list_at(&stored_kind(kind), namespace, at).map_err(|oldest| {
        if token.is_empty() {
            return Failure::too_old(at, oldest.0);
        }
        let why = "The provided continue parameter is too old to display a consistent list result. You can start a \
                   new list without the continue parameter.";
        Failure::expired(why.to_owned())
    })?;
    drop(store);
    let after = |object: &&Arc<Value>| from.as_ref().is_none_or(|last| name_of(object) > *last);
    let found: Vec<_> = all.iter().filter(after).filter(|object| selector.is_match(object)).collect();
    let page = if limit == 0 { found.len() } else { limit.min(found.len()) };
    let mut metadata = json!({"resourceVersion": at.to_string()});
    if page < found.len() {
        let (namespace, name) = name_of(found[page - 1]);
        metadata["continue"] = URL_SAFE_NO_PAD.encode(json!([at, namespace, name]).to_string()).into();
        metadata["remainingItemCount"] = (found.len() - page).into();
    }
    let items: Vec<_> = found[..page].iter().map(|object| presented(kind, object)).collect();
    Ok(json!({
        "kind": format!("{}List", kind.kind), "apiVersion": kind.api_version(), "metadata": metadata, "items": items,
    }))
}

/// Streams changes of objects until the watch times out or the client disconnects.
pub(crate) fn watch(
    cluster: &Arc<Cluster>,
    kind: &Kind,
    namespace: Option<&str>,
    query: &Query,
) -> Result<Body, Failure> {
    let requested = version(query)?;
    let wants_initial = is_true(query, "sendInitialEvents");
    if query.contains_key("sendInitialEvents") && !cluster.config.has_streaming_lists {
        let why = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch unless the WatchList feature \
                   gate is enabled";
        let cause =
            crate::failure::Cause::new("sendInitialEvents", "FieldValueForbidden", why[19..].to_owned());
        return Err(Failure::invalid(&LIST_OPTIONS, "", &[cause]));
    }
    if wants_initial && text(query, "resourceVersionMatch") != "NotOlderThan" {
        let why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        let cause = crate::failure::Cause::new("resourceVersionMatch", "FieldValueForbidden", why.to_owned());
        return Err(Failure::invalid(&LIST_OPTIONS, "", &[cause]));
    }
    let seconds = text(query, "timeoutSeconds").parse().ok().filter(|seconds| *seconds > 0_u64);
    let (pieces, body) = mpsc::channel(64);
    let watcher = Watcher {
        cluster: Arc::clone(cluster),
        kind: *kind,
        namespace: namespace.map(str::to_owned),
        selector: selector(query)?,
        pieces,
        has_bookmarks: is_true(query, "allowWatchBookmarks"),
        ends: Instant::now() + seconds.map_or(USUAL_TIMEOUT, Duration::from_secs),
    };
    tokio::spawn(watcher.run(requested, wants_initial));
    Ok(stream(body))
}

struct Watcher {
    cluster: Arc<Cluster>,
    kind: Kind,
    namespace: Option<String>,
    selector: Selector,
    pieces: mpsc::Sender<Bytes>,
    has_bookmarks: bool,
    ends: Instant,
}

impl Watcher {
    async fn run(self, requested: u64, wants_initial: bool) {
        let mut changes = self.cluster.changes();
        let mut position = requested;
        if requested == 0 || wants_initial {
            let (found, version) = {
                let store = self.cluster.store();
                (store.list(&stored_kind(&self.kind), self.namespace.as_deref()), store.version())
            };
            position = version;
            for object in found.iter().filter(|object| self.selector.is_match(object)) {
                if self.send("ADDED", object).await.is_none() {
                    return;
                }
            }
            if wants_initial && self.has_bookmarks && self.bookmark(position, true).await.is_none() {
                return;
            }
        }
        let every = self.cluster.config.bookmark_every;
        let mut bookmark = Instant::now() + every;
        loop {
            changes.borrow_and_update();
            let (events, version) = {
                let store = self.cluster.store();
                (store.since(&stored_kind(&self.kind), position), store.version())
            };
            let events = match events {
                Ok(events) => events,
                Err(oldest) => {
                    let failure = Failure::too_old(position, oldest.0);
                    self.send("ERROR", &failure.status()).await;
                    return;
                }
            };
            for event in &events {
                if let Some((event_type, object)) = self.watch_event(event)
                    && self.send(event_type, &object).await.is_none()
                {
                    return;
                }
            }
            if !self.cluster.served().has(&self.kind) {
                // the definition of the kind is gone
                return;
            }
            position = position.max(version);
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = sleep_until(bookmark), if self.has_bookmarks => {
                    bookmark = Instant::now() + every;
                    if self.bookmark(position, false).await.is_none() {
                        return;
                    }
                }
                () = sleep_until(self.ends) => {
                    if self.has_bookmarks {
                        self.bookmark(position, false).await;
                    }
                    return;
                }
                () = self.pieces.closed() => return,
            }
        }
    }

    /// The watch event of a change, for a client that sees only selected objects.
    fn watch_event<'e>(&self, event: &'e Event) -> Option<(&'static str, Cow<'e, Value>)> {
        if self.namespace.as_deref().is_some_and(|namespace| name_of(&event.object).0 != namespace) {
            return None;
        }
        let was = event.before.as_ref().is_some_and(|before| self.selector.is_match(before));
        let is = event.change != Change::Deleted && self.selector.is_match(&event.object);
        match (was, is) {
            (false, true) => Some(("ADDED", Cow::Borrowed(&event.object))),
            (true, true) => Some(("MODIFIED", Cow::Borrowed(&event.object))),
            // the client last saw the object before the change
            (true, false) => {
                let mut last = Value::clone(event.before.as_ref().unwrap_or(&event.object));
                last["metadata"]["resourceVersion"] = event.version.to_string().into();
                Some(("DELETED", Cow::Owned(last)))
            }
            (false, false) => None,
        }
    }

    async fn bookmark(&self, version: u64, ends_initial: bool) -> Option<()> {
        let mut metadata = json!({"resourceVersion": version.to_string(), "creationTimestamp": null});
        if ends_initial {
            metadata["annotations"] = json!({"k8s.io/initial-events-end": "true"});
        }
        let mut object =
            json!({"kind": self.kind.kind, "apiVersion": self.kind.api_version(), "metadata": metadata});
        if self.kind == crate::kind::PODS {
            // typed clients read bookmarks as objects, so they look like empty ones
            object["spec"] = json!({"containers": null});
            object["status"] = json!({});
        }
        self.send("BOOKMARK", &object).await
    }

    async fn send(&self, event_type: &str, object: &Value) -> Option<()> {
        let object = presented(&self.kind, object);
        let line = format!("{}\n", json!({"type": event_type, "object": object}));
        self.pieces.send(line.into()).await.ok()
    }
}
