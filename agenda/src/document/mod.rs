//! The document as written: an agenda and its operations, nothing filled in, nothing resolved.

mod growth;
mod operation;

pub use growth::{ForEach, Generator};
pub use operation::{DependsOn, Operation, RareParams};

use pop_document::{Fault, Fields, Pointer, Spelling, nearest};
use pop_policy::PolicyLayer;
use serde_json::Value;

const FIELDS: [&str; 14] = [
    "id",
    "cid",
    "customerId",
    "title",
    "addedTime",
    "updatedTime",
    "allowedCustomerIds",
    "isGlobal",
    "operations",
    "params",
    "linkId",
    "progressId",
    "agendaInsight",
    "jobId",
];

/// Who an agenda is, to the systems around it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The agenda's id; the executor makes one if it is absent.
    pub id: Option<String>,
    /// The correlation id.
    pub cid: Option<String>,
    /// The customer's id.
    pub customer_id: Option<String>,
    /// The title.
    pub title: Option<String>,
    /// Groups agendas that belong together.
    pub link_id: Option<String>,
    /// The id under which progress is reported.
    pub progress_id: Option<String>,
}

/// An agenda as it was written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Agenda {
    /// Who it is.
    pub identity: Identity,
    /// Policies for all its operations.
    pub policies: PolicyLayer,
    /// The handler that is to serve those of its operations whose type it knows.
    pub handler: Option<String>,
    /// Its operations, in order.
    pub operations: Vec<Operation>,
    /// Names of operations that cannot be read: whoever refers to them is not at fault.
    pub unread: Vec<String>,
    /// Numbers and booleans of its text that print differently from how they are written.
    pub spellings: Vec<Spelling>,
}

impl Agenda {
    /// Reads an agenda; everything wrong in it is added to `faults`. None if there is nothing to go on with.
    pub fn parse(mut root: Value, faults: &mut Vec<Fault>) -> Option<Self> {
        // taken out first, so that payloads move into the plan and are not copied
        let operations = root.get_mut("operations").map(Value::take);
        let mut fields = Fields::of(&root, Pointer::root(), "an agenda", "wrong-type", faults)?;
        warn_unknown(&mut fields);
        // these become variables of programs, which a NUL byte would end
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
            // an empty name would become an empty variable, which looks like one that is set
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
        let at = fields.at("operations");
        let (operations, unread) = match operations {
            Some(Value::Array(items)) => Operation::parse_list(items, &at, faults),
            Some(Value::Null) | None => {
                let message = "an agenda needs `operations`, a list";
                faults.push(Fault::value("missing-field", Pointer::root(), message));
                return None;
            }
            Some(other) => {
                let message = format!("`operations` must be a list, not {}", pop_document::kind_of(&other));
                faults.push(Fault::value("wrong-type", at, message));
                return None;
            }
        };
        let policies = policies.unwrap_or_default();
        Some(Self { identity, policies, handler, operations, unread, spellings: Vec::new() })
    }

    /// The same with what its text has of numbers that must not become text unquoted ([`pop_document::Source::spellings`]).
    #[must_use]
    pub fn spelled(self, spellings: Vec<Spelling>) -> Self {
        Self { spellings, ..self }
    }

    /// The same with payloads in which every text stands for itself: references in them were filled before.
    #[must_use]
    pub fn filled(mut self) -> Self {
        self.operations.iter_mut().for_each(|operation| operation.is_literal = true);
        self
    }
}

/// An agenda in another tool's shape often has its list under another name; say so.
fn warn_unknown(fields: &mut Fields<'_, '_>) {
    for (name, _) in fields.iter() {
        if FIELDS.contains(&name.as_str()) {
            continue;
        }
        let at = fields.at(name);
        let message = format!("an agenda has no field `{name}`; it is ignored");
        let fault = Fault::key("unknown-field", at, message).warning();
        fields.faults().push(fault.did_you_mean(nearest(name, FIELDS)));
    }
}
