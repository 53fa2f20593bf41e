//! `pop run`: assembles a run from its files and executes it.

use super::go::{adopted, drive, look_at_disk, options, reach};
use super::resume::{ResumeTrigger, resume_folder};
use super::run_traces::trace_settings;
use crate::args::RunArgs;
use crate::error::CommandError;
use crate::faults::{assemble, print as print_faults};
use crate::launch_data::{launch_data, request, surroundings};
use pop_assembly::{DescriptionSource, RunRequest, RunStart, TextFaults, check_same_request};
use pop_contract::ExecutorExit;
use pop_executor::RunFolder;
use pop_field_retriever::LaunchDataWrapper;
use std::sync::Arc;

pub(crate) fn run(args: &RunArgs) -> Result<u8, CommandError> {
    let code = run_agenda(args)?;
    let has_ended = ExecutorExit::of(code.into()) == ExecutorExit::Ended;
    Ok(if args.exit_zero && has_ended { 0 } else { code })
}

fn run_agenda(args: &RunArgs) -> Result<u8, CommandError> {
    let launch = launch_data(&args.launch, args.strict)?;
    let surroundings = surroundings()?;
    let mut faults = TextFaults::default();
    let request = request(args.agenda.as_deref(), &args.plan, &launch, &surroundings, &mut faults)?;
    let totals = args.resources.totals(request.launcher, &surroundings, true)?;
    let request = RunRequest { descriptions: DescriptionSource::Programs, totals: Some(totals), ..request };
    let existing = args.run_id.as_ref().map(|id| RunFolder::find(&args.runs.runs, id));
    if let Some(Ok(folder)) = existing {
        print_faults(&faults, &request.texts)?;
        check_same_request(&folder, &request, &surroundings)?;
        return resume_folder(
            folder,
            &args.go,
            &args.resources,
            &args.runs,
            args.launch.clone(),
            ResumeTrigger::SameRunId,
            &surroundings,
        );
    }
    let assembly = assemble(request, &surroundings, faults, args.strict)?;
    reach(&launch, &surroundings)?;
    look_at_disk(&args.go.host, &args.runs);
    let start = RunStart {
        runs: &args.runs.runs,
        id: args.run_id.as_deref(),
        cid: assembly.correlation_id(&launch),
        options: options(&args.go),
        sync: args.go.sync.into(),
        adopted: adopted(&assembly.plan, &launch)?,
        parent: None,
        trace: trace_settings(&args.go, &surroundings),
    };
    let prepared = assembly.begin(start)?;
    let launch: Arc<dyn LaunchDataWrapper> = Arc::new(launch);
    drive(prepared, &args.go, &args.runs, &launch, &surroundings)
}
