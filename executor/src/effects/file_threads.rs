//! Threads for work on files: large files take seconds, and the thread of the locks must stay free.

use std::cell::LazyCell;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// Work for one of the threads.
pub(super) type Task = Box<dyn FnOnce() + Send>;

/// Threads that start when they are needed and end with this value.
pub(super) struct FileThreads {
    tasks: Sender<Task>,
    queue: Arc<Mutex<Receiver<Task>>>,
    /// Tasks that are queued or carried out.
    open: Arc<AtomicUsize>,
    started: usize,
    most: LazyCell<usize>,
}

impl FileThreads {
    pub(super) fn new() -> Self {
        let (tasks, queue) = channel();
        // digests are limited by processors, reads by disks
        let most: LazyCell<usize> =
            LazyCell::new(|| thread::available_parallelism().map_or(2, NonZero::get).clamp(2, 8));
        Self {
            tasks,
            queue: Arc::new(Mutex::new(queue)),
            open: Arc::new(AtomicUsize::new(0)),
            started: 0,
            most,
        }
    }

    /// Carries out a task on one of the threads. If no thread can be started, this one carries it out.
    pub(super) fn run(&mut self, task: Task) {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        if open >= self.started && self.started < *self.most {
            let (queue, open) = (Arc::clone(&self.queue), Arc::clone(&self.open));
            let thread = thread::Builder::new().name("files".to_owned()).spawn(move || work(&queue, &open));
            self.started += usize::from(thread.is_ok());
        }
        if self.started == 0 {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return task();
        }
        // the queue lives as long as this value
        self.tasks.send(task).ok();
    }
}

fn work(queue: &Mutex<Receiver<Task>>, open: &AtomicUsize) {
    loop {
        let task = match queue.lock() {
            Ok(queue) => queue.recv(),
            Err(_) => return,
        };
        let Ok(task) = task else { return };
        task();
        open.fetch_sub(1, Ordering::Relaxed);
    }
}
