//! Builds the identity of a run: the names and folders that all its operations share.

use crate::error::AssemblyError;
use crate::surroundings::Surroundings;
use pop_agenda::Plan;
use pop_executor::{RunFolder, RunIdentity, Settings, cluster};
use pop_field_retriever::{LaunchDataWrapper, LaunchType};
use pop_launchers::process::EXECUTOR_VARIABLE;
use pop_launchers::{Secrets, Setting};
use pop_registry::Secret;
use pop_telemetry::{CallerTrace, RunTrace};
use std::path::{Path, PathBuf};

/// Identity and launcher setting for showing the manifests of a plan that has no run.
pub fn preview_setting(
    plan: &Plan,
    run: &str,
    launcher: LaunchType,
    home: Option<&Path>,
    surroundings: &Surroundings,
    launch_data: &dyn LaunchDataWrapper,
) -> Result<(RunIdentity, Setting), AssemblyError> {
    let cid = plan.identity.cid.clone().unwrap_or_else(|| run.to_owned());
    let identity = RunIdentity {
        agenda: String::new(),
        folder: PathBuf::new(),
        start: PathBuf::new(),
        run: run.to_owned(),
        mark: run.to_owned(),
        trace: RunTrace::new(run, &cid, None, false),
        cid,
        logs: PathBuf::from("logs"),
        home: home.map(Path::to_owned),
        on: launcher,
    };
    let setting = Setting {
        variables: identity.variables(plan).into_iter().chain([surroundings.log_level()]).collect(),
        folder: surroundings.folder.clone(),
        home: home.map(Path::to_owned),
        cluster: cluster(launch_data)?,
        ..Setting::default()
    };
    Ok((identity, setting))
}

/// The setting of a launcher for real programs, without the variables, folder and mark of what they belong to. `executor`
/// identifies this process among earlier and later ones.
pub(crate) fn program_setting(
    secrets: &[Secret],
    home: Option<&Path>,
    executor: &str,
    surroundings: &Surroundings,
    launch_data: &dyn LaunchDataWrapper,
) -> Result<Setting, AssemblyError> {
    let own = (EXECUTOR_VARIABLE.into(), executor.into());
    let variables: Vec<_> = surroundings.for_programs().chain([own]).collect();
    Ok(Setting {
        secrets: Secrets::new(secrets, &variables, home.map(Path::to_owned)),
        surroundings: variables,
        home: home.map(Path::to_owned),
        cluster: cluster(launch_data)?,
        ..Setting::default()
    })
}

/// The identity of the run in a folder.
pub(crate) fn identity(folder: &RunFolder, settings: &Settings) -> Result<RunIdentity, AssemblyError> {
    let run = folder.run().to_owned();
    Ok(RunIdentity {
        mark: mark(folder, settings).to_owned(),
        run,
        cid: settings.cid.clone(),
        agenda: settings.agenda.clone(),
        folder: absolute(folder.path())?,
        start: settings.folder.clone(),
        logs: absolute(&folder.logs())?,
        home: settings.home.clone(),
        on: launcher(settings)?,
        trace: trace(folder, settings),
    })
}

/// The trace of the run in a folder.
pub(crate) fn trace(folder: &RunFolder, settings: &Settings) -> RunTrace {
    let recorded = settings.trace.as_ref();
    let caller = recorded.and_then(|trace| {
        let parent = trace.parent.as_deref()?.parse().ok()?;
        Some(CallerTrace { parent, state: trace.state.clone() })
    });
    let is_recorded = recorded.is_some_and(|trace| trace.is_recorded);
    RunTrace::new(mark(folder, settings), &settings.cid, caller, is_recorded)
}

/// The mark that identifies the programs of a run.
pub(crate) fn mark<'m>(folder: &'m RunFolder, settings: &'m Settings) -> &'m str {
    settings.mark.as_deref().unwrap_or_else(|| folder.run())
}

/// The launcher with which a run was started.
pub(crate) fn launcher(settings: &Settings) -> Result<LaunchType, AssemblyError> {
    settings.on.parse().map_err(|error| AssemblyError::FrozenLauncher { why: format!("{error}") })
}

/// Makes a path absolute, because programs get paths of the run's files and start in other folders.
fn absolute(path: &Path) -> Result<PathBuf, AssemblyError> {
    std::path::absolute(path).map_err(|source| AssemblyError::NotAbsolute { path: path.to_owned(), source })
}
