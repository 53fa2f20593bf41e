//! `pop dlq replay`: runs the operation of a dead letter again, with the inputs of its run.

use super::go::{drive, look_at_disk, options, reach};
use super::run_traces::trace_settings;
use crate::args::{DlqReplayArgs, LaunchArgs, StrictArg};
use crate::error::CommandError;
use crate::faults::assemble;
use crate::launch_data::launch_data;
use crate::ui;
use pop_assembly::{DeadLetterReplay, RunRequest, RunStart, Surroundings, TextFaults};
use pop_executor::RunFolder;
use pop_field_retriever::LaunchDataWrapper;
use std::sync::Arc;

pub(crate) fn replay(args: &DlqReplayArgs) -> Result<u8, CommandError> {
    let folder = RunFolder::find(&args.runs.runs, &args.run)?;
    let replay = DeadLetterReplay::of(&folder, &args.operation, args.again)?;
    let frozen = folder.inputs()?;
    let surroundings = Surroundings::capture_variables();
    let request = replay.request(&frozen)?;
    let totals = args.resources.totals(request.launcher, &surroundings, true)?;
    let request = RunRequest { totals: Some(totals), ..request };
    let launch = LaunchArgs { external_launch_type: Some(request.launcher), ..LaunchArgs::default() };
    let assembly = assemble(request, &surroundings, TextFaults::default(), StrictArg::default())?;
    let launch = launch_data(&launch, StrictArg::default())?;
    reach(&launch, &surroundings)?;
    look_at_disk(&args.go.host, &args.runs);
    // hold the lock only while the new run is recorded, never while waiting for anything else
    let (held, warning) = replay.hold()?;
    if let Some(warning) = warning {
        ui::say(&format!("warning: {warning}"));
    }
    let start = RunStart {
        options: options(&args.go),
        sync: args.go.sync.into(),
        trace: trace_settings(&args.go, &surroundings),
        ..RunStart::new(&args.runs.runs, frozen.settings.cid)
    };
    let prepared = assembly.begin(start)?;
    held.note_replay(&prepared.identity.run)?;
    let launch: Arc<dyn LaunchDataWrapper> = Arc::new(launch);
    let code = drive(prepared, &args.go, &args.runs, &launch, &surroundings)?;
    if code == 0 && !args.go.quiet {
        let run = folder.run();
        ui::say(&format!("`pop resume {run}` gives the result to `{}` of run {run}", args.operation));
    }
    Ok(code)
}
