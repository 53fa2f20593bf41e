//! The names that existing handlers, pods and config maps carry; kept byte for byte (docs/formats/contract.md).

/// Annotation, and beginning of an output line, that carries progress.
pub const PROGRESS: &str = "pop.report.progress";
/// Annotation, and beginning of an output line, that carries the result.
pub const RESULT: &str = "pop.report.payload";
/// The last log line of a toolkit handler.
pub const HANDLER_COMPLETE: &str = "HandlerComplete";

/// The longest progress report; each is kept in the run's journal.
pub const PROGRESS_LIMIT: usize = 64 * 1024;
/// The longest report line that is understood; a longer one is a breach of the contract.
pub const REPORT_LINE_LIMIT: usize = 16 * 1024 * 1024;
/// The longest value that a payload is filled with, in bytes of JSON: as long as a report may be.
pub const VALUE_LIMIT: usize = REPORT_LINE_LIMIT;
/// The longest payload that pop passes as it is in `PAYLOAD`, in bytes of UTF-8.
pub const PLAIN_PAYLOAD_LIMIT: usize = 100_000;
