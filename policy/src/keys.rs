//! The keys that pop knows, by the map that contains them. Policies are in `table.rs`.

/// Prefix of keys that users add for their own purposes.
pub const OWN_KEY_PREFIX: &str = "x-";
/// Fields of an agenda with an effect.
pub const AGENDA_FIELDS: [&str; 10] =
    ["operations", "params", "inputs", "result", "id", "cid", "customerId", "progressId", "title", "linkId"];
/// Fields of an operation with an effect.
pub const OPERATION_FIELDS: [&str; 5] = ["name", "type", "payload", "params", "id"];
/// Fields of the payload of type `exec`.
pub const EXEC_FIELDS: [&str; 11] = [
    "command",
    "shell",
    "stdin",
    "image",
    "env",
    "cpu",
    "memory",
    "workingDirectory",
    "capture",
    "successCodes",
    "reports",
];

/// Fields of the map `retry`.
pub(crate) const RETRY_FIELDS: [&str; 5] = ["maxAttempts", "delayMs", "factor", "maxDelayMs", "on"];
/// The keys that belong to one operation and have no meaning elsewhere.
pub const OPERATION_ONLY: [&str; 14] = [
    "dependsOn",
    "reads",
    "writes",
    "finally",
    "undoes",
    "when",
    "version",
    "action",
    "forEach",
    "maxParallel",
    "itemName",
    "itemFailures",
    "agenda.operation.generator",
    "generatedOperationParent",
];

/// Keys of one operation that pop accepts without effect.
pub(crate) const WITHOUT_EFFECT: [&str; 1] = ["generatedOperationParent"];

/// Keys of `params` that belong to systems around pop; accepted without effect.
pub const AROUND: [&str; 10] = [
    "maximumAttempts",
    "externalId",
    "doNotRun",
    "defaultInsight",
    "progressId",
    "added",
    "execProgressId",
    "agendaId",
    "cid",
    "customerId",
];

/// A map whose keys pop knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// An agenda.
    Agenda,
    /// The `params` of an agenda, or the `policies` of a registry entry.
    SharedParams,
    /// An operation.
    Operation,
    /// The `params` of an operation.
    Params,
    /// The map `retry`.
    Retry,
    /// The payload of type `exec`.
    Exec,
}
