//! One connection: its handshake, its messages, and what it may hold.

use super::socket::Socket;
use super::{PeerEvent, PeerId};
use bytes::Bytes;
use omq_proto::proto::command::Command;
use omq_proto::proto::connection::{Connection, ConnectionConfig, Event, Role};
use omq_proto::{Message, SocketType};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Largest message of a peer, in bytes; a peer that announces a larger one is disconnected.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;
/// Room for the frames around a body of [`MAX_MESSAGE`], in bytes.
const MAX_FRAMES: usize = 64 * 1024;
/// Time in which a peer must complete its handshake.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// Time in which a peer must take what was promised to it when the connection is closed.
const LINGER: Duration = Duration::from_secs(5);
/// Unsent bytes from which on nothing more is read from a peer.
const MAX_UNSENT: usize = 1024 * 1024;
/// Bytes of one read.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces of one write.
const PIECES: usize = 64;

/// What the server tells a connection.
pub(super) enum ConnectionCommand {
    /// Send a message.
    Send(Vec<Bytes>),
    /// Read nothing more.
    StopReading,
}

/// The side of a connection that the server keeps. The connection closes, after sending what it has, when it is
/// dropped.
pub(super) struct ConnectionHandle {
    commands: mpsc::UnboundedSender<ConnectionCommand>,
    /// Bytes of messages that the socket has not taken yet.
    unsent: Arc<AtomicUsize>,
}

impl ConnectionHandle {
    pub(super) fn send(&self, frames: Vec<Bytes>) {
        self.unsent.fetch_add(size(&frames), Ordering::Relaxed);
        // a connection that is gone takes nothing
        self.commands.send(ConnectionCommand::Send(frames)).ok();
    }

    pub(super) fn stop_reading(&self) {
        // a connection that is gone reads nothing
        self.commands.send(ConnectionCommand::StopReading).ok();
    }

    /// Bytes that wait for the peer.
    pub(super) fn unsent(&self) -> usize {
        self.unsent.load(Ordering::Relaxed)
    }
}

fn size(frames: &[Bytes]) -> usize {
    frames.iter().map(Bytes::len).sum()
}

/// The future that follows a connection, and the server's side of it.
pub(super) fn connect(
    id: PeerId,
    socket: Socket,
    role: SocketType,
    events: mpsc::Sender<PeerEvent>,
) -> (ConnectionHandle, impl Future<Output = ()> + Send) {
    let (sender, commands) = mpsc::unbounded_channel();
    let unsent = Arc::new(AtomicUsize::new(0));
    let config = ConnectionConfig::new(Role::Server, role).max_message_size(MAX_MESSAGE + MAX_FRAMES);
    let session = Session {
        id,
        role,
        socket,
        zmtp: Connection::new(config),
        held: 0,
        unsent: Arc::clone(&unsent),
        piece: vec![0; PIECE_BYTES],
        silent_at: None,
        silence: None,
    };
    let follow = async move {
        session.follow(&events, commands).await;
        // the server may be gone
        events.send(PeerEvent::Gone(id)).await.ok();
    };
    (ConnectionHandle { commands: sender, unsent }, follow)
}

struct Session {
    id: PeerId,
    role: SocketType,
    socket: Socket,
    zmtp: Connection,
    /// Bytes of the messages that the codec holds; given back when all are sent.
    held: usize,
    unsent: Arc<AtomicUsize>,
    piece: Vec<u8>,
    /// Time at which a peer that has announced heartbeats counts as gone.
    silent_at: Option<Instant>,
    silence: Option<Duration>,
}

impl Session {
    /// Follows the connection to its end. An error of the peer ends the connection and nothing else.
    async fn follow(
        mut self,
        events: &mpsc::Sender<PeerEvent>,
        mut commands: mpsc::UnboundedReceiver<ConnectionCommand>,
    ) {
        let handshake = Instant::now() + HANDSHAKE;
        let mut stops_reading = false;
        let mut close_at: Option<Instant> = None;
        loop {
            if self.write().is_err() {
                return;
            }
            let is_ready = self.zmtp.is_ready();
            let has_unsent = self.zmtp.has_pending_transmit();
            if close_at.is_some() && !has_unsent {
                return;
            }
            let reads = !stops_reading && self.zmtp.pending_transmit_size() < MAX_UNSENT;
            let due =
                [close_at, (!is_ready).then_some(handshake), self.silent_at].into_iter().flatten().min();
            tokio::select! {
                biased;
                command = commands.recv(), if is_ready && close_at.is_none() => match command {
                    Some(ConnectionCommand::Send(frames)) => {
                        self.held += size(&frames);
                        if self.zmtp.send_message(&Message::multipart(frames)).is_err() {
                            return;
                        }
                    }
                    Some(ConnectionCommand::StopReading) => stops_reading = true,
                    None => {
                        stops_reading = true;
                        close_at = Some(Instant::now() + LINGER);
                    }
                },
                _ = self.socket.writable(), if has_unsent => {}
                _ = self.socket.readable(), if reads => match self.read() {
                    Ok(found) => for event in found {
                        // the server is closing: what it has sent is still delivered
                        stops_reading |= events.send(event).await.is_err();
                    },
                    Err(()) => return,
                },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => return,
            }
        }
    }

    /// Writes what the socket takes.
    fn write(&mut self) -> io::Result<()> {
        while self.zmtp.has_pending_transmit() {
            let written = self.socket.try_write(&self.zmtp.transmit_chunks_capped(PIECES));
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.zmtp.advance_transmit(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent.fetch_sub(std::mem::take(&mut self.held), Ordering::Relaxed);
        Ok(())
    }

    /// Reads once. Any error ends the connection.
    fn read(&mut self) -> Result<Vec<PeerEvent>, ()> {
        let count = match self.socket.try_read(&mut self.piece) {
            Ok(0) => return Err(()),
            Ok(count) => count,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                return Ok(Vec::new());
            }
            Err(_) => return Err(()),
        };
        if count < self.piece.len() {
            // the kernel has no more: wait for the next bytes without another read that only says so
            self.socket.wait_for_more();
        }
        let mut found = Vec::new();
        let fed = self.zmtp.handle_input(Bytes::copy_from_slice(&self.piece[..count]));
        self.take(&mut found)?;
        let mut result = fed;
        while result.is_ok() && self.zmtp.has_pending_input() {
            result = self.zmtp.resume_input();
            self.take(&mut found)?;
        }
        self.silence = self.zmtp.peer_heartbeat_ttl().filter(|ttl| !ttl.is_zero()).or(self.silence);
        self.silent_at = self.silence.map(|silence| Instant::now() + silence);
        // messages before the error count
        if result.is_err() && found.is_empty() { Err(()) } else { Ok(found) }
    }

    fn take(&mut self, found: &mut Vec<PeerEvent>) -> Result<(), ()> {
        while let Some(event) = self.zmtp.poll_event() {
            found.push(match event {
                Event::HandshakeSucceeded { .. } => PeerEvent::Ready(self.id),
                Event::Command(Command::Subscribe(topic)) => PeerEvent::Subscribed(self.id, topic),
                Event::Command(Command::Cancel(topic)) => PeerEvent::Unsubscribed(self.id, topic),
                Event::Command(Command::Error { .. }) => return Err(()),
                // messages have a queue of their own; other commands have no meaning here
                Event::Message(_) | Event::Command(_) => continue,
            });
        }
        while let Some(message) = self.zmtp.poll_message() {
            let frames: Vec<Bytes> = (0..message.len()).filter_map(|at| message.part_bytes(at)).collect();
            found.extend(match self.role {
                SocketType::Pub => subscription(self.id, &frames),
                _ => Some(PeerEvent::Message(self.id, frames)),
            });
        }
        Ok(())
    }
}

/// A subscription in the form of ZMTP 3.0: a message that begins with 1, or with 0 to end it.
fn subscription(id: PeerId, frames: &[Bytes]) -> Option<PeerEvent> {
    let only = frames.first()?;
    let topic = only.slice(1.min(only.len())..);
    match only.first()? {
        1 => Some(PeerEvent::Subscribed(id, topic)),
        0 => Some(PeerEvent::Unsubscribed(id, topic)),
        _ => None,
    }
}
