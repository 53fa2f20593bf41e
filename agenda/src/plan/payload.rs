//! The payload of an operation: a value whose references are replaced when the dependencies are settled.

use super::length::length_of;
use crate::ops::OpIx;
use crate::reference::{Fallback, Piece, Token, pieces};
use pop_contract::VALUE_LIMIT;
use pop_document::{Pointer, kind_of};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

/// A payload and the places of its references.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    value: Value,
    holes: Box<[Hole]>,
}

/// One string of a payload with references.
#[derive(Debug, Clone, PartialEq)]
struct Hole {
    pointer: Pointer,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Reference(Token, Referent),
}

/// The target of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Referent {
    /// The result of another operation.
    Result(OpIx),
    /// The id of the agenda.
    AgendaId,
    /// The name of the operation itself.
    OperationName,
    /// An `@`, to escape text that looks like a reference.
    AtSign,
    /// The item of an instance.
    Item,
    /// The index of that item.
    Index,
    /// The inputs of the agenda, as a map.
    Inputs,
}

/// A string of a payload with references.
pub(crate) struct Filled<'p> {
    pub(crate) pointer: &'p Pointer,
    /// The reference, if the string is one reference and nothing else; the value then keeps its JSON type.
    pub(crate) alone: Option<(&'p Token, Referent)>,
    pub(crate) references: Vec<(&'p Token, Referent)>,
}

/// A reference without a usable value although its target is settled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{token}` at `{pointer}` of the payload: {problem}")]
pub struct BindError {
    /// The whole reference, from `@<` to `>`.
    pub token: String,
    /// Pointer to the string with the reference.
    pub pointer: String,
    /// Problem, as the end of a sentence.
    pub problem: String,
    /// Failure code: `reference` or `too-large`.
    pub code: &'static str,
}

/// A payload after its references were replaced. A payload without references is shared with the plan, not copied.
#[derive(Debug, Clone, PartialEq)]
pub enum BoundPayload {
    /// The payload of the plan, which has no references.
    Shared(Arc<Payload>),
    /// A copy in which the references were replaced.
    Filled(Arc<Value>),
}

impl Deref for BoundPayload {
    type Target = Value;
    fn deref(&self) -> &Value {
        match self {
            Self::Shared(payload) => &payload.value,
            Self::Filled(value) => value,
        }
    }
}

/// The values for references.
pub(crate) struct Values<'v> {
    pub(crate) agenda_id: &'v str,
    pub(crate) operation_name: &'v str,
    /// Item of the instance and its index.
    pub(crate) item: Option<(&'v Value, u32)>,
    /// Values of the agenda's inputs, a map.
    pub(crate) inputs: &'v Value,
    /// Results of settled operations: null for a skipped one, absent for a failed or cancelled one.
    pub(crate) results: &'v HashMap<OpIx, Arc<Value>>,
}

impl Payload {
    /// Finds the references of a payload. `refer` resolves each. If it cannot resolve one, the reference stays in the
    /// string, and `refer` reports the fault.
    pub(crate) fn compile(value: Value, mut refer: impl FnMut(&Token, &Pointer) -> Option<Referent>) -> Self {
        let mut holes = Vec::new();
        find_holes(&value, &mut Pointer::root(), &mut holes, &mut refer);
        Self { value, holes: holes.into() }
    }

    /// A literal payload: pop does not look for references in it.
    pub(crate) fn fixed(value: Value) -> Self {
        Self { value, holes: Box::default() }
    }

    /// The payload with unresolved references.
    pub fn template(&self) -> &Value {
        &self.value
    }

    /// Whether any reference has a fallback.
    pub(crate) fn has_fallback(&self) -> bool {
        self.holes.iter().flat_map(Hole::references).any(|(token, _)| token.fallback.is_some())
    }

    /// Whether the payload has no references.
    pub fn is_fixed(&self) -> bool {
        self.holes.is_empty()
    }

    /// Pointers to the strings with references.
    pub fn holes(&self) -> impl Iterator<Item = &Pointer> {
        self.holes.iter().map(|hole| &hole.pointer)
    }

    /// The strings with references.
    pub(crate) fn filled(&self) -> impl Iterator<Item = Filled<'_>> {
        self.holes.iter().map(|hole| {
            let alone = match hole.parts.as_slice() {
                [Part::Reference(token, referent)] => Some((token, *referent)),
                _ => None,
            };
            Filled { pointer: &hole.pointer, alone, references: hole.references().collect() }
        })
    }

    /// Replaces all references of a shared payload.
    pub(crate) fn bind_shared(self: &Arc<Self>, values: &Values<'_>) -> Result<BoundPayload, BindError> {
        Ok(match self.bind(values)? {
            Cow::Borrowed(_) => BoundPayload::Shared(Arc::clone(self)),
            Cow::Owned(value) => BoundPayload::Filled(Arc::new(value)),
        })
    }

    /// The strings that refer to inputs alone and cannot be filled with these values.
    pub(crate) fn unusable_inputs(&self, inputs: &Value) -> Vec<(&Pointer, BindError)> {
        let results = HashMap::new();
        let values = Values { agenda_id: "", operation_name: "", item: None, inputs, results: &results };
        let is_of_inputs = |hole: &&Hole| hole.references().all(|(_, referent)| referent == Referent::Inputs);
        let holes = self.holes.iter().filter(is_of_inputs);
        holes.filter_map(|hole| Some((&hole.pointer, hole.fill(&values).err()?))).collect()
    }

    /// Replaces all references.
    pub(crate) fn bind(&self, values: &Values<'_>) -> Result<Cow<'_, Value>, BindError> {
        if self.holes.is_empty() {
            return Ok(Cow::Borrowed(&self.value));
        }
        let mut bound = self.value.clone();
        let mut length = 0;
        for hole in &self.holes {
            let filled = hole.fill(values)?;
            length += length_of(&filled);
            if length > VALUE_LIMIT {
                return Err(hole.too_large());
            }
            if let Some(slot) = bound.pointer_mut(hole.pointer.as_str()) {
                *slot = filled;
            }
        }
        Ok(Cow::Owned(bound))
    }
}

/// Finds the strings with references, at any depth of a payload.
fn find_holes(
    root: &Value,
    at: &mut Pointer,
    holes: &mut Vec<Hole>,
    refer: &mut impl FnMut(&Token, &Pointer) -> Option<Referent>,
) {
    match root {
        Value::String(text) => {
            let Some(found) = pieces(text) else { return };
            let parts: Vec<Part> = found
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => Part::Text(text),
                    Piece::Token(token) => match refer(&token, at) {
                        Some(referent) => Part::Reference(token, referent),
                        None => Part::Text(token.text),
                    },
                })
                .collect();
            if parts.iter().any(|part| matches!(part, Part::Reference(..))) {
                holes.push(Hole { pointer: at.clone(), parts });
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let depth = at.len();
                at.push(&index.to_string());
                find_holes(item, at, holes, refer);
                at.truncate(depth);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                let depth = at.len();
                at.push(key);
                find_holes(member, at, holes, refer);
                at.truncate(depth);
            }
        }
        _ => {}
    }
}

impl Hole {
    fn references(&self) -> impl Iterator<Item = (&Token, Referent)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Reference(token, referent) => Some((token, *referent)),
        })
    }

    fn fill(&self, values: &Values<'_>) -> Result<Value, BindError> {
        // a string that is one reference keeps the type of its value
        if let [Part::Reference(token, referent)] = self.parts.as_slice() {
            return self.look_up(token, *referent, values);
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Reference(token, referent) => match self.look_up(token, *referent, values)? {
                    Value::String(value) => text.push_str(&value),
                    value @ (Value::Array(_) | Value::Object(_)) => {
                        let problem =
                            format!("refers to {}, which cannot be used inside text", kind_of(&value));
                        return Err(self.error(token, problem));
                    }
                    scalar => text.push_str(&scalar.to_string()),
                },
            }
        }
        Ok(Value::String(text))
    }

    fn look_up(&self, token: &Token, referent: Referent, values: &Values<'_>) -> Result<Value, BindError> {
        let own = match referent {
            Referent::AgendaId => Some(values.agenda_id.into()),
            Referent::OperationName => Some(values.operation_name.into()),
            Referent::AtSign => Some("@".into()),
            Referent::Index => Some(Value::from(values.item.map(|(_, index)| index))),
            Referent::Item | Referent::Inputs | Referent::Result(_) => None,
        };
        let read = match referent {
            Referent::Item => values.item.map(|(item, _)| item),
            Referent::Inputs => Some(values.inputs),
            Referent::Result(op) => values.results.get(&op).map(Arc::as_ref),
            _ => own.as_ref(),
        };
        if read.is_none() && token.fallback.is_none() {
            return Err(self.error(token, "the operation has no result".to_owned()));
        }
        let result = read.unwrap_or(&Value::Null);
        // a skipped operation has the result null, in which no pointer has a value
        let found = if result.is_null() { None } else { token.pointer.find(result) };
        match (found, &token.fallback) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(Fallback::Null)) => Ok(Value::Null),
            (None, Some(Fallback::Text(text))) => Ok(Value::String(text.clone())),
            (None, None) if token.pointer.is_empty() => Ok(result.clone()),
            (None, None) => Err(self.error(token, missing(token, result))),
        }
    }

    fn error(&self, token: &Token, problem: String) -> BindError {
        BindError { token: token.text.clone(), pointer: self.pointer.to_string(), problem, code: "reference" }
    }

    fn too_large(&self) -> BindError {
        let token = self.references().next().map(|(token, _)| token.text.clone());
        BindError {
            token: token.unwrap_or_default(),
            pointer: self.pointer.to_string(),
            problem: format!("the payload would have more than {VALUE_LIMIT} bytes of filled values"),
            code: "too-large",
        }
    }
}

/// Describes the step of a pointer that has no value, and what exists there instead.
fn missing(token: &Token, result: &Value) -> String {
    let mut at = result;
    let mut walked = String::new();
    for step in token.pointer.as_str().split('/').skip(1) {
        let next = format!("{walked}/{step}");
        match at.pointer(&format!("/{step}")) {
            Some(value) => at = value,
            None => {
                let place = if walked.is_empty() { "the result".to_owned() } else { format!("`{walked}`") };
                return match at {
                    Value::Object(map) if map.is_empty() => format!("{place} is an empty map"),
                    Value::Object(map) => {
                        let keys: Vec<_> = map.keys().take(8).map(|key| format!("`{key}`")).collect();
                        format!("there is no `{next}`; {place} has {}", keys.join(", "))
                    }
                    Value::Array(items) => {
                        format!("there is no `{next}`; {place} is a list of {}", items.len())
                    }
                    other => format!("there is no `{next}`; {place} is {}", kind_of(other)),
                };
            }
        }
        walked = next;
    }
    "the result is null".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bind(payload: Value, result: &Value) -> Result<Value, String> {
        let payload = Payload::compile(payload, |token, _| match token.name.as_str() {
            "a.out" => Some(Referent::Result(OpIx(0))),
            "pop.agendaId" => Some(Referent::AgendaId),
            "pop.operationName" => Some(Referent::OperationName),
            "pop.at" => Some(Referent::AtSign),
            "pop.item" => Some(Referent::Item),
            "pop.index" => Some(Referent::Index),
            "pop.inputs" => Some(Referent::Inputs),
            _ => None,
        });
        let item = Some((result, 4));
        let results = HashMap::from([(OpIx(0), Arc::new(result.clone()))]);
        let inputs = json!({"width": 720});
        let values =
            Values { agenda_id: "ag-7", operation_name: "me", item, inputs: &inputs, results: &results };
        payload.bind(&values).map(Cow::into_owned).map_err(|error| error.to_string())
    }

    #[test]
    fn single_reference_keeps_the_type_of_its_value() {
        let result = json!({"b": true, "n": 7, "s": "x", "o": {"k": [1]}, "z": null});
        let payload =
            json!(["@<a.out::/b>", "@<a.out::/n>", "@<a.out::/o>", "@<a.out::/z>", {"k": "@<a.out::/s>"}]);
        assert_eq!(bind(payload, &result), Ok(json!([true, 7, {"k": [1]}, null, {"k": "x"}])));
    }

    #[test]
    fn whole_payload_may_be_one_reference() {
        assert_eq!(bind(json!("@<a.out>"), &json!({"x": false})), Ok(json!({"x": false})));
    }

    #[test]
    fn scalars_become_text_inside_text() {
        let result = json!({"b": true, "n": 1.5, "z": null, "o": {}});
        assert_eq!(
            bind(json!("x@<a.out::/b>@<a.out::/n>y@<a.out::/z>"), &result),
            Ok(json!("xtrue1.5ynull"))
        );
        let error = bind(json!({"p": "x@<a.out::/o>"}), &result).unwrap_err();
        assert_eq!(
            error,
            "`@<a.out::/o>` at `/p` of the payload: refers to a map, which cannot be used inside text"
        );
    }

    #[test]
    fn fr_l4_path_applies_to_built_in_values() {
        for (payload, bound) in [
            ("@<pop.agendaId::/nope?none>", json!("none")),
            ("@<pop.operationName::/x?>", json!(null)),
            ("@<pop.index::/x?0>", json!("0")),
            ("@<pop.agendaId::/>", json!("ag-7")),
            ("x@<pop.operationName::?none>", json!("xme")),
        ] {
            assert_eq!(bind(json!(payload), &json!({})), Ok(bound), "{payload}");
        }
        for payload in ["@<pop.agendaId::/nope>", "x@<pop.operationName::/x>", "@<pop.index::/0>"] {
            assert!(bind(json!(payload), &json!({})).unwrap_err().contains("there is no `/"), "{payload}");
        }
    }

    #[test]
    fn fr_h11_filled_values_beyond_the_limit_fail() {
        let value = |length: usize| json!({"s": "x".repeat(length)});
        // together with its quotes this is exactly the limit
        let fits = VALUE_LIMIT - 2;
        assert!(bind(json!("@<a.out::/s>"), &value(fits)).is_ok());
        for payload in
            [json!("x@<a.out::/s>"), json!(["@<pop.index>", "@<a.out::/s>"]), json!({"s": "@<a.out>"})]
        {
            let error = bind(payload, &value(fits)).unwrap_err();
            assert!(
                error.ends_with("the payload would have more than 16777216 bytes of filled values"),
                "{error}"
            );
        }
    }

    #[test]
    fn fr_c2_pop_at_escapes_a_reference() {
        let bound = |payload: &str| bind(json!(payload), &json!("h"));
        assert_eq!(bound("--format=%h @<pop.at><%an>"), Ok(json!("--format=%h @<%an>")));
        assert_eq!(bound("@<pop.at><a.out>"), Ok(json!("@<a.out>")));
        assert_eq!(bound("@<pop.at>"), Ok(json!("@")));
        // an at sign before a reference stays as it is
        assert_eq!(bound("user@@<a.out>"), Ok(json!("user@h")));
    }

    #[test]
    fn agenda_id_and_operation_name_are_filled() {
        assert_eq!(bind(json!("@<pop.agendaId>/@<pop.operationName>"), &json!({})), Ok(json!("ag-7/me")));
    }

    #[test]
    fn item_and_index_keep_their_types() {
        let payload =
            json!({"of": "@<pop.item::/s>", "n": "@<pop.index>", "file": "@<pop.index>-@<pop.item::/s>"});
        let bound = json!({"of": "x", "n": 4, "file": "4-x"});
        assert_eq!(bind(payload, &json!({"s": "x"})), Ok(bound));
    }

    #[test]
    fn fallback_replaces_missing_and_skipped_values() {
        let payload = json!(["@<a.out::/w?0>", "@<a.out::/w?>", "w=@<a.out::/w?none>"]);
        assert_eq!(bind(payload.clone(), &json!({})), Ok(json!(["0", null, "w=none"])));
        assert_eq!(bind(payload, &Value::Null), Ok(json!(["0", null, "w=none"])));
        assert_eq!(bind(json!("@<a.out>"), &Value::Null), Ok(Value::Null));
    }

    #[test]
    fn filled_values_are_not_scanned_for_references() {
        assert_eq!(bind(json!("@<a.out::/s>"), &json!({"s": "@<a.out::/s>"})), Ok(json!("@<a.out::/s>")));
    }

    #[test]
    fn missing_value_error_lists_existing_keys() {
        let error = |payload: &str, result| bind(json!(payload), &result).unwrap_err();
        assert_eq!(
            error("@<a.out::/x/w>", json!({"x": {"width": 1, "h": 2}})),
            "`@<a.out::/x/w>` at `` of the payload: there is no `/x/w`; `/x` has `h`, `width`"
        );
        assert!(error("@<a.out::/9>", json!([1])).ends_with("there is no `/9`; the result is a list of 1"));
        assert!(error("@<a.out::/9>", json!({})).ends_with("the result is an empty map"));
    }
}
