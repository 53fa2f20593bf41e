//! Turns texts into a plan. All plans are made here, for live, replayed, resumed and shown runs.

use crate::descriptions::{DescriptionSource, Descriptions};
use crate::error::AssemblyError;
use crate::run_identity::launcher;
use crate::run_texts::RunTexts;
use crate::surroundings::Surroundings;
use crate::text_faults::{TextFaults, is_of_whole_text};
use pop_agenda::{Agenda, Plan, check_policy_arguments, override_policies, take_argument_faults};
use pop_document::{Pointer, secret_literals};
use pop_executor::{Inputs, ReplayOf};
use pop_field_retriever::LaunchType;
use pop_registry::Descriptor;
use std::collections::HashSet;

/// The hint for a secret that is written into an agenda.
const SECRET_HINT: &str = "an agenda is stored unchanged: let the program read its environment, or set `secrets` of its type \
                           in the registry";

/// The texts and settings of a requested run.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The texts.
    pub texts: RunTexts,
    /// Policies that override the agenda's params.
    pub params: Vec<(String, String)>,
    /// The launcher of its programs.
    pub launcher: LaunchType,
    /// Where descriptions of handlers come from.
    pub descriptions: DescriptionSource,
    /// The dead letter that the run replays. References in its payload are filled already.
    pub replay_of: Option<ReplayOf>,
}

/// A plan, and the descriptions used to check it.
#[derive(Debug)]
pub(crate) struct DescribedPlan {
    pub(crate) plan: Plan,
    pub(crate) descriptions: Descriptions,
}

impl RunRequest {
    /// A request without params that queries no program for its description.
    pub fn new(texts: RunTexts, launcher: LaunchType) -> Self {
        Self { texts, params: Vec::new(), launcher, descriptions: DescriptionSource::Cached, replay_of: None }
    }

    /// The request with which a run was started.
    pub fn from_inputs(inputs: &Inputs) -> Result<Self, AssemblyError> {
        let settings = &inputs.settings;
        Ok(Self {
            texts: RunTexts::from_inputs(inputs).map_err(|_| AssemblyError::FrozenInputs)?,
            params: settings.params.clone(),
            launcher: launcher(settings)?,
            descriptions: DescriptionSource::Frozen(inputs.descriptions.clone()),
            replay_of: settings.replay_of.clone(),
        })
    }

    /// Builds the plan. Looks up descriptions of handlers, but no programs or secrets.
    pub(crate) fn plan(&self, surroundings: &Surroundings, faults: &mut TextFaults) -> Option<DescribedPlan> {
        check_policy_arguments(&self.params, &mut faults.arguments);
        let described = self.plan_texts(surroundings, faults);
        take_argument_faults(&self.params, &mut faults.agenda, &mut faults.arguments);
        described.filter(|_| !faults.arguments.iter().any(|argument| argument.fault.is_error()))
    }

    fn plan_texts(&self, surroundings: &Surroundings, faults: &mut TextFaults) -> Option<DescribedPlan> {
        let mut catalog = self.texts.catalog(surroundings.path(), &mut faults.registry);
        faults.take_descriptors(&catalog);
        let agenda = self.agenda(faults)?;
        let types: HashSet<&str> =
            agenda.operations.iter().map(|operation| operation.handler_type.as_str()).collect();
        faults.spare_descriptors(&types);
        let suspects = types_of_faulty_handlers(&agenda, faults);
        let home = self.texts.home.as_deref();
        let descriptions =
            self.descriptions.add_to_catalog(&mut catalog, &types, home, surroundings, &mut faults.registry);
        let plan = Plan::build(agenda, &catalog, self.launcher, &mut faults.agenda);
        // a fault of the handler explains these, so they would only repeat it
        let consequences = ["unknown-type", "not-launchable"];
        faults
            .agenda
            .retain(|fault| !consequences.contains(&fault.code) || !suspects.contains(fault.pointer()));
        Some(DescribedPlan { plan: plan?, descriptions })
    }

    fn agenda(&self, faults: &mut TextFaults) -> Option<Agenda> {
        if faults.agenda.iter().any(is_of_whole_text) {
            return None;
        }
        let root = match self.texts.agenda.read() {
            Ok(root) => root,
            Err(found) => {
                faults.agenda.extend(found);
                return None;
            }
        };
        secret_literals(self.texts.agenda.text(), &root, SECRET_HINT, &mut faults.agenda);
        let spellings = self.texts.agenda.spellings(&root);
        let agenda =
            Agenda::parse(override_policies(root, &self.params), &mut faults.agenda)?.spelled(spellings);
        Some(if self.replay_of.is_some() { agenda.filled() } else { agenda })
    }
}

/// Pointers to types in the agenda that a handler with faults might serve. The fault is in the registry or a descriptor.
fn types_of_faulty_handlers(agenda: &Agenda, faults: &TextFaults) -> HashSet<String> {
    let is_unread = faults.registry.iter().any(is_of_whole_text);
    let errors = faults.registry.iter().filter(|fault| fault.is_error());
    // the first step of a fault's pointer names the entry
    let top = |pointer: &str| pointer.split('/').nth(1).map(|step| format!("/{step}"));
    let mut faulty: HashSet<String> = errors.filter_map(|fault| top(fault.pointer())).collect();
    let declared = faults.descriptors.iter().flat_map(|(_, faults)| faults).filter(|fault| fault.is_error());
    faulty
        .extend(declared.filter_map(Descriptor::type_of).map(|name| Pointer::root().join(name).to_string()));
    let may_be_served =
        |handler_type: &str| is_unread || faulty.contains(Pointer::root().join(handler_type).as_str());
    let operations = agenda.operations.iter().filter(|operation| may_be_served(&operation.handler_type));
    operations.map(|operation| operation.pointer.join("type").to_string()).collect()
}
