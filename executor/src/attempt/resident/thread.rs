//! The thread of resident handlers: starts them, stops them, and reports how they end.
//!
//! Log, silence and progress of a handler pass the same [`Transcript`] as the output of a program.

use super::handlers::{LogMessages, UpdateAgenda};
use super::{Command, ResidentAttempt, ResidentSetting};
use pop_contract::{Blame, Exit, Failure};
use pop_handler_base::{
    Cancellation, Canceller, ContextParts, OperationContext, Progress, Report, SampleHandler, StatusReporter,
    process,
};
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, LaunchUpdate, Mask, Stream, Transcript};
use pop_registry::Resident;
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

/// The two ways to stop a running handler.
struct Control {
    canceller: Canceller,
    kill: Option<oneshot::Sender<()>>,
}

/// The running handlers by their launches.
type Running = Rc<RefCell<HashMap<LaunchId, Control>>>;

/// Carries out commands until the runner is dropped; then handlers that still run are dropped, too.
pub(super) async fn run(setting: ResidentSetting, mut commands: mpsc::UnboundedReceiver<Command>) {
    let running = Running::default();
    while let Some(command) = commands.recv().await {
        match command {
            Command::Start(id, attempt, events) => start(&setting, id, *attempt, events, &running),
            Command::Stop(id, force) => stop(id, force, &running),
        }
    }
}

/// The output and reports of a handler, with a signal for new ones.
#[derive(Clone)]
struct Output {
    transcript: Rc<RefCell<Transcript>>,
    changed: Rc<Notify>,
}

impl Output {
    fn new(order: &ResidentAttempt) -> Self {
        let order =
            LaunchOrder { log: Some(order.log.clone()), silence: order.silence, ..LaunchOrder::default() };
        let mut transcript = Transcript::new(&order, &Mask::default());
        transcript.begin(Instant::now());
        Self { transcript: Rc::new(RefCell::new(transcript)), changed: Rc::default() }
    }

    fn change(&self, change: impl FnOnce(&mut Transcript)) {
        change(&mut self.transcript.borrow_mut());
        self.changed.notify_one();
    }

    /// Sends the events of the transcript as they come; never ends.
    async fn send_events(&self, id: LaunchId, events: &mpsc::Sender<LaunchUpdate>) {
        loop {
            let (ready, due) = {
                let mut transcript = self.transcript.borrow_mut();
                transcript.on_time(Instant::now());
                (transcript.events(Instant::now()), transcript.due())
            };
            for event in ready {
                // fails only if the receiver is gone
                events.send(LaunchUpdate { id, event }).await.ok();
            }
            tokio::select! {
                () = self.changed.notified() => {}
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
        }
    }

    /// Builds the end of a handler that has ended.
    fn finish(self, report: Option<Report>) -> LaunchEnd {
        let exit = match &report {
            Some(report) => Ok(Exit::Code(i32::from(!report.is_succeeded()))),
            None => Err(Box::new(Failure::new(Blame::Handler, "killed", "did not stop when asked"))),
        };
        let unused = Transcript::new(&LaunchOrder::default(), &Mask::default());
        let mut transcript = self.transcript.replace(unused);
        if let Some(report) = report {
            transcript.progress(report.progress, Instant::now());
            if let Some(result) = report.result {
                transcript.result(result);
            }
        }
        transcript.finish(exit)
    }
}

fn start(
    setting: &ResidentSetting,
    id: LaunchId,
    attempt: ResidentAttempt,
    events: mpsc::Sender<LaunchUpdate>,
    running: &Running,
) {
    let (canceller, cancellation) = Cancellation::new();
    let (kill, killed) = oneshot::channel();
    running.borrow_mut().insert(id, Control { canceller, kill: Some(kill) });
    let output = Output::new(&attempt);
    let context = OperationContext::new(ContextParts {
        launch: Arc::clone(&setting.launch),
        reporter: Box::new(ProgressReporter(output.clone())),
        cancellation,
        launcher: Arc::clone(&setting.launcher),
        clock: setting.clock,
        cid: setting.cid.clone(),
        prior: attempt.prior,
        operation: Some(attempt.operation),
        log: Box::new({
            let output = output.clone();
            move |line| {
                let line = format!("{line}\n");
                output.change(|transcript| transcript.take(Stream::Stderr, line.as_bytes(), Instant::now()));
            }
        }),
    });
    let running = Rc::clone(running);
    tokio::task::spawn_local(async move {
        let report = tokio::select! {
            report = work(attempt.resident, &attempt.payload, context) => Some(report),
            _ = killed => None,
            () = output.send_events(id, &events) => None,
        };
        running.borrow_mut().remove(&id);
        let end = output.finish(report);
        events.send(LaunchUpdate { id, event: LaunchEvent::Ended(Box::new(end)) }).await
    });
}

/// Asks a handler to stop, or drops it with `force`. Has no effect on a handler that has ended.
fn stop(id: LaunchId, force: bool, running: &Running) {
    if let Some(control) = running.borrow_mut().get_mut(&id) {
        control.canceller.cancel();
        if let Some(kill) = control.kill.take_if(|_| force) {
            // fails only if the handler has just ended
            kill.send(()).ok();
        }
    }
}

async fn work(resident: Resident, payload: &str, mut context: OperationContext) -> Report {
    match resident {
        Resident::LogMessages => process(&LogMessages, payload, &mut context).await,
        Resident::UpdateAgenda => process(&UpdateAgenda, payload, &mut context).await,
        Resident::Sample => process(&SampleHandler, payload, &mut context).await,
    }
}

/// Passes the progress of a resident handler to its transcript.
struct ProgressReporter(Output);

impl StatusReporter for ProgressReporter {
    fn report(&mut self, progress: &Progress, _: Option<&Value>) -> std::io::Result<()> {
        // the final report comes with the end
        if !progress.is_final() {
            self.0.change(|transcript| transcript.progress(progress.clone(), Instant::now()));
        }
        Ok(())
    }
}
