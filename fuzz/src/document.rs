//! Documents of users: agendas and registries in JSON and YAML, and descriptors. Each gives a plan or catalogue, or faults
//! with their places.

use super::choices::Choices;
use super::world::World;
use pop_agenda::{Agenda, Plan, RunOptions};
use pop_contract::LaunchType;
use pop_document::{Fault, Format, Place, PlacedFault, Pointer, Site, Source};
use pop_registry::{Catalog, Descriptor, NoRoute, RouteRequest, route};
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

/// The page that lists every fault code.
const CODES: &str = include_str!("../../docs/formats/exit-codes.md");

/// The catalogue for planning agendas.
static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    let text = br#"{"basePodConfig": {}, "pod": {"podConfig": {"imageName": "p:1"}},
        "probe": {"command": ["probe"], "policies": {"onFail": "SKIP", "retry": {"maxAttempts": 2}}}}"#;
    let mut faults = Vec::new();
    let catalog = Catalog::build(Some(&Source::new("r.json", text).unwrap()), &mut faults);
    assert_eq!(faults, []);
    catalog
});

/// A JSON agenda gives a plan or faults, the same ones read as JSON or as YAML.
pub fn agenda_json(bytes: &[u8]) {
    agenda("agenda.json", bytes);
}

/// A YAML agenda gives a plan or faults, the same ones when it is written as JSON.
pub fn agenda_yaml(bytes: &[u8]) {
    agenda("agenda.yaml", bytes);
}

/// A registry gives a catalogue or faults; the first byte selects JSON or YAML.
pub fn registry(bytes: &[u8]) {
    let Some((kind, text)) = bytes.split_first() else { return };
    let Some(source) = source(if kind % 2 == 0 { "r.json" } else { "r.yaml" }, text) else { return };
    let mut faults = Vec::new();
    let catalog = Catalog::build(Some(&source), &mut faults);
    check_faults(&source, &faults);
    for entry in catalog.entries() {
        for on in [LaunchType::Local, LaunchType::Docker, LaunchType::Kubernetes] {
            // a type with an entry is never reported as unknown
            let routed = route(&catalog, &RouteRequest::of_type(&entry.name, on));
            assert!(!matches!(routed, Err(NoRoute::UnknownType { .. })), "{routed:?}");
        }
    }
    if let Ok(value) = source.read() {
        check_value(&source, &value);
    }
}

/// A descriptor gives handlers or faults; each handler is found by type, action and id.
pub fn descriptor(bytes: &[u8]) {
    let Ok(source) = Source::ini("conf.d/x.conf", bytes) else { return };
    let descriptor = Descriptor::read(source.clone());
    check_faults(&source, descriptor.faults());
    let is_enabled = descriptor.is_enabled();
    let catalog = Catalog::assemble(None, vec![descriptor], &mut Vec::new());
    assert!(is_enabled || catalog.entries().next().is_none(), "a disabled descriptor has handlers");
    for entry in catalog.entries() {
        for action in entry.actions.iter().flatten() {
            let any = RouteRequest {
                action: Some(action),
                ..RouteRequest::of_type(&entry.name, LaunchType::Local)
            };
            let named = RouteRequest { handler: Some(&entry.id), ..any };
            assert!(route(&catalog, &any).is_ok(), "{any:?}");
            assert_eq!(route(&catalog, &named).unwrap().entry, Some(entry), "{named:?}");
        }
    }
    match source.read() {
        Ok(value) => check_value(&source, &value),
        Err(faults) => assert!(faults.iter().any(Fault::is_error), "refused without an error"),
    }
}

fn agenda(name: &str, bytes: &[u8]) {
    let Some(source) = source(name, bytes) else { return };
    let value = match source.read() {
        Ok(value) => value,
        Err(faults) => {
            assert!(faults.iter().any(Fault::is_error), "refused without an error");
            return check_faults(&source, &faults);
        }
    };
    check_value(&source, &value);
    let again = plan(value.clone()).1;
    let (plan, faults) = plan(value);
    assert_eq!(faults, again, "the faults of the same agenda differ");
    check_faults(&source, &faults);
    assert_eq!(plan.is_none(), faults.iter().any(Fault::is_error), "{faults:?}");
    if let Some(plan) = plan {
        let options = RunOptions { parallel: 2, ..RunOptions::default() };
        let mut world = World::begin(Arc::new(plan), options);
        world.play(&mut Choices(bytes));
        world.finish();
    }
}

fn plan(value: Value) -> (Option<Plan>, Vec<Fault>) {
    let mut faults = Vec::new();
    let plan = Agenda::parse(value, &mut faults)
        .and_then(|agenda| Plan::build(agenda, &CATALOG, LaunchType::Local, &mut faults));
    (plan, faults)
}

fn source(name: &str, bytes: &[u8]) -> Option<Source> {
    match Source::new(name, bytes) {
        Ok(source) => Some(source),
        Err(fault) => {
            assert_eq!(fault.code, "not-text");
            None
        }
    }
}

/// Each fault has a documented code, a place in the text, and a message that is safe to print.
fn check_faults(source: &Source, faults: &[Fault]) {
    let sites: Vec<_> = faults
        .iter()
        .flat_map(|fault| std::iter::once(&fault.site).chain(fault.related.iter().map(|(site, _)| site)))
        .collect();
    for (site, place) in sites.iter().zip(source.places(&sites)) {
        let Some(place) = place else {
            assert_eq!(**site, Site::Whole, "a site without a place");
            continue;
        };
        check_place(source, &place);
        if let Site::Within(pointer, part) = site {
            let value = source.places(&[&Site::Value(pointer.clone())]).remove(0).unwrap();
            let found = &source.text()[place.bytes.clone()];
            assert!(found == part || place == value, "{site:?} is at {found}");
            if source.format() == Format::Json {
                assert!(
                    place.bytes.start >= value.bytes.start && place.bytes.end <= value.bytes.end,
                    "{site:?}"
                );
            }
        }
    }
    for fault in faults {
        assert!(CODES.contains(&format!("`{}`", fault.code)), "`{}` is not documented", fault.code);
        assert!(!fault.message.is_empty());
    }
    let mut last = 0;
    for placed in PlacedFault::all(source, faults) {
        let start = placed.place.as_ref().map_or(0, |place| place.bytes.start);
        assert!(last <= start, "faults are not in the order of the text");
        last = start;
        let printed = placed.render(source);
        let line =
            placed.place.as_ref().map(|place| format!("{}:{}:{}", source.name(), place.line, place.column));
        assert!(printed.contains(&line.unwrap_or_else(|| source.name().to_owned())), "{printed}");
        assert!(!has_control(&printed), "control characters reach the terminal: {printed:?}");
    }
}

/// Whether a text has control characters other than colours and line ends.
fn has_control(text: &str) -> bool {
    let mut parts = text.split("\u{1b}[");
    let plain = parts.next().into_iter().chain(parts.map(|part| match part.split_once('m') {
        Some((colour, plain)) if colour.chars().all(|c| c.is_ascii_digit() || c == ';') => plain,
        _ => "\u{1b}",
    }));
    plain.into_iter().any(|plain| plain.chars().any(|c| c.is_control() && c != '\n'))
}

/// Line and column agree with the byte range, which lies in the text.
fn check_place(source: &Source, place: &Place) {
    let text = source.text();
    assert!(text.get(place.bytes.clone()).is_some(), "{place:?} of {} bytes", text.len());
    let before = &text[..place.bytes.start];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let counted = (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1);
    assert_eq!((place.line, place.column), counted);
}

/// Each value that was read has a place, and the whole value reads the same when it is written in either format.
fn check_value(source: &Source, value: &Value) {
    let mut pointers = Vec::new();
    list(value, &mut Pointer::root(), &mut pointers);
    let sites: Vec<_> = pointers
        .iter()
        .flat_map(|pointer| [Site::Value(pointer.clone()), Site::Key(pointer.clone())])
        .collect();
    let places = source.places(&sites.iter().collect::<Vec<_>>());
    for (site, place) in sites.iter().zip(places) {
        assert!(place.is_some(), "no place for {site:?}");
        let Some(place) = place else { continue };
        check_place(source, &place);
        let written = &source.text()[place.bytes];
        let leaf = value.pointer(site.pointer()).filter(|value| !value.is_object() && !value.is_array());
        match (site, leaf, source.format()) {
            (Site::Value(_), Some(leaf), Format::Json) => {
                assert_eq!(serde_json::from_str::<Value>(written).ok().as_ref(), Some(leaf), "at {site:?}");
            }
            // a merged value has the place of the merge, and a tag may decode the text
            (Site::Value(_), Some(Value::String(leaf)), Format::Yaml)
                if is_plain(leaf) && is_plain(written) && !source.text().contains(['<', '!']) =>
            {
                assert_eq!(written, leaf, "at {site:?}");
            }
            _ => {}
        }
    }
    let mut written = String::new();
    write(value, &mut written);
    // YAML refuses keys of more than 1024 characters; an escape has six
    let step_len = |pointer: &Pointer| pointer.as_str().rsplit('/').next().map_or(0, str::len);
    let is_yaml = pointers.iter().all(|pointer| 6 * step_len(pointer) <= 1_000);
    for name in ["written.json", "written.yaml"].into_iter().take(1 + usize::from(is_yaml)) {
        let read = Source::new(name, written.as_bytes()).unwrap().read();
        assert_eq!(read.as_ref(), Ok(value), "{name}: {written}");
    }
}

/// Whether a YAML text has no quotes, escapes or other syntax.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric())
}

fn list(value: &Value, at: &mut Pointer, into: &mut Vec<Pointer>) {
    into.push(at.clone());
    let depth = at.len();
    let mut below = |step: &str, value: &Value| {
        at.push(step);
        list(value, at, into);
        at.truncate(depth);
    };
    match value {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| below(&index.to_string(), item));
        }
        Value::Object(members) => members.iter().for_each(|(key, member)| below(key, member)),
        _ => {}
    }
}

/// Writes JSON that is also valid YAML: characters that YAML does not accept directly are escaped.
fn write(value: &Value, into: &mut String) {
    let text = |text: &str, into: &mut String| {
        into.push('"');
        for character in text.chars() {
            match character {
                '"' | '\\' => into.extend(['\\', character]),
                ' '..='~' | '\u{10000}'.. => into.push(character),
                // below U+10000 four digits are enough; YAML has no surrogate pairs
                other => write!(into, "\\u{:04x}", u32::from(other)).unwrap(),
            }
        }
        into.push('"');
    };
    match value {
        Value::String(string) => text(string, into),
        Value::Array(items) => {
            into.push('[');
            for (index, item) in items.iter().enumerate() {
                into.push_str(if index > 0 { ", " } else { "" });
                write(item, into);
            }
            into.push(']');
        }
        Value::Object(members) => {
            into.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                into.push_str(if index > 0 { ", " } else { "" });
                text(key, into);
                into.push_str(": ");
                write(member, into);
            }
            into.push('}');
        }
        scalar => into.push_str(&scalar.to_string()),
    }
}
