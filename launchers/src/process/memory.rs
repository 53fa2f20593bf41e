//! The kernel's count of programs killed for lack of memory: of our own control group if it has such a count,
//! else of the whole machine.

use std::fs;
use std::path::Path;

/// The kernel's count, read again at each call.
#[derive(Debug)]
pub struct MemoryKills {
    seen: u64,
}

impl MemoryKills {
    /// Starts counting now.
    pub fn watch() -> Self {
        Self { seen: count(Path::new("/")) }
    }

    /// Whether the count has grown since the last call.
    pub fn were_any(&mut self) -> bool {
        let before = std::mem::replace(&mut self.seen, count(Path::new("/")));
        self.seen > before
    }
}

/// The kernel's count, read below the mount point `root`.
fn count(root: &Path) -> u64 {
    let read = |path: String| fs::read_to_string(root.join(path)).unwrap_or_default();
    let groups = read("proc/self/cgroup".to_owned());
    let of_group = groups.lines().find_map(|line| {
        let (kind, group) = line.split_once(':')?.1.split_once(':')?;
        let file = match kind {
            "" => format!("sys/fs/cgroup{group}/memory.events"),
            _ if kind.split(',').any(|kind| kind == "memory") => {
                format!("sys/fs/cgroup/memory{group}/memory.oom_control")
            }
            _ => return None,
        };
        kills(&read(file))
    });
    of_group.or_else(|| kills(&read("proc/vmstat".to_owned()))).unwrap_or_default()
}

/// The count in one of those files, which hold a name and a number per line.
fn kills(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f11_count_of_own_group_precedes_that_of_the_machine() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(count(root.path()), 0);
        write("proc/vmstat", "nr_free_pages 9\noom_kill 3\n");
        assert_eq!(count(root.path()), 3);
        write("proc/self/cgroup", "3:cpu:/a\n2:memory,blkio:/a/b\n0::/\n");
        assert_eq!(count(root.path()), 3);
        write("sys/fs/cgroup/memory/a/b/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 5\n");
        assert_eq!(count(root.path()), 5);
        write("proc/self/cgroup", "0::/user/x\n");
        write("sys/fs/cgroup/user/x/memory.events", "low 0\noom 9\noom_kill 7\noom_group_kill 0\n");
        assert_eq!(count(root.path()), 7);
    }
}
