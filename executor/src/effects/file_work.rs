//! Work on the declared files of operations: finding inputs, looking up cached results, verifying outputs.

use super::cache_key::{CacheKeys, FilesOfKey, StampedKey};
use crate::exec_program::ExecProgram;
use crate::files::{self, Digests, FileChange, FilesError, Stamp};
use crate::host::{CacheAnswer, CacheOrigin, Host, HostError, Miss};
use crate::run_identity::RunIdentity;
use pop_agenda::{Answer, CacheAsk, DeclaredFiles, FileRecord, OpIx, Plan};
use pop_contract::{Blame, Failure, Millis};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Part of the limit of stored files that is freed at once.
const MARGIN: u64 = 16;

/// What the work needs to know of the run.
#[derive(Clone)]
pub(crate) struct FileContext {
    pub(super) host: Host,
    pub(super) digests: Arc<Digests>,
    pub(super) cache_keys: CacheKeys,
    /// The folder in which programs start.
    pub(super) start: PathBuf,
    pub(super) clock: fn() -> Millis,
    /// Bytes that this run may store before the stored files are counted; none before the first time.
    pub(super) room: Arc<Mutex<Option<u64>>>,
}

/// A request to look up a cached result.
pub(crate) struct LookUp {
    pub(crate) op: OpIx,
    pub(crate) ask: Arc<CacheAsk>,
    pub(crate) exec: Option<Box<ExecProgram>>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) declared: Option<Arc<DeclaredFiles>>,
    pub(crate) read: Arc<[FileRecord]>,
    /// Whether missing files may be put back; else only what would happen is answered.
    pub(crate) may_put_back: bool,
}

/// Files that an operation reads, as they were before its attempt.
#[derive(Debug, Clone)]
pub(super) struct ReadFiles {
    pub(super) files: Arc<[FileRecord]>,
    /// The stamps of these files.
    pub(super) stamps: Arc<[Option<Stamp>]>,
}

/// The files of an attempt that succeeded.
#[derive(Debug, Clone, Default)]
pub(super) struct Verified {
    /// Files that it has written; none if it declares none.
    pub(super) written: Option<Arc<[FileRecord]>>,
    /// Reason why its result must not be cached.
    pub(super) unfit: Option<String>,
    /// Reason why a file was not stored.
    pub(super) notice: Option<String>,
}

impl LookUp {
    /// A request that puts no file back, of an operation that reads no files.
    pub(crate) fn new(
        op: OpIx,
        ask: Arc<CacheAsk>,
        exec: Option<Box<ExecProgram>>,
        declared: Option<Arc<DeclaredFiles>>,
        plan: Arc<Plan>,
    ) -> Self {
        Self { op, ask, exec, plan, declared, read: Arc::default(), may_put_back: false }
    }
}

impl FileContext {
    /// The context of a run on the shared state of `host`.
    pub(crate) fn new(host: Host, identity: &RunIdentity, clock: fn() -> Millis) -> Self {
        let digests = Arc::new(Digests::default());
        let RunIdentity { home, on, start, .. } = identity.clone();
        let cache_keys = CacheKeys::new(on, home, start.clone(), Arc::clone(&digests));
        Self { host, digests, cache_keys, start, clock, room: Arc::default() }
    }

    /// Finds the files that an operation reads.
    pub(crate) fn read(&self, declared: &DeclaredFiles) -> Answer {
        let folder = files::folder(&self.start, declared);
        match files::record(&self.digests, &folder, &declared.reads) {
            Ok(found) => Answer::Read { files: found.into() },
            Err(error) => Answer::Failed(Box::new(failure("missing-input", &error))),
        }
    }

    /// The files of an answer to [`Self::read`], with their stamps.
    pub(super) fn stamped(&self, declared: &DeclaredFiles, answer: &Answer) -> Option<ReadFiles> {
        let Answer::Read { files } = answer else { return None };
        let stamps = files::stamps(&files::folder(&self.start, declared), files).into();
        Some(ReadFiles { files: Arc::clone(files), stamps })
    }

    /// Looks up a cached result. It counts only if its files are there, or were put back.
    pub(super) fn look_up_stamped(&self, request: &LookUp) -> (StampedKey, Answer) {
        let LookUp { op, ask, exec, plan, declared, read, may_put_back } = request;
        let planned = plan.operation(*op);
        let of_key = declared.as_deref().map(|declared| FilesOfKey { declared, read });
        let stamped = self.cache_keys.key(plan, ask, planned, exec.as_deref(), of_key);
        let key = &stamped.key;
        let found = self.host.look_up(&ask.state, key, planned.name.as_str(), (self.clock)(), ask.ttl_ms);
        let miss = |why: String| Answer::Miss { why: why.into(), key: Some(key.digest().into()) };
        let answer = match found {
            CacheAnswer::Hit { result, from: CacheOrigin { run, operation, written }, files } => {
                let wanted = declared.as_deref().filter(|declared| !declared.writes.is_empty());
                let restored = match (wanted, &files) {
                    (Some(declared), Some(files)) => self.hold(declared, files, ask.files, *may_put_back),
                    (Some(_), None) => Err("the entry has no record of its files".to_owned()),
                    (None, _) => Ok(0),
                };
                match restored {
                    Ok(restored) => Answer::Hit {
                        result: result.into(),
                        by: format!("{run}/{operation}").into(),
                        written,
                        files: files.filter(|_| wanted.is_some()).map(Into::into),
                        restored,
                    },
                    Err(why) => miss(why),
                }
            }
            CacheAnswer::Miss(why) => miss(miss_words(&why)),
        };
        (stamped, answer)
    }

    /// The answer of a cache, as [`Self::look_up_stamped`] gives it.
    pub(crate) fn look_up(&self, request: &LookUp) -> Answer {
        self.look_up_stamped(request).1
    }

    /// Checks that the files of a cached result are there, and puts the others back if the result may. Returns the number
    /// of those, or the reason why the result does not count.
    fn hold(
        &self,
        declared: &DeclaredFiles,
        wanted: &[FileRecord],
        is_stored: bool,
        may_put_back: bool,
    ) -> Result<u32, String> {
        let folder = files::folder(&self.start, declared);
        let changes: Vec<(&FileRecord, FileChange)> = wanted
            .iter()
            .filter_map(|file| Some((file, files::change(&self.digests, &folder, file)?)))
            .collect();
        let Some((_, first)) = changes.first() else { return Ok(0) };
        let more = match changes.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        let why = format!("output {first}{more}");
        if !is_stored {
            return Err(why);
        }
        if let Some((file, _)) = changes.iter().find(|(file, _)| !self.host.has_file(file)) {
            return Err(format!("{why}, and `{}` is not in the cache", file.path));
        }
        if may_put_back {
            for (file, _) in &changes {
                let put_back = self.host.put_back(file, &folder.join(&*file.path));
                put_back.map_err(|error| format!("{why}, and cannot be put back: {error}"))?;
            }
        }
        Ok(changes.len() as u32)
    }

    /// Verifies the files of an attempt that succeeded. `before` are the files that it read, if its result may be cached;
    /// with `is_stored` the files that it wrote are stored for it.
    pub(super) fn verify(
        &self,
        declared: &DeclaredFiles,
        before: Option<&ReadFiles>,
        is_stored: bool,
    ) -> Result<Verified, Box<Failure>> {
        let folder = files::folder(&self.start, declared);
        let mut verified = Verified::default();
        if !declared.writes.is_empty() {
            let written = files::record(&self.digests, &folder, &declared.writes)
                .map_err(|error| Box::new(failure("missing-output", &error)))?;
            if is_stored {
                verified.notice = self.store(&folder, &written).err();
            }
            verified.written = Some(written.into());
        }
        // the program may have read another content than the key has
        verified.unfit = before.and_then(|before| {
            let now = files::stamps(&folder, &before.files);
            let mut stamps = before.files.iter().zip(before.stamps.iter().zip(&now));
            let written = stamps.find(|(_, (then, now))| then != now);
            let written = written.map(|(file, _)| format!("input `{}` was written while it ran", file.path));
            let mut changes =
                before.files.iter().filter_map(|file| files::change(&self.digests, &folder, file));
            changes.next().map(|change| format!("input {change} while it ran")).or(written)
        });
        Ok(verified)
    }

    fn store(&self, folder: &Path, written: &[FileRecord]) -> Result<(), String> {
        let limit = self.host.files_limit();
        let mut added = 0;
        for file in written {
            if file.size > limit {
                return Err(format!("`{}` is larger than the cache for files ({limit} bytes)", file.path));
            }
            added += if self.host.has_file(file) { 0 } else { file.size };
            self.host.store_file(&folder.join(&*file.path), file).map_err(|error| error.to_string())?;
        }
        self.limit_stored(added).map_err(|error| error.to_string())
    }

    /// Removes the least recently used files if they may have more bytes than the limit by now. The stored files are
    /// counted seldom, because other runs store files, too, and counting reads their folder.
    fn limit_stored(&self, added: u64) -> Result<(), HostError> {
        let Ok(mut room) = self.room.lock() else { return Ok(()) };
        if added == 0 {
            return Ok(());
        }
        if let Some(left) = room.and_then(|room| room.checked_sub(added)) {
            *room = Some(left);
            return Ok(());
        }
        let limit = self.host.files_limit();
        let total: u64 = self.host.stored_files()?.iter().map(|file| file.bytes).sum();
        let margin = limit / MARGIN;
        *room = Some(margin.min(limit.saturating_sub(total)));
        if total > limit {
            self.host.evict_files(limit - margin, None)?;
            *room = Some(margin);
        }
        Ok(())
    }
}

/// The failure of an attempt whose files cannot be found or read.
fn failure(unmatched: &str, error: &FilesError) -> Failure {
    let message = error.to_string();
    match error {
        FilesError::Unmatched { .. } => Failure::new(Blame::Handler, unmatched, message),
        FilesError::Io { .. } => Failure::new(Blame::Platform, "file", message),
        FilesError::Name { .. } | FilesError::TooMany => Failure::new(Blame::Handler, "file", message),
    }
}

fn miss_words(why: &Miss) -> String {
    match why {
        Miss::Absent { changed, has_run: true } if !changed.is_empty() => {
            format!("the key has changed: {}", changed.join(", "))
        }
        Miss::Absent { has_run: false, .. } => {
            "never run: the cache has no result of an operation with this name".to_owned()
        }
        Miss::Absent { .. } => "the cache has no entry for this key".to_owned(),
        Miss::Expired { .. } => "the entry is older than cacheTtlMs".to_owned(),
        Miss::Damaged => "the entry is damaged".to_owned(),
    }
}
