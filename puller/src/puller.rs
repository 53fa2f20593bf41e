//! The loop of the puller.
//!
//! *Guarantees.* An agenda that the puller took is running, reported, or given back. At most `limit` executors run. A
//! lease is renewed while its executor lives; an executor whose lease is lost is stopped.

use crate::client::{ClientError, ServiceClient};
use crate::executor::{AfterEnd, ExecutorProgram};
use crate::health::Health;
use crate::last_report::{self, NOT_REPORTED, end_of};
use crate::pulled::{Lease, PulledAgenda};
use pop_launchers::{LaunchEnd, LaunchEvent, LaunchId, LaunchUpdate};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

/// Shortest time between a failed request and the next one; each further failure doubles it, up to the wait.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// Time after SIGTERM beyond the grace until executors are killed.
const KILL_AFTER: Duration = Duration::from_secs(5);

/// Settings of a puller.
pub struct PullerSettings {
    /// The insight.
    pub insight: String,
    /// Agendas in one request.
    pub count: u32,
    /// Longest wait of a request for the first agenda.
    pub wait: Duration,
    /// Most executors at once; none for no limit.
    pub limit: Option<u32>,
    /// Name of the puller in leases.
    pub name: String,
    /// Length of a lease.
    pub lease: Duration,
    /// Time for executors to finish when the puller stops. Then they are stopped, and their agendas given back.
    pub drain: Duration,
}

/// Takes agendas and starts executors.
pub struct Puller {
    settings: PullerSettings,
    client: ServiceClient,
    program: Arc<ExecutorProgram>,
    health: Health,
    say: fn(&str),
    running: HashMap<LaunchId, Running>,
    last: u64,
    /// Wait after the next failed request.
    pause: Duration,
    /// Wait after the next executor that is lost: what prevents one launch prevents others, too.
    setback: Duration,
    /// No agendas are asked for until then.
    pause_until: Instant,
    has_warned: bool,
    events: (mpsc::Sender<LaunchUpdate>, mpsc::Receiver<LaunchUpdate>),
    losses: (mpsc::UnboundedSender<LaunchId>, mpsc::UnboundedReceiver<LaunchId>),
    last_reports: (mpsc::UnboundedSender<LastReport>, mpsc::UnboundedReceiver<LastReport>),
    reports: Vec<JoinHandle<()>>,
}

struct Running {
    lease: Lease,
    agenda: String,
    log: Option<PathBuf>,
    /// Renews the lease until it is aborted.
    renewal: Option<JoinHandle<()>>,
    is_stopped: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(renewal) = &self.renewal {
            renewal.abort();
        }
    }
}

/// Whether the last report of an executor arrived; if not, the agenda.
type LastReport = Result<(), String>;

/// Phases of a puller's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Working,
    /// Waits for executors until this time.
    Draining(Instant),
    /// Executors were asked to stop; they are killed at this time.
    Stopping(Instant),
    Killing,
}

impl Puller {
    /// A puller. `say` gets what the user should know, a line each.
    pub fn new(
        settings: PullerSettings,
        client: ServiceClient,
        program: ExecutorProgram,
        health: Health,
        say: fn(&str),
    ) -> Self {
        Self {
            settings,
            client,
            program: Arc::new(program),
            health,
            say,
            running: HashMap::new(),
            last: 0,
            pause: FIRST_PAUSE,
            setback: FIRST_PAUSE,
            pause_until: Instant::now(),
            has_warned: false,
            events: mpsc::channel(256),
            losses: mpsc::unbounded_channel(),
            last_reports: mpsc::unbounded_channel(),
            reports: Vec::new(),
        }
    }

    /// Pulls until it is asked to stop. The first request waits for executors, the second one stops them, and the third one
    /// kills them.
    pub async fn run<S>(mut self, mut stop: mpsc::UnboundedReceiver<S>) {
        let mut phase = Phase::Working;
        let mut request: Option<JoinHandle<Result<Vec<PulledAgenda>, ClientError>>> = None;
        loop {
            let is_working = phase == Phase::Working;
            if !is_working && self.running.is_empty() {
                break;
            }
            let room = self.room().filter(|_| is_working && request.is_none());
            if let Some(count) = room.filter(|_| Instant::now() >= self.pause_until) {
                request = Some(self.ask(count));
            }
            let is_paused = room.is_some() && request.is_none();
            let deadline = match phase {
                Phase::Draining(at) | Phase::Stopping(at) => Some(at),
                Phase::Working | Phase::Killing => None,
            };
            tokio::select! {
                answer = answer_of(&mut request), if request.is_some() => {
                    request = None;
                    match answer {
                        Ok(agendas) => self.start_all(agendas, is_working),
                        Err(error) => self.failed(&error),
                    }
                }
                Some(update) = self.events.1.recv() => self.on_launch_event(update),
                Some(id) = self.losses.1.recv() => self.on_lease_lost(id),
                Some(report) = self.last_reports.1.recv() => self.on_last_report(report),
                Some(_) = stop.recv() => phase = self.next_phase(phase),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    phase = self.next_phase(phase);
                }
                () = sleep_until(self.pause_until), if is_paused => {}
            }
        }
        if let Some(request) = request {
            // the service sees the end of the connection, and gives nothing out for it
            request.abort();
        }
        for report in std::mem::take(&mut self.reports) {
            report.await.ok();
        }
        self.program.launcher.close().await;
    }

    /// How many agendas to ask for; none if there is no room.
    fn room(&self) -> Option<u32> {
        let free =
            self.settings.limit.map_or(u32::MAX, |limit| limit.saturating_sub(self.running.len() as u32));
        let count = self.settings.count.min(free);
        (count > 0).then_some(count)
    }

    fn ask(&self, count: u32) -> JoinHandle<Result<Vec<PulledAgenda>, ClientError>> {
        let client = self.client.clone();
        let PullerSettings { insight, wait, name, lease, .. } = &self.settings;
        let (insight, wait, name, lease) = (insight.clone(), *wait, name.clone(), *lease);
        let health = self.health.clone();
        tokio::spawn(async move {
            let began = Instant::now();
            let answer = client.pull(&insight, count, wait, &name, lease).await;
            health.pulled(answer.as_ref().ok().map(Vec::len), began.elapsed());
            answer
        })
    }

    fn failed(&mut self, error: &ClientError) {
        self.health.failed(error.to_string());
        if !std::mem::replace(&mut self.has_warned, true) {
            (self.say)(&format!("warning: {error}; pop tries again"));
        }
        self.pause_until = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(self.settings.wait.max(FIRST_PAUSE));
    }

    fn on_last_report(&mut self, report: LastReport) {
        match report {
            Ok(()) => self.setback = FIRST_PAUSE,
            Err(agenda) => {
                (self.say)(&format!("warning: agenda {agenda}: {NOT_REPORTED}"));
                self.slow_down();
            }
        }
    }

    /// An executor was lost, so the next one is not started at once.
    fn slow_down(&mut self) {
        self.pause_until = Instant::now() + self.setback;
        self.setback = (self.setback * 2).min(self.settings.wait.max(FIRST_PAUSE));
    }

    fn start_all(&mut self, agendas: Vec<PulledAgenda>, is_working: bool) {
        self.health.answered();
        self.pause = FIRST_PAUSE;
        if std::mem::take(&mut self.has_warned) {
            (self.say)("the agenda service answers again");
        }
        for pulled in agendas {
            if is_working {
                self.start(&pulled);
            } else {
                self.report_end(pulled.ids.agenda, pulled.lease, AfterEnd::HandBack);
            }
        }
        self.health.running(self.running.len());
    }

    fn start(&mut self, pulled: &PulledAgenda) {
        self.last += 1;
        let id = LaunchId(self.last);
        match self.program.order(pulled, self.client.address()) {
            Ok(order) => {
                (self.say)(&format!("agenda {}: starts", pulled.ids.agenda));
                let renewal = self.renewal(id, &pulled.lease);
                let (lease, agenda) = (pulled.lease.clone(), pulled.ids.agenda.clone());
                let log = order.log.clone();
                self.running.insert(id, Running { lease, agenda, log, renewal, is_stopped: false });
                self.program.launcher.launch(id, order, &self.events.0);
            }
            Err(failure) => {
                (self.say)(&format!("agenda {}: {}", pulled.ids.agenda, failure.message));
                self.report_end(
                    pulled.ids.agenda.clone(),
                    pulled.lease.clone(),
                    AfterEnd::Lost(failure.message),
                );
            }
        }
    }

    /// Renews a lease three times within its length.
    fn renewal(&self, id: LaunchId, lease: &Lease) -> Option<JoinHandle<()>> {
        let interval = Duration::from_millis(lease.length?.max(3)) / 3;
        let (client, lease, losses) = (self.client.clone(), lease.clone(), self.losses.0.clone());
        let health = self.health.clone();
        Some(tokio::spawn(async move {
            loop {
                sleep(interval).await;
                match client.renew(&lease).await {
                    // a puller without room for more agendas asks for none
                    Ok(()) => health.answered(),
                    Err(error) if error.is_lease_lost() => {
                        losses.send(id).ok();
                        return;
                    }
                    Err(error) => health.failed(error.to_string()),
                }
            }
        }))
    }

    fn on_launch_event(&mut self, LaunchUpdate { id, event }: LaunchUpdate) {
        match event {
            LaunchEvent::Ended(ended) => self.on_end(id, &ended),
            LaunchEvent::Lost => {
                if let Some(running) = self.running.remove(&id) {
                    let after = AfterEnd::Lost("the executor cannot be found".to_owned());
                    self.report_end(running.agenda.clone(), running.lease.clone(), after);
                }
            }
            LaunchEvent::Notice(words) => (self.say)(&words),
            LaunchEvent::Running
            | LaunchEvent::Progress(_)
            | LaunchEvent::Lines(_)
            | LaunchEvent::Silent
            | LaunchEvent::Late(_) => {}
        }
    }

    fn on_end(&mut self, id: LaunchId, ended: &LaunchEnd) {
        self.program.launcher.release(id);
        let Some(running) = self.running.remove(&id) else { return };
        let mut after = AfterEnd::of(ended, self.program.is_pop);
        if running.is_stopped && matches!(after, AfterEnd::Lost(_)) {
            after = AfterEnd::HandBack;
        }
        let words = match &after {
            AfterEnd::Nothing => end_of(ended, running.log.as_deref()),
            AfterEnd::HandBack => "was stopped; it is given back".to_owned(),
            AfterEnd::Lost(why) => format!("lost its executor: {why}"),
            AfterEnd::Fail { message, .. } => message.clone(),
        };
        (self.say)(&format!("agenda {}: {words}", running.agenda));
        self.report_end(running.agenda.clone(), running.lease.clone(), after);
        self.health.running(self.running.len());
    }

    /// Somebody else may run the agenda now.
    fn on_lease_lost(&mut self, id: LaunchId) {
        if let Some(running) = self.running.get_mut(&id) {
            (self.say)(&format!("agenda {}: its lease has ended; the executor is stopped", running.agenda));
            self.health.lost_lease();
            running.is_stopped = true;
            self.program.launcher.stop(id, false);
        }
    }

    /// Reports to the service what became of an agenda, in the background.
    fn report_end(&mut self, agenda: String, lease: Lease, after: AfterEnd) {
        if matches!(after, AfterEnd::Lost(_)) {
            self.slow_down();
        }
        self.health.ended(match &after {
            AfterEnd::Nothing => "ended",
            AfterEnd::HandBack => "given-back",
            AfterEnd::Lost(_) => "lost",
            AfterEnd::Fail { .. } => "failed",
        });
        if lease.length.is_none() && !matches!(after, AfterEnd::Fail { .. }) {
            // a service without leases takes nothing back
            return;
        }
        let (client, last_reports) = (self.client.clone(), self.last_reports.0.clone());
        self.reports.retain(|report| !report.is_finished());
        self.reports.push(tokio::spawn(async move {
            let is_reported = last_report::deliver(&client, &lease, &after).await;
            if let Some(is_reported) = is_reported {
                last_reports.send(is_reported.then_some(()).ok_or(agenda)).ok();
            }
        }));
    }

    fn next_phase(&mut self, phase: Phase) -> Phase {
        let outlives = self.program.on.capabilities().outlives_executor;
        match phase {
            Phase::Working if outlives => {
                // pods and containers go on and report by themselves
                self.running.clear();
                Phase::Killing
            }
            Phase::Working => {
                if !self.running.is_empty() {
                    let (count, seconds) = (self.running.len(), self.settings.drain.as_secs());
                    let executors = if count == 1 { "executor" } else { "executors" };
                    (self.say)(&format!("stopping: waits up to {seconds} s for {count} {executors}"));
                }
                Phase::Draining(Instant::now() + self.settings.drain)
            }
            Phase::Draining(_) => {
                self.stop_all(false);
                Phase::Stopping(Instant::now() + self.program.grace + KILL_AFTER)
            }
            Phase::Stopping(_) | Phase::Killing => {
                self.stop_all(true);
                Phase::Killing
            }
        }
    }

    fn stop_all(&mut self, force: bool) {
        for (id, running) in &mut self.running {
            running.is_stopped = true;
            self.program.launcher.stop(*id, force);
        }
    }
}

/// The answer to a request for agendas.
async fn answer_of(
    request: &mut Option<JoinHandle<Result<Vec<PulledAgenda>, ClientError>>>,
) -> Result<Vec<PulledAgenda>, ClientError> {
    let Some(request) = request else { return std::future::pending().await };
    let ended = request.await;
    ended.unwrap_or_else(|error| Err(ClientError::Answer { what: "agendas", reason: error.to_string() }))
}
