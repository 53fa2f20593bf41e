//! The audit log: a JSON line for each change and each refusal, without payloads and secrets.

use pop_contract::Millis;
use serde_json::json;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

/// A file that only grows.
#[derive(Debug)]
pub struct AuditLog(File);

/// One entry.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'e> {
    pub(crate) time: Millis,
    pub(crate) cid: &'e str,
    /// Address of the caller.
    pub(crate) peer: &'e str,
    /// Name of the caller's token; none without one.
    pub(crate) token: Option<&'e str>,
    pub(crate) call: &'e str,
    pub(crate) path: &'e str,
    pub(crate) status: u16,
}

impl AuditLog {
    /// Opens or creates the file, readable for its owner only.
    pub fn open(path: &Path) -> io::Result<Self> {
        OpenOptions::new().append(true).create(true).mode(0o600).open(path).map(Self)
    }

    /// Writes an entry as one line, in one write.
    pub(crate) fn write(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let Entry { time, cid, peer, token, call, path, status } = entry;
        let line = json!({
            "time": time, "cid": cid, "peer": peer, "token": token, "call": call, "path": path, "status": status,
        });
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}
