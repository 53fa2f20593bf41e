//! A span as data: what the events of a run say about one stretch of its time.

use crate::trace_parent::SpanId;
use pop_contract::Millis;

/// A finished stretch of time in a run. Times are epoch milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Id of the span.
    pub id: SpanId,
    /// The span above; none for the run itself without a caller.
    pub parent: Option<SpanId>,
    /// Whether the span above belongs to the caller of pop.
    pub is_parent_remote: bool,
    /// Name of the span.
    pub name: String,
    /// Start.
    pub start: Millis,
    /// End, not before the start.
    pub end: Millis,
    /// Attributes, each name once.
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// What happened meanwhile, in order.
    pub events: Vec<SpanEvent>,
    /// Number of further events, which the span does not have because they are too many.
    pub dropped_events: u32,
    /// Spans that came before.
    pub links: Vec<SpanLink>,
    /// Whether it failed.
    pub status: SpanStatus,
}

/// Value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum AttributeValue {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Flag(bool),
}

/// A moment within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct SpanEvent {
    /// Time of the event.
    pub at: Millis,
    /// Name of the event.
    pub name: &'static str,
    /// Attributes.
    pub attributes: Vec<(&'static str, AttributeValue)>,
}

/// A span of the same trace that came before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanLink {
    /// Id of that span.
    pub span: SpanId,
    /// How this span follows from it.
    pub kind: LinkKind,
}

/// How a span follows from an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkKind {
    /// An attempt after a failed or displaced one.
    Retry,
    /// An attempt after one that was lost, or the continuation of a run that had ended.
    Resume,
}

impl LinkKind {
    /// The word in the attribute `pop.link`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Resume => "resume",
        }
    }
}

/// Whether a span failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpanStatus {
    /// It did not fail.
    Unset,
    /// It failed, with the reason.
    Error(String),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for AttributeValue {
    fn from(number: u32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<i32> for AttributeValue {
    fn from(number: i32) -> Self {
        Self::Number(i64::from(number))
    }
}

impl From<bool> for AttributeValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}
