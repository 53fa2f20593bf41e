//! The address of a collector.

use http::Uri;
use std::fmt;

/// Path at which a collector takes traces.
const TRACES: &str = "/v1/traces";

/// The address to which spans are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

/// A text is no address of a collector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address of a collector: {why}")]
pub struct EndpointError {
    text: String,
    why: &'static str,
}

impl Endpoint {
    /// The address below a base, such as `http://localhost:4318`; `/v1/traces` is added unless it is there.
    pub fn of_base(text: &str) -> Result<Self, EndpointError> {
        let Self(exact) = Self::exact(text)?;
        let base = exact.trim_end_matches('/');
        Ok(Self(if base.ends_with(TRACES) { base.to_owned() } else { format!("{base}{TRACES}") }))
    }

    /// The address as it is.
    pub fn exact(text: &str) -> Result<Self, EndpointError> {
        // the text may hold a password, so only a part of it is repeated
        let refused = |why| EndpointError { text: without_user(text), why };
        let uri: Uri = text.trim().parse().map_err(|_| refused("it is not a URL"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(refused("it must begin with http:// or https://"));
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(refused("write credentials into OTEL_EXPORTER_OTLP_HEADERS"));
        }
        if uri.query().is_some() {
            return Err(refused("it must not have a query"));
        }
        Ok(Self(text.trim().to_owned()))
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A URL without user and password.
fn without_user(text: &str) -> String {
    match (text.find("://"), text.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}://…{}", &text[..scheme], &text[at..]),
        (None, Some(at)) => format!("…{}", &text[at..]),
        _ => text.to_owned(),
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_gets_the_path_of_traces_once() {
        for (text, wanted) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("https://c.example/otlp/", "https://c.example/otlp/v1/traces"),
            ("http://localhost:4318/v1/traces", "http://localhost:4318/v1/traces"),
        ] {
            assert_eq!(Endpoint::of_base(text).unwrap().as_str(), wanted);
        }
        assert_eq!(Endpoint::exact("http://c/x").unwrap().as_str(), "http://c/x");
    }

    #[test]
    fn bad_address_is_refused_without_its_password() {
        for (text, wanted) in [
            (
                "localhost:4318",
                "`localhost:4318` is no address of a collector: it must begin with http:// or https://",
            ),
            (
                "grpc://c:4317",
                "`grpc://c:4317` is no address of a collector: it must begin with http:// or https://",
            ),
            ("http://c/ x", "`http://c/ x` is no address of a collector: it is not a URL"),
            (
                "http://u:geheim@c",
                "`http://…@c` is no address of a collector: write credentials into OTEL_EXPORTER_OTLP_HEADERS",
            ),
        ] {
            assert_eq!(Endpoint::of_base(text).unwrap_err().to_string(), wanted);
        }
    }
}
