//! Reading the fields of a document with their expected types, and a fault for each other type.

use crate::{ElementPointer, Fault, Pointer, nearest};
use serde_json::{Map, Value};

/// The JSON type of a value, as messages name it.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// The fields of one map in a document. Each read of a field with the wrong type adds a fault.
///
/// A `null` field counts as absent, because POP writes nulls for unset fields.
#[derive(Debug)]
pub struct Fields<'v, 'f> {
    map: &'v Map<String, Value>,
    place: MapPlace<'f>,
    faults: &'f mut Vec<Fault>,
    code: &'static str,
}

/// The pointer of a map.
#[derive(Debug, Clone)]
pub enum MapPlace<'p> {
    /// The pointer itself.
    Pointer(Pointer),
    /// The pointer to an element of a list, which becomes text only for a fault.
    Element(&'p ElementPointer),
}

impl From<Pointer> for MapPlace<'_> {
    fn from(pointer: Pointer) -> Self {
        Self::Pointer(pointer)
    }
}

impl<'p> From<&'p ElementPointer> for MapPlace<'p> {
    fn from(element: &'p ElementPointer) -> Self {
        Self::Element(element)
    }
}

impl From<MapPlace<'_>> for Pointer {
    fn from(place: MapPlace<'_>) -> Self {
        match place {
            MapPlace::Pointer(pointer) => pointer,
            MapPlace::Element(element) => element.pointer(),
        }
    }
}

impl<'v, 'f> Fields<'v, 'f> {
    /// The fields of `value`, or a fault with `code` if `value` is not a map.
    pub fn of(
        value: &'v Value,
        place: impl Into<MapPlace<'f>>,
        what: &str,
        code: &'static str,
        faults: &'f mut Vec<Fault>,
    ) -> Option<Self> {
        match value {
            Value::Object(map) => Some(Self::of_map(map, place, code, faults)),
            other => {
                let message = format!("{what} must be a map, not {}", kind_of(other));
                faults.push(Fault::value(code, Pointer::from(place.into()), message));
                None
            }
        }
    }

    /// The fields of a map. Values of a wrong type are faults with `code`.
    pub fn of_map(
        map: &'v Map<String, Value>,
        place: impl Into<MapPlace<'f>>,
        code: &'static str,
        faults: &'f mut Vec<Fault>,
    ) -> Self {
        Self { map, place: place.into(), faults, code }
    }

    /// The pointer of the map.
    pub fn pointer(&self) -> Pointer {
        self.place.clone().into()
    }

    /// The pointer of one of its fields.
    pub fn at(&self, name: &str) -> Pointer {
        match &self.place {
            MapPlace::Pointer(pointer) => pointer.join(name),
            MapPlace::Element(element) => element.join(name),
        }
    }

    /// The list of faults.
    pub fn faults(&mut self) -> &mut Vec<Fault> {
        self.faults
    }

    /// The field `name` of any type, unless absent or null.
    pub fn any(&self, name: &str) -> Option<&'v Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// The field `name` of any type with its pointer, unless absent or null.
    pub fn located(&self, name: &str) -> Option<(&'v Value, Pointer)> {
        self.any(name).map(|value| (value, self.at(name)))
    }

    /// The names and values of all fields, including nulls.
    pub fn iter(&self) -> impl Iterator<Item = (&'v String, &'v Value)> + use<'v> {
        self.map.iter()
    }

    fn typed<T>(&mut self, name: &str, must: &str, read: impl Fn(&'v Value) -> Option<T>) -> Option<T> {
        let value = self.any(name)?;
        let found = read(value);
        if found.is_none() {
            let message = format!("`{name}` must be {must}, not {}", describe(value));
            self.faults.push(Fault::value(self.code, self.at(name), message));
        }
        found
    }

    /// Reads a text.
    pub fn text(&mut self, name: &str) -> Option<&'v str> {
        self.typed(name, "text", Value::as_str)
    }

    /// Reads a boolean. POP also writes booleans as text.
    pub fn boolean(&mut self, name: &str) -> Option<bool> {
        self.typed(name, "true or false", |value| match value {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            _ => None,
        })
    }

    /// Reads a whole number from 0. POP also writes numbers as text.
    pub fn whole(&mut self, name: &str) -> Option<u64> {
        self.typed(name, "a whole number from 0", |value| match value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        })
    }

    /// Reads a number from 0.
    pub fn number(&mut self, name: &str) -> Option<f64> {
        self.typed(name, "a number from 0", |value| {
            match value {
                Value::Number(number) => number.as_f64(),
                Value::String(text) => text.trim().parse().ok(),
                _ => None,
            }
            .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        })
    }

    /// Reads a list.
    pub fn list(&mut self, name: &str) -> Option<&'v Vec<Value>> {
        self.typed(name, "a list", Value::as_array)
    }

    /// Reads a list of strings. Numbers and booleans in it are converted to strings.
    pub fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let list = self.list(name)?;
        let mut texts = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            match scalar_text(item) {
                Some(text) => texts.push(text),
                None => {
                    let message = format!("each item of `{name}` must be text, not {}", describe(item));
                    self.faults.push(Fault::value(self.code, self.at(name).join(index), message));
                }
            }
        }
        Some(texts)
    }

    /// Reads a map.
    pub fn map(&mut self, name: &str) -> Option<&'v Map<String, Value>> {
        self.typed(name, "a map", Value::as_object)
    }

    /// Reads a map of strings. Numbers and booleans in it are converted to strings.
    pub fn text_map(&mut self, name: &str) -> Option<Vec<(String, String)>> {
        let map = self.map(name)?;
        let mut pairs = Vec::with_capacity(map.len());
        for (key, item) in map {
            match scalar_text(item) {
                Some(text) => pairs.push((key.clone(), text)),
                None => {
                    let message = format!("`{key}` in `{name}` must be text, not {}", describe(item));
                    self.faults.push(Fault::value(self.code, self.at(name).join(key), message));
                }
            }
        }
        Some(pairs)
    }

    /// Warns of each field that is not in `known`, and suggests a similar name.
    pub fn warn_unknown(&mut self, what: &str, known: &[&str]) {
        for name in self.map.keys().filter(|name| !known.contains(&name.as_str())) {
            let message = format!("{what} has no field `{name}`; it is ignored");
            let fault = Fault::key("unknown-field", self.at(name), message).warning();
            self.faults.push(fault.did_you_mean(nearest(name, known.iter().copied())));
        }
    }
}

/// A text, number or boolean as text; none for any other value.
pub fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::String(text) if text.len() <= 40 => format!("`{text}`"),
        Value::Number(number) => format!("`{number}`"),
        Value::Bool(flag) => format!("`{flag}`"),
        other => kind_of(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_wrong_type_is_a_fault_and_right_types_are_read() {
        let value =
            json!({"a": 1, "b": "45", "c": [1, {}], "d": null, "e": -1, "f": {"x": true}, "h": "maybe"});
        let mut faults = Vec::new();
        let mut fields = Fields::of(&value, Pointer::root(), "it", "wrong-type", &mut faults).unwrap();
        assert_eq!(fields.text("a"), None);
        assert_eq!(fields.whole("b"), Some(45));
        assert_eq!(fields.texts("c"), Some(vec!["1".to_owned()]));
        assert_eq!(fields.text("d"), None);
        assert_eq!(fields.whole("e"), None);
        assert_eq!(fields.text_map("f"), Some(vec![("x".to_owned(), "true".to_owned())]));
        assert_eq!(fields.boolean("h"), None);
        fields.warn_unknown("it", &["a", "b", "c", "d", "e", "f", "hh"]);
        let found: Vec<_> = faults.iter().map(|f| (f.pointer(), f.message.as_str())).collect();
        assert_eq!(
            found,
            [
                ("/a", "`a` must be text, not `1`"),
                ("/c/1", "each item of `c` must be text, not a map"),
                ("/e", "`e` must be a whole number from 0, not `-1`"),
                ("/h", "`h` must be true or false, not `maybe`"),
                ("/h", "it has no field `h`; it is ignored"),
            ]
        );
        assert!(!faults[4].is_error());
    }
}
