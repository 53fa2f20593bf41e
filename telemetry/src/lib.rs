//! Traces of runs for OpenTelemetry: spans are derived from the events of a run, never measured beside them.
//!
//! *Guarantee.* [`SpanFold`] is a function of the events: the same journal gives the same spans, with the same ids and
//! times, in the same order, however often it is folded and by whichever process. So a run that was killed and resumed has one
//! trace, and sending a span twice does no harm.
//!
//! [`RunTrace`] has the ids; the executor passes them to handlers. The feature `otlp` adds what sends spans to a collector.

#[cfg(feature = "otlp")]
mod delivery;
#[cfg(feature = "otlp")]
mod endpoint;
#[cfg(feature = "otlp")]
mod exporter;
#[cfg(feature = "otlp")]
mod http_client;
#[cfg(feature = "otlp")]
mod mark;
mod run_trace;
mod span;
mod span_fold;
mod span_text;
mod trace_parent;

#[cfg(feature = "otlp")]
pub use delivery::{Delivery, DeliveryReport, EventSource, SpanSender, TraceSink, TracedEvent};
#[cfg(feature = "otlp")]
pub use endpoint::{Endpoint, EndpointError};
#[cfg(feature = "otlp")]
pub use exporter::{Exporter, ExporterError, SendError};
#[cfg(feature = "otlp")]
pub use mark::{Mark, MarkError};
pub use run_trace::{CallerTrace, RunTrace};
pub use span::{AttributeValue, LinkKind, Span, SpanEvent, SpanLink, SpanStatus};
pub use span_fold::SpanFold;
pub use trace_parent::{InvalidTraceParent, SpanId, TraceId, TraceParent};

/// Name of the variable with the trace context of a caller, and of an attempt.
pub const TRACE_PARENT: &str = "TRACEPARENT";
/// Name of the variable with data of tracing systems that belongs to the trace context.
pub const TRACE_STATE: &str = "TRACESTATE";
