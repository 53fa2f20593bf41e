//! Posts documents to an agenda service.

use http::Request;
use http::header::CONTENT_TYPE;
use kube::client::Body;
use kube::{Client, Config};
use std::time::Duration;
use tokio::sync::OnceCell;

/// Timeout of one post.
const SERVICE_TIMEOUT: Duration = Duration::from_secs(20);

/// The address of a service.
#[derive(Debug, Clone)]
pub struct ServiceAddress(Config);

/// A text that is not the address of a service.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a service address: {reason}")]
pub struct InvalidAddress {
    text: String,
    reason: String,
}

impl ServiceAddress {
    /// Parses an address: `http` or `https`, a host, and an optional path.
    pub fn parse(text: &str) -> Result<Self, InvalidAddress> {
        let invalid = |reason: String| InvalidAddress { text: text.to_owned(), reason };
        let uri: http::Uri =
            text.trim().trim_end_matches('/').parse().map_err(|error| invalid(format!("{error}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(invalid("it must begin with http:// or https://".to_owned()));
        }
        let has_tls = uri.scheme_str() != Some("http");
        let mut config = Config::new(uri);
        // without TLS no certificate is read: a small image has none
        config.root_cert = (!has_tls).then(Vec::new);
        // its users retry
        config.default_retry = false;
        config.connect_timeout = Some(SERVICE_TIMEOUT);
        config.read_timeout = Some(SERVICE_TIMEOUT);
        Ok(Self(config))
    }

    /// The same address, with a token for each request.
    #[must_use]
    pub fn with_token(mut self, token: Option<String>) -> Self {
        self.0.auth_info.token = token.map(Into::into);
        self
    }
}

/// A client of the service. It connects with the first post.
pub(super) struct ServiceClient {
    config: Config,
    client: OnceCell<Client>,
}

impl ServiceClient {
    pub(super) fn new(address: &ServiceAddress) -> Self {
        Self { config: address.0.clone(), client: OnceCell::new() }
    }

    /// Address of the service, for messages.
    pub(super) fn address(&self) -> String {
        self.config.cluster_url.to_string()
    }

    /// Posts JSON to a path below the address, once, and returns the HTTP status.
    pub(super) async fn post(&self, path: &str, body: Vec<u8>) -> Result<u16, String> {
        let client = self.client.get_or_try_init(|| async { Client::try_from(self.config.clone()) }).await;
        let client = client.map_err(|error| error.to_string())?;
        let request = Request::post(path).header(CONTENT_TYPE, "application/json").body(Body::from(body));
        let request = request.map_err(|error| error.to_string())?;
        let answer = client.send(request).await.map_err(|error| with_causes(&error))?;
        Ok(answer.status().as_u16())
    }
}

/// Formats an error and all its causes in one line.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_must_be_an_http_url() {
        for text in ["http://host", "https://host:8443/pop/", " http://[::1]:80/a/b "] {
            assert!(ServiceAddress::parse(text).is_ok(), "{text}");
        }
        for text in ["", "host", "host:80", "ftp://host", "http://", "http://a b"] {
            assert!(ServiceAddress::parse(text).is_err(), "{text}");
        }
    }
}
