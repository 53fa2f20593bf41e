//! The cost of the journal for each operation: writing, reading, and folding into a scheduler (resume) or history (show).
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

use divan::Bencher;
use divan::counter::ItemsCount;
use pop_agenda::{
    Agenda, Ending, EventRecord, History, OpIx, Plan, RunEvent, RunOptions, RunOutcome, RunTime,
};
use pop_contract::{LaunchType, Usage};
use pop_executor::{FileJournal, Journal as _, Sync, read_journal, restore};
use pop_registry::Catalog;
use serde_json::json;
use std::path::Path;
use std::sync::Arc;
use tempfile::tempdir;

const MANY: u32 = 100_000;

/// What a short program uses: the fields that its record has then.
const USAGE: Usage =
    Usage { user_us: 412, sys_us: 387, mem_kib: 0, read_kib: 0, write_kib: 0, major_faults: 0, preempted: 1 };

fn main() {
    divan::main();
}

/// The events of a run in which every operation succeeds, with or without what each attempt used.
fn events(with_usage: bool) -> Vec<EventRecord> {
    let started = RunEvent::RunStarted {
        run: "r".into(),
        started: 1_000_000_000_000,
        options: RunOptions::default(),
        adopted: Vec::new(),
        adoptable: Vec::new(),
        parent: None,
    };
    let result = Arc::new(json!({"exitCode": 0}));
    let of_one = |op| {
        let ending = Ending::Succeeded { result: Arc::clone(&result) };
        [
            RunEvent::AttemptStarted { op, attempt: 1 },
            RunEvent::AttemptEnded {
                op,
                attempt: 1,
                ending,
                named_files: Arc::default(),
                files: None,
                instance: None,
                usage: with_usage.then_some(USAGE),
            },
        ]
    };
    let ended = RunEvent::RunEnded { outcome: RunOutcome::Succeeded };
    let all = std::iter::once(started).chain((0..MANY).map(OpIx).flat_map(of_one)).chain([ended]);
    all.enumerate().map(|(at, event)| EventRecord { at: RunTime(at as u64 / 10), event }).collect()
}

fn write(path: &Path, events: &[EventRecord], batch: usize) {
    let mut journal = FileJournal::create(path, "digest", Sync::Behind).unwrap();
    for events in events.chunks(batch) {
        journal.append(events).unwrap();
    }
}

/// The arguments are the number of events in one write, and whether the ends have what the attempts used.
#[divan::bench(args = [(2, false), (2, true), (64, false), (64, true)], sample_count = 5, sample_size = 1)]
fn append(bencher: Bencher<'_, '_>, (batch, with_usage): (usize, bool)) {
    let events = events(with_usage);
    bencher
        .counter(ItemsCount::new(MANY))
        .with_inputs(|| tempdir().unwrap())
        .bench_local_refs(|folder| write(&folder.path().join("journal"), &events, batch));
}

#[divan::bench(args = [false, true], sample_count = 5, sample_size = 1)]
fn read(bencher: Bencher<'_, '_>, with_usage: bool) {
    let folder = tempdir().unwrap();
    let path = folder.path().join("journal");
    write(&path, &events(with_usage), 64);
    bencher.counter(ItemsCount::new(MANY)).bench_local(|| read_journal(&path).unwrap());
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn fold_into_a_scheduler(bencher: Bencher<'_, '_>) {
    let operations: Vec<_> =
        (0..MANY).map(|number| json!({"name": format!("op{number}"), "type": "sample"})).collect();
    let mut faults = Vec::new();
    let agenda = Agenda::parse(json!({"operations": operations}), &mut faults).unwrap();
    let plan = Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap();
    let (plan, events) = (Arc::new(plan), events(true));
    bencher
        .counter(ItemsCount::new(MANY))
        .bench_local(|| restore(Arc::clone(&plan), &events, Path::new("j")));
}

#[divan::bench(sample_count = 5, sample_size = 1)]
fn fold_into_a_history(bencher: Bencher<'_, '_>) {
    let events = events(true);
    bencher.counter(ItemsCount::new(MANY)).bench_local(|| History::of(MANY as usize, &events));
}
