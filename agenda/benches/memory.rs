//! The memory of a million operations: the row `alloc` in megabytes is bytes an operation.
#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]

mod graph;

use divan::{AllocProfiler, Bencher};
use graph::{ALL, Graph};
use pop_agenda::{RunOptions, Scheduler};
use std::sync::Arc;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const MILLION: usize = 1_000_000;

fn main() {
    divan::main();
}

/// Measures a copy of the plan, without the memory that building it needed.
#[divan::bench(args = ALL, sample_count = 1, sample_size = 1)]
fn plan(bencher: Bencher<'_, '_>, graph: Graph) {
    let plan = graph.plan(MILLION);
    bencher.bench_local(|| plan.clone());
}

#[divan::bench(args = ALL, sample_count = 1, sample_size = 1)]
fn scheduler(bencher: Bencher<'_, '_>, graph: Graph) {
    let plan = Arc::new(graph.plan(MILLION));
    bencher.bench_local(|| Scheduler::new(Arc::clone(&plan), RunOptions::default()));
}
