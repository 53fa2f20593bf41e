//! Reports of small histories: waits, critical path, and hostile texts in every format.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_agenda::schema::{Schema, check_payload};
use pop_agenda::{
    Agenda, Answer, Ending, EventRecord, Gate, History, OpIx, Outcome, Plan, RunEvent, RunOptions,
    RunOutcome, RunTime,
};
use pop_contract::{Blame, Failure, LaunchType, Usage};
use pop_registry::Catalog;
use pop_report::format::{annotations, csv, json, junit, markdown, page, trace};
use pop_report::{AttemptEnding, OperationState, RepeatedOptions, Report, RunFacts, RunState, WaitKind};
use serde_json::{Map, Value, json};

/// A run: its plan and what happened.
struct Run {
    plan: Plan,
    events: Vec<EventRecord>,
    facts: RunFacts<'static>,
}

impl Run {
    fn new(operations: &Value, parallel: u32) -> Self {
        let mut faults = Vec::new();
        let agenda = Agenda::parse(json!({"operations": operations}), &mut faults).unwrap();
        let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap();
        let facts = RunFacts {
            run: "r1",
            agenda: "a.yaml",
            launcher: "local",
            inputs: Box::leak(Box::new(Map::new())),
            replay_of: None,
            state: RunState::Ended,
            until: 1_000_000,
            now: 1_000_000,
            runs: None,
            options: RepeatedOptions::default(),
            pop: "0.1.0",
        };
        let options = RunOptions { parallel, ..RunOptions::default() };
        let started = RunEvent::RunStarted {
            run: "r1".into(),
            started: 1_000,
            options,
            adopted: Vec::new(),
            adoptable: Vec::new(),
            parent: None,
        };
        Self { plan, events: vec![EventRecord { at: RunTime(0), event: started }], facts }
    }

    fn at(mut self, at: u64, event: RunEvent) -> Self {
        self.events.push(EventRecord { at: RunTime(at), event });
        self
    }

    fn starts(self, at: u64, op: u32, attempt: u32) -> Self {
        self.at(at, RunEvent::AttemptStarted { op: OpIx(op), attempt })
    }

    fn ends(self, at: u64, op: u32, attempt: u32, ending: Ending) -> Self {
        self.uses(at, op, attempt, ending, None)
    }

    fn uses(self, at: u64, op: u32, attempt: u32, ending: Ending, usage: Option<Usage>) -> Self {
        let ended = RunEvent::AttemptEnded {
            op: OpIx(op),
            attempt,
            ending,
            named_files: [].into(),
            files: None,
            instance: None,
            usage,
        };
        self.at(at, ended)
    }

    fn runs(self, from: u64, until: u64, op: u32) -> Self {
        self.starts(from, op, 1).ends(until, op, 1, success())
    }

    fn settles(self, at: u64, op: u32, outcome: Outcome) -> Self {
        self.at(at, RunEvent::OperationSettled { op: OpIx(op), outcome, ignored: None, skipped: None })
    }

    fn run_ends(self, at: u64, outcome: RunOutcome) -> Self {
        let run = self.at(at, RunEvent::RunEnded { outcome });
        Self { facts: RunFacts { until: 1_000 + at, ..run.facts }, ..run }
    }

    fn report<T>(&self, see: impl FnOnce(&Report<'_>) -> T) -> T {
        // journals are in the order of time
        let mut events = self.events.clone();
        events.sort_by_key(|record| record.at);
        let history = History::of(self.plan.len(), &events);
        see(&Report::of(&self.plan, &history, &self.facts))
    }
}

fn success() -> Ending {
    Ending::Succeeded {
        result: json!({"exitCode": 0}).as_object().cloned().map(Value::Object).unwrap().into(),
    }
}

fn failed(message: &str, tail: &[&str]) -> Ending {
    let mut failure = Failure::new(Blame::Handler, "exit", message);
    failure.log_tail = tail.iter().map(|line| (*line).to_owned()).collect();
    Ending::Failed(Box::new(failure))
}

fn operations(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "type": "sample"})).collect()
}

/// Kind and duration of each wait before an attempt.
fn waits(report: &Report<'_>, op: usize, attempt: usize) -> Vec<(WaitKind, u64)> {
    report.operations[op].attempts[attempt].waits.iter().map(|wait| (wait.kind, wait.took_ms)).collect()
}

#[test]
fn waits_explain_the_time_before_each_attempt() {
    let after = json!([
        {"name": "a", "type": "sample"},
        {"name": "b", "type": "sample"},
        {"name": "c", "type": "sample", "params": {"dependsOn": "a"}},
    ]);
    let lock = Gate::Lock { name: "key".into() };
    let run = Run::new(&after, 1)
        .runs(0, 100, 0)
        .runs(100, 150, 1)
        .at(150, RunEvent::GatesSet { op: OpIx(2), gates: [lock].into() })
        .at(150, RunEvent::GateAsked { op: OpIx(2) })
        .at(160, RunEvent::GateAnswered { op: OpIx(2), answer: Answer::Busy { holder: "run x".into() } })
        .at(190, RunEvent::GateAnswered { op: OpIx(2), answer: Answer::Granted })
        .starts(190, 2, 1)
        .ends(200, 2, 1, failed("no", &[]))
        .at(200, RunEvent::BackedOff { op: OpIx(2), until: RunTime(230) })
        .at(235, RunEvent::BackoffEnded { op: OpIx(2) })
        .starts(235, 2, 2)
        .ends(240, 2, 2, success())
        .run_ends(240, RunOutcome::Succeeded);
    run.report(|report| {
        assert_eq!(waits(report, 0, 0), []);
        assert_eq!(waits(report, 1, 0), [(WaitKind::Slot, 100)]);
        assert_eq!(
            waits(report, 2, 0),
            [(WaitKind::Dependencies, 100), (WaitKind::Slot, 50), (WaitKind::Lock, 40)]
        );
        assert_eq!(report.operations[2].attempts[0].waits[2].held_by, Some("run x"));
        assert_eq!(waits(report, 2, 1), [(WaitKind::BackOff, 35)]);
        assert_eq!(report.count(OperationState::Succeeded), 3);
    });
}

#[test]
fn a_time_without_an_executor_is_a_wait_of_its_own() {
    let run = Run::new(&operations(&["a", "b"]), 1)
        .runs(0, 10, 0)
        .at(500, RunEvent::RunResumed { options: RunOptions::default() })
        .runs(510, 520, 1)
        .run_ends(520, RunOutcome::Succeeded);
    run.report(|report| {
        let kinds = [(WaitKind::Slot, 10), (WaitKind::Executor, 490), (WaitKind::Slot, 10)];
        assert_eq!(waits(report, 1, 0), kinds);
        assert_eq!(report.run.resumed, 1);
    });
}

#[test]
fn a_settled_operation_waits_only_from_the_resume_on() {
    let run = Run::new(&operations(&["a"]), 1)
        .starts(0, 0, 1)
        .ends(10, 0, 1, failed("no", &[]))
        .settles(10, 0, Outcome::Failed)
        .at(400, RunEvent::RunEnded { outcome: RunOutcome::Failed })
        .at(500, RunEvent::RunResumed { options: RunOptions::default() })
        .at(500, RunEvent::RunReopened { ops: [OpIx(0)].into() })
        .starts(520, 0, 2)
        .ends(530, 0, 2, success())
        .run_ends(530, RunOutcome::Succeeded);
    run.report(|report| assert_eq!(waits(report, 0, 1), [(WaitKind::Slot, 20)]));
}

#[test]
fn waits_for_resources_and_places_are_told_from_slots() {
    let needs = json!([
        {"name": "a", "type": "sample", "params": {"resources": {"gpu": 1}}},
        {"name": "b", "type": "sample", "params": {"resources": {"gpu": 1}}},
    ]);
    let run = Run::new(&needs, 4).runs(0, 70, 0).runs(70, 90, 1).run_ends(90, RunOutcome::Succeeded);
    run.report(|report| assert_eq!(waits(report, 1, 0), [(WaitKind::Resources, 70)]));
}

#[test]
fn critical_path_follows_the_dependency_that_settled_last() {
    let after = json!([
        {"name": "short", "type": "sample"},
        {"name": "long", "type": "sample"},
        {"name": "join", "type": "sample", "params": {"dependsOn": ["short", "long"]}},
        {"name": "aside", "type": "sample"},
        {"name": "end", "type": "sample", "params": {"finally": true}},
    ]);
    let run = Run::new(&after, 4)
        .runs(0, 10, 0)
        .runs(0, 90, 1)
        .runs(0, 50, 3)
        .runs(95, 120, 2)
        .runs(120, 125, 4)
        .run_ends(125, RunOutcome::Succeeded);
    run.report(|report| {
        let steps: Vec<_> = report.critical_path.steps.iter().collect();
        let names: Vec<_> = steps.iter().map(|step| report.operations[step.operation.index()].name).collect();
        assert_eq!(names, ["long", "join", "end"]);
        assert_eq!((steps[1].ran_ms, steps[1].waited_ms), (25, 5));
        assert_eq!(report.critical_path.ran_ms, 120);
    });
}

#[test]
fn a_run_that_runs_has_open_attempts_and_no_end() {
    let run = Run::new(&operations(&["a", "b"]), 1).starts(10, 0, 1);
    let run = Run { facts: RunFacts { state: RunState::Running, until: 1_040, ..run.facts }, ..run };
    run.report(|report| {
        assert_eq!(report.operations[0].state, OperationState::Running);
        assert_eq!(report.operations[0].attempts[0].took_ms, 30);
        let waiting = &report.operations[1].waits;
        assert_eq!(
            (waiting.last().unwrap().kind, waiting.last().unwrap().until_time),
            (WaitKind::Slot, None)
        );
        assert!(markdown::markdown(report).contains("the run has not ended"));
        let data: Value = serde_json::from_str(&json(report).unwrap()).unwrap();
        assert_eq!(data["run"]["state"], "running");
        assert_eq!(data["run"]["outcome"], Value::Null);
    });
}

#[test]
fn attempt_of_a_dead_executor_is_lost_and_its_operation_stopped() {
    let after = json!([
        {"name": "a", "type": "sample"},
        {"name": "b", "type": "sample", "params": {"dependsOn": "a"}},
        {"name": "c", "type": "sample"},
    ]);
    let lost = Run::new(&after, 2)
        .starts(10, 0, 1)
        .starts(10, 2, 1)
        .ends(15, 2, 1, failed("no", &[]))
        .at(15, RunEvent::BackedOff { op: OpIx(2), until: RunTime(500) });
    let run = Run { facts: RunFacts { state: RunState::Stopped, until: 1_040, ..lost.facts }, ..lost };
    run.report(|report| {
        let states: Vec<_> = report.operations.iter().map(|operation| operation.state).collect();
        assert_eq!(states, [OperationState::Stopped, OperationState::Waiting, OperationState::Stopped]);
        let attempt = &report.operations[0].attempts[0];
        assert_eq!((attempt.outcome, attempt.completed_time), (AttemptEnding::Lost, Some(1_040)));
        let trace: Value = serde_json::from_str(&trace::trace(report)).unwrap();
        let text = trace.to_string();
        assert!(text.contains(r#""cat":"lost""#) && !text.contains("running"), "{text}");
        let page = page::page(report).unwrap();
        assert!(page.contains(r#""state":[3,5,3]"#) && page.contains(r#""end":[4,2]"#));
        assert!(junit::junit(report).contains(r#"<error message="stopped: its executor died"/>"#));
    });
    // once the run is resumed, the lost attempt ends with the last event of its executor
    let run = Run::new(&operations(&["a"]), 1)
        .starts(10, 0, 1)
        .at(40, RunEvent::AttemptRunning { op: OpIx(0), attempt: 1 })
        .at(500, RunEvent::RunResumed { options: RunOptions::default() })
        .ends(501, 0, 1, Ending::Lost)
        .starts(510, 0, 2)
        .ends(520, 0, 2, success())
        .run_ends(520, RunOutcome::Succeeded);
    run.report(|report| {
        let attempt = &report.operations[0].attempts[0];
        assert_eq!((attempt.completed_time, attempt.took_ms), (Some(1_040), 30));
        assert_eq!(waits(report, 0, 1), [(WaitKind::Executor, 460), (WaitKind::Slot, 10)]);
    });
}

/// A message that tries to leave every format.
const HOSTILE: &str =
    "</script><script>alert(1)</script> ]]> \u{202e}evil\u{0}\u{1b}[2J\n::error::x\n| a | `b` @me";

fn hostile() -> Run {
    let long = "x".repeat(1_000_000);
    Run::new(&operations(&["a", "b"]), 1)
        .starts(0, 0, 1)
        .ends(5, 0, 1, failed(HOSTILE, &[HOSTILE, "```", &long]))
        .settles(5, 0, Outcome::Failed)
        .settles(5, 1, Outcome::Cancelled)
        .run_ends(6, RunOutcome::Failed)
}

#[test]
fn hostile_texts_stay_texts_in_a_page() {
    hostile().report(|report| {
        let text = page::page(report).unwrap();
        assert_eq!(text.matches("</script>").count(), 2, "one data block and one script");
        assert!(
            !text.contains("alert(1)</script>") && !text.contains('\u{202e}') && !text.contains('\u{1b}')
        );
        assert!(text.len() < 200_000, "a long line is cut: {}", text.len());
        assert!(text.contains("[cut: 2000 of 1000000 bytes]"));
    });
}

#[test]
fn hostile_texts_stay_texts_in_other_formats() {
    hostile().report(|report| {
        let xml = junit::junit(report);
        let is_valid =
            |c: char| matches!(c, '\n' | '\t' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}') || c > '\u{ffff}';
        assert!(xml.chars().all(is_valid));
        assert!(!xml.contains("<script") && !xml.contains("]]>"));
        assert!(xml.len() < 20_000);
        let table = csv::csv(report);
        assert!(table.contains("\"</script>") && table.contains("@me\""), "a cell with line ends is quoted");
        let text = markdown::markdown(report);
        let prose: Vec<_> = text.split("````").step_by(2).collect();
        assert!(!prose.concat().contains("<script") && !text.contains('\u{202e}'));
        assert!(text.contains("````text"), "the fence is longer than any in the log");
        let lines = annotations::annotations(report);
        assert_eq!(lines.lines().count(), 1, "{lines}");
        assert!(lines.starts_with("::error title=a%3A failed::"));
        serde_json::from_str::<Value>(&trace::trace(report)).unwrap();
    });
}

#[test]
fn markdown_has_at_most_one_mebibyte() {
    let names: Vec<String> = (0..3_000).map(|number| format!("op-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let tail = "y".repeat(900);
    let mut run = Run::new(&operations(&names), 1);
    for op in 0..3_000 {
        run = run.starts(1, op, 1).ends(2, op, 1, failed("no", &[&tail])).settles(2, op, Outcome::Failed);
    }
    run.run_ends(3, RunOutcome::Failed).report(|report| {
        let text = markdown::markdown(report);
        assert!(text.len() <= 1024 * 1024, "{}", text.len());
        assert!(text.contains("more failures are not shown") && text.contains("### Slowest operations"));
    });
}

#[test]
fn usage_is_in_every_table_where_it_is_known() {
    let run = Run::new(&operations(&["a"]), 1).runs(0, 10, 0).run_ends(10, RunOutcome::Succeeded);
    run.report(|report| assert!(!json(report).unwrap().contains("usage")));
    let used = |user_us, mem_kib, write_kib| Some(Usage { user_us, mem_kib, write_kib, ..Usage::default() });
    let run = Run::new(&operations(&["a"]), 1)
        .starts(0, 0, 1)
        .uses(10, 0, 1, failed("no", &[]), used(2_400, 4, 0))
        .starts(10, 0, 2)
        .uses(20, 0, 2, success(), used(400, 3, 1))
        .run_ends(20, RunOutcome::Succeeded);
    run.report(|report| {
        let table = csv::csv(report);
        assert!(table.contains(",3,4096,,\r\n") && table.ends_with(",1,3072,,1024\r\n"), "{table}");
        let text = page::page(report).unwrap();
        // the sum is rounded, not the summands
        assert!(text.contains(r#""usage":{"cpuMs":3,"peakMemoryBytes":4096,"writtenBytes":1024}"#));
        assert!(text.contains(
            r#""usage":[[1,{"cpuMs":3,"peakMemoryBytes":4096}],[2,{"cpuMs":1,"peakMemoryBytes":3072,"writtenBytes":1024}]]"#
        ));
    });
}

#[test]
fn commands_of_a_page_name_another_folder_of_runs() {
    let run = hostile();
    let run = Run { facts: RunFacts { runs: Some("my runs"), ..run.facts }, ..run };
    run.report(|report| {
        let text = page::page(report).unwrap();
        assert!(text.contains(r#""runs":"--runs 'my runs'""#));
        assert!(text.contains("pop rerun r1 a --runs 'my runs'"));
    });
}

#[test]
fn json_matches_its_schema() {
    let schema = include_str!("../../docs/schemas/report.schema.json");
    let schema: Value = serde_json::from_str(schema).unwrap();
    hostile().report(|report| {
        let data: Value = serde_json::from_str(&json(report).unwrap()).unwrap();
        let findings = check_payload(&data, Schema::new(&schema), &|_| None);
        let findings: Vec<_> =
            findings.iter().map(|finding| format!("{} {}", finding.at.as_str(), finding.why)).collect();
        assert_eq!(findings, [""; 0]);
        let known = schema["$defs"]["Operation"]["properties"].as_object().unwrap();
        let operation = data["operations"][0].as_object().unwrap();
        assert!(operation.keys().all(|key| known.contains_key(key)), "{operation:?}");
    });
}

#[test]
fn trace_has_slots_waits_and_flows() {
    let after = json!([
        {"name": "a", "type": "sample"},
        {"name": "b", "type": "sample"},
        {"name": "c", "type": "sample", "params": {"dependsOn": "a"}},
    ]);
    let run =
        Run::new(&after, 2).runs(0, 10, 0).runs(0, 30, 1).runs(12, 20, 2).run_ends(30, RunOutcome::Succeeded);
    run.report(|report| {
        let trace: Value = serde_json::from_str(&trace::trace(report)).unwrap();
        let events = trace["traceEvents"].as_array().unwrap();
        let of = |phase: &str, pid: u64| -> Vec<&Value> {
            events.iter().filter(|event| event["ph"] == phase && event["pid"] == pid).collect()
        };
        let slots: Vec<_> =
            of("X", 1).iter().map(|event| (event["name"].clone(), event["tid"].clone())).collect();
        assert_eq!(slots, [(json!("a"), json!(1)), (json!("b"), json!(2)), (json!("c"), json!(1))]);
        assert_eq!(of("b", 2).len(), of("e", 2).len());
        let (start, end) = (of("s", 1), of("f", 1));
        assert_eq!((start.len(), end.len()), (1, 1));
        assert_eq!((&start[0]["ts"], &end[0]["ts"]), (&json!(9_999), &json!(12_000)));
    });
}

#[test]
fn the_page_has_states_endings_and_waits_in_the_order_of_their_numbers() {
    let source = include_str!("../page/src/data.ts");
    let list = |name: &str| {
        let (_, rest) = source.split_once(&format!("export const {name} = [")).unwrap();
        let (list, _) = rest.split_once(']').unwrap();
        list.split(',')
            .map(|word| word.trim().trim_matches('"'))
            .filter(|word| !word.is_empty())
            .collect::<Vec<_>>()
    };
    assert_eq!(list("STATES"), OperationState::ALL.map(OperationState::word));
    assert_eq!(list("ENDINGS"), AttemptEnding::ALL.map(AttemptEnding::word));
    assert_eq!(list("WAITS"), WaitKind::ALL.map(WaitKind::word));
    for (at, state) in OperationState::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(state.number()), at);
    }
    for (at, wait) in WaitKind::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(wait.number()), at);
    }
    for (at, ending) in AttemptEnding::ALL.into_iter().enumerate() {
        assert_eq!(usize::from(ending.number()), at);
    }
}
