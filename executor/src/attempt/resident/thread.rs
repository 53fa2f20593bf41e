//! The thread of resident handlers: starts them, stops them, and reports how they end.

use super::handlers::{LogMessages, UpdateAgenda};
use super::{Command, ResidentAttempt, ResidentSetting};
use pop_contract::{Blame, Exit, Failure, FinalReport};
use pop_handler_base::{
    Cancellation, Canceller, OperationContext, Progress, Report, SampleHandler, StatusReporter, Surroundings,
    process,
};
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchId, LaunchUpdate, Log, log_failure};
use pop_registry::Resident;
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// How a handler at work is ended.
struct Control {
    canceller: Canceller,
    kill: Option<oneshot::Sender<()>>,
}

/// Handlers at work, by their launch.
type AtWork = Rc<RefCell<HashMap<LaunchId, Control>>>;

/// Carries out commands until the runner is gone; handlers that still work then are dropped.
pub(super) async fn run(setting: ResidentSetting, mut commands: mpsc::UnboundedReceiver<Command>) {
    let at_work = AtWork::default();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Start(id, attempt, events) => start(&setting, id, *attempt, events, &at_work),
            Command::Stop(id, force) => stop(id, force, &at_work),
        }
    }
}

fn start(
    setting: &ResidentSetting,
    id: LaunchId,
    order: ResidentAttempt,
    events: mpsc::Sender<LaunchUpdate>,
    at_work: &AtWork,
) {
    let (canceller, cancellation) = Cancellation::new();
    let (kill, killed) = oneshot::channel();
    at_work.borrow_mut().insert(id, Control { canceller, kill: Some(kill) });
    let log = Rc::new(RefCell::new(Log::new(Some(order.log))));
    let heard = Rc::new(Cell::new(Instant::now()));
    let context = OperationContext::new(Surroundings {
        launch: Arc::clone(&setting.launch),
        reporter: Box::new(Telling { id, events: events.clone(), heard: Rc::clone(&heard) }),
        cancellation,
        launcher: Arc::clone(&setting.launcher),
        clock: setting.clock,
        cid: setting.cid.clone(),
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
    let at_work = Rc::clone(at_work);
    tokio::task::spawn_local(async move {
        let silence = async {
            silent(order.silence, &heard).await;
            events.send(LaunchUpdate { id, event: LaunchEvent::Silent }).await.ok();
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
            Some(report) => LaunchEnd {
                exit: match log.error {
                    None => Ok(Exit::Code(i32::from(!report.is_succeeded()))),
                    Some(error) => Err(Box::new(log_failure(&error))),
                },
                said: FinalReport {
                    progress: Some(report.progress),
                    result: report.result,
                    ..FinalReport::default()
                },
                log_tail: log.tail,
                ..LaunchEnd::exited(Exit::Code(0))
            },
            None => LaunchEnd::failed(Failure::new(Blame::Handler, "killed", "did not stop when asked")),
        };
        events.send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(ended)) }).await
    });
}

/// Asks a handler to stop, or drops it; one that has ended is left alone.
fn stop(id: LaunchId, force: bool, at_work: &AtWork) {
    if let Some(control) = at_work.borrow_mut().get_mut(&id) {
        control.canceller.ask();
        if let Some(kill) = control.kill.take_if(|_| force) {
            // a handler that has just ended needs no killing
            kill.send(()).ok();
        }
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
    events: mpsc::Sender<LaunchUpdate>,
    heard: Rc<Cell<Instant>>,
}

impl StatusReporter for Telling {
    fn report(&mut self, progress: &Progress, _: Option<&Value>) -> std::io::Result<()> {
        self.heard.set(Instant::now());
        if !progress.is_final() {
            let event = LaunchEvent::Progress(Box::new(progress.clone()));
            self.events.try_send(LaunchUpdate { id: self.id, event }).ok();
        }
        Ok(())
    }
}
