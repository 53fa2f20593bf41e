//! Opening files that others may have replaced: regular files only, up to a size limit.
//!
//! Opening a named pipe waits for a writer, and a device may never end. Both are rejected before a byte is read.

use rustix::fs::OFlags;
use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Opens a regular file for reading. A named pipe, device, socket or folder is an error that names its kind.
pub fn open_regular_file(path: &Path) -> io::Result<File> {
    // O_NONBLOCK: opening a named pipe must not wait; O_NOCTTY: a terminal must not become ours
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        // open(2) on a socket
        Some(code) if code == rustix::io::Errno::NXIO.raw_os_error() => not_regular("a socket"),
        _ => error,
    })?;
    let file_type = file.metadata()?.file_type();
    if file_type.is_file() { Ok(file) } else { Err(not_regular(name(file_type))) }
}

/// Reads a whole regular file. A file of more than `limit` bytes is an error.
pub fn read_regular_file(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = open_regular_file(path)?;
    let too_large = || io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes"));
    // checks the length first: a sparse file must not allocate memory
    let length = file.metadata()?.len();
    if length > limit {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit { Err(too_large()) } else { Ok(bytes) }
}

fn not_regular(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, format!("it is {what}, not a regular file"))
}

fn name(file_type: FileType) -> &'static str {
    if file_type.is_dir() {
        "a folder"
    } else if file_type.is_fifo() {
        "a named pipe"
    } else if file_type.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn fr_h9_pipes_devices_sockets_and_folders_are_rejected() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, socket) = (folder.path().join("pipe"), folder.path().join("socket"));
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, what) in [
            (pipe.as_path(), "it is a named pipe, not a regular file"),
            (&socket, "it is a socket, not a regular file"),
            (folder.path(), "it is a folder, not a regular file"),
            (Path::new("/dev/zero"), "it is a device, not a regular file"),
        ] {
            assert_eq!(read_regular_file(path, 10).unwrap_err().to_string(), what);
        }
    }

    #[test]
    fn fr_h9_size_limit_is_exact_and_rejects_a_sparse_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("four");
        std::fs::write(&path, "four").unwrap();
        assert_eq!(read_regular_file(&path, 4).unwrap(), b"four");
        assert_eq!(read_regular_file(&path, 3).unwrap_err().to_string(), "it is larger than 3 bytes");
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read_regular_file(&path, 4).unwrap_err().kind(), ErrorKind::FileTooLarge);
        // procfs reports the length 0
        assert!(!read_regular_file(Path::new("/proc/self/status"), 1 << 20).unwrap().is_empty());
    }
}
