//! CustomResourceDefinitions: defaults, checks, conditions, and the kinds that they define. Pure.

use super::schema_check;
use crate::failure::Cause;
use crate::kind::{Kind, interned};
use serde_json::{Value, json};

/// The finalizer of a definition whose objects are being deleted.
pub(crate) const CLEANUP: &str = "customresourcecleanup.apiextensions.k8s.io";

/// One version of a kind that a definition serves.
#[derive(Debug, Clone)]
pub(crate) struct CustomKind {
    pub(crate) kind: Kind,
    pub(crate) schema: Value,
    /// The names of the definition, also short ones.
    pub(crate) names: Value,
    /// The printer columns of the version.
    pub(crate) columns: Vec<Value>,
    /// The definition is being deleted: its kind refuses new objects.
    pub(crate) is_terminating: bool,
}

/// Sets the default values of a definition.
pub(crate) fn defaults(definition: &mut Value) {
    let names = &mut definition["spec"]["names"];
    if let Some(kind) = names["kind"].as_str().map(str::to_owned) {
        for (field, value) in [("singular", kind.to_lowercase()), ("listKind", format!("{kind}List"))] {
            if names[field].as_str().is_none_or(str::is_empty) {
                names[field] = value.into();
            }
        }
    }
    if definition["spec"]["conversion"].is_null() {
        definition["spec"]["conversion"] = json!({"strategy": "None"});
    }
    if definition["status"].is_null() {
        let stored: Vec<_> = versions(definition)
            .filter(|version| version["storage"] == true)
            .map(|version| version["name"].clone())
            .collect();
        definition["status"] = json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": null, "storedVersions": stored});
    }
}

fn versions(definition: &Value) -> impl Iterator<Item = &Value> {
    definition["spec"]["versions"].as_array().into_iter().flatten()
}

fn text<'v>(definition: &'v Value, field: &str) -> &'v str {
    definition["spec"][field].as_str().unwrap_or_default()
}

fn name<'v>(definition: &'v Value, field: &str) -> &'v str {
    definition["spec"]["names"][field].as_str().unwrap_or_default()
}

/// All faults of a definition.
pub(crate) fn check(definition: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let wanted = format!("{}.{}", name(definition, "plural"), text(definition, "group"));
    let given = definition["metadata"]["name"].as_str().unwrap_or_default();
    if given != wanted {
        causes.push(Cause::invalid("metadata.name", given, "must be spec.names.plural+\".\"+spec.group"));
    }
    if text(definition, "group").is_empty() {
        causes.push(Cause::required("spec.group", ""));
    } else if !text(definition, "group").contains('.') {
        let why = "should be a domain with at least one dot";
        causes.push(Cause::invalid("spec.group", text(definition, "group"), why));
    }
    match text(definition, "scope") {
        "Cluster" | "Namespaced" => {}
        "" => causes.push(Cause::required("spec.scope", "")),
        other => causes.push(schema_check::not_supported("spec.scope", other, &["Cluster", "Namespaced"])),
    }
    for field in ["plural", "kind"] {
        if name(definition, field).is_empty() {
            causes.push(Cause::required(&format!("spec.names.{field}"), ""));
        }
    }
    if versions(definition).filter(|version| version["storage"] == true).count() != 1 {
        let versions = &definition["spec"]["versions"];
        let message =
            format!("Invalid value: {versions}: must have exactly one version marked as storage version");
        causes.push(Cause::new("spec.versions", "FieldValueInvalid", message));
    }
    for (at, version) in versions(definition).enumerate() {
        let path = format!("spec.versions[{at}]");
        if version["name"].as_str().unwrap_or_default().is_empty() {
            causes.push(Cause::required(&format!("{path}.name"), ""));
        }
        let path = format!("{path}.schema.openAPIV3Schema");
        match &version["schema"]["openAPIV3Schema"] {
            Value::Null => causes.push(Cause::required(&path, "schemas are required")),
            schema => schema_check::check(schema, &path, "at the root", &mut causes),
        }
    }
    if text(&json!({"spec": definition["spec"]["conversion"]}), "strategy") == "Webhook" {
        // a real server calls the webhook
        let message = "Unsupported value: \"Webhook\": supported values: \"None\"".to_owned();
        causes.push(Cause::new("spec.conversion.strategy", "FieldValueNotSupported", message));
    }
    causes
}

/// Forbidden changes of a definition whose kind is served.
pub(crate) fn check_update(old: &Value, new: &Value) -> Vec<Cause> {
    if !has_condition(old, "Established") {
        return Vec::new();
    }
    let fields = ["/spec/group", "/spec/scope", "/spec/names/kind", "/spec/names/plural"];
    let is_changed = |field: &&str| old.pointer(field) != new.pointer(field);
    fields
        .into_iter()
        .filter(is_changed)
        .map(|field| {
            let given = new.pointer(field).and_then(Value::as_str).unwrap_or_default();
            Cause::invalid(&field[1..].replace('/', "."), given, "field is immutable")
        })
        .collect()
}

/// Whether a condition is true.
pub(crate) fn has_condition(definition: &Value, condition: &str) -> bool {
    let conditions = definition["status"]["conditions"].as_array().into_iter().flatten();
    conditions.into_iter().any(|one| one["type"] == condition && one["status"] == "True")
}

/// Sets a condition. Its time changes only with its status.
pub(crate) fn set_condition(
    definition: &mut Value,
    condition: &str,
    status: &str,
    (reason, message): (&str, &str),
    now: &str,
) {
    let mut conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let new = |time: Value| {
        json!({
            "type": condition, "status": status, "reason": reason, "message": message, "lastTransitionTime": time,
        })
    };
    match conditions.iter_mut().find(|one| one["type"] == condition) {
        Some(old) if old["status"] == status => *old = new(old["lastTransitionTime"].clone()),
        Some(old) => *old = new(now.into()),
        None => conditions.push(new(now.into())),
    }
    definition["status"]["conditions"] = conditions.into();
}

/// Accepts the names of a definition, or refuses a kind that another resource of its group has.
pub(crate) fn accept_names(definition: &mut Value, kinds: &[Kind], now: &str) {
    let (group, plural) = (text(definition, "group").to_owned(), name(definition, "plural").to_owned());
    let kind = name(definition, "kind").to_owned();
    if kinds.iter().any(|other| other.group == group && other.kind == kind && other.resource != plural) {
        let why = format!("{kind:?} is already in use");
        set_condition(definition, "NamesAccepted", "False", ("KindConflict", &why), now);
        let why = ("NotAccepted", "not all names are accepted");
        set_condition(definition, "Established", "False", why, now);
        return;
    }
    definition["status"]["acceptedNames"] = definition["spec"]["names"].clone();
    set_condition(definition, "NamesAccepted", "True", ("NoConflicts", "no conflicts found"), now);
    let why = ("Installing", "the initial names have been accepted");
    set_condition(definition, "Established", "False", why, now);
}

/// Establishes the kind of a definition with accepted names.
pub(crate) fn establish(definition: &mut Value, now: &str) {
    if has_condition(definition, "NamesAccepted") {
        let why = ("InitialNamesAccepted", "the initial names have been accepted");
        set_condition(definition, "Established", "True", why, now);
    }
}

/// Marks a definition as being deleted, for its first deletion.
pub(crate) fn terminate(definition: &mut Value, now: &str) {
    definition["metadata"]["deletionTimestamp"] = now.into();
    let mut finalizers = definition["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    if !finalizers.iter().any(|finalizer| finalizer == CLEANUP) {
        finalizers.push(CLEANUP.into());
    }
    definition["metadata"]["finalizers"] = finalizers.into();
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    set_condition(definition, "Terminating", "True", ("InstanceDeletionPending", message), now);
}

/// The kinds of an established definition, one for each served version.
pub(crate) fn kinds(definition: &Value) -> Vec<CustomKind> {
    if !has_condition(definition, "Established") {
        return Vec::new();
    }
    let served = versions(definition).filter(|version| version["served"] == true);
    let kind = |version: &Value| Kind {
        group: interned(text(definition, "group")),
        version: interned(version["name"].as_str().unwrap_or_default()),
        resource: interned(name(definition, "plural")),
        kind: interned(name(definition, "kind")),
        is_namespaced: text(definition, "scope") == "Namespaced",
        has_status: version["subresources"]["status"].is_object(),
    };
    served
        .map(|version| CustomKind {
            kind: kind(version),
            schema: version["schema"]["openAPIV3Schema"].clone(),
            names: definition["spec"]["names"].clone(),
            columns: version["additionalPrinterColumns"].as_array().cloned().unwrap_or_default(),
            is_terminating: has_condition(definition, "Terminating"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toys() -> Value {
        json!({
            "metadata": {"name": "toys.pop.test"},
            "spec": {
                "group": "pop.test", "scope": "Namespaced", "names": {"plural": "toys", "kind": "Toy"},
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object"}}}},
                }],
            },
        })
    }

    #[test]
    fn each_fault_of_a_definition_names_its_field() {
        let schema = "/spec/versions/0/schema/openAPIV3Schema";
        for (path, value, expected) in [
            ("/spec/scope", json!("Cluster"), ""),
            (
                "/metadata/name",
                json!("toy"),
                "metadata.name: Invalid value: \"toy\": must be spec.names.plural+\".\"+spec.group",
            ),
            (
                "/spec/scope",
                json!("All"),
                "spec.scope: Unsupported value: \"All\": supported values: \"Cluster\", \"Namespaced\"",
            ),
            ("/spec/names/kind", json!(""), "spec.names.kind: Required value"),
            (
                schema,
                json!(null),
                "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required",
            ),
            (
                schema,
                json!({}),
                "spec.versions[0].schema.openAPIV3Schema.type: Required value: must not be empty at the root",
            ),
            (
                schema,
                json!({"type": "object", "properties": {"spec": {}}}),
                "spec.versions[0].schema.openAPIV3Schema.properties[spec].type: Required value: must not be empty for specified object fields",
            ),
            (
                schema,
                json!({"type": "object", "properties": {"spec": {"type": "array", "items": {}}}}),
                "spec.versions[0].schema.openAPIV3Schema.properties[spec].items.type: Required value: must not be empty for specified array items",
            ),
        ] {
            let mut definition = toys();
            *definition.pointer_mut(path).unwrap() = value;
            let causes = check(&definition);
            let text: Vec<_> = causes.iter().map(|it| format!("{}: {}", it.field, it.message)).collect();
            assert_eq!(text.join("; "), expected, "{path}");
        }
        let mut definition = toys();
        definition["spec"]["versions"][0]["storage"] = false.into();
        assert!(
            check(&definition)[0]
                .message
                .ends_with("must have exactly one version marked as storage version")
        );
    }

    #[test]
    fn a_kind_is_served_once_established() {
        let mut definition = toys();
        defaults(&mut definition);
        assert_eq!(definition["spec"]["names"]["listKind"], "ToyList");
        accept_names(&mut definition, &[], "then");
        assert!(kinds(&definition).is_empty());
        establish(&mut definition, "now");
        let kinds = kinds(&definition);
        assert_eq!(kinds[0].kind, Kind::new("pop.test", "v1", "toys", "Toy").with_status());
        let mut other = toys();
        accept_names(&mut other, &[Kind::new("pop.test", "v1", "toies", "Toy")], "then");
        establish(&mut other, "now");
        assert_eq!(other["status"]["conditions"][0]["message"], "\"Toy\" is already in use");
        assert!(!has_condition(&other, "Established"));
        let mut changed = definition.clone();
        changed["spec"]["scope"] = "Cluster".into();
        assert_eq!(check_update(&definition, &changed)[0].field, "spec.scope");
    }
}
