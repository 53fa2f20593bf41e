//! One instance of the examined program, and the frames between it and the examiner.

use crate::error::ConformanceError;
use crate::subject::Subject;
use pop_contract::{Exit, Failure, FinalReport, judge};
use pop_field_retriever::names::environment as variable;
use pop_launchers::process::{LAUNCH_VARIABLE, SOCKET_DESCRIPTOR};
use pop_launchers::{
    InstanceSocket, LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher, ProcessLauncher,
    Program, ReportLines, ReportState, StdoutUse,
};
use pop_warm::frame::{Decoder, Frame, Kind, write};
use pop_warm::{Hello, SOCKET_VARIABLE, attempt_body, parse_end};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::ffi::OsString;
use std::fs;
use std::future::poll_fn;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncWrite as _;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

const ID: LaunchId = LaunchId(0);
/// Time in which leftovers may end by themselves.
const LEAVING: Duration = Duration::from_millis(200);
/// Time in which a killed program must end.
const KILLED: Duration = Duration::from_secs(20);

/// How an operation of an instance ended.
pub(super) struct Operation {
    pub(super) status: u8,
    said: FinalReport,
}

impl Operation {
    /// The result, or the failure as pop would see it.
    pub(super) fn judged(self) -> Result<Value, Failure> {
        judge(Exit::Code(self.status.into()), &[], self.said)
    }
}

/// An instance.
pub(super) struct Session<'s> {
    subject: &'s Subject,
    name: String,
    launcher: ProcessLauncher,
    stream: UnixStream,
    decoder: Decoder,
    updates: mpsc::Receiver<LaunchUpdate>,
    pub(super) hello: Hello,
    last: u64,
}

impl<'s> Session<'s> {
    /// Starts an instance, in a shell script if one is given. The inner error is what came instead of a hello.
    pub(super) async fn open(
        subject: &'s Subject,
        folder: &Path,
        name: &str,
        wrapper: Option<&str>,
    ) -> Result<Result<Self, String>, ConformanceError> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let path = subject.path.iter().map(|path| ("PATH".into(), path.clone()));
        let texts = [
            ("HOME", folder.as_os_str()),
            (variable::RUN_ID, name.as_ref()),
            (variable::CID, name.as_ref()),
            (variable::LAUNCH_TYPE, "local".as_ref()),
            (variable::EXTERNAL_LAUNCH_TYPE, "local".as_ref()),
            (LAUNCH_VARIABLE, name.as_ref()),
        ];
        let texts = texts.map(|(name, text)| (OsString::from(name), text.to_owned()));
        let launcher = ProcessLauncher::new(path.chain(texts), folder.to_owned()).thorough();
        let shell = wrapper.map(|script| ["/bin/sh", "-c", script, "sh"].map(str::to_owned));
        let program = Program {
            argv: shell.into_iter().flatten().chain(subject.argv.iter().cloned()).collect(),
            env: vec![(SOCKET_VARIABLE.to_owned(), SOCKET_DESCRIPTOR.to_string())],
            ..Program::default()
        };
        let order = LaunchOrder {
            name: name.to_owned(),
            program,
            captured: StdoutUse::Log,
            grace: Some(LEAVING),
            socket: Some(InstanceSocket::Inherited(Arc::new(theirs.into()))),
            ..LaunchOrder::default()
        };
        let (sender, updates) = mpsc::channel(16);
        launcher.launch(ID, order, &sender);
        let stream = UnixStream::from_std(ours)?;
        let (decoder, hello) = (Decoder::default(), Hello::default());
        let mut session =
            Self { subject, name: name.to_owned(), launcher, stream, decoder, updates, hello, last: 0 };
        let deadline = Instant::now() + subject.limit;
        let hello = match session.frame(deadline).await {
            Ok(Frame { kind: Kind::Hello, body, .. }) => {
                Hello::parse(&body).map_err(|error| error.to_string())
            }
            Ok(Frame { kind, .. }) => Err(format!("its first frame is `{kind}`")),
            Err(seen) => Err(seen),
        };
        match hello {
            Ok(hello) => session.hello = hello,
            Err(seen) => {
                session.kill().await?;
                return Ok(Err(seen));
            }
        }
        Ok(Ok(session))
    }

    /// The next frame; the error is what came instead.
    async fn frame(&mut self, deadline: Instant) -> Result<Frame, String> {
        let mut piece = vec![0; 64 * 1024];
        loop {
            if let Some(frame) = self.decoder.next_frame().map_err(|error| error.to_string())? {
                return Ok(frame);
            }
            let ready = timeout_at(deadline, self.stream.readable()).await;
            ready
                .map_err(|_| "it sent nothing within the limit".to_owned())?
                .map_err(|error| error.to_string())?;
            match self.stream.try_read(&mut piece) {
                Ok(0) => return Err("it closed its socket".to_owned()),
                Ok(count) => self.decoder.take(&piece[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("it closed its socket: {error}")),
            }
        }
    }

    async fn send(&mut self, kind: Kind, id: u64, body: &[u8]) -> Result<(), String> {
        let mut bytes = Vec::new();
        write(&mut bytes, kind, id, body);
        let deadline = Instant::now() + self.subject.limit;
        let mut sent = 0;
        while sent < bytes.len() {
            let ready = timeout_at(deadline, self.stream.writable()).await;
            ready.map_err(|_| "it did not read its socket".to_owned())?.map_err(|error| error.to_string())?;
            match self.stream.try_write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(format!("it closed its socket: {error}")),
            }
        }
        Ok(())
    }

    /// Gives the instance an operation; returns its number.
    pub(super) async fn handle(&mut self, payload: &str) -> Result<u64, String> {
        self.last += 1;
        let number = self.last.to_string();
        let variables = [(variable::OPERATION_NAME, number.as_str()), (variable::ATTEMPT, "1")];
        self.send(Kind::Handle, self.last, &attempt_body(variables, payload)).await?;
        Ok(self.last)
    }

    /// Waits for the end of an operation, within this time.
    pub(super) async fn end_of(&mut self, id: u64, within: Duration) -> Result<Operation, String> {
        let (mut lines, mut state) = (ReportLines::default(), ReportState::default());
        let deadline = Instant::now() + within;
        loop {
            let Frame { kind, id: of, body } = self.frame(deadline).await?;
            match kind {
                Kind::Log => {}
                Kind::Report | Kind::End if of != id => {
                    return Err(format!("it sent `{kind} {of}` during operation {id}"));
                }
                Kind::Report => {
                    lines.take(&body, &mut state, &mut |_| {});
                    lines.finish(&mut state, &mut |_| {});
                }
                Kind::End => {
                    let status = parse_end(&body).map_err(|error| error.to_string())?;
                    return Ok(Operation { status, said: state.into_said() });
                }
                other => return Err(format!("it sent `{other}`")),
            }
        }
    }

    /// Runs an operation to its end.
    pub(super) async fn run(&mut self, payload: &str) -> Result<Operation, String> {
        let id = self.handle(payload).await?;
        self.end_of(id, self.subject.limit).await
    }

    pub(super) async fn cancel(&mut self, id: u64) -> Result<(), String> {
        self.send(Kind::Cancel, id, b"").await
    }

    /// Closes the examiner's half of the socket.
    pub(super) async fn half_close(&mut self) -> Result<(), String> {
        let closed = poll_fn(|task| Pin::new(&mut self.stream).poll_shutdown(task)).await;
        closed.map_err(|error| error.to_string())
    }

    pub(super) async fn bye(&mut self) -> Result<(), String> {
        self.send(Kind::Bye, 0, b"").await
    }

    /// Sends SIGTERM, or SIGKILL with `force`.
    pub(super) fn stop(&self, force: bool) {
        self.launcher.stop(ID, force);
    }

    /// Kills the process that the hello names, as a crash would; false if that is no process of this instance.
    pub(super) fn crash(&self) -> bool {
        let Some(pid) = self.hello.pid.and_then(|pid| Pid::from_raw(pid.cast_signed())) else { return false };
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let own = format!("{LAUNCH_VARIABLE}={}", self.name);
        environment.split(|byte| *byte == 0).any(|entry| entry == own.as_bytes())
            && kill_process(pid, Signal::KILL).is_ok()
    }

    /// Waits for the end of the process; `None` if it does not end within this time. It is then killed.
    pub(super) async fn ended(mut self, within: Duration) -> Result<Option<LaunchEnd>, ConformanceError> {
        let end = self.last_event(within).await?;
        if end.is_none() {
            self.stop(true);
            self.last_event(KILLED).await?;
        }
        Ok(end)
    }

    async fn last_event(&mut self, within: Duration) -> Result<Option<LaunchEnd>, ConformanceError> {
        let deadline = Instant::now() + within;
        loop {
            match timeout_at(deadline, self.updates.recv())
                .await
                .map(|update| update.map(|update| update.event))
            {
                Err(_) => return Ok(None),
                Ok(Some(LaunchEvent::Ended(end))) => return Ok(Some(*end)),
                Ok(Some(LaunchEvent::Lost) | None) => {
                    return Err(ConformanceError::Machine("an instance was lost".to_owned()));
                }
                Ok(Some(_)) => {}
            }
        }
    }

    pub(super) async fn kill(mut self) -> Result<(), ConformanceError> {
        self.stop(true);
        self.last_event(KILLED).await?;
        Ok(())
    }
}
