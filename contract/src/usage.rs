//! Resources that an attempt used, as the platform counts them.

use serde::{Deserialize, Serialize};

/// Resources that an attempt used. Zero means that a figure is zero or unknown; JSON leaves zeros out.
///
/// The figures of a process are those of `getrusage`: the program and every child that it waited for. Those of a container
/// are the counters of its cgroup.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Usage {
    /// Processor time in user mode, in microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub user_us: u64,
    /// Processor time in the kernel, in microseconds.
    #[serde(skip_serializing_if = "is_zero")]
    pub sys_us: u64,
    /// Largest memory, in KiB: the resident memory of the largest process, or all memory of a container, with cached files.
    #[serde(skip_serializing_if = "is_zero")]
    pub mem_kib: u64,
    /// Data read from block devices, in KiB; what the page cache had is not counted.
    #[serde(skip_serializing_if = "is_zero")]
    pub read_kib: u64,
    /// Data written to block devices or to be written there later, in KiB.
    #[serde(skip_serializing_if = "is_zero")]
    pub write_kib: u64,
    /// Page faults that had to read from a block device.
    #[serde(skip_serializing_if = "is_zero")]
    pub major_faults: u64,
    /// Times that the kernel took the processor away before the program had to wait. Many of them on a busy machine
    /// mean that the attempt would have been faster with more processors.
    #[serde(skip_serializing_if = "is_zero")]
    pub preempted: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Usage {
    /// Processor time in user mode and in the kernel, in microseconds.
    pub fn cpu_us(&self) -> u64 {
        self.user_us.saturating_add(self.sys_us)
    }

    /// These figures; none if every one is zero.
    #[must_use]
    pub fn known(self) -> Option<Self> {
        (self != Self::default()).then_some(self)
    }

    /// The figures of two attempts together: sums, and the larger memory.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            user_us: self.user_us.saturating_add(other.user_us),
            sys_us: self.sys_us.saturating_add(other.sys_us),
            mem_kib: self.mem_kib.max(other.mem_kib),
            read_kib: self.read_kib.saturating_add(other.read_kib),
            write_kib: self.write_kib.saturating_add(other.write_kib),
            major_faults: self.major_faults.saturating_add(other.major_faults),
            preempted: self.preempted.saturating_add(other.preempted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn zeros_are_left_out_and_read_back() {
        let usage = Usage { user_us: 1_200, mem_kib: 9, ..Usage::default() };
        assert_eq!(serde_json::to_value(usage).unwrap(), json!({"userUs": 1_200, "memKib": 9}));
        assert_eq!(serde_json::from_value::<Usage>(json!({"userUs": 1_200, "memKib": 9})).unwrap(), usage);
        // a later version may know more
        assert_eq!(serde_json::from_value::<Usage>(json!({"joules": 3})).unwrap().known(), None);
    }

    #[test]
    fn sum_adds_times_and_takes_the_larger_memory() {
        let one = Usage { user_us: 1, sys_us: 2, mem_kib: 30, ..Usage::default() };
        let other = Usage { user_us: 10, mem_kib: 20, read_kib: 4, ..Usage::default() };
        let sum = Usage { user_us: 11, sys_us: 2, mem_kib: 30, read_kib: 4, ..Usage::default() };
        assert_eq!((one.and(other), sum.cpu_us()), (sum, 13));
    }
}
