//! The right to execute a run, and who has it: known in a way that no other process can ever be mistaken for.

use pop_launchers::read_regular_file;
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

/// How long what a killed executor left behind may take to let go of the lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// The largest file of a lock that is read, in bytes.
const OWNER_LIMIT: u64 = 4_096;

/// The right to execute a run, for as long as it is held. It ends with the process, so a crash leaves nothing to clear
/// away.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a lock is not to be had.
#[derive(Debug)]
pub(crate) enum NoLock {
    /// Somebody has it.
    Held(String),
    /// Its file cannot be used.
    Io(io::Error),
}

impl From<io::Error> for NoLock {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Lock {
    /// Takes the lock of a file; fails at once if another process that is alive has it.
    pub(crate) fn take(path: &Path) -> Result<Self, NoLock> {
        let mut file = OpenOptions::new();
        let mut file = file.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            // a child of a killed executor may hold on to it until it is dead too
            Err(TryLockError::WouldBlock) if executor(path).is_none() && locks_soon(&file)? => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                file.read_to_string(&mut text)?;
                return Err(NoLock::Held(Owner::parse(&text).unwrap_or_default().to_string()));
            }
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", Owner::own().line()))?;
        Ok(Self { _file: file })
    }
}

/// The process of this machine that holds a lock, if any. Takes no lock, so it is in nobody's way.
pub(crate) fn executor(path: &Path) -> Option<i32> {
    let owner = read_regular_file(path, OWNER_LIMIT).ok()?;
    let owner = Owner::parse(str::from_utf8(&owner).ok()?)?;
    owner.state()?;
    owner.pid.parse().ok()
}

/// Waits for a lock, but not for ever.
fn locks_soon(file: &File) -> io::Result<bool> {
    let waiting = file.try_clone()?;
    let (locked, told) = mpsc::channel();
    // a lock belongs to the open file, not to who waited for it; whoever waits in vain goes with this process
    std::thread::Builder::new().name("lock".to_owned()).spawn(move || locked.send(waiting.lock()))?;
    match told.recv_timeout(PATIENCE) {
        Ok(result) => result.map(|()| true),
        Err(_) => Ok(false),
    }
}

/// A process, for ever: its number is given again, but not with the same start in the same boot of the same host.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Owner {
    pid: String,
    /// When it started, in the kernel's own count since the boot.
    start: String,
    boot: String,
    host: String,
}

impl Owner {
    pub(crate) fn own() -> Self {
        let start = stat("self").map(|(_, start)| start).unwrap_or_default();
        Self {
            pid: std::process::id().to_string(),
            start,
            boot: kernel("random/boot_id"),
            host: kernel("hostname"),
        }
    }

    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace().map(str::to_owned);
        Some(Self { pid: words.next()?, start: words.next()?, boot: words.next()?, host: words.next()? })
    }

    pub(crate) fn line(&self) -> String {
        format!("{} {} {} {}", self.pid, self.start, self.boot, self.host)
    }

    /// The state of the process as the kernel writes it, if it is alive and of this machine.
    fn state(&self) -> Option<String> {
        let (state, start) = stat(&self.pid)?;
        let is_meant = start == self.start && self.boot == kernel("random/boot_id");
        // one that is dead and was not collected yet executes nothing
        (is_meant && !matches!(state.as_str(), "Z" | "X")).then_some(state)
    }

    /// Whether it is alive, as far as this machine can know: those of other hosts are not seen from here.
    pub(crate) fn may_be_alive(&self) -> bool {
        self.state().is_some() || self.host != kernel("hostname")
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pid, host, .. } = self;
        match self.state().as_deref() {
            Some("T" | "t") => write!(f, "process {pid}, which is stopped (`kill -CONT {pid}` wakes it)"),
            Some(_) => write!(f, "process {pid}"),
            None if pid.is_empty() => f.write_str("another process"),
            None if *host != kernel("hostname") => write!(f, "process {pid} of host `{host}`"),
            None => write!(f, "what process {pid} left behind"),
        }
    }
}

/// State and start of a process.
fn stat(pid: &str) -> Option<(String, String)> {
    let stat = fs::read_to_string(Path::new("/proc").join(pid).join("stat")).ok()?;
    // the second field is a name in parentheses that may hold anything; the third is the state, the 22nd the start
    let mut after_name = stat[stat.rfind(')')? + 1..].split_whitespace().map(str::to_owned);
    Some((after_name.next()?, after_name.nth(18)?))
}

/// What the kernel says of this boot or host.
fn kernel(name: &str) -> String {
    let said = fs::read_to_string(Path::new("/proc/sys/kernel").join(name)).unwrap_or_default();
    // one word, whatever it is
    said.split_whitespace().next().unwrap_or("-").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(path: &Path) -> String {
        match Lock::take(path) {
            Err(NoLock::Held(who)) => who,
            other => unreachable!("{other:?}"),
        }
    }

    #[test]
    fn f4_a_second_executor_is_refused_and_told_who_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = Lock::take(&path).unwrap();
        assert_eq!(said(&path), format!("process {}", std::process::id()));
        assert_eq!(executor(&path), Some(std::process::id().cast_signed()));
        drop(lock);
        Lock::take(&path).unwrap();
    }

    #[test]
    fn f88_a_number_alone_is_no_process_nor_is_it_with_another_start_or_another_boot() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let own = Owner::own();
        let write = |owner: &Owner| fs::write(&path, owner.line()).unwrap();
        write(&own);
        assert!(executor(&path).is_some());
        for other in [
            Owner { start: "1".to_owned(), ..Owner::own() },
            Owner { boot: "00000000-0000-0000-0000-000000000000".to_owned(), ..Owner::own() },
            Owner { pid: "0".to_owned(), ..Owner::own() },
        ] {
            write(&other);
            assert_eq!(executor(&path), None, "{other:?}");
            // it is dead, and so the right to execute is free
            Lock::take(&path).unwrap();
            assert_eq!(Owner::parse(&fs::read_to_string(&path).unwrap()), Some(Owner::own()));
        }
    }

    #[test]
    fn f4_who_is_on_another_host_is_named_with_it() {
        let elsewhere = Owner { host: "elsewhere".to_owned(), boot: "x".to_owned(), ..Owner::own() };
        assert_eq!(elsewhere.to_string(), format!("process {} of host `elsewhere`", elsewhere.pid));
    }
}
