//! The text of what attempts used: processor time, memory, blocks of devices.

use pop_contract::Usage;
use pop_contract::how_long;

/// Returns one line without its subject: `412 ms CPU (120 ms in the kernel), 45.2 MiB memory, 12.0 MiB read`.
pub fn usage_text(usage: &Usage) -> String {
    let mut parts = Vec::new();
    if usage.cpu_us() > 0 {
        let kernel = Some(usage.sys_us).filter(|us| *us > 0);
        let kernel = kernel.map(|us| format!(" ({} in the kernel)", cpu_time(us))).unwrap_or_default();
        parts.push(format!("{} CPU{kernel}", cpu_time(usage.cpu_us())));
    }
    for (kib, what) in [(usage.mem_kib, "memory"), (usage.read_kib, "read"), (usage.write_kib, "written")] {
        if kib > 0 {
            parts.push(format!("{} {what}", size_text(kib.saturating_mul(1_024))));
        }
    }
    let counts = [
        (usage.major_faults, "major page fault", "major page faults"),
        (usage.preempted, "preemption", "preemptions"),
    ];
    for (count, one, many) in counts {
        if count > 0 {
            parts.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    }
    parts.join(", ")
}

/// A processor time: in milliseconds below a second.
fn cpu_time(us: u64) -> String {
    match us {
        0..1_000 => format!("0.{} ms", (us / 100).max(1)),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => how_long(us / 1_000),
    }
}

/// Returns a number of bytes for people: `1.5 KiB`.
pub fn size_text(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1_024 {
        return format!("{bytes} bytes");
    }
    let (mut rest, mut unit) = (bytes as f64 / 1_024.0, 0);
    while rest >= 1_024.0 && unit + 1 < UNITS.len() {
        rest /= 1_024.0;
        unit += 1;
    }
    format!("{rest:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_one_line_without_zeros() {
        let usage =
            Usage { user_us: 61_000_000, sys_us: 450, mem_kib: 46_285, preempted: 1, ..Usage::default() };
        assert_eq!(usage_text(&usage), "1 m 01 s CPU (0.4 ms in the kernel), 45.2 MiB memory, 1 preemption");
        assert_eq!(usage_text(&Usage { user_us: 20, ..Usage::default() }), "0.1 ms CPU");
        let usage = Usage { read_kib: 12_288, write_kib: 3, major_faults: 2, ..Usage::default() };
        assert_eq!(usage_text(&usage), "12.0 MiB read, 3.0 KiB written, 2 major page faults");
    }

    #[test]
    fn sizes_have_the_unit_that_fits() {
        for (bytes, wanted) in [
            (0, "0 bytes"),
            (1_023, "1023 bytes"),
            (1_536, "1.5 KiB"),
            (5 << 30, "5.0 GiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(size_text(bytes), wanted);
        }
    }
}
