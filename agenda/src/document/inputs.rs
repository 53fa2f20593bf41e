//! `inputs`: the typed parameters of an agenda, and the values that a run gives them.

use pop_document::{Fault, Fields, Pointer, kind_of, nearest};
use regex::Regex;
use serde_json::{Map, Value, json};
use std::collections::HashSet;

const KEYS: [&str; 8] =
    ["type", "description", "default", "enum", "pattern", "minimum", "maximum", "required"];
const AT: &str = "inputs";

/// The type of an input, as in JSON Schema.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InputType {
    /// Text.
    #[default]
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// A map.
    Object,
}

const TYPES: [(&str, InputType); 6] = [
    ("string", InputType::String),
    ("integer", InputType::Integer),
    ("number", InputType::Number),
    ("boolean", InputType::Boolean),
    ("array", InputType::Array),
    ("object", InputType::Object),
];

impl InputType {
    /// The name in an agenda.
    pub fn word(self) -> &'static str {
        TYPES.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }

    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Object => value.is_object(),
        }
    }

    /// The value of a text from a command line or a variable. Text that does not fit stays text, which is a fault.
    fn read(self, text: &str) -> Value {
        let read = match self {
            Self::String => None,
            _ => serde_json::from_str(text.trim()).ok().filter(|value| self.accepts(value)),
        };
        read.unwrap_or_else(|| Value::String(text.to_owned()))
    }
}

/// One input of an agenda.
#[derive(Debug, Clone)]
pub struct InputSpec {
    /// Name, unique in the agenda.
    pub name: String,
    /// Type of the value.
    pub kind: InputType,
    /// Meaning, for people.
    pub description: Option<String>,
    /// Value of a run that gives none.
    pub default: Option<Value>,
    /// Whether a run must give a value.
    pub is_required: bool,
    /// JSON Schema of the value.
    pub schema: Value,
    pattern: Option<Regex>,
}

/// The inputs of an agenda, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct InputSpecs {
    specs: Vec<InputSpec>,
    /// Names of inputs that could not be read and have faults already.
    unread: HashSet<String>,
}

/// A value that a run gives to an input.
#[derive(Debug, Clone, PartialEq)]
pub struct GivenInput {
    /// Name of the input.
    pub name: String,
    /// The value.
    pub value: GivenValue,
    /// Where it comes from, for messages: an option, a variable or a file.
    pub origin: String,
}

/// A value as given.
#[derive(Debug, Clone, PartialEq)]
pub enum GivenValue {
    /// Text, which is read by the type of the input.
    Text(String),
    /// A value of a document.
    Value(Value),
}

impl PartialEq for InputSpec {
    fn eq(&self, other: &Self) -> bool {
        let of = |spec: &Self| (spec.name.clone(), spec.schema.clone(), spec.is_required);
        of(self) == of(other)
    }
}

impl InputSpecs {
    /// Reads the `inputs` of an agenda.
    pub(super) fn parse(value: Option<&Value>, faults: &mut Vec<Fault>) -> Self {
        let mut inputs = Self::default();
        let Some(value) = value else { return inputs };
        let at = Pointer::root().join(AT);
        let Some(map) = Fields::of(value, at.clone(), "`inputs`", "wrong-type", faults) else {
            return inputs;
        };
        let members: Vec<_> = map.iter().collect();
        for (name, spec) in members {
            match InputSpec::parse(name, spec, at.join(name), faults) {
                Some(spec) => inputs.specs.push(spec),
                None => drop(inputs.unread.insert(name.clone())),
            }
        }
        inputs
    }

    /// The inputs, by name.
    pub fn iter(&self) -> impl Iterator<Item = &InputSpec> {
        self.specs.iter()
    }

    /// The input with this name.
    pub fn find(&self, name: &str) -> Option<&InputSpec> {
        self.specs.iter().find(|spec| spec.name == name)
    }

    /// Whether an input of this name is in the agenda, but has a fault.
    pub(crate) fn is_unread(&self, name: &str) -> bool {
        self.unread.contains(name)
    }

    /// The schema of the input at a pointer to it, not below.
    pub(crate) fn at(&self, pointer: &Pointer) -> Option<&Value> {
        let name = pointer.as_str().strip_prefix('/')?;
        self.find(name).filter(|spec| spec.is_required || spec.default.is_some()).map(|spec| &spec.schema)
    }

    /// The most similar name.
    pub(crate) fn near(&self, name: &str) -> Option<&str> {
        nearest(name, self.specs.iter().map(|spec| spec.name.as_str()))
    }

    /// Whether the agenda declares none.
    pub fn is_empty(&self) -> bool {
        self.specs.is_empty() && self.unread.is_empty()
    }

    /// JSON Schema of all values together.
    pub fn schema(&self) -> Value {
        let properties: Map<String, Value> =
            self.specs.iter().map(|spec| (spec.name.clone(), spec.schema.clone())).collect();
        let required: Vec<&str> =
            self.specs.iter().filter(|spec| spec.is_required).map(|spec| spec.name.as_str()).collect();
        json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        })
    }

    /// The values of a run. Of several values for one input the last one counts. An input without a value gets its
    /// default, or null if it is not required. None if a value is missing or wrong; a missing one is only a fault if
    /// `is_complete` is set.
    pub fn resolve(
        &self,
        given: &[GivenInput],
        is_complete: bool,
        faults: &mut Vec<Fault>,
    ) -> Option<Map<String, Value>> {
        let before = faults.len();
        let mut is_missing = false;
        let at = Pointer::root().join(AT);
        for GivenInput { name, origin, .. } in given {
            if self.find(name).is_none() && !self.unread.contains(name) {
                let message =
                    format!("{origin} gives a value to `{name}`, which is not an input of this agenda");
                let place = if self.is_empty() { Pointer::root() } else { at.clone() };
                let fault = Fault::key("unknown-input", place, message).did_you_mean(self.near(name));
                faults.push(fault.hint("`pop inputs AGENDA` lists the inputs"));
            }
        }
        let mut values = Map::new();
        for spec in &self.specs {
            let value = given.iter().rev().find(|given| given.name == spec.name).and_then(|given| {
                let value = match &given.value {
                    GivenValue::Text(text) => spec.kind.read(text),
                    GivenValue::Value(value) => value.clone(),
                };
                // null stands for an optional input without a value
                if value.is_null() && !spec.is_required {
                    return None;
                }
                if let Err(problem) = spec.check(&value) {
                    let message = format!("input `{}` from {} {problem}", spec.name, given.origin);
                    faults.push(Fault::key("wrong-input", at.join(&spec.name), message));
                }
                Some(value)
            });
            is_missing |= value.is_none() && spec.is_required;
            if value.is_none() && spec.is_required && is_complete {
                let name = &spec.name;
                let message = format!("input `{name}` has no value");
                let hint = format!("add `--input {name}=VALUE`, or give it a `default` in the agenda");
                faults.push(Fault::key("missing-input", at.join(name), message).hint(hint));
            }
            let value = value.or_else(|| spec.default.clone()).unwrap_or_default();
            values.insert(spec.name.clone(), value);
        }
        (!is_missing && faults.len() == before).then_some(values)
    }
}

impl InputSpec {
    fn parse(name: &str, value: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Option<Self> {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
        if !name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            || !name.chars().all(is_plain)
        {
            let message = format!("`{name}` is not a name for an input");
            let hint = "use letters (a to z), digits, `_` and `-`, with a letter or `_` at the beginning";
            faults.push(Fault::key("bad-name", at, message).hint(hint));
            return None;
        }
        let before = faults.len();
        let empty = Value::Object(Map::new());
        let value = if value.is_null() { &empty } else { value };
        let what = format!("input `{name}`");
        let mut fields = Fields::of(value, at.clone(), &what, "wrong-type", faults)?;
        fields.warn_unknown(&what, &KEYS);
        let kind = match fields.text("type") {
            None => InputType::default(),
            Some(word) => match TYPES.iter().find(|(known, _)| *known == word) {
                Some((_, kind)) => *kind,
                None => {
                    let words = TYPES.map(|(word, _)| word);
                    let message = format!("`{word}` is not a type of input: types are {}", words.join(", "));
                    let fault = Fault::value("wrong-value", fields.at("type"), message);
                    fields.faults().push(fault.did_you_mean(nearest(word, words)));
                    return None;
                }
            },
        };
        let description = fields.text("description").map(str::to_owned);
        let is_number = matches!(kind, InputType::Integer | InputType::Number);
        let pattern = fields.text("pattern").and_then(|text| match Regex::new(text) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let at = fields.at("pattern");
                let reason = error.to_string();
                let reason = reason.lines().last().unwrap_or_default();
                let message = format!(
                    "`pattern` is not a regular expression: {}",
                    reason.trim_start_matches("error: ")
                );
                fields.faults().push(Fault::value("wrong-value", at, message));
                None
            }
        });
        for key in ["minimum", "maximum"] {
            if let Some(other) = fields.any(key).filter(|limit| !limit.is_number()) {
                let message = format!("`{key}` must be a number, not {}", kind_of(other));
                let at = fields.at(key);
                fields.faults().push(Fault::value("wrong-type", at, message));
            }
        }
        fields.list("enum");
        for (key, fits) in
            [("pattern", kind == InputType::String), ("minimum", is_number), ("maximum", is_number)]
        {
            if fields.any(key).is_some() && !fits {
                let at = fields.at(key);
                let message = format!("`{key}` has no effect on an input of type {}", kind.word());
                fields.faults().push(Fault::key("no-effect", at, message).warning());
            }
        }
        let default = fields.any("default").cloned();
        let is_required = fields.boolean("required").unwrap_or(default.is_none());
        let mut schema = value.as_object().cloned().unwrap_or_default();
        schema.retain(|key, _| KEYS.contains(&key.as_str()) && key != "required");
        schema.insert("type".to_owned(), kind.word().into());
        let schema = Value::Object(schema);
        let spec = Self { name: name.to_owned(), kind, description, default, is_required, schema, pattern };
        let is_sound = !faults[before..].iter().any(Fault::is_error);
        if let Some(default) = spec.default.as_ref().filter(|_| is_sound)
            && let Err(problem) = spec.check(default)
        {
            let message = format!("the default of input `{name}` {problem}");
            faults.push(Fault::value("wrong-value", at.join("default"), message));
            return None;
        }
        is_sound.then_some(spec)
    }

    /// Checks a value. The error is the end of a sentence.
    pub(crate) fn check(&self, value: &Value) -> Result<(), String> {
        if !self.kind.accepts(value) {
            let shown = match value {
                Value::String(text) => format!("`{}`", cut(text)),
                Value::Number(number) => format!("`{number}`"),
                other => kind_of(other).to_owned(),
            };
            let article = if matches!(self.kind, InputType::Integer | InputType::Array | InputType::Object) {
                "an"
            } else {
                "a"
            };
            return Err(format!("must be {article} {}, not {shown}", self.kind.word()));
        }
        let shown = || cut(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        if let Some(Value::Array(allowed)) = self.schema.get("enum")
            && !allowed.contains(value)
        {
            let all: Vec<String> = allowed
                .iter()
                .map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
                .collect();
            return Err(format!("must be one of {}, not `{}`", all.join(", "), shown()));
        }
        if let (Some(pattern), Value::String(text)) = (&self.pattern, value)
            && !pattern.is_match(text)
        {
            return Err(format!("must match `{pattern}`; `{}` does not", shown()));
        }
        let limit = |key: &str| self.schema.get(key).and_then(Value::as_f64);
        if let Some(number) = value.as_f64() {
            if limit("minimum").is_some_and(|least| number < least) {
                return Err(format!("must be at least {}, not `{}`", self.schema["minimum"], shown()));
            }
            if limit("maximum").is_some_and(|most| number > most) {
                return Err(format!("must be at most {}, not `{}`", self.schema["maximum"], shown()));
            }
        }
        Ok(())
    }
}

/// A value for messages: long text is cut.
fn cut(text: &str) -> String {
    const LONGEST: usize = 60;
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}

#[cfg(test)]
mod tests;
