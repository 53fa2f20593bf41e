//! The CPU and memory of this machine, as far as this process may use them.

use pop_agenda::Resources;
use pop_registry::{Cpu, Memory};
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

const CPU: &str = "cpu";
const MEMORY: &str = "memory";
const MIB: u64 = 1 << 20;

/// CPU and memory that this process may use: those of the machine within its scheduling affinity and its cgroup limits
/// (version 1 or 2). A resource that the system does not report is left out.
pub fn machine_resources() -> Resources {
    resources(Path::new("/"))
}

/// The same with another root folder of the system's files.
fn resources(root: &Path) -> Resources {
    let mut found = Resources::default();
    let groups = read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    if let Some(cpu) = cpu(root, &groups) {
        found.set(CPU, cpu.millis());
    }
    if let Some(memory) = memory(root, &groups) {
        found.set(MEMORY, memory.bytes());
    }
    found
}

/// Processors in the scheduling affinity, within the CPU quotas; at least one core.
fn cpu(root: &Path, groups: &str) -> Option<Cpu> {
    let status = read_to_string(root.join("proc/self/status")).ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    let cores: u64 = list.trim().split(',').filter_map(length).sum();
    let v2 =
        Cgroup::of(root, groups, "").values(|folder| quota(&read_to_string(folder.join("cpu.max")).ok()?));
    let v1 = Cgroup::of(root, groups, CPU).values(|folder| {
        let read = |name: &str| read_to_string(folder.join(name)).ok();
        quota(&format!("{} {}", read("cpu.cfs_quota_us")?.trim(), read("cpu.cfs_period_us")?))
    });
    let least = v2.into_iter().chain(v1).chain([cores * 1_000]).min()?;
    (cores > 0).then(|| Cpu::from_millis(least.max(1_000)))
}

/// Number of processors in a range such as `0-3` or `5`.
fn length(range: &str) -> Option<u64> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    Some(last.checked_sub(first)? + 1)
}

/// Thousandths of a core of a quota and its period, such as `150000 100000`; none without a limit.
fn quota(text: &str) -> Option<u64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.trim().parse().ok()?);
    (quota.saturating_mul(1_000)).checked_div(period)
}

/// Memory of the machine within the limits of the cgroups, in whole mebibytes.
fn memory(root: &Path, groups: &str) -> Option<Memory> {
    let info = read_to_string(root.join("proc/meminfo")).ok()?;
    let total = info.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let total: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    let limit = |name: &'static str| {
        move |folder: &Path| read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok()
    };
    let v2 = Cgroup::of(root, groups, "").values(limit("memory.max"));
    let v1 = Cgroup::of(root, groups, MEMORY).values(limit("memory.limit_in_bytes"));
    let least = v2.into_iter().chain(v1).chain([total.saturating_mul(1_024)]).min()?;
    Some(Memory::from_bytes((least / MIB).max(1) * MIB))
}

/// The cgroup of this process in one hierarchy.
struct Cgroup {
    /// Folders where the hierarchy may be mounted.
    mounts: Vec<PathBuf>,
    path: PathBuf,
}

impl Cgroup {
    /// The cgroup in the hierarchy of a controller; an empty name is version 2. `groups` is the content of
    /// `/proc/self/cgroup`.
    fn of(root: &Path, groups: &str, controller: &str) -> Self {
        let own = groups.lines().find_map(|line| {
            let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
            let is_its = controllers.split(',').any(|one| one == controller);
            is_its.then(|| (controllers.to_owned(), path.trim_start_matches('/').to_owned()))
        });
        let (controllers, path) = own.unwrap_or_default();
        let base = root.join("sys/fs/cgroup");
        let mut mounts = match controller {
            "" => vec![base.clone(), base.join("unified")],
            one => vec![base.join(one), base.join(controllers)],
        };
        mounts.dedup();
        Self { mounts, path: path.into() }
    }

    /// The values of this cgroup and of those above it that have one. In a container, the path may be one outside it; then
    /// only the mounted cgroup counts.
    fn values(&self, read: impl Fn(&Path) -> Option<u64>) -> Vec<u64> {
        let folders = self.mounts.iter().flat_map(|mount| self.path.ancestors().map(|path| mount.join(path)));
        folders.filter_map(|folder| read(&folder)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The resources of a machine with these files.
    fn of(files: &[(&str, &str)]) -> String {
        let root = tempfile::tempdir().unwrap();
        let machine = [
            ("proc/self/status", "Name:\tpop\nCpus_allowed_list:\t0-3,8\n"),
            ("proc/meminfo", "MemTotal:  8388608 kB\n"),
        ];
        for (path, text) in machine.iter().chain(files) {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        resources(root.path()).to_string()
    }

    #[test]
    fn a_machine_has_the_processors_of_the_affinity_and_all_memory() {
        assert_eq!(of(&[]), "cpu 5, memory 8Gi");
        assert_eq!(of(&[("proc/self/status", "Cpus_allowed_list:\t7\n")]), "cpu 1, memory 8Gi");
        assert_eq!(of(&[("proc/meminfo", "MemTotal: 8009356 kB\n")]), "cpu 5, memory 7821Mi");
    }

    #[test]
    fn limits_of_cgroups_version_2_apply_at_every_level() {
        let own = ("proc/self/cgroup", "0::/a/b\n");
        let unlimited =
            [own, ("sys/fs/cgroup/a/b/cpu.max", "max 100000\n"), ("sys/fs/cgroup/a/b/memory.max", "max\n")];
        assert_eq!(of(&unlimited), "cpu 5, memory 8Gi");
        let above = [
            own,
            ("sys/fs/cgroup/a/cpu.max", "150000 100000\n"),
            ("sys/fs/cgroup/a/memory.max", "1073741824\n"),
        ];
        assert_eq!(of(&above), "cpu 1500m, memory 1Gi");
        // in a container, the mounted cgroup is its own
        let container = [("proc/self/cgroup", "0::/\n"), ("sys/fs/cgroup/cpu.max", "50000 100000\n")];
        assert_eq!(of(&container), "cpu 1, memory 8Gi");
    }

    #[test]
    fn limits_of_cgroups_version_1_apply() {
        let own = ("proc/self/cgroup", "4:memory:/docker/x\n2:cpu,cpuacct:/docker/x\n");
        let limits = [
            own,
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
            ("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "536870912\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
        ];
        assert_eq!(of(&limits), "cpu 2, memory 512Mi");
        let unlimited = [
            own,
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"),
        ];
        assert_eq!(of(&unlimited), "cpu 5, memory 8Gi");
    }

    #[test]
    fn this_machine_has_both() {
        let found = machine_resources();
        assert!(found.get(CPU).is_some_and(|millis| millis >= 1_000), "{found}");
        assert!(found.get(MEMORY).is_some_and(|bytes| bytes >= MIB), "{found}");
    }
}
