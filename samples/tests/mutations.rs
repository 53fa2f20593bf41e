//! What the media handlers take and give, changed field by field: exactly the references that it concerns are told.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda::{Agenda, Plan};
use pop_contract::LaunchType;
use pop_document::{Fault, Site, Source};
use pop_handler_base::{Description, describe};
use pop_registry::Catalog;
use pop_samples::{FilmstripHandler, PackageHandler, ProbeHandler, ThumbnailHandler, TranscodeHandler};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const AGENDA: &[u8] = include_bytes!("../agendas/media.json");
const REGISTRY: &[u8] = include_bytes!("../registry.json");

type Descriptions = BTreeMap<&'static str, Description>;

fn descriptions() -> Descriptions {
    BTreeMap::from([
        ("probe", describe(&ProbeHandler)),
        ("transcode", describe(&TranscodeHandler)),
        ("thumbnail", describe(&ThumbnailHandler)),
        ("filmstrip", describe(&FilmstripHandler)),
        ("package", describe(&PackageHandler)),
    ])
}

/// The places in the agenda at which something is told.
fn told(descriptions: &Descriptions) -> BTreeSet<String> {
    let mut faults = Vec::new();
    let registry = Source::new("registry.json", REGISTRY).unwrap();
    let mut catalog = Catalog::build(Some(&registry), &mut faults);
    for (name, description) in descriptions {
        catalog.describe(name, description.clone());
    }
    let root = Source::new("media.json", AGENDA).unwrap().read().unwrap();
    let agenda = Agenda::parse(root, &mut faults).unwrap();
    Plan::build(agenda, &catalog, LaunchType::Local, &mut faults);
    let place = |fault: &Fault| match &fault.site {
        Site::Key(at) => format!("{at} (its name)", at = at.as_str()),
        site => site.pointer().to_owned(),
    };
    faults.iter().map(place).collect()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Rename,
    Retype,
    MakeOptional,
}

fn changed(schema: &mut Value, field: &str, change: Change) {
    let drop_required = |schema: &mut Value| {
        if let Some(required) = schema["required"].as_array_mut() {
            required.retain(|name| name != field);
        }
    };
    match change {
        Change::Rename => {
            let property = schema["properties"].as_object_mut().unwrap().remove(field).unwrap();
            schema["properties"]["renamed"] = property;
            if schema["required"].as_array().is_some_and(|all| all.contains(&json!(field))) {
                drop_required(schema);
                schema["required"].as_array_mut().unwrap().push(json!("renamed"));
            }
        }
        Change::Retype => schema["properties"][field] = json!({"type": "boolean"}),
        Change::MakeOptional => drop_required(schema),
    }
}

/// The operations of the agenda: place, type, payload.
fn operations() -> Vec<(String, String, Value)> {
    let agenda: Value = serde_json::from_slice(AGENDA).unwrap();
    let operations = agenda["operations"].as_array().unwrap().clone();
    let one = |(index, operation): (usize, Value)| {
        let handler_type = operation["type"].as_str().unwrap().to_owned();
        (format!("/operations/{index}/payload"), handler_type, operation["payload"].clone())
    };
    operations.into_iter().enumerate().map(one).collect()
}

/// Every reference of the agenda: its place, the type that it reads, and the field, if not the whole result.
fn references() -> Vec<(String, String, Option<String>)> {
    let agenda: Value = serde_json::from_slice(AGENDA).unwrap();
    let type_of = |name: &str| {
        let all = agenda["operations"].as_array().unwrap();
        let found = all.iter().find(|operation| operation["name"] == name).unwrap();
        found["type"].as_str().unwrap().to_owned()
    };
    let mut found = Vec::new();
    for (place, _, payload) in operations() {
        let strings = payload.as_object().unwrap().iter().flat_map(|(key, value)| match value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (format!("/{key}/{index}"), item.clone()))
                .collect(),
            value => vec![(format!("/{key}"), value.clone())],
        });
        for (at, text) in strings {
            let Some(inner) = text.as_str().and_then(|text| text.strip_prefix("@<")?.strip_suffix('>'))
            else {
                continue;
            };
            let (name, path) = inner.split_once("::").unwrap_or((inner, ""));
            let field = path.trim_start_matches('/').split('?').next().filter(|field| !field.is_empty());
            found.push((
                format!("{place}{at}"),
                type_of(name.strip_suffix(".out").unwrap()),
                field.map(str::to_owned),
            ));
        }
    }
    assert_eq!(found.len(), 9, "{found:?}");
    found
}

#[test]
fn as_they_are_nothing_is_told() {
    assert_eq!(told(&descriptions()), BTreeSet::new());
}

#[test]
fn a_changed_result_concerns_those_who_read_it() {
    let originals = descriptions();
    // whoever reads a whole result of `transcode` is `package`, which takes these fields of it
    let rendition = &originals["package"].input.as_ref().unwrap()["$defs"]["Rendition"];
    let is_required =
        |field: &str| rendition["required"].as_array().unwrap().iter().any(|name| name == field);
    let is_taken = |field: &str| rendition["properties"].get(field).is_some();
    let mut mutations = 0;
    for (handler_type, original) in &originals {
        let result = original.result.as_ref().unwrap();
        for field in result["properties"].as_object().unwrap().keys() {
            for change in [Change::Rename, Change::Retype, Change::MakeOptional] {
                let mut described = originals.clone();
                changed(described.get_mut(handler_type).unwrap().result.as_mut().unwrap(), field, change);
                let was_optional =
                    !result["required"].as_array().is_some_and(|all| all.iter().any(|name| name == field));
                let concerns = |(_, read, part): &&(String, String, Option<String>)| {
                    let has_fallback = field == "durationSeconds";
                    read == handler_type
                        && match (part, change) {
                            (Some(part), Change::MakeOptional) => {
                                part == field && !was_optional && !has_fallback
                            }
                            (Some(part), _) => part == field,
                            (None, Change::Retype) => is_taken(field),
                            (None, Change::MakeOptional) => is_required(field) && !was_optional,
                            (None, Change::Rename) => is_required(field),
                        }
                };
                let expected: BTreeSet<String> =
                    references().iter().filter(concerns).map(|(place, ..)| place.clone()).collect();
                assert_eq!(
                    told(&described),
                    expected,
                    "{change:?} `{field}` of the result of `{handler_type}`"
                );
                mutations += 1;
            }
        }
    }
    assert!(mutations > 60, "{mutations}");
}

#[test]
fn a_changed_payload_concerns_those_who_give_it() {
    let originals = descriptions();
    for (handler_type, original) in &originals {
        let input = original.input.as_ref().unwrap();
        for field in input["properties"].as_object().unwrap().keys() {
            for change in [Change::Rename, Change::Retype, Change::MakeOptional] {
                let mut described = originals.clone();
                changed(described.get_mut(handler_type).unwrap().input.as_mut().unwrap(), field, change);
                let was_required =
                    input["required"].as_array().is_some_and(|all| all.iter().any(|name| name == field));
                let mut expected = BTreeSet::new();
                for (place, _, payload) in operations().iter().filter(|(_, own, _)| own == handler_type) {
                    if payload.get(field).is_some() && change == Change::Retype {
                        expected.insert(format!("{place}/{field}"));
                    }
                    if payload.get(field).is_some() && change == Change::Rename {
                        expected.insert(format!("{place}/{field} (its name)"));
                    }
                    if was_required && change == Change::Rename {
                        expected.insert(place.clone());
                    }
                }
                assert_eq!(
                    told(&described),
                    expected,
                    "{change:?} `{field}` of the payload of `{handler_type}`"
                );
            }
        }
    }
}
