//! The schema at a pointer in a value that does not exist yet.

use super::{DEEPEST, Kinds, Schema};
use pop_document::{Pointer, nearest};

/// Whether values have something at a pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// All values have it.
    Always,
    /// Some values have it; with the step that may be missing.
    Sometimes(String),
    /// No value has it.
    Never {
        /// The step that does not exist.
        step: String,
        /// The most similar name that exists; none if there is no similar one.
        near: Option<String>,
    },
}

/// The target of a pointer.
#[derive(Debug, Clone)]
pub struct PointerTarget<'s> {
    /// Whether values have something at a pointer.
    pub presence: Presence,
    /// Schemas of which the target fits one; empty if nothing is known.
    pub schemas: Vec<Schema<'s>>,
}

impl<'s> Schema<'s> {
    /// Follows a pointer into a value that fits this schema.
    pub fn follow(self, pointer: &Pointer) -> PointerTarget<'s> {
        if pointer.as_str().split('/').nth(DEEPEST + 1).is_some() {
            return PointerTarget { presence: Presence::Always, schemas: Vec::new() };
        }
        let mut here = vec![self];
        let mut sometimes = None;
        let mut walked = String::new();
        for step in pointer.as_str().split('/').skip(1) {
            let name = step.replace("~1", "/").replace("~0", "~");
            walked = format!("{walked}/{step}");
            let mut next: Vec<Self> = Vec::new();
            let (mut is_open, mut is_missing) = (false, false);
            let mut names = Vec::new();
            for schema in here.iter().flat_map(|schema| schema.alternatives()) {
                match schema.step(&name) {
                    Step::To(schema, is_sure) => {
                        // several paths may lead to the same schema
                        if !next.iter().any(|known| std::ptr::eq(known.node, schema.node)) {
                            next.push(schema);
                        }
                        is_missing |= !is_sure;
                    }
                    Step::Unknown => is_open = true,
                    Step::Nowhere => {
                        is_missing = true;
                        names.extend(schema.properties().map(|(name, _)| name));
                    }
                }
            }
            if is_open {
                return PointerTarget { presence: presence(sometimes), schemas: Vec::new() };
            }
            if next.is_empty() {
                let near = nearest(&name, names).map(str::to_owned);
                return PointerTarget {
                    presence: Presence::Never { step: walked, near },
                    schemas: Vec::new(),
                };
            }
            if is_missing {
                sometimes.get_or_insert_with(|| walked.clone());
            }
            here = next;
        }
        PointerTarget { presence: presence(sometimes), schemas: here }
    }

    fn step(self, name: &str) -> Step<'s> {
        let kinds = self.kinds();
        let has_parts = self.list("allOf").next().is_some();
        if kinds.and(Kinds::MAP.or(Kinds::LIST)).is_none() {
            return Step::Nowhere;
        }
        let is_sure_kind = Kinds::MAP.has(kinds) || Kinds::LIST.has(kinds);
        if let (true, Ok(index)) = (kinds.has(Kinds::LIST), name.parse::<usize>()) {
            let at_least = self.limit("minItems").unwrap_or_default() as usize;
            let at_most = self.limit("maxItems").map_or(usize::MAX, |most| most as usize);
            return match self.item(index) {
                _ if index >= at_most => Step::Nowhere,
                Some(item) => Step::To(item, is_sure_kind && index < at_least),
                None => Step::Unknown,
            };
        }
        if !kinds.has(Kinds::MAP) {
            return Step::Nowhere;
        }
        if let Some(property) = self.property(name) {
            return Step::To(property, is_sure_kind && self.requires(name));
        }
        if self.is_closed() {
            return Step::Nowhere;
        }
        // any part of `allOf` may list the property
        let part = self.list("allOf").map(Self::resolved).find_map(|part| Some((part, part.property(name)?)));
        match (part, self.other_properties()) {
            (Some((part, property)), _) => Step::To(property, is_sure_kind && part.requires(name)),
            (None, Some(more)) if !has_parts => Step::To(more, false),
            _ => Step::Unknown,
        }
    }
}

enum Step<'s> {
    /// The schema of the step, and whether all values have it.
    To(Schema<'s>, bool),
    Nowhere,
    Unknown,
}

fn presence(sometimes: Option<String>) -> Presence {
    sometimes.map_or(Presence::Always, Presence::Sometimes)
}
