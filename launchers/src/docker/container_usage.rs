//! What a container used, as the kernel counts it for the container's cgroup.
//!
//! An Engine removes the cgroup of a container soon after its end, and reports no figures of an ended container. So the
//! counters are read when the first process of the container has ended: its end has ended all others, so the counters
//! are final, and the Engine removes the cgroup only after it has noticed that end. A container costs one read, no matter
//! how long it runs, and no request. Only while it starts, its cgroup is looked for again and again, so that a container
//! that ends at once is not missed. Cgroups have no event for a first process.
//!
//! The process ids of an Engine are not used, because it may number processes differently (another pid namespace).
//!
//! There are no figures if this machine does not have the container's cgroup, or if the Engine removed it before it was
//! read.

use crate::process::AsyncDescriptor;
use pop_contract::Usage;
use rustix::process::{Pid, PidfdFlags, getuid, pidfd_open};
use std::convert::Infallible;
use std::fs::read_to_string;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Where the kernel's cgroups are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// Time between two looks for the cgroup of a container that starts.
const LOOK: Duration = Duration::from_millis(10);

/// Looks for the first process of a container that was started, until its processes are given up.
const LOOKS: u32 = 10;

/// Waits until a container has started and ended; returns what it used, if that can be known. `id` is the Engine's id of the
/// container. `started` ends when the Engine says that the container was started.
pub(super) async fn usage_at_end(id: String, mut started: oneshot::Receiver<Infallible>) -> Option<Usage> {
    let (mut has_started, mut looks) = (false, 0);
    while looks < LOOKS {
        let Some(cgroup) = Cgroup::find(Path::new(ROOT), &id) else {
            if has_started {
                return None;
            }
            has_started = timeout(LOOK, &mut started).await.is_ok();
            continue;
        };
        match (cgroup.processes(), has_started) {
            (Processes::First(process), _) => {
                AsyncDescriptor::new(process).ok()?.readable().await.ok()?.retain_ready();
                return cgroup.usage();
            }
            // all have ended
            (Processes::None, true) => return cgroup.usage(),
            (_, false) => has_started = timeout(LOOK, &mut started).await.is_ok(),
            // they end right now, or they cannot be seen
            (Processes::Others, true) => {
                looks += 1;
                sleep(LOOK).await;
            }
        }
    }
    None
}

/// The processes of a container.
enum Processes {
    /// There are none.
    None,
    /// There are some; the first one is not among them, or is hidden.
    Others,
    /// The first process, whose end ends all others.
    First(OwnedFd),
}

/// The folders with the counters of a container.
#[derive(Debug, PartialEq, Eq)]
enum Cgroup {
    /// Version 2 has one folder.
    Unified(PathBuf),
    /// Version 1 has one for each controller.
    Separate { cpu: PathBuf, memory: PathBuf, io: PathBuf, pids: PathBuf },
}

impl Cgroup {
    /// Finds the cgroup of a container.
    fn find(root: &Path, id: &str) -> Option<Self> {
        if !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            // no id is a path
            return None;
        }
        let paths = paths(id, getuid().as_raw());
        if root.join("cgroup.controllers").exists() {
            return paths
                .into_iter()
                .map(|path| root.join(path))
                .find(|path| path.is_dir())
                .map(Self::Unified);
        }
        let path = paths.into_iter().find(|path| root.join("cpuacct").join(path).is_dir())?;
        let folder = |controller: &str| root.join(controller).join(&path);
        let (cpu, memory) = (folder("cpuacct"), folder("memory"));
        Some(Self::Separate { cpu, memory, io: folder("blkio"), pids: folder("pids") })
    }

    /// The processes of the container.
    fn processes(&self) -> Processes {
        let folder = match self {
            Self::Unified(folder) => folder,
            Self::Separate { cpu, .. } => cpu,
        };
        let list = read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        if list.is_empty() {
            return if self.is_empty() { Processes::None } else { Processes::Others };
        }
        // a process of a namespace that is not ours has the number 0. A container may have other namespaces inside
        let firsts =
            list.lines().filter_map(|pid| pid.parse().ok()).filter_map(|pid| Some((first_in(pid)?, pid)));
        let Some((depth, pid)) = firsts.min() else { return Processes::Others };
        let process = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // if the number was given to another process meanwhile, that one is not the first of such a namespace
        match process.filter(|_| first_in(pid) == Some(depth)) {
            Some(process) => Processes::First(process),
            None => Processes::Others,
        }
    }

    /// Whether a cgroup whose list of processes is empty has none. The list of version 1 leaves out the processes of a
    /// namespace that is not ours, where that of version 2 has zeros.
    fn is_empty(&self) -> bool {
        match self {
            Self::Unified(_) => true,
            Self::Separate { pids, .. } => number(pids.join("pids.current")) == Some(0),
        }
    }

    /// The counters as they are now; none if nothing can be read.
    fn usage(&self) -> Option<Usage> {
        let usage = match self {
            Self::Unified(folder) => {
                let cpu = read_to_string(folder.join("cpu.stat")).unwrap_or_default();
                let memory = read_to_string(folder.join("memory.stat")).unwrap_or_default();
                let io = read_to_string(folder.join("io.stat")).unwrap_or_default();
                Usage {
                    user_us: value(&cpu, "user_usec"),
                    sys_us: value(&cpu, "system_usec"),
                    mem_kib: number(folder.join("memory.peak")).unwrap_or_default() / 1024,
                    read_kib: assigned(&io, "rbytes") / 1024,
                    write_kib: assigned(&io, "wbytes") / 1024,
                    major_faults: value(&memory, "pgmajfault"),
                    preempted: 0,
                }
            }
            Self::Separate { cpu, memory, io, .. } => {
                let count = |folder: &Path, file: &str| number(folder.join(file)).unwrap_or_default();
                let memory_text = read_to_string(memory.join("memory.stat")).unwrap_or_default();
                let io = read_to_string(io.join("blkio.throttle.io_service_bytes_recursive"))
                    .or_else(|_| read_to_string(io.join("blkio.throttle.io_service_bytes")))
                    .unwrap_or_default();
                Usage {
                    user_us: count(cpu, "cpuacct.usage_user") / 1000,
                    sys_us: count(cpu, "cpuacct.usage_sys") / 1000,
                    mem_kib: count(memory, "memory.max_usage_in_bytes") / 1024,
                    read_kib: of_devices(&io, "Read") / 1024,
                    write_kib: of_devices(&io, "Write") / 1024,
                    major_faults: value(&memory_text, "total_pgmajfault"),
                    preempted: 0,
                }
            }
        };
        usage.known()
    }
}

/// The number in a file of the kernel.
fn number(file: PathBuf) -> Option<u64> {
    read_to_string(file).ok()?.trim().parse().ok()
}

/// Where Docker puts the cgroup of a container, below the root or below that of a controller.
fn paths(id: &str, user: u32) -> Vec<PathBuf> {
    let service = format!("user.slice/user-{user}.slice/user@{user}.service");
    let paths = [
        format!("docker/{id}"),
        format!("system.slice/docker-{id}.scope"),
        format!("{service}/user.slice/docker-{id}.scope"),
        format!("{service}/app.slice/docker-{id}.scope"),
    ];
    paths.into_iter().map(PathBuf::from).collect()
}

/// Depth of the pid namespace whose first process this is; none for any other process.
fn first_in(pid: i32) -> Option<usize> {
    depth_of_first(&read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The same from the text of `/proc/PID/status`.
fn depth_of_first(status: &str) -> Option<usize> {
    let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    let ids: Vec<&str> = ids.split_whitespace().collect();
    (ids.last() == Some(&"1")).then_some(ids.len())
}

/// The number behind a name, in lines such as `user_usec 1200`.
fn value(text: &str, name: &str) -> u64 {
    let mut lines = text.lines().filter_map(|line| line.split_once(' '));
    lines.find(|(named, _)| *named == name).and_then(|(_, number)| number.trim().parse().ok()).unwrap_or(0)
}

/// The sum over all devices, in lines such as `8:0 rbytes=4096 wbytes=0 rios=1`.
fn assigned(text: &str, name: &str) -> u64 {
    let words = text.split_whitespace().filter_map(|word| word.split_once('='));
    words.filter(|(named, _)| *named == name).filter_map(|(_, number)| number.parse::<u64>().ok()).sum()
}

/// The sum over all devices, in lines such as `8:0 Read 4096`.
fn of_devices(text: &str, name: &str) -> u64 {
    let of_line = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        (words.next()? == name).then(|| words.next()?.parse::<u64>().ok())?
    };
    text.lines().filter_map(of_line).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ID: &str = "3f2a9c";

    fn written(root: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let file = root.join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        }
    }

    #[test]
    fn cgroup_version_2_has_all_figures_in_one_folder() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let own = "system.slice/docker-3f2a9c.scope";
        written(root, &[("cgroup.controllers", "cpu io memory\n")]);
        assert_eq!((Cgroup::find(root, ID), Cgroup::find(root, "../docker")), (None, None));
        fs::create_dir_all(root.join(own)).unwrap();
        let cgroup = Cgroup::find(root, ID).unwrap();
        assert_eq!(cgroup, Cgroup::Unified(root.join(own)));
        assert_eq!(cgroup.usage(), None);
        let files = [
            ("cpu.stat", "usage_usec 1700\nuser_usec 1200\nsystem_usec 500\n"),
            ("memory.peak", "8388608\n"),
            ("memory.stat", "anon 4096\npgfault 900\npgmajfault 3\n"),
            (
                "io.stat",
                "8:0 rbytes=4096 wbytes=8192 rios=1 wios=2\n259:1 rbytes=1024 wbytes=0 rios=1 wios=0\n",
            ),
        ];
        written(&root.join(own), &files);
        let usage = Usage {
            user_us: 1200,
            sys_us: 500,
            mem_kib: 8192,
            read_kib: 5,
            write_kib: 8,
            major_faults: 3,
            preempted: 0,
        };
        assert_eq!(cgroup.usage(), Some(usage));
        // a kernel before 5.19 has no peak
        fs::remove_file(root.join(own).join("memory.peak")).unwrap();
        assert_eq!(cgroup.usage(), Some(Usage { mem_kib: 0, ..usage }));
    }

    #[test]
    fn cgroup_version_1_has_a_folder_for_each_controller() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        written(
            root,
            &[
                ("cpuacct/docker/3f2a9c/cpuacct.usage_user", "1200999\n"),
                ("cpuacct/docker/3f2a9c/cpuacct.usage_sys", "500000\n"),
                ("memory/docker/3f2a9c/memory.max_usage_in_bytes", "8388608\n"),
                ("memory/docker/3f2a9c/memory.stat", "pgmajfault 1\ntotal_pgmajfault 3\n"),
                (
                    "blkio/docker/3f2a9c/blkio.throttle.io_service_bytes",
                    "8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\n8:16 Read 1024\nTotal 13312\n",
                ),
            ],
        );
        let usage = Cgroup::find(root, ID).unwrap().usage();
        let wanted = Usage {
            user_us: 1200,
            sys_us: 500,
            mem_kib: 8192,
            read_kib: 5,
            write_kib: 8,
            major_faults: 3,
            preempted: 0,
        };
        assert_eq!(usage, Some(wanted));
    }

    #[test]
    fn an_empty_list_of_version_1_may_hide_processes() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        written(root, &[("cpuacct/docker/3f2a9c/cgroup.procs", "")]);
        let processes = || Cgroup::find(root, ID).unwrap().processes();
        assert!(matches!(processes(), Processes::Others));
        written(root, &[("pids/docker/3f2a9c/pids.current", "1\n")]);
        assert!(matches!(processes(), Processes::Others));
        written(root, &[("pids/docker/3f2a9c/pids.current", "0\n")]);
        assert!(matches!(processes(), Processes::None));
    }

    #[test]
    fn first_process_of_a_namespace_has_number_one_in_it() {
        let depth = |ids: &str| depth_of_first(&format!("Name:\tsh\nPid:\t29\nNSpid:{ids}\nThreads:\t1\n"));
        assert_eq!((depth("\t29\t701\t1"), depth("\t30\t702\t9\t1")), (Some(3), Some(4)));
        assert_eq!((depth("\t29\t701\t7"), depth("\t11"), depth("")), (None, None, None));
    }
}
