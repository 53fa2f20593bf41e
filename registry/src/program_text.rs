//! The texts that a program of type `exec` gets: arguments and values of variables, plain or made of a value.
//!
//! `{spread: LIST}` is one argument for each item, `{json: VALUE}` the value as JSON text, and `{file: VALUE}` the path
//! of a file with the value. These forms count only where the payload is written so: a result that is such a map is
//! data.

use pop_document::{Fault, Fields, Pointer, kind_of, nearest, scalar_text};
use serde_json::{Map, Value};

const SPREAD: &str = "spread";
const JSON: &str = "json";
const FILE: &str = "file";

/// A text for a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgramText {
    /// The text itself.
    Text(String),
    /// The path of a file with this content.
    File(String),
}

impl ProgramText {
    /// The text, unless it is the path of a file.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::File(_) => None,
        }
    }
}

/// A value as the content of a file or of standard input: text as it is, any other value as JSON.
pub(crate) fn content(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Reader of the texts of one payload.
pub(crate) struct ProgramTexts<'t> {
    /// The payload as written, with references.
    pub(crate) template: &'t Value,
    /// Whether the values are references that are not filled.
    pub(crate) has_references: bool,
}

impl ProgramTexts<'_> {
    /// Reads the list of arguments in `command`.
    pub(crate) fn arguments(&self, fields: &mut Fields<'_, '_>) -> Option<Vec<ProgramText>> {
        let list = fields.list("command")?;
        let mut arguments = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            if let Some(text) = scalar_text(item) {
                arguments.push(ProgramText::Text(text));
                continue;
            }
            let at = fields.at("command").join(index);
            match self.form(&format!("/command/{index}"), item) {
                Some(form) => self.argument(form, &at, &mut arguments, fields.faults()),
                None => fields.faults().push(not_text(item, "each item of `command`", at)),
            }
        }
        Some(arguments)
    }

    /// Reads the map of variables in `env`.
    pub(crate) fn variables(&self, fields: &mut Fields<'_, '_>) -> Option<Vec<(String, ProgramText)>> {
        let map = fields.map("env")?;
        let mut variables = Vec::with_capacity(map.len());
        for (name, item) in map {
            if let Some(text) = scalar_text(item) {
                variables.push((name.clone(), ProgramText::Text(text)));
                continue;
            }
            let at = fields.at("env").join(name);
            let step = Pointer::root().join("env").join(name);
            let mut texts = Vec::new();
            match self.form(step.as_str(), item) {
                Some(form) if form.contains_key(SPREAD) => {
                    let message = format!("`{name}` in `env` is one text, so it cannot be `{{spread: …}}`");
                    let fault = Fault::value("wrong-type", at, message);
                    fields.faults().push(fault.hint("use `{json: …}` or `{file: …}`"));
                }
                Some(form) => self.argument(form, &at, &mut texts, fields.faults()),
                None => fields.faults().push(not_text(item, &format!("`{name}` in `env`"), at)),
            }
            variables.extend(texts.pop().map(|text| (name.clone(), text)));
        }
        Some(variables)
    }

    /// The map of a form; none for any other value, and for a map that a reference inserted.
    fn form<'v>(&self, step: &str, item: &'v Value) -> Option<&'v Map<String, Value>> {
        item.as_object().filter(|_| self.template.pointer(step).is_some_and(Value::is_object))
    }

    /// Reads a form.
    fn argument(
        &self,
        form: &Map<String, Value>,
        at: &Pointer,
        texts: &mut Vec<ProgramText>,
        faults: &mut Vec<Fault>,
    ) {
        let mut members = form.iter();
        let (Some((key, value)), None) = (members.next(), members.next()) else {
            let message = "a value in a command has one key: `spread`, `json` or `file`";
            faults.push(Fault::value("wrong-value", at.clone(), message));
            return;
        };
        let is_reference = self.has_references && value.as_str().is_some_and(|text| text.starts_with("@<"));
        match (key.as_str(), value) {
            (JSON, value) => texts.push(ProgramText::Text(value.to_string())),
            (FILE, value) => texts.push(ProgramText::File(content(value))),
            (SPREAD, Value::Array(items)) => {
                let at = at.join(SPREAD);
                for (index, item) in items.iter().enumerate() {
                    match scalar_text(item) {
                        Some(text) => texts.push(ProgramText::Text(text)),
                        None => faults.push(not_text(item, "each item of `spread`", at.join(index))),
                    }
                }
            }
            (SPREAD, Value::Null) => {}
            (SPREAD, _) if is_reference => {}
            (SPREAD, other) => {
                let message = format!("`spread` must be a list, not {}", kind_of(other));
                faults.push(Fault::value("wrong-type", at.join(SPREAD), message));
            }
            (other, _) => {
                let message = format!("a value in a command is `spread`, `json` or `file`, not `{other}`");
                let fault = Fault::key("wrong-value", at.join(other), message);
                faults.push(fault.did_you_mean(nearest(other, [SPREAD, JSON, FILE])));
            }
        }
    }
}

/// The fault of a value that cannot be a text.
fn not_text(item: &Value, what: &str, at: Pointer) -> Fault {
    let fault = Fault::value("wrong-type", at, format!("{what} must be text, not {}", kind_of(item)));
    match item {
        Value::Array(_) if what.contains("command") => fault.hint(
            "`{spread: …}` is one argument for each item, `{json: …}` the list as JSON, `{file: …}` a file with it",
        ),
        Value::Array(_) | Value::Object(_) => {
            fault.hint("`{json: …}` is the value as JSON, `{file: …}` the path of a file with it")
        }
        _ => fault,
    }
}
