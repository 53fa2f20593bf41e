//! The task that follows one instance: waits until it connects, reads its socket, sends what waits, and sees its end.

use super::delivery::Delivery;
use super::mounted_socket::MountedSocket;
use super::{Shared, SocketPassing};
use crate::port::{LaunchEnd, LaunchEvent, LaunchUpdate};
use crate::process::AsyncDescriptor;
use pop_contract::{Blame, Failure};
use pop_warm::frame::{Decoder, FrameError};
use pop_warm::{Input, InstanceId};
use std::io::{self, Read as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes of one read.
const PIECE_BYTES: usize = 64 * 1024;
/// Most reads before other tasks get a turn.
const READS: usize = 32;
/// Time in which a process must end after it has closed its socket.
const PROCESS_CLOSED: Duration = Duration::from_secs(1);
/// The same for a container: the Engine reports its end later.
const CONTAINER_CLOSED: Duration = Duration::from_secs(10);
/// Time until the next try to write if this process has no free descriptor.
const NO_DESCRIPTOR: Duration = Duration::from_millis(10);

/// The socket of a new instance.
pub(super) enum Connection {
    Connected(Arc<AsyncDescriptor<UnixStream>>),
    /// The program has not connected yet.
    Listening(MountedSocket),
}

/// The socket of an instance as far as it is read.
struct Reader {
    stream: Option<Arc<AsyncDescriptor<UnixStream>>>,
    decoder: Decoder,
    piece: Vec<u8>,
    is_open: bool,
}

/// Why nothing more can be read.
enum Stop {
    Closed,
    Broken(FrameError),
}

impl Reader {
    /// Reads what there is, without waiting, and passes the frames on.
    fn read(&mut self, shared: &Arc<Shared>, at: (usize, InstanceId)) -> (Vec<Delivery>, Option<Stop>) {
        let mut deliveries = Vec::new();
        let mut stop = None;
        let Some(stream) = self.stream.clone() else { return (deliveries, stop) };
        for _ in 0..READS {
            let piece = &mut self.piece;
            match stream.try_read(|mut socket| socket.read(piece)) {
                Ok(0) => stop = Some(self.decoder.finish().err().map_or(Stop::Closed, Stop::Broken)),
                Ok(count) => {
                    let is_last = count < self.piece.len();
                    self.decoder.take(&self.piece[..count]);
                    let (found, error) = self.frames(shared, at);
                    deliveries.extend(found);
                    stop = error.map(Stop::Broken);
                    // the kernel had no more: wait for the next bytes without another read that only says so
                    if is_last && stop.is_none() {
                        stream.try_read(|_| Err::<(), _>(io::ErrorKind::WouldBlock.into())).ok();
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => stop = Some(Stop::Closed),
            }
            if stop.is_some() {
                self.is_open = false;
                break;
            }
        }
        (deliveries, stop)
    }

    fn frames(
        &mut self,
        shared: &Arc<Shared>,
        at: (usize, InstanceId),
    ) -> (Vec<Delivery>, Option<FrameError>) {
        let mut error = None;
        let deliveries = shared.turn(|turn| {
            loop {
                match self.decoder.next_frame() {
                    Ok(Some(frame)) => turn.frame(at, frame),
                    Ok(None) => return,
                    Err(found) => return error = Some(found),
                }
            }
        });
        (deliveries, error)
    }
}

/// Follows an instance until its process has ended.
pub(super) async fn follow(
    shared: Arc<Shared>,
    at: (usize, InstanceId),
    connection: Connection,
    changed: Arc<Notify>,
    mut updates: mpsc::Receiver<LaunchUpdate>,
) {
    let (stream, mut listening) = match connection {
        Connection::Connected(stream) => (Some(stream), None),
        Connection::Listening(socket) => (None, Some(socket)),
    };
    let decoder = Decoder::default();
    let mut reader = Reader { is_open: stream.is_some(), stream, decoder, piece: vec![0; PIECE_BYTES] };
    let closed = match shared.passing {
        SocketPassing::Inherited => PROCESS_CLOSED,
        SocketPassing::Mounted => CONTAINER_CLOSED,
    };
    // the time at which a process that has closed its socket is killed
    let mut kill_at: Option<Instant> = None;
    loop {
        let (has_unsent, due) = shared.lock().wants(at.0, at.1);
        let due = due.into_iter().chain(kill_at).min();
        let stream = reader.stream.clone();
        let deliveries = tokio::select! {
            biased;
            update = updates.recv() => match end_of(update) {
                Ok(LaunchEvent::Lines(lines)) => shared.turn(|turn| turn.lines(at, lines)),
                Ok(LaunchEvent::Running) => shared.turn(|turn| turn.step(at.0, Input::Running(at.1))),
                Ok(_) => Vec::new(),
                Err(end) => {
                    // what it wrote before its end counts
                    let (mut deliveries, _) = reader.read(&shared, at);
                    deliveries.extend(shared.turn(|turn| turn.ended(at, end)));
                    shared.deliver(deliveries).await;
                    return;
                }
            },
            accepted = connected(listening.as_ref()), if listening.is_some() => {
                // nobody else connects
                listening = None;
                match accepted {
                    Ok((stream, pid)) => {
                        let stream = Arc::new(stream);
                        (reader.stream, reader.is_open) = (Some(Arc::clone(&stream)), true);
                        shared.turn(|turn| turn.connected(at, stream, pid))
                    }
                    Err(error) => shared.turn(|turn| turn.broken(at, format!("no connection: {error}"))),
                }
            }
            // before the reads: an instance that never stops writing must still get a cancel
            () = changed.notified() => shared.turn(|turn| turn.flush(at)),
            () = until_readable(stream.as_deref()), if reader.is_open => {
                let (mut deliveries, stop) = reader.read(&shared, at);
                match stop {
                    None => {}
                    // a process that ends closes its socket first; its exit status says more
                    Some(Stop::Closed) => kill_at = Some(Instant::now() + closed),
                    Some(Stop::Broken(error)) => {
                        deliveries.extend(shared.turn(|turn| turn.broken(at, error.to_string())));
                    }
                }
                deliveries
            }
            () = until_writable(stream.as_deref()), if has_unsent => shared.turn(|turn| turn.flush(at)),
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if kill_at.take_if(|at| *at <= Instant::now()).is_some() && !shared.lock().is_stopping(at.0, at.1) {
                    let why = "it closed its socket and did not end".to_owned();
                    shared.turn(|turn| turn.broken(at, why))
                } else {
                    shared.turn(|turn| turn.on_time(at))
                }
            }
        };
        shared.deliver(deliveries).await;
    }
}

/// Waits for the program to connect, for ever without a socket.
async fn connected(socket: Option<&MountedSocket>) -> io::Result<(AsyncDescriptor<UnixStream>, Option<u32>)> {
    match socket {
        Some(socket) => socket.accept().await,
        None => std::future::pending().await,
    }
}

/// Waits for bytes of the instance, for ever without a socket. A read shows its errors.
async fn until_readable(socket: Option<&AsyncDescriptor<UnixStream>>) {
    match socket {
        Some(socket) => drop(socket.readable().await),
        None => std::future::pending().await,
    }
}

/// Waits until the socket takes bytes, for ever without one. It is registered for this only while bytes wait: otherwise
/// each read of the instance would wake this process.
async fn until_writable(socket: Option<&AsyncDescriptor<UnixStream>>) {
    let Some(socket) = socket else { return std::future::pending().await };
    match socket.get().try_clone().and_then(AsyncDescriptor::for_writing) {
        // after an error the next write says more
        Ok(watched) => watched.writable().await.unwrap_or_default(),
        // no descriptor is free
        Err(_) => sleep(NO_DESCRIPTOR).await,
    }
}

/// The last event of a launch without one: its task was dropped.
fn lost_end() -> LaunchEnd {
    LaunchEnd::failed(Failure::new(Blame::Platform, "lost", "the instance can no longer be followed"))
}

/// Whether an event ends the launch of an instance.
fn end_of(update: Option<LaunchUpdate>) -> Result<LaunchEvent, LaunchEnd> {
    match update.map(|update| update.event) {
        Some(LaunchEvent::Ended(end)) => Err(*end),
        Some(LaunchEvent::Lost) | None => Err(lost_end()),
        Some(event) => Ok(event),
    }
}
