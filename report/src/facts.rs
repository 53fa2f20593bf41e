//! What the folder of a run knows beside its events.

use pop_contract::Millis;
use serde::Serialize;
use serde_json::{Map, Value};

/// Whether a process executes the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// The run has an outcome.
    Ended,
    /// A process executes the run.
    Running,
    /// The run has no outcome, and no process executes it.
    Stopped,
}

/// What the folder of a run knows beside its events.
#[derive(Debug, Clone, Copy)]
pub struct RunFacts<'r> {
    /// Name of the run, as commands take it.
    pub run: &'r str,
    /// The agenda, as the command line named it.
    pub agenda: &'r str,
    /// Launcher of programs.
    pub launcher: &'r str,
    /// Values of the agenda's inputs.
    pub inputs: &'r Map<String, Value>,
    /// Run and operation of the dead letter that the run replays.
    pub replay_of: Option<(&'r str, &'r str)>,
    /// Whether a process executes the run.
    pub state: RunState,
    /// End of the run, or the latest sign of life, in epoch milliseconds.
    pub until: Millis,
    /// Time at which the report is made, in epoch milliseconds.
    pub now: Millis,
    /// Folder of runs, for commands; none for the default one.
    pub runs: Option<&'r str>,
    /// Version of pop.
    pub pop: &'r str,
}
