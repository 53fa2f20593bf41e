//! Checks a payload, with references that are not filled yet, against the schema of its handler.

use super::{DEEPEST, Fit, Kinds, MOST_STEPS, Schema, is_equal, spend};
use pop_document::{Pointer, nearest};
use serde_json::Value;
use std::cell::Cell;

/// What is known about the value of a reference before the run.
#[derive(Debug, Clone)]
pub enum KnownValue<'s> {
    /// The value fits one of these schemas.
    OneOf(Vec<Schema<'s>>),
    /// The value is text.
    Text,
    /// Nothing is known.
    Unknown,
}

/// The subject of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// The value as written.
    Literal,
    /// The name of the value in its map.
    Name,
    /// The value of a reference.
    Reference,
}

/// A part of a payload that does not fit the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Pointer to the value in the payload.
    pub at: Pointer,
    /// Subject: the value, its name or its reference.
    pub what: Subject,
    /// True if the value cannot fit; false if it may not fit.
    pub is_proved: bool,
    /// Reason, as the end of a sentence that begins with the value.
    pub why: String,
    /// The most similar accepted name or value; none if there is no similar one.
    pub near: Option<String>,
    /// The missing top-level field; none for other findings.
    pub missing: Option<String>,
}

/// Checks a payload. `known` returns what is known about the text at a pointer if it is a reference.
pub fn check_payload<'g>(
    payload: &Value,
    schema: Schema<'_>,
    known: &dyn Fn(&Pointer) -> Option<KnownValue<'g>>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    Check { known, steps: Cell::new(MOST_STEPS) }.value(
        payload,
        &Pointer::root(),
        schema,
        DEEPEST,
        &mut findings,
    );
    findings
}

struct Check<'c, 'g> {
    known: &'c dyn Fn(&Pointer) -> Option<KnownValue<'g>>,
    steps: Cell<u32>,
}

impl Check<'_, '_> {
    fn value(
        &self,
        value: &Value,
        at: &Pointer,
        schema: Schema<'_>,
        depth: usize,
        findings: &mut Vec<Finding>,
    ) {
        if depth == 0 {
            return;
        }
        let schema = schema.resolved();
        if !spend(&self.steps) || (value.is_null() && schema.is_nullable()) {
            return;
        }
        if value.is_string()
            && let Some(known) = (self.known)(at)
        {
            findings.extend(reference_fits(&known, schema, at));
            return;
        }
        let alternatives = schema.alternatives();
        if alternatives.len() > 1 {
            let each = alternatives.into_iter().map(|one| {
                let mut found = Vec::new();
                self.value(value, at, one, depth - 1, &mut found);
                found
            });
            // the findings of the closest alternative are the most useful
            let cost = |found: &Vec<Finding>| {
                let is_proved = found.iter().any(|finding| finding.is_proved);
                (is_proved, found.iter().any(|finding| finding.is_proved && finding.at == *at), found.len())
            };
            findings.extend(each.min_by_key(cost).unwrap_or_default());
            return;
        }
        self.one(value, at, schema, depth, findings);
        for part in schema.list("allOf") {
            self.value(value, at, part, depth - 1, findings);
        }
    }

    fn one(
        &self,
        value: &Value,
        at: &Pointer,
        schema: Schema<'_>,
        depth: usize,
        findings: &mut Vec<Finding>,
    ) {
        let wrong = |why: String| Finding {
            at: at.clone(),
            what: Subject::Literal,
            is_proved: true,
            why,
            near: None,
            missing: None,
        };
        let wants = schema.kinds();
        if !wants.has(Kinds::of(value)) {
            findings.push(wrong(format!("must be {wants}, not {}", shown(value))));
            return;
        }
        if let Some(values) = schema.values()
            && !values.iter().any(|one| is_equal(one, value))
        {
            let list = values.iter().take(8).map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let near =
                value.as_str().and_then(|text| nearest(text, values.iter().filter_map(|one| one.as_str())));
            let near = near.map(str::to_owned);
            findings.push(Finding { near, ..wrong(format!("must be one of {list}, not {}", shown(value))) });
        }
        match value {
            Value::Object(members) => {
                for name in schema.required().filter(|name| !members.contains_key(*name)) {
                    let missing = at.is_empty().then(|| name.to_owned());
                    findings.push(Finding { missing, ..wrong(format!("needs `{name}`")) });
                }
                for (name, member) in members {
                    match schema.property(name) {
                        Some(inner) => self.value(member, &at.join(name), inner, depth - 1, findings),
                        None if schema.is_closed() => {
                            let near =
                                nearest(name, schema.properties().map(|(name, _)| name)).map(str::to_owned);
                            let why = "is not a field of its handler's payload".to_owned();
                            findings.push(Finding {
                                at: at.join(name),
                                what: Subject::Name,
                                near,
                                ..wrong(why)
                            });
                        }
                        None => {
                            if let Some(more) = schema.other_properties() {
                                self.value(member, &at.join(name), more, depth - 1, findings);
                            }
                        }
                    }
                }
            }
            Value::Array(items) => {
                findings
                    .extend(amount(items.len() as f64, schema, "minItems", "maxItems", " items").map(wrong));
                for (index, item) in items.iter().enumerate() {
                    if let Some(inner) = schema.item(index) {
                        self.value(item, &at.join(index), inner, depth - 1, findings);
                    }
                }
            }
            Value::Number(number) => {
                let number = number.as_f64().unwrap_or_default();
                findings.extend(amount(number, schema, "minimum", "maximum", "").map(wrong));
            }
            Value::String(text) => {
                let length = text.chars().count() as f64;
                findings.extend(amount(length, schema, "minLength", "maxLength", " characters").map(wrong));
            }
            _ => {}
        }
    }
}

/// The reason why an amount is outside the limits of a schema.
fn amount(amount: f64, schema: Schema<'_>, least: &str, most: &str, what: &str) -> Option<String> {
    let least = schema.limit(least).filter(|least| amount < *least);
    let most = schema.limit(most).filter(|most| amount > *most);
    match (least, most) {
        (Some(least), _) => Some(format!("must be at least {least}{what}, not {amount}")),
        (None, Some(most)) => Some(format!("must be at most {most}{what}, not {amount}")),
        (None, None) => None,
    }
}

fn reference_fits(known: &KnownValue<'_>, wanted: Schema<'_>, at: &Pointer) -> Option<Finding> {
    let fit = match known {
        KnownValue::Unknown => Fit::Yes,
        KnownValue::Text => wanted.fits(Schema::text()),
        KnownValue::OneOf(schemas) => Fit::of_several(schemas.iter().map(|known| wanted.fits(*known))),
    };
    let (is_proved, why) = match fit {
        Fit::Yes => return None,
        Fit::Perhaps(why) => (false, why),
        Fit::No(why) => (true, why),
    };
    Some(Finding { at: at.clone(), what: Subject::Reference, is_proved, why, near: None, missing: None })
}

/// A value for messages: short values in full.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => pop_document::kind_of(value).to_owned(),
        _ => {
            let text = value.to_string();
            if text.len() <= 40 { text } else { pop_document::kind_of(value).to_owned() }
        }
    }
}
