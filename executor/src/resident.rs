//! Handlers inside the executor, behind the same events as any launch: logMessages, updateAgenda, sample.

use pop_handler_base::field_retriever::LaunchDataWrapper;
use pop_handler_base::{
    Cancellation, Canceller, Handler, HandlerError, OperationContext, Progress, Report, SampleHandler,
    StatusReporter, Surroundings, process,
};
use pop_launchers::{Ended, LaunchEvent, LaunchId, Launched, Launcher, Log};
use pop_registry::Resident;
use pop_registry::contract::{Blame, Exit, Failure, Millis, Said};
use serde::Deserialize;
use serde_json::{Value, json};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// The handlers inside the executor, and those of them at work.
pub(crate) struct Residents {
    launch: Arc<dyn LaunchDataWrapper>,
    launcher: Arc<dyn Launcher>,
    clock: fn() -> Millis,
    cid: String,
    at_work: Rc<RefCell<HashMap<LaunchId, Control>>>,
}

/// How a handler at work is ended.
struct Control {
    canceller: Canceller,
    kill: Option<oneshot::Sender<()>>,
}

/// One operation for a resident handler.
pub(crate) struct ResidentOrder {
    pub(crate) resident: Resident,
    pub(crate) payload: String,
    pub(crate) operation: String,
    pub(crate) prior: Option<Progress>,
    pub(crate) log: Option<PathBuf>,
    /// After how long without a word it is said to be silent.
    pub(crate) silence: Option<Duration>,
}

impl Residents {
    pub(crate) fn new(
        launch: Arc<dyn LaunchDataWrapper>,
        launcher: Arc<dyn Launcher>,
        clock: fn() -> Millis,
        cid: String,
    ) -> Self {
        Self { launch, launcher, clock, cid, at_work: Rc::default() }
    }

    /// Starts a handler on the current local task set; what is heard of it goes to `events`.
    pub(crate) fn launch(&self, id: LaunchId, order: ResidentOrder, events: &mpsc::Sender<Launched>) {
        let (canceller, cancellation) = Cancellation::new();
        let (kill, killed) = oneshot::channel();
        self.at_work.borrow_mut().insert(id, Control { canceller, kill: Some(kill) });
        let log = Rc::new(RefCell::new(Log::new(order.log)));
        let heard = Rc::new(Cell::new(Instant::now()));
        let context = OperationContext::new(Surroundings {
            launch: Arc::clone(&self.launch),
            reporter: Box::new(Telling { id, events: events.clone(), heard: Rc::clone(&heard) }),
            cancellation,
            launcher: Arc::clone(&self.launcher),
            clock: self.clock,
            cid: self.cid.clone(),
            prior: order.prior,
            operation: Some(order.operation),
            log: Box::new({
                let log = Rc::clone(&log);
                let heard = Rc::clone(&heard);
                move |line| {
                    heard.set(Instant::now());
                    log.borrow_mut().write(format!("{line}\n").as_bytes());
                }
            }),
        });
        let at_work = Rc::clone(&self.at_work);
        let events = events.clone();
        tokio::task::spawn_local(async move {
            let silence = async {
                silent(order.silence, &heard).await;
                events.send(Launched { id, event: LaunchEvent::Silent }).await.ok();
                std::future::pending::<()>().await;
            };
            let report = tokio::select! {
                report = work(order.resident, &order.payload, context) => Some(report),
                _ = killed => None,
                () = silence => None,
            };
            at_work.borrow_mut().remove(&id);
            let log = std::mem::replace(&mut *log.borrow_mut(), Log::new(None)).finish();
            let ended = match report {
                Some(report) => Ended {
                    exit: Ok(Exit::Code(i32::from(!report.is_succeeded()))),
                    said: Said {
                        progress: Some(report.progress),
                        result: report.result,
                        breaches: Vec::new(),
                    },
                    stdout: Vec::new(),
                    log_tail: log.tail,
                },
                None => Ended::failed(Failure::new(Blame::Handler, "killed", "did not stop when asked")),
            };
            events.send(Launched { id, event: LaunchEvent::Ended(Box::new(ended)) }).await
        });
    }

    /// Asks a handler to stop, or drops it. False if it is none of these.
    pub(crate) fn stop(&self, id: LaunchId, force: bool) -> bool {
        let mut at_work = self.at_work.borrow_mut();
        let Some(control) = at_work.get_mut(&id) else { return false };
        control.canceller.ask();
        if let Some(kill) = control.kill.take_if(|_| force) {
            // a handler that has just ended needs no killing
            kill.send(()).ok();
        }
        true
    }
}

/// Waits until nothing was heard for so long; for ever without a limit.
async fn silent(limit: Option<Duration>, heard: &Cell<Instant>) {
    let Some(limit) = limit else { return std::future::pending().await };
    while heard.get().elapsed() < limit {
        sleep_until(heard.get() + limit).await;
    }
}

async fn work(resident: Resident, payload: &str, mut context: OperationContext) -> Report {
    match resident {
        Resident::LogMessages => process(&LogMessages, payload, &mut context).await,
        Resident::UpdateAgenda => process(&UpdateAgenda, payload, &mut context).await,
        Resident::Sample => process(&SampleHandler, payload, &mut context).await,
    }
}

/// Progress of a resident handler on its way to the driver; when that is busy, a report is left out.
struct Telling {
    id: LaunchId,
    events: mpsc::Sender<Launched>,
    heard: Rc<Cell<Instant>>,
}

impl StatusReporter for Telling {
    fn report(&mut self, progress: &Progress, _: Option<&Value>) {
        self.heard.set(Instant::now());
        if !progress.is_final() {
            let event = LaunchEvent::Progress(Box::new(progress.clone()));
            self.events.try_send(Launched { id: self.id, event }).ok();
        }
    }
}

/// `logMessages`: writes each message into the operation's log.
struct LogMessages;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Messages {
    #[serde(default)]
    log_messages: Vec<String>,
}

impl Handler for LogMessages {
    type Input = Messages;
    type Output = Value;

    async fn run(&self, input: Messages, context: &mut OperationContext) -> Result<Value, HandlerError> {
        for message in &input.log_messages {
            context.log(message);
        }
        Ok(json!({}))
    }
}

/// `updateAgenda`: hands operations on, stamped with the operation that made them.
struct UpdateAgenda;

#[derive(Deserialize)]
struct Update {
    operations: Vec<Value>,
    #[serde(default)]
    params: Option<Value>,
}

impl Handler for UpdateAgenda {
    type Input = Update;
    type Output = Value;

    async fn run(&self, mut input: Update, context: &mut OperationContext) -> Result<Value, HandlerError> {
        let generator = context.operation().unwrap_or_default().to_owned();
        for operation in &mut input.operations {
            let Value::Object(fields) = operation else {
                return Err(HandlerError::new("each of `operations` must be a map").code("payload"));
            };
            let params = fields.entry("params").or_insert_with(|| json!({}));
            if let Value::Object(params) = params {
                params.insert("generatedOperationParent".to_owned(), json!(generator));
            }
        }
        Ok(json!({"operations": input.operations, "params": input.params}))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_handler_base::run_in_memory;

    #[tokio::test]
    async fn p26_log_messages_writes_each_message() {
        let run = run_in_memory(&LogMessages, &json!({"logMessages": ["a", "b"]}), []).await;
        assert_eq!((run.log, run.report.result), (vec!["a".to_owned(), "b".to_owned()], Some(json!({}))));
    }

    #[tokio::test]
    async fn p26_update_agenda_stamps_and_hands_on() {
        let payload = json!({"operations": [{"name": "x", "type": "sample"}], "params": {"parts": 3}});
        let result = run_in_memory(&UpdateAgenda, &payload, []).await.report.result.unwrap();
        assert_eq!(result["operations"][0]["params"]["generatedOperationParent"], "");
        assert_eq!(result["params"]["parts"], 3);
    }
}
