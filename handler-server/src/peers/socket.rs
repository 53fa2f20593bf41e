//! Listening sockets and connections of both transports.

use super::endpoint::Endpoint;
use pop_launchers::make_private_folder;
use rustix::fs::{Mode, chmod};
use std::fs;
use std::io::{self, IoSlice};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// A connection.
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.readable().await,
            Self::Unix(stream) => stream.readable().await,
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.writable().await,
            Self::Unix(stream) => stream.writable().await,
        }
    }

    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_read(buffer),
            Self::Unix(stream) => stream.try_read(buffer),
        }
    }

    /// [`readable`](Self::readable) waits for bytes that come from now on.
    pub(super) fn wait_for_more(&self) {
        let empty = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
        // the answer is the error above
        match self {
            Self::Tcp(stream) => stream.try_io(Interest::READABLE, empty).ok(),
            Self::Unix(stream) => stream.try_io(Interest::READABLE, empty).ok(),
        };
    }

    pub(super) fn try_write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.try_write_vectored(pieces),
            Self::Unix(stream) => stream.try_write_vectored(pieces),
        }
    }
}

/// A listening socket. The file of a Unix socket is removed when it is dropped.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

impl Listener {
    /// Listens, and returns the endpoint with the port that was free.
    pub(super) fn bind(endpoint: &Endpoint) -> io::Result<(Self, Endpoint)> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let listener = std::net::TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                let bound = Endpoint::Tcp(listener.local_addr()?);
                Ok((Self::Tcp(TcpListener::from_std(listener)?), bound))
            }
            Endpoint::Ipc(path) => {
                let (listener, file) = bind_file(path)?;
                Ok((Self::Unix { listener, _file: file }, endpoint.clone()))
            }
        }
    }

    pub(super) async fn accept(&self) -> io::Result<Socket> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // replies are small and must not wait for more
                stream.set_nodelay(true)?;
                rustix::net::sockopt::set_socket_keepalive(&stream, true)?;
                Ok(Socket::Tcp(stream))
            }
            Self::Unix { listener, .. } => Ok(Socket::Unix(listener.accept().await?.0)),
        }
    }
}

/// The file of a Unix socket, removed on drop if it is still the same.
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode);
        if is_ours {
            // nothing to do if it cannot be removed: the next server replaces it
            fs::remove_file(&self.path).ok();
        }
    }
}

/// Listens on a Unix socket that only this user can reach. A missing folder is made, with access for this user alone;
/// the file of a server that is gone is replaced.
pub(crate) fn bind_file(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    if let Some(folder) = path.parent()
        && !folder.exists()
    {
        make_private_folder(folder)?;
    }
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
        }
    }
    let listener = UnixListener::bind(path)?;
    let inode = fs::symlink_metadata(path)?.ino();
    let file = SocketFile { path: path.to_owned(), inode };
    chmod(path, Mode::RUSR | Mode::WUSR)?;
    Ok((listener, file))
}
