//! POP's registry form: `basePodConfig`, and per type `{configMapName, podConfig}` with our additions.

use crate::entry::{Describe, Entry, Layer};
use crate::pod_config::{self, NAME, PodConfig, checked};
use crate::routing::{ROUTING, Routing, STREAMS};
use crate::secret;
use pop_document::{Fault, Fields, Pointer, Site, nearest};
use pop_policy::HandlerPolicies;
use serde_json::{Map, Value};
use std::sync::Arc;

const BASE: &str = "basePodConfig";
const FIELDS: [&str; 13] = [
    "type",
    "version",
    "actions",
    "inputs",
    "configMapName",
    "podConfig",
    "command",
    "workingDirectory",
    "envVars",
    "properties",
    "secrets",
    "policies",
    "describe",
];

/// What a registry document gives.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    /// Its entries, by their keys.
    pub(crate) entries: Vec<Arc<Entry>>,
    /// The podConfig of type `exec`.
    pub(crate) exec_pod: Arc<PodConfig>,
    /// Who serves which stream.
    pub(crate) routing: Routing,
}

impl Registry {
    /// Reads a registry document; all that is wrong in it is added to `faults`.
    pub(crate) fn read(root: &Value, faults: &mut Vec<Fault>) -> Self {
        let (mut base, mut routing) = (None, Routing::default());
        if let Some(mut fields) = Fields::of(root, Pointer::root(), "a registry", "wrong-type", faults) {
            base = fields.map(BASE);
            if let Some(map) = fields.map(ROUTING) {
                routing = Routing::read(map, &fields.at(ROUTING), fields.faults());
            }
        }
        if base.is_some() {
            pod_config::check(&root[BASE], &Pointer::root().join(BASE), faults);
        }
        let own = root
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| ![BASE, ROUTING].contains(&name.as_str()));
        let entries = own.filter_map(|(id, value)| entry(id, value, base, faults)).map(Arc::new).collect();
        Self { entries, exec_pod: Arc::new(pod_config::of_exec(base, faults)), routing }
    }
}

fn entry(
    id: &str,
    value: &Value,
    base: Option<&Map<String, Value>>,
    faults: &mut Vec<Fault>,
) -> Option<Entry> {
    let at = Pointer::root().join(id);
    let what = format!("the entry of type `{id}`");
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
    let version = match fields.any("version") {
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => fields.text("version").map(str::to_owned),
    };
    let (actions, listed) = actions(&mut fields);
    let mut entry = Entry {
        id: id.to_owned(),
        name: fields.text("type").unwrap_or(id).to_owned(),
        version,
        actions,
        inputs: streams(&mut fields, "inputs"),
        command,
        working_directory: fields.text("workingDirectory").map(str::to_owned),
        env_vars: fields.text_map("envVars").unwrap_or_default(),
        properties: fields.text_map("properties").unwrap_or_default(),
        config_map_name: checked(&mut fields, "configMapName", NAME),
        secrets: secret::secrets(&mut fields),
        describe,
        ..Entry::default()
    };
    for secret in &entry.secrets {
        if entry.env_vars.iter().any(|(variable, _)| *variable == secret.variable) {
            let message = format!("`{}` is both in `envVars` and in `secrets`", secret.variable);
            let fault = Fault::key("wrong-value", fields.at("secrets").join(&secret.variable), message);
            let other = Site::Key(fields.at("envVars").join(&secret.variable));
            fields.faults().push(fault.related(other, "the other one"));
        }
    }
    if let Some(policies) = fields.any("policies") {
        entry.policies = HandlerPolicies::parse(policies, &at.join("policies"), faults);
    }
    for (action, policies) in listed {
        let at = at.join("actions").join(action).join("policies");
        entry.policies.add_action(action, policies, &at, faults);
    }
    if let Some(own) = own {
        let own_at = at.join("podConfig");
        pod_config::check(&value["podConfig"], &own_at, faults);
        let Some(base) = base else {
            let message = format!("type `{id}` has a podConfig, but the registry has no `{BASE}`");
            let fault = Fault::key("no-base", own_at, message);
            faults.push(fault.hint(format!("add `\"{BASE}\": {{}}` at the top of the registry")));
            return Some(entry);
        };
        let config_map = entry.config_map_name.as_deref().map(|name| (name, at.join("configMapName")));
        let base = (Layer::Base, base, Pointer::root().join(BASE));
        let (merged, pod) = pod_config::of_entry(&[base, (Layer::Entry, own, own_at)], config_map, faults);
        (entry.pod_config, entry.pod) = (merged, Arc::new(pod));
    }
    Some(entry)
}

/// The actions of an entry, and the policies that it gives for some of them.
fn actions<'v>(fields: &mut Fields<'v, '_>) -> (Option<Vec<String>>, Vec<(&'v str, &'v Value)>) {
    if let Some(Value::Array(_)) = fields.any("actions") {
        return (fields.texts("actions"), Vec::new());
    }
    let Some(map) = fields.map("actions") else { return (None, Vec::new()) };
    let mut policies = Vec::new();
    for (name, value) in map {
        let (at, what) = (fields.at("actions").join(name), format!("action `{name}`"));
        let Some(mut action) = Fields::of(value, at, &what, "wrong-type", fields.faults()) else { continue };
        action.warn_unknown(&what, &["policies"]);
        policies.extend(action.any("policies").map(|policies| (name.as_str(), policies)));
    }
    (Some(map.keys().cloned().collect()), policies)
}

/// A list of streams; a name that no stream has is warned of.
pub(crate) fn streams(fields: &mut Fields<'_, '_>, name: &str) -> Option<Vec<String>> {
    let streams = fields.texts(name)?;
    for (index, stream) in
        streams.iter().enumerate().filter(|(_, stream)| !STREAMS.contains(&stream.as_str()))
    {
        let message = format!("no stream is called `{stream}`; there are `{}`", STREAMS.join("` and `"));
        let fault = Fault::value("wrong-value", fields.at(name).join(index), message).warning();
        fields.faults().push(fault.did_you_mean(nearest(stream, STREAMS)));
    }
    Some(streams)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(root: &Value) -> (Vec<Arc<Entry>>, Vec<(String, &'static str)>) {
        let mut faults = Vec::new();
        let entries = Registry::read(root, &mut faults).entries;
        (entries, faults.into_iter().map(|f| (f.pointer().to_owned(), f.code)).collect())
    }

    #[test]
    fn p18_p20_the_registry_of_the_document_is_read() {
        let (entries, faults) = read(&json!({
            "basePodConfig": {"cpuMinRequestCount": "250m", "memoryRequestCount": "256Mi", "pullAlways": false},
            "sample": {"configMapName": "pop-sample-01",
                       "podConfig": {"imageName": "pop-sample:1.0.0", "cpuMaxRequestCount": "2"}}}));
        assert_eq!(faults, []);
        let sample = &entries[0];
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
