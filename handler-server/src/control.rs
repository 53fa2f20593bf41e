//! The manager's socket: one JSON message per line, readable and writable by this user alone.

use crate::error::ServeError;
use crate::message::{Echo, Reply, Request};
use crate::peers::{SocketFile, bind_file};
use serde_json::{Value, json};
use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{broadcast, mpsc, oneshot};

/// Longest line, in bytes.
const MAX_LINE: u64 = 64 * 1024;
/// End of the names of the sockets.
const EXTENSION: &str = "sock";

/// What the manager is asked.
pub enum Control {
    /// A command.
    Command(Request, oneshot::Sender<Reply>),
    /// What the handler has counted, as text in the format of Prometheus.
    Metrics(oneshot::Sender<String>),
    /// The present instances, and all events from then on.
    Events(oneshot::Sender<(Value, broadcast::Receiver<Value>)>),
}

/// The folder of the managers' sockets, which only this user can enter.
pub fn control_folder() -> PathBuf {
    let runtime = env::var_os("XDG_RUNTIME_DIR").filter(|folder| Path::new(folder).is_absolute());
    match runtime {
        Some(folder) => PathBuf::from(folder).join("pop/handlers"),
        None => env::temp_dir().join(format!("pop-{}", rustix::process::getuid().as_raw())).join("handlers"),
    }
}

/// The ids of the handlers that are served now, sorted.
pub fn running_ids(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let sockets = names.filter(|path| path.extension().is_some_and(|end| end == EXTENSION));
    let alive = sockets.filter(|path| UnixStream::connect(path).is_ok());
    let mut ids: Vec<String> =
        alive.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
    ids.sort();
    ids
}

/// The first free id of a category: `CATEGORY_1`, `CATEGORY_2` and so on.
pub fn free_id(folder: &Path, category: &str) -> String {
    let running = running_ids(folder);
    let mut ids = (1_u64..).map(|number| format!("{category}_{number}"));
    ids.find(|id| !running.contains(id)).unwrap_or_default()
}

fn path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}.{EXTENSION}"))
}

/// The bound socket of a manager.
pub struct ControlSocket {
    listener: UnixListener,
    _file: SocketFile,
}

impl ControlSocket {
    /// Binds the socket of a handler. The folder must belong to this user alone.
    pub fn bind(folder: &Path, id: &str) -> Result<Self, ServeError> {
        let path = path(folder, id);
        let bound = bind_file(&path).and_then(|(listener, file)| {
            let found = fs::metadata(folder)?;
            let is_ours = found.uid() == rustix::process::geteuid().as_raw();
            if !is_ours || found.mode() & 0o022 != 0 {
                let why = format!("others may write to the folder `{}`", folder.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
            }
            Ok(Self { listener, _file: file })
        });
        bound.map_err(|source| ServeError::Manager { path, source })
    }

    /// Passes commands on until the receiver is gone.
    pub async fn serve(self, controls: mpsc::Sender<Control>) {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // for example too many open files: others may close theirs
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            };
            let controls = controls.clone();
            let (reader, writer) = stream.into_split();
            tokio::spawn(async move {
                // a client that is gone ends its task
                serve_client(tokio::io::BufReader::new(reader), writer, controls).await.ok();
            });
        }
    }
}

async fn serve_client(
    mut reader: tokio::io::BufReader<tokio::net::unix::OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
    controls: mpsc::Sender<Control>,
) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if line.pop() != Some(b'\n') {
            return Ok(());
        }
        let request = match Request::parse(&line) {
            Ok(request) => request,
            Err(bad) => {
                write(&mut writer, Reply::fail(bad.why).body(&bad.echo)).await?;
                continue;
            }
        };
        if request.command == "events" {
            return events(reader, writer, controls).await;
        }
        let (sender, reply) = oneshot::channel();
        let echo: Echo = request.echo.clone();
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        controls.send(Control::Command(request, sender)).await.map_err(|_| gone())?;
        let reply = reply.await.map_err(|_| gone())?;
        write(&mut writer, reply.body(&echo)).await?;
    }
}

/// Sends the present instances and then all events, until the handler closes or the client is gone.
async fn events(
    mut reader: tokio::io::BufReader<tokio::net::unix::OwnedReadHalf>,
    mut writer: OwnedWriteHalf,
    controls: mpsc::Sender<Control>,
) -> io::Result<()> {
    let (sender, subscription) = oneshot::channel();
    if controls.send(Control::Events(sender)).await.is_err() {
        return Ok(());
    }
    drop(controls);
    let Ok((mut present, mut events)) = subscription.await else { return Ok(()) };
    present["event"] = json!("present");
    write(&mut writer, present.to_string().into_bytes()).await?;
    let mut ignored = [0; 64];
    loop {
        let event = tokio::select! {
            event = events.recv() => event,
            // the client says nothing more: its end is what counts
            read = reader.read(&mut ignored) => if read? == 0 { return Ok(()) } else { continue },
        };
        let event = match event {
            Ok(event) => event,
            Err(broadcast::error::RecvError::Lagged(count)) => json!({"event": "missed", "count": count}),
            Err(broadcast::error::RecvError::Closed) => return Ok(()),
        };
        write(&mut writer, event.to_string().into_bytes()).await?;
    }
}

async fn write(writer: &mut OwnedWriteHalf, mut line: Vec<u8>) -> io::Result<()> {
    line.push(b'\n');
    writer.write_all(&line).await
}

/// Why a command did not reach a manager.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No handler is served under this id.
    #[error("no handler `{id}` is served{}", known(.running))]
    Unknown {
        /// The id.
        id: String,
        /// The ids that are served.
        running: Vec<String>,
    },
    /// The connection broke.
    #[error("the handler `{id}` does not answer: {source}")]
    Broken {
        /// The id.
        id: String,
        /// The reason of the operating system.
        source: io::Error,
    },
}

fn known(running: &[String]) -> String {
    if running.is_empty() { String::new() } else { format!("; served are: {}", running.join(", ")) }
}

fn connect(folder: &Path, id: &str) -> Result<UnixStream, ControlError> {
    UnixStream::connect(path(folder, id))
        .map_err(|_| ControlError::Unknown { id: id.to_owned(), running: running_ids(folder) })
}

fn ask(stream: &mut UnixStream, command: &str, parameters: &Value) -> io::Result<()> {
    let line = json!({"command": command, "parameters": parameters});
    writeln!(stream, "{line}")
}

/// Sends a command to the manager of a handler, and returns its reply.
pub fn send_command(
    folder: &Path,
    id: &str,
    command: &str,
    parameters: &Value,
) -> Result<Value, ControlError> {
    let broken = |source| ControlError::Broken { id: id.to_owned(), source };
    let mut stream = connect(folder, id)?;
    ask(&mut stream, command, parameters).map_err(broken)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).map_err(broken)?;
    serde_json::from_str(&line).map_err(|error| broken(error.into()))
}

/// Passes the present instances and all events of a handler to `each`, until the handler closes or `each` says no.
pub fn watch_events(folder: &Path, id: &str, mut each: impl FnMut(&str) -> bool) -> Result<(), ControlError> {
    let broken = |source| ControlError::Broken { id: id.to_owned(), source };
    let mut stream = connect(folder, id)?;
    ask(&mut stream, "events", &json!({})).map_err(broken)?;
    for line in BufReader::new(stream).lines() {
        if !each(&line.map_err(broken)?) {
            return Ok(());
        }
    }
    Ok(())
}
