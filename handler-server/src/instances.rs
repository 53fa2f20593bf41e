//! The instances of the program, through the launch port: each is a lane with one warm process, or runs the program once
//! for each request.

use crate::dispatcher::{InstanceId, RequestId};
use crate::message::{Reply, Request};
use pop_contract::{Failure, judge};
use pop_launchers::{
    HandlerProgram, HandlerTask, LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, NOT_WARM,
};
use pop_registry::WarmSettings;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Time without work after which an instance stops: longer than any server lives.
const FOREVER: Duration = Duration::from_hours(10_000);

/// Starts instances and gives them requests.
pub(crate) struct Instances {
    program: HandlerProgram,
    /// The part of an order that all launches have in common.
    template: LaunchOrder,
    logs: Option<PathBuf>,
    /// Folder for payloads that are passed in files.
    folder: TempDir,
    events: mpsc::Sender<LaunchUpdate>,
    last: u64,
    /// Whether the program should stay warm and does not.
    runs_once: bool,
    /// What each instance does.
    launches: HashMap<InstanceId, LaunchId>,
    work: HashMap<LaunchId, Work>,
}

/// What an instance was launched for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// The instance.
    pub(crate) instance: InstanceId,
    /// The request; none if it was only to start.
    pub(crate) request: Option<RequestId>,
    /// Whether a payload may be in a file.
    has_file: bool,
}

impl Instances {
    pub(crate) fn new(
        program: HandlerProgram,
        grace: Duration,
        logs: Option<PathBuf>,
        events: mpsc::Sender<LaunchUpdate>,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("pop-serve-").tempdir()?;
        let logs = match logs {
            None if !program.on.capabilities().uses_host_programs => {
                // the sockets of containers are beside the logs
                let own = folder.path().join("logs");
                std::fs::create_dir(&own)?;
                Some(own)
            }
            given => given,
        };
        let (launches, work) = (HashMap::new(), HashMap::new());
        let template = program.order(grace);
        Ok(Self { program, template, logs, folder, events, last: 0, runs_once: false, launches, work })
    }

    /// Whether instances stay warm, as far as it is known.
    pub(crate) fn are_warm(&self) -> bool {
        !self.runs_once && self.warm().is_some()
    }

    /// The program does not stay warm: it is run once for each request.
    pub(crate) fn run_once_from_now_on(&mut self) {
        self.runs_once = true;
    }

    fn warm(&self) -> Option<WarmSettings> {
        self.program.warm().map(lane)
    }

    /// Starts a warm instance. Its end is that of a launch without a request.
    pub(crate) fn start(&mut self, instance: InstanceId) {
        let task = HandlerTask::start(self.next());
        self.launch(Work { instance, request: None, has_file: false }, task);
    }

    /// Gives an instance a request.
    pub(crate) fn handle(&mut self, instance: InstanceId, id: RequestId, request: &Request) {
        let number = self.next();
        let task = HandlerTask::new(number, &request.command, &request.parameters, self.payload_file(number));
        let has_file = !self.are_warm();
        self.launch(Work { instance, request: Some(id), has_file }, task);
    }

    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn payload_file(&self, launch: u64) -> PathBuf {
        self.folder.path().join(format!("{launch}.payload"))
    }

    fn launch(&mut self, work: Work, task: HandlerTask) {
        let (id, instance) = (LaunchId(task.number), work.instance);
        let task = HandlerTask { lane: Some(instance.0), ..task };
        let log = self.logs.as_ref().map(|folder| folder.join(format!("{}.log", name(instance))));
        let warm = self.warm().filter(|_| !self.runs_once);
        let order = self.program.task_order(&self.template, &task, warm);
        self.launches.insert(instance, id);
        self.work.insert(id, work);
        match order {
            Ok(order) => self.program.launcher.launch(id, LaunchOrder { log, ..order }, &self.events),
            Err(failure) => {
                let event = LaunchEvent::Ended(Box::new(LaunchEnd::failed(failure)));
                let events = self.events.clone();
                tokio::spawn(async move { events.send(LaunchUpdate { id, event }).await });
            }
        }
    }

    /// Stops what an instance does: asks it to end, or kills it.
    pub(crate) fn stop(&self, instance: InstanceId, force: bool) {
        if let Some(launch) = self.launches.get(&instance) {
            self.program.launcher.stop(*launch, force);
        }
    }

    /// Ends the process of an instance when it has no work.
    pub(crate) fn retire(&self, instance: InstanceId) {
        self.program.launcher.retire(instance.0);
    }

    /// Whether an instance still does something.
    pub(crate) fn is_busy(&self, instance: InstanceId) -> bool {
        self.launches.contains_key(&instance)
    }

    /// The work whose launch has ended.
    pub(crate) fn ended(&mut self, launch: LaunchId) -> Option<Work> {
        let work = self.work.remove(&launch)?;
        self.launches.remove(&work.instance);
        self.program.launcher.release(launch);
        if work.has_file {
            // a short payload was passed in a variable
            std::fs::remove_file(self.payload_file(launch.0)).ok();
        }
        Some(work)
    }

    /// Ends all instances.
    pub(crate) async fn close(self) {
        self.program.launcher.close().await;
    }
}

/// The name of an instance for people, as in SDS.
pub(crate) fn name(instance: InstanceId) -> String {
    format!("instance_{}", instance.0)
}

/// The number in the name of an instance.
pub(crate) fn named(text: &str) -> Option<InstanceId> {
    let id = InstanceId(text.strip_prefix("instance_")?.parse().ok()?);
    (name(id) == text).then_some(id)
}

/// The limits of the one process of an instance.
fn lane(settings: WarmSettings) -> WarmSettings {
    WarmSettings { instances: 1, max: 1, slots: 1, idle: FOREVER, ..settings }
}

/// How the start of an instance ended.
pub(crate) enum Start {
    /// It is ready.
    Ready,
    /// The program runs once for each request.
    RunsOnce,
    /// It failed.
    Failed(Box<Failure>),
}

/// Judges the end of a launch that was to start an instance.
pub(crate) fn start_of(end: LaunchEnd) -> Start {
    match end.exit {
        Ok(_) => Start::Ready,
        Err(failure) if failure.code == NOT_WARM => Start::RunsOnce,
        Err(failure) => Start::Failed(failure),
    }
}

/// The reply for the end of a launch that handled a request.
pub(crate) fn reply_of(end: LaunchEnd) -> Reply {
    let LaunchEnd { exit, said, log_tail, .. } = end;
    match exit.and_then(|exit| judge(exit, &[], said).map_err(Box::new)) {
        Ok(result) => Reply::ok(result),
        Err(failure) => failed(&failure, log_tail),
    }
}

/// The reply for a failure: its message, and what helps to find its cause.
fn failed(failure: &Failure, log_tail: Vec<String>) -> Reply {
    let mut parameters = json!({"code": failure.code, "blame": failure.blame});
    if !log_tail.is_empty() {
        parameters["log"] = Value::from(log_tail);
    }
    Reply::fail(failure.message.clone()).with(parameters)
}
