//! Which requests of browsers are accepted.
//!
//! The service sets no cookie, so a browser adds no rights to a request by itself, with one exception: a caller on this
//! machine may need no token. So a request that comes from a page must come from the service's own page, and without a
//! token the service must have been called by a name of this machine.

use hyper::HeaderMap;
use hyper::header::{HOST, HeaderName, ORIGIN};

/// Header in which browsers say which site has made a request. Scripts cannot set it.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page of another site has made the request. A client that is no browser sends none of these headers.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(&FETCH_SITE), text(&ORIGIN)) {
        // a proxy in front of the service may have changed the host, which the browser has compared
        (Some("same-origin"), _) => false,
        // somebody has typed the address
        (Some("none"), None) => false,
        (Some(_), _) => true,
        (None, Some(origin)) => {
            let host = origin.split_once("://").map(|(_, host)| host);
            !host.is_some_and(|host| text(&HOST).is_some_and(|own| own.eq_ignore_ascii_case(host)))
        }
        (None, None) => false,
    }
}

/// Whether the `Host` header names this machine. A page of another host that lets its name point here does not (DNS
/// rebinding).
pub(crate) fn names_this_machine(headers: &HeaderMap) -> bool {
    is_own_host(headers.get(HOST).and_then(|value| value.to_str().ok()).unwrap_or_default())
}

fn is_own_host(host: &str) -> bool {
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
    let name = name.map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn only_names_of_this_machine_are_its_own() {
        for (host, is_own) in [
            ("localhost:7070", true),
            ("127.0.0.1:80", true),
            ("127.0.0.1", true),
            ("[::1]:7070", true),
            ("evil.example:7070", false),
            ("127.0.0.1.evil.example", false),
            ("", false),
        ] {
            assert_eq!(is_own_host(host), is_own, "{host}");
        }
    }

    #[test]
    fn a_page_of_another_site_is_foreign() {
        for (site, origin, foreign) in [
            (None, None, false),
            (Some("none"), None, false),
            (Some("same-origin"), None, false),
            (Some("same-origin"), Some("https://pop.example"), false),
            (Some("cross-site"), None, true),
            // another port of the same host
            (Some("same-site"), Some("http://127.0.0.1:8080"), true),
            (Some("cross-site"), Some("http://127.0.0.1:7070"), true),
            (None, Some("http://127.0.0.1:7070"), false),
            (None, Some("http://127.0.0.1:8080"), true),
            (None, Some("http://evil.example"), true),
            (None, Some("null"), true),
            (None, Some(""), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("127.0.0.1:7070"));
            if let Some(site) = site {
                headers.insert(FETCH_SITE, HeaderValue::from_static(site));
            }
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_foreign(&headers), foreign, "{site:?} {origin:?}");
        }
    }
}
