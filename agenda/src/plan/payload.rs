//! The payload of an operation: a value whose references are replaced when the dependencies are settled.

mod texts;

use super::length::length_of;
use super::{OpRef, Plan};
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
    value: Arc<Value>,
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
    Result(OpRef),
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
    /// The items of every `forEach` around the operation, the innermost last.
    Items,
    /// The inputs of the agenda, as a map.
    Inputs,
    /// The run so far.
    Run,
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
    /// The items around the operation, for payloads that refer to them.
    pub(crate) items: Option<&'v Value>,
    /// Values of the agenda's inputs, a map.
    pub(crate) inputs: &'v Value,
    /// The run so far, for payloads that refer to it.
    pub(crate) run: Option<&'v Value>,
    /// Results of settled operations: null for a skipped one, absent for a failed or cancelled one.
    pub(crate) results: &'v HashMap<OpIx, Arc<Value>>,
    /// The plan and the operation whose names the references use; none if they name no operation of a body.
    pub(crate) from: Option<(&'v Plan, OpIx)>,
}

impl Values<'_> {
    fn result(&self, named: OpRef) -> Option<&Value> {
        let op = match self.from {
            Some((plan, from)) => plan.resolve(from, named),
            None => named.fixed()?,
        };
        self.results.get(&op).map(Arc::as_ref)
    }
}

impl Payload {
    /// Finds the references of a payload. `refer` resolves each. If it cannot resolve one, the reference stays in the
    /// string, and `refer` reports the fault.
    pub(crate) fn compile(
        value: Arc<Value>,
        mut refer: impl FnMut(&Token, &Pointer) -> Option<Referent>,
    ) -> Self {
        let mut holes = Vec::new();
        find_holes(&value, &mut Pointer::root(), &mut holes, &mut refer);
        Self { value, holes: holes.into() }
    }

    /// A literal payload: pop does not look for references in it.
    pub(crate) fn fixed(value: Arc<Value>) -> Self {
        Self { value, holes: Box::default() }
    }

    /// The address of the value, if other payloads have it, too.
    pub(super) fn shared_value(&self) -> Option<*const Value> {
        (Arc::strong_count(&self.value) > 1).then_some(Arc::as_ptr(&self.value))
    }

    /// Whether it was made of this value.
    pub(super) fn is_of(&self, value: &Arc<Value>) -> bool {
        Arc::ptr_eq(&self.value, value)
    }

    /// The payload with unresolved references.
    pub fn template(&self) -> &Value {
        &self.value
    }

    /// Whether any reference has a fallback.
    pub(crate) fn has_fallback(&self) -> bool {
        self.holes.iter().flat_map(Hole::references).any(|(token, _)| token.fallback.is_some())
    }

    /// Whether a reference names this.
    pub(crate) fn reads(&self, wanted: Referent) -> bool {
        self.holes.iter().flat_map(Hole::references).any(|(_, referent)| referent == wanted)
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
        let values = Values {
            agenda_id: "",
            operation_name: "",
            item: None,
            items: None,
            inputs,
            run: None,
            results: &results,
            from: None,
        };
        let is_of_inputs = |hole: &&Hole| hole.references().all(|(_, referent)| referent == Referent::Inputs);
        let holes = self.holes.iter().filter(is_of_inputs);
        holes.filter_map(|hole| Some((&hole.pointer, hole.fill(&values).err()?))).collect()
    }

    /// Replaces all references.
    pub(crate) fn bind(&self, values: &Values<'_>) -> Result<Cow<'_, Value>, BindError> {
        if self.holes.is_empty() {
            return Ok(Cow::Borrowed(&self.value));
        }
        let mut bound = Value::clone(&self.value);
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
            Referent::Item | Referent::Items | Referent::Inputs | Referent::Run | Referent::Result(_) => None,
        };
        let read = match referent {
            Referent::Item => values.item.map(|(item, _)| item),
            Referent::Items => values.items,
            Referent::Inputs => Some(values.inputs),
            Referent::Run => values.run,
            Referent::Result(named) => values.result(named),
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
mod tests;
