//! Where the Docker Engine listens, as Docker's own client reads it from the environment.

use super::failure::platform;
use crate::setting::Setting;
use pop_contract::Failure;
use std::fmt;
use std::path::{Path, PathBuf};

/// Socket of a local Engine, the default of `DOCKER_HOST`.
const SOCKET: &str = "/var/run/docker.sock";
/// Ports of an Engine: without and with TLS.
const PORTS: [u16; 2] = [2375, 2376];

/// Where an Engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    /// A socket of this machine.
    Unix(PathBuf),
    /// A host and a port.
    Tcp {
        /// A name or an IP address, without brackets.
        host: String,
        /// The port.
        port: u16,
        /// The folder with `ca.pem`, `cert.pem` and `key.pem`; `None`: no encryption.
        certificates: Option<PathBuf>,
    },
}

impl Address {
    /// Reads `DOCKER_HOST`, `DOCKER_TLS_VERIFY`, `DOCKER_TLS` and `DOCKER_CERT_PATH`.
    pub(super) fn find(setting: &Setting) -> Result<Self, Failure> {
        let text = setting.surrounding("DOCKER_HOST").unwrap_or_default().trim();
        let is_verified = setting.surrounding("DOCKER_TLS_VERIFY").is_some();
        if setting.surrounding("DOCKER_TLS").is_some() && !is_verified {
            return Err(platform(
                "engine",
                "DOCKER_TLS encrypts without verifying the server, which pop does not support; set DOCKER_TLS_VERIFY=1 instead",
            ));
        }
        let certificates = || {
            let own = setting.surrounding("DOCKER_CERT_PATH").map(PathBuf::from);
            own.or_else(|| config_folder(setting)).unwrap_or_default()
        };
        Self::parse(text, is_verified.then(certificates), certificates)
            .map_err(|why| platform("engine", format!("DOCKER_HOST `{text}` cannot be used: {why}")))
    }

    /// Reads an address. `tls` has the certificates if the variables enable TLS; `certificates` finds them if
    /// the address does.
    fn parse(
        text: &str,
        tls: Option<PathBuf>,
        certificates: impl Fn() -> PathBuf,
    ) -> Result<Self, &'static str> {
        let (scheme, rest) = match text.split_once("://") {
            Some(parts) => parts,
            // TLS makes no sense with a socket: the user means a remote Engine
            None if text.is_empty() && tls.is_none() => ("unix", ""),
            None => ("tcp", text),
        };
        match scheme {
            "unix" => Ok(Self::Unix(PathBuf::from(if rest.is_empty() { SOCKET } else { rest }))),
            "tcp" | "http" => Self::tcp(rest, tls),
            "https" => Self::tcp(rest, Some(certificates())),
            "ssh" => Err("pop does not start ssh. Forward the socket yourself, \
                `ssh -nNT -L /tmp/docker.sock:/var/run/docker.sock HOST`, and set DOCKER_HOST=unix:///tmp/docker.sock"),
            _ => Err("it must begin with unix://, tcp://, http:// or https://"),
        }
    }

    fn tcp(rest: &str, certificates: Option<PathBuf>) -> Result<Self, &'static str> {
        let rest = rest.trim_end_matches('/');
        if rest.contains('/') {
            return Err("a path after the port is not supported");
        }
        let (host, port) = match rest.rsplit_once(':') {
            // the last colon of an IPv6 address without brackets does not precede a port
            Some((host, port)) if !port.contains(']') => (host, port),
            _ => (rest, ""),
        };
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = match port {
            "" => PORTS[usize::from(certificates.is_some())],
            port => port.parse().map_err(|_| "its port is not a number up to 65535")?,
        };
        let host = if host.is_empty() { "localhost" } else { host };
        Ok(Self::Tcp { host: host.to_owned(), port, certificates })
    }

    /// Whether paths of this machine are also paths for the Engine, as far as the address shows.
    pub(super) fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => matches!(host.as_str(), "localhost" | "127.0.0.1" | "::1"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "tcp://[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "tcp://{host}:{port}"),
        }
    }
}

/// The folder of the Docker configuration: `DOCKER_CONFIG`, or `.docker` at home.
pub(super) fn config_folder(setting: &Setting) -> Option<PathBuf> {
    let own = setting.surrounding("DOCKER_CONFIG").map(PathBuf::from);
    own.or_else(|| setting.surrounding("HOME").map(|home| Path::new(home).join(".docker")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsString;

    fn found(variables: &[(&str, &str)]) -> Result<Address, String> {
        let surroundings =
            variables.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let setting = Setting { surroundings: surroundings.collect(), ..Setting::default() };
        Address::find(&setting).map_err(|failure| failure.message)
    }

    #[test]
    fn fr_h6_docker_host_is_read_like_dockers_own_client() {
        let unix = |path: &str| Address::Unix(path.into());
        let tcp = |host: &str, port, certificates: Option<&str>| Address::Tcp {
            host: host.to_owned(),
            port,
            certificates: certificates.map(PathBuf::from),
        };
        let verified = ("DOCKER_TLS_VERIFY", "1");
        let from = ("DOCKER_CERT_PATH", "/c");
        for (variables, wanted) in [
            (vec![], unix(SOCKET)),
            (vec![("DOCKER_HOST", "")], unix(SOCKET)),
            (vec![("DOCKER_HOST", "unix://")], unix(SOCKET)),
            (vec![("DOCKER_HOST", "unix:///run/podman/podman.sock")], unix("/run/podman/podman.sock")),
            (vec![("DOCKER_HOST", "unix:///s"), verified], unix("/s")),
            (vec![("DOCKER_HOST", "tcp://127.0.0.1:2375")], tcp("127.0.0.1", 2375, None)),
            (vec![("DOCKER_HOST", "127.0.0.1:99")], tcp("127.0.0.1", 99, None)),
            (vec![("DOCKER_HOST", "tcp://")], tcp("localhost", 2375, None)),
            (vec![("DOCKER_HOST", "tcp://h/")], tcp("h", 2375, None)),
            (vec![("DOCKER_HOST", "http://h:1")], tcp("h", 1, None)),
            (vec![("DOCKER_HOST", "tcp://[::1]:5")], tcp("::1", 5, None)),
            (vec![("DOCKER_HOST", "tcp://[::1]")], tcp("::1", 2375, None)),
            (vec![("DOCKER_HOST", "tcp://h"), verified, from], tcp("h", 2376, Some("/c"))),
            // any value counts, as in Docker's client
            (vec![("DOCKER_HOST", "tcp://h:7"), ("DOCKER_TLS_VERIFY", "0"), from], tcp("h", 7, Some("/c"))),
            (vec![("DOCKER_HOST", "https://h"), from], tcp("h", 2376, Some("/c"))),
            (vec![("DOCKER_HOST", "https://h"), ("HOME", "/me")], tcp("h", 2376, Some("/me/.docker"))),
            (vec![verified, ("DOCKER_CONFIG", "/d")], tcp("localhost", 2376, Some("/d"))),
        ] {
            assert_eq!(found(&variables), Ok(wanted), "{variables:?}");
        }
    }

    #[test]
    fn fr_h6_unusable_address_says_what_to_do() {
        for (host, words) in [
            ("ssh://me@host", "DOCKER_HOST=unix:///tmp/docker.sock"),
            ("npipe:////./pipe/x", "it must begin with unix://"),
            ("fd://", "it must begin with unix://"),
            ("tcp://h:x", "its port is not a number"),
            ("tcp://h:99999", "its port is not a number"),
            ("tcp://h:1/path", "a path after the port"),
        ] {
            let message = found(&[("DOCKER_HOST", host)]).unwrap_err();
            assert!(message.contains(host) && message.contains(words), "{message}");
        }
        let unchecked = found(&[("DOCKER_HOST", "tcp://h"), ("DOCKER_TLS", "1")]).unwrap_err();
        assert!(unchecked.contains("DOCKER_TLS_VERIFY=1"), "{unchecked}");
    }
}
