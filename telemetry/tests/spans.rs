//! Spans of random runs, also of runs that were killed and resumed at any event.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda::{
    Action, Agenda, EventRecord, Input, OpIx, Plan, PriorOutcomes, RunEvent, RunOptions, RunTime, Scheduler,
    Verdict,
};
use pop_contract::{Blame, Failure, LaunchType, Usage};
use pop_registry::Catalog;
use pop_telemetry::{AttributeValue, CallerTrace, LinkKind, RunTrace, Span, SpanFold, SpanId, SpanStatus};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::sync::Arc;

const STARTED: u64 = 1_800_000_000_000;

fn plan(agenda: Value) -> Arc<Plan> {
    let mut faults = Vec::new();
    let agenda = Agenda::parse(agenda, &mut faults).unwrap();
    Arc::new(Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap())
}

/// How attempts of a run end, and after how many events its executor dies.
#[derive(Debug, Clone)]
struct Script {
    /// The number of failures of each operation before a success.
    failures: Vec<u32>,
    /// Numbers of events after which the executor dies.
    deaths: Vec<usize>,
}

/// Plays a run to its end, and resumes it if it did not succeed at first.
fn play(plan: &Arc<Plan>, script: &Script) -> (Arc<Plan>, Vec<EventRecord>) {
    let options = RunOptions { parallel: 2, keep_going: true, ..RunOptions::default() };
    let mut scheduler = Scheduler::new(Arc::clone(plan), options.clone());
    let mut events = Vec::new();
    let mut deaths: VecDeque<usize> = script.deaths.iter().copied().collect();
    let mut failures: BTreeMap<OpIx, u32> = BTreeMap::new();
    let adopted = PriorOutcomes::default();
    let mut inputs = VecDeque::from([Input::Begun { run: "r".into(), started: STARTED, adopted }]);
    let mut now = 0;
    let mut resumes = 0;
    loop {
        now += 3;
        let Some(input) = inputs.pop_front() else {
            match (scheduler.outcome(), scheduler.deadline()) {
                (None, Some(RunTime(at))) => {
                    now = now.max(at);
                    inputs.push_back(Input::Ticked);
                    continue;
                }
                // a run that has ended is resumed once, and then everything succeeds
                (Some(outcome), _) if outcome.exit_code() != 0 && resumes == 0 => {
                    resumes += 1;
                    for count in failures.values_mut() {
                        *count = 1_000;
                    }
                    now += 10_000;
                    inputs.push_back(Input::Resumed { options: options.clone() });
                    continue;
                }
                _ => return (Arc::clone(scheduler.plan()), events),
            }
        };
        let step = scheduler.step(RunTime(now), input);
        events.extend(step.events.into_iter().map(|event| EventRecord { at: RunTime(now), event }));
        if deaths.front().is_some_and(|death| events.len() >= *death) && scheduler.outcome().is_none() {
            deaths.pop_front();
            scheduler = Scheduler::new(Arc::clone(plan), options.clone());
            for event in &events {
                scheduler.evolve(event);
            }
            now += 60_000;
            inputs = VecDeque::from([Input::Resumed { options: options.clone() }]);
            continue;
        }
        for action in step.actions {
            let Action::Launch { op, attempt, again, .. } = action else { continue };
            if again {
                inputs.push_back(Input::Lost { op, attempt });
                continue;
            }
            let before = failures.entry(op).or_default();
            *before += 1;
            let wanted = script.failures.get(op.index() % script.failures.len()).copied().unwrap_or_default();
            let verdict = if *before > wanted {
                let usage = Some(Usage { user_us: 5, ..Usage::default() });
                Verdict { usage, ..Verdict::succeeded(json!([1, 2])) }
            } else {
                Verdict::failed(Failure::new(Blame::Handler, "exit", "ended with exit status 1"))
            };
            inputs.push_back(Input::Ended { op, attempt, verdict });
        }
    }
}

fn trace() -> RunTrace {
    RunTrace::new("r", "cid", None, true)
}

fn fold(plan: &Plan, events: &[EventRecord]) -> Vec<Span> {
    let mut fold = SpanFold::new(trace(), "a.yaml");
    let mut spans = Vec::new();
    for event in events {
        fold.add(plan, event, &mut spans);
    }
    spans
}

fn text<'s>(span: &'s Span, name: &str) -> Option<&'s str> {
    span.attributes.iter().find(|(key, _)| *key == name).and_then(|(_, value)| match value {
        AttributeValue::Text(text) => Some(text.as_str()),
        _ => None,
    })
}

fn agenda(count: usize, with_items: bool) -> Value {
    let operations = (0..count).map(|number| {
        let mut params = json!({"retry": {"maxAttempts": 2, "delayMs": 40}});
        if number > 0 {
            params["dependsOn"] = json!([format!("o{}", number / 2)]);
        }
        if with_items && number == 1 {
            params["forEach"] = json!("@<o0.out>");
        }
        json!({"name": format!("o{number}"), "type": "sample", "params": params})
    });
    json!({"operations": operations.collect::<Vec<_>>()})
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn spans_are_a_tree_that_grows_only_at_its_end(
        count in 1_usize..7,
        with_items: bool,
        failures in prop::collection::vec(0_u32..4, 1..7),
        deaths in prop::collection::btree_set(1_usize..60, 0..4),
        cut in 0.0_f64..1.0,
    ) {
        let script = Script { failures, deaths: deaths.into_iter().collect() };
        let (plan, events) = play(&plan(agenda(count, with_items)), &script);
        let spans = fold(&plan, &events);
        prop_assert_eq!(&spans, &fold(&plan, &events));
        // what a killed executor has sent is what its successor skips
        let part = fold(&plan, &events[..(events.len() as f64 * cut) as usize]);
        prop_assert_eq!(&spans[..part.len()], &part[..]);

        let ids: HashSet<SpanId> = spans.iter().map(|span| span.id).collect();
        prop_assert_eq!(ids.len(), spans.len());
        for span in &spans {
            prop_assert!(span.start <= span.end);
            let is_known = span.parent.is_none_or(|parent| ids.contains(&parent));
            prop_assert!(is_known && span.links.iter().all(|link| ids.contains(&link.span)), "{:?}", span);
        }
        let started = events.iter().filter(|event| matches!(event.event, RunEvent::AttemptStarted { .. }));
        let attempts = spans.iter().filter(|span| span.name.contains(": attempt ")).count();
        prop_assert_eq!(attempts, started.count());
        let roots: Vec<usize> = (0..spans.len()).filter(|at| spans[*at].parent.is_none()).collect();
        prop_assert_eq!(roots.len(), 1);
        let ends = events.iter().filter(|event| matches!(event.event, RunEvent::RunEnded { .. })).count();
        let last = spans.last().unwrap();
        prop_assert!(if ends == 1 { last.parent.is_none() } else { last.name.starts_with("resume 1 of") }, "{:?}", last);
    }
}

#[test]
fn killed_run_has_one_trace_with_lost_attempt_and_link() {
    // o0 runs when the executor dies after two events
    let script = Script { failures: vec![0, 1], deaths: vec![2] };
    let (plan, events) = play(&plan(agenda(2, false)), &script);
    let spans = fold(&plan, &events);
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    let wanted = [
        "started",
        "o0: attempt 1",
        "o0: attempt 2",
        "o0",
        "o1: attempt 1",
        "o1: attempt 2",
        "o1",
        "run a.yaml",
    ];
    assert_eq!(names, wanted);
    let [_, lost, second, first_operation, failed, retried, _, run] = &spans[..] else { unreachable!() };
    assert_eq!(text(lost, "pop.outcome"), Some("lost"));
    assert_eq!(lost.status, SpanStatus::Error("the executor died".to_owned()));
    // it ends with the last event of its executor, and the next one begins a minute later
    assert_eq!((lost.start, lost.end), (STARTED + 3, STARTED + 3));
    assert!(second.start > STARTED + 60_000);
    assert_eq!((second.links[0].span, second.links[0].kind), (lost.id, LinkKind::Resume));
    assert_eq!((retried.links[0].span, retried.links[0].kind), (failed.id, LinkKind::Retry));
    assert_eq!((second.parent, lost.parent), (Some(first_operation.id), Some(first_operation.id)));
    assert_eq!((first_operation.parent, run.parent), (Some(run.id), None));
    let moments: Vec<&str> = run.events.iter().map(|event| event.name).collect();
    assert_eq!(moments, ["executor died", "resumed"]);
    assert!(second.attributes.contains(&("pop.usage.user_us", AttributeValue::Number(5))));
}

#[test]
fn caller_is_above_the_run_and_its_trace_counts() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse().unwrap();
    let trace = RunTrace::new("r", "cid", Some(CallerTrace { parent, state: None }), true);
    let (plan, events) = play(&plan(agenda(1, false)), &Script { failures: vec![0], deaths: Vec::new() });
    let mut fold = SpanFold::new(trace.clone(), "a.yaml");
    let mut spans = Vec::new();
    for event in &events {
        fold.add(&plan, event, &mut spans);
    }
    let run = spans.last().unwrap();
    assert_eq!((run.parent, run.is_parent_remote), (Some(parent.span), true));
    assert_eq!(trace.id(), parent.trace);
    // what a handler gets is the id of the span of its attempt
    let (_, value) = trace.variables(OpIx(0), 1).remove(0);
    let attempt = spans.iter().find(|span| span.name == "o0: attempt 1").unwrap();
    assert_eq!(value, format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", attempt.id));
    let names: BTreeSet<&str> = run.attributes.iter().map(|(name, _)| *name).collect();
    assert!(names.contains("cicd.pipeline.result"), "{names:?}");
}
