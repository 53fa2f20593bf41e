//! A run that has its folder, its lock and its journal, and only needs to be driven.

use crate::error::AssemblyError;
use crate::run_identity::identity;
use crate::secret_lookup::handlers_with_secrets;
use crate::surroundings::Surroundings;
use pop_agenda::{History, Plan, PriorOutcome, RunOptions, RunTime, Scheduler};
use pop_contract::Millis;
use pop_executor::{FileJournal, Inputs, Lock, RunFolder, RunIdentity, RunStart, Sync, cluster};
use pop_field_retriever::LaunchDataWrapper;
use pop_launchers::process::EXECUTOR_VARIABLE;
use pop_launchers::{Secrets, Setting};
use pop_registry::Secret;
use std::ffi::OsStr;

/// A run that is ready to be driven, new or resumed.
pub struct PreparedRun {
    /// The plan in the state that the journal has; not begun if the journal is empty.
    pub scheduler: Scheduler,
    /// What is the same for every operation of the run.
    pub identity: RunIdentity,
    /// The journal, open for writing.
    pub journal: FileJournal,
    /// What has happened so far.
    pub history: History,
    /// What an earlier run of the agenda had reached, for a run that begins.
    pub adopted: Vec<PriorOutcome>,
    /// How the run goes on, for a run that is resumed.
    pub resumed: Option<RunOptions>,
    /// When the run began by the wall clock, and the time of its last event.
    pub began: Option<(Millis, RunTime)>,
    /// The right to execute the run.
    pub lock: Lock,
}

impl PreparedRun {
    /// A new run in a folder that was just made.
    pub(crate) fn begin(
        folder: &RunFolder,
        lock: Lock,
        inputs: &Inputs,
        plan: Plan,
        options: RunOptions,
        adopted: Vec<PriorOutcome>,
        sync: Sync,
    ) -> Result<Self, AssemblyError> {
        let identity = identity(folder, &inputs.settings)?;
        let journal = FileJournal::begin(folder, &inputs.digest()?, sync)?;
        let history = History::new(plan.len());
        let scheduler = Scheduler::new(plan, options);
        Ok(Self { scheduler, identity, journal, history, adopted, resumed: None, began: None, lock })
    }

    /// What the driver is given, and what is kept beside it.
    pub fn into_parts(self) -> (RunStart, FileJournal, History, Lock) {
        let Self { scheduler, identity, adopted, resumed, began, .. } = self;
        let given = RunStart { scheduler, identity, adopted, resumed, began };
        (given, self.journal, self.history, self.lock)
    }

    /// What the launcher of the run is set up with, except for guard and grace, which are the caller's. `executor` tells this
    /// executor from one before or after it.
    pub fn launch_setting(
        &self,
        surroundings: &Surroundings,
        launch_data: &dyn LaunchDataWrapper,
        executor: &str,
    ) -> Result<Setting, AssemblyError> {
        let plan = self.scheduler.plan();
        let own = (EXECUTOR_VARIABLE.into(), executor.into());
        let variables: Vec<_> = surroundings.for_programs().chain([own]).collect();
        // named explicitly: containers and pods inherit nothing of this process
        let log_level = surroundings.variable("LOG_LEVEL").and_then(OsStr::to_str);
        let log_level = log_level.filter(|level| !level.is_empty()).unwrap_or("INFO").to_owned();
        let log_level = [("LOG_LEVEL".to_owned(), log_level)];
        let secrets: Vec<Secret> =
            handlers_with_secrets(plan).flat_map(|entry| entry.secrets.clone()).collect();
        let home = self.identity.home.clone();
        Ok(Setting {
            secrets: Secrets::new(&secrets, &variables, home.clone()),
            surroundings: variables,
            variables: self.identity.variables(plan).into_iter().chain(log_level).collect(),
            folder: self.identity.start.clone(),
            home,
            run: Some(self.identity.mark.clone()),
            cluster: cluster(launch_data)?,
            ..Setting::default()
        })
    }
}
