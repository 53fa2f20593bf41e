//! Spans that have not ended, and operations without an outcome.

use crate::span::{LinkKind, SpanEvent};
use crate::span_text::{Attributes, cut, of_gate, status_text};
use crate::trace_parent::SpanId;
use pop_agenda::{Answer, Gate, Outcome, RunTime};
use pop_contract::{Failure, Millis};
use std::sync::Arc;

/// Most events of a span; further ones are only counted.
const MOST_EVENTS: usize = 64;

/// What a span that has not ended has so far.
#[derive(Debug, Default)]
pub(super) struct OpenSpan {
    pub(super) start: RunTime,
    pub(super) events: Vec<SpanEvent>,
    pub(super) dropped_events: u32,
}

/// An operation with events and without an outcome.
#[derive(Debug)]
pub(super) struct OpenOperation {
    pub(super) span: OpenSpan,
    pub(super) parent: SpanId,
    pub(super) attempts: u32,
    pub(super) attempt: Option<(u32, OpenSpan)>,
    /// The previous attempt, and how the next one follows from it.
    pub(super) previous: Option<(u32, LinkKind)>,
    pub(super) failure: Option<String>,
    pub(super) gates: Arc<[Gate]>,
    /// Number of the gate that the operation stands at, and the time since when.
    pub(super) gate: (usize, RunTime),
}

impl OpenSpan {
    pub(super) fn at(start: RunTime) -> Self {
        Self { start, ..Self::default() }
    }

    pub(super) fn add(&mut self, at: Millis, name: &'static str, attributes: Attributes) {
        if self.events.len() < MOST_EVENTS {
            self.events.push(SpanEvent { at, name, attributes });
        } else {
            self.dropped_events += 1;
        }
    }
}

impl OpenOperation {
    pub(super) fn add_to_attempt(&mut self, at: Millis, name: &'static str, attributes: Attributes) {
        if let Some((_, attempt)) = &mut self.attempt {
            attempt.add(at, name, attributes);
        }
    }

    pub(super) fn start_failed(&mut self, failure: &Failure, wall: Millis) {
        let attributes =
            vec![("error.type", cut(&failure.code).into()), ("pop.message", cut(&failure.message).into())];
        self.span.add(wall, "start failed", attributes);
        self.failure = Some(status_text(failure));
    }

    /// Adds the answer of a gate; the outcome if it settles the operation.
    pub(super) fn answered(&mut self, answer: &Answer, at: RunTime, wall: Millis) -> Option<Outcome> {
        let (number, since) = self.gate;
        let gate = self.gates.get(number).map(of_gate);
        let (kind, name) = gate.unwrap_or(("gate", None));
        let mut attributes: Attributes = vec![("pop.gate", kind.into())];
        attributes.extend(name.map(|name| ("pop.name", name.into())));
        match answer {
            Answer::Busy { holder } => {
                attributes.push(("pop.holder", cut(holder).into()));
                self.span.add(wall, "waits", attributes);
            }
            Answer::Later { ms } => {
                attributes.push(("pop.wait_ms", (*ms).into()));
                self.span.add(wall, "waits", attributes);
            }
            Answer::Hit { by, .. } => {
                attributes.push(("pop.by", cut(by).into()));
                self.span.add(wall, "cache hit", attributes);
                return Some(Outcome::FromCache);
            }
            Answer::Reused { run, .. } => {
                attributes.push(("pop.run", cut(run).into()));
                self.span.add(wall, "reused", attributes);
                return Some(Outcome::Succeeded);
            }
            Answer::Failed(failure) => self.start_failed(failure, wall),
            Answer::Granted | Answer::Version(_) | Answer::Read { .. } | Answer::Miss { .. } => {
                let waited = at.0.saturating_sub(since.0);
                if waited > 0 {
                    attributes.push(("pop.waited_ms", waited.into()));
                    self.span.add(wall, "passed", attributes);
                }
                self.gate = (number + 1, at);
            }
        }
        None
    }
}
