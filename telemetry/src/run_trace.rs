//! The trace of a run: its id, the ids of its spans, and the variables that pass them to handlers.

use crate::trace_parent::{SpanId, TraceId, TraceParent};
use crate::{TRACE_PARENT, TRACE_STATE};
use pop_agenda::OpIx;

/// The trace context that the run was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallerTrace {
    /// The span that started the run.
    pub parent: TraceParent,
    /// Data of tracing systems, which programs pass on unchanged.
    pub state: Option<String>,
}

/// The trace of a run. All ids are digests, so every executor of the run finds the same ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunTrace {
    seed: [u8; blake3::OUT_LEN],
    caller: Option<CallerTrace>,
    is_recorded: bool,
}

/// What a span is about; decides its id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SpanKind {
    /// The run, up to its first end.
    Run,
    /// The mark that the run has started, which is sent at once.
    Started,
    /// The run after it was reopened the given number of times.
    Reopened(u32),
    /// An operation, and how often the run had been reopened when it began.
    Operation(OpIx, u32),
    /// An attempt of an operation.
    Attempt(OpIx, u32),
}

impl RunTrace {
    /// The trace of the run with this mark and correlation id. `is_recorded` says whether its spans are to be sent at some
    /// time, so that handlers may hang theirs below them.
    pub fn new(mark: &str, cid: &str, caller: Option<CallerTrace>, is_recorded: bool) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"pop trace").update(&(mark.len() as u64).to_le_bytes());
        hasher.update(mark.as_bytes()).update(cid.as_bytes());
        Self { seed: *hasher.finalize().as_bytes(), caller, is_recorded }
    }

    /// The id of the trace: that of the caller, if there is one.
    pub fn id(&self) -> TraceId {
        self.caller.as_ref().map_or_else(|| TraceId(nonzero(&self.seed)), |caller| caller.parent.trace)
    }

    /// The span that started the run.
    pub fn caller(&self) -> Option<&CallerTrace> {
        self.caller.as_ref()
    }

    /// Flags of every span.
    pub fn flags(&self) -> u8 {
        self.caller.as_ref().map_or(TraceParent::SAMPLED, |caller| caller.parent.flags)
    }

    /// Whether the caller records the trace; true without a caller.
    pub fn is_sampled(&self) -> bool {
        self.caller.as_ref().is_none_or(|caller| caller.parent.is_sampled())
    }

    /// Whether the spans of the run are to be sent at some time.
    pub fn is_recorded(&self) -> bool {
        self.is_recorded
    }

    /// The same trace, whose spans are to be sent.
    #[must_use]
    pub fn recorded(self) -> Self {
        Self { is_recorded: true, ..self }
    }

    /// The variables with the trace context of an attempt. Spans of its handler hang below the span of the attempt if that
    /// is to be sent, otherwise below that of the caller. There are none without either.
    pub fn variables(&self, op: OpIx, attempt: u32) -> Vec<(String, String)> {
        let own = (self.is_recorded && self.is_sampled()).then(|| {
            let span = self.span_id(SpanKind::Attempt(op, attempt));
            TraceParent { trace: self.id(), span, flags: self.flags() }
        });
        let Some(parent) = own.or_else(|| self.caller.as_ref().map(|caller| caller.parent)) else {
            return Vec::new();
        };
        let state = self.caller.as_ref().and_then(|caller| caller.state.clone());
        let state = state.map(|state| (TRACE_STATE.to_owned(), state));
        [(TRACE_PARENT.to_owned(), parent.to_string())].into_iter().chain(state).collect()
    }

    /// The id of a span.
    pub(crate) fn span_id(&self, kind: SpanKind) -> SpanId {
        let (word, op, number) = match kind {
            SpanKind::Run => ("run", 0, 0),
            SpanKind::Started => ("started", 0, 0),
            SpanKind::Reopened(times) => ("reopened", 0, times),
            SpanKind::Operation(op, reopened) => ("operation", op.0, reopened),
            SpanKind::Attempt(op, attempt) => ("attempt", op.0, attempt),
        };
        let mut hasher = blake3::Hasher::new_keyed(&self.seed);
        hasher.update(&op.to_le_bytes()).update(&number.to_le_bytes()).update(word.as_bytes());
        SpanId(nonzero(hasher.finalize().as_bytes()))
    }
}

/// The beginning of a digest, which as an id must not be all zero.
fn nonzero<const N: usize>(digest: &[u8; blake3::OUT_LEN]) -> [u8; N] {
    let mut id = [0; N];
    id.copy_from_slice(&digest[..N]);
    if id == [0; N] {
        id[N - 1] = 1;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn caller(text: &str) -> CallerTrace {
        CallerTrace { parent: text.parse().unwrap(), state: Some("a=b".to_owned()) }
    }

    #[test]
    fn ids_are_stable_and_different() {
        let trace = RunTrace::new("r", "c", None, true);
        // a later version that derives other ids would tear the traces of runs that it resumes
        assert_eq!(trace.id().to_string(), "b85f9f46f7eaff20ffd4856d387870ce");
        let op = OpIx(1);
        let kinds = [
            SpanKind::Run,
            SpanKind::Started,
            SpanKind::Reopened(1),
            SpanKind::Operation(op, 0),
            SpanKind::Operation(op, 1),
            SpanKind::Attempt(op, 1),
            SpanKind::Attempt(OpIx(2), 1),
        ];
        let ids: BTreeSet<SpanId> = kinds.iter().map(|kind| trace.span_id(*kind)).collect();
        assert_eq!(ids.len(), kinds.len());
        assert_ne!(trace.id(), RunTrace::new("rc", "", None, true).id());
        assert_eq!(nonzero::<8>(&[0; 32]), [0, 0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn handlers_get_the_span_of_their_attempt_or_that_of_the_caller() {
        let parent =
            |trace: RunTrace| trace.variables(OpIx(0), 1).into_iter().map(|(_, value)| value).collect();
        let none: Vec<String> = parent(RunTrace::new("r", "c", None, false));
        assert_eq!(none, Vec::<String>::new());
        let passed: Vec<String> = parent(RunTrace::new("r", "c", Some(caller(CALLER)), false));
        assert_eq!(passed, [CALLER, "a=b"]);
        let own: Vec<String> = parent(RunTrace::new("r", "c", Some(caller(CALLER)), true));
        assert!(own[0].starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-") && own[0] != CALLER, "{own:?}");
        let unsampled = CALLER.replace("-01", "-00");
        let passed: Vec<String> = parent(RunTrace::new("r", "c", Some(caller(&unsampled)), true));
        assert_eq!(passed[0], unsampled);
    }
}
