//! Runs a handler in a test without processes, environment and wall clock.

use crate::cancel::{Cancellation, Canceller};
use crate::{ContextParts, Handler, OperationContext, Program, Progress, Report, StatusReporter, process};
use pop_field_retriever::names::environment;
use pop_field_retriever::{Arguments, DefaultLaunchData, Defaults, Environment, Properties};
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Launcher};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// The outcome of a handler in memory.
#[derive(Debug)]
pub struct InMemoryRun {
    /// The final report.
    pub report: Report,
    /// All reported progress, including the final one.
    pub progress: Vec<Progress>,
    /// The external programs that the handler started.
    pub external: Vec<Program>,
    /// The lines of the log.
    pub log: Vec<String>,
}

/// The launch data and external programs of a handler in memory.
#[derive(Debug, Default)]
pub struct InMemory {
    answers: Vec<Vec<LaunchEvent>>,
    prior: Option<Progress>,
    stop_at: Option<f64>,
    properties: Map<String, Value>,
    variables: Vec<(String, String)>,
}

impl InMemory {
    /// Adds the events of the next external program; no process starts.
    #[must_use]
    pub fn answer(mut self, events: Vec<LaunchEvent>) -> Self {
        self.answers.push(events);
        self
    }

    /// Sets the last progress of an earlier attempt.
    #[must_use]
    pub fn prior(mut self, progress: Progress) -> Self {
        self.prior = Some(progress);
        self
    }

    /// Cancels the handler when it reports this percentage; 0 cancels it before it starts.
    #[must_use]
    pub fn stopped_at(mut self, percent: f64) -> Self {
        self.stop_at = Some(percent);
        self
    }

    /// Adds a property of the handler's configuration.
    #[must_use]
    pub fn property(mut self, name: &str, value: &str) -> Self {
        self.properties.insert(name.to_owned(), value.into());
        self
    }

    /// Adds an environment variable, which the handler reads from its launch data.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Runs a handler with a payload.
    pub async fn run<H: Handler>(self, handler: &H, payload: &Value) -> InMemoryRun {
        let Self { answers, prior, stop_at, properties, mut variables } = self;
        if !properties.is_empty() {
            variables.push((environment::PROPERTIES.to_owned(), Value::Object(properties).to_string()));
        }
        let progress = Rc::new(RefCell::new(Vec::new()));
        let log: Rc<RefCell<Vec<String>>> = Rc::default();
        let launcher = Arc::new(ScriptedLauncher::new(answers));
        let (canceller, cancellation): (Canceller, _) = Cancellation::new();
        if stop_at.is_some_and(|percent| percent <= 0.0) {
            canceller.cancel();
        }
        let defaults = Defaults { property_files: Vec::new(), ..Defaults::executor() };
        let launch =
            Arguments::parse(Vec::<String>::new(), &[]).map_err(|error| error.to_string()).and_then(|none| {
                let environment = Environment::from_pairs(variables);
                DefaultLaunchData::from_parts(none, environment, Properties::default(), &defaults)
                    .map_err(|error| error.to_string())
            });
        #[expect(clippy::expect_used, reason = "wrong launch data is a mistake of the test")]
        let launch = launch.expect("launch data of a test");
        let mut context = OperationContext::new(ContextParts {
            launch: Arc::new(launch),
            reporter: Box::new(RecordingReporter { progress: Rc::clone(&progress), stop_at, canceller }),
            cancellation,
            launcher: Arc::clone(&launcher) as Arc<dyn Launcher>,
            clock: || 0,
            cid: "in-memory".to_owned(),
            prior,
            operation: None,
            log: Box::new({
                let log = Rc::clone(&log);
                move |line| log.borrow_mut().push(line.to_owned())
            }),
        });
        let report = process(handler, &payload.to_string(), &mut context).await;
        drop(context);
        let external = std::mem::take(&mut *launcher.programs.lock().unwrap_or_else(PoisonError::into_inner));
        let progress = progress.take();
        InMemoryRun { report, progress, external, log: log.take() }
    }
}

/// Runs a handler with a payload. Each external program takes the next list of events from `answers`; no process starts.
pub async fn run_in_memory<H: Handler>(
    handler: &H,
    payload: &Value,
    answers: impl IntoIterator<Item = Vec<LaunchEvent>>,
) -> InMemoryRun {
    InMemory { answers: answers.into_iter().collect(), ..InMemory::default() }.run(handler, payload).await
}

/// Records all progress and cancels the handler at a percentage.
struct RecordingReporter {
    progress: Rc<RefCell<Vec<Progress>>>,
    stop_at: Option<f64>,
    canceller: Canceller,
}

impl StatusReporter for RecordingReporter {
    fn report(&mut self, progress: &Progress, _: Option<&Value>) -> std::io::Result<()> {
        self.progress.borrow_mut().push(progress.clone());
        let reached = progress.percent_complete.unwrap_or_default();
        if self.stop_at.is_some_and(|percent| reached >= percent) {
            self.canceller.cancel();
        }
        Ok(())
    }
}

/// A launcher that starts no process and sends prepared events.
struct ScriptedLauncher {
    answers: Mutex<std::vec::IntoIter<Vec<LaunchEvent>>>,
    programs: Mutex<Vec<Program>>,
}

impl ScriptedLauncher {
    fn new(answers: impl IntoIterator<Item = Vec<LaunchEvent>>) -> Self {
        let answers: Vec<_> = answers.into_iter().collect();
        Self { answers: Mutex::new(answers.into_iter()), programs: Mutex::new(Vec::new()) }
    }
}

impl Launcher for ScriptedLauncher {
    fn launch(&self, id: LaunchId, order: LaunchOrder, events: &mpsc::Sender<LaunchUpdate>) {
        self.programs.lock().unwrap_or_else(PoisonError::into_inner).push(order.program);
        let answer = self.answers.lock().unwrap_or_else(PoisonError::into_inner).next();
        let none = || {
            let failure = pop_contract::Failure::new(
                pop_contract::Blame::Pop,
                "script",
                "the test has no answer for this external program",
            );
            vec![LaunchEvent::Ended(Box::new(LaunchEnd::failed(failure)))]
        };
        let events = events.clone();
        let answer = answer.unwrap_or_else(none);
        tokio::spawn(async move {
            for event in answer {
                events.send(LaunchUpdate { id, event }).await.ok();
            }
        });
    }

    fn stop(&self, _: LaunchId, _: bool) {}
}
