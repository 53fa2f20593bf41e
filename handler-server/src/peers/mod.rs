//! The callers of a handler, as a ZeroMQ socket that was bound.
//!
//! *Guarantees.* A peer cannot end the server, hold up others or make it hold more than a message and the replies that
//! it has not read. What was sent to a peer is delivered before its connection closes, unless it does not read for five
//! seconds. *Limits.* The mechanism is NULL: who may connect is decided by the address.

mod connection;
mod endpoint;
mod socket;

use bytes::Bytes;
use connection::{ConnectionHandle, connect};
pub use endpoint::Endpoint;
use omq_proto::SocketType;
use socket::{Listener, Socket};
pub(crate) use socket::{SocketFile, bind_file};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Most connections at a time. Later ones wait.
const MAX_PEERS: usize = 1024;
/// Most subscriptions of one peer.
const MAX_TOPICS: usize = 1024;
/// Unsent bytes from which on a subscriber misses messages, and a receiver is passed over.
const MAX_BACKLOG: usize = 16 * 1024 * 1024;
/// Events of connections that wait for the server. Each may be a message of 16 MiB.
const EVENTS: usize = 32;
/// Time until a failed accept is tried again, for example when this process may open no more files.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Longest time for all connections to take what was sent.
const CLOSING: Duration = Duration::from_secs(6);

/// The number of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PeerId(u64);

/// What a connection says.
pub(crate) enum PeerEvent {
    /// Its handshake is complete.
    Ready(PeerId),
    /// It sent a message.
    Message(PeerId, Vec<Bytes>),
    /// It wants messages that begin with a topic.
    Subscribed(PeerId, Bytes),
    /// It does not want them any more.
    Unsubscribed(PeerId, Bytes),
    /// It is closed.
    Gone(PeerId),
}

struct Peer {
    connection: ConnectionHandle,
    is_ready: bool,
    /// Number of messages without a reply.
    owed: usize,
    /// Whether the connection closes with the last reply.
    is_leaving: bool,
    topics: Vec<Bytes>,
}

/// A bound socket and its connections.
pub(crate) struct Peers {
    role: SocketType,
    /// Most connections that have completed their handshake.
    most: usize,
    listener: Option<Listener>,
    connected: BTreeMap<PeerId, Peer>,
    /// The receivers of pushed messages, in turn.
    turn: VecDeque<PeerId>,
    last: u64,
    sender: mpsc::Sender<PeerEvent>,
    events: mpsc::Receiver<PeerEvent>,
    tasks: JoinSet<()>,
}

impl Peers {
    /// Binds a socket of this type, and returns the endpoint with its port.
    pub(crate) fn bind(role: SocketType, endpoint: &Endpoint) -> io::Result<(Self, Endpoint)> {
        let (listener, bound) = Listener::bind(endpoint)?;
        let (sender, events) = mpsc::channel(EVENTS);
        let peers = Self {
            role,
            most: if role == SocketType::Pair { 1 } else { MAX_PEERS },
            listener: Some(listener),
            connected: BTreeMap::new(),
            turn: VecDeque::new(),
            last: 0,
            sender,
            events,
            tasks: JoinSet::new(),
        };
        Ok((peers, bound))
    }

    /// Stops listening and reading. Each connection closes when it has its last reply.
    pub(crate) fn stop_listening(&mut self) {
        self.listener = None;
        self.connected.retain(|_, peer| peer.owed > 0);
        for peer in self.connected.values_mut() {
            peer.is_leaving = true;
            peer.connection.stop_reading();
        }
    }

    /// Listens again.
    pub(crate) fn listen(&mut self, endpoint: &Endpoint) -> io::Result<()> {
        self.listener = Some(Listener::bind(endpoint)?.0);
        Ok(())
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listener.is_some()
    }

    /// Waits for a message or a change of the receivers.
    pub(crate) async fn next(&mut self) -> PeerEvent {
        loop {
            let event = tokio::select! {
                event = self.events.recv() => event,
                socket = accept(self.listener.as_ref()), if self.connected.len() < MAX_PEERS => {
                    match socket {
                        Ok(socket) => self.add(socket),
                        Err(_) => sleep(ACCEPT_AGAIN).await,
                    }
                    continue;
                }
            };
            // this holds a sender, so the channel is open
            let Some(event) = event else { std::future::pending().await };
            if self.note(&event) {
                return event;
            }
        }
    }

    fn add(&mut self, socket: Socket) {
        while self.tasks.try_join_next().is_some() {}
        if self.ready().count() >= self.most {
            return;
        }
        self.last += 1;
        let id = PeerId(self.last);
        let (connection, follow) = connect(id, socket, self.role, self.sender.clone());
        self.tasks.spawn(follow);
        self.connected
            .insert(id, Peer { connection, is_ready: false, owed: 0, is_leaving: false, topics: Vec::new() });
    }

    /// Keeps the list of peers; whether the event matters to the server.
    fn note(&mut self, event: &PeerEvent) -> bool {
        match event {
            PeerEvent::Ready(id) => {
                if self.ready().count() >= self.most {
                    self.connected.remove(id);
                    return false;
                }
                if let Some(peer) = self.connected.get_mut(id) {
                    peer.is_ready = true;
                    self.turn.push_back(*id);
                }
            }
            PeerEvent::Subscribed(id, topic) => {
                let Some(peer) = self.connected.get_mut(id) else { return false };
                peer.topics.push(topic.clone());
                if peer.topics.len() > MAX_TOPICS {
                    self.connected.remove(id);
                }
            }
            PeerEvent::Unsubscribed(id, topic) => {
                let Some(peer) = self.connected.get_mut(id) else { return false };
                if let Some(at) = peer.topics.iter().position(|own| own == topic) {
                    peer.topics.swap_remove(at);
                }
            }
            PeerEvent::Gone(id) => {
                self.connected.remove(id);
                self.turn.retain(|known| known != id);
            }
            PeerEvent::Message(id, _) => {
                let Some(peer) = self.connected.get_mut(id) else { return false };
                peer.owed += 1;
            }
        }
        true
    }

    fn ready(&self) -> impl Iterator<Item = &Peer> {
        self.connected.values().filter(|peer| peer.is_ready)
    }

    /// Sends a reply. A caller that is gone gets nothing.
    pub(crate) fn reply(&mut self, to: PeerId, frames: Vec<Bytes>) {
        let Some(peer) = self.connected.get_mut(&to) else { return };
        peer.connection.send(frames);
        peer.owed = peer.owed.saturating_sub(1);
        if peer.is_leaving && peer.owed == 0 {
            self.connected.remove(&to);
        }
    }

    /// Sends a message to every subscriber of its first frame. A subscriber that does not read misses it.
    pub(crate) fn publish(&self, frames: &[Bytes]) {
        let topic = frames.first().map(AsRef::as_ref).unwrap_or_default();
        let wants = |peer: &&Peer| {
            peer.topics.iter().any(|own| topic.starts_with(own)) && peer.connection.unsent() < MAX_BACKLOG
        };
        self.ready().filter(wants).for_each(|peer| peer.connection.send(frames.to_vec()));
    }

    /// Sends a message to the next receiver that has room; without one, the message comes back.
    pub(crate) fn push(&mut self, frames: Vec<Bytes>) -> Result<(), Vec<Bytes>> {
        let has_room =
            |id: &PeerId| self.connected.get(id).is_some_and(|peer| peer.connection.unsent() < MAX_BACKLOG);
        let Some(at) = self.turn.iter().position(has_room) else { return Err(frames) };
        self.turn.rotate_left(at + 1);
        // a receiver that has just gone loses it, as everything on its way to it
        if let Some(peer) = self.turn.back().and_then(|id| self.connected.get(id)) {
            peer.connection.send(frames);
        }
        Ok(())
    }

    /// Closes all connections when they have taken what was sent to them, or after a few seconds.
    pub(crate) async fn close(mut self) {
        self.listener = None;
        self.connected.clear();
        drop(self.events);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        // connections that take longer are cut
        timeout(CLOSING, all).await.ok();
    }
}

async fn accept(listener: Option<&Listener>) -> io::Result<Socket> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}
