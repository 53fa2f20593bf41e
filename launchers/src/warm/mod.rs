//! The launcher of warm handlers: instances of a program serve many orders over a socket. A process inherits it, and a
//! container gets it mounted.
//!
//! It wraps the launcher of processes or that of containers. The other launcher starts and follows the instances as any
//! program. Processes die with this process; a container ends when its socket closes, and a later process of the caller
//! removes it. [`pop_warm::Pool`] decides; this module moves the bytes and measures time (docs/warm.md).

mod delivery;
mod follow;
mod instance;
mod mounted_socket;
mod operation;
mod state;

use crate::port::{
    Doing, InstanceSocket, LaunchId, LaunchOrder, LaunchUpdate, Launcher, MOUNTED_SOCKET, PreparedLaunch,
};
use crate::secrets::Secrets;
use delivery::Delivery;
use pop_contract::Failure;
use pop_warm::{Input, RequestId, SOCKET_VARIABLE};
use state::{State, Turn};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep_until, timeout};

/// Longest time for all instances to end when the launcher is closed.
const CLOSING: Duration = Duration::from_secs(20);

/// Launches orders for warm handlers as operations of an instance, and all others through another launcher.
///
/// *Guarantees.* There are no more instances of a handler than its settings allow, and none is left after
/// [`close`](Launcher::close). *Assumptions.* As those of the other launcher.
pub struct WarmLauncher {
    shared: Arc<Shared>,
}

/// How an instance gets its socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SocketPassing {
    /// Its process inherits it.
    Inherited,
    /// It is mounted into its container.
    Mounted,
}

pub(super) struct Shared {
    inner: Arc<dyn Launcher>,
    passing: SocketPassing,
    secrets: Secrets,
    state: Mutex<State>,
    /// Wakes the task that waits for the deadlines of pools.
    wake: Arc<Notify>,
    /// Notified when an instance has ended.
    progressed: Notify,
}

impl WarmLauncher {
    /// A launcher that starts instances, and everything that is not warm, as processes through `inner`. `secrets` hides
    /// values in the output of operations.
    pub fn new(inner: Arc<dyn Launcher>, secrets: Secrets) -> Self {
        Self::of(inner, SocketPassing::Inherited, secrets)
    }

    /// As [`new`](Self::new), with a launcher of containers of this machine.
    pub fn of_containers(inner: Arc<dyn Launcher>, secrets: Secrets) -> Self {
        Self::of(inner, SocketPassing::Mounted, secrets)
    }

    /// Completes a warm order to that of the first instance in a container, for a preview.
    pub fn preview_container(order: &mut LaunchOrder) {
        if order.warm.is_some() {
            let socket =
                order.log.as_deref().and_then(Path::parent).map(|logs| sockets_beside(logs).join("1"));
            order.socket = socket.map(InstanceSocket::Mounted);
            order.program.env.push((SOCKET_VARIABLE.to_owned(), MOUNTED_SOCKET.to_owned()));
        }
    }

    fn of(inner: Arc<dyn Launcher>, passing: SocketPassing, secrets: Secrets) -> Self {
        let shared = Shared {
            inner,
            passing,
            secrets,
            state: Mutex::new(State::new(Instant::now())),
            wake: Arc::new(Notify::new()),
            progressed: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }
}

/// The folder of mounted sockets of a run with this folder of logs.
fn sockets_beside(logs: &Path) -> PathBuf {
    logs.with_file_name("sockets")
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and returns what must be done without the lock.
    fn turn(self: &Arc<Self>, change: impl FnOnce(&mut Turn<'_>)) -> Vec<Delivery> {
        let mut state = self.lock();
        let mut turn = Turn { shared: self, state: &mut state, now: Instant::now(), out: Vec::new() };
        change(&mut turn);
        turn.out
    }

    /// Carries out deliveries; waits while the receiver of updates is busy.
    async fn deliver(&self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            match delivery {
                // the channel is closed only if the caller is gone
                Delivery::Update(events, update) => drop(events.send(update).await),
                Delivery::Launch(id, order, events) => self.inner.launch(id, *order, &events),
            }
        }
    }

    /// Carries out deliveries without waiting.
    fn deliver_soon(self: &Arc<Self>, deliveries: Vec<Delivery>) {
        if !deliveries.is_empty() {
            let shared = Arc::clone(self);
            tokio::spawn(async move { shared.deliver(deliveries).await });
        }
    }
}

/// Wakes the pools at their deadlines, until the launcher is gone.
async fn keep_time(shared: Weak<Shared>, wake: Arc<Notify>) {
    loop {
        let Some(due) = shared.upgrade().map(|shared| shared.lock().set_alarm()) else { return };
        tokio::select! {
            () = wake.notified() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                let Some(shared) = shared.upgrade() else { return };
                let deliveries = shared.turn(|turn| turn.step_all(Input::Time));
                shared.deliver(deliveries).await;
            }
        }
    }
}

impl Launcher for WarmLauncher {
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
        // an instance ends with its launcher, so the other launcher reports an earlier launch as lost, unless its program
        // was run once in a container
        if order.warm.is_none() || order.again {
            self.shared.inner.launch(id, order, events);
            return;
        }
        let is_first = !std::mem::replace(&mut self.shared.lock().has_keeper, true);
        if is_first {
            tokio::spawn(keep_time(Arc::downgrade(&self.shared), Arc::clone(&self.shared.wake)));
        }
        self.shared.deliver_soon(self.shared.turn(|turn| turn.request(id, order, events)));
    }

    fn prepare(
        &self,
        id: LaunchId,
        order: LaunchOrder,
        events: &mpsc::Sender<LaunchUpdate>,
    ) -> Option<Box<dyn PreparedLaunch>> {
        if order.warm.is_none() {
            return self.shared.inner.prepare(id, order, events);
        }
        self.launch(id, order, events);
        None
    }

    fn stop(&self, id: LaunchId, force: bool) {
        let pool = self.shared.lock().pool_of(id);
        match pool {
            None => self.shared.inner.stop(id, force),
            Some(pool) => {
                let input = Input::Cancel { id: RequestId(id.0), kill: force };
                self.shared.deliver_soon(self.shared.turn(|turn| turn.step(pool, input)));
            }
        }
    }

    fn retire(&self, lane: u32) {
        self.shared.deliver_soon(self.shared.turn(|turn| turn.retire(lane)));
    }

    fn settle(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            // one turn of the loop for the events of the kernel, and one for the tasks that they wake
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            self.shared.inner.settle().await;
        })
    }

    fn pause(&self) {
        self.shared.inner.pause();
    }

    fn resume(&self, paused: Duration) {
        self.shared.lock().postpone(paused);
        self.shared.inner.resume(paused);
    }

    fn release(&self, id: LaunchId) {
        self.shared.inner.release(id);
    }

    fn reach(&self) -> Doing<'_, Result<(), Failure>> {
        self.shared.inner.reach()
    }

    fn close(&self) -> Doing<'_, ()> {
        Box::pin(async move {
            self.shared.deliver(self.shared.turn(|turn| turn.step_all(Input::Close))).await;
            let ended = async {
                loop {
                    let progressed = self.shared.progressed.notified();
                    if !self.shared.lock().has_instances() {
                        return;
                    }
                    progressed.await;
                }
            };
            // an instance that cannot be killed is left to the other launcher
            timeout(CLOSING, ended).await.ok();
            self.shared.inner.close().await;
        })
    }
}

impl Drop for WarmLauncher {
    fn drop(&mut self) {
        self.shared.wake.notify_one();
    }
}
