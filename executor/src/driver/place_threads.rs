//! Threads that run short programs, one after the other.
//!
//! A place thread starts a program and waits for its end. It then takes the turn of the run itself, and starts a program
//! that this turn has launched. So a run of short programs hands nothing from one thread to another. A program that is not
//! short passes to the event loop, and its thread takes the next one. A thread is added when a launch finds none free; when
//! the most are busy, the launch starts at once and the event loop follows it.

use super::places::Places;
use super::turn::Core;
use pop_launchers::{LaunchUpdate, PreparedLaunch};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use tokio::runtime::Handle;
use tokio::sync::Notify;

/// Most place threads of a run.
const MOST: usize = 16;

/// The state of a run, shared by the event loop and the place threads.
pub(super) struct Shared {
    core: Mutex<Core>,
    /// Wakes idle place threads.
    ready: Condvar,
    /// Wakes the event loop.
    call: Notify,
    runtime: Handle,
}

impl Shared {
    pub(super) fn new(core: Core) -> Arc<Self> {
        Arc::new(Self {
            core: Mutex::new(core),
            ready: Condvar::new(),
            call: Notify::new(),
            runtime: Handle::current(),
        })
    }

    /// The state of the run. After a panic in the midst of a turn, the panic continues here: no further event is recorded.
    pub(super) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(|poisoned| {
            let panic = poisoned.into_inner().places.panic.take();
            resume_unwind(panic.unwrap_or_else(|| Box::new("another thread of the run has panicked")))
        })
    }

    /// The state of a run that ends, whether or not a thread has panicked.
    fn lock_to_end(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a place thread calls the event loop. A panic of such a thread continues here.
    pub(super) async fn called(&self) {
        self.call.notified().await;
        let panic = self.lock().places.panic.take();
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }

    /// Starts the launches that wait, on place threads or here.
    pub(super) fn start_waiting(self: &Arc<Self>, mut core: MutexGuard<'_, Core>) {
        let here = self.share_out(&mut core.places);
        drop(core);
        here.into_iter().for_each(PreparedLaunch::start);
    }

    /// Calls a thread for each launch that waits. Returns the launches for which there is none.
    fn share_out(self: &Arc<Self>, places: &mut Places) -> Vec<Box<dyn PreparedLaunch>> {
        let mut here = Vec::new();
        while places.waiting.len() > places.calls + places.starting {
            if places.idle > 0 {
                places.idle -= 1;
                places.calls += 1;
                self.ready.notify_one();
            } else if places.has_begun && places.threads.len() < MOST && self.add_thread(places) {
                places.starting += 1;
            } else {
                here.extend(places.waiting.pop_front());
            }
            places.has_begun = true;
        }
        here
    }

    /// Adds a thread. False if the system has no resources for it.
    fn add_thread(self: &Arc<Self>, places: &mut Places) -> bool {
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name("place".to_owned()).spawn(move || {
            let _entered = shared.runtime.enter();
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| shared.work())) {
                shared.lock_to_end().places.panic.get_or_insert(panic);
                shared.call.notify_one();
            }
        });
        thread.map(|thread| places.threads.push(thread)).is_ok()
    }

    /// Runs launches until the run is over.
    fn work(self: &Arc<Self>) {
        let mut core = self.lock();
        core.places.starting -= 1;
        loop {
            while let Some(first) = core.places.waiting.pop_front() {
                drop(core);
                let mut next = Some(first);
                while let Some(launch) = next {
                    next = self.run(launch);
                }
                core = self.lock();
            }
            core.places.idle += 1;
            let is_idle = |core: &mut Core| core.places.calls == 0 && !core.places.is_closed;
            core = self.ready.wait_while(core, is_idle).unwrap_or_else(PoisonError::into_inner);
            if core.places.is_closed {
                return;
            }
            core.places.calls -= 1;
        }
    }

    /// Runs a program while it is short, and takes the turn that its end causes. Returns the next launch for this thread.
    fn run(self: &Arc<Self>, launch: Box<dyn PreparedLaunch>) -> Option<Box<dyn PreparedLaunch>> {
        let id = launch.id();
        let mut next = None;
        launch.run(&mut |events| {
            let mut core = self.lock();
            for event in events {
                core.accept(LaunchUpdate { id, event });
            }
            core.turn();
            if core.needs_event_loop() {
                self.call.notify_one();
            }
            next = core.places.waiting.pop_front();
            self.start_waiting(core);
        });
        next
    }

    /// Ends all threads. Launches that wait are dropped.
    pub(super) fn close(&self) {
        let threads = {
            let mut core = self.lock_to_end();
            core.drop_waiting();
            core.places.is_closed = true;
            std::mem::take(&mut core.places.threads)
        };
        self.ready.notify_all();
        for thread in threads {
            // its panics are caught
            thread.join().ok();
        }
    }
}
