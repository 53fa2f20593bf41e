//! The result cache: one file for each entry. An entry is found by its key, and used only if its digest matches.
//!
//! A file has three parts: the digest of the rest, a line of JSON about the entry, the result as JSON. If two runs compute
//! the same key, both write a complete entry and the later one stays.

use super::{Host, HostError, at, file_name};
use crate::atomic_file::{self, Durability, replace};
use crate::journal::read_json;
use pop_agenda::FileRecord;
use pop_contract::Millis;
use pop_launchers::make_private_folder;
use pop_policy::CacheKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

const CACHE: &str = "cache";
const ENTRIES: &str = "entries";
const LAST: &str = "last";
/// Largest result in the cache, in bytes of JSON. It costs less to compute a larger result again than to hold it in
/// memory twice.
pub const MOST_BYTES: u64 = 64 << 20;
/// Longest line about an entry, in bytes.
const LONGEST_LINE: u64 = 8 << 20;
/// Length of the digest in hexadecimal digits.
const DIGEST: usize = 64;

/// The result of a cache look-up.
#[derive(Debug, Clone, PartialEq)]
pub enum CacheAnswer {
    /// The cache has the result.
    Hit {
        /// The result.
        result: Value,
        /// The operation that wrote the entry.
        from: CacheOrigin,
        /// Files that the operation had written; none if it declared none.
        files: Option<Vec<FileRecord>>,
    },
    /// The cache has no usable result.
    Miss(Miss),
}

/// Why the cache has no usable result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// No entry has the key.
    Absent {
        /// Differences from the last key that an operation of this name wrote; empty if there is none.
        changed: Vec<String>,
        /// Whether an operation of this name has written to this cache before.
        has_run: bool,
    },
    /// The result is older than the requested maximum age.
    Expired {
        /// When it was written, in epoch milliseconds.
        written: Millis,
    },
    /// The digest of the entry does not match; the next write replaces the entry.
    Damaged,
}

/// The operation that wrote an entry, and the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheOrigin {
    /// The run.
    pub run: String,
    /// The operation.
    pub operation: String,
    /// When it was written, in epoch milliseconds.
    pub written: Millis,
}

/// One entry in a list of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFile {
    /// File of the entry.
    pub file: PathBuf,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Description of the entry; none if it cannot be read.
    pub about: Option<CacheEntry>,
}

/// The description of an entry, stored with its result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheEntry {
    /// Name of the cache (`cacheState`).
    pub state: String,
    /// The operation that wrote the entry.
    #[serde(flatten)]
    pub by: CacheOrigin,
    /// Key of the entry.
    pub key: CacheKey,
    /// Files that the operation had written, in the order of their paths; none if it declared none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<Vec<FileRecord>>,
}

impl Host {
    /// Looks up the result of a key for an operation. `ttl_ms` is the maximum age in milliseconds; without it a result
    /// never expires.
    pub fn look_up(
        &self,
        state: &str,
        key: &CacheKey,
        operation: &str,
        now: Millis,
        ttl_ms: Option<u64>,
    ) -> CacheAnswer {
        let folder = self.file(CACHE, state);
        let bytes = match read_entry(&folder.join(ENTRIES).join(key.digest())) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let last = fs::read(folder.join(LAST).join(file_name(operation))).ok();
                let last = last.and_then(|bytes| serde_json::from_slice::<CacheKey>(&bytes).ok());
                let has_run = last.is_some();
                let changed = last.map(|last| key.changed(&last)).unwrap_or_default();
                return CacheAnswer::Miss(Miss::Absent { changed, has_run });
            }
            Err(_) => return CacheAnswer::Miss(Miss::Damaged),
        };
        let Some((about, result)) = verified_parts(&bytes).filter(|(about, _)| about.is_of(state, key))
        else {
            return CacheAnswer::Miss(Miss::Damaged);
        };
        let written = about.by.written;
        // with a time in the future, the age is unknown
        if ttl_ms.is_some_and(|ttl| written > now || now - written >= ttl) {
            return CacheAnswer::Miss(Miss::Expired { written });
        }
        match read_json(result) {
            Ok(result) => CacheAnswer::Hit { result, from: about.by, files: about.files },
            Err(_) => CacheAnswer::Miss(Miss::Damaged),
        }
    }

    /// Writes a result with the files that belong to it. False if it is larger than [`MOST_BYTES`].
    pub fn write(
        &self,
        state: &str,
        key: &CacheKey,
        result: &Value,
        files: Option<&[FileRecord]>,
        by: &CacheOrigin,
    ) -> Result<bool, HostError> {
        let about = CacheEntry {
            state: state.to_owned(),
            by: by.clone(),
            key: key.clone(),
            files: files.map(<[FileRecord]>::to_vec),
        };
        let folder = self.file(CACHE, state);
        let path = folder.join(ENTRIES).join(key.digest());
        let rest = |into: &mut dyn io::Write| -> io::Result<()> {
            serde_json::to_writer(&mut *into, &about)?;
            into.write_all(b"\n")?;
            Ok(serde_json::to_writer(into, result)?)
        };
        // serialized twice, so that memory holds no copy of it
        let mut counter = DigestCounter::default();
        rest(&mut counter).map_err(at(&path))?;
        if counter.bytes > MOST_BYTES {
            return Ok(false);
        }
        let digest = counter.hasher.finalize().to_hex();
        let written = write_file(&path, |file| {
            writeln!(file, "{digest}")?;
            rest(file)
        });
        written.map_err(at(&path))?;
        let last = folder.join(LAST).join(file_name(&by.operation));
        write_file(&last, |file| Ok(serde_json::to_writer(file, key)?)).map_err(at(&last))?;
        Ok(true)
    }

    /// Removes the results of operations whose names begin with `operations`, in one state or in all. Returns the number
    /// of removed entries.
    pub fn invalidate(&self, state: Option<&str>, operations: &str) -> Result<usize, HostError> {
        let mut count = 0;
        for folder in self.states(state)? {
            for file in files(&folder.join(ENTRIES))? {
                let is_entry = is_entry(&file);
                let is_selected = match read_about(&file) {
                    _ if operations.is_empty() => true,
                    Some(about) => about.by.operation.starts_with(operations),
                    // a damaged entry is useless; an unfinished file is not
                    None => is_entry,
                };
                if is_selected && remove(&file)? && is_entry {
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// The entries of a state, or of all states.
    pub fn kept(&self, state: Option<&str>) -> Result<Vec<CacheFile>, HostError> {
        let mut listed = Vec::new();
        for folder in self.states(state)? {
            let entries = files(&folder.join(ENTRIES))?;
            listed.extend(entries.into_iter().filter(|file| is_entry(file)).map(|file| CacheFile {
                bytes: fs::metadata(&file).map_or(0, |metadata| metadata.len()),
                about: read_about(&file),
                file,
            }));
        }
        Ok(listed)
    }

    fn states(&self, state: Option<&str>) -> Result<Vec<PathBuf>, HostError> {
        match state {
            Some(state) => Ok(vec![self.file(CACHE, state)]),
            None => files(&self.folder.join(CACHE)),
        }
    }
}

impl CacheEntry {
    fn is_of(&self, state: &str, key: &CacheKey) -> bool {
        self.state == state && self.key.digest() == key.digest()
    }
}

/// Writes a file and creates its folder if needed. Another process may clear the cache at the same time.
fn write_file(path: &Path, write: impl FnOnce(&mut io::BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_private_folder(folder)?;
    }
    match replace(path, Durability::Unsynced, write) {
        // another process cleared the cache before the rename
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        replaced => replaced,
    }
}

/// The bytes of an entry. A file larger than any entry is an error.
fn read_entry(path: &Path) -> io::Result<Vec<u8>> {
    let most = MOST_BYTES + DIGEST as u64 + 1;
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// The description and the result of an entry, if its digest matches.
fn verified_parts(bytes: &[u8]) -> Option<(CacheEntry, &[u8])> {
    let (digest, rest) = bytes.split_at_checked(DIGEST)?;
    let rest = rest.strip_prefix(b"\n")?;
    if blake3::hash(rest).to_hex().as_bytes() != digest {
        return None;
    }
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    Some((serde_json::from_slice(&rest[..end]).ok()?, &rest[end + 1..]))
}

/// The description of an entry, read without its result and therefore not verified.
fn read_about(file: &Path) -> Option<CacheEntry> {
    let mut reader = BufReader::new(File::open(file).ok()?).take(LONGEST_LINE);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    line.clear();
    reader.read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, HostError> {
    atomic_file::files(folder).map_err(at(folder))
}

/// Whether a file is an entry, and not an unfinished file.
fn is_entry(file: &Path) -> bool {
    file.extension().is_none()
}

/// Removes a file. False if another process has removed it.
fn remove(file: &Path) -> Result<bool, HostError> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at(file)(error)),
    }
}

/// Counts and digests the bytes written to it.
#[derive(Default)]
struct DigestCounter {
    hasher: blake3::Hasher,
    bytes: u64,
}

impl io::Write for DigestCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
