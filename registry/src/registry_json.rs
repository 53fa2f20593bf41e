//! POP's registry format: `basePodConfig`, and for each handler `{configMapName, podConfig}` with pop's additions.

use crate::entry::{Describe, Entry};
use crate::exec_limits::{check_arguments, check_path, check_variables};
use crate::payload_delivery::PayloadDelivery;
use crate::pod_config::{self, Layer, NAME, PodConfig, checked};
use crate::routing::{ROUTING, Routing, streams};
use crate::{secret, warm};
use pop_document::{Fault, Fields, Pointer, Site, Spelling};
use pop_policy::HandlerPolicies;
use serde_json::{Map, Value};
use std::sync::Arc;

const BASE: &str = "basePodConfig";
const FIELDS: [&str; 15] = [
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
    "payload",
    "warm",
    "describe",
];

/// A parsed registry document.
#[derive(Debug, Clone, Default)]
pub(crate) struct Registry {
    /// Entries, sorted by key.
    pub(crate) entries: Vec<Arc<Entry>>,
    /// Pod configuration of type `exec`.
    pub(crate) exec_pod: Arc<PodConfig>,
    /// Routing of streams to handlers.
    pub(crate) routing: Routing,
}

impl Registry {
    /// Reads a registry document, and adds its faults to `faults`.
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
        _ => fields.boolean("describe").and_then(|is_on| is_on.then_some(Describe::Ask)),
    };
    let own = fields.map("podConfig");
    let version = match fields.any("version") {
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => fields.text("version").map(str::to_owned),
    };
    let Actions { names: actions, policies: action_policies, dependencies } = actions(&mut fields);
    let mut entry = Entry {
        id: id.to_owned(),
        name: fields.text("type").unwrap_or(id).to_owned(),
        version,
        actions,
        dependencies,
        inputs: streams(&mut fields, "inputs"),
        command,
        working_directory: fields.text("workingDirectory").map(str::to_owned),
        env_vars: fields.text_map("envVars").unwrap_or_default(),
        properties: fields.text_map("properties").unwrap_or_default(),
        config_map_name: checked(&mut fields, "configMapName", NAME),
        secrets: secret::secrets(&mut fields),
        payload: PayloadDelivery::read(&mut fields),
        warm: warm::read(&mut fields),
        describe,
        ..Entry::default()
    };
    check_arguments(&mut fields, "command", entry.command.as_deref().unwrap_or_default());
    check_variables(&mut fields, "envVars", &entry.env_vars);
    check_path(&mut fields, "workingDirectory", entry.working_directory.as_deref());
    for secret in &entry.secrets {
        if entry.env_vars.iter().any(|(variable, _)| *variable == secret.variable) {
            let message = format!("`{}` is both in `envVars` and in `secrets`", secret.variable);
            let fault = Fault::key("wrong-value", fields.at("secrets").join(&secret.variable), message);
            let other = Site::Key(fields.at("envVars").join(&secret.variable));
            fields.faults().push(fault.related(other, "also here"));
        }
    }
    if let Some(policies) = fields.any("policies") {
        entry.policies = HandlerPolicies::parse(policies, &at.join("policies"), faults);
    }
    for (action, policies) in action_policies {
        let at = at.join("actions").join(action).join("policies");
        entry.policies.add_action(action, policies, &at, faults);
    }
    if let Some(own) = own {
        pod_config::check(&value["podConfig"], &at.join("podConfig"), faults);
        set_pod_config(&mut entry, own, base, &at, faults);
    }
    Some(entry)
}

/// Merges the podConfig of an entry with the base.
fn set_pod_config(
    entry: &mut Entry,
    own: &Map<String, Value>,
    base: Option<&Map<String, Value>>,
    at: &Pointer,
    faults: &mut Vec<Fault>,
) {
    let own_at = at.join("podConfig");
    let Some(base) = base else {
        let message = format!("type `{}` has a podConfig, but the registry has no `{BASE}`", entry.id);
        let fault = Fault::key("no-base", own_at, message);
        faults.push(fault.hint(format!("add `\"{BASE}\": {{}}` at the top of the registry")));
        return;
    };
    let config_map = entry.config_map_name.as_deref().map(|name| (name, at.join("configMapName")));
    let base = (Layer::Base, base, Pointer::root().join(BASE));
    let (merged, pod) = pod_config::of_entry(&[base, (Layer::Entry, own, own_at)], config_map, faults);
    (entry.pod_config, entry.pod) = (merged, Arc::new(pod));
}

/// Adds a fault for each number or boolean that is used as text but prints differently from how it is written.
pub(crate) fn check_spellings(spellings: &[Spelling], faults: &mut Vec<Fault>) {
    for spelling in spellings {
        let steps: Vec<&str> = spelling.pointer.as_str().split('/').skip(1).collect();
        let role = match steps.as_slice() {
            [BASE | ROUTING, _] => continue,
            [id, "version"] => format!("the version of `{id}`"),
            [id, "command", _] => format!("an argument of `{id}`"),
            [id, "envVars", name] => format!("the variable `{name}` of `{id}`"),
            [id, "properties", name] => format!("the property `{name}` of `{id}`"),
            [.., "podConfig" | BASE, "labels" | "arguments", _] => "text of a pod".to_owned(),
            _ => continue,
        };
        faults.push(spelling.fault(&role));
    }
}

/// What an entry says about its actions.
#[derive(Default)]
struct Actions<'v> {
    names: Option<Vec<String>>,
    /// The policies of some actions.
    policies: Vec<(&'v str, &'v Value)>,
    dependencies: Vec<String>,
}

fn actions<'v>(fields: &mut Fields<'v, '_>) -> Actions<'v> {
    const ACTIONS: &str = "actions";
    if let Some(Value::Array(_)) = fields.any(ACTIONS) {
        let names = fields.texts(ACTIONS);
        for (at, name) in names.iter().flatten().enumerate() {
            if names.iter().flatten().take(at).any(|earlier| earlier == name) {
                let message = format!("the action `{name}` is listed twice");
                let fault = Fault::value("wrong-value", fields.at(ACTIONS).join(at), message);
                fields.faults().push(fault);
            }
        }
        return Actions { names, ..Actions::default() };
    }
    let Some(map) = fields.map(ACTIONS) else { return Actions::default() };
    let mut found = Actions { names: Some(map.keys().cloned().collect()), ..Actions::default() };
    for (name, value) in map {
        let (at, what) = (fields.at(ACTIONS).join(name), format!("action `{name}`"));
        let Some(mut action) = Fields::of(value, at, &what, "wrong-type", fields.faults()) else { continue };
        action.warn_unknown(&what, &["policies", "dependencies"]);
        found.policies.extend(action.any("policies").map(|policies| (name.as_str(), policies)));
        for dependency in action.texts("dependencies").into_iter().flatten() {
            if !found.dependencies.contains(&dependency) {
                found.dependencies.push(dependency);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Catalog;
    use pop_document::Source;
    use serde_json::json;

    #[test]
    fn s9_an_action_that_is_listed_twice_is_a_fault_and_dependencies_are_collected() {
        let text = r#"{"a": {"command": ["x"], "actions": ["read", "write", "read"]},
                       "b": {"command": ["x"], "actions": {"read": {"dependencies": ["s", "t"]}, "*": {"dependencies": ["t", "u"]}}}}"#;
        let source = Source::new("r.json", text.as_bytes()).unwrap();
        let mut faults = Vec::new();
        let catalog = Catalog::build(Some(&source), &mut faults);
        let found: Vec<_> = faults.iter().map(|fault| (fault.pointer(), fault.message.as_str())).collect();
        assert_eq!(found, [("/a/actions/2", "the action `read` is listed twice")]);
        let served = catalog.entry("b").unwrap();
        assert_eq!(served.dependencies, ["t", "u", "s"]);
        assert!(served.has_action("read") && served.has_action("other"));
        assert!(!catalog.entry("a").unwrap().has_action("other"));
    }

    #[test]
    fn fr_c1_a_number_that_would_change_as_text_is_a_fault() {
        let text = "basePodConfig:\n  labels: {v: 1.10}\na:\n  command: [x, 3.10]\n  envVars: {V: 1e3, W: 1.5}\n  properties: {p: True}\n  version: 1.20\n  podConfig: {imageName: i, cpuMinRequestCount: 0.50}\n";
        let source = Source::new("r.yaml", text.as_bytes()).unwrap();
        let mut faults = Vec::new();
        Catalog::build(Some(&source), &mut faults);
        let mut found: Vec<_> = faults.iter().map(|f| (f.pointer(), f.code, f.message.as_str())).collect();
        found.sort_unstable();
        assert_eq!(
            found,
            [
                ("/a/command/1", "unquoted", "`3.10` would become `3.1` as an argument of `a`"),
                ("/a/envVars/V", "unquoted", "`1e3` would become `1000.0` as the variable `V` of `a`"),
                ("/a/properties/p", "unquoted", "`True` would become `true` as the property `p` of `a`"),
                ("/a/version", "unquoted", "`1.20` would become `1.2` as the version of `a`"),
                ("/basePodConfig/labels/v", "unquoted", "`1.10` would become `1.1` as text of a pod"),
            ]
        );
    }

    #[test]
    fn fr_c7_an_entry_that_can_never_start_is_a_fault() {
        let root = json!({"a": {"command": ["x", "a\u{0}"], "envVars": {"A=B": "1", "C": "\u{0}"}, "workingDirectory": ""}});
        let mut faults = Vec::new();
        Registry::read(&root, &mut faults);
        let at: Vec<_> = faults.iter().map(Fault::pointer).collect();
        assert_eq!(at, ["/a/command/1", "/a/envVars/A=B", "/a/envVars/C", "/a/workingDirectory"]);
    }

    fn read(root: &Value) -> (Vec<Arc<Entry>>, Vec<(String, &'static str)>) {
        let mut faults = Vec::new();
        let entries = Registry::read(root, &mut faults).entries;
        (entries, faults.into_iter().map(|f| (f.pointer().to_owned(), f.code)).collect())
    }

    #[test]
    fn layers_of_a_registry_are_merged_by_field() {
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
    fn a_pod_config_needs_a_base_but_a_command_does_not() {
        let (_, faults) =
            read(&json!({"a": {"podConfig": {"imageName": "i"}}, "b": {"command": ["/bin/true"]}}));
        assert_eq!(faults, [("/a/podConfig".to_owned(), "no-base")]);
    }

    #[test]
    fn every_wrong_value_is_reported() {
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
