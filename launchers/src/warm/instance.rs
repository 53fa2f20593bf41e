//! One instance: its socket, its name and its own log.

use crate::log::Log;
use crate::port::LaunchId;
use crate::process::AsyncDescriptor;
use pop_warm::frame::{Kind, write};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use tokio::sync::Notify;

pub(super) struct Instance {
    /// The launch of its process.
    pub(super) launch: LaunchId,
    pub(super) name: Box<str>,
    /// The connected socket; `None` until the program of a container has connected.
    pub(super) stream: Option<Arc<AsyncDescriptor<UnixStream>>>,
    /// Wakes the task that follows it.
    pub(super) changed: Arc<Notify>,
    /// Bytes that the socket did not take yet.
    unsent: Vec<u8>,
    /// The operations in hand.
    pub(super) in_hand: Vec<LaunchId>,
    /// The process whose memory counts.
    pub(super) pid: Option<u32>,
    /// What it printed while it served no operation, or several.
    pub(super) log: Log,
    /// Why it was killed, if it broke the protocol.
    pub(super) breach: Option<String>,
}

impl Instance {
    pub(super) fn new(
        launch: LaunchId,
        name: Box<str>,
        stream: Option<Arc<AsyncDescriptor<UnixStream>>>,
        changed: Arc<Notify>,
        log: Log,
    ) -> Self {
        Self {
            launch,
            name,
            stream,
            changed,
            unsent: Vec::new(),
            in_hand: Vec::new(),
            pid: None,
            log,
            breach: None,
        }
    }

    /// Sends a frame soon: the task that follows the instance sends all frames of the same turn of the event loop
    /// with one write. It also looks at the time limits of the operations again.
    pub(super) fn send(&mut self, kind: Kind, id: LaunchId, body: &[u8]) {
        write(&mut self.unsent, kind, id.0, body);
        self.changed.notify_one();
    }

    /// An operation is no longer in hand.
    pub(super) fn release(&mut self, id: LaunchId) {
        if let Some(at) = self.in_hand.iter().position(|held| *held == id) {
            self.in_hand.swap_remove(at);
        }
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends what waits as far as the socket takes it.
    pub(super) fn flush(&mut self) {
        let Some(stream) = &self.stream else { return };
        let mut socket = stream.get();
        let mut sent = 0;
        while sent < self.unsent.len() {
            match socket.write(&self.unsent[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // the instance has closed the socket: its end is about to be seen
                Err(_) => sent = self.unsent.len(),
            }
        }
        self.unsent.drain(..sent);
        self.unsent.shrink_to(64 * 1024);
    }

    /// Resident memory of the process, in bytes; none if it cannot be read.
    pub(super) fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kibibytes * 1024)
    }
}
