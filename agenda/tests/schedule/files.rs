//! Declared files in the schedule: when they are looked for, what their patterns are, and when they are verified.

use crate::world::plan;
use pop_agenda::{
    Action, Answer, Ending, FileRecord, Gate, History, Input, OpIx, Outcome, Plan, PriorOutcomes, RunEvent,
    RunOptions, RunOutcome, RunTime, Scheduler, Step, Verdict,
};
use pop_contract::{Blame, Failure, Usage};
use serde_json::{Value, json};
use std::sync::Arc;

struct Played {
    scheduler: Scheduler,
    events: Vec<RunEvent>,
    history: History,
}

fn begun(plan: &Arc<Plan>) -> (Played, Vec<Action>) {
    let options = RunOptions { parallel: 4, keep_going: true, ..RunOptions::default() };
    let scheduler = Scheduler::new(Arc::clone(plan), options);
    let mut played = Played { scheduler, events: Vec::new(), history: History::new(plan.len()) };
    let actions =
        played.input(Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() });
    (played, actions)
}

impl Played {
    fn input(&mut self, input: Input) -> Vec<Action> {
        let Step { events, actions } = self.scheduler.step(RunTime(0), input);
        for event in events {
            self.history.add(&pop_agenda::EventRecord { at: RunTime(0), event: event.clone() });
            self.events.push(event);
        }
        actions
    }

    fn answer(&mut self, op: u32, answer: Answer) -> Vec<Action> {
        self.input(Input::Answered { op: OpIx(op), answer })
    }

    fn end(&mut self, op: u32, result: Value) -> Vec<Action> {
        self.input(Input::Ended { op: OpIx(op), attempt: 1, verdict: Verdict::succeeded(result) })
    }
}

/// The gates that an operation must pass.
fn gates(played: &Played, of: u32) -> Vec<String> {
    let set = played.events.iter().find_map(|event| match event {
        RunEvent::GatesSet { op, gates } if op.0 == of => Some(Arc::clone(gates)),
        _ => None,
    });
    let word = |gate: &Gate| match gate {
        Gate::Lock { name } => format!("lock {}", name.split(' ').next().unwrap()),
        Gate::Files(files) => format!("files {:?} {:?} {:?}", files.folder, files.reads, files.writes),
        Gate::Cache(ask) => format!("cache {}", ask.files),
        Gate::Reuse { .. } => "reuse".to_owned(),
        Gate::Version { .. } => "version".to_owned(),
        Gate::Delay { .. } => "delay".to_owned(),
    };
    set.iter().flat_map(|gates| gates.iter()).map(word).collect()
}

fn file(path: &str) -> Arc<[FileRecord]> {
    [FileRecord { path: path.into(), size: 1, digest: "d".into(), executable: false }].into()
}

#[test]
fn fr_d2_files_come_before_the_cache_and_after_other_locks() {
    let cached = json!({"useCache": true, "cacheFiles": true, "reads": "a", "lock": "SAFE", "lockKey": "k"});
    let locked = json!({"reads": ["a", "b"], "writes": "c", "lock": "SAFE", "lockKey": "k", "delayMs": 5});
    let plan = plan(json!({"operations": [
        {"name": "cached", "type": "exec", "params": cached, "payload": {"command": ["true"], "workingDirectory": "sub"}},
        {"name": "locked", "type": "sample", "params": locked},
        {"name": "plain", "type": "sample"},
    ]}));
    let (played, actions) = begun(&plan);
    assert_eq!(gates(&played, 0), ["lock cache", r#"files "sub" ["a"] []"#, "cache true", "lock k"]);
    assert_eq!(gates(&played, 1), ["lock k", r#"files "" ["a", "b"] ["c"]"#, "delay"]);
    // an operation without files starts as before
    assert!(actions.iter().any(|action| matches!(action, Action::Launch { op: OpIx(2), .. })));
}

#[test]
fn fr_d2_references_in_patterns_are_names_and_dependencies() {
    let params = json!({
        "reads": ["@<a.out::/files>", "in/@<a.out::/one>.[ct]sv", "@<a.out::/none?>"],
        "writes": "@<pop.operationName>.txt",
    });
    let plan = plan(json!({"operations": [
        {"name": "b", "type": "sample", "params": params},
        {"name": "a", "type": "sample"},
    ]}));
    let (mut played, _) = begun(&plan);
    played.end(1, json!({"files": ["x*.txt", "y"], "one": "[1]"}));
    assert_eq!(gates(&played, 0), [r#"files "" ["x[*].txt", "y", "in/[[]1[]].[ct]sv"] ["b.txt"]"#]);
    let reads = |value: Value| {
        let (mut played, _) = begun(&plan);
        played.end(1, json!({"files": value, "one": 1}));
        let failure = played.events.iter().find_map(|event| match event {
            RunEvent::StartFailed { failure, .. } => Some(format!("{}: {}", failure.code, failure.message)),
            _ => None,
        });
        failure.unwrap_or_default()
    };
    assert_eq!(
        reads(json!([{}])),
        "reference: `@<a.out::/files>` at `/0` of the payload: refers to a map, not to a file"
    );
    assert_eq!(reads(json!("")), "payload: the pattern `` must not be empty");
}

#[test]
fn fr_d2_success_counts_after_the_files_are_verified() {
    let params = json!({"writes": "out", "retry": {"maxAttempts": 2, "on": ["missing-output"]}});
    let plan = plan(json!({"operations": [
        {"name": "a", "type": "sample", "params": params},
        {"name": "b", "type": "sample", "params": {"dependsOn": "a"}},
    ]}));
    let (mut played, actions) = begun(&plan);
    // nothing to look for before the start
    assert!(matches!(actions[..], [Action::Launch { .. }]), "{actions:?}");
    assert_eq!(played.end(0, json!(1)), [Action::Commit { op: OpIx(0), attempt: 1 }]);
    assert_eq!(played.scheduler.state(OpIx(1)).outcome(), None);
    let failure = Box::new(Failure::new(Blame::Handler, "missing-output", "no file"));
    let actions = played.input(Input::Committed { op: OpIx(0), attempt: 1, outcome: Err(failure) });
    assert!(actions.iter().any(|action| matches!(action, Action::Launch { attempt: 2, .. })));
    let usage = Usage { user_us: 7, ..Usage::default() };
    let verdict = Verdict { usage: Some(usage), ..Verdict::succeeded(json!(2)) };
    // a new executor asks for the files again, and knows what the attempt used
    played.input(Input::Ended { op: OpIx(0), attempt: 2, verdict });
    let options = played.scheduler.options().clone();
    assert_eq!(played.input(Input::Resumed { options }), [Action::Commit { op: OpIx(0), attempt: 2 }]);
    let actions = played.input(Input::Committed { op: OpIx(0), attempt: 2, outcome: Ok(Some(file("out"))) });
    assert!(actions.iter().any(|action| matches!(action, Action::Launch { op: OpIx(1), .. })));
    let seen = played.history.operation(OpIx(0));
    assert_eq!(seen.outcome(), Some(Outcome::Succeeded));
    assert_eq!(seen.files.as_ref().unwrap().written, Some(file("out")));
    assert_eq!(seen.attempts[1].usage, Some(usage));
}

#[test]
fn fr_d2_missing_input_fails_before_the_launch() {
    let params = json!({"reads": "in", "onFail": "SKIP"});
    let plan = plan(json!({"operations": [{"name": "a", "type": "sample", "params": params}]}));
    let (mut played, actions) = begun(&plan);
    assert!(matches!(actions[..], [Action::Ask { gate: Gate::Files(_), .. }]), "{actions:?}");
    let failure = Box::new(Failure::new(Blame::Handler, "missing-input", "no file"));
    played.answer(0, Answer::Failed(failure));
    assert_eq!(played.scheduler.outcome(), Some(RunOutcome::Succeeded));
    assert_eq!(played.history.operation(OpIx(0)).attempts, []);
}

#[test]
fn fr_d2_cached_result_brings_its_files_and_inputs_are_compared_before_it_is_written() {
    let params = json!({"reads": "in", "useCache": true, "cache.use": true});
    let plan = plan(json!({"operations": [{"name": "a", "type": "sample", "params": params}]}));
    for is_hit in [true, false] {
        let (mut played, _) = begun(&plan);
        played.answer(0, Answer::Granted);
        played.answer(0, Answer::Read { files: file("in") });
        if is_hit {
            let (result, files) = (Arc::new(json!(1)), Some(file("out")));
            played.answer(0, Answer::Hit { result, by: "r/a".into(), written: 0, files, restored: 1 });
        } else {
            played.answer(0, Answer::miss("no entry"));
            let actions = played.end(0, json!(1));
            assert_eq!(actions, [Action::Commit { op: OpIx(0), attempt: 1 }]);
            let actions = played.input(Input::Committed { op: OpIx(0), attempt: 1, outcome: Ok(None) });
            assert!(matches!(actions[..], [Action::Fill { .. }, Action::Release { .. }]), "{actions:?}");
        }
        let files = played.history.operation(OpIx(0)).files.clone().unwrap();
        assert_eq!((files.read, files.written), (Some(file("in")), is_hit.then(|| file("out"))));
    }
}

#[test]
fn fr_d2_records_of_an_earlier_pop_are_read() {
    let text = r#"{"AttemptEnded":{"op":0,"attempt":1,"ending":{"succeeded":{"result":1}}}}"#;
    let event: RunEvent = serde_json::from_str(text).unwrap();
    assert!(matches!(
        &event,
        RunEvent::AttemptEnded { ending: Ending::Succeeded { .. }, files: None, usage: None, .. }
    ));
    assert_eq!(serde_json::to_string(&event).unwrap(), text);
    for text in [r#"{"miss":{"why":"w"}}"#, r#"{"hit":{"result":1,"by":"r/a","written":2}}"#] {
        let answer: Answer = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&answer).unwrap(), text);
    }
}
