//! Sends spans to a collector by OTLP over HTTP, with an answer for each batch.

use crate::endpoint::Endpoint;
use crate::http_client::{Client, LastAnswer, lock};
use crate::run_trace::RunTrace;
use crate::span::{AttributeValue, Span, SpanStatus};
use crate::trace_parent::SpanId;
use opentelemetry::trace::{Event, Link, SpanContext, SpanKind, Status, TraceFlags, TraceState};
use opentelemetry::{InstrumentationScope, Key, KeyValue};
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use pop_contract::Millis;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A connection to a collector.
#[derive(Debug)]
pub struct Exporter {
    inner: opentelemetry_otlp::SpanExporter,
    last: Arc<Mutex<LastAnswer>>,
    scope: InstrumentationScope,
}

/// The settings of a connection cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the settings for the collector cannot be used: {0}")]
pub struct ExporterError(String);

/// A collector did not take a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It answered with another status than success.
    #[error("it answered with status {status}{}{message}", if .message.is_empty() { "" } else { ": " })]
    Refused {
        /// HTTP status.
        status: u16,
        /// Beginning of the answer.
        message: String,
    },
    /// It did not answer.
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    /// The request could not be made.
    #[error("the request could not be made: {0}")]
    NotMade(String),
}

impl SendError {
    /// Whether the same request may work later.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::Unreachable(_) => true,
            Self::NotMade(_) => false,
        }
    }
}

impl Exporter {
    /// A connection to a collector. It is opened by the first request. Headers, compression and attributes of the resource
    /// come from the variables `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_EXPORTER_OTLP_COMPRESSION`, `OTEL_SERVICE_NAME` and
    /// `OTEL_RESOURCE_ATTRIBUTES`.
    pub fn new(endpoint: &Endpoint) -> Result<Self, ExporterError> {
        let last = Arc::new(Mutex::new(LastAnswer::None));
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(Client::new(Arc::clone(&last)))
            .with_endpoint(endpoint.as_str())
            .with_protocol(Protocol::HttpBinary)
            .build();
        let mut exporter = exporter.map_err(|error| ExporterError(error.to_string()))?;
        exporter.set_resource(&resource());
        let scope = InstrumentationScope::builder("pop").with_version(env!("CARGO_PKG_VERSION")).build();
        Ok(Self { inner: exporter, last, scope })
    }

    /// Sends spans of a trace in one request, and waits for the answer. Returns the number of spans that the collector
    /// refused although it took the request, with its reason. Call this outside of an event loop.
    pub fn send(&self, trace: &RunTrace, spans: &[Span]) -> Result<Option<(u64, String)>, SendError> {
        let batch = spans.iter().map(|span| self.data(trace, span)).collect();
        let result = futures_executor::block_on(self.inner.export(batch));
        let last = std::mem::take(&mut *lock(&self.last));
        match (result, last) {
            (Ok(()), LastAnswer::PartlyTaken { refused, message }) => Ok(Some((refused, message))),
            (Ok(()), _) => Ok(None),
            (Err(_), LastAnswer::Refused { status, message }) => Err(SendError::Refused { status, message }),
            (Err(_), LastAnswer::Unreachable(message)) => Err(SendError::Unreachable(message)),
            (Err(error), _) => Err(SendError::NotMade(error.to_string())),
        }
    }

    fn data(&self, trace: &RunTrace, span: &Span) -> SpanData {
        let mut events = SpanEvents::default();
        events.events.extend(
            span.events
                .iter()
                .map(|event| Event::new(event.name, time(event.at), attributes(&event.attributes), 0)),
        );
        events.dropped_count = span.dropped_events;
        let mut links = SpanLinks::default();
        links.links.extend(span.links.iter().map(|link| {
            let kind = vec![KeyValue::new("pop.link", link.kind.word())];
            Link::new(context(trace, link.span), kind, 0)
        }));
        SpanData {
            span_context: context(trace, span.id),
            parent_span_id: span
                .parent
                .map_or(opentelemetry::SpanId::INVALID, |id| opentelemetry::SpanId::from_bytes(id.0)),
            parent_span_is_remote: span.is_parent_remote,
            span_kind: SpanKind::Internal,
            name: span.name.clone().into(),
            start_time: time(span.start),
            end_time: time(span.end),
            attributes: attributes(&span.attributes),
            dropped_attributes_count: 0,
            events,
            links,
            status: match &span.status {
                SpanStatus::Unset => Status::Unset,
                SpanStatus::Error(why) => Status::error(why.clone()),
            },
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// The resource of all spans: the service `pop`, unless a variable names another one.
fn resource() -> Resource {
    let detected = Resource::builder().build();
    let name = detected.get(&Key::from_static_str("service.name"));
    let is_named = name.is_some_and(|name| !name.as_str().starts_with("unknown_service"));
    let builder =
        Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    if is_named { builder.build() } else { builder.with_service_name("pop").build() }
}

fn context(trace: &RunTrace, span: SpanId) -> SpanContext {
    let state = trace.caller().and_then(|caller| caller.state.as_deref());
    let state: TraceState = state.and_then(|state| state.parse().ok()).unwrap_or_default();
    SpanContext::new(
        opentelemetry::TraceId::from_bytes(trace.id().0),
        opentelemetry::SpanId::from_bytes(span.0),
        TraceFlags::new(trace.flags()),
        false,
        state,
    )
}

fn time(at: Millis) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at)
}

fn attributes(all: &[(&'static str, AttributeValue)]) -> Vec<KeyValue> {
    let one = |(name, value): &(&'static str, AttributeValue)| match value {
        AttributeValue::Text(text) => KeyValue::new(*name, text.clone()),
        AttributeValue::Number(number) => KeyValue::new(*name, *number),
        AttributeValue::Flag(flag) => KeyValue::new(*name, *flag),
    };
    all.iter().map(one).collect()
}
