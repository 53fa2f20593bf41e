//! The journal: any bytes, any lines, and a written journal with any damage.

use super::choices::Choices;
use super::world::World;
use pop_agenda::{Agenda, EventRecord, History, Plan, RunOptions, RunTime};
use pop_contract::LaunchType;
use pop_executor::{FileJournal, Journal as _, JournalContent, JournalError, Sync, read_journal, restore};
use pop_registry::Catalog;
use serde_json::json;
use std::path::Path;
use std::sync::{Arc, LazyLock};

const DIGEST: &str = "digest";

/// The plan of the run: references, dependencies, retries, timeouts, every policy.
static PLAN: LazyLock<Arc<Plan>> = LazyLock::new(|| {
    let agenda = json!({"operations": [
        {"name": "a", "type": "sample", "params": {"retry": {"maxAttempts": 3, "delayMs": 50}, "timeoutMs": 900}},
        {"name": "b", "type": "sample", "payload": {"w": "@<a.out::/w?none>"}, "params": {"ignoreErrors": "7"}},
        {"name": "c", "type": "sample", "params": {"onFail": "SKIP", "noOutputTimeoutMs": 400}},
        {"name": "d", "type": "sample", "payload": ["@<c.out::?>", "@<b.out>"]},
        {"name": "each", "type": "sample", "payload": "@<pop.item>",
         "params": {"forEach": "@<a.out::/w?>", "maxParallel": 2, "onFail": "DLQ"}},
        {"name": "gen", "type": "sample", "params": {"agenda.operation.generator": {"operationsJsonPointer": ""},
         "lock": "SAFE", "delayMs": 30, "skipPattern": "not_there"}},
        {"name": "clean", "type": "sample", "params": {"finally": true, "useCache": true, "cache.use": true}},
        {"name": "after", "type": "sample", "params": {"dependsOn": "c.skipped, b.settled"}},
        {"name": "e", "type": "sample", "params": {"dependsOn": "a, d", "onFail": "FATAL", "pendingTimeoutMs": 700}},
    ]});
    let mut faults = Vec::new();
    let agenda = Agenda::parse(agenda, &mut faults).unwrap();
    Arc::new(Plan::build(agenda, &Catalog::default(), LaunchType::Local, &mut faults).unwrap())
});

/// The first byte selects the meaning of the others: a file, lines that get checksums, or a run and the damage to its
/// journal.
pub fn journal(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    // a file in memory where possible: it is written at each execution
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
    let path = folder.path().join("journal");
    match kind % 3 {
        0 => any_bytes(rest, &path),
        1 => any_lines(rest, &path),
        _ => damaged(rest, &path),
    }
}

fn any_bytes(bytes: &[u8], path: &Path) {
    std::fs::write(path, bytes).unwrap();
    let Ok(opened) = read_journal(path) else { return };
    assert_eq!(opened.good + opened.torn, bytes.len() as u64);
    fold(&opened, path);
}

/// Lines with right checksums, events or not: no fold panics.
fn any_lines(bytes: &[u8], path: &Path) {
    FileJournal::create(path, DIGEST, Sync::Each).unwrap();
    let mut text = std::fs::read(path).unwrap();
    for line in bytes.split(|byte| *byte == b'\n') {
        text.extend_from_slice(checksum(line).as_bytes());
        text.extend_from_slice(line);
        text.push(b'\n');
    }
    any_bytes(&text, path);
}

/// CRC-32 (IEEE), bit by bit, independent of the implementation in pop.
fn checksum(bytes: &[u8]) -> String {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    });
    format!("{:08x} ", !crc)
}

fn fold(opened: &JournalContent, path: &Path) {
    if restore(Arc::clone(&PLAN), &opened.events, path).is_ok() {
        History::of(PLAN.len(), &opened.events);
    }
}

/// The journal of a run is written, damaged and read. The events read are a prefix of those written, and the run
/// continues from them to its end.
fn damaged(bytes: &[u8], path: &Path) {
    let (plan, run) = bytes.split_at(bytes.len().min(12));
    let (mut plan, mut run) = (Choices(plan), Choices(run));
    let options = RunOptions {
        parallel: u32::from(plan.byte() % 4),
        keep_going: plan.byte() % 2 == 0,
        grace_ms: u64::from(plan.byte()),
        time_limit_ms: Some(u64::from(plan.byte()) * 100).filter(|limit| *limit > 0),
        cleanup_limit_ms: None,
        resources: pop_agenda::Resources::default(),
    };
    let mut world = World::begin(Arc::clone(&PLAN), options);
    world.play(&mut run);
    let mut journal = FileJournal::create(path, DIGEST, Sync::Each).unwrap();
    journal.append(&world.records).unwrap();
    drop(journal);
    let written = std::fs::read(path).unwrap();
    let bytes = damage(written.clone(), &mut plan);
    std::fs::write(path, &bytes).unwrap();
    let same = written.iter().zip(&bytes).take_while(|(left, right)| left == right).count();
    let whole_lines = written[..same].split(|byte| *byte == b'\n').count() - 1;
    let opened = match read_journal(path) {
        Ok(opened) => opened,
        Err(JournalError::NoJournal { .. }) => return assert_eq!(whole_lines, 0, "the first line is good"),
        Err(JournalError::Damaged { offset, line, .. }) => {
            let line_start = written[..same].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            return assert_eq!((offset, line), (line_start as u64, whole_lines as u64 + 1));
        }
        // a copy of the header has a right checksum, too
        Err(JournalError::UnknownEvent { event, .. }) => return assert_eq!(event, "?"),
        Err(error) => unreachable!("{error}"),
    };
    assert_eq!(opened.good + opened.torn, bytes.len() as u64);
    let known = opened.events.len();
    assert!(known <= world.records.len() && known + 1 >= whole_lines, "{known} of {whole_lines} lines");
    assert_eq!(opened.events, world.records[..known], "events differ from those written");
    assert_eq!(opened.inputs.as_deref(), (whole_lines > 0).then_some(DIGEST));
    let restored = restore(Arc::clone(&PLAN), &opened.events, path).unwrap();
    if known == world.records.len() {
        same_state(&restored.scheduler, &world.scheduler);
    }
    resume(
        opened,
        World::resume(restored.scheduler, restored.began.map_or(RunTime(0), |(_, last)| last)),
        path,
    );
}

fn same_state(restored: &pop_agenda::Scheduler, live: &pop_agenda::Scheduler) {
    assert_eq!(restored.tally(), live.tally());
    assert_eq!((restored.outcome(), restored.deadline()), (live.outcome(), live.deadline()));
    assert_eq!(restored.options(), live.options());
    for (op, _) in live.plan().operations() {
        assert_eq!(restored.state(op), live.state(op));
        assert_eq!(restored.progress(op), live.progress(op));
        if live.state(op).is_out() {
            assert_eq!(restored.payload(op), live.payload(op));
        }
    }
}

/// The run continues in the same file to its end; then the file has all events.
fn resume(opened: JournalContent, mut world: World, path: &Path) {
    world.finish();
    let mut journal = FileJournal::reopen(path, &opened, DIGEST, Sync::Each).unwrap();
    journal.append(&world.records).unwrap();
    drop(journal);
    let all: Vec<EventRecord> = opened.events.into_iter().chain(world.records).collect();
    let read = read_journal(path).unwrap();
    assert_eq!((read.torn, &read.events), (0, &all));
    let history = History::of(PLAN.len(), &all);
    assert_eq!(history.ended.map(|(_, outcome)| outcome), world.scheduler.outcome());
    for (op, planned) in PLAN.operations() {
        let outcome = history.operation(op).outcome();
        assert_eq!(outcome, world.scheduler.state(op).outcome(), "`{}`", planned.name);
    }
}

/// Cuts, single bit flips and runs of zeros. None of them can produce a new valid line.
fn damage(mut bytes: Vec<u8>, choices: &mut Choices<'_>) -> Vec<u8> {
    while !choices.is_over() {
        let kind = choices.byte();
        let at = choices.below(bytes.len() + 1);
        match kind % 4 {
            0 => bytes.truncate(at),
            1 if at < bytes.len() => bytes[at] ^= 1 << (kind >> 5),
            2 => {
                let end = bytes.len().min(at + usize::from(kind));
                bytes[at..end].fill(0);
            }
            3 => bytes.resize(bytes.len() + usize::from(kind), 0),
            _ => {}
        }
    }
    bytes
}
