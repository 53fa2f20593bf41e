//! The output stream of a container: attached to the container, or read from the Engine's log.

use super::error::ApiError;
use super::frames::FrameDecoder;
use crate::port::{Doing, Stream};
use http_body_util::BodyExt as _;
use hyper::body::{Bytes, Incoming};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;

/// Bytes per read.
const PIECE_BYTES: usize = 64 * 1024;

/// The output of a container, piece by piece.
pub(super) struct OutputStream {
    source: Source,
    decoder: FrameDecoder,
    /// Bytes read but not split into frames yet.
    bytes: Bytes,
}

enum Source {
    /// An answer that has not begun.
    Opening(Doing<'static, Result<Incoming, ApiError>>),
    Body(Incoming),
    Connection {
        connection: Box<TokioIo<Upgraded>>,
        buffer: Vec<u8>,
    },
    Nothing,
}

impl OutputStream {
    /// Reads the body of a future answer.
    pub(super) fn opening(answer: Doing<'static, Result<Incoming, ApiError>>) -> Self {
        Self::of(Source::Opening(answer))
    }

    /// Reads the body of an answer.
    pub(super) fn of_body(body: Incoming) -> Self {
        Self::of(Source::Body(body))
    }

    /// Reads a connection that was upgraded from HTTP.
    pub(super) fn of_connection(connection: Upgraded) -> Self {
        let connection = Box::new(TokioIo::new(connection));
        Self::of(Source::Connection { connection, buffer: Vec::new() })
    }

    fn of(source: Source) -> Self {
        Self { source, decoder: FrameDecoder::default(), bytes: Bytes::new() }
    }

    /// The next piece; `None` at the end. A cancelled call loses nothing. A stream that ends within a frame is
    /// an error. A cut between two frames looks like the end.
    pub(super) async fn next(&mut self) -> Result<Option<(Stream, Bytes)>, ApiError> {
        loop {
            let piece = self.decoder.next(&mut self.bytes);
            if let Some(piece) = piece.map_err(|_| broken("it does not consist of frames"))? {
                return Ok(Some(piece));
            }
            match self.source.read().await? {
                Some(bytes) => self.bytes = bytes,
                None if self.decoder.is_between_frames() => return Ok(None),
                None => return Err(broken("it broke off within a frame")),
            }
        }
    }
}

fn broken(why: &str) -> ApiError {
    ApiError::Away(format!("the output cannot be read: {why}"))
}

impl Source {
    async fn read(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            match self {
                Self::Opening(answer) => {
                    let answer = answer.await;
                    *self = Self::Nothing;
                    *self = Self::Body(answer?);
                }
                Self::Body(body) => {
                    return match body.frame().await {
                        Some(Ok(frame)) => Ok(Some(frame.into_data().unwrap_or_default())),
                        Some(Err(error)) => Err(ApiError::away(&error)),
                        None => Ok(None),
                    };
                }
                Self::Connection { connection, buffer } => {
                    buffer.clear();
                    buffer.reserve(PIECE_BYTES);
                    let count = connection.read_buf(buffer).await;
                    let count = count.map_err(|error| ApiError::away(&error))?;
                    return Ok((count > 0).then(|| Bytes::copy_from_slice(buffer)));
                }
                Self::Nothing => return Ok(None),
            }
        }
    }
}
