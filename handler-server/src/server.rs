//! The server: callers, instances and manager in one loop.

mod manager;
mod metrics;
mod work;

use crate::control::Control;
use crate::dispatcher::{Dispatcher, Input, InstanceId, RequestId};
use crate::envelope::{Envelope, addressed};
use crate::error::ServeError;
use crate::instances::Instances;
use crate::kind::ServeKind;
use crate::message::{BadRequest, Echo, Reply, Request};
use crate::outbox::Outbox;
use crate::peers::{Endpoint, PeerEvent, PeerId, Peers};
use crate::routes::refusal;
use crate::settings::ServeSettings;
use bytes::Bytes;
use metrics::Counts;
use omq_proto::SocketType;
use pop_launchers::{HandlerProgram, LaunchUpdate};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet, VecDeque};
use std::pin::pin;
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep_until};

/// Most bytes of requests that wait.
const WAITING_BYTES: usize = 256 * 1024 * 1024;
/// Events that an observer may be behind.
const EVENTS: usize = 1024;

/// A request without a reply.
struct PendingRequest {
    from: PeerId,
    envelope: Envelope,
    request: Request,
    bytes: usize,
    arrived: Instant,
}

/// Serves a handler until it is closed.
pub struct Server {
    settings: ServeSettings,
    endpoint: Endpoint,
    /// Where subscribers and receivers connect.
    send_endpoint: Option<Endpoint>,
    front: Peers,
    receivers: Option<Peers>,
    outbox: Outbox,
    dispatcher: Dispatcher,
    instances: Option<Instances>,
    updates: mpsc::Receiver<LaunchUpdate>,
    pending: HashMap<RequestId, PendingRequest>,
    last: u64,
    waiting_bytes: usize,
    /// Replies of requests whose instance has finished.
    replies: HashMap<RequestId, Reply>,
    /// Times at which requests exceed their limit, and at which instances are killed.
    limits: VecDeque<(Instant, InstanceId, RequestId)>,
    kills: VecDeque<(Instant, InstanceId, Option<RequestId>)>,
    timed_out: HashSet<RequestId>,
    has_started: bool,
    /// Why the frontend does not listen, if it should.
    frontend_problem: Option<String>,
    events: broadcast::Sender<Value>,
    notify: Box<dyn FnMut(&str) + Send>,
    /// When the handler was asked to close, the time at which it stops waiting for requests in hand.
    closing: Option<Instant>,
    counts: Counts,
}

impl Server {
    /// Binds the endpoints. `notify` gets what the user should know, a line each.
    pub fn bind(
        settings: ServeSettings,
        notify: impl FnMut(&str) + Send + 'static,
    ) -> Result<Self, ServeError> {
        let kind = settings.kind;
        let role = if kind == ServeKind::Pair { SocketType::Pair } else { SocketType::Router };
        let listen = |role, endpoint: &Endpoint| {
            Peers::bind(role, endpoint)
                .map_err(|source| ServeError::Bind { endpoint: endpoint.clone(), source })
        };
        let (front, endpoint) = listen(role, &settings.bind)?;
        let sends = match kind {
            ServeKind::Publisher => Some(listen(SocketType::Pub, &settings.send_to)?),
            ServeKind::Pusher => Some(listen(SocketType::Push, &settings.send_to)?),
            _ => None,
        };
        let (receivers, send_endpoint) = sends.unzip();
        let (sender, updates) = mpsc::channel(256);
        let ServeSettings { program, grace, logs, instances, max_instances, queue, .. } = &settings;
        let start = |program: &HandlerProgram| Instances::new(program.clone(), *grace, logs.clone(), sender);
        let instances_of = program.as_ref().map(start).transpose().map_err(ServeError::Folder)?;
        Ok(Self {
            dispatcher: Dispatcher::new(*instances, kind.limit(*max_instances), *queue),
            outbox: Outbox::new(*queue),
            instances: instances_of,
            endpoint,
            send_endpoint,
            front,
            receivers,
            updates,
            pending: HashMap::new(),
            last: 0,
            waiting_bytes: 0,
            replies: HashMap::new(),
            limits: VecDeque::new(),
            kills: VecDeque::new(),
            timed_out: HashSet::new(),
            has_started: false,
            frontend_problem: None,
            events: broadcast::channel(EVENTS).0,
            notify: Box::new(notify),
            closing: None,
            counts: Counts::default(),
            settings,
        })
    }

    /// Where requests and triggers go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where subscribers or receivers connect.
    pub fn send_endpoint(&self) -> Option<&Endpoint> {
        self.send_endpoint.as_ref()
    }

    /// Serves until the manager closes the handler or a stop request comes: the first closes it, the second ends it at once.
    pub async fn run<S>(
        mut self,
        mut controls: mpsc::Receiver<Control>,
        mut stop: mpsc::UnboundedReceiver<S>,
    ) -> Result<(), ServeError> {
        if self.settings.kind.runs_program() {
            let actions = self.dispatcher.step(Input::StartInstances);
            self.perform(actions);
        } else {
            self.ready();
        }
        let failed = loop {
            if self.closing.is_some() && self.dispatcher.in_hand() == 0 {
                break None;
            }
            let due = self.due();
            // not biased: callers that never pause must not keep out the manager and signals
            tokio::select! {
                Some(update) = self.updates.recv() => {
                    if let Some(failed) = self.on_launch_event(update) {
                        break Some(failed);
                    }
                }
                event = self.front.next() => self.on_peer_event(event),
                event = next_of(self.receivers.as_mut()) => self.on_receiver_event(&event),
                Some(control) = controls.recv() => self.control(control),
                Some(_) = stop.recv() => if self.closing.is_some() { break None } else { self.begin_close() },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => self.on_time(),
            }
        };
        self.finish().await;
        failed.map_or(Ok(()), Err)
    }

    /// The handler can serve.
    fn ready(&mut self) {
        if !std::mem::replace(&mut self.has_started, true) {
            self.emit(json!({"event": "ready"}));
        }
    }

    fn emit(&self, event: Value) {
        // nobody may be listening
        self.events.send(event).ok();
    }

    /// A caller said something.
    fn on_peer_event(&mut self, event: PeerEvent) {
        let PeerEvent::Message(from, frames) = event else { return };
        let arrived = Instant::now();
        let (envelope, body) = Envelope::open(frames);
        match Request::parse(&body) {
            Err(BadRequest { why, echo }) => {
                self.counts.answered(REFUSED, arrived.elapsed());
                self.reply(from, envelope, &echo, &Reply::fail(why));
            }
            Ok(request) if self.settings.kind.runs_program() => {
                let program = self.settings.program.as_ref();
                if let Some(unknown) = program.and_then(|program| refusal(&program.entry, &request.command)) {
                    self.counts.answered(REFUSED, arrived.elapsed());
                    return self.reply(from, envelope, &request.echo, &Reply::fail(unknown));
                }
                if self.waiting_bytes + body.len() > WAITING_BYTES {
                    self.counts.answered("queue-full", arrived.elapsed());
                    return self.reply(from, envelope, &request.echo, &Reply::fail(QUEUE_FULL));
                }
                self.last += 1;
                let id = RequestId(self.last);
                self.waiting_bytes += body.len();
                self.pending
                    .insert(id, PendingRequest { from, envelope, request, bytes: body.len(), arrived });
                let actions = self.dispatcher.step(Input::Request(id));
                self.perform(actions);
            }
            Ok(request) => {
                let reply = self.trigger(&request, body);
                self.counts.answered(if reply.is_ok() { "ok" } else { "failed" }, arrived.elapsed());
                self.reply(from, envelope, &request.echo, &reply);
            }
        }
    }

    /// A message for subscribers or receivers.
    fn trigger(&mut self, request: &Request, body: Bytes) -> Reply {
        if self.closing.is_some() {
            return Reply::fail(CLOSED);
        }
        if !self.outbox.add(addressed(&request.command, body)) {
            return Reply::fail(BROADCAST_FULL);
        }
        self.flush_outbox();
        Reply::ok(json!({}))
    }

    fn flush_outbox(&mut self) {
        let Some(receivers) = &mut self.receivers else { return };
        if self.settings.kind == ServeKind::Publisher {
            self.outbox.flush(|message| {
                receivers.publish(&message);
                Ok(())
            });
        } else {
            self.outbox.flush(|message| receivers.push(message));
        }
    }

    fn on_receiver_event(&mut self, event: &PeerEvent) {
        if matches!(event, PeerEvent::Ready(_)) {
            self.flush_outbox();
        }
    }

    fn reply(&mut self, to: PeerId, envelope: Envelope, echo: &Echo, reply: &Reply) {
        self.front.reply(to, envelope.seal(reply.body(echo)));
    }

    fn begin_close(&mut self) {
        if self.closing.is_none() {
            self.closing = Some(Instant::now() + self.settings.grace);
            self.emit(json!({"event": "close"}));
            self.front.stop_listening();
            let actions = self.dispatcher.step(Input::Close);
            self.perform(actions);
        }
    }

    /// Answers what is left, ends all instances and delivers all replies.
    async fn finish(mut self) {
        let actions = self.dispatcher.step(Input::Close);
        self.perform(actions);
        let actions = self.dispatcher.step(Input::StopInstances);
        self.perform(actions);
        if self.outbox.len() > 0 {
            let undelivered = format!("{} messages were not delivered", self.outbox.len());
            (self.notify)(&undelivered);
        }
        let close_instances = async {
            if let Some(instances) = self.instances {
                instances.close().await;
            }
        };
        let close_receivers = async {
            if let Some(receivers) = self.receivers {
                receivers.close().await;
            }
        };
        let mut updates = self.updates;
        // a launcher waits until its updates are taken
        let drain = async {
            while updates.recv().await.is_some() {}
            std::future::pending::<()>().await;
        };
        let close = async { tokio::join!(close_instances, self.front.close(), close_receivers) };
        tokio::select! {
            _ = pin!(close) => {}
            () = drain => {}
        }
        self.events.send(json!({"event": "closed"})).ok();
    }
}

/// The words of SDS for a full queue of requests.
const QUEUE_FULL: &str = "queue is full";
/// The words of SDS for a full queue of messages that are to be sent on.
const BROADCAST_FULL: &str = "broadcasting queue full";
const CLOSED: &str = "the handler is closing";
/// Outcome of a request that is none, or that the handler does not know.
const REFUSED: &str = "refused";

async fn next_of(peers: Option<&mut Peers>) -> PeerEvent {
    match peers {
        Some(peers) => peers.next().await,
        None => std::future::pending().await,
    }
}
