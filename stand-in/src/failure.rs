//! Refusals of requests, as the `Status` object for clients.

use crate::field_owner::Conflict;
use crate::kind::Kind;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A refusal: HTTP status, reason, message and details.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    pub(crate) details: Value,
}

/// One faulty field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) field: String,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

impl Cause {
    pub(crate) fn invalid(field: &str, value: &str, why: &str) -> Self {
        Self::new(field, "FieldValueInvalid", format!("Invalid value: {value:?}: {why}"))
    }

    pub(crate) fn required(field: &str, why: &str) -> Self {
        let message =
            if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self::new(field, "FieldValueRequired", message)
    }

    pub(crate) fn new(field: &str, reason: &'static str, message: String) -> Self {
        Self { field: field.to_owned(), reason, message }
    }
}

impl Failure {
    fn new(code: u16, reason: &'static str, message: String) -> Self {
        Self { code, reason, message, details: Value::Null }
    }

    fn about(kind: &Kind, name: &str, code: u16, reason: &'static str, message: String) -> Self {
        let mut details = json!({"name": name, "kind": kind.resource});
        if !kind.group.is_empty() {
            details["group"] = kind.group.into();
        }
        Self { code, reason, message, details }
    }

    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::about(kind, name, 404, "NotFound", format!("{} {name:?} not found", kind.qualified()))
    }

    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::about(kind, name, 409, "AlreadyExists", format!("{} {name:?} already exists", kind.qualified()))
    }

    /// The name belongs to an object that is being deleted.
    pub(crate) fn being_deleted(kind: &Kind, name: &str) -> Self {
        let message = format!("object is being deleted: {} {name:?} already exists", kind.qualified());
        Self::about(kind, name, 409, "AlreadyExists", message)
    }

    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} {name:?}: {why}", kind.qualified());
        Self::about(kind, name, 409, "Conflict", message)
    }

    pub(crate) fn modified(kind: &Kind, name: &str) -> Self {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(kind, name, why)
    }

    pub(crate) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let what = kind.qualified();
        let message = if name.is_empty() {
            format!("{what} is forbidden: {why}")
        } else {
            format!("{what} {name:?} is forbidden: {why}")
        };
        Self::about(kind, name, 403, "Forbidden", message)
    }

    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let text: Vec<_> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let text = if text.len() == 1 { text.concat() } else { format!("[{}]", text.join(", ")) };
        let dot = if kind.group.is_empty() { "" } else { "." };
        let message = format!("{}{dot}{} {name:?} is invalid: {text}", kind.kind, kind.group);
        let causes: Vec<_> = causes
            .iter()
            .map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}))
            .collect();
        let details = json!({"name": name, "group": kind.group, "kind": kind.kind, "causes": causes});
        Self { code: 422, reason: "Invalid", message, details }
    }

    /// An apply would change fields of other managers.
    pub(crate) fn not_owned(kind: &Kind, conflicts: &[Conflict]) -> Self {
        let version = kind.api_version();
        let owner = |conflict: &Conflict| {
            let part = match conflict.subresource.as_str() {
                "" => String::new(),
                subresource => format!(" with subresource {subresource:?}"),
            };
            let version = if conflict.is_apply { String::new() } else { format!(" using {version}") };
            format!("{:?}{part}{version}", conflict.manager)
        };
        let text = match conflicts {
            [one] => format!("1 conflict: conflict with {}: {}", owner(one), one.field),
            _ => {
                let mut fields = BTreeMap::<String, Vec<String>>::new();
                for conflict in conflicts {
                    fields.entry(owner(conflict)).or_default().push(format!("- {}", conflict.field));
                }
                let lines = fields
                    .iter()
                    .map(|(owner, fields)| format!("conflicts with {owner}:\n{}", fields.join("\n")));
                format!("{} conflicts: {}", conflicts.len(), lines.collect::<Vec<_>>().join("\n"))
            }
        };
        let mut failure = Self::new(409, "Conflict", format!("Apply failed with {text}"));
        let cause = |one: &Conflict| {
            let message = format!("conflict with {}", owner(one));
            json!({"reason": "FieldManagerConflict", "message": message, "field": one.field})
        };
        failure.details = json!({"causes": conflicts.iter().map(cause).collect::<Vec<_>>()});
        failure
    }

    /// An object of a kind whose definition is being deleted.
    pub(crate) fn terminating_kind() -> Self {
        let message = "create not allowed while custom resource definition is terminating".to_owned();
        Self::new(405, "MethodNotAllowed", message)
    }

    /// Fields that the schema does not have, in a write with `fieldValidation=Strict`.
    pub(crate) fn unknown_fields(kind: &Kind, unknown: &[String]) -> Self {
        let fields: Vec<_> = unknown.iter().map(|path| format!("unknown field {path:?}")).collect();
        Self::bad_request(format!(
            "{} in version {:?} cannot be handled as a {}: strict decoding error: {}",
            kind.kind,
            kind.version,
            kind.kind,
            fields.join(", ")
        ))
    }

    /// Fields that the schema does not have, in a server-side apply.
    pub(crate) fn undeclared_fields(
        kind: &Kind,
        (namespace, name): &(String, String),
        unknown: &[String],
    ) -> Self {
        let text = match unknown {
            [path] => format!(".{path}: field not declared in schema"),
            _ => {
                let lines = unknown.iter().map(|path| format!("\n  .{path}: field not declared in schema"));
                format!("errors:{}", lines.collect::<String>())
            }
        };
        let about = format!("{namespace}/{name}; {}, Kind={}", kind.api_version(), kind.kind);
        Self::unexplained(&format!("failed to create typed patch object ({about}): {text}"))
    }

    /// A watch or list of a version that is no longer in the history.
    pub(crate) fn too_old(requested: u64, oldest: u64) -> Self {
        Self::expired(format!("too old resource version: {requested} ({oldest})"))
    }

    pub(crate) fn expired(message: String) -> Self {
        Self::new(410, "Expired", message)
    }

    /// A list of a version that does not exist yet.
    pub(crate) fn too_large_version(requested: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {requested}, current: {current}");
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        let details = json!({"causes": [cause], "retryAfterSeconds": 1});
        Self { details, ..Self::new(504, "Timeout", message) }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message.into())
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized".to_owned())
    }

    pub(crate) fn no_such_path() -> Self {
        let details =
            json!({"causes": [{"reason": "UnexpectedServerResponse", "message": "404 page not found"}]});
        let message = "the server could not find the requested resource".to_owned();
        Self { details, ..Self::new(404, "NotFound", message) }
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self::new(405, "MethodNotAllowed", message)
    }

    pub(crate) fn unsupported_media_type(content_type: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format ({content_type}) - accepted media types include: \
             application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json, \
             application/apply-patch+yaml"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// A server error without a reason, like storage errors of a real server.
    pub(crate) fn unexplained(message: &str) -> Self {
        Self::new(500, "", message.to_owned())
    }

    pub(crate) fn internal(message: &str) -> Self {
        let details = json!({"causes": [{"message": message}]});
        let text = format!("Internal error occurred: {message}");
        Self { details, ..Self::new(500, "InternalError", text) }
    }

    /// The `Status` object.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}
