//! The lock of a run, and the identity of the process that holds it. No other process can ever have that identity.

use crate::locked_file::LockedFile;
use crate::process_stat::ProcessStat;
use pop_launchers::read_regular_file;
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// Longest wait for a lock that a child of a killed executor still holds.
const ORPHAN_LIMIT: Duration = Duration::from_secs(5);

/// Largest lock file that is read, in bytes.
const OWNER_LIMIT: u64 = 4_096;

/// The lock of a run: only its holder executes the run. The kernel frees it when the process ends, so a crash leaves
/// nothing to clean up.
///
/// It has two files: one names its holder, the other is the run's journal. So a second executor is refused even if the
/// first file was removed, and a journal never has two writers.
#[derive(Debug)]
pub struct Lock {
    _file: LockedFile,
    /// The journal that existed when the lock was taken; the creator of a new journal locks it.
    _journal: Option<LockedFile>,
}

/// Why a lock cannot be taken.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another process holds it; the text names that process.
    Held(String),
    /// Its file cannot be read or written.
    Io(io::Error),
}

impl From<io::Error> for LockError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Lock {
    /// Takes the lock with this file, and locks the journal if it exists. Fails at once if another living process
    /// holds either. Links and other special files are refused.
    pub(crate) fn take(path: &Path, journal: &Path) -> Result<Self, LockError> {
        let locked = match LockedFile::try_lock(open(path, true)?)? {
            // a child of a killed executor may inherit the lock and hold it until it is dead, too
            Err(busy) if executor(path).is_none() => wait_for_orphan(busy)?,
            locked => locked,
        };
        let file = match locked {
            Ok(file) => file,
            Err(mut busy) => {
                let mut text = String::new();
                busy.read_to_string(&mut text)?;
                return Err(LockError::Held(Owner::parse(&text).unwrap_or_default().to_string()));
            }
        };
        let journal = lock_journal(journal)?;
        file.set_len(0).and_then(|()| writeln!(&*file, "{}", Owner::own().line()))?;
        Ok(Self { _file: file, _journal: journal })
    }
}

fn lock_journal(path: &Path) -> Result<Option<LockedFile>, LockError> {
    let file = match open(path, false) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let locked = match LockedFile::try_lock(file)? {
        Err(busy) => wait_for_orphan(busy)?,
        locked => locked,
    };
    match locked {
        Ok(file) => Ok(Some(file)),
        Err(_) => Err(LockError::Held("another process, whose lock file was removed".to_owned())),
    }
}

/// Opens a regular file to lock it.
fn open(path: &Path, creates: bool) -> io::Result<File> {
    // a link may lead to a file of others; opening a named pipe must not wait
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(creates).truncate(false).mode(0o600);
    let opened = options.custom_flags(flags.bits().cast_signed()).open(path);
    let refused =
        |what| io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a regular file"));
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(code) if code == Errno::LOOP.raw_os_error() => refused("a link"),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused("a special file")) }
}

/// The process of this machine that holds the lock of a run. Its pidfd stays valid: no other process can get the number.
#[derive(Debug)]
pub struct ExecutorProcess {
    pid: Pid,
    pidfd: OwnedFd,
}

impl ExecutorProcess {
    /// The process number.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Whether a signal or a debugger has stopped the process, so that it handles no signal.
    pub fn is_stopped(&self) -> bool {
        ProcessStat::of(self.pid()).is_some_and(|stat| stat.is_stopped())
    }

    /// Whether the process was started to ignore a signal (`nohup`, or `&` in a script for SIGINT).
    pub fn ignores(&self, signal: Signal) -> bool {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
        mask >> (signal.as_raw() - 1) & 1 == 1
    }

    /// Sends a signal to the process.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(pidfd_send_signal(&self.pidfd, signal)?)
    }
}

impl AsFd for ExecutorProcess {
    /// The pidfd. It is readable when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// The process of this machine that holds a lock, if any. It takes no lock, so it never blocks an executor.
pub(crate) fn executor(path: &Path) -> Option<ExecutorProcess> {
    let owner = owner(path)?;
    // a damaged file may have any number
    let pid = Pid::from_raw(owner.pid.parse().ok().filter(|pid| *pid > 0)?)?;
    // opened before the start time is compared, so that the pidfd is of that process
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    owner.process()?;
    // the lock of a copied folder names the executor of the original
    holds(&owner.pid, path).then_some(ExecutorProcess { pid, pidfd })
}

/// The process of another host that holds a lock or held it, as messages name it.
pub(crate) fn remote_executor(path: &Path) -> Option<String> {
    let owner = owner(path).filter(|owner| owner.host != kernel_value("hostname"))?;
    Some(owner.to_string())
}

fn owner(path: &Path) -> Option<Owner> {
    let owner = read_regular_file(path, OWNER_LIMIT).ok()?;
    Owner::parse(str::from_utf8(&owner).ok()?)
}

/// Whether a process has a file open.
fn holds(pid: &str, path: &Path) -> bool {
    let Ok(wanted) = fs::metadata(path) else { return false };
    let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().filter_map(Result::ok);
    let mut open = open.filter_map(|entry| fs::metadata(entry.path()).ok());
    open.any(|file| (file.dev(), file.ino()) == (wanted.dev(), wanted.ino()))
}

/// Waits for a lock, at most [`ORPHAN_LIMIT`]. The inner error returns the file if it is still locked then.
fn wait_for_orphan(busy: File) -> io::Result<Result<LockedFile, File>> {
    let waiting = busy.try_clone()?;
    let (sender, locked) = mpsc::channel();
    // a thread that waits in vain ends with the process; what it locks too late, it unlocks
    let wait = move || sender.send(LockedFile::lock(waiting)).ok();
    std::thread::Builder::new().name("lock".to_owned()).spawn(wait)?;
    match locked.recv_timeout(ORPHAN_LIMIT) {
        Ok(locked) => locked.map(Ok),
        Err(_) => Ok(Err(busy)),
    }
}

/// The identity of a process. A process number can be reused, but not with the same start time, boot and host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pid: String,
    /// Start time in clock ticks since the boot.
    start: String,
    boot: String,
    host: String,
}

impl Owner {
    pub(crate) fn own() -> Self {
        let start = ProcessStat::of("self").map(|stat| stat.start).unwrap_or_default();
        Self {
            pid: std::process::id().to_string(),
            start,
            boot: kernel_value("random/boot_id"),
            host: kernel_value("hostname"),
        }
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Self { pid: words.next()?, start: words.next()?, boot: words.next()?, host: words.next()? })
    }

    pub(crate) fn line(&self) -> String {
        format!("{} {} {} {}", self.pid, self.start, self.boot, self.host)
    }

    /// The process in the kernel, if it is alive and of this machine.
    fn process(&self) -> Option<ProcessStat> {
        let stat = ProcessStat::of(&self.pid)?;
        let is_same = stat.start == self.start && self.boot == kernel_value("random/boot_id");
        // a zombie executes nothing
        (is_same && !matches!(stat.state.as_str(), "Z" | "X")).then_some(stat)
    }

    /// Whether the process is alive. A process of another host counts as alive, because this host cannot see it.
    pub(crate) fn may_be_alive(&self) -> bool {
        self.process().is_some() || self.host != kernel_value("hostname")
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, host, .. } = self;
        match self.process() {
            Some(stat) if stat.is_stopped() => {
                write!(f, "process {pid}, which is stopped (continue it with `kill -CONT {pid}`)")
            }
            Some(_) => write!(f, "process {pid}"),
            None if pid.is_empty() => f.write_str("another process"),
            None if *host != kernel_value("hostname") => write!(f, "process {pid} of host `{host}`"),
            None => write!(f, "a process that process {pid} left behind"),
        }
    }
}

/// The first word of a file in `/proc/sys/kernel`; `-` if there is none.
fn kernel_value(name: &str) -> String {
    let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).unwrap_or_default();
    text.split_whitespace().next().unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path) -> Result<Lock, LockError> {
        Lock::take(path, &path.with_file_name("journal"))
    }

    fn holder(path: &Path) -> String {
        match take(path) {
            Err(LockError::Held(owner)) => owner,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn f4_second_executor_is_refused_with_the_first_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = take(&path).unwrap();
        assert_eq!(holder(&path), format!("process {}", std::process::id()));
        assert_eq!(executor(&path).unwrap().pid(), std::process::id().cast_signed());
        drop(lock);
        take(&path).unwrap();
    }

    #[test]
    fn f88_process_needs_the_same_start_and_boot() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let own = Owner::own();
        let write = |owner: &Owner| fs::write(&path, owner.line()).unwrap();
        write(&own);
        let open = File::open(&path).unwrap();
        assert!(executor(&path).is_some());
        // the lock of a copied folder names this process, which does not hold it
        let copy = folder.path().join("copy");
        fs::copy(&path, &copy).unwrap();
        assert!(executor(&copy).is_none());
        for other in [
            Owner { start: "1".to_owned(), ..Owner::own() },
            Owner { boot: "00000000-0000-0000-0000-000000000000".to_owned(), ..Owner::own() },
            Owner { pid: "0".to_owned(), ..Owner::own() },
            Owner { pid: "-5".to_owned(), ..Owner::own() },
        ] {
            write(&other);
            assert!(executor(&path).is_none(), "{other:?}");
            // that process is dead, so the lock is free
            take(&path).unwrap();
            assert_eq!(Owner::parse(&fs::read_to_string(&path).unwrap()), Some(Owner::own()));
        }
        drop(open);
    }

    #[test]
    fn f4_owner_on_another_host_is_shown_with_the_host() {
        let elsewhere = Owner { host: "elsewhere".to_owned(), boot: "x".to_owned(), ..Owner::own() };
        assert_eq!(elsewhere.to_string(), format!("process {} of host `elsewhere`", elsewhere.pid));
    }

    #[test]
    fn fr_h10_a_removed_lock_file_admits_no_second_executor() {
        let folder = tempfile::tempdir().unwrap();
        let (path, journal) = (folder.path().join("lock"), folder.path().join("journal"));
        fs::write(&journal, "").unwrap();
        let lock = take(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(holder(&path), "another process, whose lock file was removed");
        drop(lock);
        take(&path).unwrap();
    }

    #[test]
    fn fr_h10_links_and_special_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("lock"), folder.path().join("other"));
        fs::write(&other, "text of others").unwrap();
        std::os::unix::fs::symlink(&other, &path).unwrap();
        let refused = |expected: &str| match take(&path) {
            Err(LockError::Io(error)) => assert_eq!(error.to_string(), expected),
            other => unreachable!("{other:?}"),
        };
        refused("it is a link, not a regular file");
        assert_eq!(fs::read_to_string(&other).unwrap(), "text of others");
        fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        refused("it is a special file, not a regular file");
    }
}
