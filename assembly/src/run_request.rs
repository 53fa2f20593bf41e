//! From texts to a plan: the one place where a plan is made, for live, replayed, resumed and shown runs.

use crate::descriptions::{DescriptionSource, Descriptions};
use crate::error::AssemblyError;
use crate::run_identity::launcher;
use crate::run_texts::RunTexts;
use crate::surroundings::Surroundings;
use crate::text_faults::{TextFaults, is_of_reading};
use pop_agenda::{Agenda, Plan};
use pop_document::{Pointer, secret_literals};
use pop_executor::{Inputs, ReplayOf};
use pop_field_retriever::LaunchType;
use pop_registry::Descriptor;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The hint for a secret that is written into an agenda.
const SECRET_HINT: &str = "an agenda is kept as it is: let the program read its environment, or give its type `secrets` in \
                           the registry";

/// A run that somebody asks for.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The texts.
    pub texts: RunTexts,
    /// Values for the agenda's params, over those that stand in it.
    pub params: Vec<(String, String)>,
    /// How operations are launched.
    pub launcher: LaunchType,
    /// Where descriptions of handlers come from.
    pub descriptions: DescriptionSource,
    /// The dead letter that the run replays. References in its payload were filled before.
    pub replay_of: Option<ReplayOf>,
}

/// A plan, and the descriptions that it was checked against.
#[derive(Debug)]
pub(crate) struct DescribedPlan {
    pub(crate) plan: Plan,
    pub(crate) descriptions: Descriptions,
}

impl RunRequest {
    /// A request without params that asks no program for its description.
    pub fn new(texts: RunTexts, launcher: LaunchType) -> Self {
        Self { texts, params: Vec::new(), launcher, descriptions: DescriptionSource::Cached, replay_of: None }
    }

    /// The request by which a run was started.
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

    /// Makes the plan. Nothing is looked for but descriptions of handlers.
    pub(crate) fn plan(&self, surroundings: &Surroundings, faults: &mut TextFaults) -> Option<DescribedPlan> {
        let mut catalog = self.texts.catalog(surroundings.path(), &mut faults.registry);
        faults.take_descriptors(&catalog);
        let agenda = self.agenda(faults)?;
        let types: HashSet<&str> =
            agenda.operations.iter().map(|operation| operation.handler_type.as_str()).collect();
        faults.spare_descriptors(&types);
        let excused = excused(&agenda, faults);
        let home = self.texts.home.as_deref();
        let descriptions =
            self.descriptions.learn(&mut catalog, &types, home, surroundings, &mut faults.registry);
        let plan = Plan::build(agenda, &catalog, self.launcher, &mut faults.agenda);
        let follows = ["unknown-type", "not-launchable"];
        faults.agenda.retain(|fault| !follows.contains(&fault.code) || !excused.contains(fault.pointer()));
        Some(DescribedPlan { plan: plan?, descriptions })
    }

    fn agenda(&self, faults: &mut TextFaults) -> Option<Agenda> {
        if faults.agenda.iter().any(is_of_reading) {
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
        let agenda = Agenda::parse(with_params(root, &self.params), &mut faults.agenda)?.spelled(spellings);
        Some(if self.replay_of.is_some() { agenda.filled() } else { agenda })
    }
}

/// The places of types that a handler with faults might serve. What is wrong there is the registry or a descriptor.
fn excused(agenda: &Agenda, faults: &TextFaults) -> HashSet<String> {
    let is_unread = faults.registry.iter().any(is_of_reading);
    let errors = faults.registry.iter().filter(|fault| fault.is_error());
    // an entry is one step below the root, and so is the fault's pointer or what is below it
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

/// Sets params over those of the agenda. A value that is JSON is taken as such.
fn with_params(mut root: Value, params: &[(String, String)]) -> Value {
    if params.is_empty() {
        return root;
    }
    if let Value::Object(agenda) = &mut root {
        let slot = agenda.entry("params").or_insert(Value::Null);
        if slot.is_null() {
            *slot = Value::Object(Map::new());
        }
        if let Value::Object(slot) = slot {
            for (key, text) in params {
                let value = serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()));
                slot.insert(key.clone(), value);
            }
        }
    }
    root
}
