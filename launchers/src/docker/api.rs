//! The requests of the Engine's API that the launcher needs. The code reads answers as untyped JSON, so that values
//! added by newer Engines break nothing.

use super::connection::Connector;
use super::container::{Container, WaitAnswer};
use super::error::ApiError;
use super::output_stream::OutputStream;
use crate::port::Doing;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::time::timeout;

/// Time limit of an answer.
const CALL: Duration = Duration::from_mins(1);
/// Newest API version that the requests are known to fit.
const NEWEST: (u32, u32) = (1, 51);
/// Version of an Engine that does not report its own.
const OLDEST: (u32, u32) = (1, 24);
/// Longest answer in bytes, except output.
const LONGEST_ANSWER: usize = 64 * 1024 * 1024;

/// The API of one Engine.
#[derive(Clone)]
pub(super) struct Api {
    connector: Connector,
    version: String,
    /// Whether the Engine is Podman, which uses other values and statuses.
    pub(super) is_podman: bool,
}

/// A streamed answer: one JSON value per line.
pub(super) struct JsonLines {
    body: Incoming,
    buffer: Vec<u8>,
}

impl Api {
    /// Connects to the Engine and negotiates a version; `version` is the value of `DOCKER_API_VERSION`.
    pub(super) async fn reach(connector: Connector, version: Option<&str>) -> Result<Self, ApiError> {
        let mut api = Self { connector, version: String::new(), is_podman: false };
        let answer = api.call(Method::GET, "/_ping", None, None).await?;
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        api.is_podman = header("libpod-api-version").is_some();
        let known = header("api-version").and_then(|text| {
            let (major, minor) = text.split_once('.')?;
            Some((major.parse().ok()?, minor.parse().ok()?))
        });
        let (major, minor) = known.unwrap_or(OLDEST).min(NEWEST);
        let version = version.map_or_else(|| format!("{major}.{minor}"), str::to_owned);
        api.version = format!("/v{}", version.trim_start_matches('v'));
        Ok(api)
    }

    /// The Engine's description of itself.
    pub(super) async fn info(&self) -> Result<Value, ApiError> {
        self.json(Method::GET, "/info", None).await
    }

    /// Creates a container; returns the Engine's description of it, with its id alone.
    pub(super) async fn create(&self, name: &str, body: &Value) -> Result<Container, ApiError> {
        self.json(Method::POST, &format!("/containers/create?name={name}"), Some(body)).await.map(Container)
    }

    /// Starts a container; has no effect on a running one.
    pub(super) async fn start(&self, name: &str) -> Result<(), ApiError> {
        self.json(Method::POST, &format!("/containers/{name}/start"), None).await.map(drop)
    }

    /// The current state of a container; `None` if it does not exist.
    pub(super) async fn inspect(&self, name: &str) -> Result<Option<Container>, ApiError> {
        match self.json(Method::GET, &format!("/containers/{name}/json"), None).await {
            Ok(found) => Ok(Some(Container(found))),
            Err(ApiError::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names and labels of all containers with a label.
    pub(super) async fn list(&self, label: &str) -> Result<Vec<Container>, ApiError> {
        let filters = encoded(&serde_json::json!({"label": [label]}).to_string());
        let found =
            self.json(Method::GET, &format!("/containers/json?all=true&filters={filters}"), None).await?;
        Ok(found.as_array().map(|all| all.iter().cloned().map(Container).collect()).unwrap_or_default())
    }

    /// Signals a container.
    pub(super) async fn kill(&self, name: &str, signal: &str) -> Result<(), ApiError> {
        self.json(Method::POST, &format!("/containers/{name}/kill?signal={signal}"), None).await.map(drop)
    }

    /// Removes a container with its anonymous volumes, even if it runs.
    pub(super) async fn remove(&self, name: &str) -> Result<(), ApiError> {
        self.delete(name, "force=true&v=true").await
    }

    /// Removes a container with its anonymous volumes, unless it runs.
    pub(super) async fn remove_ended(&self, name: &str) -> Result<(), ApiError> {
        self.delete(name, "v=true").await
    }

    async fn delete(&self, name: &str, options: &str) -> Result<(), ApiError> {
        match self.json(Method::DELETE, &format!("/containers/{name}?{options}"), None).await {
            Ok(_) | Err(ApiError::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits without a time limit until a container is `not-running` or `removed`.
    pub(super) fn wait(&self, name: &str, condition: &str) -> Doing<'static, Result<WaitAnswer, ApiError>> {
        let (api, path) = (self.clone(), format!("/containers/{name}/wait?condition={condition}"));
        Box::pin(async move {
            let answer = api.versioned(Method::POST, &path, None).await?;
            let bytes = whole(answer.into_body(), LONGEST_ANSWER).await?;
            WaitAnswer::read(&bytes).ok_or_else(|| ApiError::Away("an answer without a status".to_owned()))
        })
    }

    /// The output of a container that has not been started yet, as a stream.
    pub(super) async fn attach(&self, name: &str) -> Result<OutputStream, ApiError> {
        let path = format!("{}/containers/{name}/attach?stream=true&stdout=true&stderr=true", self.version);
        let answer = within(CALL, self.call(Method::POST, &path, None, Some(("upgrade", "tcp")))).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(OutputStream::of_body(answer.into_body()));
        }
        let upgraded = hyper::upgrade::on(answer).await.map_err(|error| ApiError::away(&error))?;
        Ok(OutputStream::of_connection(upgraded))
    }

    /// The Engine's log of a container, from its beginning or only the last lines.
    pub(super) fn logs(&self, name: &str, follow: bool, lines: Option<usize>) -> OutputStream {
        let lines = lines.map(|lines| format!("&tail={lines}")).unwrap_or_default();
        let path = format!("/containers/{name}/logs?stdout=true&stderr=true&follow={follow}{lines}");
        let api = self.clone();
        // an Engine may answer only when the first line exists
        OutputStream::opening(Box::pin(async move {
            Ok(api.versioned(Method::GET, &path, None).await?.into_body())
        }))
    }

    /// Events of a container since a time of the Engine's clock, in seconds.
    pub(super) async fn events(&self, name: &str, since: u64) -> Result<JsonLines, ApiError> {
        let filters = serde_json::json!({"container": [name], "type": ["container"]}).to_string();
        let path = format!("/events?since={since}&filters={}", encoded(&filters));
        let answer = self.versioned(Method::GET, &path, None).await?;
        Ok(JsonLines { body: answer.into_body(), buffer: Vec::new() })
    }

    /// Starts to pull an image; the pull continues while the lines are read.
    pub(super) async fn pull(&self, image: &str, authority: Option<String>) -> Result<JsonLines, ApiError> {
        // a name without a tag means `latest`; otherwise the Engine would pull every tag
        let name = image.rsplit('/').next().unwrap_or(image);
        let tag = if name.contains([':', '@']) { "" } else { "latest" };
        let path = format!("{}/images/create?fromImage={}&tag={tag}", self.version, encoded(image));
        let header = authority.as_deref().map(|text| ("x-registry-auth", text));
        let answer = self.call(Method::POST, &path, None, header).await?;
        Ok(JsonLines { body: answer.into_body(), buffer: Vec::new() })
    }

    /// A request whose answer is one JSON value or empty.
    async fn json(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, ApiError> {
        within(CALL, async {
            let answer = self.versioned(method, path, body).await?;
            let bytes = whole(answer.into_body(), LONGEST_ANSWER).await?;
            if bytes.is_empty() {
                return Ok(Value::Null);
            }
            serde_json::from_slice(&bytes).map_err(|error| ApiError::away(&error))
        })
        .await
    }

    async fn versioned(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Response<Incoming>, ApiError> {
        self.call(method, &format!("{}{path}", self.version), body, None).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        header: Option<(&str, &str)>,
    ) -> Result<Response<Incoming>, ApiError> {
        let mut request = Request::builder().method(method).uri(path).header("host", "docker");
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        if let Some((name, value)) = header {
            request = request.header(name, value);
            if name == "upgrade" {
                request = request.header("connection", "upgrade");
            }
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(body))).map_err(|error| ApiError::away(&error))?;
        let mut sender = self.connector.open().await?;
        let answer = sender.send_request(request).await.map_err(|error| ApiError::away(&error))?;
        let status = answer.status().as_u16();
        if status < 400 {
            return Ok(answer);
        }
        let bytes = whole(answer.into_body(), LONGEST_ANSWER).await.unwrap_or_default();
        let said: Option<Value> = serde_json::from_slice(&bytes).ok();
        let message = said.as_ref().and_then(|said| said["message"].as_str()).map(str::to_owned);
        let message = message.unwrap_or_else(|| String::from_utf8_lossy(&bytes).trim().to_owned());
        Err(ApiError::Refused { status, message })
    }
}

impl JsonLines {
    /// The next value; `None` at the end. A cancelled call loses nothing.
    pub(super) async fn next(&mut self) -> Result<Option<Value>, ApiError> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer) {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return serde_json::from_slice(&line).map(Some).map_err(|error| ApiError::away(&error));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => self.buffer.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Some(Err(error)) => return Err(ApiError::away(&error)),
                None if self.buffer.trim_ascii().is_empty() => return Ok(None),
                None => self.buffer.push(b'\n'),
            }
            if self.buffer.len() > LONGEST_ANSWER {
                return Err(ApiError::Away("an endless line".to_owned()));
            }
        }
    }
}

/// Runs a request to the Engine with a time limit.
async fn within<T>(limit: Duration, doing: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
    timeout(limit, doing).await.unwrap_or(Err(ApiError::Late))
}

/// The whole body of an answer.
async fn whole(mut body: Incoming, limit: usize) -> Result<Vec<u8>, ApiError> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiError::away(&error))?;
        bytes.extend_from_slice(&frame.into_data().unwrap_or_default());
        if bytes.len() > limit {
            return Err(ApiError::Away(format!("an answer longer than {limit} bytes")));
        }
    }
    Ok(bytes)
}

/// Percent-encodes a string for a query.
fn encoded(text: &str) -> String {
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    encoded.collect()
}
