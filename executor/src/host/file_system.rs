//! Detects file systems that other hosts may use too, where a lock of this host may not be visible to them.

use rustix::fs::statfs;
use std::path::Path;

/// File systems that several hosts may share, by their number in statfs(2).
const REMOTE: [(u32, &str); 8] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "CIFS"),
    (0xfe53_4d42, "SMB"),
    (0x6573_5546, "FUSE"),
    (0x0102_1997, "9P"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
];

/// The name of a folder's file system, if other hosts may use it too. The folder need not exist.
pub fn remote_file_system(folder: &Path) -> Option<&'static str> {
    let path = std::path::absolute(folder).ok()?;
    let found = path.ancestors().find_map(|existing| statfs(existing).ok())?;
    remote(found.f_type as u32)
}

fn remote(kind: u32) -> Option<&'static str> {
    REMOTE.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f87_remote_file_systems_are_named_and_local_ones_are_not() {
        assert_eq!((remote(0x6969), remote(0x6573_5546)), (Some("NFS"), Some("FUSE")));
        // ext, overlay, tmpfs
        for local in [0xef53, 0x794c_7630, 0x0102_1994] {
            assert_eq!(remote(local), None);
        }
        // a missing folder on a file system of the kernel
        assert_eq!(remote_file_system(Path::new("/proc/none/.host")), None);
    }
}
