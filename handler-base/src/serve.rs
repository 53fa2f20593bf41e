//! Serves many operations over the socket to the executor (docs/warm.md).
//!
//! One thread: a handler that waits lets others run, and a handler that computes does not.

use crate::cancel::{Cancellation, Canceller};
use crate::program::{
    EXIT_BAD_LAUNCH_DATA, EXIT_FAILED, EXIT_SUCCEEDED, GRACE, MaskingReporter, now, prior_progress,
};
use crate::{ContextParts, Handler, HandlerError, OperationContext, Progress, StatusReporter, process};
use pop_field_retriever::{DefaultLaunchData, Defaults, LaunchDataWrapper};
use pop_launchers::process::ExecutorSocket;
use pop_launchers::{Launcher, Mask};
use pop_reporters::status::LogReporter;
use pop_warm::frame::{Decoder, Frame, Kind, write};
use pop_warm::{Attempt, Hello, VERSION, end_body, parse_attempt};
use serde_json::Value;
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, Write};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use tokio::time::{Instant, sleep_until};

/// Bytes of one read.
const PIECE_BYTES: usize = 64 * 1024;
/// Bytes that are sent at once, however much follows.
const MOST_UNSENT: usize = 256 * 1024;

/// The sending half of the socket.
struct Channel {
    socket: ExecutorSocket,
    unsent: RefCell<Vec<u8>>,
}

impl Channel {
    fn add(&self, kind: Kind, id: u64, body: &[u8]) -> io::Result<()> {
        let is_full = {
            let mut unsent = self.unsent.borrow_mut();
            write(&mut unsent, kind, id, body);
            unsent.len() > MOST_UNSENT
        };
        if is_full { self.flush() } else { Ok(()) }
    }

    fn flush(&self) -> io::Result<()> {
        let mut unsent = self.unsent.borrow_mut();
        let sent = self.socket.write_all(&unsent);
        unsent.clear();
        unsent.shrink_to(MOST_UNSENT);
        sent
    }
}

/// Writes each piece as a frame of an operation.
struct FrameWriter {
    channel: Rc<Channel>,
    kind: Kind,
    id: u64,
}

impl Write for FrameWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.channel.add(self.kind, self.id, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends progress at once, and the final report together with the end of the operation.
struct ServedReporter {
    lines: LogReporter<FrameWriter, io::Sink>,
    channel: Rc<Channel>,
}

impl StatusReporter for ServedReporter {
    fn report(&mut self, progress: &Progress, result: Option<&Value>) -> io::Result<()> {
        self.lines.report(progress, result)?;
        if progress.is_final() { Ok(()) } else { self.channel.flush() }
    }
}

/// An operation in hand.
struct Served<'h> {
    id: u64,
    canceller: Canceller,
    work: Pin<Box<dyn Future<Output = u8> + 'h>>,
}

/// What every operation of this process shares.
pub(crate) struct Surroundings {
    pub(crate) launch: Arc<DefaultLaunchData>,
    pub(crate) launcher: Arc<dyn Launcher>,
    pub(crate) mask: Mask,
}

/// Serves until the executor says bye or is gone, or `stop` ends and the operations in hand have had time to stop. Returns
/// the exit status.
pub(crate) async fn serve<H: Handler>(
    handler: &H,
    socket: ExecutorSocket,
    surroundings: &Surroundings,
    stop: impl Future<Output = ()>,
) -> u8 {
    let channel = Rc::new(Channel { socket, unsent: RefCell::default() });
    let mut stop = Box::pin(stop);
    // the end of the grace after a stop request
    let mut end_at: Option<Instant> = None;
    let mut input = Input { decoder: Decoder::default(), piece: vec![0; PIECE_BYTES] };
    let mut served: Vec<Served<'_>> = Vec::new();
    let mut is_open = true;
    let hello = Hello { version: VERSION, cancels: true, pid: Some(std::process::id()) };
    let mut sent = channel.add(Kind::Hello, 0, &hello.body()).and_then(|()| channel.flush());
    while sent.is_ok() && (is_open || !served.is_empty()) {
        tokio::select! {
            biased;
            ended = next_ends(&mut served) => {
                let add = |(id, status)| channel.add(Kind::End, id, &end_body(status));
                sent = ended.into_iter().try_for_each(add).and_then(|()| channel.flush());
            }
            read = input.read(&channel.socket), if is_open => {
                let Ok((frames, more)) = read else { return EXIT_FAILED };
                is_open = more;
                for Frame { kind, id, body } in frames {
                    match kind {
                        Kind::Handle => {
                            let Ok(attempt) = parse_attempt(&body) else { return EXIT_FAILED };
                            served.push(begin(handler, id, &attempt, &channel, surroundings));
                        }
                        Kind::Cancel => {
                            served.iter().filter(|one| one.id == id).for_each(|one| one.canceller.cancel());
                        }
                        Kind::Bye => is_open = false,
                        Kind::Hello | Kind::Log | Kind::Report | Kind::End => return EXIT_FAILED,
                    }
                }
            }
            () = &mut stop, if end_at.is_none() => {
                end_at = Some(Instant::now() + GRACE);
                is_open = false;
                for one in &served {
                    one.canceller.cancel();
                }
            }
            () = sleep_until(end_at.unwrap_or_else(Instant::now)), if end_at.is_some() => return EXIT_FAILED,
        }
    }
    if sent.is_ok() { EXIT_SUCCEEDED } else { EXIT_FAILED }
}

/// Waits until an operation has ended. Removes all that have, so that one write sends what they report.
async fn next_ends(served: &mut Vec<Served<'_>>) -> Vec<(u64, u8)> {
    poll_fn(|task| {
        let mut ended = Vec::new();
        served.retain_mut(|one| match one.work.as_mut().poll(task) {
            Poll::Ready(status) => {
                ended.push((one.id, status));
                false
            }
            Poll::Pending => true,
        });
        if ended.is_empty() { Poll::Pending } else { Poll::Ready(ended) }
    })
    .await
}

/// The receiving half of the socket.
struct Input {
    decoder: Decoder,
    piece: Vec<u8>,
}

impl Input {
    /// Waits for bytes. Returns the complete frames, and whether more can follow.
    async fn read(&mut self, socket: &ExecutorSocket) -> io::Result<(Vec<Frame>, bool)> {
        let mut frames = Vec::new();
        let count = socket.read(&mut self.piece).await?;
        self.decoder.take(&self.piece[..count]);
        while let Some(frame) = self.decoder.next_frame().map_err(io::Error::other)? {
            frames.push(frame);
        }
        Ok((frames, count > 0))
    }
}

/// Begins an operation with the launch data of its attempt.
fn begin<'h, H: Handler>(
    handler: &'h H,
    id: u64,
    attempt: &Attempt<'_>,
    channel: &Rc<Channel>,
    surroundings: &Surroundings,
) -> Served<'h> {
    let (canceller, cancellation) = Cancellation::new();
    let payload = attempt.payload.to_owned();
    let writer = |kind| FrameWriter { channel: Rc::clone(channel), kind, id };
    let mut log = writer(Kind::Log);
    let log_channel = Rc::clone(channel);
    let lines = LogReporter::new(writer(Kind::Report), io::sink());
    let reporter = ServedReporter { lines, channel: Rc::clone(channel) };
    let context = context(attempt, surroundings).map(|(launch, prior)| {
        let cid = launch.cid().map_or_else(|| uuid::Uuid::new_v4().to_string(), |found| found.value);
        OperationContext::new(ContextParts {
            operation: launch.operation_name().map(|found| found.value),
            log: Box::new(move |line| {
                // a closed socket is noticed when the end is sent
                log.write_all(format!("{line}\n").as_bytes()).and_then(|()| log_channel.flush()).ok();
            }),
            launch: launch as Arc<dyn LaunchDataWrapper>,
            reporter: Box::new(MaskingReporter {
                reporter: Box::new(reporter),
                mask: surroundings.mask.clone(),
            }),
            cancellation,
            launcher: Arc::clone(&surroundings.launcher),
            clock: now,
            cid,
            prior,
        })
    });
    let mut refusal = writer(Kind::Log);
    let work = async move {
        match context {
            Ok(mut context) => {
                let report = process(handler, &payload, &mut context).await;
                let is_good = report.is_succeeded() && context.is_delivered();
                if is_good { EXIT_SUCCEEDED } else { EXIT_FAILED }
            }
            Err(message) => {
                refusal.write_all(format!("{message}\n").as_bytes()).ok();
                EXIT_BAD_LAUNCH_DATA
            }
        }
    };
    Served { id, canceller, work: Box::pin(work) }
}

/// The launch data of an attempt, and the progress of an earlier one.
fn context(
    attempt: &Attempt<'_>,
    surroundings: &Surroundings,
) -> Result<(Arc<DefaultLaunchData>, Option<Progress>), String> {
    let variables = attempt.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let launch = surroundings.launch.with_variables(variables, &Defaults::handler());
    let launch = launch.map_err(|error| format!("error: {}", HandlerError::from(error).message()))?;
    let prior = prior_progress(&launch)?;
    Ok((Arc::new(launch), prior))
}
