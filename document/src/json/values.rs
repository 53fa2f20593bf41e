//! Builds values from JSON, and hands the elements of a long list over one by one.

use crate::Element;
use crate::limits::MAX_DEPTH;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

/// A list of the root whose elements are handed over one by one.
pub(super) struct ElementList<'t> {
    key: &'t str,
    /// Name of the member that is apart, if one is.
    member: Option<&'t str>,
    each: RefCell<&'t mut dyn FnMut(Element)>,
    /// The member of the element that is being read.
    found: Cell<Option<Arc<Value>>>,
    /// Text and value of the last member.
    latest: RefCell<Option<(&'t str, Arc<Value>)>>,
}

impl<'t> ElementList<'t> {
    pub(super) fn new(key: &'t str, member: Option<&'t str>, each: &'t mut dyn FnMut(Element)) -> Self {
        let (found, latest) = (Cell::default(), RefCell::default());
        Self { key, member, each: RefCell::new(each), found, latest }
    }

    fn hand_over(&self, value: Value) {
        (self.each.borrow_mut())(Element { value, member: self.found.take() });
    }

    /// Takes the member of an element. Its text is parsed if it differs from that of the last one.
    fn take_member(&self, text: &'t str, seed: ValueSeed<'_, 't>) -> serde_json::Result<()> {
        let mut latest = self.latest.borrow_mut();
        let known = latest.as_ref().filter(|(known, _)| *known == text).map(|(_, value)| Arc::clone(value));
        let reader = seed.reader;
        let value = match known {
            Some(value) => value,
            None => {
                let value = Arc::new(seed.deserialize(&mut serde_json::Deserializer::from_str(text))?);
                Arc::clone(&latest.insert((text, value)).1)
            }
        };
        if self.found.replace(Some(value)).is_some() {
            reader.has_duplicates.set(true);
        }
        Ok(())
    }
}

/// What the values of one text have in common.
#[derive(Default)]
pub(super) struct ValueReader<'t> {
    /// Whether a map has a duplicate key.
    pub(super) has_duplicates: Cell<bool>,
    /// Whether a number is no 64-bit integer. Only such a number can be too long or print differently.
    pub(super) has_floats: Cell<bool>,
    /// A list whose elements are not stored.
    list: Option<ElementList<'t>>,
}

impl<'t> ValueReader<'t> {
    /// Hands over the elements of a list.
    pub(super) fn of_list(list: ElementList<'t>) -> Self {
        Self { list: Some(list), ..Self::default() }
    }
}

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SeedPlace {
    Root,
    /// The list whose elements are not stored.
    List,
    Element,
    Inside,
}

/// Builds a value.
pub(super) struct ValueSeed<'s, 't> {
    reader: &'s ValueReader<'t>,
    place: SeedPlace,
    /// Number of lists and maps around the value.
    depth: usize,
}

impl<'s, 't> ValueSeed<'s, 't> {
    /// Builds the root of a document.
    pub(super) fn root(reader: &'s ValueReader<'t>) -> Self {
        Self { reader, place: SeedPlace::Root, depth: 0 }
    }

    fn inside(&self, place: SeedPlace) -> Self {
        Self { reader: self.reader, place, depth: self.depth + 1 }
    }

    /// The seed for a member of a map.
    fn member(&self, key: &str) -> Self {
        let is_list = self.place == SeedPlace::Root && self.list().is_some_and(|list| list.key == key);
        self.inside(if is_list { SeedPlace::List } else { SeedPlace::Inside })
    }

    fn list(&self) -> Option<&ElementList<'t>> {
        self.reader.list.as_ref()
    }

    /// The parser of a member starts anew and does not count what is around it.
    fn check_depth<E: Error>(&self) -> Result<(), E> {
        if self.depth < MAX_DEPTH { Ok(()) } else { Err(E::custom("too deep")) }
    }
}

impl<'de: 't, 't> DeserializeSeed<'de> for ValueSeed<'_, 't> {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de: 't, 't> Visitor<'de> for ValueSeed<'_, 't> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }
    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        self.reader.has_floats.set(true);
        Ok(Number::from_f64(number).map_or(Value::Null, Value::Number))
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }
    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let list = self.list().filter(|_| self.place == SeedPlace::List);
        let place = if list.is_some() { SeedPlace::Element } else { SeedPlace::Inside };
        let mut stored = Vec::new();
        while let Some(item) = items.next_element_seed(self.inside(place))? {
            match list {
                Some(list) => list.hand_over(item),
                None => stored.push(item),
            }
        }
        Ok(Value::Array(stored))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.check_depth()?;
        let list = self.list().filter(|_| self.place == SeedPlace::Element);
        let mut map = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            if let Some(list) = list.filter(|list| list.member == Some(key.as_str())) {
                let text = members.next_value::<&'de RawValue>()?.get();
                list.take_member(text, self.inside(SeedPlace::Inside)).map_err(A::Error::custom)?;
                continue;
            }
            let value = members.next_value_seed(self.member(&key))?;
            if map.insert(key, value).is_some() {
                self.reader.has_duplicates.set(true);
            }
        }
        Ok(Value::Object(map))
    }
}
