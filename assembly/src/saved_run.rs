//! Opens the run in a folder: read-only as a [`SavedRun`], or to be resumed as a [`ResumableRun`].

use crate::error::AssemblyError;
use crate::piped::{is_long, piped};
use crate::prepared_run::PreparedRun;
use crate::run_identity::{identity, launcher, mark, trace};
use crate::run_request::RunRequest;
use crate::surroundings::Surroundings;
use crate::text_faults::TextFaults;
use pop_agenda::{
    EventRecord, History, OpIx, Outcome, Plan, PriorOutcomes, ResourceWait, Resources, RunOptions,
    RunOutcome, RunTime, Scheduler, resource_waits,
};
use pop_contract::Millis;
use pop_executor::{
    FileJournal, FolderError, Inputs, JournalContent, JournalError, Lock, ReplayResult, RestoredRun,
    RunFolder, Sync, read_events, read_journal,
};
use pop_field_retriever::LaunchType;
use pop_launchers::process::sweep_run;
use pop_telemetry::RunTrace;
use std::sync::Arc;

/// A run read from its folder.
pub struct SavedRun {
    /// The folder.
    pub folder: RunFolder,
    /// The frozen inputs.
    pub inputs: Inputs,
    /// The plan, including operations that were added during the run.
    pub plan: Arc<Plan>,
    /// The scheduler in the state after the last event.
    pub scheduler: Scheduler,
    /// The history of the run.
    pub history: History,
    /// Number of events that were read.
    pub recorded: u64,
}

impl SavedRun {
    /// Reads a run. Changes no file and takes no lock.
    pub fn read(folder: RunFolder, surroundings: &Surroundings) -> Result<Self, AssemblyError> {
        let inputs = folder.inputs()?;
        let (content, folded) = fold_journal(&folder, &inputs, surroundings);
        let FoldedRun { restored, history, recorded } = folded?;
        content?;
        let scheduler = restored.scheduler;
        Ok(Self { folder, inputs, plan: Arc::clone(scheduler.plan()), scheduler, history, recorded })
    }

    /// Takes the next event, which the executor has recorded since the run was read.
    pub fn add(&mut self, recorded: &EventRecord) {
        self.scheduler.evolve(recorded);
        self.history.add(recorded);
        self.plan = Arc::clone(self.scheduler.plan());
        self.recorded += 1;
    }

    /// The waits of an operation for resources, oldest first.
    pub fn resource_waits(
        &self,
        op: OpIx,
        surroundings: &Surroundings,
    ) -> Result<Vec<ResourceWait>, AssemblyError> {
        if self.plan.operation(op).needs().is_none() {
            return Ok(Vec::new());
        }
        let plan = frozen_plan(&self.inputs, surroundings)?;
        let events = read_journal(&self.folder.journal())?.events;
        Ok(resource_waits(Arc::new(plan), &events, op))
    }

    /// The trace of the run.
    pub fn trace(&self) -> RunTrace {
        trace(&self.folder, &self.inputs.settings)
    }

    /// Whether programs of the run may still run although its executor died.
    pub fn may_have_left_programs(&self) -> bool {
        let launcher = launcher(&self.inputs.settings);
        self.history.ended.is_none() && launcher.is_ok_and(|on| on.capabilities().outlives_executor)
    }
}

/// What the events of a journal make of a run.
struct FoldedRun {
    restored: RestoredRun,
    history: History,
    /// Number of events.
    recorded: u64,
}

/// Reads the journal of a run. A long one is decoded while the agenda is planned.
fn fold_journal(
    folder: &RunFolder,
    inputs: &Inputs,
    surroundings: &Surroundings,
) -> (Result<JournalContent, JournalError>, Result<FoldedRun, AssemblyError>) {
    let journal = folder.journal();
    let length = journal.metadata().map_or(0, |journal| journal.len());
    piped(
        is_long(length),
        |each| read_events(&journal, each),
        |events| {
            let plan = frozen_plan(inputs, surroundings)?;
            let history = History::new(plan.len());
            let restored = RestoredRun::new(Arc::new(plan));
            let mut folded = FoldedRun { restored, history, recorded: 0 };
            for event in events {
                folded.restored.add(&event, &journal)?;
                folded.history.add(&event);
                folded.recorded += 1;
            }
            Ok(folded)
        },
    )
}

/// The plan of the frozen inputs of a run.
pub(crate) fn frozen_plan(inputs: &Inputs, surroundings: &Surroundings) -> Result<Plan, AssemblyError> {
    let request = RunRequest::from_inputs(inputs)?;
    let described = request.plan(surroundings, &mut TextFaults::default());
    described.map(|described| described.plan).ok_or(AssemblyError::FrozenInputs)
}

/// Checks that a request matches the one with which a run was started. Does not compare registry and descriptors,
/// because a resumed run uses its frozen ones.
pub fn check_same_request(
    folder: &RunFolder,
    request: &RunRequest,
    surroundings: &Surroundings,
) -> Result<(), AssemblyError> {
    let frozen = folder.inputs()?;
    let files = request.texts.files.iter().map(|(name, file)| (name.as_str(), file.text()));
    let frozen_files = frozen.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
    let difference = if frozen.agenda != request.texts.agenda.text().as_bytes() || !files.eq(frozen_files) {
        "another agenda"
    } else if frozen.settings.params != request.params {
        "other `--policy` values"
    } else if request.input_values(surroundings).is_none_or(|inputs| inputs != frozen.settings.inputs) {
        "other `--input` values"
    } else if frozen.settings.on != request.launcher.as_str() {
        "another launcher"
    } else {
        return Ok(());
    };
    Err(AssemblyError::OtherInputs { run: folder.run().to_owned(), difference })
}

/// A locked run that has not been resumed yet.
pub struct ResumableRun {
    folder: RunFolder,
    inputs: Inputs,
    digest: String,
    content: JournalContent,
    folded: FoldedRun,
    lock: Lock,
}

/// Settings for resuming a run.
#[derive(Debug, Clone)]
pub struct ResumeOptions {
    /// Options of the run from now on.
    pub options: RunOptions,
    /// Maximum number of operations that run at once; `None` uses the value of the earlier executor.
    pub parallel: Option<u32>,
    /// Totals of resources that replace those of the earlier executor.
    pub resources: Resources,
    /// Whether the time limit counts from now. Otherwise it counts from the start of the run.
    pub is_limit_from_now: bool,
    /// Current wall-clock time, epoch milliseconds.
    pub now: Millis,
    /// Time at which the journal is synced to disk: in the background, or before the run acts on an event.
    pub sync: Sync,
    /// Results of replayed dead letters ([`ReplayedLetters`](crate::ReplayedLetters)), which a run that had ended takes.
    pub replayed: Vec<ReplayResult>,
}

impl ResumableRun {
    /// Takes the lock of a run and restores its state. Ends processes that an earlier executor left behind, because they
    /// would disturb the next attempts of their operations.
    pub fn open(folder: RunFolder, surroundings: &Surroundings) -> Result<Self, AssemblyError> {
        let lock = folder.lock()?;
        let inputs = folder.inputs()?;
        let (content, folded) = fold_journal(&folder, &inputs, surroundings);
        let content = content?;
        let digest = inputs.digest()?;
        if content.inputs.as_ref().is_some_and(|begun| *begun != digest) {
            return Err(FolderError::InputsChanged { run: folder.run().to_owned() }.into());
        }
        let records = folder
            .parent_digest()
            .map_err(|source| FolderError::Io { path: folder.path().to_owned(), source })?;
        if records != inputs.settings.rerun_of.as_ref().map(|rerun| rerun.records.clone()) {
            return Err(FolderError::InputsChanged { run: folder.run().to_owned() }.into());
        }
        let folded = folded?;
        if !launcher(&inputs.settings)?.capabilities().outlives_executor {
            // containers and pods survive their executor: the resumed run follows them
            let living = sweep_run(mark(&folder, &inputs.settings));
            if let Some(executor) = living.first() {
                let owner = format!("process {executor} (from another copy of its folder)");
                return Err(FolderError::Held { run: folder.run().to_owned(), owner }.into());
            }
        }
        Ok(Self { folder, inputs, digest, content, folded, lock })
    }

    /// The run's id.
    pub fn run(&self) -> &str {
        self.folder.run()
    }

    /// The launcher with which the run was started.
    pub fn launcher(&self) -> Result<LaunchType, AssemblyError> {
        launcher(&self.inputs.settings)
    }

    /// The outcome of the run; none if it has not ended.
    pub fn outcome(&self) -> Option<RunOutcome> {
        self.folded.restored.scheduler.outcome()
    }

    /// The frozen inputs of the run.
    pub fn inputs(&self) -> &Inputs {
        &self.inputs
    }

    /// The folder of the run.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The scheduler in the state after the last event.
    pub fn scheduler(&self) -> &Scheduler {
        &self.folded.restored.scheduler
    }

    /// Length in bytes of the torn tail of the journal, which is ignored.
    pub fn torn_bytes(&self) -> u64 {
        self.content.torn
    }

    /// Whether the journal has no events, so that the run begins like a new one.
    pub fn is_new(&self) -> bool {
        self.folded.restored.began.is_none()
    }

    /// The plan.
    pub fn plan(&self) -> &Arc<Plan> {
        self.folded.restored.scheduler.plan()
    }

    /// Opens the journal for writing. Fails if an operation that has not settled needs more resources than the run will
    /// have. Only a run without events adopts outcomes of an earlier run.
    pub fn resume(self, resume: ResumeOptions, adopted: PriorOutcomes) -> Result<PreparedRun, AssemblyError> {
        let Self { folder, inputs, digest, content, folded, lock } = self;
        let FoldedRun { restored, history, recorded } = folded;
        let identity = identity(&folder, &inputs.settings)?;
        let (options, replayed) = (resume.options, resume.replayed);
        let began = restored.began;
        let scheduler = match began {
            Some(_) => restored.scheduler,
            None => Scheduler::new(Arc::clone(restored.scheduler.plan()), options.clone()),
        };
        let resumed = began.map(|(started, last)| {
            let before = scheduler.options();
            let from = RunTime(resume.now.saturating_sub(started)).max(last);
            RunOptions {
                parallel: resume.parallel.unwrap_or(before.parallel),
                keep_going: options.keep_going || before.keep_going,
                resources: resume.resources.clone().or(&before.resources),
                time_limit_ms: match options.time_limit_ms {
                    Some(limit) if resume.is_limit_from_now => Some(from.plus(limit).0),
                    limit => limit,
                },
                ..options
            }
        });
        if let Some(options) = &resumed {
            check_needs(&scheduler, &options.resources)?;
        }
        let parent = inputs.settings.rerun_of.as_ref().map(|rerun| Box::new(rerun.parent.clone()));
        let adopted =
            if began.is_none() { PriorOutcomes { parent, ..adopted } } else { PriorOutcomes::default() };
        let journal = FileJournal::reopen(&folder.journal(), &content, &digest, resume.sync)?;
        Ok(PreparedRun {
            scheduler,
            identity,
            journal,
            history,
            adopted,
            replayed,
            resumed,
            began,
            recorded,
            lock,
        })
    }
}

/// Checks that every operation that may still start can have what it needs.
fn check_needs(scheduler: &Scheduler, totals: &Resources) -> Result<(), AssemblyError> {
    for (op, planned) in scheduler.plan().operations() {
        let may_start = !scheduler.state(op).outcome().is_some_and(Outcome::has_result);
        let Some(needs) = planned.needs().filter(|_| may_start) else { continue };
        if let Some((name, needed, total)) = needs.known.beyond(totals) {
            let operation = planned.name.to_string();
            let [needed, total] = [needed, total].map(|amount| Resources::amount_text(name, amount));
            return Err(AssemblyError::Resources { operation, resource: name.to_owned(), needed, total });
        }
    }
    Ok(())
}
