//! An operation as the agenda has it, before names and references are resolved.

use super::depends_on::{DependsOn, DependsOnGroup};
use super::growth::{ForEach, Generator};
use super::shared_values::SharedValues;
use crate::name::OperationName;
use pop_document::{Element, ElementPointer, Fault, Fields, Pointer, kind_of, nearest};
use pop_policy::{Level, OPERATION_FIELDS, Pattern, PolicyLayer};
use serde_json::{Map, Value};
use std::sync::Arc;
use thin_vec::ThinVec;

/// Fields that POP writes and that have no effect.
const IGNORED_FIELDS: [&str; 5] = ["cid", "customerId", "title", "addedTime", "updatedTime"];

/// An operation as the agenda has it, before names and references are resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Pointer to the operation's map in the document.
    pub pointer: ElementPointer,
    /// Id, passed to the handler as `OPERATION_ID`.
    pub id: Option<Box<str>>,
    /// Name, unique in the agenda.
    pub name: OperationName,
    /// Operation type; selects the handler in the registry.
    pub handler_type: Arc<str>,
    /// Payload with unresolved references.
    pub payload: Arc<Value>,
    /// Whether the payload is literal, so that strings like `@<a.out>` in it are not references.
    pub is_literal: bool,
    /// Dependencies from `dependsOn`.
    pub depends_on: ThinVec<DependsOn>,
    /// Policies set by the operation; none if it sets none.
    pub policies: Option<Box<PolicyLayer>>,
    /// All params of the operation, as the agenda has them; none if it has none.
    pub params: Option<Box<Map<String, Value>>>,
    /// Params that few operations have; none if it has none of them.
    pub rare: Option<Box<RareParams>>,
}

/// Params that few operations have.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RareParams {
    /// `finally`: the operation is clean-up, which accepts any outcome of its dependencies.
    pub finally: Option<Finally>,
    /// `forEach`: the items; the run makes one instance (copy) of the operation for each.
    pub for_each: Option<ForEach>,
    /// `agenda.operation.generator`: place of the operations to add, in the result.
    pub generator: Option<Generator>,
    /// `handler`: id of the handler that serves the operation.
    pub handler: Option<String>,
    /// `version`: version of the handler.
    pub version: Option<String>,
    /// `action`: action that the handler performs.
    pub action: Option<String>,
    /// `when`: the operation is skipped unless this expression holds.
    pub when: Option<Pattern>,
    /// Groups in `dependsOn`; every one must hold.
    pub groups: Vec<DependsOnGroup>,
    /// `undoes`: operations whose effects this clean-up removes.
    pub undoes: Vec<DependsOn>,
    /// `reads`: patterns of files, a string or a list of strings.
    pub reads: Option<Value>,
    /// `writes`: the same for the files that it writes.
    pub writes: Option<Value>,
}

impl Operation {
    /// Reads an operation, whose payload is apart. If it has no usable name or type, returns the name it was given.
    pub(super) fn parse(
        item: Element,
        at: ElementPointer,
        shared: &mut SharedValues,
        faults: &mut Vec<Fault>,
    ) -> Result<Self, Option<String>> {
        let Element { mut value, member: payload } = item;
        let mut fields = Fields::of(&value, &at, "an operation", "wrong-type", faults).ok_or(None)?;
        Level::Operation.warn_unknown(&mut fields, |key| {
            OPERATION_FIELDS.contains(&key) || IGNORED_FIELDS.contains(&key)
        });
        let name = fields.text("name").and_then(|text| match OperationName::parse(text) {
            Ok(name) => Some(name),
            Err(error) => {
                let at = fields.at("name");
                let hint = "files, containers and pods are named after operations";
                fields.faults().push(Fault::value("bad-name", at, error.to_string()).hint(hint));
                None
            }
        });
        let handler_type = fields.text("type").map(|name| shared.handler_type(name));
        for (field, is_read) in [("name", name.is_some()), ("type", handler_type.is_some())] {
            if !is_read && fields.any(field).is_none() {
                let message = format!("an operation needs a `{field}`");
                fields.faults().push(Fault::value("missing-field", at.pointer(), message));
            }
        }
        let id = match fields.any("id") {
            Some(Value::Number(number)) => Some(number.to_string().into()),
            _ => fields.text("id").filter(|id| !id.trim().is_empty()).map(Box::from),
        };
        let mut depends_on = ThinVec::new();
        let mut policies = None;
        let mut rare = None;
        if let Some(params) = fields.any("params") {
            let params_at = at.join("params");
            let own = PolicyLayer::parse(params, params_at.clone(), fields.faults());
            policies = (!own.is_empty()).then(|| Box::new(own));
            let mut groups = Vec::new();
            if let Some(names) = params.get("dependsOn") {
                let (names, found) =
                    DependsOnGroup::parse(names, &params_at.join("dependsOn"), fields.faults());
                depends_on = names.into();
                groups = found;
            }
            rare = RareParams::parse(params, params_at, groups, fields.faults());
        }
        let (Some(name), Some(handler_type)) = (name, handler_type) else {
            return Err(value.get("name").and_then(Value::as_str).map(str::to_owned));
        };
        let params = match value.get_mut("params").map(Value::take) {
            Some(Value::Object(params)) if !params.is_empty() => Some(Box::new(params)),
            _ => None,
        };
        Ok(Self {
            pointer: at,
            id,
            name,
            handler_type,
            payload: shared.payload(payload.unwrap_or_default()),
            is_literal: false,
            depends_on,
            policies,
            params,
            rare,
        })
    }
}

impl RareParams {
    fn parse(
        params: &Value,
        at: Pointer,
        groups: Vec<DependsOnGroup>,
        faults: &mut Vec<Fault>,
    ) -> Option<Box<Self>> {
        let mut fields = Fields::of_map(params.as_object()?, at, "wrong-type", faults);
        // versions are often written as numbers
        let version = match fields.any("version") {
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => fields.text("version").map(str::to_owned),
        };
        let rare = Self {
            finally: Finally::parse(&mut fields),
            for_each: ForEach::parse(&mut fields),
            generator: Generator::parse(&mut fields),
            handler: fields.text("handler").map(str::to_owned),
            version,
            action: fields.text("action").map(str::to_owned),
            when: when(&mut fields),
            groups,
            undoes: undoes(&mut fields),
            reads: patterns(&mut fields, "reads"),
            writes: patterns(&mut fields, "writes"),
        };
        (rare != Self::default()).then(|| Box::new(rare))
    }
}

/// When a resumed run repeats a `finally` operation that has an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finally {
    /// Each time the run ends.
    Always,
    /// If an operation that it waits for was repeated.
    WhenRepeated,
}

impl Finally {
    fn parse(fields: &mut Fields<'_, '_>) -> Option<Self> {
        match fields.any("finally")?.as_str() {
            Some("always") => Some(Self::Always),
            Some("whenRepeated") => Some(Self::WhenRepeated),
            Some(word) if !matches!(word.to_ascii_lowercase().as_str(), "true" | "false") => {
                let words = ["true", "false", "always", "whenRepeated"];
                let message = format!("`finally` must be one of {}, not `{word}`", words.join(", "));
                let fault = Fault::value("wrong-value", fields.at("finally"), message);
                fields.faults().push(fault.did_you_mean(nearest(word, words)));
                None
            }
            _ => fields.boolean("finally").filter(|is_finally| *is_finally).map(|_| Self::Always),
        }
    }
}

/// Reads `undoes`: names of operations. Only clean-up can undo something.
fn undoes(fields: &mut Fields<'_, '_>) -> Vec<DependsOn> {
    let Some((value, at)) = fields.located("undoes") else { return Vec::new() };
    let (names, groups) = DependsOnGroup::parse(value, &at, fields.faults());
    if !groups.is_empty() {
        let fault = Fault::value("wrong-type", at.clone(), "`undoes` is a list of names of operations");
        fields.faults().push(fault);
    }
    let is_finally = fields.any("finally").is_some_and(|value| value != false && value != "false");
    if !is_finally {
        let message = "`undoes` needs `finally`: only clean-up removes the effects of other operations";
        fields.faults().push(Fault::key("misplaced-param", at, message));
    }
    names
}

/// Reads patterns of files: a string or a list of strings, which may contain references.
fn patterns(fields: &mut Fields<'_, '_>, key: &'static str) -> Option<Value> {
    let (value, at) = fields.located(key)?;
    let before = fields.faults().len();
    let mut check = |item: &Value, at: Pointer| {
        if !item.is_string() {
            let message = format!("`{key}` must be a file or a list of files, not {}", kind_of(item));
            let fault = Fault::value("wrong-type", at, message);
            fields.faults().push(fault.hint(format!("for example `{key}: [\"data/*.csv\"]`")));
        }
    };
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| check(item, at.join(index)));
        }
        other => check(other, at),
    }
    (fields.faults().len() == before).then(|| value.clone())
}

/// Reads `when`: an expression, or a boolean.
fn when(fields: &mut Fields<'_, '_>) -> Option<Pattern> {
    let (value, at) = fields.located("when")?;
    let value = match value {
        Value::Bool(flag) => Value::String(format!("`{flag}`")),
        other => other.clone(),
    };
    Pattern::parse(&value, "when", &at, fields.faults())
}
