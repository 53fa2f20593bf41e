//! Turns agenda, registry and descriptors into a plan. All plans are made here: for new, replayed, resumed and shown
//! runs.

use crate::agenda_files::{add_unread, parse_files};
use crate::descriptions::{DescriptionSource, Descriptions};
use crate::error::AssemblyError;
use crate::piped::{is_long, piped};
use crate::run_identity::launcher;
use crate::run_texts::RunTexts;
use crate::surroundings::Surroundings;
use crate::text_faults::{TextFaults, is_of_whole_text};
use pop_agenda::{
    Agenda, AgendaFiles, GivenInput, GivenValue, InputSpecs, OPERATIONS, PAYLOAD, Plan, ResourceTotals,
    check_policy_arguments, override_policies, take_argument_faults,
};
use pop_document::{Element, Format, Pointer, SecretSearch};
use pop_executor::{Inputs, ReplayOf, Settings};
use pop_field_retriever::LaunchType;
use pop_registry::Descriptor;
use serde_json::{Map, Value};
use std::collections::HashSet;

/// The hint for a secret that is written into an agenda.
const SECRET_HINT: &str = "an agenda is stored unchanged: let the program read its environment, or set `secrets` of its type \
                           in the registry";

/// Agenda, registry, descriptors and settings of a requested run.
#[derive(Debug, Clone)]
pub struct RunRequest {
    /// The texts.
    pub texts: RunTexts,
    /// Policies that override the agenda's params.
    pub params: Vec<(String, String)>,
    /// Values for the agenda's inputs, the most important last.
    pub inputs: Vec<GivenInput>,
    /// Whether each required input needs a value. Otherwise the plan can be shown, but not run.
    pub needs_inputs: bool,
    /// Totals of the resources that operations share; none if the plan is not checked against them.
    pub totals: Option<ResourceTotals>,
    /// The launcher of the run's programs.
    pub launcher: LaunchType,
    /// Source of the descriptions of handlers.
    pub descriptions: DescriptionSource,
    /// The dead letter that the run replays. References in the payload were replaced already.
    pub replay_of: Option<ReplayOf>,
}

/// A plan, and the descriptions used to check it.
#[derive(Debug)]
pub(crate) struct DescribedPlan {
    pub(crate) plan: Plan,
    pub(crate) descriptions: Descriptions,
}

impl RunRequest {
    /// A request without params that starts no program for its description.
    pub fn new(texts: RunTexts, launcher: LaunchType) -> Self {
        Self {
            texts,
            params: Vec::new(),
            inputs: Vec::new(),
            needs_inputs: true,
            totals: None,
            launcher,
            descriptions: DescriptionSource::Cached,
            replay_of: None,
        }
    }

    /// The request with which a run was started.
    pub fn from_inputs(inputs: &Inputs) -> Result<Self, AssemblyError> {
        let settings = &inputs.settings;
        Ok(Self {
            texts: RunTexts::from_inputs(inputs).map_err(|_| AssemblyError::FrozenInputs)?,
            params: settings.params.clone(),
            inputs: recorded_inputs(settings),
            needs_inputs: true,
            totals: None,
            launcher: launcher(settings)?,
            descriptions: DescriptionSource::Frozen(inputs.descriptions.clone()),
            replay_of: settings.replay_of.clone(),
        })
    }

    /// The values of the inputs, if none is missing or wrong.
    pub(crate) fn input_values(&self, surroundings: &Surroundings) -> Option<Map<String, Value>> {
        self.agenda(surroundings, &mut TextFaults::default())?.input_values
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
        let agenda = self.agenda(surroundings, faults)?;
        let types = agenda.handler_types();
        let types: HashSet<&str> = types.iter().map(String::as_str).collect();
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

    fn agenda(&self, surroundings: &Surroundings, faults: &mut TextFaults) -> Option<Agenda> {
        if faults.agenda.iter().any(is_of_whole_text) {
            return None;
        }
        let texts = &self.texts;
        let secrets = SecretSearch::of(texts.agenda.text(), SECRET_HINT);
        let mut files = AgendaFiles::of(texts.agenda.name());
        let mut operations = Agenda::operation_list(texts.agenda.text().len());
        let mut warnings = Vec::new();
        let add = |operation: Element| {
            secrets.look(&operation.value, || operations.next().pointer(), &mut warnings);
            if let Some(payload) = &operation.member {
                secrets.look(payload, || operations.next().join(PAYLOAD), &mut warnings);
            }
            if let Some(operation) = operations.push(operation) {
                let named = files.named_by(operation);
                add_unread(&mut files, &named, &texts.files);
            }
        };
        let read = |each: &mut dyn FnMut(Element)| texts.agenda.read_elements(OPERATIONS, PAYLOAD, each);
        // deep YAML needs the larger stack of the main thread, and its elements come only at the end
        let is_piped = texts.agenda.format() == Format::Json && is_long(texts.agenda.text().len() as u64);
        let (read, ()) = piped(is_piped, read, |operations| operations.for_each(add));
        let (root, spellings) = match read {
            Ok(read) => read,
            Err(found) => {
                faults.agenda.extend(found);
                return None;
            }
        };
        faults.agenda.extend(warnings);
        secrets.look(&root, Pointer::root, &mut faults.agenda);
        parse_files(&mut files, &texts.files, &mut faults.agenda);
        let root = override_policies(root, &self.params);
        let mut agenda = Agenda::with_operations(&root, operations, &mut faults.agenda)?.spelled(spellings);
        agenda = agenda.with_files(files);
        let given: Vec<GivenInput> =
            variable_inputs(&agenda.inputs, surroundings).chain(self.inputs.iter().cloned()).collect();
        agenda.totals.clone_from(&self.totals);
        agenda.input_values = agenda.inputs.resolve(&given, self.needs_inputs, &mut faults.inputs);
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

/// The inputs with which a run was started.
pub(crate) fn recorded_inputs(settings: &Settings) -> Vec<GivenInput> {
    let given = settings.inputs.iter().map(|(name, value)| GivenInput {
        name: name.clone(),
        value: GivenValue::Value(value.clone()),
        origin: "the run".to_owned(),
    });
    given.collect()
}

/// Inputs from variables: `POP_INPUT_` and the name in capital letters, with `_` for `-`.
fn variable_inputs(inputs: &InputSpecs, surroundings: &Surroundings) -> impl Iterator<Item = GivenInput> {
    inputs.iter().filter_map(|spec| {
        let variable = format!("POP_INPUT_{}", spec.name.to_ascii_uppercase().replace('-', "_"));
        let text = surroundings.variable(&variable)?.to_str()?.to_owned();
        let (name, value) = (spec.name.clone(), GivenValue::Text(text));
        Some(GivenInput { name, value, origin: format!("variable `{variable}`") })
    })
}
