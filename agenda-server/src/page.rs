//! The web pages: one embedded file with its script and its style, and the headers that keep it harmless.
//!
//! The file is made from `report/page` (entry `src/service`). It asks for nothing but the REST interface of this service,
//! by paths relative to its own address. Who may do what is decided there; the file itself has no secret.

use http_body_util::Full;
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use std::sync::LazyLock;

const PAGE: &str = include_str!("page/page.html");

/// What a policy in the file itself cannot say.
const HEADER_ONLY: &str = "; frame-ancestors 'none'";

/// The policy of the file, as the header of its response. The hashes in it allow the embedded script and style only.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy =
        PAGE.split_once("Content-Security-Policy\" content=\"").and_then(|(_, rest)| rest.split_once('"'));
    let policy = policy.map_or("default-src 'none'", |(policy, _)| policy);
    HeaderValue::from_str(&format!("{policy}{HEADER_ONLY}"))
        .unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// The response with the pages.
pub(crate) fn page() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(PAGE.as_bytes())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    headers.insert(opener, HeaderValue::from_static("same-origin"));
    harden(headers);
    response
}

/// Headers of each response: it is kept nowhere, is what its type says, and other sites cannot embed it.
pub(crate) fn harden(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let resource = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(resource, HeaderValue::from_static("same-origin"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policy_allows_only_the_embedded_script_and_style() {
        let policy = POLICY.to_str().unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'sha256-",
            "style-src 'sha256-",
            "connect-src 'self'",
            "form-action 'none'",
            "base-uri 'none'",
            "require-trusted-types-for 'script'",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{part}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        // the only script and the only style are those of the hashes, and nothing is loaded
        assert_eq!((PAGE.matches("<script").count(), PAGE.matches("<style").count()), (1, 1));
        assert!(!PAGE.contains(" src=") && !PAGE.contains("http-equiv=\"refresh\""));
    }
}
