//! Requests to the API server, with a time limit and exact JSON objects.

use crate::metrics::Metrics;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use kube::Client;
use kube::core::params::{ListParams, WatchParams};
use kube::core::{Request, WatchEvent};
use pop_operator::KindConfig;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// A request that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action}: {problem}")]
pub(crate) struct ApiError {
    /// Verb and object, for messages.
    action: String,
    problem: Problem,
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    #[error("{}", root(.0))]
    Request(Box<kube::Error>),
    #[error("`{0}` cannot be part of a path")]
    Name(String),
}

impl ApiError {
    /// HTTP status of the answer; none without an answer.
    pub(crate) fn code(&self) -> Option<u16> {
        match &self.problem {
            Problem::Request(error) => match &**error {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            Problem::Timeout(_) | Problem::Name(_) => None,
        }
    }
}

/// The words of the API server, or the innermost cause: outer errors only say that the request failed.
fn root(error: &kube::Error) -> String {
    if let kube::Error::Api(status) = error {
        return format!("{} (status {})", status.message, status.code);
    }
    let mut inner: &dyn std::error::Error = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// One page of a list.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) items: Vec<Value>,
    pub(crate) version: String,
    /// Token of the next page; none behind the last one.
    pub(crate) next: Option<String>,
}

/// Which objects of a kind are listed and watched.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    /// The only namespace; none for all.
    pub(crate) namespace: Option<String>,
    /// Label selector; none for all objects.
    pub(crate) selector: Option<String>,
}

/// The API server.
#[derive(Clone)]
pub(crate) struct Api {
    client: Client,
    metrics: Arc<Metrics>,
    timeout: Duration,
}

/// Time limit of a single read.
const READ: Duration = Duration::from_secs(20);
/// The greatest number of objects in one page of a list.
const PAGE: u32 = 500;

impl Api {
    pub(crate) fn new(client: Client, metrics: Arc<Metrics>, timeout: Duration) -> Self {
        Self { client, metrics, timeout }
    }

    /// One page of the objects of a kind.
    pub(crate) async fn list(
        &self,
        kind: &KindConfig,
        scope: &Scope,
        next: Option<String>,
    ) -> Result<Page, ApiError> {
        let Scope { namespace, selector } = scope;
        let params = ListParams {
            limit: Some(PAGE),
            continue_token: next,
            label_selector: selector.clone(),
            ..ListParams::default()
        };
        let request = |path: String| Request::new(path).list(&params).map_err(kube::Error::BuildRequest);
        let mut list = self.send("list", kind, namespace.as_deref(), None, request).await?;
        let text = |key: &str| list["metadata"][key].as_str().unwrap_or_default().to_owned();
        let (version, next) =
            (text("resourceVersion"), Some(text("continue")).filter(|next| !next.is_empty()));
        let Value::Array(mut items) = list["items"].take() else {
            return Ok(Page { items: Vec::new(), version, next });
        };
        for item in &mut items {
            // the items of a list lack their kind
            item["apiVersion"] = kind.api_version.as_str().into();
            item["kind"] = kind.kind.as_str().into();
        }
        Ok(Page { items, version, next })
    }

    /// The changes of a kind after a version. The server ends the stream after this duration.
    pub(crate) async fn watch(
        &self,
        kind: &KindConfig,
        scope: &Scope,
        version: &str,
        duration: Duration,
    ) -> Result<BoxStream<'static, Result<WatchEvent<Value>, ApiError>>, ApiError> {
        let Scope { namespace, selector } = scope;
        let namespace = namespace.as_deref();
        let action = action("watch", kind, namespace, None);
        let failed = |problem| ApiError { action: action.clone(), problem };
        let path = path(kind, namespace, None).map_err(failed)?;
        let seconds = u32::try_from(duration.as_secs()).unwrap_or(290).max(1);
        let params =
            WatchParams { label_selector: selector.clone(), ..WatchParams::default().timeout(seconds) };
        let of_kube = |error| Problem::Request(Box::new(error));
        let request = Request::new(path).watch(&params, version);
        let request = request.map_err(|error| failed(of_kube(kube::Error::BuildRequest(error))))?;
        let started = Instant::now();
        let stream = timeout(self.timeout, self.client.request_events::<Value>(request)).await;
        let stream = match stream {
            Ok(stream) => stream.map_err(|error| failed(of_kube(error))),
            Err(_) => Err(failed(Problem::Timeout(self.timeout))),
        };
        self.metrics.request("watch", started.elapsed(), stream.is_ok());
        let stream = stream?;
        let action = action.clone();
        let failed = move |error| ApiError { action: action.clone(), problem: of_kube(error) };
        Ok(stream.map(move |event| event.map_err(&failed)).boxed())
    }

    /// Reads an object.
    pub(crate) async fn get(
        &self,
        kind: &KindConfig,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Value, ApiError> {
        self.send("get", kind, namespace, Some(name), |path| build("GET", &path, None)).await
    }

    /// Creates an object.
    pub(crate) async fn create(
        &self,
        kind: &KindConfig,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<Value, ApiError> {
        self.send("create", kind, namespace, None, |path| build("POST", &path, Some(object))).await
    }

    /// Replaces an object, its status (`/status`), or only tries to (`?dryRun=All`).
    pub(crate) async fn replace(
        &self,
        kind: &KindConfig,
        namespace: Option<&str>,
        name: &str,
        suffix: &str,
        object: &Value,
    ) -> Result<Value, ApiError> {
        let request = |path| build("PUT", &format!("{path}{suffix}"), Some(object));
        self.send("update", kind, namespace, Some(name), request).await
    }

    /// Changes an object with a merge patch.
    pub(crate) async fn patch(
        &self,
        kind: &KindConfig,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> Result<Value, ApiError> {
        let request = |path: String| build("PATCH", &path, Some(patch));
        self.send("patch", kind, namespace, Some(name), request).await
    }

    /// Deletes the object with this uid.
    pub(crate) async fn delete(
        &self,
        kind: &KindConfig,
        namespace: Option<&str>,
        name: &str,
        uid: &str,
    ) -> Result<Value, ApiError> {
        // the default of old kinds would leave the objects behind that the child owns
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
            "preconditions": { "uid": uid },
        });
        self.send("delete", kind, namespace, Some(name), |path| build("DELETE", &path, Some(&options))).await
    }

    async fn send(
        &self,
        verb: &'static str,
        kind: &KindConfig,
        namespace: Option<&str>,
        name: Option<&str>,
        request: impl FnOnce(String) -> Result<http::Request<Vec<u8>>, kube::Error>,
    ) -> Result<Value, ApiError> {
        let failed = |problem| ApiError { action: action(verb, kind, namespace, name), problem };
        let of_kube = |error| failed(Problem::Request(Box::new(error)));
        let request = request(path(kind, namespace, name).map_err(failed)?).map_err(of_kube)?;
        let started = Instant::now();
        let answer = match timeout(self.timeout, self.client.request::<Value>(request)).await {
            Ok(answer) => answer.map_err(of_kube),
            Err(_) => Err(failed(Problem::Timeout(self.timeout))),
        };
        self.metrics.request(verb, started.elapsed(), answer.is_ok());
        answer
    }
}

/// Reads an object by namespace and name; none if it does not exist.
pub async fn read_object(
    client: &Client,
    kind: &KindConfig,
    namespace: Option<&str>,
    name: &str,
) -> Result<Option<Value>, pop_operator::Error> {
    let api = Api::new(client.clone(), Arc::default(), READ);
    match api.get(kind, namespace, name).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.code() == Some(404) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn build(method: &str, path: &str, body: Option<&Value>) -> Result<http::Request<Vec<u8>>, kube::Error> {
    let format = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let body = body.map(Value::to_string).unwrap_or_default().into_bytes();
    let request = http::Request::builder().method(method).uri(path).header("content-type", format).body(body);
    request.map_err(kube::Error::HttpError)
}

/// Path of an object, or of all objects of a kind.
fn path(kind: &KindConfig, namespace: Option<&str>, name: Option<&str>) -> Result<String, Problem> {
    let is_part =
        |text: &&str| !text.is_empty() && !text.contains(['/', '?', '#', '%', ' ']) && *text != "..";
    if let Some(wrong) = namespace.iter().chain(&name).find(|text| !is_part(text)) {
        return Err(Problem::Name((*wrong).to_owned()));
    }
    let root = if kind.api_version.contains('/') { "apis" } else { "api" };
    let namespace = namespace.filter(|_| kind.is_namespaced);
    let namespace = namespace.map(|namespace| format!("/namespaces/{namespace}")).unwrap_or_default();
    let name = name.map(|name| format!("/{name}")).unwrap_or_default();
    Ok(format!("/{root}/{}{namespace}/{}{name}", kind.api_version, kind.plural))
}

fn action(verb: &str, kind: &KindConfig, namespace: Option<&str>, name: Option<&str>) -> String {
    let kind = kind.group_kind();
    match (namespace, name) {
        (Some(namespace), Some(name)) => format!("{verb} {kind} {namespace}/{name}"),
        (Some(namespace), None) => format!("{verb} {kind} in namespace {namespace}"),
        (None, Some(name)) => format!("{verb} {kind} {name}"),
        (None, None) => format!("{verb} {kind}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_group_scope_and_name() {
        let pods = KindConfig::namespaced("v1", "Pod", "pods");
        let nodes = KindConfig::cluster("x.dev/v1", "Node", "nodes");
        for (kind, namespace, name, expected) in [
            (&pods, None, None, Some("/api/v1/pods")),
            (&pods, Some("n"), Some("a"), Some("/api/v1/namespaces/n/pods/a")),
            (&nodes, Some("n"), Some("a"), Some("/apis/x.dev/v1/nodes/a")),
            (&pods, Some("n/../m"), None, None),
            (&pods, Some("n"), Some(".."), None),
        ] {
            assert_eq!(path(kind, namespace, name).ok().as_deref(), expected);
        }
    }
}
