//! The audit log: a JSON line for each change and each refusal, without payloads and secrets.

use pop_contract::Millis;
use serde_json::{Map, Value, json};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// A file that only grows.
#[derive(Debug)]
pub struct AuditLog {
    file: File,
    path: PathBuf,
}

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
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { file, path: path.to_owned() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes an entry as one line, in one write.
    pub(crate) fn write(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let Entry { time, cid, peer, token, call, path, status } = entry;
        let line = json!({
            "time": time, "cid": cid, "peer": peer, "token": token, "call": call, "path": path, "status": status,
        });
        self.file.write_all(format!("{line}\n").as_bytes())
    }
}

/// Bytes of the log that one answer looks at.
const PIECE: u64 = 1024 * 1024;

/// The newest entries before an offset in the file, or before its end, and the offset before which older ones are; none if
/// there are no older ones. Entries of the calls `without` are left out. Each entry gets its `offset`.
pub(crate) fn read_audit(
    path: &Path,
    limit: usize,
    before: Option<u64>,
    without: &[String],
) -> io::Result<(Vec<Value>, Option<u64>)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let end = before.unwrap_or(length).min(length);
    let begin = end.saturating_sub(PIECE);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(end - begin).read_to_end(&mut bytes)?;
    let mut entries = Vec::new();
    let mut at = end;
    let mut rest = bytes.as_slice();
    while entries.len() < limit && !rest.is_empty() {
        let body = rest.strip_suffix(b"\n").unwrap_or(rest);
        let start = body.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        if start == 0 && begin > 0 {
            // the line begins before the piece
            break;
        }
        at = begin + start as u64;
        // a line that a crash has cut is no entry
        let entry = serde_json::from_slice(&body[start..]).ok();
        let is_wanted = |entry: &Map<String, Value>| {
            let call = entry.get("call").and_then(Value::as_str).unwrap_or_default();
            !without.iter().any(|left_out| left_out == call)
        };
        if let Some(mut entry) = entry.filter(is_wanted) {
            entry.insert("offset".to_owned(), at.into());
            entries.push(Value::Object(entry));
        }
        rest = &rest[..start];
    }
    Ok((entries, Some(at).filter(|at| *at > 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_entries_come_first_and_pages_miss_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.jsonl");
        let mut log = AuditLog::open(&path).unwrap();
        for time in 0..25 {
            let entry = Entry { time, cid: "c", peer: "p", token: None, call: "x", path: "/", status: 200 };
            log.write(&entry).unwrap();
        }
        let (mut seen, mut before) = (Vec::new(), None);
        loop {
            let (entries, next) = read_audit(log.path(), 10, before, &[]).unwrap();
            seen.extend(entries.iter().map(|entry| entry["time"].as_u64().unwrap()));
            before = next;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(seen, (0..25).rev().collect::<Vec<_>>());
        log.file.write_all(b"{\"time\": 9").unwrap();
        assert_eq!(read_audit(&path, 1, None, &[]).unwrap().0[0]["time"], 24);
        assert!(read_audit(&path, 9, None, &["x".to_owned()]).unwrap().0.is_empty());
    }
}
