//! A trace in the JSON form of Chrome's trace viewer, which Perfetto reads.
//!
//! - Process 1, `slots`: one track for each slot of `--parallel`; an attempt takes the lowest free one.
//! - Process 2, `waits`: asynchronous slices, one group for each kind of wait.
//! - Process 3, `operations`: one track for each operation with its waits and attempts, if the run has few of them.
//! - Flows lead from the end of each dependency to the first attempt of the operation that waited for it.

use crate::model::{AttemptReport, OperationReport, Report, Wait};
use pop_contract::Millis;
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write as _;

/// Most operations that have a track of their own.
const MOST_TRACKS: usize = 1_000;

const SLOTS: u32 = 1;
const WAITS: u32 = 2;
const OPERATIONS: u32 = 3;

/// The report as a trace. Times are in microseconds since the run began.
pub fn trace(report: &Report<'_>) -> String {
    let start = report.run.started_time;
    let meta = json!({"run": report.run.name, "agenda": report.run.agenda, "pop": report.pop});
    let mut events = Events(format!("{{\"displayTimeUnit\":\"ms\",\"otherData\":{meta},\"traceEvents\":["));
    events.extend([process(SLOTS, "slots"), process(WAITS, "waits")]);
    let lanes = lanes(report);
    let most = lanes.iter().flatten().max().map_or(0, |last| last + 1);
    events.extend((0..most).map(|lane| thread(SLOTS, lane + 1, &format!("slot {}", lane + 1))));
    let has_run = |operation: &&OperationReport<'_>| !operation.attempts.is_empty();
    let has_tracks = report.operations.iter().filter(has_run).count() <= MOST_TRACKS;
    if has_tracks {
        events.push(process(OPERATIONS, "operations"));
    }
    let mut wait_id = 0;
    for (operation, lanes) in report.operations.iter().zip(&lanes) {
        let track = operation.op.0 + 1;
        if has_tracks && !operation.attempts.is_empty() {
            events.push(thread(OPERATIONS, track, operation.shown()));
        }
        for (attempt, lane) in operation.attempts.iter().zip(lanes) {
            events.push(slice(start, SLOTS, lane + 1, operation, attempt));
            if has_tracks {
                events.push(slice(start, OPERATIONS, track, operation, attempt));
            }
        }
        for wait in operation.attempts.iter().flat_map(|attempt| &attempt.waits).chain(&operation.waits) {
            wait_id += 1;
            events.extend(wait_slices(start, operation, wait, wait_id));
            if has_tracks && !operation.attempts.is_empty() {
                events.push(wait_on_track(start, track, wait));
            }
        }
    }
    flows(&mut events, report, &lanes);
    events.0.truncate(events.0.trim_end_matches(",\n").len());
    events.0.push_str("]}\n");
    events.0
}

/// The text of a trace, to which events are added: as values, those of a large run would take gigabytes.
struct Events(String);

impl Events {
    fn push(&mut self, event: Value) {
        self.extend([event]);
    }

    fn extend(&mut self, events: impl IntoIterator<Item = Value>) {
        for event in events {
            // writing to a string never fails
            writeln!(self.0, "{event},").ok();
        }
    }
}

/// The slot of each attempt of each operation, from 0.
fn lanes(report: &Report<'_>) -> Vec<Vec<u32>> {
    let mut lanes: Vec<Vec<u32>> =
        report.operations.iter().map(|operation| vec![0; operation.attempts.len()]).collect();
    let mut order: Vec<(Millis, Millis, usize, usize)> = Vec::new();
    for (index, operation) in report.operations.iter().enumerate() {
        for (number, attempt) in operation.attempts.iter().enumerate() {
            order.push((attempt.started_time, attempt.started_time + attempt.took_ms, index, number));
        }
    }
    order.sort_unstable();
    let mut free: BinaryHeap<Reverse<u32>> = BinaryHeap::new();
    let mut busy: BinaryHeap<Reverse<(Millis, u32)>> = BinaryHeap::new();
    let mut count = 0;
    for (from, until, index, number) in order {
        while let Some(Reverse((end, lane))) = busy.peek().copied() {
            if end > from {
                break;
            }
            busy.pop();
            free.push(Reverse(lane));
        }
        let lane = free.pop().map_or_else(
            || {
                count += 1;
                count - 1
            },
            |Reverse(lane)| lane,
        );
        busy.push(Reverse((until, lane)));
        lanes[index][number] = lane;
    }
    lanes
}

fn process(pid: u32, name: &str) -> Value {
    json!({"ph": "M", "name": "process_name", "pid": pid, "args": {"name": name}})
}

fn thread(pid: u32, tid: u32, name: &str) -> Value {
    json!({"ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": {"name": name}})
}

fn micros(start: Millis, at: Millis) -> u64 {
    at.saturating_sub(start).saturating_mul(1_000)
}

fn slice(
    start: Millis,
    pid: u32,
    tid: u32,
    operation: &OperationReport<'_>,
    attempt: &AttemptReport<'_>,
) -> Value {
    let failure = attempt.failure.map(|failure| json!({"code": failure.code, "message": failure.message}));
    json!({
        "ph": "X", "pid": pid, "tid": tid, "cat": attempt.outcome.word(), "name": operation.shown(),
        "ts": micros(start, attempt.started_time), "dur": attempt.took_ms * 1_000,
        "args": {
            "operation": operation.name, "type": operation.handler_type, "attempt": attempt.number,
            "outcome": attempt.outcome.word(), "failure": failure,
        },
    })
}

fn wait_slices(start: Millis, operation: &OperationReport<'_>, wait: &Wait<'_>, id: u64) -> [Value; 2] {
    let event = |phase: &str, at: u64, args: Value| {
        json!({
            "ph": phase, "pid": WAITS, "tid": 1, "cat": "wait", "id": id, "name": wait.kind.word(), "ts": at,
            "args": args,
        })
    };
    let from = micros(start, wait.from_time);
    let args = json!({"operation": operation.shown(), "name": wait.name, "heldBy": wait.held_by});
    [event("b", from, args), event("e", from + wait.took_ms * 1_000, json!({}))]
}

fn wait_on_track(start: Millis, track: u32, wait: &Wait<'_>) -> Value {
    json!({
        "ph": "X", "pid": OPERATIONS, "tid": track, "cat": "wait", "name": format!("wait: {}", wait.kind.word()),
        "ts": micros(start, wait.from_time), "dur": wait.took_ms * 1_000,
        "args": {"name": wait.name, "heldBy": wait.held_by},
    })
}

fn flows(events: &mut Events, report: &Report<'_>, lanes: &[Vec<u32>]) {
    let start = report.run.started_time;
    let mut id = 0_u64;
    for operation in &report.operations {
        let Some((first, lane)) = operation.attempts.first().zip(lanes[operation.op.index()].first()) else {
            continue;
        };
        for on in &operation.depends_on {
            let of = &report.operations[on.index()];
            let Some((last, from)) = of.attempts.last().zip(lanes[on.index()].last()) else { continue };
            // a flow begins within its slice
            let end = micros(start, last.started_time) + (last.took_ms * 1_000).saturating_sub(1);
            id += 1;
            let event = |phase: &str, lane: u32, at: u64| {
                json!({
                    "ph": phase, "bp": "e", "pid": SLOTS, "tid": lane + 1, "cat": "dependency", "id": id,
                    "name": "dependency", "ts": at,
                })
            };
            events.push(event("s", *from, end));
            events.push(event("f", *lane, micros(start, first.started_time)));
        }
    }
}
