//! One instance: its socket, its name and its own log.

use crate::log::Log;
use crate::port::LaunchId;
use pop_warm::frame::{Kind, write};
use std::fs;
use std::io;
use std::sync::Arc;
use tokio::net::UnixStream;
use tokio::sync::Notify;

pub(super) struct Instance {
    /// The launch of its process.
    pub(super) launch: LaunchId,
    pub(super) name: Box<str>,
    /// The connected socket; `None` until the program of a container has connected.
    pub(super) stream: Option<Arc<UnixStream>>,
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
        stream: Option<Arc<UnixStream>>,
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

    /// Sends a frame as far as the socket takes it; the rest is sent when it is writable.
    pub(super) fn send(&mut self, kind: Kind, id: LaunchId, body: &[u8]) {
        write(&mut self.unsent, kind, id.0, body);
        self.flush();
        if self.has_unsent() {
            self.changed.notify_one();
        }
    }

    /// Sends a frame to a busy instance: its task sends all frames of one turn together.
    pub(super) fn send_soon(&mut self, kind: Kind, id: LaunchId, body: &[u8]) {
        write(&mut self.unsent, kind, id.0, body);
        self.changed.notify_one();
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    pub(super) fn flush(&mut self) {
        let Some(stream) = &self.stream else { return };
        let mut sent = 0;
        while sent < self.unsent.len() {
            match stream.try_write(&self.unsent[sent..]) {
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
