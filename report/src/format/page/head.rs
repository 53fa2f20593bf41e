//! The run as a whole, as the page reads it (`Head` in report/page/src/data.ts).

use super::shown;
use crate::cut::{MESSAGE, cut};
use crate::facts::RunState;
use crate::model::{Report, Usage};
use pop_contract::{Millis, visible_text};
use serde::Serialize;
use std::borrow::Cow;

/// Most inputs that the page shows.
const MOST_INPUTS: usize = 200;

/// The run as a whole.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Head<'r> {
    run: Cow<'r, str>,
    agenda: Cow<'r, str>,
    launcher: Cow<'r, str>,
    state: RunState,
    outcome: Option<&'static str>,
    exit_code: Option<u8>,
    /// Start, epoch milliseconds. All other times count from here.
    started: Millis,
    /// End of the run, or of what is known of it, in milliseconds since its start.
    until: u64,
    parallel: u32,
    resumed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rerun_of: Option<Cow<'r, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay_of: Option<Cow<'r, str>>,
    reused_from: Vec<(Cow<'r, str>, usize)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Cow<'r, str>>,
    /// Folder of runs as an argument of commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs: Option<Cow<'r, str>>,
    /// Name and value.
    inputs: Vec<(Cow<'r, str>, String)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Usage>,
    /// Operation, milliseconds that it ran, milliseconds that it waited.
    path: Vec<(u32, u64, u64)>,
    generated: Millis,
    pop: &'r str,
}

impl<'r> Head<'r> {
    pub(super) fn of(report: &'r Report<'_>) -> Self {
        let run = &report.run;
        let one = |text: &'r str| shown(text, MESSAGE);
        let inputs = report.inputs.iter().take(MOST_INPUTS).map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            (one(name), visible_text(&cut(&value, MESSAGE)))
        });
        let path = report.critical_path.steps.iter();
        Self {
            run: one(run.name),
            agenda: one(run.agenda),
            launcher: one(run.launcher),
            state: run.state,
            outcome: run.outcome.map(pop_agenda::RunOutcome::word),
            exit_code: run.exit_code,
            started: run.started_time,
            until: run.took_ms,
            parallel: run.parallel,
            resumed: run.resumed,
            rerun_of: run.rerun_of.map(one),
            replay_of: run.replay_of.as_deref().map(one),
            reused_from: run.reused_from.iter().map(|(run, count)| (one(run), *count)).collect(),
            next: run.next_command.as_deref().map(one),
            runs: run.runs_argument.as_deref().map(one),
            inputs: inputs.collect(),
            usage: report.usage,
            path: path.map(|step| (step.operation.0, step.ran_ms, step.waited_ms)).collect(),
            generated: report.generated_time,
            pop: report.pop,
        }
    }
}
