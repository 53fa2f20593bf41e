//! A scripted Engine: one container, and answers that real Engines give rarely.

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use tempfile::TempDir;

/// The Engine's behaviour; by default every request succeeds.
pub(crate) struct Script {
    /// Whether it is Podman.
    pub(crate) is_podman: bool,
    /// Its description of itself.
    pub(crate) info: Value,
    /// Bytes sent over the output connection before it breaks off.
    pub(crate) attached: Vec<u8>,
    /// The Engine's log; `None`: it keeps none.
    pub(crate) log: Option<Vec<u8>>,
    /// Exit status of the program.
    pub(crate) code: i64,
    /// Overrides of the container's state after its end.
    pub(crate) state: Value,
    /// Events of the container.
    pub(crate) events: Vec<Value>,
    /// Whether the image has to be pulled first.
    pub(crate) is_image_missing: bool,
    /// Whether somebody removes the container as soon as it has ended.
    pub(crate) is_removed: bool,
    /// Answers that replace the usual ones.
    pub(crate) answers: Vec<Scripted>,
}

/// An answer that replaces the usual one.
pub(crate) struct Scripted {
    /// A method and a part of the path.
    pub(crate) request: (&'static str, &'static str),
    /// Index of the request among its kind, from 0; `None`: every such request.
    pub(crate) number: Option<usize>,
    pub(crate) answer: Answer,
}

#[derive(Clone)]
pub(crate) enum Answer {
    /// A status and a body; nothing is done.
    Instead(u16, Value),
    /// The request is carried out, and the connection breaks before the answer.
    Lost,
    /// The request is carried out, and the answer is replaced.
    Done(u16, Value),
}

impl Default for Script {
    fn default() -> Self {
        Self {
            is_podman: false,
            info: json!({"NCPU": 2}),
            attached: Vec::new(),
            log: Some(Vec::new()),
            code: 0,
            state: json!({}),
            events: Vec::new(),
            is_image_missing: false,
            is_removed: false,
            answers: Vec::new(),
        }
    }
}

/// State of the one container.
#[derive(Default)]
struct Container {
    created: Option<Value>,
    starts: usize,
    is_gone: bool,
}

struct Shared {
    script: Script,
    container: Mutex<Container>,
    changed: Condvar,
    seen: Mutex<Vec<(String, Value)>>,
    /// Number of starts, including those of a removed container.
    starts: AtomicUsize,
}

/// A running scripted Engine.
pub(crate) struct ScriptedEngine {
    shared: Arc<Shared>,
    pub(crate) folder: TempDir,
}

/// One frame of a container's output.
pub(crate) fn frame(stream: u8, text: &[u8]) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], &length[..], text].concat()
}

trait Wire: Read + Write + Send {}
impl<S: Read + Write + Send> Wire for S {}

impl ScriptedEngine {
    /// An Engine at a socket.
    pub(crate) fn new(script: Script) -> Self {
        let engine = Self::of(script);
        let listener = UnixListener::bind(engine.folder.path().join("socket")).unwrap();
        let shared = Arc::clone(&engine.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                serve(Arc::clone(&shared), Box::new(stream));
            }
        });
        engine
    }

    fn of(script: Script) -> Self {
        let shared = Shared {
            script,
            container: Mutex::default(),
            changed: Condvar::new(),
            seen: Mutex::default(),
            starts: AtomicUsize::new(0),
        };
        Self { shared: Arc::new(shared), folder: tempfile::tempdir().unwrap() }
    }

    /// An Engine at a port of this machine, with TLS if configured; returns its port too.
    pub(crate) fn at_port(script: Script, tls: Option<Arc<ServerConfig>>) -> (Self, u16) {
        let engine = Self::of(script);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::clone(&engine.shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let wire: Box<dyn Wire> = match &tls {
                    Some(tls) => {
                        let connection = ServerConnection::new(Arc::clone(tls)).unwrap();
                        Box::new(StreamOwned::new(connection, stream))
                    }
                    None => Box::new(stream),
                };
                serve(Arc::clone(&shared), wire);
            }
        });
        (engine, port)
    }

    /// The value of `DOCKER_HOST` for it.
    pub(crate) fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("socket").display())
    }

    /// The bodies of the requests whose method and path contain these words.
    pub(crate) fn seen(&self, request: (&str, &str)) -> Vec<Value> {
        let seen = self.shared.seen.lock().unwrap();
        let is_meant = |line: &str| line.starts_with(request.0) && line.contains(request.1);
        seen.iter().filter(|(line, _)| is_meant(line)).map(|(_, body)| body.clone()).collect()
    }

    /// Number of times the container was started.
    pub(crate) fn starts(&self) -> usize {
        self.shared.starts.load(Ordering::Relaxed)
    }
}

fn serve(shared: Arc<Shared>, mut wire: Box<dyn Wire>) {
    std::thread::spawn(move || {
        if let Some((line, body)) = request(&mut wire) {
            // fails if the client is gone
            shared.answer(&line, &body, &mut wire).ok();
        }
    });
}

/// The method and path of a request, and its body.
fn request(wire: &mut dyn Wire) -> Option<(String, Value)> {
    let mut reader = BufReader::new(wire);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_lowercase());
    }
    let length = lines.iter().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    let line = lines.first()?.trim_end_matches(" http/1.1").to_owned();
    Some((line, serde_json::from_slice(&body).unwrap_or(Value::Null)))
}

impl Shared {
    fn container(&self) -> MutexGuard<'_, Container> {
        self.container.lock().unwrap()
    }

    fn answer(&self, line: &str, body: &Value, wire: &mut dyn Write) -> std::io::Result<()> {
        let scripted = self.scripted(line);
        self.seen.lock().unwrap().push((line.to_owned(), body.clone()));
        match scripted {
            Some(Answer::Instead(status, value)) => send(wire, status, &value.to_string()),
            Some(Answer::Lost) => self.carry_out(line, body, &mut std::io::sink()),
            Some(Answer::Done(status, value)) => {
                self.carry_out(line, body, &mut std::io::sink())?;
                send(wire, status, &value.to_string())
            }
            None => self.carry_out(line, body, wire),
        }
    }

    fn scripted(&self, line: &str) -> Option<Answer> {
        let seen = self.seen.lock().unwrap();
        let found = self.script.answers.iter().find(|scripted| {
            let (method, path) = scripted.request;
            let is_meant = |line: &str| line.starts_with(method) && line.contains(path);
            let earlier = seen.iter().filter(|(line, _)| is_meant(line)).count();
            is_meant(line) && scripted.number.is_none_or(|number| number == earlier)
        });
        found.map(|scripted| scripted.answer.clone())
    }

    fn carry_out(&self, line: &str, body: &Value, wire: &mut dyn Write) -> std::io::Result<()> {
        let script = &self.script;
        let is = |method: &str, path: &str| line.starts_with(method) && line.contains(path);
        if is("get", "/_ping") {
            let podman = if script.is_podman { "Libpod-API-Version: 4.3.1\r\n" } else { "" };
            write!(wire, "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n{podman}Content-Length: 0\r\n\r\n")
        } else if is("get", "/info") {
            send(wire, 200, &script.info.to_string())
        } else if is("post", "/images/create") {
            send(wire, 200, "{\"status\":\"Pulling\"}\r\n{\"status\":\"Done\",\"id\":\"a\"}\r\n")
        } else if is("post", "/containers/create") {
            self.create(body, wire)
        } else if is("post", "/attach") {
            write!(wire, "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")?;
            wire.flush()?;
            self.ended();
            wire.write_all(&script.attached)
        } else if is("post", "/start") {
            self.container().starts += 1;
            self.starts.fetch_add(1, Ordering::Relaxed);
            self.changed.notify_all();
            send(wire, 204, "")
        } else if is("post", "/wait") {
            self.ended();
            self.container().is_gone |= script.is_removed;
            send(wire, 200, &json!({"StatusCode": script.code, "Error": null}).to_string())
        } else if is("get", "/logs") {
            match &script.log {
                None => {
                    send(wire, 501, "{\"message\":\"configured logging driver does not support reading\"}")
                }
                Some(log) => {
                    write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", log.len())?;
                    wire.write_all(log)
                }
            }
        } else if is("get", "/events") {
            send(wire, 200, &lines(&script.events))
        } else if is("get", "/containers/json") {
            let created = self.container().created.clone().unwrap_or_default();
            let listed =
                json!([{"Names": ["/leftover"], "State": "a new word", "Labels": created["Labels"]}]);
            send(wire, 200, &listed.to_string())
        } else if is("get", "/json") {
            self.inspect(wire)
        } else if is("delete", "/containers/") {
            *self.container() = Container::default();
            send(wire, 204, "")
        } else {
            send(wire, 204, "")
        }
    }

    fn create(&self, body: &Value, wire: &mut dyn Write) -> std::io::Result<()> {
        let was_pulled = self.seen.lock().unwrap().iter().any(|(line, _)| line.contains("/images/create"));
        if self.script.is_image_missing && !was_pulled {
            let message = "no such image: docker.io/library/i:1: image not known";
            return send(wire, 404, &json!({"message": message}).to_string());
        }
        let mut container = self.container();
        if container.created.is_some() {
            let status = if self.script.is_podman { 500 } else { 409 };
            return send(wire, status, "{\"message\":\"that name is already in use\"}");
        }
        container.created = Some(body.clone());
        send(wire, 201, "{\"Id\":\"c\"}")
    }

    fn inspect(&self, wire: &mut dyn Write) -> std::io::Result<()> {
        let container = self.container();
        let Some(created) = container.created.as_ref().filter(|_| !container.is_gone) else {
            return send(wire, 404, "{\"message\":\"no such container\"}");
        };
        let never = "0001-01-01T00:00:00Z";
        let then = if container.starts > 0 { "2026-01-01T00:00:00Z" } else { never };
        let status = if container.starts > 0 { "exited" } else { "created" };
        let mut state = json!({"Status": status, "Running": false, "OOMKilled": false, "StartedAt": then,
            "FinishedAt": then, "ExitCode": if container.starts > 0 { self.script.code } else { 0 }});
        if container.starts > 0 {
            let other: BTreeMap<String, Value> = serde_json::from_value(self.script.state.clone()).unwrap();
            state.as_object_mut().unwrap().extend(other);
        }
        send(wire, 200, &json!({"State": state, "Config": {"Labels": created["Labels"]}}).to_string())
    }

    /// Waits until the container was started; it ends at once.
    fn ended(&self) {
        let container = self.container();
        drop(self.changed.wait_while(container, |container| container.starts == 0).unwrap());
    }
}

fn send(wire: &mut dyn Write, status: u16, body: &str) -> std::io::Result<()> {
    write!(
        wire,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n",
        body.len()
    )?;
    write!(wire, "Connection: close\r\n\r\n{body}")?;
    wire.flush()
}

/// JSON values as lines.
fn lines(values: &[Value]) -> String {
    let lines: Vec<String> = values.iter().map(Value::to_string).collect();
    lines.join("\n") + if lines.is_empty() { "" } else { "\n" }
}
