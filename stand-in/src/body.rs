//! Response bodies: complete ones, streams, and streams that faults break.

use crate::failure::Failure;
use crate::fault::FaultAction;
use futures_util::stream::{Stream, StreamExt as _, poll_fn, unfold};
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Bytes, Frame};
use hyper::{Response, StatusCode, header};
use serde_json::Value;
use std::convert::Infallible;
use std::io;
use tokio::sync::mpsc;

/// A response body.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A complete body.
pub(crate) fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body that streams until the sender is dropped.
pub(crate) fn stream(mut pieces: mpsc::Receiver<Bytes>) -> Body {
    let frames = poll_fn(move |context| pieces.poll_recv(context)).map(|bytes| Ok(Frame::data(bytes)));
    StreamBody::new(frames).boxed_unsync()
}

/// A JSON response.
pub(crate) fn answer(code: u16, value: &Value) -> Response<Body> {
    let mut response = Response::new(whole(value.to_string()));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// Applies a fault to a body. Faults of other kinds leave it unchanged.
pub(crate) fn spoil(body: Body, fault: &FaultAction) -> Body {
    let (events, bytes, end) = match *fault {
        FaultAction::CutAfterBytes { bytes } => (usize::MAX, bytes, End::Cut),
        FaultAction::CutAfterEvents { events } => (events, usize::MAX, End::Cut),
        FaultAction::EndAfterEvents { events } => (events, usize::MAX, End::Whole),
        FaultAction::StallAfterEvents { events } => (events, usize::MAX, End::Stall),
        _ => return body,
    };
    StreamBody::new(limited(body, events, bytes, end)).boxed_unsync()
}

#[derive(Clone, Copy)]
enum End {
    Cut,
    Whole,
    Stall,
}

fn limited(
    body: Body,
    events: usize,
    bytes: usize,
    end: End,
) -> impl Stream<Item = Result<Frame<Bytes>, io::Error>> + Send {
    unfold((body, events, bytes, false), move |(mut body, events, bytes, is_over)| async move {
        if is_over {
            return None;
        }
        if events == 0 || bytes == 0 {
            return match end {
                End::Whole => None,
                End::Stall => std::future::pending().await,
                End::Cut => {
                    // let the connection write the earlier frames before it breaks
                    tokio::task::yield_now().await;
                    Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), (body, 0, 0, true)))
                }
            };
        }
        let frame = body.frame().await?;
        Some(match frame.map(Frame::into_data) {
            Ok(Ok(mut data)) => {
                data.truncate(bytes);
                let left = bytes - data.len();
                (Ok(Frame::data(data)), (body, events - 1, left, false))
            }
            Ok(Err(other)) => (Ok(other), (body, events, bytes, false)),
            Err(error) => (Err(error), (body, events, bytes, true)),
        })
    })
}

/// The response for a refused request.
pub(crate) fn refused(failure: &Failure) -> Response<Body> {
    answer(failure.code, &failure.status())
}

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(whole(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// Parses the JSON of a request.
pub(crate) fn parse_json(body: &Bytes) -> Result<Value, Failure> {
    serde_json::from_slice(body)
        .map_err(|why| Failure::bad_request(format!("couldn't get version/kind; json parse error: {why}")))
}
