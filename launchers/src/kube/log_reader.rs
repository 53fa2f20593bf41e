//! Reads the log of one pod to its end, although the stream may break off.

use super::failure::{answer, platform, refused};
use super::log_stamps::TimestampFilter;
use super::manifest::MAIN;
use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::jiff::Timestamp;
use kube::api::LogParams;
use kube::{Api, Error};
use pop_contract::Failure;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Time between the end of the log and the watch event of the program's end.
const LOG_ENDED: Duration = Duration::from_secs(3);
/// Longest wait before a broken log is requested again.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// First wait before a broken log is requested again.
const FIRST_WAIT: Duration = Duration::from_millis(500);

/// Pieces of a log, in order.
type Pieces = BoxStream<'static, Result<Vec<u8>, Error>>;

/// An event of the log.
pub(super) enum LogEvent {
    /// A piece of the log.
    Piece(Vec<u8>),
    /// The server ended the stream normally.
    Ended,
    /// The stream could not be opened, or broke off.
    Broken(Error),
}

/// The log of a pod and the position in it.
pub(super) struct LogReader {
    api: Api<Pod>,
    name: String,
    stream: Option<Pieces>,
    timestamps: TimestampFilter,
    /// Wait before the next request after a failed one.
    wait: Duration,
    /// When to request a log again that ended before its program.
    again_at: Option<Instant>,
    /// Whether the server has answered a request, with a stream or an error.
    is_answered: bool,
}

impl LogReader {
    /// A reader before its first request.
    pub(super) fn new(api: Api<Pod>, name: &str) -> Self {
        Self {
            api,
            name: name.to_owned(),
            stream: None,
            timestamps: TimestampFilter::default(),
            wait: FIRST_WAIT,
            again_at: None,
            is_answered: false,
        }
    }

    /// Whether the server has answered a request: a log that it streams survives the deletion of its pod.
    pub(super) fn is_answered(&self) -> bool {
        self.is_answered
    }

    /// Whether more output is expected.
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// Continues the log at the stored position.
    pub(super) fn read_on(&mut self) {
        self.read_after(Duration::ZERO);
    }

    /// Continues after a wait that grows each time; false if the wait exceeds a deadline.
    pub(super) fn retry(&mut self, deadline: Option<Instant>) -> bool {
        if deadline.is_some_and(|deadline| Instant::now() + self.wait >= deadline) {
            return false;
        }
        self.read_after(self.wait);
        self.wait = (self.wait * 2).min(LONGEST_WAIT);
        true
    }

    /// The log ended while its program seems to run: requests it again after a while.
    pub(super) fn expect_end(&mut self) {
        self.stream = None;
        self.again_at = Some(Instant::now() + LOG_ENDED);
    }

    /// Whether the log ended before the program was seen to end. Servers also end a log normally when the
    /// kubelet breaks it off, so the rest must be requested.
    pub(super) fn ended_early(&self) -> bool {
        self.again_at.is_some()
    }

    fn read_after(&mut self, wait: Duration) {
        let since = self.timestamps.since();
        self.again_at = None;
        self.stream = Some(pieces(self.api.clone(), self.name.clone(), since, wait));
    }

    /// Waits for the next event; forever while nothing is being read.
    pub(super) async fn next(&mut self) -> LogEvent {
        loop {
            let again_at = self.again_at;
            tokio::select! {
                piece = next(&mut self.stream) => {
                    self.is_answered = true;
                    return match piece {
                        Some(Ok(piece)) => LogEvent::Piece(piece),
                        Some(Err(error)) => LogEvent::Broken(error),
                        None => LogEvent::Ended,
                    };
                }
                () = sleep_until(again_at.unwrap_or_else(Instant::now)), if again_at.is_some() => self.read_on(),
            }
        }
    }

    /// Removes timestamps and output read before from a piece; true if new output remained.
    pub(super) fn take(&mut self, piece: &[u8], rest: &mut impl FnMut(&[u8])) -> bool {
        let mut is_news = false;
        self.timestamps.take(piece, &mut |part| {
            is_news = true;
            rest(part);
        });
        if is_news {
            self.wait = FIRST_WAIT;
        }
        is_news
    }
}

/// Whether requesting the log again is useless.
pub(super) fn is_refusal(error: &Error) -> bool {
    answer(error).is_some_and(|status| matches!(status.code, 400 | 401 | 403 | 404))
}

/// The failure of an attempt whose output was not read to its end; without an error, reading took too long.
pub(super) fn unread(error: Option<&Error>) -> Failure {
    let Some(error) = error else {
        return platform(
            "lost",
            "its output could not be read to its end: the cluster did not deliver it in time",
        );
    };
    let why = refused("get pods/log", error);
    let code = if matches!(why.code.as_str(), "forbidden" | "unauthorized") { &why.code } else { "lost" };
    platform(code, format!("its output could not be read to its end: {}", why.message))
}

/// The log of a pod since a time, requested after a delay. The first piece is empty: the server has answered.
fn pieces(api: Api<Pod>, name: String, since: Option<Timestamp>, after: Duration) -> Pieces {
    let open = async move {
        tokio::time::sleep(after).await;
        let params = LogParams {
            container: Some(MAIN.to_owned()),
            follow: true,
            timestamps: true,
            since_time: since,
            ..LogParams::default()
        };
        let reader = api.log_stream(&name, &params).await?;
        let answered = stream::iter([Ok(Vec::new())]);
        Ok::<_, Error>(answered.chain(stream::unfold(Box::pin(reader), next_piece)))
    };
    stream::once(open).try_flatten().boxed()
}

async fn next_piece<R: AsyncBufRead>(
    mut reader: Pin<Box<R>>,
) -> Option<(Result<Vec<u8>, Error>, Pin<Box<R>>)> {
    match reader.as_mut().fill_buf().await.map(<[u8]>::to_vec) {
        Ok(piece) if piece.is_empty() => None,
        Ok(piece) => {
            reader.as_mut().consume_unpin(piece.len());
            Some((Ok(piece), reader))
        }
        Err(error) => Some((Err(Error::ReadEvents(error)), reader)),
    }
}

async fn next(stream: &mut Option<Pieces>) -> Option<Result<Vec<u8>, Error>> {
    match stream {
        Some(stream) => stream.next().await,
        None => std::future::pending().await,
    }
}
