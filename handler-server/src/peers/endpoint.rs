//! Addresses in the words of ZeroMQ.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

/// Longest path of a Unix socket, in bytes.
const MAX_PATH: usize = 107;

/// An address that callers connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// `tcp://ADDRESS:PORT`; port 0 is a free one.
    Tcp(SocketAddr),
    /// `ipc://PATH`: a Unix socket.
    Ipc(PathBuf),
}

impl Endpoint {
    /// A free port that only this machine can reach.
    pub const LOOPBACK: Self = Self::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0));
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "tcp://{address}"),
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
        }
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("ipc://") {
            return match path {
                _ if !path.starts_with('/') => {
                    Err("`ipc://` needs an absolute path, such as ipc:///run/x".to_owned())
                }
                _ if path.len() > MAX_PATH => Err(format!(
                    "the path of a socket has at most {MAX_PATH} bytes, and this one {}",
                    path.len()
                )),
                _ => Ok(Self::Ipc(path.into())),
            };
        }
        let Some(address) = text.strip_prefix("tcp://") else {
            return Err("an endpoint is `tcp://ADDRESS:PORT` or `ipc://PATH`".to_owned());
        };
        let (host, port) = address.rsplit_once(':').ok_or("`tcp://` needs a port; 0 is a free one")?;
        let port = port.parse().map_err(|_| format!("`{port}` is no port: 0 to 65535"))?;
        let host =
            match host {
                "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
                _ => host.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| {
                    format!("`{host}` is no IP address; `*` means every address of this machine")
                })?,
            };
        Ok(Self::Tcp(SocketAddr::new(host, port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_read_as_zeromq_writes_them() {
        for (text, read) in [
            ("tcp://127.0.0.1:5555", Ok("tcp://127.0.0.1:5555")),
            ("tcp://localhost:0", Ok("tcp://127.0.0.1:0")),
            ("tcp://*:7", Ok("tcp://0.0.0.0:7")),
            ("tcp://[::1]:7", Ok("tcp://[::1]:7")),
            ("ipc:///run/x", Ok("ipc:///run/x")),
            ("ipc://x", Err("absolute path")),
            ("ipc://@x", Err("absolute path")),
            ("tcp://127.0.0.1", Err("needs a port")),
            ("tcp://127.0.0.1:x", Err("is no port")),
            ("tcp://example.org:1", Err("is no IP address")),
            ("inproc://x", Err("an endpoint is")),
        ] {
            match (text.parse::<Endpoint>(), read) {
                (Ok(endpoint), Ok(expected)) => assert_eq!(endpoint.to_string(), expected),
                (Err(error), Err(expected)) => assert!(error.contains(expected), "{text}: {error}"),
                (found, expected) => panic!("{text}: {found:?}, {expected:?}"),
            }
        }
        assert!(format!("ipc:///{}", "x".repeat(107)).parse::<Endpoint>().is_err());
    }
}
