//! The ancestors of this process. If an ancestor holds a lock while it waits for this process, the lock never becomes
//! free.

use crate::process_stat::ProcessStat;

/// The most processes that are followed upwards; a chain is much shorter, and `/proc` may change meanwhile.
const MOST: usize = 1_000;

/// Whether `pid` is this process or one of its ancestors, as far as `/proc` shows.
pub(super) fn includes(pid: u32) -> bool {
    let mut current = std::process::id();
    for _ in 0..MOST {
        if current == pid {
            return true;
        }
        match parent(current) {
            Some(parent) if parent > 0 => current = parent,
            _ => return false,
        }
    }
    false
}

fn parent(pid: u32) -> Option<u32> {
    ProcessStat::of(pid).map(|stat| stat.parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_and_its_parent_are_above_and_a_child_is_not() {
        assert!(includes(std::process::id()));
        assert!(includes(parent(std::process::id()).unwrap()));
        let mut child = std::process::Command::new("sleep").arg("10").spawn().unwrap();
        assert!(!includes(child.id()));
        assert_eq!(parent(child.id()), Some(std::process::id()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
