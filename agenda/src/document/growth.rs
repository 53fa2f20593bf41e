//! Params by which an operation adds operations: `forEach` and `agenda.operation.generator`.

use pop_document::{Fault, Fields, Pointer, kind_of};
use serde_json::Value;

/// The key of a generator's params, as in POP.
const GENERATOR: &str = "agenda.operation.generator";

/// `forEach`, `maxParallel`.
#[derive(Debug, Clone, PartialEq)]
pub struct ForEach {
    /// A list, or a string with a reference to one.
    pub items: Value,
    /// Maximum number of instances that run at once; none for no limit.
    pub max_parallel: Option<u32>,
}

/// `agenda.operation.generator`: place of the operations to add, in the result of the operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    /// Pointer to the list of operations.
    pub operations: Pointer,
    /// Pointer to params, which must be a map if present.
    pub params: Option<Pointer>,
    /// Whether no operations are added.
    pub is_log_only: bool,
}

impl ForEach {
    pub(super) fn parse(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let max_parallel = fields.whole("maxParallel");
        let at = fields.at("maxParallel");
        let Some(items) = fields.any("forEach") else {
            if max_parallel.is_some() {
                let message = "`maxParallel` needs `forEach`: it limits its instances";
                let fault = Fault::key("misplaced-param", at, message);
                fields.faults().push(fault.hint("`pop run --parallel` limits the run as a whole"));
            }
            return None;
        };
        if max_parallel == Some(0) {
            let fault = Fault::value("wrong-value", at, "`maxParallel` must be at least 1");
            fields.faults().push(fault);
        }
        let is_list = items.is_array() || items.as_str().is_some_and(|text| text.contains("@<"));
        if !is_list {
            let message = format!("`forEach` must be a list, or a reference to one, not {}", kind_of(items));
            let fault = Fault::value("wrong-type", fields.at("forEach"), message);
            fields.faults().push(fault.hint("for example \"@<probe.out::/streams>\""));
            return None;
        }
        let max_parallel = max_parallel.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        Some(Self { items: items.clone(), max_parallel })
    }
}

impl Generator {
    pub(super) fn parse(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let at = fields.at(GENERATOR);
        let value = fields.any(GENERATOR)?;
        let mut own = Fields::of(value, at, "a generator", "wrong-type", fields.faults())?;
        let names = ["operationsJsonPointer", "paramsJsonPointer", "logOnly"];
        own.warn_unknown("a generator", &names);
        let mut pointer = |name: &str| {
            let text = own.text(name)?;
            if !text.is_empty() && !text.starts_with('/') {
                let message =
                    format!("`{name}` must be a JSON pointer such as \"/operations\", not `{text}`");
                let fault = Fault::value("wrong-value", own.at(name), message);
                own.faults().push(fault);
                return None;
            }
            Some(Pointer::from(text))
        };
        let operations = pointer("operationsJsonPointer");
        let params = pointer("paramsJsonPointer");
        let is_log_only = own.boolean("logOnly").unwrap_or_default();
        if own.any("operationsJsonPointer").is_none() {
            let message =
                "a generator needs `operationsJsonPointer`: the location of the operations in its result";
            let fault = Fault::value("missing-field", own.pointer().clone(), message);
            own.faults().push(fault);
        }
        Some(Self { operations: operations?, params, is_log_only })
    }
}
