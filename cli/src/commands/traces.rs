//! `pop traces send`: sends the spans of a run that have not arrived.

use super::run_traces::sender;
use super::saved_run::read;
use crate::args::{TracesCommand, TracesSendArgs};
use crate::error::{CommandError, Kind};
use crate::ui;

pub(crate) fn traces(command: &TracesCommand) -> Result<u8, CommandError> {
    match command {
        TracesCommand::Send(args) => send(args),
    }
}

fn send(args: &TracesSendArgs) -> Result<u8, CommandError> {
    let saved = read(&args.runs.runs, &args.run)?;
    let run = saved.folder.run();
    let Some(endpoint) = &args.otlp.0 else {
        let message = "OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER turns traces off";
        return Err(CommandError::new(Kind::Usage, message).hint("name a collector: `--otlp URL`"));
    };
    let trace = saved.trace();
    if !trace.is_sampled() {
        ui::say(&format!("no spans are sent: the caller of run {run} does not record its trace"));
        return Ok(0);
    }
    let id = trace.id();
    let worker = sender(&saved.folder, trace, &saved.inputs.settings.agenda, endpoint, args.again)?;
    let report = worker.send_all(&saved.plan, saved.recorded);
    if let Some((count, message)) = &report.refused {
        ui::say(&format!("warning: {endpoint} refused {count} spans: {message}"));
    }
    match report.error {
        Some(error) => {
            let message = format!("{} spans sent, the rest not: {endpoint}: {error}", report.sent);
            Err(CommandError::new(Kind::Unreachable, message).hint("repeat the command later"))
        }
        None => {
            ui::say(&format!("trace {id}: {} spans sent to {endpoint}", report.sent));
            Ok(0)
        }
    }
}
