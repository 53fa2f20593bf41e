//! A checked plan with its request, ready to become a run.

use crate::descriptions::Descriptions;
use crate::descriptor_folder::DescriptorFolder;
use crate::error::AssemblyError;
use crate::prepared_run::PreparedRun;
use crate::program_lookup::find_programs;
use crate::run_id::{new_id, new_mark};
use crate::run_request::{DescribedPlan, RunRequest};
use crate::secret_lookup::find_secrets;
use crate::source_files::find_source_files;
use crate::surroundings::Surroundings;
use crate::text_faults::TextFaults;
use pop_agenda::{ParentRun, Plan, PriorOutcomes, RunOptions};
use pop_document::{Fault, Source};
use pop_executor::{FolderError, Inputs, Lock, RerunOf, RunFolder, Settings, Sync, TraceSettings};
use pop_field_retriever::LaunchDataWrapper;
use std::io::ErrorKind;
use std::path::Path;

/// Maximum number of ids to try if several runs begin at the same instant.
const MOST_IDS: usize = 100;

/// A plan without faults, its request and the descriptions of its handlers.
#[derive(Debug)]
pub struct Assembly {
    /// The plan.
    pub plan: Plan,
    request: RunRequest,
    descriptions: Descriptions,
}

/// Settings of a new run.
#[derive(Debug)]
pub struct RunStart<'s> {
    /// The folder of all runs.
    pub runs: &'s Path,
    /// Id that the user set. Without it the run gets an id from the clock.
    pub id: Option<&'s str>,
    /// The correlation id.
    pub cid: String,
    /// Parallelism, time limit and grace. If the request has totals of resources, the run has these.
    pub options: RunOptions,
    /// Time at which the journal is synced to disk: in the background, or before the run acts on an event.
    pub sync: Sync,
    /// Outcomes of an earlier run of the agenda.
    pub adopted: PriorOutcomes,
    /// The parent of a rerun.
    pub parent: Option<ParentSnapshot>,
    /// The trace context of the caller, and whether spans are sent.
    pub trace: Option<TraceSettings>,
}

/// The parent of a rerun and the records of its operations.
#[derive(Debug)]
pub struct ParentSnapshot {
    /// The parent.
    pub parent: ParentRun,
    /// The records, as they are frozen.
    pub records: Vec<u8>,
}

impl<'s> RunStart<'s> {
    /// Settings with an id from the clock and default options.
    pub fn new(runs: &'s Path, cid: String) -> Self {
        Self {
            runs,
            id: None,
            cid,
            options: RunOptions::default(),
            sync: Sync::default(),
            adopted: PriorOutcomes::default(),
            parent: None,
            trace: None,
        }
    }
}

impl RunRequest {
    /// Builds the plan and looks up the programs and secrets that it needs. `None` if there is an error.
    pub fn assemble(self, surroundings: &Surroundings, faults: &mut TextFaults) -> Option<Assembly> {
        let described = self.plan(surroundings, faults)?;
        if self.launcher.capabilities().uses_host_programs {
            find_programs(&described.plan, &self.texts, surroundings, faults);
        }
        find_source_files(&described.plan, &self.texts.folder, faults);
        find_secrets(&described.plan, &self, surroundings, faults);
        let is_sound = !faults.of_handlers().chain(&faults.inputs).any(Fault::is_error);
        let DescribedPlan { plan, descriptions } = described;
        is_sound.then_some(Assembly { plan, request: self, descriptions })
    }
}

impl Assembly {
    /// The request from which this was assembled.
    pub fn request(&self) -> &RunRequest {
        &self.request
    }

    /// Types of handlers that only their program could describe, and that program was not started. Payloads and
    /// references of these operations were not checked.
    pub fn undescribed_types(&self) -> &[String] {
        &self.descriptions.undescribed_types
    }

    /// The correlation id: the agenda's, else that of the launch data, else a new one.
    pub fn correlation_id(&self, launch_data: &dyn LaunchDataWrapper) -> String {
        let own = self.plan.identity.cid.clone();
        let cid = own.or_else(|| launch_data.cid().map(|found| found.value));
        cid.unwrap_or_else(|| uuid::Uuid::new_v4().to_string())
    }

    /// The frozen inputs of a run of this plan.
    pub fn freeze(&self, cid: String, mark: Option<String>) -> Inputs {
        self.freeze_with(self.request.texts.agenda.text().to_owned(), cid, mark)
    }

    /// The frozen inputs with this text of the agenda.
    fn freeze_with(&self, agenda: String, cid: String, mark: Option<String>) -> Inputs {
        let texts = &self.request.texts;
        let frozen = texts.descriptors.as_ref().and_then(DescriptorFolder::freeze);
        let (conf_d, descriptors) = frozen.unzip();
        Inputs {
            settings: Settings {
                agenda: texts.agenda.name().to_owned(),
                registry: texts.registry.as_ref().map(|registry| registry.name().to_owned()),
                on: self.request.launcher.to_string(),
                folder: texts.folder.clone(),
                home: texts.home.clone(),
                inputs: self.plan.inputs().as_object().cloned().unwrap_or_default(),
                params: self.request.params.clone(),
                cid,
                mark,
                replay_of: self.request.replay_of.clone(),
                rerun_of: None,
                conf_d,
                trace: None,
            },
            agenda: agenda.into_bytes(),
            files: texts.files.iter().map(|(name, file)| (name.clone(), file.text().to_owned())).collect(),
            registry: texts.registry.as_ref().map(|registry| registry.text().as_bytes().to_vec()),
            descriptors: descriptors.unwrap_or_default(),
            descriptions: self.descriptions.found.clone(),
            parent: None,
        }
    }

    /// Creates the folder of a new run, freezes the inputs in it and begins its journal.
    pub fn begin(mut self, start: RunStart<'_>) -> Result<PreparedRun, AssemblyError> {
        let RunStart { runs, id, cid, options, sync, mut adopted, parent, trace } = start;
        // other runs record no totals
        let totals = self.request.totals.as_ref().filter(|_| self.plan.may_need_resources());
        let resources = totals.map(|totals| totals.amounts.clone());
        let options =
            RunOptions { resources: resources.unwrap_or_else(|| options.resources.clone()), ..options };
        // a large text is moved, not copied
        let name = self.request.texts.agenda.name().to_owned();
        let agenda = std::mem::replace(&mut self.request.texts.agenda, Source::empty(&name));
        let mut inputs = self.freeze_with(agenda.into_text(), cid, id.map(new_mark));
        inputs.settings.trace = trace;
        if let Some(ParentSnapshot { parent, records }) = parent {
            let digest = blake3::hash(&records).to_hex().to_string();
            inputs.settings.rerun_of = Some(RerunOf { parent: parent.clone(), records: digest });
            inputs.parent = Some(records);
            adopted.parent = Some(Box::new(parent));
        }
        let (folder, lock) = match id {
            Some(id) => RunFolder::create_or_replace(runs, id, &inputs)?,
            None => new_folder(runs, &inputs)?,
        };
        PreparedRun::begin(&folder, lock, inputs, self.plan, options, adopted, sync)
    }
}

/// Creates the folder of a new run. Runs that begin at the same instant get different ids.
fn new_folder(runs: &Path, inputs: &Inputs) -> Result<(RunFolder, Lock), FolderError> {
    let mut tries = 0;
    loop {
        match RunFolder::create(runs, &new_id(), inputs) {
            Err(FolderError::Io { source, .. })
                if source.kind() == ErrorKind::AlreadyExists && tries < MOST_IDS =>
            {
                tries += 1;
            }
            other => return other,
        }
    }
}
