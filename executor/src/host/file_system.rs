//! Which file systems other hosts may use too, so that a lock here may not be one there.

use rustix::fs::statfs;
use std::path::Path;

/// File systems that are not this host's alone, by the number that the kernel knows them by.
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

/// The name of the file system of a folder, or of where it would be made, if other hosts may use it too.
pub fn remote_file_system(folder: &Path) -> Option<&'static str> {
    let above = std::path::absolute(folder).ok()?;
    let found = above.ancestors().find_map(|there| statfs(there).ok())?;
    remote(found.f_type as u32)
}

fn remote(kind: u32) -> Option<&'static str> {
    REMOTE.iter().find(|(number, _)| *number == kind).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f87_file_systems_of_several_hosts_are_known_by_name_and_others_are_not() {
        assert_eq!((remote(0x6969), remote(0x6573_5546)), (Some("NFS"), Some("FUSE")));
        // ext, overlay, tmpfs
        for own in [0xef53, 0x794c_7630, 0x0102_1994] {
            assert_eq!(remote(own), None);
        }
        // one of the kernel's own, below a folder that is not there
        assert_eq!(remote_file_system(Path::new("/proc/none/.host")), None);
    }
}
