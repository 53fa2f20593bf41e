//! What a pointer leads to in a value of which only the schema is known.

use super::{DEEPEST, Kinds, Schema};
use pop_document::{Pointer, nearest};

/// Whether there is something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Always.
    Always,
    /// In some values that fit the schema, and not in others; with the step that may lead nowhere.
    Sometimes(String),
    /// Never: with the step that leads nowhere, and the name that was perhaps meant.
    Never {
        /// The step that leads nowhere.
        step: String,
        /// The name nearest to it.
        near: Option<String>,
    },
}

/// What a pointer leads to.
#[derive(Debug, Clone)]
pub struct Followed<'s> {
    /// Whether there is something.
    pub presence: Presence,
    /// What it is: it fits one of these. Empty if nothing is known of it.
    pub schemas: Vec<Schema<'s>>,
}

impl<'s> Schema<'s> {
    /// Follows a pointer into a value that fits this schema.
    pub fn follow(self, pointer: &Pointer) -> Followed<'s> {
        if pointer.as_str().split('/').nth(DEEPEST + 1).is_some() {
            return Followed { presence: Presence::Always, schemas: Vec::new() };
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
                        // the same one by several ways is one
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
                return Followed { presence: presence(sometimes), schemas: Vec::new() };
            }
            if next.is_empty() {
                let near = nearest(&name, names).map(str::to_owned);
                return Followed { presence: Presence::Never { step: walked, near }, schemas: Vec::new() };
            }
            if is_missing {
                sometimes.get_or_insert_with(|| walked.clone());
            }
            here = next;
        }
        Followed { presence: presence(sometimes), schemas: here }
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
        // one of several parts that must all hold may name it
        let part = self.list("allOf").map(Self::resolved).find_map(|part| Some((part, part.property(name)?)));
        match (part, self.other_properties()) {
            (Some((part, property)), _) => Step::To(property, is_sure_kind && part.requires(name)),
            (None, Some(more)) if !has_parts => Step::To(more, false),
            _ => Step::Unknown,
        }
    }
}

enum Step<'s> {
    /// To what fits this schema; surely, or in some values only.
    To(Schema<'s>, bool),
    Nowhere,
    Unknown,
}

fn presence(sometimes: Option<String>) -> Presence {
    sometimes.map_or(Presence::Always, Presence::Sometimes)
}
