//! Descriptors: INI files that declare handlers for types. Each is loaded or rejected independently.

use pop_contract::Capability;

use crate::entry::{DescriptorFields, Entry};
use crate::warm;
use pop_document::{Fault, Fields, Pointer, Site, Source, secret_literals};
use pop_policy::HandlerPolicies;
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::sync::Arc;

const MAIN: &str = "main";
const TYPES: &str = "types";
/// A section whose keys other parsers apply to every section.
const DEFAULT: &str = "DEFAULT";
const CLASS: &str = "class";
/// Optional prefix of a property's name.
const PARAMETER: &str = "parameter.";

/// One descriptor, with its handlers and faults.
#[derive(Debug, Clone)]
pub struct Descriptor {
    source: Source,
    is_enabled: bool,
    pub(crate) overrides: bool,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) faults: Vec<Fault>,
}

impl Descriptor {
    /// Reads a descriptor. A fault in `[main]` or in the syntax rejects the whole descriptor; any other fault rejects one
    /// type.
    pub fn read(source: Source) -> Self {
        let mut faults = Vec::new();
        let contents = read_contents(&source, &mut faults);
        let DescriptorContents { is_enabled, overrides, entries } = contents.unwrap_or_default();
        Self { source, is_enabled, overrides, entries: entries.into_iter().map(Arc::new).collect(), faults }
    }

    /// A descriptor whose file cannot be read.
    pub fn unreadable(name: impl Into<String>, fault: Fault) -> Self {
        let source = Source::empty(name);
        Self { source, is_enabled: false, overrides: false, entries: Vec::new(), faults: vec![fault] }
    }

    /// The name: the file name without `.conf`.
    pub fn name(&self) -> &str {
        name_of(&self.source)
    }

    /// The text of the descriptor.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether the descriptor is enabled and loaded.
    pub fn is_enabled(&self) -> bool {
        self.is_enabled
    }

    /// The faults of the descriptor.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The type that a fault rejects; none if it rejects the whole descriptor.
    pub fn type_of(fault: &Fault) -> Option<String> {
        match &fault.site {
            Site::Within(at, named) if at.as_str().starts_with("/types/") => Some(named.clone()),
            site => {
                let step = site.pointer().split('/').nth(1)?;
                let section = step.replace("~1", "/").replace("~0", "~");
                (![MAIN, TYPES, DEFAULT].contains(&section.as_str())).then_some(section)
            }
        }
    }

    pub(crate) fn is_faulty(&self) -> bool {
        self.faults.iter().any(Fault::is_error)
    }

    /// The handlers of this descriptor with the text and faults of its faulty new version.
    pub(crate) fn with_faults_of(&self, other: Self) -> Self {
        Self { source: other.source, faults: other.faults, ..self.clone() }
    }
}

fn name_of(source: &Source) -> &str {
    let file = source.name().rsplit('/').next().unwrap_or_default();
    file.strip_suffix(".conf").unwrap_or(file)
}

/// The contents of an enabled descriptor.
#[derive(Default)]
struct DescriptorContents {
    is_enabled: bool,
    overrides: bool,
    entries: Vec<Entry>,
}

/// Reads the contents; none if the descriptor is rejected or disabled.
fn read_contents(source: &Source, faults: &mut Vec<Fault>) -> Option<DescriptorContents> {
    let root = source.read().map_err(|found| faults.extend(found)).ok()?;
    // search the parsed values, because the search does not know INI syntax
    secret_literals(&root.to_string(), &root, "let the handler read it from its environment", faults);
    let mut sections = Fields::of(&root, Pointer::root(), "a descriptor", "wrong-type", faults)?;
    let main = required(&mut sections, MAIN, "enabled=1")?;
    let mut main = Fields::of_map(main, sections.at(MAIN), "wrong-value", sections.faults());
    main.warn_unknown("section `[main]`", &["enabled", "override"]);
    let overrides = switch(&mut main, "override");
    let is_enabled = switch(&mut main, "enabled").or_else(|| {
        if main.any("enabled").is_none() {
            let fault = Fault::value("missing-field", main.pointer(), "`[main]` has no `enabled`");
            main.faults().push(fault.hint("add `enabled=1`"));
        }
        None
    });
    if overrides.is_none() && main.any("override").is_some() {
        return None;
    }
    if !is_enabled? {
        return None;
    }
    required(&mut sections, TYPES, "content=TYPE,TYPE")?;
    if sections.any(DEFAULT).is_some() {
        let message = "section `[DEFAULT]` is not supported: other parsers apply its keys to every section";
        let fault = Fault::key("unsupported", sections.at(DEFAULT), message);
        sections.faults().push(fault.hint("move its keys to the sections that need them"));
    }
    let entries = entries(name_of(source), &root, faults);
    Some(DescriptorContents { is_enabled: true, overrides: overrides.unwrap_or_default(), entries })
}

/// A required section.
fn required<'v>(sections: &mut Fields<'v, '_>, name: &str, example: &str) -> Option<&'v Map<String, Value>> {
    let section = sections.map(name);
    if section.is_none() {
        let message = format!("the descriptor has no section `[{name}]`");
        let fault = Fault::value("missing-field", Pointer::root(), message);
        sections.faults().push(fault.hint(format!("add `[{name}]` with a line such as `{example}`")));
    }
    section
}

/// Reads a boolean in any spelling; another word is a fault.
fn switch(fields: &mut Fields<'_, '_>, name: &str) -> Option<bool> {
    let word = fields.text(name)?;
    let is_on = boolean(word);
    if is_on.is_none() {
        let message = format!("`{name}` must be 1, true, yes or on, or 0, false, no or off, not `{word}`");
        let at = fields.at(name);
        fields.faults().push(Fault::value("wrong-value", at, message));
    }
    is_on
}

fn boolean(word: &str) -> Option<bool> {
    let is_one_of = |words: [&str; 4]| words.iter().any(|known| known.eq_ignore_ascii_case(word));
    match () {
        () if is_one_of(["1", "true", "yes", "on"]) => Some(true),
        () if is_one_of(["0", "false", "no", "off"]) => Some(false),
        () => None,
    }
}

/// The handlers of all types in `[types]`.
fn entries(descriptor: &str, root: &Value, faults: &mut Vec<Fault>) -> Vec<Entry> {
    let mut found: Vec<Entry> = Vec::new();
    let mut listed = HashSet::from([MAIN, TYPES]);
    let at = Pointer::root().join(TYPES);
    for capability in Capability::ALL {
        let list = root[TYPES][capability.as_str()].as_str().unwrap_or_default();
        let mut own = HashSet::new();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !own.insert(name) {
                continue;
            }
            // a type of two capabilities has one section, so report its faults once
            let mut new = Vec::new();
            match root.get(name).and_then(Value::as_object) {
                Some(section) => found.extend(entry(descriptor, capability, name, section, &mut new)),
                None => {
                    let site = Site::Within(at.join(capability), name.to_owned());
                    let message = format!("type `{name}` is listed, but section `[{name}]` is missing");
                    new.push(Fault::new("missing-field", site, message));
                }
            }
            if listed.insert(name) {
                faults.extend(new);
            }
        }
    }
    if let Some(types) = root[TYPES].as_object() {
        check_lists(types, at, faults);
    }
    listed.insert(DEFAULT);
    for section in root.as_object().into_iter().flatten().map(|(name, _)| name) {
        if !listed.contains(section.as_str()) {
            let message = format!("no list in `[types]` names `{section}`; the section is ignored");
            faults.push(Fault::key("unknown-field", Pointer::root().join(section), message).warning());
        }
    }
    found
}

/// Warns of unknown lists in `[types]`.
fn check_lists(types: &Map<String, Value>, at: Pointer, faults: &mut Vec<Fault>) {
    // name of the `bind` list in existing files of this format; it has no effect here, so it is not suggested
    const DISTRIBUTOR: &str = "distributor";
    let known = [Capability::Content.as_str(), Capability::Bind.as_str(), Capability::System.as_str()];
    if types.contains_key(DISTRIBUTOR) {
        let message = format!("section `[types]` has no list `{DISTRIBUTOR}`; it is ignored");
        let fault = Fault::key("unknown-field", at.join(DISTRIBUTOR), message).warning();
        faults.push(fault.did_you_mean(Some(Capability::Bind.as_str())));
    }
    let mut others = types.clone();
    others.remove(DISTRIBUTOR);
    Fields::of_map(&others, at, "wrong-value", faults).warn_unknown("section `[types]`", &known);
}

/// The handler that a section declares.
fn entry(
    descriptor: &str,
    capability: Capability,
    name: &str,
    section: &Map<String, Value>,
    faults: &mut Vec<Fault>,
) -> Option<Entry> {
    let at = Pointer::root().join(name);
    let class = section.get(CLASS).and_then(Value::as_str).filter(|class| !class.is_empty());
    let Some(class) = class else {
        let fault = Fault::value("missing-field", at, format!("section `[{name}]` has no `{CLASS}`"));
        faults.push(fault.hint("set `class` to a program or a built-in type such as `sample`"));
        return None;
    };
    let mut section = section.clone();
    let warm =
        warm::take_of_section(&mut section, boolean).map(|warm| Map::from_iter([("warm".to_owned(), warm)]));
    let warm =
        warm.and_then(|warm| warm::read(&mut Fields::of_map(&warm, at.clone(), "wrong-value", faults)));
    let (policies, properties): (Map<_, _>, Map<_, _>) =
        section.into_iter().partition(|(key, _)| HandlerPolicies::is_policy(key));
    let policies = policies.into_iter().map(|(key, value)| {
        // a boolean has more spellings here than in params
        let is_switch = ["cache.use", "cache.write", "logDetail"].iter().any(|end| key.ends_with(end));
        let value = match value.as_str().and_then(boolean).filter(|_| is_switch) {
            Some(is_on) => Value::Bool(is_on),
            None => value,
        };
        (key, value)
    });
    let mut unprefixed: Vec<(String, String)> = Vec::new();
    for (key, value) in &properties {
        let property = key.strip_prefix(PARAMETER).filter(|name| !name.is_empty()).unwrap_or(key);
        if unprefixed.iter().any(|(name, _)| name == property) {
            let message = format!("`{property}` and `{PARAMETER}{property}` are the same property");
            faults.push(Fault::key("duplicate-key", at.join(key), message));
        }
        unprefixed.push((property.to_owned(), value.as_str().unwrap_or_default().to_owned()));
    }
    Some(Entry {
        id: format!("{descriptor}/{capability}.{name}"),
        name: name.to_owned(),
        command: Some(vec![class.to_owned()]),
        properties: unprefixed,
        policies: HandlerPolicies::parse(&Value::Object(policies.collect()), &at, faults),
        warm,
        actions: Some(capability.actions().iter().map(|action| (*action).to_owned()).collect()),
        descriptor: Some(DescriptorFields {
            descriptor: descriptor.to_owned(),
            capability,
            class: class.to_owned(),
        }),
        ..Entry::default()
    })
}

#[cfg(test)]
mod tests;
