//! The address of a collector of OpenTelemetry.

use pop_telemetry::{Endpoint, EndpointError};
use std::env;

/// A collector; none if the variables of OpenTelemetry turn traces off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OtlpArg(pub(crate) Option<Endpoint>);

/// Reads a collector's address: a URL, or `env`.
pub(super) fn otlp(text: &str) -> Result<OtlpArg, String> {
    let endpoint = match text {
        "env" => of_variables(|name| env::var(name).ok().filter(|value| !value.is_empty())),
        url => Endpoint::of_base(url).map(Some),
    };
    endpoint.map(OtlpArg).map_err(|error| error.to_string())
}

/// The address in the variables of OpenTelemetry.
fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Endpoint>, EndpointError> {
    let is =
        |name: &str, wanted: &str| variable(name).is_some_and(|value| value.eq_ignore_ascii_case(wanted));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return Ok(None);
    }
    match variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
        Some(exact) => Endpoint::exact(&exact),
        None => {
            let base = variable("OTEL_EXPORTER_OTLP_ENDPOINT");
            Endpoint::of_base(base.as_deref().unwrap_or("http://localhost:4318"))
        }
    }
    .map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_opentelemetry_give_the_address() {
        let found = |set: &[(&str, &str)]| {
            let variable = |name: &str| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            of_variables(variable).unwrap().map(|endpoint| endpoint.to_string())
        };
        assert_eq!(found(&[]).as_deref(), Some("http://localhost:4318/v1/traces"));
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c/base/");
        assert_eq!(found(&[base]).as_deref(), Some("https://c/base/v1/traces"));
        let exact = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://t:1/x");
        assert_eq!(found(&[base, exact]).as_deref(), Some("http://t:1/x"));
        assert_eq!(found(&[base, ("OTEL_SDK_DISABLED", "TRUE")]), None);
        assert_eq!(found(&[base, ("OTEL_TRACES_EXPORTER", "none")]), None);
    }

    #[test]
    fn address_without_scheme_is_refused() {
        assert!(otlp("localhost:4318").unwrap_err().contains("http://"));
    }
}
