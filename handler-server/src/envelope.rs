//! The frames around the body of a message.
//!
//! A REQ socket puts an empty frame before its body; one with request ids puts the id before that; a DEALER sends
//! what its program gives it. The reply repeats all frames up to the first empty one.

use bytes::Bytes;

/// The frames before the body, which the reply repeats.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Envelope(Vec<Bytes>);

impl Envelope {
    /// Takes the envelope off a message. A body in several frames is joined.
    pub(crate) fn open(mut frames: Vec<Bytes>) -> (Self, Bytes) {
        let length = frames.iter().position(Bytes::is_empty).map_or(0, |at| at + 1);
        let body = frames.split_off(length);
        let body = match body.as_slice() {
            [only] => only.clone(),
            several => several.concat().into(),
        };
        (Self(frames), body)
    }

    /// The frames of a reply.
    pub(crate) fn seal(self, body: Vec<u8>) -> Vec<Bytes> {
        let mut frames = self.0;
        frames.push(body.into());
        frames
    }
}

/// The frames of a message that no request asked for: its command, so that subscribers can select topics, an empty
/// frame and the body. SDS puts a random number in the place of the command.
pub(crate) fn addressed(command: &str, body: Bytes) -> Vec<Bytes> {
    vec![Bytes::copy_from_slice(command.as_bytes()), Bytes::new(), body]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(texts: &[&'static str]) -> Vec<Bytes> {
        texts.iter().map(|text| Bytes::from_static(text.as_bytes())).collect()
    }

    #[test]
    fn a_reply_goes_back_the_way_that_its_request_came() {
        for (request, body, reply) in [
            (&["", "b"][..], "b", &["", "r"][..]),
            (&["", "", "b"], "b", &["", "r"]),
            (&["id", "", "b"], "b", &["id", "", "r"]),
            (&["b"], "b", &["r"]),
            (&["b", "c"], "bc", &["r"]),
            (&["", "b", "c"], "bc", &["", "r"]),
            (&["x", "y", "", "b"], "b", &["x", "y", "", "r"]),
            (&[""], "", &["", "r"]),
            (&[], "", &["r"]),
        ] {
            let (envelope, found) = Envelope::open(frames(request));
            assert_eq!(found, body, "{request:?}");
            assert_eq!(envelope.seal(b"r".to_vec()), frames(reply), "{request:?}");
        }
    }
}
