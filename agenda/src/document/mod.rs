//! The agenda as its file has it: operations with unresolved names and references.

mod agenda_files;
mod depends_on;
mod growth;
mod inputs;
pub(crate) mod matrix;
mod operation;
mod operation_list;
mod shared_values;

pub(crate) use agenda_files::name_of;
pub use agenda_files::{AgendaFile, AgendaFiles};
pub use depends_on::{DependsOn, DependsOnGroup};
pub use growth::{ForEach, Generator, ItemFailures};
pub use inputs::{GivenInput, GivenValue, InputSpec, InputSpecs, InputType};
pub use operation::{Finally, Operation, RareParams};
pub use operation_list::OperationList;

use crate::resource_totals::ResourceTotals;
use pop_document::{Fault, Fields, Pointer, Spelling};
use pop_policy::{AGENDA_FIELDS, Level, PolicyLayer};
use serde_json::{Map, Value};
use std::collections::HashSet;

/// Fields that POP writes and that have no effect.
const IGNORED_FIELDS: [&str; 6] =
    ["addedTime", "updatedTime", "allowedCustomerIds", "isGlobal", "agendaInsight", "jobId"];

/// Ids and title of an agenda, for other services that store or show it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Id of the agenda; none: the executor uses the run's id.
    pub id: Option<String>,
    /// Correlation id.
    pub cid: Option<String>,
    /// Id of the customer.
    pub customer_id: Option<String>,
    /// Title of the agenda.
    pub title: Option<String>,
    /// Id shared by agendas that belong together.
    pub link_id: Option<String>,
    /// Id under which progress is reported.
    pub progress_id: Option<String>,
}

/// An agenda as its file has it, before names and references are resolved.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agenda {
    /// Ids and title.
    pub identity: Identity,
    /// Policies for all operations.
    pub policies: PolicyLayer,
    /// Id of the handler that the agenda assigns to all operations of the handler's type; none if it assigns none.
    pub handler: Option<String>,
    /// Typed parameters.
    pub inputs: InputSpecs,
    /// Values of the inputs in this run ([`InputSpecs::resolve`]); none if they are not known.
    pub input_values: Option<Map<String, Value>>,
    /// Totals of resources to check the operations against; none if they are not known yet.
    pub totals: Option<ResourceTotals>,
    /// The operations, in order.
    pub operations: Vec<Operation>,
    /// Names of operations that could not be parsed. References to them are not reported as unknown.
    pub unread: Vec<String>,
    /// Numbers and booleans that print differently from how they are written.
    pub spellings: Vec<Spelling>,
    /// The result of the whole if another agenda uses this one, with references; none for null.
    pub result: Option<Value>,
    /// The agendas that operations of type `agenda` name.
    pub files: AgendaFiles,
}

impl Agenda {
    /// Reads an agenda and adds all faults of it to `faults`. `None` if the agenda has no list of operations.
    pub fn parse(mut root: Value, faults: &mut Vec<Fault>) -> Option<Self> {
        // taken out first so that payloads move into the plan without a copy
        let items = root.get_mut(OPERATIONS).and_then(Value::as_array_mut).map(std::mem::take);
        Self::with_operations(&root, OperationList::of(items.unwrap_or_default(), operations_at()), faults)
    }

    /// The list of operations of an agenda whose elements are read one by one; for [`Agenda::with_operations`]. `bytes` is the
    /// length of the agenda's text.
    pub fn operation_list(bytes: usize) -> OperationList {
        /// Length of the shortest operation, `{"name":"a","type":"b"},`.
        const SHORTEST: usize = 24;
        /// Maximum capacity. Unused capacity is never written, so the system provides no memory for it.
        const MOST: usize = 1 << 17;
        OperationList::with_capacity(operations_at(), MOST.min(bytes / SHORTEST))
    }

    /// Like [`Agenda::parse`], with operations that were read already; the list in `root` is empty.
    pub fn with_operations(root: &Value, list: OperationList, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut fields = Fields::of(root, Pointer::root(), "an agenda", "wrong-type", faults)?;
        Level::Agenda
            .warn_unknown(&mut fields, |key| AGENDA_FIELDS.contains(&key) || IGNORED_FIELDS.contains(&key));
        // these become environment variables, which a NUL byte would truncate
        let text = |fields: &mut Fields<'_, '_>, name: &str| {
            let text = fields.text(name)?;
            if text.contains('\0') {
                let at = fields.at(name);
                fields.faults().push(Fault::value(
                    "wrong-value",
                    at,
                    format!("`{name}` contains a NUL byte"),
                ));
            }
            // an empty id would become an empty variable, and programs would see a variable that is set
            Some(text.to_owned()).filter(|text| !text.trim().is_empty())
        };
        let identity = Identity {
            id: text(&mut fields, "id"),
            cid: text(&mut fields, "cid"),
            customer_id: text(&mut fields, "customerId"),
            title: text(&mut fields, "title"),
            link_id: text(&mut fields, "linkId"),
            progress_id: text(&mut fields, "progressId"),
        };
        let at = fields.at("params");
        let params = fields.any("params");
        let policies = params.map(|params| PolicyLayer::parse_shared(params, at, fields.faults()));
        let handler = params.and_then(|params| params.get("handler")?.as_str()).map(str::to_owned);
        let inputs = fields.any("inputs").cloned();
        let result = fields.any("result").cloned();
        let at = fields.at(OPERATIONS);
        match root.get(OPERATIONS) {
            Some(Value::Array(_)) => {}
            Some(Value::Null) | None => {
                let message = "an agenda needs the list `operations`";
                faults.push(Fault::value("missing-field", Pointer::root(), message));
                return None;
            }
            Some(other) => {
                let message = format!("`operations` must be a list, not {}", pop_document::kind_of(other));
                faults.push(Fault::value("wrong-type", at, message));
                return None;
            }
        }
        let OperationList { operations, unread, faults: found, .. } = list;
        faults.extend(found);
        let inputs = InputSpecs::parse(inputs.as_ref(), faults);
        let policies = policies.unwrap_or_default();
        Some(Self { identity, policies, handler, inputs, operations, unread, result, ..Self::default() })
    }

    /// Sets the numbers and booleans that need quotation marks if they are used as strings
    /// ([`pop_document::Source::spellings`]).
    #[must_use]
    pub fn spelled(self, spellings: Vec<Spelling>) -> Self {
        Self { spellings, ..self }
    }

    /// Sets the agendas that operations name.
    #[must_use]
    pub fn with_files(self, files: AgendaFiles) -> Self {
        Self { files, ..self }
    }

    /// The types of all operations, also of those inside others.
    pub fn handler_types(&self) -> HashSet<String> {
        let mut types: HashSet<String> = HashSet::new();
        for operation in &self.operations {
            if !types.contains(&*operation.handler_type) {
                types.insert(operation.handler_type.to_string());
            }
            if &*operation.handler_type == TYPE {
                types_inside(&operation.payload, &mut types);
            }
        }
        for file in self.files.all() {
            types_inside(&file.root, &mut types);
        }
        types
    }

    /// Marks all payloads as literal, because their references were replaced already.
    #[must_use]
    pub fn filled(mut self) -> Self {
        self.operations.iter_mut().for_each(|operation| operation.is_literal = true);
        self
    }
}

/// Key of the list of operations.
pub const OPERATIONS: &str = "operations";

/// Field of an operation with its payload.
pub const PAYLOAD: &str = "payload";

fn operations_at() -> Pointer {
    Pointer::root().join(OPERATIONS)
}

/// The type of operations with operations inside.
const TYPE: &str = "agenda";

fn types_inside(agenda: &Value, types: &mut HashSet<String>) {
    for operation in agenda["operations"].as_array().into_iter().flatten() {
        if let Some(handler_type) = operation["type"].as_str() {
            types.insert(handler_type.to_owned());
        }
        if operation["type"] == TYPE {
            types_inside(&operation["payload"], types);
        }
    }
}
