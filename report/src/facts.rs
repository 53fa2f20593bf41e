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

/// Options of the run that commands about it repeat, because they change what the run does. None means the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RepeatedOptions {
    /// Whether operations that do not depend on a failed one still start (`-k`).
    pub keep_going: bool,
    /// Maximum number of operations that run at once (`-j`).
    pub parallel: Option<u32>,
    /// Seconds between SIGTERM and SIGKILL.
    pub grace: Option<u64>,
    /// Time limit of the run in seconds.
    pub time_limit: Option<u64>,
    /// Seconds for clean-up after the time limit.
    pub cleanup_limit: Option<u64>,
}

impl RepeatedOptions {
    /// Words of a command that continues the run, which keeps `-k` and `-j` by itself.
    pub fn of_resume(&self) -> Vec<String> {
        let options = [
            ("--grace", self.grace),
            ("--time-limit", self.time_limit),
            ("--cleanup-limit", self.cleanup_limit.filter(|_| self.time_limit.is_some())),
        ];
        let set =
            options.into_iter().filter_map(|(option, value)| Some([option.to_owned(), value?.to_string()]));
        set.flatten().collect()
    }

    /// Words of a command that starts another run.
    pub fn of_new_run(&self) -> Vec<String> {
        let mut words = Vec::new();
        if self.keep_going {
            words.push("-k".to_owned());
        }
        if let Some(parallel) = self.parallel {
            words.extend(["-j".to_owned(), parallel.to_string()]);
        }
        words.extend(self.of_resume());
        words
    }
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
    /// Options of the run, for commands.
    pub options: RepeatedOptions,
    /// Version of pop.
    pub pop: &'r str,
}
