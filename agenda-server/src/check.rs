//! Checks agendas before they are stored, as `pop check` does: all faults at once, with their places.

use pop_agenda::{Agenda, GivenInput, GivenValue, Plan};
use pop_contract::LaunchType;
use pop_document::{Fault, PlacedFault, Source};
use pop_registry::Catalog;
use pop_service::Object;
use serde_json::{Map, Value, json};

/// Faults that only the executor's registry can judge.
const OF_REGISTRY: [&str; 2] = ["unknown-type", "not-launchable"];

/// Checks agendas against the handlers of a registry.
#[derive(Debug, Clone)]
pub struct AgendaCheck {
    catalog: Catalog,
    on: LaunchType,
    has_registry: bool,
}

impl AgendaCheck {
    /// A check with the handlers of a registry. Without one, the service does not know which types exist, and says
    /// nothing about them.
    pub fn new(registry: Option<&Source>, on: LaunchType, faults: &mut Vec<Fault>) -> Self {
        let catalog = Catalog::assemble(registry, Vec::new(), faults);
        Self { catalog, on, has_registry: registry.is_some() }
    }

    /// The faults of an agenda, the places of which are in `text`.
    pub(crate) fn faults(&self, text: &str) -> Faults {
        // JSON begins with a brace, and everything else is YAML
        let source = match Source::new("agenda", text.as_bytes()) {
            Ok(source) => source,
            Err(fault) => return Faults::of(&Source::empty("agenda"), &[fault]),
        };
        let mut faults = Vec::new();
        match source.read() {
            Err(found) => faults = found,
            Ok(root) => {
                if let Some(mut agenda) = Agenda::parse(root, &mut faults) {
                    // values of inputs are known when the agenda runs
                    agenda.input_values = None;
                    Plan::build(agenda, &self.catalog, self.on, &mut faults);
                }
            }
        }
        faults.retain(|fault| self.has_registry || !OF_REGISTRY.contains(&fault.code));
        Faults::of(&source, &faults)
    }
}

/// Gives an agenda the values of its inputs. They become the defaults of the inputs, so that each executor knows them.
pub(crate) fn set_inputs(agenda: &mut Object, values: Map<String, Value>) -> Result<(), Faults> {
    let text = Value::Object(agenda.0.clone()).to_string();
    let source = Source::json("agenda", text);
    let mut others = Vec::new();
    let parsed = source.read().ok().and_then(|root| Agenda::parse(root, &mut others));
    // faults of the template itself are found when the agenda is checked as a whole
    let Some(parsed) = parsed else { return Ok(()) };
    let given: Vec<GivenInput> = values
        .iter()
        .map(|(name, value)| GivenInput {
            name: name.clone(),
            value: GivenValue::Value(value.clone()),
            origin: "the request".to_owned(),
        })
        .collect();
    let mut faults = Vec::new();
    if parsed.inputs.resolve(&given, true, &mut faults).is_none() {
        for fault in &mut faults {
            // the hints are about the command line
            fault.hint = None;
        }
        return Err(Faults::of(&source, &faults));
    }
    let Some(Value::Object(inputs)) = agenda.0.get_mut("inputs") else { return Ok(()) };
    for (name, value) in values.into_iter().filter(|(_, value)| !value.is_null()) {
        let spec = inputs.entry(name).or_insert(Value::Null);
        if !spec.is_object() {
            *spec = json!({});
        }
        spec["default"] = value;
        spec["required"] = false.into();
    }
    Ok(())
}

/// Faults as JSON, and in words.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Faults {
    /// `{line, column, pointer, code, severity, message, hint}` of each fault.
    pub(crate) list: Vec<Value>,
    /// One sentence for each error.
    pub(crate) errors: Vec<String>,
}

impl Faults {
    fn of(source: &Source, faults: &[Fault]) -> Self {
        let mut all = Self::default();
        for placed in PlacedFault::all(source, faults) {
            let (fault, place) = (placed.fault, placed.place.as_ref());
            all.list.push(json!({
                "line": place.map(|place| place.line),
                "column": place.map(|place| place.column),
                "pointer": fault.pointer(),
                "code": fault.code,
                "severity": fault.severity.word(),
                "message": fault.message,
                "hint": fault.hint.as_ref().or(fault.label.as_ref()),
            }));
            if fault.is_error() {
                let at = place.map(|place| format!("line {}, column {}: ", place.line, place.column));
                all.errors.push(format!("{}{}", at.unwrap_or_default(), fault.message));
            }
        }
        all
    }
}
