//! Folds the events of a run into finished spans: run > operation > attempt.
//!
//! A span is given out by the event that ends it, so the order of the spans is that of the journal, and the span of the run
//! comes last. A run that had ended and is resumed gets another span below the first one, because a span that was sent
//! cannot change.

mod open;

use crate::run_trace::{RunTrace, SpanKind};
use crate::span::{AttributeValue, LinkKind, Span, SpanLink, SpanStatus};
use crate::span_text::{
    Attributes, cancel_word, cut, ending_word, of_failure, of_usage, pipeline_result, status_text, stop_word,
    task_result,
};
use crate::trace_parent::SpanId;
use open::{OpenOperation, OpenSpan};
use pop_agenda::{Ending, EventRecord, OpIx, Origin, Outcome, Plan, RunEvent, RunOutcome, RunTime};
use pop_contract::{Millis, Usage};
use std::collections::HashMap;
use std::sync::Arc;

/// A run in the middle of its events.
#[derive(Debug)]
pub struct SpanFold {
    trace: RunTrace,
    agenda: String,
    run: Box<str>,
    /// Wall-clock start of the run.
    started: Millis,
    /// Time of the latest event.
    last: RunTime,
    /// Time of the last event of the executor that died, while attempts of it have no end.
    died: Option<RunTime>,
    /// How often the run was reopened.
    reopened: u32,
    /// The span of the run, or of its continuation.
    own: OpenSpan,
    has_ended: bool,
    operations: HashMap<OpIx, OpenOperation>,
    /// The last attempt of operations that ended without success: a resume may repeat them.
    unsuccessful: HashMap<OpIx, u32>,
    /// Replayed dead letters whose result the next resume takes, with the run that replayed them.
    replayed: HashMap<OpIx, Box<str>>,
}

impl SpanFold {
    /// A run without events. `agenda` is the agenda's name.
    pub fn new(trace: RunTrace, agenda: &str) -> Self {
        Self {
            trace,
            agenda: cut(agenda),
            run: Box::default(),
            started: 0,
            last: RunTime(0),
            died: None,
            reopened: 0,
            own: OpenSpan::default(),
            has_ended: false,
            operations: HashMap::new(),
            unsuccessful: HashMap::new(),
            replayed: HashMap::new(),
        }
    }

    /// The same run without events.
    #[must_use]
    pub fn anew(&self) -> Self {
        Self::new(self.trace.clone(), &self.agenda)
    }

    /// The trace of the run.
    pub fn trace(&self) -> &RunTrace {
        &self.trace
    }

    /// Adds an event, and the spans that it ends to `out`. `plan` has at least the operations added so far.
    pub fn add(&mut self, plan: &Plan, recorded: &EventRecord, out: &mut Vec<Span>) {
        let at = recorded.at;
        match &recorded.event {
            RunEvent::RunStarted { run, started, .. } => {
                (self.run, self.started) = (run.clone(), *started);
                out.push(self.started_mark());
            }
            RunEvent::RunResumed { .. } => self.resume(at),
            RunEvent::DeadLetterReplayed { op, run, .. } => drop(self.replayed.insert(*op, run.clone())),
            RunEvent::RunReopened { ops } => self.reopen(plan, ops, at, out),
            RunEvent::CancelRaised { reason, force } => {
                let attributes =
                    vec![("pop.reason", cancel_word(*reason).into()), ("pop.force", (*force).into())];
                self.own.add(self.wall(at), "cancelled", attributes);
            }
            RunEvent::RunEnded { outcome } => self.end(plan, *outcome, at, out),
            RunEvent::OperationSettled { op, outcome: Outcome::Cancelled, .. }
                // it never began
                if !self.operations.contains_key(op) => {}
            RunEvent::LateEnding { .. } | RunEvent::ProgressReported { .. } => {}
            event => {
                if let Some(op) = event.operation() {
                    self.add_to_operation(plan, op, event, at, out);
                }
            }
        }
        self.last = at;
    }

    fn wall(&self, at: RunTime) -> Millis {
        self.started.saturating_add(at.0)
    }

    fn own_kind(&self) -> SpanKind {
        if self.reopened == 0 { SpanKind::Run } else { SpanKind::Reopened(self.reopened) }
    }

    fn own_id(&self) -> SpanId {
        self.trace.span_id(self.own_kind())
    }

    /// A span without length that shows the trace while the run is still open.
    fn started_mark(&self) -> Span {
        let attributes = vec![("cicd.pipeline.run.id", self.run.as_ref().into())];
        Span {
            attributes,
            ..self.span(
                SpanKind::Started,
                Some(self.own_id()),
                "started".to_owned(),
                OpenSpan::default(),
                RunTime(0),
            )
        }
    }

    fn span(
        &self,
        kind: SpanKind,
        parent: Option<SpanId>,
        name: String,
        open: OpenSpan,
        end: RunTime,
    ) -> Span {
        Span {
            id: self.trace.span_id(kind),
            parent,
            is_parent_remote: false,
            name,
            start: self.wall(open.start),
            end: self.wall(end.max(open.start)),
            attributes: Vec::new(),
            events: open.events,
            dropped_events: open.dropped_events,
            links: Vec::new(),
            status: SpanStatus::Unset,
        }
    }

    fn resume(&mut self, at: RunTime) {
        if self.has_ended {
            self.has_ended = false;
            self.reopened += 1;
            self.own = OpenSpan::at(at);
        } else {
            self.died = Some(self.last);
            let died = self.wall(self.last);
            self.own.add(died, "executor died", Vec::new());
        }
        self.own.add(self.wall(at), "resumed", Vec::new());
    }

    /// The operations run again, or get the result of their replayed dead letter.
    fn reopen(&mut self, plan: &Plan, ops: &[OpIx], at: RunTime, out: &mut Vec<Span>) {
        self.own.add(self.wall(at), "reopened", vec![("pop.operations", (ops.len() as u64).into())]);
        for op in ops {
            if let Some(run) = self.replayed.remove(op) {
                let wall = self.wall(at);
                let attributes = vec![("pop.run", cut(&run).into())];
                self.open(plan, *op, at).span.add(wall, "replayed", attributes);
                self.settle(plan, *op, Outcome::Succeeded, at, out);
            }
        }
    }

    /// The operation, which begins with its first event.
    fn open(&mut self, plan: &Plan, op: OpIx, at: RunTime) -> &mut OpenOperation {
        let whole = plan.operation(op).part_of().filter(|whole| self.operations.contains_key(whole));
        let parent = whole.map_or_else(
            || self.own_id(),
            |whole| self.trace.span_id(SpanKind::Operation(whole, self.reopened)),
        );
        let previous = self.unsuccessful.get(&op).map(|attempt| (*attempt, LinkKind::Resume));
        self.operations.entry(op).or_insert_with(|| OpenOperation {
            span: OpenSpan::at(at),
            parent,
            attempts: 0,
            attempt: None,
            previous,
            failure: None,
            gates: Arc::default(),
            gate: (0, at),
        })
    }

    fn add_to_operation(
        &mut self,
        plan: &Plan,
        op: OpIx,
        event: &RunEvent,
        at: RunTime,
        out: &mut Vec<Span>,
    ) {
        let wall = self.wall(at);
        let operation = self.open(plan, op, at);
        match event {
            RunEvent::PlanGrown { count, .. } => {
                operation.span.add(wall, "operations added", vec![("pop.count", (*count).into())]);
            }
            RunEvent::GatesSet { gates, .. } => {
                operation.gates = Arc::clone(gates);
                operation.gate = (0, at);
            }
            RunEvent::GateAnswered { answer, .. } => {
                if let Some(outcome) = operation.answered(answer, at, wall) {
                    self.settle(plan, op, outcome, at, out);
                }
            }
            RunEvent::Joined { ending, outcome, .. } => {
                if let Ending::Failed(failure) = ending {
                    operation.failure = Some(status_text(failure));
                }
                self.settle(plan, op, *outcome, at, out);
            }
            RunEvent::StartFailed { failure, .. } => operation.start_failed(failure, wall),
            RunEvent::AttemptStarted { attempt, .. } => {
                operation.attempts += 1;
                operation.attempt = Some((*attempt, OpenSpan::at(at)));
            }
            RunEvent::AttemptRunning { .. } => operation.add_to_attempt(wall, "running", Vec::new()),
            RunEvent::StopAsked { reason, .. } => {
                let attributes = vec![("pop.reason", stop_word(*reason).into())];
                operation.add_to_attempt(wall, "stop requested", attributes);
            }
            RunEvent::KillAsked { .. } => operation.add_to_attempt(wall, "killed", Vec::new()),
            RunEvent::CommitAsked { .. } => operation.add_to_attempt(wall, "commit", Vec::new()),
            RunEvent::AttemptEnded { ending, usage, instance, .. } => {
                self.end_attempt(plan, op, ending, usage.as_ref(), instance.as_deref(), at, out);
            }
            RunEvent::BackedOff { until, .. } => {
                let wait = until.0.saturating_sub(at.0);
                operation.span.add(wall, "backed off", vec![("pop.wait_ms", wait.into())]);
            }
            RunEvent::BackoffEnded { .. } => operation.span.add(wall, "back-off ended", Vec::new()),
            RunEvent::OperationSettled { outcome, ignored, skipped, .. } => {
                if let Some(code) = ignored {
                    operation.span.add(wall, "failure ignored", vec![("error.type", cut(code).into())]);
                }
                if let Some(decided) = skipped {
                    let words = cut(&decided.to_string());
                    operation.span.add(wall, "skipped", vec![("pop.reason", words.into())]);
                }
                self.settle(plan, op, *outcome, at, out);
            }
            _ => {}
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of the event")]
    fn end_attempt(
        &mut self,
        plan: &Plan,
        op: OpIx,
        ending: &Ending,
        usage: Option<&Usage>,
        instance: Option<&str>,
        at: RunTime,
        out: &mut Vec<Span>,
    ) {
        let died = self.died;
        let parent = self.trace.span_id(SpanKind::Operation(op, self.reopened));
        let operation = self.open(plan, op, at);
        let Some((number, open)) = operation.attempt.take() else { return };
        let mut attributes: Attributes = vec![
            ("pop.operation", plan.operation(op).name.as_str().into()),
            ("pop.attempt", number.into()),
            ("pop.outcome", ending_word(ending).into()),
        ];
        let mut end = at;
        let mut status = SpanStatus::Unset;
        let mut follows = LinkKind::Retry;
        match ending {
            Ending::Succeeded { .. } | Ending::Cancelled => {}
            Ending::Failed(failure) | Ending::Displaced(failure) => {
                of_failure(failure, &mut attributes);
                operation.failure = Some(status_text(failure));
                status = SpanStatus::Error(status_text(failure));
            }
            Ending::Lost => {
                // nothing is known after the last event of the executor that died
                end = died.unwrap_or(at);
                follows = LinkKind::Resume;
                attributes.push(("error.type", "lost".into()));
                status = SpanStatus::Error("the executor died".to_owned());
            }
        }
        if let Some(usage) = usage {
            of_usage(usage, &mut attributes);
        }
        if let Some(instance) = instance {
            attributes.push(("pop.instance", cut(instance).into()));
        }
        let before = operation.previous.replace((number, follows));
        let link =
            |(attempt, kind)| SpanLink { span: self.trace.span_id(SpanKind::Attempt(op, attempt)), kind };
        let links = before.map(link).into_iter().collect();
        let name = format!("{}: attempt {number}", cut(&plan.shown_name(op)));
        let span = self.span(SpanKind::Attempt(op, number), Some(parent), name, open, end);
        out.push(Span { attributes, links, status, ..span });
        if matches!(ending, Ending::Succeeded { .. }) {
            self.settle(plan, op, Outcome::Succeeded, at, out);
        }
    }

    /// Ends the span of an operation.
    fn settle(&mut self, plan: &Plan, op: OpIx, outcome: Outcome, at: RunTime, out: &mut Vec<Span>) {
        let Some(operation) = self.operations.remove(&op) else { return };
        let last = operation.previous.map(|(attempt, _)| attempt);
        match last.filter(|_| !outcome.has_result()) {
            Some(attempt) => drop(self.unsuccessful.insert(op, attempt)),
            None => drop(self.unsuccessful.remove(&op)),
        }
        let planned = plan.operation(op);
        let name = cut(&plan.shown_name(op));
        let mut attributes: Attributes = vec![
            ("cicd.pipeline.task.name", cut(planned.name.as_str()).into()),
            ("cicd.pipeline.task.run.id", format!("{}/{}", self.run, cut(planned.name.as_str())).into()),
            ("cicd.pipeline.task.run.result", task_result(outcome).into()),
            ("pop.type", cut(&planned.handler_type).into()),
            ("pop.outcome", outcome.word().into()),
            ("pop.attempts", operation.attempts.into()),
        ];
        if let Some(Origin::Generated { by, .. }) = planned.origin {
            attributes.push(("pop.generated_by", cut(plan.operation(by).name.as_str()).into()));
        }
        let status = match outcome {
            Outcome::Failed | Outcome::DeadLettered => {
                SpanStatus::Error(operation.failure.unwrap_or_else(|| outcome.word().to_owned()))
            }
            _ => SpanStatus::Unset,
        };
        let kind = SpanKind::Operation(op, self.reopened);
        let span = self.span(kind, Some(operation.parent), name, operation.span, at);
        out.push(Span { attributes, status, ..span });
    }

    /// Ends the span of the run, after those of operations without an end.
    fn end(&mut self, plan: &Plan, outcome: RunOutcome, at: RunTime, out: &mut Vec<Span>) {
        let mut open: Vec<OpIx> = self.operations.keys().copied().collect();
        open.sort_unstable();
        for op in open {
            self.settle(plan, op, Outcome::Cancelled, at, out);
        }
        let attributes: Vec<(&'static str, AttributeValue)> = vec![
            ("cicd.pipeline.name", self.agenda.as_str().into()),
            ("cicd.pipeline.run.id", self.run.as_ref().into()),
            ("cicd.pipeline.result", pipeline_result(outcome).into()),
            ("pop.outcome", outcome.word().into()),
            ("pop.exit_code", u32::from(outcome.exit_code()).into()),
            ("pop.operations", (plan.len() as u64).into()),
        ];
        let status = match outcome {
            RunOutcome::Succeeded => SpanStatus::Unset,
            other => SpanStatus::Error(other.word().to_owned()),
        };
        let kind = self.own_kind();
        let caller = self.trace.caller().map(|caller| caller.parent.span);
        let first = self.trace.span_id(SpanKind::Run);
        let open = std::mem::take(&mut self.own);
        let span = if self.reopened == 0 {
            let name = format!("run {}", self.agenda);
            Span { is_parent_remote: caller.is_some(), ..self.span(kind, caller, name, open, at) }
        } else {
            let name = format!("resume {} of {}", self.reopened, self.agenda);
            let links = vec![SpanLink { span: first, kind: LinkKind::Resume }];
            Span { links, ..self.span(kind, Some(first), name, open, at) }
        };
        out.push(Span { attributes, status, ..span });
        self.has_ended = true;
        self.died = None;
    }
}
