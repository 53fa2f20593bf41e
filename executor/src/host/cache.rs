//! Results that were given before: each in a file of its own, found by its key, and believed only if it is whole.
//!
//! A file is three parts: the digest of the rest, a line of JSON about the entry, the result as JSON. Two runs that
//! compute the same key both write; each entry is whole, and the later one stays.

use super::{Host, HostError, at, file_name};
use crate::journal::read_json;
use crate::whole_file::{self, Synced, make_folder, replace};
use pop_contract::Millis;
use pop_policy::CacheKey;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

const CACHE: &str = "cache";
const ENTRIES: &str = "entries";
const LAST: &str = "last";
/// The largest result that is kept, as JSON; a larger one is cheaper to make again than to hold in memory twice.
pub const MOST_BYTES: u64 = 64 << 20;
/// The longest line about an entry.
const LONGEST_LINE: u64 = 1 << 20;
const DIGEST: usize = 64;

/// What there is for a key.
#[derive(Debug, Clone, PartialEq)]
pub enum CacheAnswer {
    /// A result that was given before.
    Hit {
        /// The result.
        result: Value,
        /// Who gave it, and when.
        from: CacheOrigin,
    },
    /// Nothing that can be used.
    Miss(Miss),
}

/// Why there is nothing that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Miss {
    /// The key is not known.
    Absent {
        /// What differs from the key that the same operation had when its result was kept last; empty if that is not
        /// known.
        changed: Vec<String>,
    },
    /// The result is too old.
    Expired {
        /// When it was written.
        written: Millis,
    },
    /// The entry is not what was written there; the next write replaces it.
    Damaged,
}

/// Who wrote an entry, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheOrigin {
    /// The run.
    pub run: String,
    /// The operation.
    pub operation: String,
    /// When, by the wall clock.
    pub written: Millis,
}

/// An entry as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFile {
    /// Its file.
    pub file: PathBuf,
    /// How large it is.
    pub bytes: u64,
    /// What it says of itself; none if that cannot be read.
    pub about: Option<CacheEntry>,
}

/// What an entry says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheEntry {
    /// The state that it belongs to.
    pub state: String,
    /// Who wrote it.
    #[serde(flatten)]
    pub by: CacheOrigin,
    /// Its key.
    pub key: CacheKey,
}

impl Host {
    /// Looks up the result of a key for an operation. A key without a time to live is good for ever.
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
                let changed = last.map(|last| key.changed(&last)).unwrap_or_default();
                return CacheAnswer::Miss(Miss::Absent { changed });
            }
            Err(_) => return CacheAnswer::Miss(Miss::Damaged),
        };
        let Some((about, result)) = parts(&bytes).filter(|(about, _)| about.is_of(state, key)) else {
            return CacheAnswer::Miss(Miss::Damaged);
        };
        let written = about.by.written;
        // one from the future is as old as nobody knows
        if ttl_ms.is_some_and(|ttl| written > now || now - written >= ttl) {
            return CacheAnswer::Miss(Miss::Expired { written });
        }
        match read_json(result) {
            Ok(result) => CacheAnswer::Hit { result, from: about.by },
            Err(_) => CacheAnswer::Miss(Miss::Damaged),
        }
    }

    /// Keeps a result; false if it is too large to be kept.
    pub fn write(
        &self,
        state: &str,
        key: &CacheKey,
        result: &Value,
        by: &CacheOrigin,
    ) -> Result<bool, HostError> {
        let about = CacheEntry { state: state.to_owned(), by: by.clone(), key: key.clone() };
        let folder = self.file(CACHE, state);
        let path = folder.join(ENTRIES).join(key.digest());
        let rest = |into: &mut dyn io::Write| -> io::Result<()> {
            serde_json::to_writer(&mut *into, &about)?;
            into.write_all(b"\n")?;
            Ok(serde_json::to_writer(into, result)?)
        };
        // written twice, so that no copy of it is in memory
        let mut counted = Counted::default();
        rest(&mut counted).map_err(at(&path))?;
        if counted.bytes > MOST_BYTES {
            return Ok(false);
        }
        let digest = counted.hasher.finalize().to_hex();
        let kept = put(&path, |file| {
            writeln!(file, "{digest}")?;
            rest(file)
        });
        kept.map_err(at(&path))?;
        let last = folder.join(LAST).join(file_name(&by.operation));
        put(&last, |file| Ok(serde_json::to_writer(file, key)?)).map_err(at(&last))?;
        Ok(true)
    }

    /// Forgets the results of a state, or of all, that operations gave whose names begin like this; tells how many.
    pub fn invalidate(&self, state: Option<&str>, operations: &str) -> Result<usize, HostError> {
        let mut count = 0;
        for folder in self.states(state)? {
            for file in files(&folder.join(ENTRIES))? {
                let is_entry = is_entry(&file);
                let is_meant = match about(&file) {
                    _ if operations.is_empty() => true,
                    Some(about) => about.by.operation.starts_with(operations),
                    // what is damaged is of no use to anybody; what is being written may be
                    None => is_entry,
                };
                if is_meant && remove(&file)? && is_entry {
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// Everything that is kept, of a state or of all.
    pub fn kept(&self, state: Option<&str>) -> Result<Vec<CacheFile>, HostError> {
        let mut kept = Vec::new();
        for folder in self.states(state)? {
            let entries = files(&folder.join(ENTRIES))?;
            kept.extend(entries.into_iter().filter(|file| is_entry(file)).map(|file| CacheFile {
                bytes: fs::metadata(&file).map_or(0, |about| about.len()),
                about: about(&file),
                file,
            }));
        }
        Ok(kept)
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

/// Writes a file into a folder that need not be there; somebody may clear the cache meanwhile.
fn put(path: &Path, write: impl FnOnce(&mut io::BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    match replace(path, Synced::No, write) {
        // it was written, and cleared before it had its name
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        replaced => replaced,
    }
}

/// The bytes of an entry, if there are not more than one has.
fn read_entry(path: &Path) -> io::Result<Vec<u8>> {
    let most = MOST_BYTES + DIGEST as u64 + 1;
    let mut bytes = Vec::new();
    File::open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// What an entry says of itself and its result, if it is whole.
fn parts(bytes: &[u8]) -> Option<(CacheEntry, &[u8])> {
    let (digest, rest) = bytes.split_at_checked(DIGEST)?;
    let rest = rest.strip_prefix(b"\n")?;
    if blake3::hash(rest).to_hex().as_bytes() != digest {
        return None;
    }
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    Some((serde_json::from_slice(&rest[..end]).ok()?, &rest[end + 1..]))
}

/// What an entry says of itself, read without its result, and so not verified.
fn about(file: &Path) -> Option<CacheEntry> {
    let mut reader = BufReader::new(File::open(file).ok()?).take(LONGEST_LINE);
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    line.clear();
    reader.read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, HostError> {
    whole_file::files(folder).map_err(at(folder))
}

/// Whether a file is an entry, and not one that is being written or was left so.
fn is_entry(file: &Path) -> bool {
    file.extension().is_none()
}

/// Removes a file; false if somebody else has.
fn remove(file: &Path) -> Result<bool, HostError> {
    match fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(at(file)(error)),
    }
}

/// Takes bytes for their digest and their number.
#[derive(Default)]
struct Counted {
    hasher: blake3::Hasher,
    bytes: u64,
}

impl io::Write for Counted {
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
mod tests {
    use super::*;
    use pop_policy::KeyInput;
    use serde_json::json;

    fn key(payload: &Value) -> CacheKey {
        CacheKey::new("transcode", KeyInput::payload(payload))
    }

    fn by(operation: &str, written: Millis) -> CacheOrigin {
        CacheOrigin { run: "r1".to_owned(), operation: operation.to_owned(), written }
    }

    fn host() -> (tempfile::TempDir, Host) {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        (folder, host)
    }

    #[test]
    fn r7_a_result_is_found_by_its_key_in_its_state_until_it_is_too_old() {
        let (_folder, host) = host();
        let (one, two) = (key(&json!({"in": 1})), key(&json!({"in": 2})));
        let absent = |changed: &[&str]| {
            CacheAnswer::Miss(Miss::Absent { changed: changed.iter().map(|&word| word.to_owned()).collect() })
        };
        assert_eq!(host.look_up("s", &one, "a", 100, None), absent(&[]));
        assert!(host.write("s", &one, &json!({"w": 0.1}), &by("a", 100)).unwrap());
        let hit = CacheAnswer::Hit { result: json!({"w": 0.1}), from: by("a", 100) };
        assert_eq!(host.look_up("s", &one, "other", 100, None), hit);
        assert_eq!(host.look_up("s", &one, "a", 149, Some(50)), hit);
        for now in [150, 99] {
            let expired = CacheAnswer::Miss(Miss::Expired { written: 100 });
            assert_eq!(host.look_up("s", &one, "a", now, Some(50)), expired);
        }
        assert_eq!(host.look_up("s", &two, "a", 100, None), absent(&["payload /in"]));
        assert_eq!(host.look_up("s", &two, "b", 100, None), absent(&[]));
        assert_eq!(host.look_up("t", &one, "a", 100, None), absent(&[]));
    }

    #[test]
    fn f81_an_entry_cut_or_changed_anywhere_is_a_miss_and_is_replaced() {
        let (_folder, host) = host();
        let key = key(&json!({"in": 1}));
        let write = || host.write("s", &key, &json!({"w": [1, 2]}), &by("a", 100)).unwrap();
        write();
        let path = host.file(CACHE, "s").join(ENTRIES).join(key.digest());
        let whole = fs::read(&path).unwrap();
        let damaged = CacheAnswer::Miss(Miss::Damaged);
        for place in 0..whole.len() {
            fs::write(&path, &whole[..place]).unwrap();
            assert_eq!(host.look_up("s", &key, "a", 100, None), damaged, "cut at {place}");
            let mut changed = whole.clone();
            changed[place] ^= 1;
            fs::write(&path, changed).unwrap();
            assert_eq!(host.look_up("s", &key, "a", 100, None), damaged, "changed at {place}");
        }
        // the entry of another key under this name is no entry of it
        let mut other = key.clone();
        other.version = Some("2".to_owned());
        assert!(host.write("s", &other, &json!(1), &by("a", 1)).unwrap());
        fs::rename(path.with_file_name(other.digest()), &path).unwrap();
        assert_eq!(host.look_up("s", &key, "a", 100, None), damaged);
        write();
        assert!(matches!(host.look_up("s", &key, "a", 100, None), CacheAnswer::Hit { .. }));
    }

    #[test]
    fn f81_two_runs_that_compute_the_same_key_leave_one_whole_entry() {
        let (_folder, host) = host();
        let key = key(&json!(1));
        std::thread::scope(|scope| {
            for name in ["a", "b", "c", "d"] {
                let (host, key) = (&host, &key);
                scope.spawn(move || {
                    let result = Value::from(name.repeat(10_000));
                    for _ in 0..50 {
                        host.write("s", key, &result, &by(name, 1)).unwrap();
                        let CacheAnswer::Hit { result, from } = host.look_up("s", key, name, 1, None) else {
                            unreachable!()
                        };
                        assert_eq!(result, from.operation.repeat(10_000));
                    }
                });
            }
        });
        assert_eq!(host.kept(None).unwrap().len(), 1);
        assert_eq!(files(&host.file(CACHE, "s").join(ENTRIES)).unwrap().len(), 1);
    }

    #[test]
    fn r7_results_are_forgotten_by_state_and_by_operation() {
        let (_folder, host) = host();
        assert_eq!((host.invalidate(None, "").unwrap(), host.kept(None).unwrap()), (0, vec![]));
        for (state, operation) in [("s", "thumb 1"), ("s", "thumb 2"), ("s", "probe"), ("t", "probe")] {
            host.write(state, &key(&json!(operation)), &json!(1), &by(operation, 1)).unwrap();
        }
        let names = |state| {
            let kept = host.kept(state).unwrap();
            let mut names: Vec<_> = kept.into_iter().map(|kept| kept.about.unwrap().by.operation).collect();
            names.sort_unstable();
            names
        };
        assert_eq!(names(None), ["probe", "probe", "thumb 1", "thumb 2"]);
        // what is being written is in nobody's way
        let unfinished = host.file(CACHE, "t").join(ENTRIES).join("x.1-0.new");
        fs::write(&unfinished, "").unwrap();
        assert_eq!(host.invalidate(None, "thumb").unwrap(), 2);
        assert!(unfinished.exists());
        assert_eq!(
            (names(Some("s")), names(Some("t"))),
            (vec!["probe".to_owned()], vec!["probe".to_owned()])
        );
        // when all goes, so does what a killed writer left; it counts for nothing
        assert_eq!(host.invalidate(None, "").unwrap(), 2);
        assert_eq!(names(None), [""; 0]);
        assert!(files(&host.file(CACHE, "t").join(ENTRIES)).unwrap().is_empty());
    }

    #[test]
    fn r7_fifty_megabytes_are_kept_and_more_than_the_bound_is_not() {
        let (_folder, host) = host();
        let result = json!({"text": "x".repeat(50_000_000)});
        assert!(host.write("s", &key(&json!(1)), &result, &by("a", 1)).unwrap());
        let CacheAnswer::Hit { result: read, .. } = host.look_up("s", &key(&json!(1)), "a", 1, None) else {
            unreachable!()
        };
        assert!(read == result);
        let result = Value::from("x".repeat(MOST_BYTES as usize));
        assert!(!host.write("s", &key(&json!(2)), &result, &by("a", 1)).unwrap());
        assert_eq!(host.kept(None).unwrap().len(), 1);
    }

    #[test]
    fn r7_a_result_as_deep_as_a_report_may_be_is_read_back() {
        let (_folder, host) = host();
        let deep = (0..130).fold(json!(1), |value, _| json!([value]));
        host.write("s", &key(&json!(1)), &deep, &by("a", 1)).unwrap();
        let answer = host.look_up("s", &key(&json!(1)), "a", 1, None);
        assert_eq!(answer, CacheAnswer::Hit { result: deep, from: by("a", 1) });
    }
}
