//! POP's registry form: `basePodConfig`, and per type `{configMapName, podConfig}` with our additions.

use crate::entry::{Describe, Entry, Layer, Sourced};
use crate::pod_config;
use pop_document::{Fault, Fields, Pointer};
use pop_policy::PolicyLayer;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

const BASE: &str = "basePodConfig";
const FIELDS: [&str; 8] = [
    "configMapName",
    "podConfig",
    "command",
    "workingDirectory",
    "envVars",
    "properties",
    "policies",
    "describe",
];

/// Reads a registry document into entries; all that is wrong in it is added to `faults`.
pub(crate) fn entries(root: &Value, faults: &mut Vec<Fault>) -> BTreeMap<String, Entry> {
    let mut entries = BTreeMap::new();
    let Some(mut fields) = Fields::of(root, Pointer::root(), "a registry", "wrong-type", faults) else {
        return entries;
    };
    let base = fields.map(BASE);
    if let Some(base) = base {
        pod_config::check(base, &Pointer::root().join(BASE), faults);
    }
    let Value::Object(root) = root else { return entries };
    for (name, value) in root.iter().filter(|(name, _)| *name != BASE) {
        if let Some(entry) = entry(name, value, base, faults) {
            entries.insert(name.clone(), entry);
        }
    }
    entries
}

fn entry(
    name: &str,
    value: &Value,
    base: Option<&Map<String, Value>>,
    faults: &mut Vec<Fault>,
) -> Option<Entry> {
    let at = Pointer::root().join(name);
    let what = format!("the entry of type `{name}`");
    let mut fields = Fields::of(value, at.clone(), &what, "wrong-type", faults)?;
    fields.warn_unknown(&what, &FIELDS);
    let command = fields.texts("command");
    if command.as_ref().is_some_and(|argv| argv.first().is_none_or(String::is_empty)) {
        let at = fields.at("command");
        let fault = Fault::value("wrong-value", at, "`command` must begin with a program");
        fields.faults().push(fault);
    }
    let describe = match fields.any("describe") {
        Some(Value::String(file)) => Some(Describe::File(file.clone())),
        _ => fields.boolean("describe").and_then(|is_asked| is_asked.then_some(Describe::Ask)),
    };
    let own = fields.map("podConfig");
    let mut entry = Entry {
        name: name.to_owned(),
        command,
        working_directory: fields.text("workingDirectory").map(str::to_owned),
        env_vars: fields.text_map("envVars").unwrap_or_default(),
        properties: fields.text_map("properties").unwrap_or_default(),
        config_map_name: fields.text("configMapName").map(str::to_owned),
        has_pod_config: own.is_some(),
        describe,
        ..Entry::default()
    };
    if let Some(policies) = fields.any("policies") {
        entry.policies = PolicyLayer::parse(policies, at.join("policies"), faults);
    }
    if let Some(own) = own {
        let own_at = at.join("podConfig");
        pod_config::check(own, &own_at, faults);
        let Some(base) = base else {
            let message = format!("type `{name}` has a podConfig, but the registry has no `{BASE}`");
            let fault = Fault::key("no-base", own_at, message);
            faults.push(fault.hint(format!("add `\"{BASE}\": {{}}` at the top of the registry")));
            return Some(entry);
        };
        entry.pod_config = pod_config::resolve(&[
            (Layer::Base, base, Pointer::root().join(BASE)),
            (Layer::Entry, own, own_at),
        ]);
        name_config_map(&mut entry, &at);
    }
    Some(entry)
}

/// `configMapName` goes into the first of `configMapSettings`; without one, pop's own mount is left out.
fn name_config_map(entry: &mut Entry, at: &Pointer) {
    let Some(settings) = entry.pod_config.get_mut("configMapSettings") else { return };
    match &entry.config_map_name {
        Some(name) => {
            if let Some(first) = settings.value.get_mut(0) {
                first["configMapName"] = json!(name);
                *settings = Sourced { pointer: at.join("configMapName"), ..settings.clone() };
            }
        }
        None if settings.layer == Layer::Core => {
            entry.pod_config.remove("configMapSettings");
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(root: &Value) -> (BTreeMap<String, Entry>, Vec<(String, &'static str)>) {
        let mut faults = Vec::new();
        let entries = entries(root, &mut faults);
        (entries, faults.into_iter().map(|f| (f.pointer().to_owned(), f.code)).collect())
    }

    #[test]
    fn p18_p20_the_registry_of_the_document_is_read() {
        let (entries, faults) = read(&json!({
            "basePodConfig": {"cpuMinRequestCount": "250m", "memoryRequestCount": "256Mi", "pullAlways": false},
            "sample": {"configMapName": "pop-sample-01",
                       "podConfig": {"imageName": "pop-sample:1.0.0", "cpuMaxRequestCount": "2"}}}));
        assert_eq!(faults, []);
        let sample = &entries["sample"];
        assert_eq!(sample.image(), Some("pop-sample:1.0.0"));
        assert_eq!(sample.pod_config["configMapSettings"].value[0]["configMapName"], "pop-sample-01");
        assert_eq!(sample.pod_config["cpuMaxRequestCount"].value, "2");
        assert_eq!(sample.pod_config["cpuMinRequestCount"].value, "250m");
    }

    #[test]
    fn p19_a_pod_config_needs_a_base_and_a_command_does_not() {
        let (_, faults) =
            read(&json!({"a": {"podConfig": {"imageName": "i"}}, "b": {"command": ["/bin/true"]}}));
        assert_eq!(faults, [("/a/podConfig".to_owned(), "no-base")]);
    }

    #[test]
    fn wrong_values_are_all_found() {
        let (_, faults) = read(&json!({
            "basePodConfig": {"imageNam": "i", "pullAlways": "yes", "podRetryCount": 3},
            "a": {"command": "ffmpeg", "env": {}, "envVars": {"A": []}, "policies": {"onFail": "DLK"}},
            "b": [], "c": {"command": []}, "d": {"podConfig": {"labels": []}}}));
        assert_eq!(
            faults,
            [
                ("/basePodConfig/imageNam".to_owned(), "unknown-field"),
                ("/basePodConfig/podRetryCount".to_owned(), "no-effect"),
                ("/basePodConfig/pullAlways".to_owned(), "wrong-type"),
                ("/a/env".to_owned(), "unknown-field"),
                ("/a/command".to_owned(), "wrong-type"),
                ("/a/envVars/A".to_owned(), "wrong-type"),
                ("/a/policies/onFail".to_owned(), "wrong-value"),
                ("/b".to_owned(), "wrong-type"),
                ("/c/command".to_owned(), "wrong-value"),
                ("/d/podConfig/labels".to_owned(), "wrong-type"),
            ]
        );
    }
}
