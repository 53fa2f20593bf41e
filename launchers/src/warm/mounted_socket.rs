//! A listening socket that is mounted into the container of an instance.

use crate::private_file::make_private_folder;
use crate::process::AsyncDescriptor;
use rustix::fs::{Mode, OFlags, open};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// A socket file to which one program connects once.
///
/// Only the caller can enter its folder. A container gets the file alone, and any user in it may connect, because a
/// program can change its user.
pub(super) struct MountedSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl MountedSocket {
    /// Listens at `name` in a folder, which is made if it is missing. A file that a killed process left there is replaced.
    pub(super) fn listen(folder: &Path, name: &str) -> io::Result<Self> {
        make_private_folder(folder)?;
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // the address of a socket has at most 107 bytes: the folder is named by its descriptor
        let opened = open(folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let short = Path::new("/proc/self/fd").join(opened.as_raw_fd().to_string()).join(name);
        let listener = std::os::unix::net::UnixListener::bind(short)?;
        let socket = Self { listener: from_std(listener)?, path };
        fs::set_permissions(&socket.path, Permissions::from_mode(0o666))?;
        Ok(socket)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the program. Returns the connection and the process that connected, if this process can see that one.
    pub(super) async fn accept(&self) -> io::Result<(AsyncDescriptor<UnixStream>, Option<u32>)> {
        let (stream, _) = self.listener.accept().await?;
        // the kernel reports a process of another, outer namespace as 0
        let pid = stream.peer_cred().ok().and_then(|peer| peer.pid()).and_then(|pid| pid.try_into().ok());
        let stream = AsyncDescriptor::new(stream.into_std()?)?;
        Ok((stream, pid.filter(|pid| *pid != 0)))
    }
}

impl Drop for MountedSocket {
    fn drop(&mut self) {
        // the container keeps its mount; a file that stays is replaced or removed with the run
        fs::remove_file(&self.path).ok();
    }
}

fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<UnixListener> {
    listener.set_nonblocking(true)?;
    UnixListener::from_std(listener)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[tokio::test]
    async fn a_socket_below_a_long_path_takes_one_connection_and_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("x".repeat(200));
        let left = MountedSocket::listen(&folder, "1").unwrap();
        let path = left.path().to_owned();
        // as after SIGKILL: the file is there, and nobody listens
        std::mem::forget(left);
        let socket = MountedSocket::listen(&folder, "1").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&path)), (0o700, 0o666));
        let opened = open(&folder, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let short = format!("/proc/self/fd/{}/1", opened.as_raw_fd());
        let client = UnixStream::connect(&short).unwrap();
        let (stream, pid) = socket.accept().await.unwrap();
        assert_eq!(pid, Some(std::process::id()));
        drop(socket);
        assert!(!path.exists());
        drop(client);
        drop(stream.readable().await.unwrap());
        assert_eq!(stream.get().read(&mut [0]).unwrap(), 0);
    }
}
