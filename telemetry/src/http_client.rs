//! The HTTP client of the exporter: blocking, on the thread that sends, with TLS by the certificates of the machine.

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// Time limit of one request.
const REQUEST: Duration = Duration::from_secs(10);
/// Longest answer that is read, in bytes.
const MOST_ANSWER: u64 = 64 * 1024;
/// Longest part of an answer that a message repeats, in bytes.
const SHOWN: usize = 200;

/// What the collector answered last. The exporter itself passes on only whether it worked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum LastAnswer {
    /// No answer yet.
    #[default]
    None,
    /// It took everything.
    Taken,
    /// It took the request and refused some spans.
    PartlyTaken {
        /// Number of refused spans.
        refused: u64,
        /// Its reason.
        message: String,
    },
    /// It refused the request.
    Refused {
        /// HTTP status.
        status: u16,
        /// Beginning of the answer.
        message: String,
    },
    /// There was no answer.
    Unreachable(String),
}

/// A client that remembers the last answer.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    last: Arc<Mutex<LastAnswer>>,
}

impl Client {
    pub(crate) fn new(last: Arc<Mutex<LastAnswer>>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .timeout_global(Some(REQUEST))
            // the exporter judges statuses
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("pop/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        Self { agent: config.new_agent(), last }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ureq::Error> {
        let answer = self.agent.run(request.map(|bytes| bytes.to_vec()))?;
        let (head, mut body) = answer.into_parts();
        let bytes = body.with_config().limit(MOST_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(head, Bytes::from(bytes)))
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let result = self.send(request);
        *lock(&self.last) = match &result {
            Ok(answer) => judge(answer),
            Err(error) => LastAnswer::Unreachable(error.to_string()),
        };
        Ok(result?)
    }
}

/// Locks a value that no holder leaves half changed.
pub(crate) fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn judge(answer: &Response<Bytes>) -> LastAnswer {
    if !answer.status().is_success() {
        return LastAnswer::Refused { status: answer.status().as_u16(), message: shown(answer.body()) };
    }
    let partial = ExportTraceServiceResponse::decode(answer.body().as_ref()).ok();
    match partial.and_then(|response| response.partial_success).filter(|partial| partial.rejected_spans > 0) {
        Some(partial) => LastAnswer::PartlyTaken {
            refused: partial.rejected_spans.unsigned_abs(),
            message: shown(partial.error_message.as_bytes()),
        },
        None => LastAnswer::Taken,
    }
}

/// The beginning of an answer as text, without control characters.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let text: String = text.chars().filter(|c| !c.is_control() && *c != '\u{fffd}').collect();
    text[..text.floor_char_boundary(SHOWN)].trim().to_owned()
}
