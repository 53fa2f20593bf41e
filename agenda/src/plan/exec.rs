//! Checks of operations of type `exec`: the payload, references in a script, and what is known of values and results.

use super::{Payload, PlannedOperation, Serves};
use crate::document::Operation;
use crate::plan::payload::Referent;
use crate::schema::Schema;
use pop_contract::LaunchType;
use pop_document::{Fault, Pointer, Site};
use pop_registry::{Catalog, ExecPayload};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// Checks the payload of an operation of type `exec`.
pub(super) fn check_exec(operation: &Operation, catalog: &Catalog, on: LaunchType, faults: &mut Vec<Fault>) {
    let Operation { name, pointer, payload, .. } = operation;
    let exec = ExecPayload::check(payload, pointer.join("payload"), faults);
    let has_image = payload.get("image").is_some() || catalog.exec_pod().image.is_some();
    if on.capabilities().needs_image && !has_image {
        let message = format!("operation `{name}` needs an image under the {on} launcher");
        let fault = Fault::value("no-image", pointer.join("payload"), message);
        faults.push(fault.hint("add `image` to its payload, or `imageName` to the registry's basePodConfig"));
    }
    if exec.is_some_and(|exec| exec.needs_file()) && !on.capabilities().reads_host_files {
        let message = format!(
            "operation `{name}` needs a file of this machine for `stdin` or `{{file: …}}`, which no program can read under the {on} launcher"
        );
        let fault = Fault::value("not-launchable", pointer.join("payload"), message);
        faults.push(fault.hint("pass the value with `{json: …}`, or in storage that pods can reach"));
    }
}

/// Adds a fault for each reference in a script: a value inside it could be read as commands.
pub(super) fn check_script(operation: &Operation, payload: &Payload, faults: &mut Vec<Fault>) {
    let name = &operation.name;
    for filled in payload.filled().filter(|filled| filled.pointer.as_str() == "/shell") {
        for (token, _) in filled.references.iter().filter(|(_, referent)| *referent != Referent::AtSign) {
            let at = operation.pointer.join("payload").join("shell");
            let site = Site::Within(at, token.text.clone());
            let message =
                format!("`shell` of operation `{name}` cannot contain the reference `{}`", token.text);
            let hint = format!(
                "add `env: {{VALUE: \"{}\"}}` to the payload and write \"$VALUE\" in the script",
                token.text
            );
            faults.push(Fault::new("reference-in-script", site, message).hint(hint));
        }
    }
}

/// Hint for a list or map in the place of an argument or variable; none for other places.
pub(super) fn form_hint(at: &Pointer) -> Option<&'static str> {
    match at.as_str() {
        at if at.starts_with("/command/") => Some(
            "`{spread: …}` is one argument for each item, `{json: …}` the value as JSON, `{file: …}` the path of a file with it",
        ),
        at if at.starts_with("/env/") => {
            Some("`{json: …}` is the value as JSON, `{file: …}` the path of a file with it")
        }
        _ => None,
    }
}

/// The schema of a text that a reference may replace, by its pointer in the payload; none if it accepts everything.
pub(super) fn accepted(at: &Pointer) -> Option<Schema<'static>> {
    static SCALAR: LazyLock<Value> = LazyLock::new(|| json!({"type": ["string", "number", "boolean"]}));
    static SCALARS: LazyLock<Value> =
        LazyLock::new(|| json!({"type": "array", "items": {"type": ["string", "number", "boolean"]}}));
    static SPREAD: LazyLock<Value> = LazyLock::new(
        || json!({"type": ["array", "null"], "items": {"type": ["string", "number", "boolean"]}}),
    );
    static AMOUNT: LazyLock<Value> = LazyLock::new(|| json!({"type": ["string", "number", "null"]}));
    static TEXT: LazyLock<Value> = LazyLock::new(|| json!({"type": ["string", "null"]}));
    let mut steps = at.as_str().split('/').skip(1);
    let schema: &'static Value = match (steps.next()?, steps.next(), steps.next()) {
        ("command", None, None) => &SCALARS,
        ("command", Some(_), Some("spread")) if steps.next().is_none() => &SPREAD,
        ("command" | "env", Some(_), None) | ("command", Some(_), Some("spread")) => &SCALAR,
        ("cpu" | "memory", None, None) => &AMOUNT,
        ("workingDirectory" | "image", None, None) => &TEXT,
        _ => return None,
    };
    Some(Schema::new(schema))
}

/// The schema of values that a reference inside text may have.
pub(super) fn accepted_in_text() -> Schema<'static> {
    static INSIDE: LazyLock<Value> =
        LazyLock::new(|| json!({"type": ["string", "number", "boolean", "null"]}));
    Schema::new(&INSIDE)
}

/// The schema of the result of an operation of type `exec`; none if the program may report any result.
pub(super) fn result(operation: &PlannedOperation, on: LaunchType) -> Option<&'static Value> {
    static RESULTS: LazyLock<[Value; 4]> = LazyLock::new(|| {
        let of = |stdout: Option<Value>| {
            let mut properties = json!({"exitCode": {"type": "integer"}});
            if let Some(stdout) = stdout {
                properties["stdout"] = stdout;
            }
            json!({"type": "object", "properties": properties, "additionalProperties": false})
        };
        let lines = json!({"type": "array", "items": {"type": "string"}});
        [of(None), of(Some(json!({"type": "string"}))), of(Some(lines)), of(Some(json!({})))]
    });
    // a pod may report by annotation, and a cached result may be that of another payload
    let is_open = on.capabilities().supplies_cluster_secrets || operation.policies.cache_key.value.is_some();
    if operation.serves != Serves::Exec || is_open {
        return None;
    }
    let payload = operation.payload.template();
    let [no_output, text, lines, any] = &*RESULTS;
    match payload["capture"].as_str() {
        Some("text" | "raw") => Some(text),
        Some("lines") => Some(lines),
        Some("json") => Some(any),
        _ if payload["reports"] == Value::Bool(false) => Some(no_output),
        _ => None,
    }
}
