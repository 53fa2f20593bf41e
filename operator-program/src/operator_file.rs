//! `operator.yaml`: the kinds of an operator and its handler.

use pop_document::{Fault, Fields, Pointer, kind_of, nearest};
use pop_operator::{ChildConfig, KindConfig, OperatorConfig, Strategy, guess_plural};
use serde_json::{Map, Value, json};
use std::time::Duration;

const CODE: &str = "wrong-value";
const FIELDS: [&str; 8] =
    ["name", "parent", "children", "handler", "namespace", "timeoutSeconds", "labels", "watchAll"];
const PARENT_FIELDS: [&str; 6] = ["apiVersion", "kind", "plural", "scope", "schema", "printerColumns"];
const CHILD_FIELDS: [&str; 5] = ["apiVersion", "kind", "plural", "scope", "strategy"];
const STRATEGIES: [(&str, Strategy); 3] =
    [("Replace", Strategy::Replace), ("Recreate", Strategy::Recreate), ("OnDelete", Strategy::OnDelete)];

/// An operator as its file describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperatorFile {
    /// Kinds and names.
    pub config: OperatorConfig,
    /// Type of the handler in the registry.
    pub handler: String,
    /// Longest time of a call of the handler.
    pub timeout: Duration,
    /// Schema of the parent (`properties` of the object); none for one that accepts any spec and status.
    pub schema: Option<Map<String, Value>>,
    /// Columns of `kubectl get`.
    pub columns: Vec<PrinterColumn>,
}

/// A column of `kubectl get`.
#[derive(Debug, Clone, PartialEq)]
pub struct PrinterColumn {
    /// Name of the column.
    pub name: String,
    /// Path of its value, for example `.status.phase`.
    pub path: String,
}

/// The kind of the parents as a file describes it.
struct ParentKind {
    kind: KindConfig,
    schema: Option<Map<String, Value>>,
    columns: Vec<PrinterColumn>,
}

impl OperatorFile {
    /// Reads a file. All its faults are added to `faults`; none is returned if one of them is an error.
    pub fn read(root: &Value, faults: &mut Vec<Fault>) -> Option<Self> {
        let mut fields = Fields::of(root, Pointer::root(), "an operator", "wrong-type", faults)?;
        fields.warn_unknown("an operator", &FIELDS);
        let name = required(&mut fields, "name");
        let handler = required(&mut fields, "handler");
        let namespace = fields.text("namespace").map(str::to_owned);
        let watches_all = fields.boolean("watchAll").unwrap_or_default();
        check(&mut fields, "namespace", namespace.as_deref(), "the name of a namespace", &is_name);
        let timeout = fields.number("timeoutSeconds");
        if timeout.is_some_and(|seconds| seconds < 0.001) {
            let at = fields.at("timeoutSeconds");
            let message = "`timeoutSeconds` must be greater than 0; omit it for 60 seconds";
            fields.faults().push(Fault::value(CODE, at, message));
        }
        let labels = fields.map("labels");
        let at = fields.at("labels");
        let mut parent = None;
        if let Some(map) = required_map(&mut fields, "parent") {
            let at = fields.at("parent");
            parent = parent_kind(map, at, fields.faults());
        }
        let mut children = Vec::new();
        for (index, item) in fields.list("children").into_iter().flatten().enumerate() {
            let at = fields.at("children").join(index);
            children.extend(child(item, at, fields.faults()));
        }
        let ParentKind { kind, schema, columns } = parent?;
        let mut config = OperatorConfig::new(name?, kind);
        config.children = children;
        config.namespace = namespace;
        config.watches_only_labelled = !watches_all;
        if let Some(labels) = labels {
            let mut labels = Fields::of_map(labels, at, CODE, fields.faults());
            labels.warn_unknown("`labels`", &["tracking", "ownership"]);
            for (field, label) in
                [("tracking", &mut config.tracking_label), ("ownership", &mut config.ownership_label)]
            {
                if let Some(given) = labels.text(field) {
                    check(&mut labels, field, Some(given), "the key of a label", &is_label);
                    given.clone_into(label);
                }
            }
            if config.tracking_label == config.ownership_label {
                let message = format!(
                    "`tracking` and `ownership` are both `{}`: use two labels",
                    config.tracking_label
                );
                let at = labels.pointer();
                labels.faults().push(Fault::value(CODE, at, message));
            }
        }
        for fault in config.faults() {
            let at = match &fault {
                pop_operator::ConfigError::Name(_) => fields.at("name"),
                _ => fields.at("children"),
            };
            fields.faults().push(Fault::value(CODE, at, fault.to_string()));
        }
        let timeout = Duration::from_secs_f64(timeout.unwrap_or(60.0).clamp(0.001, 86_400.0));
        let is_good = !fields.faults().iter().any(Fault::is_error);
        let handler = handler?.to_owned();
        is_good.then_some(Self { config, handler, timeout, schema, columns })
    }

    /// The CustomResourceDefinition of the parent.
    pub fn definition(&self) -> Value {
        let KindConfig { api_version, kind, plural, is_namespaced } = &self.config.parent;
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let properties =
            self.schema.clone().map_or_else(|| json!({"spec": open, "status": open}), Value::Object);
        let columns = self.columns.iter();
        let columns: Vec<Value> = columns
            .map(|PrinterColumn { name, path }| json!({"name": name, "type": "string", "jsonPath": path}))
            .collect();
        let mut version = json!({
            "name": version, "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
            "subresources": {"status": {}},
        });
        if !columns.is_empty() {
            version["additionalPrinterColumns"] = columns.into();
        }
        json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("{plural}.{group}")},
            "spec": {
                "group": group,
                "scope": if *is_namespaced { "Namespaced" } else { "Cluster" },
                "names": {
                    "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                    "singular": kind.to_lowercase(),
                },
                "versions": [version],
            },
        })
    }
}

fn parent_kind(map: &Map<String, Value>, at: Pointer, faults: &mut Vec<Fault>) -> Option<ParentKind> {
    let mut fields = Fields::of_map(map, at, CODE, faults);
    fields.warn_unknown("`parent`", &PARENT_FIELDS);
    let kind = kind(&mut fields);
    let schema = fields.map("schema").cloned();
    for (name, property) in schema.iter().flatten().filter(|(_, property)| !property.is_object()) {
        let at = fields.at("schema").join(name);
        let message = format!("`{name}` must be a schema, a map, not {}", kind_of(property));
        fields.faults().push(Fault::value(CODE, at, message));
    }
    if kind.as_ref().is_some_and(|kind| !kind.api_version.contains('/')) {
        let at = fields.at("apiVersion");
        let message = "a custom resource has a group: write, for example, example.com/v1";
        fields.faults().push(Fault::value(CODE, at, message));
    }
    let mut columns = Vec::new();
    for (index, column) in fields.list("printerColumns").into_iter().flatten().enumerate() {
        let at = fields.at("printerColumns").join(index);
        let Some(mut fields) = Fields::of(column, at, "a column", CODE, fields.faults()) else { continue };
        fields.warn_unknown("a column", &["name", "path"]);
        if let (Some(name), Some(path)) = (required(&mut fields, "name"), required(&mut fields, "path")) {
            columns.push(PrinterColumn { name: name.to_owned(), path: path.to_owned() });
        }
    }
    Some(ParentKind { kind: kind?, schema, columns })
}

fn child(item: &Value, at: Pointer, faults: &mut Vec<Fault>) -> Option<ChildConfig> {
    let mut fields = Fields::of(item, at, "a child kind", CODE, faults)?;
    fields.warn_unknown("a child kind", &CHILD_FIELDS);
    let kind = kind(&mut fields);
    let word = fields.text("strategy").unwrap_or("Replace");
    let strategy = STRATEGIES.iter().find(|(name, _)| *name == word).map(|(_, strategy)| *strategy);
    if strategy.is_none() {
        let message = format!("`{word}` is no strategy: write Replace, Recreate or OnDelete");
        let at = fields.at("strategy");
        let near = nearest(word, STRATEGIES.iter().map(|(name, _)| *name));
        fields.faults().push(Fault::value(CODE, at, message).did_you_mean(near));
    }
    Some(ChildConfig { kind: kind?, strategy: strategy? })
}

fn kind(fields: &mut Fields<'_, '_>) -> Option<KindConfig> {
    let api_version = required(fields, "apiVersion");
    let kind = required(fields, "kind");
    let plural = fields.text("plural").map(str::to_owned);
    let scope = fields.text("scope").unwrap_or("Namespaced");
    if !matches!(scope, "Namespaced" | "Cluster") {
        let at = fields.at("scope");
        let message = format!("`{scope}` is no scope: write Namespaced or Cluster");
        fields.faults().push(Fault::value(CODE, at, message));
    }
    let is_of_core = |version: &str| is_name(version);
    let is_of_group = |version: &str| {
        version.split_once('/').is_some_and(|(group, version)| is_domain(group) && is_name(version))
    };
    check(fields, "apiVersion", api_version, "an API version, for example apps/v1", &|text| {
        is_of_core(text) || is_of_group(text)
    });
    let is_kind = |text: &str| {
        text.starts_with(|first: char| first.is_ascii_uppercase())
            && text.chars().all(|letter| letter.is_ascii_alphanumeric())
    };
    check(fields, "kind", kind, "a kind: letters and digits, beginning with an upper-case letter", &is_kind);
    check(fields, "plural", plural.as_deref(), "a plural: lower-case letters, digits and `-`", &is_name);
    let kind = kind?;
    Some(KindConfig {
        api_version: api_version?.to_owned(),
        kind: kind.to_owned(),
        plural: plural.unwrap_or_else(|| guess_plural(kind)),
        is_namespaced: scope != "Cluster",
    })
}

/// Adds a fault if a text is not what it must be.
fn check(
    fields: &mut Fields<'_, '_>,
    field: &str,
    text: Option<&str>,
    what: &str,
    is_good: &dyn Fn(&str) -> bool,
) {
    if let Some(text) = text.filter(|text| !is_good(text)) {
        let at = fields.at(field);
        fields.faults().push(Fault::value(CODE, at, format!("`{text}` is not {what}")));
    }
}

/// Whether a text is a DNS label: lower-case letters, digits and inner `-`, at most 63.
fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(is_letter)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// Whether a text is a DNS name.
fn is_domain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_name)
}

/// Whether a text is the key of a label: a name, perhaps behind a domain and `/`.
fn is_label(text: &str) -> bool {
    let (domain, name) = text.split_once('/').map_or((None, text), |(domain, name)| (Some(domain), name));
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    domain.is_none_or(is_domain)
        && bytes.len() <= 63
        && bytes.iter().all(|byte| is_letter(*byte))
        && is_end(bytes.first())
        && is_end(bytes.last())
}

fn required<'v>(fields: &mut Fields<'v, '_>, name: &str) -> Option<&'v str> {
    if fields.any(name).is_none() {
        missing(fields, name);
        return None;
    }
    fields.text(name).filter(|text| !text.is_empty())
}

fn required_map<'v>(fields: &mut Fields<'v, '_>, name: &str) -> Option<&'v Map<String, Value>> {
    if fields.any(name).is_none() {
        missing(fields, name);
        return None;
    }
    fields.map(name)
}

fn missing(fields: &mut Fields<'_, '_>, name: &str) {
    let at = fields.pointer();
    fields.faults().push(Fault::value("missing-field", at, format!("`{name}` is missing")));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(root: &Value) -> Result<OperatorFile, Vec<String>> {
        let mut faults = Vec::new();
        let file = OperatorFile::read(root, &mut faults);
        file.ok_or_else(|| {
            faults.iter().map(|fault| format!("{}: {}", fault.pointer(), fault.message)).collect()
        })
    }

    #[test]
    fn minimal_file_has_defaults() {
        let file = read(&json!({
            "name": "sites", "handler": "site",
            "parent": {"apiVersion": "example.com/v1", "kind": "Site"},
            "children": [{"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy"}],
        }));
        let file = file.unwrap();
        assert_eq!((file.config.parent.plural.as_str(), file.timeout), ("sites", Duration::from_mins(1)));
        let child = &file.config.children[0];
        assert_eq!((child.kind.plural.as_str(), child.strategy), ("networkpolicies", Strategy::Replace));
        assert!(file.config.watches_only_labelled && file.config.parent.is_namespaced);
        let definition = file.definition();
        assert_eq!(definition["metadata"]["name"], "sites.example.com");
        assert_eq!(definition["spec"]["versions"][0]["name"], "v1");
    }

    #[test]
    fn all_faults_are_told_with_their_places() {
        let faults = read(&json!({
            "name": "Sites", "parent": {"kind": "Site", "scope": "Global"},
            "children": [{"apiVersion": "v1", "kind": "Pod", "strategy": "replace"}, 7],
        }));
        assert_eq!(
            faults.unwrap_err(),
            [
                ": `handler` is missing",
                "/parent: `apiVersion` is missing",
                "/parent/scope: `Global` is no scope: write Namespaced or Cluster",
                "/children/0/strategy: `replace` is no strategy: write Replace, Recreate or OnDelete",
                "/children/1: a child kind must be a map, not a number",
            ]
        );
        let faults = read(&json!({
            "name": "a", "handler": "h", "namespace": "Bad NS", "timeoutSeconds": 0, "labels": {"tracking": "bad label!"},
            "parent": {"apiVersion": "Example_com/a/b", "kind": "site thing", "plural": "S", "schema": {"spec": "hello"}},
            "children": [{"apiVersion": "v1", "kind": "Pod"}],
        }));
        let places: Vec<String> =
            faults.unwrap_err().iter().map(|fault| fault.split(':').next().unwrap().to_owned()).collect();
        assert_eq!(
            places,
            [
                "/namespace",
                "/timeoutSeconds",
                "/parent/apiVersion",
                "/parent/kind",
                "/parent/plural",
                "/parent/schema/spec",
                "/labels/tracking"
            ]
        );
        let core = json!({"name": "a", "handler": "h", "parent": {"apiVersion": "v1", "kind": "Gite"}});
        assert!(read(&core).unwrap_err()[0].contains("a custom resource has a group"));
        let twice = json!({"apiVersion": "v1", "kind": "Pod"});
        let faults = read(&json!({
            "name": "Sites", "handler": "site", "parent": {"apiVersion": "example.com/v1", "kind": "Site"},
            "children": [twice, twice],
        }));
        assert_eq!(faults.unwrap_err().len(), 2);
    }
}
