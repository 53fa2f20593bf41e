//! The bodies of frames.

use serde::{Deserialize, Serialize};

/// The variable that tells a program that it may serve: the number of the inherited socket's descriptor, or the absolute path
/// of a socket to connect to.
pub const SOCKET_VARIABLE: &str = "POP_WARM_SOCKET";
/// The version of the protocol.
pub const VERSION: u32 = 1;

/// The first message of an instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of the protocol that the instance speaks.
    pub version: u32,
    /// Whether the instance can cancel one operation and go on. Without it, a cancelled operation ends the instance.
    #[serde(default)]
    pub cancels: bool,
    /// The process whose memory counts, if not that of the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

impl Hello {
    /// Reads the body of a hello.
    pub fn parse(body: &[u8]) -> Result<Self, ProtocolError> {
        let hello: Self =
            serde_json::from_slice(body).map_err(|error| ProtocolError::Hello(error.to_string()))?;
        if hello.version == VERSION { Ok(hello) } else { Err(ProtocolError::Version(hello.version)) }
    }

    /// The body of a hello.
    pub fn body(&self) -> Vec<u8> {
        // three plain fields: writing them cannot fail
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Why the body of a frame cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The body of a hello is not JSON of its shape.
    #[error("`hello` cannot be read: {0}")]
    Hello(String),
    /// The instance speaks another version.
    #[error("the program speaks version {0} of the protocol, and pop version {VERSION}")]
    Version(u32),
    /// A line of an attempt is no variable, or the empty line after the variables is missing.
    #[error("`handle` cannot be read: after the lines `NAME=VALUE` must come an empty line and the payload")]
    Attempt,
    /// The exit status is no number.
    #[error("`end` cannot be read: its body must be an exit status")]
    End,
}

/// The body of `handle`: a line `NAME=VALUE` for each variable, an empty line, the payload. In a value a backslash, a
/// line feed and a carriage return are `\\`, `\n` and `\r`.
pub fn attempt_body<'v>(variables: impl IntoIterator<Item = (&'v str, &'v str)>, payload: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(payload.len() + 128);
    for (name, value) in variables {
        body.extend_from_slice(name.as_bytes());
        body.push(b'=');
        for byte in value.bytes() {
            match byte {
                b'\\' => body.extend_from_slice(b"\\\\"),
                b'\n' => body.extend_from_slice(b"\\n"),
                b'\r' => body.extend_from_slice(b"\\r"),
                other => body.push(other),
            }
        }
        body.push(b'\n');
    }
    body.push(b'\n');
    body.extend_from_slice(payload.as_bytes());
    body
}

/// The content of `handle`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt<'b> {
    /// The variables of the attempt, which override those of the process.
    pub variables: Vec<(String, String)>,
    /// The payload, as JSON.
    pub payload: &'b str,
}

/// Reads the body of `handle`.
pub fn parse_attempt(body: &[u8]) -> Result<Attempt<'_>, ProtocolError> {
    let mut rest = std::str::from_utf8(body).map_err(|_| ProtocolError::Attempt)?;
    let mut variables = Vec::new();
    loop {
        let (line, after) = rest.split_once('\n').ok_or(ProtocolError::Attempt)?;
        rest = after;
        if line.is_empty() {
            return Ok(Attempt { variables, payload: rest });
        }
        let (name, value) =
            line.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or(ProtocolError::Attempt)?;
        variables.push((name.to_owned(), unescaped(value).ok_or(ProtocolError::Attempt)?));
    }
}

fn unescaped(value: &str) -> Option<String> {
    if !value.contains('\\') {
        return Some(value.to_owned());
    }
    let mut plain = String::with_capacity(value.len());
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        plain.push(match character {
            '\\' => match characters.next()? {
                '\\' => '\\',
                'n' => '\n',
                'r' => '\r',
                _ => return None,
            },
            other => other,
        });
    }
    Some(plain)
}

/// The body of `end`.
pub fn end_body(status: u8) -> Vec<u8> {
    status.to_string().into_bytes()
}

/// Reads the body of `end`: an exit status.
pub fn parse_end(body: &[u8]) -> Result<u8, ProtocolError> {
    let text = std::str::from_utf8(body).map_err(|_| ProtocolError::End)?;
    text.trim_ascii().parse().map_err(|_| ProtocolError::End)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_and_payload_of_an_attempt_are_read_back() {
        let variables = [("A", ""), ("B", "x=y\\n\n\r\\"), ("C", "ü")];
        for payload in ["", "{}", "\n\nA=1\n"] {
            let body = attempt_body(variables, payload);
            let Attempt { variables: read, payload: rest } = parse_attempt(&body).unwrap();
            let read: Vec<(&str, &str)> =
                read.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!((read.as_slice(), rest), (variables.as_slice(), payload));
        }
    }

    #[test]
    fn a_body_of_another_shape_is_refused() {
        for body in [&b""[..], b"{}", b"=1\n\n", b"A\n\n", b"A=\\x\n\n", b"A=\\\n\n", b"A=1\n", b"\xff\n\n"] {
            assert_eq!(parse_attempt(body), Err(ProtocolError::Attempt), "{}", String::from_utf8_lossy(body));
        }
        for body in ["", "256", "-1", "x"] {
            assert_eq!(parse_end(body.as_bytes()), Err(ProtocolError::End));
        }
        assert_eq!(parse_end(&end_body(255)), Ok(255));
    }

    #[test]
    fn another_version_is_refused() {
        let hello = Hello { version: VERSION, cancels: true, pid: Some(4) };
        assert_eq!(Hello::parse(&hello.body()), Ok(hello));
        assert_eq!(
            Hello::parse(br#"{"version":1,"other":[]}"#),
            Ok(Hello { version: 1, ..Hello::default() })
        );
        assert_eq!(Hello::parse(br#"{"version":2}"#), Err(ProtocolError::Version(2)));
        assert!(matches!(Hello::parse(b"[]"), Err(ProtocolError::Hello(_))));
    }
}
