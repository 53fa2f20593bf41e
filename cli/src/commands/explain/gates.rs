//! What had to be granted to an operation, and what was said to that, in words.

use super::super::saved_run::wall;
use pop_agenda::{Admission, Answer, Gate};
use pop_assembly::SavedRun;
use pop_reporters::run::visible;

/// What a gate is about.
pub(super) fn gate_name(gate: &Gate) -> String {
    match gate {
        Gate::Lock { name } => match name.strip_prefix("cache ") {
            Some(key) => format!("the lock of cache {key}, so that only one computes"),
            None => format!("the lock `{name}`"),
        },
        Gate::Cache(ask) => format!("the cache `{}`", ask.state),
        Gate::Version { name } => format!("the version of `{name}`"),
        Gate::Delay { id: Some(id), ms } => format!("its turn: {ms} ms between starts of `{id}`"),
        Gate::Delay { id: None, ms } => format!("its turn: {ms} ms between its own starts"),
    }
}

/// Each gate with the last that was said about it.
pub(super) fn gate_words(saved: &SavedRun, admission: &Admission) -> Vec<String> {
    let mut words: Vec<String> = admission.gates.iter().map(gate_name).collect();
    let mut at = 0;
    for (when, answer) in &admission.answers {
        let Some(line) = words.get_mut(at) else { break };
        let name = gate_name(&admission.gates[at]);
        let said = match answer {
            Answer::Granted => "granted".to_owned(),
            Answer::Busy { holder } => format!("{holder} has it"),
            Answer::Later { ms } => format!("in {ms} ms"),
            Answer::Version(version) => format!("was {version}"),
            Answer::Hit { by, written, .. } => format!("hit: {by} gave it at {}", wall(*written)),
            Answer::Miss { why } => format!("miss: {why}"),
            Answer::Failed(failure) => format!("failed: {}", visible(&failure.message)),
        };
        *line = format!("{name}: {said} ({})", wall(saved.history.wall(*when)));
        at += usize::from(!matches!(answer, Answer::Busy { .. } | Answer::Later { .. }));
    }
    words
}
