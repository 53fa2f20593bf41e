//! Params by which an operation adds operations: `forEach` and `agenda.operation.generator`.

use super::matrix;
use pop_document::{Fault, Fields, Pointer, kind_of, nearest};
use serde_json::Value;

/// The key of a generator's params, as in POP.
const GENERATOR: &str = "agenda.operation.generator";

/// The params that only have a meaning with `forEach`.
const WITH_FOR_EACH: [(&str, &str); 3] = [
    ("maxParallel", "limits its instances"),
    ("itemName", "names its instances"),
    ("itemFailures", "is about its instances"),
];

/// `forEach`, `maxParallel`, `itemName`, `itemFailures`.
#[derive(Debug, Clone, PartialEq)]
pub struct ForEach {
    /// A list, a string with a reference to one, or a matrix.
    pub items: Value,
    /// Maximum number of instances that run at once; none for no limit.
    pub max_parallel: Option<u32>,
    /// Name of each instance for people, with references to the item.
    pub item_name: Option<String>,
    /// Effect of an instance that fails.
    pub failures: ItemFailures,
}

/// Effect of an instance that fails (`itemFailures`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ItemFailures {
    /// The whole operation fails.
    #[default]
    Fail,
    /// The result of the whole operation has no entry for the item.
    Drop,
    /// The result has an entry with outcome and failure for the item.
    Keep,
}

const ITEM_FAILURES: [(&str, ItemFailures); 3] =
    [("fail", ItemFailures::Fail), ("drop", ItemFailures::Drop), ("keep", ItemFailures::Keep)];

impl ItemFailures {
    /// The word in an agenda.
    pub fn word(self) -> &'static str {
        ITEM_FAILURES.iter().find(|(_, known)| *known == self).map_or("", |(word, _)| word)
    }

    fn parse(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let text = fields.text("itemFailures")?;
        let known = ITEM_FAILURES.iter().find(|(word, _)| *word == text).map(|(_, failures)| *failures);
        if known.is_none() {
            let words = ITEM_FAILURES.map(|(word, _)| word);
            let message = format!("`itemFailures` must be one of {}, not `{text}`", words.join(", "));
            let fault = Fault::value("wrong-value", fields.at("itemFailures"), message);
            fields.faults().push(fault.did_you_mean(nearest(text, words)));
        }
        known
    }
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
        let Some(items) = fields.any("forEach") else {
            for (key, why) in WITH_FOR_EACH {
                if fields.any(key).is_some() {
                    let message = format!("`{key}` needs `forEach`: it {why}");
                    let fault = Fault::key("misplaced-param", fields.at(key), message);
                    let hint = "`pop run --parallel` limits the run as a whole";
                    fields.faults().push(if key == "maxParallel" { fault.hint(hint) } else { fault });
                }
            }
            return None;
        };
        let max_parallel = fields.whole("maxParallel");
        if max_parallel == Some(0) {
            let at = fields.at("maxParallel");
            fields.faults().push(Fault::value("wrong-value", at, "`maxParallel` must be at least 1"));
        }
        let item_name = fields.text("itemName").map(str::to_owned);
        let failures = ItemFailures::parse(fields).unwrap_or_default();
        if let Some(matrix) = items.as_object() {
            let at = fields.at("forEach");
            matrix::check(matrix, &at, fields.faults());
        }
        let is_reference = items.as_str().is_some_and(|text| text.contains("@<"));
        let is_list = items.is_array() || items.is_object() || is_reference;
        if !is_list {
            let message = format!("`forEach` must be a list, or a reference to one, not {}", kind_of(items));
            let fault = Fault::value("wrong-type", fields.at("forEach"), message);
            fields.faults().push(
                fault.hint("for example \"@<probe.out::/streams>\", or a matrix: {matrix: {os: [a, b]}}"),
            );
            return None;
        }
        let max_parallel = max_parallel.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        Some(Self { items: items.clone(), max_parallel, item_name, failures })
    }
}

impl Generator {
    pub(super) fn parse(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let (value, at) = fields.located(GENERATOR)?;
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
            let fault = Fault::value("missing-field", own.pointer(), message);
            own.faults().push(fault);
        }
        Some(Self { operations: operations?, params, is_log_only })
    }
}
