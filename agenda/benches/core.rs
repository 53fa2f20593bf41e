//! Costs of an operation outside its execution: reading, planning, scheduling.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod graph;

use divan::Bencher;
use divan::counter::ItemsCount;
use graph::{ALL, Graph, plan};
use pop_agenda::{Action, Input, RunOptions, RunTime, Scheduler, Verdict};
use pop_document::Source;
use std::fmt::Write as _;
use std::sync::Arc;

const MANY: usize = 100_000;
const YAML: usize = 10_000;

fn main() {
    divan::main();
}

#[divan::bench(args = ALL, sample_count = 5, sample_size = 1)]
fn json_to_plan(bencher: Bencher<'_, '_>, graph: Graph) {
    let source = Source::new("agenda.json", graph.agenda(MANY).to_string().as_bytes()).unwrap();
    bencher.counter(ItemsCount::new(MANY)).bench_local(|| plan(source.read().unwrap()));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn yaml_to_plan(bencher: Bencher<'_, '_>) {
    let mut text = "operations:\n".to_owned();
    for number in 0..YAML {
        writeln!(text, "  - name: op{number}\n    type: exec\n    payload:\n      command: [/bin/true]")
            .unwrap();
    }
    let source = Source::new("agenda.yaml", text.as_bytes()).unwrap();
    bencher.counter(ItemsCount::new(YAML)).bench_local(|| plan(source.read().unwrap()));
}

#[divan::bench(args = ALL, sample_count = 5, sample_size = 1)]
fn run_without_a_world(bencher: Bencher<'_, '_>, graph: Graph) {
    let plan = Arc::new(graph.plan(MANY));
    let options = RunOptions { parallel: 2, ..RunOptions::default() };
    bencher
        .counter(ItemsCount::new(MANY))
        .with_inputs(|| Scheduler::new(Arc::clone(&plan), options.clone()))
        .bench_local_values(run);
}

/// Every operation needs CPU, in 10 different amounts; two run at once.
#[divan::bench(sample_count = 5, sample_size = 1)]
fn run_with_resources(bencher: Bencher<'_, '_>) {
    let operation = |number: usize| {
        let cpu = format!("{}m", 1_000 - number % 10);
        serde_json::json!({"name": format!("op{number}"), "type": "sample", "params": {"resources": {"cpu": cpu}}})
    };
    let operations: Vec<_> = (0..MANY).map(operation).collect();
    let plan = Arc::new(plan(serde_json::json!({"operations": operations})));
    let resources = "cpu=2".parse().unwrap();
    let options = RunOptions { parallel: 9, resources, ..RunOptions::default() };
    bencher
        .counter(ItemsCount::new(MANY))
        .with_inputs(|| Scheduler::new(Arc::clone(&plan), options.clone()))
        .bench_local_values(run);
}

/// Ends every attempt as soon as it is launched.
fn run(mut scheduler: Scheduler) -> Scheduler {
    let begun = Input::Begun { run: "r".into(), started: 0, adopted: pop_agenda::PriorOutcomes::default() };
    let mut due = scheduler.step(RunTime(0), begun).actions;
    while let Some(action) = due.pop() {
        if let Action::Launch { op, attempt, .. } = action {
            let verdict = Verdict::succeeded(serde_json::json!({}));
            due.extend(scheduler.step(RunTime(1), Input::Ended { op, attempt, verdict }).actions);
        }
    }
    assert_eq!(scheduler.tally().succeeded as usize, MANY);
    scheduler
}
