//! Sends the spans of a run while it runs.

use crate::args::{GoArgs, Output};
use crate::error::{CommandError, Kind};
use crate::ui;
use pop_agenda::Sink;
use pop_assembly::{PreparedRun, Surroundings};
use pop_executor::{JournalTail, RunFolder, TraceSettings};
use pop_telemetry::{
    Delivery, Endpoint, EventSource, Exporter, ExporterError, Mark, MarkError, RunTrace, SpanFold,
    SpanSender, TRACE_PARENT, TRACE_STATE, TraceParent, TracedEvent,
};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a run waits for the collector.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longest `tracestate` that is passed on, in bytes.
const MOST_STATE: usize = 512;

/// The trace context for a new run: that of the caller, and whether spans are sent.
pub(super) fn trace_settings(args: &GoArgs, surroundings: &Surroundings) -> Option<TraceSettings> {
    let variable = |name: &str| surroundings.variable(name).and_then(|value| value.to_str());
    // a text that is no trace context counts as none
    let parent = variable(TRACE_PARENT).and_then(|text| text.parse::<TraceParent>().ok());
    let is_sound =
        |state: &&str| state.len() <= MOST_STATE && state.chars().all(|c| (' '..='~').contains(&c));
    let state = parent.and(variable(TRACE_STATE)).filter(is_sound).map(str::to_owned);
    let is_recorded = endpoint(args).is_some();
    let trace = TraceSettings { parent: parent.map(|parent| parent.to_string()), state, is_recorded };
    (trace.parent.is_some() || trace.is_recorded).then_some(trace)
}

fn endpoint(args: &GoArgs) -> Option<&Endpoint> {
    args.otlp.as_ref().and_then(|otlp| otlp.0.as_ref())
}

/// The delivery of a run's spans.
pub(super) struct RunTraces {
    trace: RunTrace,
    endpoint: Endpoint,
    delivery: Delivery,
}

impl RunTraces {
    /// Starts to send the spans of a run, if that was asked for. If it cannot, the run continues, and its spans can be sent
    /// later.
    pub(super) fn start(
        prepared: &mut PreparedRun,
        args: &GoArgs,
        sinks: &mut Vec<Box<dyn Sink>>,
    ) -> Option<Self> {
        let endpoint = endpoint(args)?;
        let identity = &mut prepared.identity;
        // a run that was started without may send its spans from now on
        identity.trace = identity.trace.clone().recorded();
        if !identity.trace.is_sampled() {
            if args.output == Output::Text && !args.quiet {
                ui::say("no spans are sent: the flags of TRACEPARENT say that its trace is not recorded");
            }
            return None;
        }
        let started = Self::begin(prepared, endpoint, sinks);
        started.map_err(|error| ui::say(&format!("warning: no spans are sent: {}", error.message()))).ok()
    }

    fn begin(
        prepared: &PreparedRun,
        endpoint: &Endpoint,
        sinks: &mut Vec<Box<dyn Sink>>,
    ) -> Result<Self, CommandError> {
        let identity = &prepared.identity;
        let folder = RunFolder::find(identity.folder.parent().unwrap_or(Path::new(".")), &identity.run)?;
        let worker = sender(&folder, identity.trace.clone(), &identity.agenda, endpoint, false)?;
        let plan = Arc::clone(prepared.scheduler.plan());
        let (delivery, sink) = Delivery::start(worker, plan, prepared.recorded)?;
        sinks.push(Box::new(sink));
        Ok(Self { trace: identity.trace.clone(), endpoint: endpoint.clone(), delivery })
    }

    /// Waits for the collector, for a limited time, and says what has not arrived, and with which command it can be sent.
    pub(super) fn finish(self, args: &GoArgs, command: &str) {
        let Self { trace, endpoint, delivery } = self;
        let report = delivery.finish(PATIENCE);
        let id = trace.id();
        if let Some((count, message)) = &report.refused {
            ui::say(&format!("warning: {endpoint} refused {count} spans of trace {id}: {message}"));
        }
        if let Some(error) = report.error {
            ui::say(&format!(
                "warning: not every span of trace {id} has arrived at {endpoint}: {error}\nsend the rest with: {command} --otlp {endpoint}"
            ));
        } else if args.output == Output::Text && !args.quiet {
            ui::say(&format!("trace {id}: {} spans sent to {endpoint}", report.sent));
        }
    }
}

/// A sender of the spans of a run; `again` also of those that have arrived.
pub(super) fn sender(
    folder: &RunFolder,
    trace: RunTrace,
    agenda: &str,
    endpoint: &Endpoint,
    again: bool,
) -> Result<SpanSender, CommandError> {
    let exporter = Exporter::new(endpoint)?;
    let mut mark = Mark::open(&folder.traces())?;
    if again {
        mark.reset()?;
    }
    let source = JournalSource(JournalTail::new(&folder.journal()));
    Ok(SpanSender::new(SpanFold::new(trace, agenda), Box::new(source), exporter, mark))
}

/// The journal of a run as a source of events.
struct JournalSource(JournalTail);

impl EventSource for JournalSource {
    fn read(&mut self, most: usize) -> io::Result<Vec<TracedEvent>> {
        let lines = self.0.read(most).map_err(io::Error::other)?;
        Ok(lines
            .into_iter()
            .map(|line| TracedEvent { record: line.record, checksum: line.checksum })
            .collect())
    }

    fn rewind(&mut self) -> io::Result<()> {
        self.0.rewind();
        Ok(())
    }
}

impl From<MarkError> for CommandError {
    fn from(error: MarkError) -> Self {
        match error {
            MarkError::Busy => {
                Self::new(Kind::Journal, error.to_string()).hint("`pop wait RUN` waits for its end")
            }
            MarkError::Io { .. } => Self::new(Kind::Journal, format!("{:#}", anyhow::Error::from(error))),
        }
    }
}

impl From<ExporterError> for CommandError {
    fn from(error: ExporterError) -> Self {
        Self::new(Kind::Usage, error.to_string())
    }
}
