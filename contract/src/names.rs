//! The names that existing handlers, pods and config maps carry; kept byte for byte (docs/formats/contract.md).

/// Annotation, and beginning of an output line, that carries progress.
pub const PROGRESS: &str = "pop.report.progress";
/// Annotation, and beginning of an output line, that carries the result.
pub const RESULT: &str = "pop.report.payload";
/// The last log line of a toolkit handler.
pub const HANDLER_COMPLETE: &str = "HandlerComplete";

/// The longest progress report; each is kept in the run's journal.
pub const PROGRESS_LIMIT: usize = 64 * 1024;
/// The most bytes of one value: a payload, a result, an assembled list, captured output.
pub const VALUE_LIMIT: usize = 16 * 1024 * 1024;
/// The failure code of a value beyond [`VALUE_LIMIT`] or [`PARSED_LIMIT`].
pub const TOO_LARGE: &str = "too-large";
/// The most memory that the parts of one parsed value may take, as [`parsed_size`](super::parsed_size) estimates it.
pub const PARSED_LIMIT: usize = 40 * 1024 * 1024;
/// The longest payload that pop passes as it is in `PAYLOAD`, in bytes of UTF-8.
pub const PLAIN_PAYLOAD_LIMIT: usize = 100_000;
/// The longest report line that is read.
pub const REPORT_LINE_LIMIT: usize = VALUE_LIMIT;
