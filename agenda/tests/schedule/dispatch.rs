//! Operations of type dispatch: their calls and the combined report.

use pop_agenda::{
    Action, Agenda, Answer, Ending, Gate, Input, OpIx, Outcome, Plan, PriorOutcome, PriorOutcomes, RunEvent,
    RunOptions, RunOutcome, RunTime, Scheduler, Verdict,
};
use pop_contract::{Blame, Failure, LaunchType};
use pop_document::Source;
use pop_registry::{Catalog, Descriptor};
use serde_json::{Value, json};

const DESCRIPTOR: &str = "[main]\nenabled=1\n[types]\ncontent=rpm,tar\nbind=rpm,yum\nsystem=Linux\n\
    [rpm]\nclass=rpm-handler\nimport_key=1\n[tar]\nclass=tar-handler\n[yum]\nclass=yum-handler\n\
    [Linux]\nclass=linux-handler\n";

fn scheduler(payload: &Value) -> Scheduler {
    scheduler_with(payload, &json!({"retry": {"maxAttempts": 1}}))
}

fn scheduler_with(payload: &Value, params: &Value) -> Scheduler {
    let descriptor = Descriptor::read(Source::ini("d.conf", DESCRIPTOR.as_bytes()).unwrap());
    assert_eq!(descriptor.faults(), []);
    let mut faults = Vec::new();
    let catalog = Catalog::assemble(None, vec![descriptor], &mut faults);
    let agenda = json!({"operations": [
        {"name": "all", "type": "dispatch", "payload": payload, "params": params},
        {"name": "then", "type": "sample", "payload": "@<all.out::?>"}]});
    let agenda = Agenda::parse(agenda, &mut faults).unwrap();
    let plan = Plan::build(agenda, &catalog, LaunchType::Local, &mut faults);
    assert!(plan.is_some(), "{faults:?}");
    Scheduler::new(plan.unwrap(), RunOptions { parallel: 9, ..RunOptions::default() })
}

/// Begins a run and returns the launched calls with number, action and payload.
fn calls(scheduler: &mut Scheduler) -> Vec<(u32, String, Value)> {
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() };
    launched(scheduler, begun)
}

fn launched(scheduler: &mut Scheduler, input: Input) -> Vec<(u32, String, Value)> {
    let actions = scheduler.step(RunTime(0), input).actions;
    scheduler.check().unwrap();
    let launch = |action: Action| match action {
        Action::Launch { op, .. } => {
            let rare = scheduler.plan().operation(op).rare.clone();
            let action = rare.and_then(|rare| rare.action.clone()).unwrap_or_default();
            Some((op.0, action.into(), scheduler.payload(op).unwrap().into_owned()))
        }
        _ => None,
    };
    actions.into_iter().filter_map(launch).collect()
}

fn reported(op: u32, report: Value) -> Input {
    Input::Ended { op: OpIx(op), attempt: 1, verdict: Verdict::succeeded(report) }
}

fn unit(type_id: &str, name: &str) -> Value {
    json!({"type_id": type_id, "name": name})
}

#[test]
fn u10_units_are_grouped_by_type_and_unserved_ones_reported() {
    let units = json!([unit("rpm", "a"), unit("deb", "x"), unit("tar", "b"), unit("rpm", "c")]);
    let mut scheduler =
        scheduler(&json!({"method": "content.install", "units": units, "options": {"force": true}}));
    let asked = calls(&mut scheduler);
    let install = |type_id: &str, units: Value| json!({"capability": "content", "method": "install", "type": type_id, "units": units, "options": {"force": true}});
    assert_eq!(
        asked,
        [
            (2, "content.install".to_owned(), install("rpm", json!([unit("rpm", "a"), unit("rpm", "c")]))),
            (3, "content.install".to_owned(), install("tar", json!([unit("tar", "b")]))),
        ]
    );
    scheduler
        .step(RunTime(1), reported(2, json!({"succeeded": true, "details": {"a": 1}, "num_changes": 2})));
    let step = scheduler.step(RunTime(1), reported(3, json!({"num_changes": 1})));
    scheduler.check().unwrap();
    let Some(RunEvent::Joined { ending: Ending::Failed(failure), .. }) =
        step.events.iter().find(|event| matches!(event, RunEvent::Joined { .. }))
    else {
        unreachable!("{step:?}")
    };
    assert_eq!(failure.code, "dispatch");
    let report = failure.diagnostics[0].payload.as_ref().unwrap();
    assert_eq!((&report["succeeded"], &report["num_changes"]), (&json!(false), &json!(3)));
    assert_eq!(report["details"]["deb"]["details"]["message"], "no handler for type `deb`");
    assert_eq!(report["details"]["rpm"], json!({"succeeded": true, "details": {"a": 1}}));
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Failed));
}

#[test]
fn u14_failed_call_is_reported_and_others_still_run() {
    let units = json!([unit("rpm", "a"), unit("tar", "b")]);
    let mut scheduler = scheduler(&json!({"method": "content.update", "units": units}));
    assert_eq!(calls(&mut scheduler).len(), 2);
    let broken = Verdict::failed(Failure::new(Blame::Handler, "signal", "it was killed"));
    scheduler.step(RunTime(1), Input::Ended { op: OpIx(2), attempt: 1, verdict: broken });
    // the run is not ending: a failed call is no failure of the run
    assert!(scheduler.state(OpIx(3)).is_out());
    let step = scheduler.step(RunTime(2), reported(3, json!({"num_changes": 4})));
    let failed = step.events.iter().find_map(|event| match event {
        RunEvent::Joined { ending: Ending::Failed(failure), .. } => failure.diagnostics[0].payload.clone(),
        _ => None,
    });
    let report = failed.unwrap();
    assert_eq!(report["num_changes"], 4);
    assert_eq!(
        report["details"]["rpm"],
        json!({"succeeded": false, "details": {"message": "it was killed", "trace": ""}})
    );
    assert_eq!(report["details"]["tar"]["succeeded"], true);
}

#[test]
fn u16_restart_is_called_once_and_only_after_changes() {
    for (changes, wanted) in [(1, true), (0, false)] {
        let units = json!([unit("rpm", "a")]);
        let payload = json!({"method": "content.install", "units": units, "options": {"reboot": true}});
        let mut scheduler = scheduler(&payload);
        assert_eq!(calls(&mut scheduler).len(), 1);
        let next = launched(&mut scheduler, reported(2, json!({"num_changes": changes})));
        let asked: Vec<&str> = next.iter().map(|(_, action, _)| action.as_str()).collect();
        if wanted {
            assert_eq!(asked, ["system.reboot"]);
            assert_eq!(next[0].2["type"], "Linux");
            let next = launched(
                &mut scheduler,
                reported(3, json!({"reboot_scheduled": true, "details": {"at": 9}})),
            );
            assert_eq!(next[0].2["reboot"], json!({"scheduled": true, "details": {"at": 9}}));
            assert_eq!(next[0].2["num_changes"], 1);
        } else {
            assert_eq!(next[0].2["reboot"]["scheduled"], false);
        }
        assert_eq!(scheduler.state(OpIx(0)).outcome(), Some(Outcome::Succeeded));
    }
}

#[test]
fn u15_bindings_and_methods_for_all_handlers_are_called() {
    let ids = |payload: Value| -> Vec<String> {
        let asked = calls(&mut scheduler(&payload));
        let word = |call: &Value| format!("{}.{} {}", call["capability"], call["method"], call["type"]);
        asked.iter().map(|(_, _, call)| word(call).replace('"', "")).collect()
    };
    let bindings = json!([
        {"type_id": "yum", "repo_id": "r1", "details": {}}, {"type_id": "rpm", "repo_id": "r2", "details": {}}]);
    assert_eq!(ids(json!({"method": "bind.bind", "bindings": bindings})), ["bind.bind yum", "bind.bind rpm"]);
    assert_eq!(ids(json!({"method": "content.profile"})), ["content.profile rpm", "content.profile tar"]);
    assert_eq!(
        ids(json!({"method": "bind.unbind", "repo_id": "r1"})),
        ["bind.unbind rpm", "bind.unbind yum"]
    );
    assert_eq!(ids(json!({"method": "bind.unbind", "repo_id": "r1", "type_id": "yum"})), ["bind.unbind yum"]);
    let mut cleaned = ids(json!({"method": "bind.clean"}));
    cleaned.sort_unstable();
    assert_eq!(
        cleaned,
        ["bind.clean rpm", "bind.clean yum", "content.clean rpm", "content.clean tar", "system.clean Linux"]
    );
    assert_eq!(ids(json!({"method": "system.reboot"})), ["system.reboot Linux"]);
}

#[test]
fn u15_dispatch_without_calls_gives_a_report() {
    let mut scheduler = scheduler(&json!({"method": "content.install", "units": []}));
    let next = calls(&mut scheduler);
    assert_eq!(
        next[0].2,
        json!({"succeeded": true, "details": {}, "num_changes": 0, "reboot": {"scheduled": false, "details": {}}})
    );
}

#[test]
fn invalid_dispatch_payload_fails_with_a_message() {
    for (payload, wanted) in [
        (json!({"method": "content.instal"}), "`method` must be one of content.install, "),
        (json!({"method": "content.install"}), "`units` must be a list of maps, each with its `type_id`"),
        (json!({"method": "content.install", "units": [{}]}), "needs the string `type_id` (at `/units/0`)"),
        (json!({"method": "bind.unbind"}), "`bind.unbind` needs `repo_id`"),
    ] {
        let mut scheduler = scheduler(&payload);
        let begun = Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() };
        let failure = scheduler.step(RunTime(0), begun).events.into_iter().find_map(|event| match event {
            RunEvent::StartFailed { failure, .. } => Some(failure),
            _ => None,
        });
        let failure = failure.unwrap();
        assert_eq!(failure.code, "payload");
        assert!(failure.message.starts_with(wanted), "{failure:?}");
    }
}

#[test]
fn resumed_dispatch_repeats_no_finished_call() {
    let units = json!([unit("rpm", "a"), unit("tar", "b")]);
    let whole = scheduler(&json!({"method": "content.install", "units": units}));
    let mut live = whole.clone();
    let mut journal = Vec::new();
    let inputs = [
        Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() },
        reported(2, json!({"num_changes": 1})),
        reported(3, json!({"num_changes": 1})),
        reported(1, json!({})),
    ];
    for input in inputs {
        let events = live.step(RunTime(0), input).events;
        journal.extend(events.into_iter().map(|event| pop_agenda::EventRecord { at: RunTime(0), event }));
    }
    assert_eq!(live.outcome(), Some(RunOutcome::Succeeded));
    for cut in 1..journal.len() {
        let mut again = whole.clone();
        let mut done = Vec::new();
        for record in &journal[..cut] {
            again.evolve(record);
            again.check().unwrap();
            if let RunEvent::AttemptEnded { op, .. } = record.event {
                done.push(op.0);
            }
        }
        let options = again.options().clone();
        let asked = launched(&mut again, Input::Resumed { options });
        assert!(asked.iter().all(|(op, ..)| !done.contains(op)), "{cut}: {asked:?}");
    }
}

#[test]
fn reopened_dispatch_repeats_only_failed_calls() {
    let units = json!([unit("rpm", "a"), unit("tar", "b")]);
    let mut scheduler = scheduler(&json!({"method": "content.install", "units": units}));
    assert_eq!(calls(&mut scheduler).len(), 2);
    let broken = Verdict::failed(Failure::new(Blame::Handler, "exit", "no"));
    scheduler.step(RunTime(1), Input::Ended { op: OpIx(2), attempt: 1, verdict: broken });
    scheduler.step(RunTime(1), reported(3, json!({"num_changes": 1})));
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Failed));
    let options = scheduler.options().clone();
    let asked: Vec<u32> =
        launched(&mut scheduler, Input::Resumed { options }).iter().map(|(op, ..)| *op).collect();
    assert_eq!(asked, [2]);
    let verdict = Verdict::succeeded(json!({"num_changes": 2}));
    let next = launched(&mut scheduler, Input::Ended { op: OpIx(2), attempt: 2, verdict });
    assert_eq!((&next[0].2["succeeded"], &next[0].2["num_changes"]), (&json!(true), &json!(3)));
}

#[test]
fn resumed_dispatch_keeps_a_call_that_succeeded_on_retry() {
    let units = json!([unit("rpm", "a"), unit("tar", "b")]);
    let payload = json!({"method": "content.install", "units": units});
    let mut scheduler = scheduler_with(&payload, &json!({"retry": {"maxAttempts": 2}}));
    assert_eq!(calls(&mut scheduler).len(), 2);
    let end = |op: u32, attempt, verdict| Input::Ended { op: OpIx(op), attempt, verdict };
    let broken = || Verdict::failed(Failure::new(Blame::Handler, "exit", "no"));
    scheduler.step(RunTime(1), end(2, 1, broken()));
    scheduler.step(RunTime(2), end(2, 2, Verdict::succeeded(json!({"num_changes": 1}))));
    scheduler.step(RunTime(3), end(3, 1, broken()));
    scheduler.step(RunTime(4), end(3, 2, broken()));
    assert_eq!(scheduler.outcome(), Some(RunOutcome::Failed));
    let options = scheduler.options().clone();
    let repeated = launched(&mut scheduler, Input::Resumed { options });
    assert_eq!(repeated.iter().map(|(op, ..)| *op).collect::<Vec<_>>(), [3]);
}

#[test]
fn dispatch_policies_apply_per_call_and_on_fail_to_the_whole() {
    let units = json!([unit("rpm", "a")]);
    let payload = json!({"method": "content.install", "units": units});
    // each call has two attempts, then the whole dispatch is a dead letter
    let params = json!({"retry": {"maxAttempts": 2}, "onFail": "DLQ"});
    let mut scheduler = scheduler_with(&payload, &params);
    assert_eq!(calls(&mut scheduler).len(), 1);
    let broken = || Verdict::failed(Failure::new(Blame::Handler, "exit", "no"));
    let again = launched(&mut scheduler, Input::Ended { op: OpIx(2), attempt: 1, verdict: broken() });
    assert_eq!(again.len(), 1);
    let step = scheduler.step(RunTime(9), Input::Ended { op: OpIx(2), attempt: 2, verdict: broken() });
    assert!(step.actions.contains(&Action::DeadLetter { op: OpIx(0) }));
    assert_eq!(scheduler.state(OpIx(0)).outcome(), Some(Outcome::DeadLettered));
    // each call requests the lock
    let mut locked =
        scheduler_with(&payload, &json!({"lock": "SAFE", "lockKey": "packages-@<pop.operationName>"}));
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() };
    let actions = locked.step(RunTime(0), begun).actions;
    let lock = Gate::Lock { name: "packages-all".into() };
    assert_eq!(actions, [Action::Ask { op: OpIx(2), gate: lock }]);
    // a call without its gate fails
    let failed = Answer::Failed(Box::new(Failure::new(Blame::Platform, "host", "no locks here")));
    let step = locked.step(RunTime(1), Input::Answered { op: OpIx(2), answer: failed });
    let joined = step.events.iter().find_map(|event| match event {
        RunEvent::Joined { ending: Ending::Failed(failure), .. } => failure.diagnostics[0].payload.clone(),
        _ => None,
    });
    assert_eq!(joined.unwrap()["details"]["rpm"]["details"]["message"], "no locks here");
    // a skipped dispatch makes no calls
    let mut skipped =
        scheduler_with(&payload, &json!({"skipPattern": "length(units) < `2`", "onFail": "REPLY"}));
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() };
    skipped.step(RunTime(0), begun);
    assert_eq!(skipped.state(OpIx(0)).outcome(), Some(Outcome::Skipped));
}

#[test]
fn fr_l3_calls_that_succeeded_are_not_made_again() {
    let payload = json!({"method": "content.install", "units": [unit("rpm", "a"), unit("tar", "b")]});
    let mut first = scheduler(&payload);
    calls(&mut first);
    let name = first.plan().operation(OpIx(2)).name.as_str().into();
    let done = json!({"succeeded": true, "num_changes": 5});
    let by_name = vec![PriorOutcome { op: name, result: Some(done.into()), progress: None }];
    let mut scheduler = scheduler(&payload);
    let adopted = PriorOutcomes { by_name, ..PriorOutcomes::default() };
    let made = launched(&mut scheduler, Input::Begun { run: "r".into(), started: 0, adopted });
    assert_eq!(made.iter().map(|call| call.0).collect::<Vec<_>>(), [3]);
    scheduler.step(RunTime(1), reported(3, json!({"succeeded": true, "num_changes": 1})));
    scheduler.check().unwrap();
    assert_eq!(scheduler.payload(OpIx(1)).unwrap()["num_changes"], 6);
}
