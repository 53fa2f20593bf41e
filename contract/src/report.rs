//! What handlers with capabilities report, and how the reports of one dispatch become one (docs/formats/reports.md).

use super::{DiagnosticEvent, Failure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::fmt;

/// The status code of the diagnostic whose payload is a report of failure.
pub const REPORT_CODE: &str = "report";
/// The status code of the diagnostic of a method that a handler does not have.
pub const NOT_IMPLEMENTED: &str = "not-implemented";

/// A named group of methods that a handler offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// Units of a content type.
    Content,
    /// Bindings to the repositories of a distributor type.
    Bind,
    /// The machine, by the name of its operating system.
    System,
}

/// What a handler is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Installs units.
    Install,
    /// Updates units.
    Update,
    /// Uninstalls units.
    Uninstall,
    /// Tells which units are installed.
    Profile,
    /// Adds a binding, or updates it.
    Bind,
    /// Removes a binding.
    Unbind,
    /// Removes what the handler made; asked of the handlers of every capability.
    Clean,
    /// Has the machine restart.
    Reboot,
}

impl Method {
    /// The word in a payload.
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

    /// Whether a handler that does not have it is passed over: such methods are asked of all handlers.
    pub fn is_optional(self) -> bool {
        matches!(self, Self::Profile | Self::Clean)
    }
}

impl Capability {
    /// All of them, in the order in which a descriptor's types are taken.
    pub const ALL: [Self; 3] = [Self::Content, Self::Bind, Self::System];

    /// The actions that its handlers take on. What bindings have left is cleaned by everybody.
    pub fn actions(self) -> &'static [&'static str] {
        match self {
            Self::Content => {
                &["content.install", "content.update", "content.uninstall", "content.profile", "bind.clean"]
            }
            Self::Bind => &["bind.bind", "bind.unbind", "bind.clean"],
            Self::System => &["system.reboot", "bind.clean"],
        }
    }

    /// The word in a payload and in a descriptor.
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

/// What a method of a handler did; a new one says that it succeeded and changed nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HandlerReport {
    /// Whether it succeeded; what that means is up to the handler.
    pub succeeded: bool,
    /// What it did, or why it could not.
    pub details: Map<String, Value>,
    /// How many changes it made.
    pub num_changes: u64,
    /// The repository of a binding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repo_id: Option<String>,
    /// Whether the machine will restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reboot_scheduled: Option<bool>,
}

/// What `install`, `update` and `uninstall` report.
pub type ContentReport = HandlerReport;
/// What `profile` reports.
pub type ProfileReport = HandlerReport;
/// What `bind` and `unbind` report; it has a `repo_id`.
pub type BindReport = HandlerReport;
/// What `clean` reports.
pub type CleanReport = HandlerReport;
/// What `reboot` reports; it has `reboot_scheduled`.
pub type RebootReport = HandlerReport;

impl Default for HandlerReport {
    fn default() -> Self {
        Self { succeeded: true, details: Map::new(), num_changes: 0, repo_id: None, reboot_scheduled: None }
    }
}

impl HandlerReport {
    /// Says that it succeeded.
    pub fn set_succeeded<K: Into<String>, V: Into<Value>>(
        &mut self,
        details: impl IntoIterator<Item = (K, V)>,
        num_changes: u64,
    ) {
        self.succeeded = true;
        self.details = map(details);
        self.num_changes = num_changes;
    }

    /// Says that it failed.
    pub fn set_failed<K: Into<String>, V: Into<Value>>(&mut self, details: impl IntoIterator<Item = (K, V)>) {
        self.succeeded = false;
        self.details = map(details);
    }

    /// The report of an error that the handler did not report itself: details are its message and its place.
    pub fn of_error(message: impl Into<String>, trace: impl Into<String>) -> Self {
        let mut report = Self::default();
        report.set_failed([("message", message.into()), ("trace", trace.into())]);
        report
    }

    /// Reads a result. One that has nothing of a report is taken for the details of a success: any program is a
    /// handler.
    fn of_result(result: Value) -> Self {
        let is_report = ["succeeded", "details", "num_changes"].iter().any(|key| result.get(key).is_some());
        if is_report {
            return serde_json::from_value(result)
                .unwrap_or_else(|error| Self::of_error(format!("the result is no report: {error}"), ""));
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

/// One call of a dispatch: who is asked, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The capability by which the handler was found.
    pub capability: Capability,
    /// What it is asked to do.
    pub method: Method,
    /// The type by which the handler was found.
    pub type_id: String,
    /// The repository, if it is asked to bind or unbind one.
    pub repo_id: Option<String>,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum CallEnd {
    /// The handler gave a report.
    Reported(HandlerReport),
    /// It gave none.
    Failed(Failure),
}

impl CallEnd {
    /// The end of a call for which there is no handler.
    pub fn no_handler(type_id: &str) -> Self {
        Self::Reported(HandlerReport::of_error(format!("no handler for type `{type_id}`"), ""))
    }
}

impl From<Result<Value, Failure>> for CallEnd {
    fn from(judged: Result<Value, Failure>) -> Self {
        let failure = match judged {
            Ok(result) => return Self::Reported(HandlerReport::of_result(result)),
            Err(failure) => failure,
        };
        let reported = failure.diagnostics.iter().find(|event| has_code(event, REPORT_CODE));
        let report: Option<HandlerReport> =
            reported.and_then(|event| HandlerReport::deserialize(event.payload.as_ref()?).ok());
        match report {
            // whatever it says: the attempt did fail
            Some(report) => Self::Reported(HandlerReport { succeeded: false, ..report }),
            None => Self::Failed(failure),
        }
    }
}

fn has_code(event: &DiagnosticEvent, code: &str) -> bool {
    event.status_code.as_deref() == Some(code)
}

/// The reports of all calls of a dispatch as one; a new one says that nothing was to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DispatchReport {
    /// Whether every call succeeded.
    pub succeeded: bool,
    /// By type: a map of `succeeded` and `details`, or for bindings a list of such maps with their `repo_id`.
    pub details: Map<String, Value>,
    /// The changes of the calls that succeeded.
    pub num_changes: u64,
    /// What became of a restart.
    pub reboot: Reboot,
}

/// What became of a restart of the machine.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Reboot {
    /// Whether the machine will restart.
    pub scheduled: bool,
    /// What the system handler says about it.
    pub details: Map<String, Value>,
}

impl Default for DispatchReport {
    fn default() -> Self {
        Self { succeeded: true, details: Map::new(), num_changes: 0, reboot: Reboot::default() }
    }
}

impl DispatchReport {
    /// The report of all these calls.
    pub fn aggregate(calls: impl IntoIterator<Item = (Call, CallEnd)>) -> Self {
        let mut report = Self::default();
        for (call, ended) in calls {
            report.add(&call, ended);
        }
        report
    }

    /// Adds the end of one call. A handler without an optional method is left out.
    pub fn add(&mut self, call: &Call, ended: CallEnd) {
        let report = match ended {
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
                // all handlers are asked to clean up, and two capabilities may have a type of the same name
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

/// Whether the machine is to restart after a dispatch: its option `reboot` is true, and something was changed.
pub fn wants_reboot(options: &Map<String, Value>, report: &DispatchReport) -> bool {
    options.get("reboot") == Some(&Value::Bool(true)) && report.num_changes > 0
}

#[cfg(test)]
mod tests;
