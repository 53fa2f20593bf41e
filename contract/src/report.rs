//! Reports of handlers with capabilities, and their aggregation in a dispatch (docs/formats/reports.md).

use super::{DiagnosticEvent, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;

/// Status code of the diagnostic event whose payload is the report of a failure.
pub const REPORT_CODE: &str = "report";
/// Status code of the diagnostic event for a method that the handler does not implement.
pub const NOT_IMPLEMENTED: &str = "not-implemented";

/// A named group of methods that a handler implements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Units (packages) of a content type (a packaging system).
    Content,
    /// Bindings to package repositories; the type is the kind of server that publishes them (distributor type).
    Bind,
    /// The machine, by the name of its operating system.
    System,
}

/// A method of a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Installs units.
    Install,
    /// Updates units.
    Update,
    /// Uninstalls units.
    Uninstall,
    /// Lists the installed units.
    Profile,
    /// Adds or updates a binding.
    Bind,
    /// Removes a binding.
    Unbind,
    /// Removes everything that the handler created. A dispatch calls handlers of every capability.
    Clean,
    /// Restarts the machine.
    Reboot,
}

impl Method {
    /// The name in a payload.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Install => "install",
            Self::Update => "update",
            Self::Uninstall => "uninstall",
            Self::Profile => "profile",
            Self::Bind => "bind",
            Self::Unbind => "unbind",
            Self::Clean => "clean",
            Self::Reboot => "reboot",
        }
    }

    /// Whether a handler without this method is skipped, because the dispatch calls all handlers.
    pub fn is_optional(self) -> bool {
        matches!(self, Self::Profile | Self::Clean)
    }
}

impl Capability {
    /// All capabilities, in the order in which a descriptor's types are read.
    pub const ALL: [Self; 3] = [Self::Content, Self::Bind, Self::System];

    /// The actions that handlers of the capability support. All of them support `bind.clean`.
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Content => {
                &["content.install", "content.update", "content.uninstall", "content.profile", "bind.clean"]
            }
            Self::Bind => &["bind.bind", "bind.unbind", "bind.clean"],
            Self::System => &["system.reboot", "bind.clean"],
        }
    }

    /// The name in a payload and in a descriptor.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Bind => "bind",
            Self::System => "system",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Report of a method call. The default is a success without changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HandlerReport {
    /// Whether the call succeeded, as the handler defines it.
    pub succeeded: bool,
    /// What the call did, or why it failed.
    pub details: Map<String, Value>,
    /// Number of changes made.
    pub num_changes: u64,
    /// Repository of the binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_id: Option<String>,
    /// Whether the machine will restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot_scheduled: Option<bool>,
}

/// Report of `install`, `update` and `uninstall`.
pub type ContentReport = HandlerReport;
/// Report of `profile`.
pub type ProfileReport = HandlerReport;
/// Report of `bind` and `unbind`, with a `repo_id`.
pub type BindReport = HandlerReport;
/// Report of `clean`.
pub type CleanReport = HandlerReport;
/// Report of `reboot`, with `reboot_scheduled`.
pub type RebootReport = HandlerReport;

impl Default for HandlerReport {
    fn default() -> Self {
        Self { succeeded: true, details: Map::new(), num_changes: 0, repo_id: None, reboot_scheduled: None }
    }
}

impl HandlerReport {
    /// Reports success.
    pub fn set_succeeded<K: Into<String>, V: Into<Value>>(
        &mut self,
        details: impl IntoIterator<Item = (K, V)>,
        num_changes: u64,
    ) {
        self.succeeded = true;
        self.details = map(details);
        self.num_changes = num_changes;
    }

    /// Reports failure.
    pub fn set_failed<K: Into<String>, V: Into<Value>>(&mut self, details: impl IntoIterator<Item = (K, V)>) {
        self.succeeded = false;
        self.details = map(details);
    }

    /// The report of an error that is not a report of the handler; its details are `message` and `trace`.
    pub fn of_error(message: impl Into<String>, trace: impl Into<String>) -> Self {
        let mut report = Self::default();
        report.set_failed([("message", message.into()), ("trace", trace.into())]);
        report
    }

    /// Reads a result. A result without any field of a report becomes the details of a success, because any program can
    /// be a handler.
    fn of_result(result: Value) -> Self {
        let is_report = ["succeeded", "details", "num_changes"].iter().any(|key| result.get(key).is_some());
        if is_report {
            return serde_json::from_value(result)
                .unwrap_or_else(|error| Self::of_error(format!("the result is not a report: {error}"), ""));
        }
        let details = match result {
            Value::Null => Map::new(),
            Value::Object(map) => map,
            other => map([("result", other)]),
        };
        Self { details, ..Self::default() }
    }
}

fn map<K: Into<String>, V: Into<Value>>(details: impl IntoIterator<Item = (K, V)>) -> Map<String, Value> {
    details.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

/// One call of a dispatch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Capability that the handler was looked up by.
    pub capability: Capability,
    /// Method to call.
    pub method: Method,
    /// Type that the handler was looked up by.
    pub type_id: String,
    /// Repository of a `bind` or `unbind`.
    pub repo_id: Option<String>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEnd {
    /// The call ended with a report.
    Reported(HandlerReport),
    /// The call ended without a report.
    Failed(Failure),
}

impl CallEnd {
    /// The end of a call without a handler.
    pub fn no_handler(type_id: &str) -> Self {
        Self::Reported(HandlerReport::of_error(format!("no handler for type `{type_id}`"), ""))
    }
}

impl From<Result<Value, Failure>> for CallEnd {
    fn from(outcome: Result<Value, Failure>) -> Self {
        let failure = match outcome {
            Ok(result) => return Self::Reported(HandlerReport::of_result(result)),
            Err(failure) => failure,
        };
        let reported = failure.diagnostics.iter().find(|event| has_code(event, REPORT_CODE));
        let report: Option<HandlerReport> =
            reported.and_then(|event| HandlerReport::deserialize(event.payload.as_ref()?).ok());
        match report {
            // the attempt failed, whatever `succeeded` in the report is
            Some(report) => Self::Reported(HandlerReport { succeeded: false, ..report }),
            None => Self::Failed(failure),
        }
    }
}

fn has_code(event: &DiagnosticEvent, code: &str) -> bool {
    event.status_code.as_deref() == Some(code)
}

/// The joined reports of all calls of a dispatch. The default is the success of a dispatch without calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DispatchReport {
    /// Whether every call succeeded.
    pub succeeded: bool,
    /// By type: a map of `succeeded` and `details`; for bindings a list of such maps, each with its `repo_id`.
    pub details: Map<String, Value>,
    /// Sum of the changes of calls that succeeded.
    pub num_changes: u64,
    /// Restart of the machine.
    pub reboot: Reboot,
}

/// Outcome of a restart of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reboot {
    /// Whether the machine will restart.
    pub scheduled: bool,
    /// Details of the system handler's report.
    pub details: Map<String, Value>,
}

impl Default for DispatchReport {
    fn default() -> Self {
        Self { succeeded: true, details: Map::new(), num_changes: 0, reboot: Reboot::default() }
    }
}

impl DispatchReport {
    /// Joins the reports of calls.
    pub fn aggregate(calls: impl IntoIterator<Item = (Call, CallEnd)>) -> Self {
        let mut report = Self::default();
        for (call, end) in calls {
            report.add(&call, end);
        }
        report
    }

    /// Adds the end of one call, unless an optional method is not implemented.
    pub fn add(&mut self, call: &Call, end: CallEnd) {
        let report = match end {
            CallEnd::Reported(report) => report,
            CallEnd::Failed(failure) => {
                let is_missing = failure.diagnostics.iter().any(|event| has_code(event, NOT_IMPLEMENTED));
                if is_missing && call.method.is_optional() {
                    return;
                }
                let trace = failure.diagnostics.iter().find_map(|event| event.stack_trace.clone());
                let trace = trace.unwrap_or_else(|| failure.log_tail.join("\n"));
                HandlerReport::of_error(failure.message, trace)
            }
        };
        self.succeeded &= report.succeeded;
        if report.succeeded {
            self.num_changes = self.num_changes.saturating_add(report.num_changes);
        }
        let HandlerReport { succeeded, details, reboot_scheduled, .. } = report;
        match call.method {
            Method::Reboot => {
                self.reboot = Reboot { scheduled: reboot_scheduled.unwrap_or(succeeded), details };
            }
            Method::Bind | Method::Unbind => {
                let repo_id = report.repo_id.as_ref().or(call.repo_id.as_ref());
                let one = json!({"repo_id": repo_id, "succeeded": succeeded, "details": details});
                let list = self.details.entry(&call.type_id).or_insert_with(|| json!([]));
                if let Value::Array(list) = list {
                    list.push(one);
                }
            }
            _ => {
                // `clean` calls the handlers of all capabilities, and two capabilities may have a type of the same name
                let key = if self.details.contains_key(&call.type_id) {
                    format!("{}.{}", call.capability, call.type_id)
                } else {
                    call.type_id.clone()
                };
                self.details.insert(key, json!({"succeeded": succeeded, "details": details}));
            }
        }
    }
}

/// Whether the machine must restart after a dispatch: its option `reboot` is true, and there are changes.
pub fn wants_reboot(options: &Map<String, Value>, report: &DispatchReport) -> bool {
    options.get("reboot") == Some(&Value::Bool(true)) && report.num_changes > 0
}

#[cfg(test)]
mod tests;
