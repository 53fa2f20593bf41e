//! Requests to the agenda service.

use crate::pulled::{Lease, PulledAgenda, read_pulled};
use http::Request;
use http::header::CONTENT_TYPE;
use kube::client::Body;
use kube::{Client, Config};
use serde_json::{Value, json};
use std::time::Duration;

/// Time beyond the wait of a request until its answer must be there.
const ANSWER: Duration = Duration::from_secs(20);
/// Bytes of an answer that are read at most.
const LONGEST_ANSWER: usize = 256 * 1024 * 1024;

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The address is wrong, or no connection can be made.
    #[error("cannot reach the agenda service at {address}: {reason}")]
    Unreachable {
        /// Address of the service.
        address: String,
        /// Reason.
        reason: String,
    },
    /// The service refused the request.
    #[error("the agenda service refused {what}: {status} {detail}")]
    Refused {
        /// The subject of the request.
        what: &'static str,
        /// HTTP status, or the code in the error of a service that answers with 200.
        status: u16,
        /// Words of the service.
        detail: String,
    },
    /// The answer has another form.
    #[error("the agenda service gave an unusable answer to {what}: {reason}")]
    Answer {
        /// The subject of the request.
        what: &'static str,
        /// Reason.
        reason: String,
    },
}

impl ClientError {
    /// Whether the service says that the lease has ended.
    pub fn is_lease_lost(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 410, .. })
    }
}

/// A client of the agenda service.
#[derive(Clone)]
pub struct ServiceClient {
    client: Client,
    address: String,
}

impl ServiceClient {
    /// A client for the address of the resource pool service, such as `http://host:7070/pop/resourcepool/service`.
    pub fn new(address: &str, token: Option<&str>) -> Result<Self, ClientError> {
        let failed = |reason: String| ClientError::Unreachable { address: address.to_owned(), reason };
        let address_only = address.trim().trim_end_matches('/');
        let uri: http::Uri = address_only.parse().map_err(|error| failed(format!("{error}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(failed("it must begin with http:// or https://".to_owned()));
        }
        let mut config = plain_config(uri);
        // the wait of a request is longer than any pause within an answer
        config.read_timeout = None;
        config.auth_info.token = token.map(|token| token.to_owned().into());
        let client = Client::try_from(config).map_err(|error| failed(error.to_string()))?;
        Ok(Self { client, address: address_only.to_owned() })
    }

    /// Address of the service.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Asks for agendas, and waits so long for the first.
    pub async fn pull(
        &self,
        insight: &str,
        count: u32,
        wait: Duration,
        puller: &str,
        lease: Duration,
    ) -> Result<Vec<PulledAgenda>, ClientError> {
        const WHAT: &str = "agendas";
        let body = json!({
            "insightId": insight, "count": count, "waitMs": wait.as_millis() as u64, "puller": puller,
            "leaseMs": lease.as_millis() as u64,
        });
        let answer = self.post(WHAT, "/getAgenda", &body, wait).await?;
        read_pulled(answer).map_err(|reason| ClientError::Answer { what: WHAT, reason })
    }

    /// Renews a lease.
    pub async fn renew(&self, lease: &Lease) -> Result<(), ClientError> {
        self.post("the renewal of a lease", &lease.path("renew"), &json!({}), Duration::ZERO).await.map(drop)
    }

    /// Gives an agenda back; `lost` says why the executor is lost, if it is.
    pub async fn give_back(&self, lease: &Lease, lost: Option<&str>) -> Result<(), ClientError> {
        let body = json!({"lost": lost});
        self.post("the return of an agenda", &lease.path("return"), &body, Duration::ZERO).await.map(drop)
    }

    /// Reports that an agenda has failed before its executor could report.
    pub async fn fail(&self, lease: &Lease, message: &str, code: &str) -> Result<(), ClientError> {
        let progress = json!({
            "id": lease.progress, "processingState": "COMPLETE", "processingStateMessage": "failed",
            "diagnosticEvents": [{"message": message, "statusCode": code}],
        });
        let body = json!({"agendaProgress": progress});
        self.post("a report", "/updateAgendaProgress", &body, Duration::ZERO).await.map(drop)
    }

    /// Deletes agendas that ended so many minutes ago from the service at this address, some of them; returns their ids.
    pub async fn reap(&self, minutes: u64, is_dry: bool) -> Result<Vec<String>, ClientError> {
        let body = json!({"ageMinutes": minutes, "dryRun": is_dry});
        let answer = self.post("the deletion of agendas", "/v1/reap", &body, ANSWER).await?;
        let ids = answer["agendas"].as_array().into_iter().flatten();
        Ok(ids.filter_map(|id| Some(id.as_str()?.to_owned())).collect())
    }

    async fn post(
        &self,
        what: &'static str,
        path: &str,
        body: &Value,
        wait: Duration,
    ) -> Result<Value, ClientError> {
        let unreachable = |reason: String| ClientError::Unreachable { address: self.address.clone(), reason };
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        let request = request.body(Body::from(body.to_string().into_bytes()));
        let request = request.map_err(|error| unreachable(error.to_string()))?;
        let answered = async {
            let answer = self.client.send(request).await.map_err(|error| unreachable(with_causes(&error)))?;
            let status = answer.status().as_u16();
            let body = http_body_util::Limited::new(answer.into_body(), LONGEST_ANSWER);
            let bytes = http_body_util::BodyExt::collect(body).await;
            let bytes = bytes.map_err(|error| unreachable(error.to_string()))?.to_bytes();
            Ok((status, bytes))
        };
        let answered = tokio::time::timeout(wait + ANSWER, answered).await;
        let (status, bytes) = answered.map_err(|_| unreachable("there is no answer".to_owned()))??;
        let value = serde_json::from_slice::<Value>(&bytes);
        let error =
            value.as_ref().ok().map(|value| &value["errorResponse"]).filter(|error| error.is_object());
        // POP's own service answers errors with 200
        let code =
            error.and_then(|error| error["responseCode"].as_u64()).and_then(|code| code.try_into().ok());
        if !(200..300).contains(&status) || error.is_some() {
            let detail = error.and_then(|error| error["description"].as_str());
            let detail = detail.map_or_else(|| String::from_utf8_lossy(&bytes).into_owned(), str::to_owned);
            let detail = detail.chars().take(500).collect();
            return Err(ClientError::Refused { what, status: code.unwrap_or(status), detail });
        }
        value.map_err(|error| ClientError::Answer { what, reason: error.to_string() })
    }
}

/// Posts a text to an address of another service, and returns the HTTP status. Redirects are not followed.
pub async fn post(url: &str, headers: &[(&'static str, String)], body: String) -> Result<u16, String> {
    let uri: http::Uri = url.parse().map_err(|error| format!("`{url}` is no address: {error}"))?;
    let path = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned();
    let mut origin = uri.into_parts();
    origin.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
    let origin = http::Uri::from_parts(origin).map_err(|error| format!("`{url}` is no address: {error}"))?;
    let client = Client::try_from(plain_config(origin)).map_err(|error| error.to_string())?;
    let request =
        headers.iter().fold(Request::post(path), |request, (name, value)| request.header(*name, value));
    let request = request.body(Body::from(body.into_bytes())).map_err(|error| error.to_string())?;
    let answer = client.send(request).await.map_err(|error| with_causes(&error))?;
    Ok(answer.status().as_u16())
}

/// Settings of a client that does not retry by itself.
fn plain_config(uri: http::Uri) -> Config {
    let has_tls = uri.scheme_str() != Some("http");
    let mut config = Config::new(uri);
    // without TLS no certificate is read: a small image has none
    config.root_cert = (!has_tls).then(Vec::new);
    config.default_retry = false;
    config.connect_timeout = Some(ANSWER);
    config
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
