//! A payload that is a string or a list of strings: its texts, with every inserted value quoted.

use super::{BindError, Hole, Part, Payload, Values};
use pop_document::{Pointer, kind_of};
use serde_json::Value;

impl Payload {
    /// The texts with their places, and whether they have references. `inserted` stands in place of each reference.
    pub(crate) fn texts<'p>(
        &'p self,
        inserted: &'p str,
    ) -> impl Iterator<Item = (Pointer, String, bool)> + 'p {
        let part = move |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Reference(..) => inserted.to_owned(),
        };
        self.places().filter_map(move |(pointer, text, hole)| {
            Some(match hole {
                Some(hole) => (pointer, hole.parts.iter().map(part).collect(), true),
                None => (pointer, text?.to_owned(), false),
            })
        })
    }

    /// The texts after their references were replaced by quoted values. A reference alone to a list gives one text for
    /// each item, one to null gives none.
    pub(crate) fn bind_texts(
        &self,
        values: &Values<'_>,
        quote: fn(&str) -> String,
    ) -> Result<Vec<Box<str>>, BindError> {
        let mut texts: Vec<Box<str>> = Vec::new();
        for (_, text, hole) in self.places() {
            match hole {
                Some(hole) => hole.add_texts(values, quote, &mut texts)?,
                None => texts.extend(text.map(Box::from)),
            }
        }
        Ok(texts)
    }

    /// The string, or the items of the list, with their places and references.
    fn places(&self) -> impl Iterator<Item = (Pointer, Option<&str>, Option<&Hole>)> {
        let (alone, items) = match &*self.value {
            Value::Array(items) => (None, items.as_slice()),
            other => (Some((Pointer::root(), other.as_str())), &[][..]),
        };
        let items =
            items.iter().enumerate().map(|(index, item)| (Pointer::root().join(index), item.as_str()));
        // in the same order
        let mut holes = self.holes.iter().peekable();
        alone.into_iter().chain(items).map(move |(pointer, text)| {
            let hole = holes.next_if(|hole| hole.pointer == pointer);
            (pointer, text, hole)
        })
    }
}

impl Hole {
    fn add_texts(
        &self,
        values: &Values<'_>,
        quote: fn(&str) -> String,
        texts: &mut Vec<Box<str>>,
    ) -> Result<(), BindError> {
        if let [Part::Reference(token, referent)] = self.parts.as_slice() {
            let items = match self.look_up(token, *referent, values)? {
                Value::Array(items) => items,
                Value::Null if token.fallback.is_some() => Vec::new(),
                other => vec![other],
            };
            for item in items {
                let problem = || self.error(token, format!("refers to {}, not to a file", kind_of(&item)));
                texts.push(quote(&scalar(&item).ok_or_else(problem)?).into());
            }
            return Ok(());
        }
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Reference(token, referent) => {
                    let value = self.look_up(token, *referent, values)?;
                    let problem = || {
                        let problem =
                            format!("refers to {}, which cannot be used inside text", kind_of(&value));
                        self.error(token, problem)
                    };
                    text.push_str(&quote(&scalar(&value).ok_or_else(problem)?));
                }
            }
        }
        texts.push(text.into());
        Ok(())
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(_) | Value::Object(_) | Value::Null => None,
        other => Some(other.to_string()),
    }
}
