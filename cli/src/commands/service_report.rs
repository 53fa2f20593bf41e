//! What an agenda service shows of a run that it has given out: the report as `pop report` makes it, and the ends of logs.

use super::elsewhere::service;
use crate::args::RunsFolder;
use crate::error::CommandError;
use pop_agenda::{OpIx, Sink};
use pop_assembly::PreparedRun;
use pop_contract::Millis;
use pop_executor::operation_log;
use pop_field_retriever::LaunchDataWrapper;
use pop_launchers::open_regular_file;
use pop_report::format::page;
use pop_report::{RepeatedOptions, Report, RunFacts, RunState};
use pop_reporters::run::{Document, DocumentDelivery, FollowedRun, Follower, MakeDocuments, SinkThread};
use pop_service::{Fence, LONGEST_LOG, LONGEST_REPORT, MOST_LOGS};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of a log that are read: a byte that is not UTF-8 becomes three.
const READ: u64 = LONGEST_LOG as u64 / 3;
/// Most bytes of logs in one delivery.
const MOST_AT_ONCE: usize = 1024 * 1024;
/// A report is made again after this many times as long as it took to make the last one.
const PAUSES: u32 = 20;

/// The sink that sends report and logs; none if no service has given the run out.
pub(super) fn sink(
    launch: &dyn LaunchDataWrapper,
    prepared: &PreparedRun,
    runs: &RunsFolder,
    clock: fn() -> Millis,
) -> Result<Option<Box<dyn Sink>>, CommandError> {
    let progress = launch.progress_id().map(|found| found.value);
    // POP's own service gives ids without a lease, and has no place for reports
    let fence = progress.filter(|id| Fence::parse(id).epoch.is_some());
    let (Some(address), Some(fence)) = (service(launch)?, fence) else { return Ok(None) };
    let plan = Arc::clone(prepared.scheduler.plan());
    let run = FollowedRun { plan: Arc::clone(&plan), follows_plan: true, history: prepared.history.clone() };
    let run = Arc::new(Mutex::new(run));
    let inputs = match plan.inputs() {
        Value::Object(inputs) => inputs.clone(),
        _ => Map::new(),
    };
    let documents = RunDocuments {
        run: Arc::clone(&run),
        fence,
        name: prepared.identity.run.clone(),
        agenda: plan.identity.title.clone().unwrap_or_else(|| "agenda".to_owned()),
        launcher: launch.external_launch_type().value.as_str(),
        inputs,
        runs: RunsFolder::in_commands(&runs.runs).map(str::to_owned),
        logs: prepared.identity.logs.clone(),
        clock,
        reported: None,
        next_report: Instant::now(),
        sent: HashMap::new(),
    };
    let delivery = DocumentDelivery::service(&address, Follower(run), documents)?;
    Ok(Some(Box::new(SinkThread::new(plan, delivery)?)))
}

/// Makes report and logs of the run.
struct RunDocuments {
    run: Arc<Mutex<FollowedRun>>,
    fence: String,
    name: String,
    agenda: String,
    launcher: &'static str,
    inputs: Map<String, Value>,
    /// Folder of runs, if it is not the default.
    runs: Option<String>,
    /// Folder of logs.
    logs: PathBuf,
    clock: fn() -> Millis,
    /// Number of events before the last report; none before the first one.
    reported: Option<u64>,
    /// Earliest time of the next report.
    next_report: Instant,
    /// Attempt, length of the log and whether the attempt had ended, for each operation when its log was sent last.
    sent: HashMap<OpIx, (u32, u64, bool)>,
}

impl MakeDocuments for RunDocuments {
    fn make(&mut self, events: u64, is_last: bool) -> Vec<Document> {
        let run = Arc::clone(&self.run);
        let run = run.lock().unwrap_or_else(PoisonError::into_inner);
        let report = self.report(&run, events, is_last);
        let logs = self.changed_logs(&run);
        let path = |what: &str| format!("/leases/{}/{what}", self.fence);
        let logs = (!logs.is_empty())
            .then(|| Document { path: path("logs"), body: json!({"logs": logs}).to_string() });
        report.map(|body| Document { path: path("report"), body }).into_iter().chain(logs).collect()
    }
}

impl RunDocuments {
    /// The report, if something has happened since the last one.
    fn report(&mut self, run: &FollowedRun, events: u64, is_last: bool) -> Option<String> {
        let history = &run.history;
        let began = Instant::now();
        if !is_last && (self.reported == Some(events) || began < self.next_report) {
            return None;
        }
        let facts = RunFacts {
            run: &self.name,
            agenda: &self.agenda,
            launcher: self.launcher,
            inputs: &self.inputs,
            replay_of: None,
            state: if history.ended.is_some() { RunState::Ended } else { RunState::Running },
            until: history.ended.map_or_else(self.clock, |(at, _)| history.wall(at)),
            now: (self.clock)(),
            runs: self.runs.as_deref(),
            // an executor of the service has the options of its puller
            options: RepeatedOptions::default(),
            pop: env!("CARGO_PKG_VERSION"),
        };
        let text = page::data(&Report::of(&run.plan, history, &facts)).ok()?;
        let took = began.elapsed();
        self.next_report = Instant::now() + (took * PAUSES).max(Duration::from_millis(500));
        self.reported = Some(events);
        // the service refuses a longer one. Without a report it shows the progress of operations; an old report would be wrong
        Some(if text.len() <= LONGEST_REPORT { text } else { "{}".to_owned() })
    }

    /// The ends of logs that have grown, and of those whose attempt has ended.
    fn changed_logs(&mut self, run: &FollowedRun) -> Vec<Value> {
        let mut changed = Vec::new();
        let mut size = 0;
        for (op, planned) in run.plan.operations() {
            let Some(attempt) = run.history.operation(op).attempts.last() else { continue };
            let (number, has_ended) = (attempt.number, attempt.ended.is_some());
            let before = self.sent.get(&op).copied();
            let is_done = before.is_some_and(|(sent, _, ended)| sent == number && ended);
            if is_done || (before.is_none() && self.sent.len() >= MOST_LOGS) {
                continue;
            }
            let path = operation_log(&self.logs, planned, number);
            let Ok(length) = std::fs::metadata(&path).map(|file| file.len()) else { continue };
            let is_same = before.is_some_and(|(sent, known, _)| (sent, known) == (number, length));
            if length == 0 || (is_same && !has_ended) {
                continue;
            }
            let Some((text, is_cut)) = end_of(&path, length) else { continue };
            size += text.len();
            self.sent.insert(op, (number, length, has_ended));
            if !is_same {
                changed.push(json!({"operation": planned.name.as_str(), "attempt": number, "text": text, "isCut": is_cut}));
            }
            if size >= MOST_AT_ONCE {
                // the others follow
                break;
            }
        }
        changed
    }
}

/// The last lines of a log with this length, and whether lines before them are left out.
fn end_of(path: &Path, length: u64) -> Option<(String, bool)> {
    let mut file = open_regular_file(path).ok()?;
    let from = length.saturating_sub(READ);
    file.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    file.take(READ).read_to_end(&mut bytes).ok()?;
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if from > 0 {
        // a line that has lost its beginning says something else
        if let Some(newline) = text.find('\n') {
            text.drain(..=newline);
        }
    }
    Some((text, from > 0))
}
