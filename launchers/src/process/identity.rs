//! The identity of an executor process, unique even when its pid is reused.

use rustix::process::{Pid, getpid};
use std::fs;
use std::path::Path;

/// Identity of this process as the value of [`EXECUTOR_VARIABLE`](super::EXECUTOR_VARIABLE): pid, start time,
/// boot id of the machine. A pid is reused, but not with the same start time in the same boot.
pub fn executor_identity() -> String {
    let own = getpid();
    format!("{}-{}-{}", own.as_raw_nonzero(), started(own).unwrap_or_default(), boot())
}

/// The process with this identity: `None` if the string is not an identity, `Some(None)` if the process is dead.
#[expect(
    clippy::option_option,
    reason = "no identity, and the identity of a dead process, are different answers"
)]
pub(super) fn executor(identity: &str) -> Option<Option<Pid>> {
    let (pid, rest) = identity.split_once('-')?;
    let (start, booted) = rest.split_once('-')?;
    let pid = Pid::from_raw(pid.parse().ok()?)?;
    let start: u64 = start.parse().ok()?;
    if booted.is_empty() {
        return None;
    }
    Some((booted == boot() && started(pid) == Some(start)).then_some(pid))
}

fn boot() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot = boot.trim();
    if boot.is_empty() { "unknown".to_owned() } else { boot.to_owned() }
}

/// Start time of a process in kernel clock ticks; `None` if it has ended.
fn started(pid: Pid) -> Option<u64> {
    let stat = stat(pid)?;
    (!matches!(stat.first()?.as_str(), "Z" | "X")).then_some(())?;
    stat.get(19)?.parse().ok()
}

/// The parent of a process.
pub(super) fn parent(pid: Pid) -> Option<Pid> {
    number(&stat(pid)?, 1)
}

/// The process group of a process. Kernel threads have none.
pub(super) fn group(pid: Pid) -> Option<Pid> {
    number(&stat(pid)?, 2)
}

/// The session of a process. Kernel threads have none.
pub(super) fn session(pid: Pid) -> Option<Pid> {
    number(&stat(pid)?, 3)
}

/// The process number in a field. A process that is ending has -1 as group and session; one outside this PID namespace
/// has 0.
fn number(fields: &[String], index: usize) -> Option<Pid> {
    let raw: i32 = fields.get(index)?.parse().ok()?;
    if raw > 0 { Pid::from_raw(raw) } else { None }
}

/// The fields of `/proc/PID/stat` from the state on.
fn stat(pid: Pid) -> Option<Vec<String>> {
    let text = fs::read(Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("stat")).ok()?;
    // the name before may contain anything, also blanks and brackets
    let end = text.iter().rposition(|byte| *byte == b')')?;
    Some(String::from_utf8_lossy(&text[end + 1..]).split_whitespace().map(str::to_owned).collect())
}

/// The name of a process for messages.
pub(super) fn name(pid: Pid) -> String {
    let name = fs::read(Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("comm"));
    String::from_utf8_lossy(&name.unwrap_or_default()).trim().escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    #[test]
    fn fr_h1_identity_means_one_living_process() {
        let own = executor_identity();
        assert_eq!(executor(&own), Some(Some(getpid())));
        let (pid, rest) = own.split_once('-').unwrap();
        let (start, booted) = rest.split_once('-').unwrap();
        let other_start = start.parse::<u64>().unwrap() + 1;
        assert_eq!(executor(&format!("{pid}-{other_start}-{booted}")), Some(None));
        assert_eq!(executor(&format!("{pid}-{start}-other-boot")), Some(None));
        for text in ["", "x", "1", "1-2", "0-1-b", "3f0c64b0-0000-4000-8000-000000000000"] {
            assert_eq!(executor(text), None, "{text}");
        }
    }

    #[test]
    fn parent_group_and_session_are_those_of_the_kernel() {
        // the group and session of this test may belong to a namespace outside, where they have no number
        let mut child = Command::new("setsid")
            .args(["sh", "-c", "echo started; read end"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let pid = Pid::from_child(&child);
        assert_eq!(parent(pid), Some(getpid()));
        assert_eq!((group(pid), session(pid)), (Some(pid), Some(pid)));
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn fr_a10_a_process_that_is_ending_has_no_group() {
        let fields = ["Z", "1", "-1", "0"].map(str::to_owned);
        assert_eq!([1, 2, 3, 4].map(|index| number(&fields, index)), [Pid::from_raw(1), None, None, None]);
    }
}
