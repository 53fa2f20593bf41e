//! Names and limits of the contract. Existing handlers and pods use the names, so they never change
//! (docs/formats/contract.md).

/// Annotation with progress, and first word of a progress line.
pub const PROGRESS: &str = "pop.report.progress";
/// Annotation with the result, and first word of a result line.
pub const RESULT: &str = "pop.report.payload";
/// Beginning of the log line in which a toolkit handler repeats a progress for people.
pub const PROGRESS_LOG: &str = "INFO Progress: ";
/// Beginning of the log line in which a toolkit handler repeats its result for people.
pub const RESULT_LOG: &str = "INFO Payload: ";
/// The last log line of a toolkit handler.
pub const HANDLER_COMPLETE: &str = "HandlerComplete";

/// The longest progress report, in bytes. The run's journal stores each one.
pub const PROGRESS_LIMIT: usize = 64 * 1024;
/// The longest value, in bytes: a payload, a result, an assembled list, captured output.
pub const VALUE_LIMIT: usize = 16 * 1024 * 1024;
/// The failure code of a value beyond [`VALUE_LIMIT`] or [`PARSED_LIMIT`].
pub const TOO_LARGE: &str = "too-large";
/// The most memory of one parsed value, in bytes, as estimated by [`parsed_size`](super::parsed_size).
pub const PARSED_LIMIT: usize = 40 * 1024 * 1024;
/// The longest payload that pop passes in `PAYLOAD`, in bytes.
pub const PLAIN_PAYLOAD_LIMIT: usize = 100_000;
/// The longest report line that is read, in bytes.
pub const REPORT_LINE_LIMIT: usize = VALUE_LIMIT;
