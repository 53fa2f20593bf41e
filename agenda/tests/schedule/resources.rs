//! Resources and priorities: what starts when, and why an operation waits.

use crate::packing::{Packing, waits};
use crate::properties::{options, scripts};
use crate::run::Run;
use crate::world::{TOTALS, World, plan, plan_of};
use pop_agenda::{
    Action, Agenda, Explanation, History, Input, OpIx, Outcome, Plan, PriorOutcomes, ResourceTotals,
    RunEvent, RunOptions, Scheduler, Verdict, resource_waits,
};
use pop_contract::LaunchType;
use pop_registry::Catalog;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::Arc;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Every start and every request for a gate is that of the oracle, whatever happened before.
    #[test]
    fn the_operation_that_starts_is_that_of_the_oracle(scripts in scripts(), parallel in 1_u32..6, busy_until in 0_u64..100) {
        let plan = plan_of(&scripts);
        let options = options(parallel);
        let mut world = World::new(&scripts, &plan, &options);
        world.busy_until = busy_until;
        world.begin();
        world.finish();
        let journal = std::mem::take(&mut world.journal);
        let scheduler = Scheduler::new(Arc::clone(&plan), options.clone());
        let mut again = World::of(&scripts, scheduler, History::new(plan.len()), &[]);
        for record in &journal {
            if let RunEvent::AttemptStarted { op, .. } | RunEvent::GateAsked { op } = record.event {
                prop_assert_eq!(Packing::of(&again).next(), Some(op), "{:?}", record);
            }
            again.scheduler.evolve(record);
            again.history.add(record);
        }
    }

    /// The waits that follow from the journal are those that the oracle saw while the run went on.
    #[test]
    fn waits_in_the_journal_are_those_of_the_run(scripts in scripts(), parallel in 1_u32..6) {
        let plan = plan_of(&scripts);
        let mut world = World::new(&scripts, &plan, &options(parallel));
        world.notes_shortages = true;
        world.begin();
        world.finish();
        for (op, _) in world.scheduler.plan().operations() {
            let derived = resource_waits(Arc::clone(&plan), &world.journal, op);
            let derived: Vec<_> = derived.iter().map(|wait| (wait.from.0, wait.until.map(|at| at.0))).collect();
            prop_assert_eq!(derived, waits(&world, op));
        }
    }

    /// Attempts that outlive a crash still hold what they need: the world compares after each step.
    #[test]
    fn attempts_that_survive_a_crash_hold_their_resources(scripts in scripts(), parallel in 1_u32..6) {
        let plan = plan_of(&scripts);
        let options = options(parallel);
        let mut whole = World::new(&scripts, &plan, &options);
        whole.begin();
        whole.finish();
        for cut in (1..whole.journal.len()).step_by(2) {
            let mut world = World::restored(&scripts, &plan, &options, &whole.journal[..cut]);
            world.attempts_survive = true;
            world.input(Input::Resumed { options: options.clone() });
            world.finish();
        }
    }
}

fn begin(operations: &Value, parallel: u32, resources: &str) -> (Run, Vec<u32>) {
    let plan = plan(json!({"operations": operations}));
    let resources = resources.parse().unwrap();
    let options = RunOptions { parallel, keep_going: true, resources, ..RunOptions::default() };
    let scheduler = Scheduler::new(Arc::clone(&plan), options);
    let mut run = Run { plan, scheduler, journal: Vec::new() };
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: PriorOutcomes::default() };
    let started = launched(&run.step(0, begun));
    (run, started)
}

fn launched(actions: &[Action]) -> Vec<u32> {
    let launch = |action: &Action| match action {
        Action::Launch { op, .. } => Some(op.0),
        _ => None,
    };
    actions.iter().filter_map(launch).collect()
}

fn op(name: &str, params: &Value) -> Value {
    json!({"name": name, "type": "sample", "params": params})
}

fn need(name: &str, resources: &Value) -> Value {
    op(name, &json!({"resources": resources}))
}

fn end(run: &mut Run, now: u64, op: u32) -> Vec<u32> {
    launched(
        &run.step(now, Input::Ended { op: OpIx(op), attempt: 1, verdict: Verdict::succeeded(json!({})) }),
    )
}

#[test]
fn larger_priority_starts_first_and_ties_keep_the_order() {
    let operations: Vec<Value> = [("a", 0), ("b", -1), ("c", 5), ("d", 0), ("e", 5)]
        .map(|(name, priority)| op(name, &json!({"priority": priority})))
        .into();
    let (mut run, mut order) = begin(&json!(operations), 1, "");
    while order.len() < 5 {
        let last = *order.last().unwrap();
        order.extend(end(&mut run, 1, last));
    }
    assert_eq!(order, [2, 4, 0, 3, 1]);
}

#[test]
fn an_operation_with_priority_goes_before_one_at_its_first_gate() {
    let locked = json!({"lock": "SAFE", "lockKey": "k"});
    let urgent = json!({"priority": 1, "dependsOn": "a"});
    let (mut run, started) = begin(&json!([op("a", &locked), op("b", &locked), op("c", &urgent)]), 2, "");
    assert_eq!(started, [0_u32; 0]);
    run.step(0, Input::Answered { op: OpIx(0), answer: pop_agenda::Answer::Granted });
    // both the lock and the dependency become free; one place is taken first by `c`
    assert_eq!(end(&mut run, 1, 0), [2]);
}

#[test]
fn operations_are_packed_by_what_they_need() {
    let operations = json!([
        need("a", &json!({"cpu": 2})),
        need("b", &json!({"cpu": 3})),
        need("c", &json!({"cpu": 1})),
        need("d", &json!({"cpu": 2})),
        op("e", &json!({})),
    ]);
    let (mut run, started) = begin(&operations, 9, "cpu=4");
    // `b` has to wait and reserves 3 of the 2 that are left: `c` and `d` do not pass it, `e` needs nothing
    assert_eq!(started, [0, 4]);
    let short = run.scheduler.explain(OpIx(1));
    let Explanation::NoResources { shortages, held_by, reserved_for } = short else { panic!("{short:?}") };
    assert_eq!((&*shortages[0].resource, shortages[0].needed, shortages[0].left), ("cpu", 3_000, 2_000));
    assert_eq!((held_by, reserved_for), (vec![OpIx(0)], None));
    let behind = run.scheduler.explain(OpIx(2));
    let Explanation::NoResources { shortages, held_by, reserved_for } = behind else { panic!("{behind:?}") };
    assert_eq!((shortages[0].left, held_by, reserved_for), (0, vec![OpIx(0)], Some(OpIx(1))));
    assert_eq!(end(&mut run, 5, 0), [1, 2]);
    assert_eq!(end(&mut run, 6, 2), [0_u32; 0]);
    assert_eq!(end(&mut run, 7, 1), [3]);
    let waits = resource_waits(Arc::clone(&run.plan), &run.journal, OpIx(3));
    let times: Vec<_> = waits.iter().map(|wait| (wait.from.0, wait.until.map(|until| until.0))).collect();
    assert_eq!(times, [(0, Some(7))]);
    assert_eq!((&waits[0].held_by, waits[0].reserved_for), (&vec![OpIx(0)], Some(OpIx(1))));
}

#[test]
fn a_later_operation_passes_with_what_the_reservation_leaves() {
    let operations = json!([
        need("a", &json!({"license": 1})),
        need("b", &json!({"license": 1, "cpu": 1})),
        need("c", &json!({"cpu": 1})),
        need("d", &json!({"cpu": 1})),
        need("e", &json!({"license": 1})),
    ]);
    // `b` waits for the licence and reserves a processor: `c` passes, `d` would delay `b`
    let (mut run, started) = begin(&operations, 9, "cpu=2,license=1");
    assert_eq!(started, [0, 2]);
    assert_eq!(end(&mut run, 1, 0), [1]);
    assert_eq!(end(&mut run, 2, 2), [3]);
    assert_eq!(end(&mut run, 3, 1), [4]);
}

#[test]
fn no_stream_of_small_operations_starves_a_large_one() {
    let mut operations = vec![need("s0", &json!({"cpu": 1})), need("s1", &json!({"cpu": 1}))];
    operations.push(need("large", &json!({"cpu": 2})));
    operations.extend((2..40).map(|index| need(&format!("s{index}"), &json!({"cpu": 1}))));
    let (mut run, started) = begin(&json!(operations), 9, "cpu=2");
    assert_eq!(started, [0, 1]);
    assert_eq!(end(&mut run, 1, 0), [0_u32; 0]);
    assert_eq!(end(&mut run, 2, 1), [2]);
}

#[test]
fn an_operation_at_its_gates_takes_resources_only_when_it_starts() {
    let locked = json!({"lock": "SAFE", "lockKey": "k", "resources": {"gpu": 1}});
    let (mut run, started) = begin(&json!([op("a", &locked), need("b", &json!({"gpu": 1}))]), 9, "gpu=1");
    // the request of `a` is not answered yet: what it needs is kept for it
    assert_eq!(started, [0_u32; 0]);
    run.step(
        1,
        Input::Answered { op: OpIx(0), answer: pop_agenda::Answer::Busy { holder: "another run".into() } },
    );
    // an operation that waits for another run keeps nothing
    assert!(run.scheduler.state(OpIx(1)).is_out());
    let actions = run.step(2, Input::Answered { op: OpIx(0), answer: pop_agenda::Answer::Granted });
    assert_eq!(launched(&actions), [0_u32; 0]);
    assert!(matches!(run.scheduler.explain(OpIx(0)), Explanation::NoResources { .. }));
    assert_eq!(end(&mut run, 3, 1), [0]);
}

#[test]
fn added_operations_and_referenced_amounts_are_held_to_the_totals() {
    let payload = json!({"command": ["true"], "cpu": "@<pop.item>"});
    let params = json!({"forEach": ["500m", 1, 3, "x"]});
    let each = json!([{"name": "each", "type": "exec", "params": params, "payload": payload}]);
    let (run, started) = begin(&each, 9, "cpu=1");
    assert_eq!(started, [1, 4]);
    assert_eq!(run.scheduler.needs(OpIx(2)).unwrap().to_string(), "cpu 1");
    let said = "needs cpu 3, but the run has 1 in all: `--resources cpu=3` sets another total";
    assert_eq!(run.failures(3), [("resources-exceeded".to_owned(), said.to_owned())]);
    assert_eq!(run.outcome_of("each#2"), Some(Outcome::Failed));
    let generator = op("gen", &json!({"agenda.operation.generator": {"operationsJsonPointer": ""}}));
    let (mut run, _) = begin(&json!([generator]), 9, "");
    run.succeed(1, "gen", json!([need("made", &json!({"license": 1}))]));
    let said = "needs `license`, of which the run has no total: `--resources license=N` sets it";
    assert_eq!(run.failures(1), [("resources-exceeded".to_owned(), said.to_owned())]);
}

#[test]
fn a_resume_with_other_totals_starts_by_them() {
    let operations = json!([need("a", &json!({"gpu": 1})), need("b", &json!({"gpu": 1}))]);
    let (mut run, started) = begin(&operations, 9, "gpu=1");
    assert_eq!(started, [0]);
    let options = RunOptions { resources: "gpu=2".parse().unwrap(), ..run.scheduler.options().clone() };
    let actions = run.step(1, Input::Resumed { options });
    // `a` is followed, `b` starts
    assert_eq!(launched(&actions), [0, 1]);
    let less = RunOptions { resources: "gpu=1".parse().unwrap(), ..run.scheduler.options().clone() };
    run.step(2, Input::Resumed { options: less });
    assert_eq!(run.scheduler.tally().running, 2);
}

/// The faults of an agenda with these totals.
fn faults(agenda: Value, totals: &str, are_complete: bool) -> Vec<String> {
    let mut faults = Vec::new();
    let mut agenda = Agenda::parse(agenda, &mut faults).unwrap();
    agenda.totals = Some(ResourceTotals { amounts: totals.parse().unwrap(), are_complete });
    Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults);
    let said = |fault: &pop_document::Fault| {
        let help = fault.label.iter().chain(&fault.hint).fold(String::new(), |all, help| all + "; " + help);
        format!("{} {}{help}", fault.pointer(), fault.message)
    };
    faults.iter().map(said).collect()
}

#[test]
fn needs_beyond_the_totals_are_faults_with_their_place() {
    let exec = |payload: Value| json!({"name": "x", "type": "exec", "payload": payload});
    let agenda = json!({"params": {"resources": {"memory": "4Gi"}}, "operations": [
        op("a", &json!({"resources": {"gpu": 3, "cpu": 1, "memory": 0}})),
        exec(json!({"command": ["true"], "cpu": 4})),
        op("b", &json!({})),
        op("c", &json!({"resources": {"licence": 1, "memory": 0}})),
        op("d", &json!({"resources": {"licence": 1, "cores": 2, "memory": 0}})),
    ]});
    let totals = "cpu=2,gpu=2,license=1,memory=2Gi";
    let own = "; without it, the total is this machine's";
    let beyond = [
        "/operations/0/params/resources/gpu operation `a` needs gpu 3, but the run has 2 in all; lower the amount, or set the total with `--resources gpu=3`".to_owned(),
        format!("/operations/1/payload/cpu operation `x` needs cpu 4, but the run has 2 in all; lower the amount, or set the total with `--resources cpu=4`{own}"),
        format!("/params/resources/memory operation `x` needs memory 4Gi, but the run has 2Gi in all; lower the amount, or set the total with `--resources memory=4Gi`{own}"),
        format!("/params/resources/memory operation `b` needs memory 4Gi, but the run has 2Gi in all; lower the amount, or set the total with `--resources memory=4Gi`{own}"),
    ];
    let without_total = [
        "/operations/3/params/resources/licence operation `c` needs licence 1, but the run has no total of `licence`; did you mean `license`?; set the total with `--resources licence=N`",
        "/operations/4/params/resources/cores operation `d` needs cores 2, but the run has no total of `cores`; did you mean `cpu`?; set the total with `--resources cores=N`",
    ];
    // a name of another tool is a warning before all totals are known
    let first: Vec<String> = beyond.iter().cloned().chain([without_total[1].to_owned()]).collect();
    assert_eq!(faults(agenda.clone(), totals, false), first);
    let all: Vec<String> = beyond.into_iter().chain(without_total.map(str::to_owned)).collect();
    assert_eq!(faults(agenda, totals, true), all);
    let open = json!({"operations": [exec(json!({"command": ["true"], "cpu": "@<a.out>"})), op("a", &json!({"resources": {"cpu": 0, "gpu": 0}}))]});
    assert_eq!(faults(open, TOTALS, true), Vec::<String>::new());
}
