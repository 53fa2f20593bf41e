//! `pop rerun`: a new run that reuses the unchanged results of an earlier one.

use super::go::{drive, look_at_disk, options, reach};
use super::run_traces::trace_settings;
use crate::args::{LaunchArgs, RerunArgs, ResourceArgs};
use crate::error::{CommandError, Kind};
use crate::faults::assemble;
use crate::launch_data::{given_inputs, launch_data, surroundings, text_files};
use crate::ui;
use pop_assembly::{
    DescriptionSource, Rerun, RerunChanges, RerunSelection, RunRequest, RunStart, TextFaults,
};
use pop_executor::RunFolder;
use pop_field_retriever::LaunchDataWrapper;
use std::sync::Arc;

pub(crate) fn rerun(args: &RerunArgs) -> Result<u8, CommandError> {
    let surroundings = surroundings()?;
    let rerun = Rerun::of(RunFolder::find(&args.runs.runs, &args.run)?, &surroundings)?;
    if let Some(id) = args.run_id.as_deref().filter(|id| RunFolder::find(&args.runs.runs, id).is_ok()) {
        let error = CommandError::new(Kind::Usage, format!("there is a run `{id}` already"));
        return Err(error.hint(format!("choose another `--run-id`, or continue that run: `pop resume {id}`")));
    }
    let on = args.launch.external_launch_type;
    let launcher = on.map_or_else(|| rerun.launcher(), Ok)?;
    let launch = launch_data(
        &LaunchArgs { external_launch_type: Some(launcher), ..args.launch.clone() },
        args.strict,
    )?;
    let changes = RerunChanges {
        agenda: args.agenda.as_deref(),
        params: args.plan.policies.policies.clone(),
        inputs: given_inputs(&args.plan.inputs)?,
        launcher: on,
    };
    let mut faults = TextFaults::default();
    let files = text_files(&args.plan.registry, &launch, &surroundings);
    let (request, agenda) = rerun.request(changes, &files, &mut faults)?;
    // the totals of the earlier run hold, unless the command line sets others
    let resources = std::iter::once(rerun.resources().clone()).chain(args.resources.resources.clone());
    let totals = ResourceArgs { resources: resources.collect() }.totals(launcher, &surroundings, true)?;
    let request = RunRequest { descriptions: DescriptionSource::Programs, totals: Some(totals), ..request };
    if !args.go.quiet {
        let words = agenda.words(request.texts.agenda.name(), rerun.run());
        ui::say(&format!("rerun of {}: {words}", rerun.run()));
    }
    let assembly = assemble(request, &surroundings, faults, args.strict)?;
    reach(&launch, &surroundings)?;
    look_at_disk(&args.go.host, &args.runs);
    let selection = RerunSelection { operations: &args.operations, from: &args.from, failed: args.failed };
    let parent = rerun.results(&assembly.plan, &selection)?;
    let cid = assembly.correlation_id(&launch);
    let start = RunStart {
        id: args.run_id.as_deref(),
        options: options(&args.go),
        sync: args.go.sync.into(),
        parent: Some(parent),
        trace: trace_settings(&args.go, &surroundings),
        ..RunStart::new(&args.runs.runs, cid)
    };
    let prepared = assembly.begin(start)?;
    let launch: Arc<dyn LaunchDataWrapper> = Arc::new(launch);
    drive(prepared, &args.go, &args.runs, &launch, &surroundings)
}
