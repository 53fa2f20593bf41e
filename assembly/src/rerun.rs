//! Reruns: new runs that reuse the unchanged results of an earlier run, their parent.

use crate::assembly::ParentSnapshot;
use crate::descriptor_folder::DescriptorFolder;
use crate::error::AssemblyError;
use crate::run_identity::launcher;
use crate::run_request::{RunRequest, recorded_inputs};
use crate::run_texts::{RunTexts, frozen_registry};
use crate::saved_run::SavedRun;
use crate::surroundings::Surroundings;
use crate::text_faults::TextFaults;
use crate::text_files::{AgendaOrigin, TextFiles};
use pop_agenda::{
    GivenInput, OpIx, ParentRecord, ParentRun, Plan, PlannedOperation, Resources, failed_operations,
    skipped_by_condition,
};
use pop_document::nearest;
use pop_executor::{RunFolder, parent_bytes};
use pop_field_retriever::LaunchType;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// The parent of a rerun.
pub struct Rerun {
    parent: SavedRun,
}

/// The agenda of a rerun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RerunAgenda {
    /// The file that the user named.
    Named,
    /// The file from which the parent was started. The flag tells whether its text has changed since.
    File {
        /// Whether the text differs from the frozen agenda of the parent.
        is_changed: bool,
    },
    /// The frozen agenda of the parent, because it was no file, or the file does not exist any more.
    Frozen,
}

/// Settings of a rerun that replace those of the parent.
#[derive(Debug, Default)]
pub struct RerunChanges<'c> {
    /// Another agenda file.
    pub agenda: Option<&'c Path>,
    /// Policies; each replaces the parent's policy of that key.
    pub params: Vec<(String, String)>,
    /// Values of inputs, the most important last.
    pub inputs: Vec<GivenInput>,
    /// Another launcher.
    pub launcher: Option<LaunchType>,
}

/// Operations that run even if nothing changed.
#[derive(Debug, Default)]
pub struct RerunSelection<'s> {
    /// Names of single operations.
    pub operations: &'s [String],
    /// Names of operations that run with all that depends on them.
    pub from: &'s [String],
    /// Whether all operations that failed run with all that depends on them.
    pub failed: bool,
}

impl Rerun {
    /// Reads the parent. A run that still runs cannot be a parent.
    pub fn of(folder: RunFolder, surroundings: &Surroundings) -> Result<Self, AssemblyError> {
        let parent = SavedRun::read(folder, surroundings)?;
        let run = || parent.folder.run().to_owned();
        if let Some(letter) = &parent.inputs.settings.replay_of {
            return Err(AssemblyError::RerunOfReplay {
                run: run(),
                letter: format!("{} {}", letter.run, letter.operation),
            });
        }
        if parent.history.ended.is_none()
            && (parent.folder.is_held()
                || parent.folder.remote_executor().is_some()
                || parent.may_have_left_programs())
        {
            return Err(AssemblyError::ParentRuns { run: run() });
        }
        let folder = &parent.inputs.settings.folder;
        if !folder.is_dir() {
            return Err(AssemblyError::NoStartFolder { run: run(), folder: folder.clone() });
        }
        Ok(Self { parent })
    }

    /// The name of the parent.
    pub fn run(&self) -> &str {
        self.parent.folder.run()
    }

    /// The launcher of the parent.
    pub fn launcher(&self) -> Result<LaunchType, AssemblyError> {
        launcher(&self.parent.inputs.settings)
    }

    /// The totals of resources of the parent; empty if its operations needed none.
    pub fn resources(&self) -> &Resources {
        &self.parent.scheduler.options().resources
    }

    /// The request of the new run: the agenda on disk, and settings and inputs of the parent with these changes. Files
    /// that `files` does not name are read where the parent found them.
    pub fn request(
        &self,
        changes: RerunChanges<'_>,
        files: &TextFiles<'_>,
        faults: &mut TextFaults,
    ) -> Result<(RunRequest, RerunAgenda), AssemblyError> {
        let inputs = &self.parent.inputs;
        let settings = &inputs.settings;
        let is_here = files.surroundings.folder == settings.folder;
        let shown = |path: &Path| if is_here { path.to_owned() } else { settings.folder.join(path) };
        // names of other folders are absolute, because the new run has the folder of its parent
        let named = changes
            .agenda
            .map(|path| if is_here { path.to_owned() } else { files.surroundings.folder.join(path) });
        let on_disk = Some(shown(Path::new(&settings.agenda))).filter(|path| path.is_file());
        let registry = settings.registry.as_deref().map(|name| shown(Path::new(name)));
        let registry = registry.filter(|path| named.is_none() && path.is_file());
        let conf_d = settings.conf_d.as_ref().filter(|_| named.is_none());
        let conf_d_folder = conf_d.map(|conf_d| shown(&conf_d.folder)).filter(|folder| folder.is_dir());
        let mut files = *files;
        files.registry = files.registry.or(registry.as_deref());
        if let (None, Some(folder), Some(conf_d)) = (files.conf_d, &conf_d_folder, conf_d) {
            files.conf_d = Some(folder);
            files.handlers = if files.handlers.is_empty() { &conf_d.handlers } else { files.handlers };
        }
        let (origin, mut agenda) = match (&named, &on_disk) {
            (Some(path), _) => (AgendaOrigin::File(path), RerunAgenda::Named),
            (None, Some(path)) => (AgendaOrigin::File(path), RerunAgenda::File { is_changed: false }),
            (None, None) => {
                (AgendaOrigin::Bytes(&settings.agenda, Ok(inputs.agenda.clone())), RerunAgenda::Frozen)
            }
        };
        let texts = files.read(origin, faults)?;
        let mut texts = RunTexts { folder: settings.folder.clone(), ..texts };
        if named.is_none() && texts.registry.is_none() {
            texts.registry = frozen_registry(inputs).map_err(|_| AssemblyError::FrozenRegistry)?;
            texts.home = texts.registry.is_some().then(|| settings.home.clone()).flatten();
        }
        if named.is_none() && texts.descriptors.is_none() {
            texts.descriptors = DescriptorFolder::from_inputs(inputs);
        }
        if let RerunAgenda::File { is_changed } = &mut agenda {
            *is_changed = texts.agenda.text().as_bytes() != inputs.agenda;
        }
        let mut params = settings.params.clone();
        params.retain(|(key, _)| !changes.params.iter().any(|(changed, _)| changed == key));
        params.extend(changes.params);
        let declared = texts.agenda.read().ok().and_then(|mut root| root.get_mut("inputs").map(Value::take));
        let is_declared =
            |given: &GivenInput| declared.as_ref().is_some_and(|all| all.get(&given.name).is_some());
        let recorded = recorded_inputs(settings).into_iter().filter(is_declared);
        let request = RunRequest {
            params,
            inputs: recorded.chain(changes.inputs).collect(),
            ..RunRequest::new(texts, changes.launcher.map_or_else(|| self.launcher(), Ok)?)
        };
        Ok((request, agenda))
    }

    /// What the new run records of its parent.
    pub fn results(
        &self,
        plan: &Plan,
        selection: &RerunSelection<'_>,
    ) -> Result<ParentSnapshot, AssemblyError> {
        let SavedRun { scheduler, history, plan: parent_plan, .. } = &self.parent;
        let mut forced: BTreeSet<Box<str>> = BTreeSet::new();
        for name in selection.operations {
            self.check_name(plan, name)?;
            forced.insert(name.as_str().into());
        }
        let mut from: Vec<&str> = Vec::new();
        for name in selection.from {
            self.check_name(plan, name)?;
            from.push(name);
        }
        if selection.failed {
            let failed = failed_operations(parent_plan, history);
            if failed.is_empty() {
                return Err(AssemblyError::NothingFailed { run: self.run().to_owned() });
            }
            let name = |op: &OpIx| parent_plan.operation(*op).name.as_str();
            // a failed item stands for its whole operation, whose other items are reused
            let is_whole_of_failed =
                |op: &OpIx| failed.iter().any(|part| parent_plan.operation(*part).part_of() == Some(*op));
            from.extend(failed.iter().filter(|op| !is_whole_of_failed(op)).map(name));
        }
        let mut with_dependants = BTreeSet::new();
        for name in from {
            // the dependants of a part are those of the whole operation
            let whole = name.split_once('#').map_or(name, |(whole, _)| whole);
            if whole == name {
                with_dependants.insert(Box::from(name));
            } else {
                forced.insert(name.into());
            }
            if let Some(op) = plan.find(whole) {
                add_dependants(plan, op, &mut with_dependants);
            }
        }
        let parent = ParentRun {
            run: self.run().into(),
            forced,
            forced_with_dependants: with_dependants,
            skipped: skipped_by_condition(parent_plan, history),
        };
        let records = ParentRecord::all(scheduler, history);
        let records = parent_bytes(&records)
            .map_err(|error| AssemblyError::ParentRecords { why: error.to_string() })?;
        Ok(ParentSnapshot { parent, records })
    }

    /// Rejects the name of an operation that neither the agenda nor a part or generated operation of the parent has.
    fn check_name(&self, plan: &Plan, name: &str) -> Result<(), AssemblyError> {
        let was_added = |op: OpIx| self.parent.plan.operation(op).origin.is_some();
        if plan.find(name).is_some() || self.parent.plan.find(name).is_some_and(was_added) {
            return Ok(());
        }
        let name_of = |(_, planned): (OpIx, &'_ PlannedOperation)| planned.name.to_string();
        let names: Vec<String> =
            plan.operations().chain(self.parent.plan.operations()).map(name_of).collect();
        let near = nearest(name, names.iter().map(String::as_str)).map(str::to_owned);
        Err(AssemblyError::UnknownOperation { name: name.to_owned(), near })
    }
}

/// Adds the names of all operations that depend on `op`.
fn add_dependants(plan: &Plan, op: OpIx, names: &mut BTreeSet<Box<str>>) {
    let mut open = vec![op];
    while let Some(op) = open.pop() {
        for dependant in plan.graph().dependants(op) {
            if names.insert(plan.operation(dependant.op).name.as_str().into()) {
                open.push(dependant.op);
            }
        }
    }
}

impl RerunAgenda {
    /// The agenda in words, for the screen. `name` is its file or name.
    pub fn words(&self, name: &str, parent: &str) -> String {
        match self {
            Self::Named => format!("agenda `{name}`"),
            Self::File { is_changed: true } => format!("agenda `{name}`, changed since run {parent} started"),
            Self::File { is_changed: false } => format!("agenda `{name}`, unchanged"),
            Self::Frozen => format!("frozen agenda of run {parent}: `{name}` is not a file"),
        }
    }
}
