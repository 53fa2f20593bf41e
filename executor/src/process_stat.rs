//! Reads the kernel's description of a process in `/proc/PID/stat` (proc_pid_stat(5)).

use std::fmt::Display;
use std::fs;

/// Some fields of `/proc/PID/stat`.
#[derive(Debug)]
pub(crate) struct ProcessStat {
    /// State letter, for example `R`, or `Z` for a zombie.
    pub(crate) state: String,
    /// Process number of the parent; 0 if it has none in this PID namespace.
    pub(crate) parent: u32,
    /// Start time in clock ticks since the boot.
    pub(crate) start: String,
}

impl ProcessStat {
    /// The fields of a process, by its number or `self`. `None` if there is no such process.
    pub(crate) fn of(pid: impl Display) -> Option<Self> {
        let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat);
        // field 2 is a name in parentheses with any characters
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_ascii_whitespace();
        let (state, parent) = (fields.next()?.to_owned(), fields.next()?.parse().ok()?);
        Some(Self { state, parent, start: fields.nth(17)?.to_owned() })
    }

    /// Whether a signal or a debugger has stopped the process.
    pub(crate) fn is_stopped(&self) -> bool {
        matches!(self.state.as_str(), "T" | "t")
    }
}
