//! A run with its folder, lock and journal, ready for the driver.

use crate::error::AssemblyError;
use crate::run_identity::{identity, program_setting};
use crate::secret_lookup::handlers_with_secrets;
use crate::surroundings::Surroundings;
use pop_agenda::{History, Plan, PriorOutcomes, RunOptions, RunTime, Scheduler};
use pop_contract::Millis;
use pop_executor::{FileJournal, Inputs, Lock, ReplayResult, RunFolder, RunIdentity, RunStart, Sync};
use pop_field_retriever::LaunchDataWrapper;
use pop_launchers::Setting;
use pop_registry::Secret;

/// A new or resumed run that is ready for the driver.
pub struct PreparedRun {
    /// The scheduler in the state after the last event of the journal.
    pub scheduler: Scheduler,
    /// Names and folders of the run.
    pub identity: RunIdentity,
    /// The journal, open for writing.
    pub journal: FileJournal,
    /// The history of the run so far.
    pub history: History,
    /// Outcomes of an earlier run of the agenda; empty in a resumed run.
    pub adopted: PriorOutcomes,
    /// Results of replayed dead letters of a resumed run.
    pub replayed: Vec<ReplayResult>,
    /// Options of a resumed run; none in a new one.
    pub resumed: Option<RunOptions>,
    /// Wall-clock start of the run, and the time of its last event; none in a new run.
    pub began: Option<(Millis, RunTime)>,
    /// Number of events in the journal.
    pub recorded: u64,
    /// The lock of the run; only its holder executes the run.
    pub lock: Lock,
}

impl PreparedRun {
    /// A new run in a folder that was just created.
    pub(crate) fn begin(
        folder: &RunFolder,
        lock: Lock,
        inputs: Inputs,
        plan: Plan,
        options: RunOptions,
        adopted: PriorOutcomes,
        sync: Sync,
    ) -> Result<Self, AssemblyError> {
        let identity = identity(folder, &inputs.settings)?;
        let journal = FileJournal::begin(folder, &inputs.digest()?, sync)?;
        // before the tables of a large plan take memory
        drop(inputs);
        let history = History::new(plan.len());
        let scheduler = Scheduler::new(plan, options);
        Ok(Self {
            scheduler,
            identity,
            journal,
            history,
            adopted,
            replayed: Vec::new(),
            resumed: None,
            began: None,
            recorded: 0,
            lock,
        })
    }

    /// Splits the run into the input of the driver and the parts that the caller owns during the run.
    pub fn into_parts(self) -> (RunStart, FileJournal, Lock) {
        let Self { scheduler, identity, adopted, replayed, resumed, began, .. } = self;
        let start = RunStart { scheduler, identity, adopted, replayed, resumed, began };
        (start, self.journal, self.lock)
    }

    /// The setting of the run's launcher; the caller adds guard and grace. `executor` identifies this executor among
    /// earlier and later ones.
    pub fn launch_setting(
        &self,
        surroundings: &Surroundings,
        launch_data: &dyn LaunchDataWrapper,
        executor: &str,
    ) -> Result<Setting, AssemblyError> {
        let plan = self.scheduler.plan();
        let secrets: Vec<Secret> =
            handlers_with_secrets(plan).flat_map(|entry| entry.secrets.clone()).collect();
        let home = self.identity.home.as_deref();
        Ok(Setting {
            variables: self.identity.variables(plan).into_iter().chain([surroundings.log_level()]).collect(),
            folder: self.identity.start.clone(),
            run: Some(self.identity.mark.clone()),
            ..program_setting(&secrets, home, executor, surroundings, launch_data)?
        })
    }
}
