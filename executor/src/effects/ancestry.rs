//! The processes above this one. A lock that one of them holds while it waits for this process is never free.

use crate::process_stat::ProcessStat;

/// The most processes that are followed upwards; a chain is much shorter, and `/proc` may change meanwhile.
const MOST: usize = 1_000;

/// Whether `pid` is this process or one above it, as far as `/proc` tells.
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
