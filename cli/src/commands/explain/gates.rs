//! Gates of an operation (locks, cache, versions, delays) and their answers.

use super::super::saved_run::wall;
use pop_agenda::{Admission, Answer, Gate};
use pop_assembly::SavedRun;
use pop_reporters::run::visible;

/// Names a gate.
pub(super) fn gate_name(gate: &Gate) -> String {
    match gate {
        Gate::Lock { name } => match name.strip_prefix("cache ") {
            Some(key) => format!("the lock of cache key {key}, which lets one operation compute the result"),
            None => format!("the lock `{name}`"),
        },
        Gate::Reuse { run, .. } => format!("the comparison with run {run}"),
        Gate::Files(declared) if declared.reads.is_empty() => {
            format!("the files that it writes: {}", listed(&declared.writes))
        }
        Gate::Files(declared) => format!("the files that it reads: {}", listed(&declared.reads)),
        Gate::Cache(ask) => format!("the cache `{}`", ask.state),
        Gate::Version { name } => format!("the version of `{name}`"),
        Gate::Delay { id: Some(id), ms } => format!("the delay `{id}`: {ms} ms between starts"),
        Gate::Delay { id: None, ms } => format!("its delay: {ms} ms between its own starts"),
    }
}

/// Describes each gate with its latest answer.
pub(super) fn gate_words(saved: &SavedRun, admission: &Admission) -> Vec<String> {
    let mut words: Vec<String> = admission.gates.iter().map(gate_name).collect();
    let mut at = 0;
    for (when, answer) in &admission.answers {
        let Some(line) = words.get_mut(at) else { break };
        let name = gate_name(&admission.gates[at]);
        let text = match answer {
            Answer::Granted => "granted".to_owned(),
            Answer::Busy { holder } => format!("held by {holder}"),
            Answer::Later { ms } => format!("free in {ms} ms"),
            Answer::Version(version) => format!("version {version}"),
            Answer::Reused { run, .. } => format!("reused: it ran in run {run}"),
            Answer::Read { files } => match files.len() {
                1 => "1 file".to_owned(),
                count => format!("{count} files"),
            },
            Answer::Hit { by, written, restored, .. } => {
                let restored = match restored {
                    0 => String::new(),
                    1 => ", 1 file put back".to_owned(),
                    count => format!(", {count} files put back"),
                };
                format!("hit: written by {by} at {}{restored}", wall(*written))
            }
            Answer::Miss { why, .. } => format!("miss: {}", visible(why)),
            Answer::Failed(failure) => format!("failed: {}", visible(&failure.message)),
        };
        *line = format!("{name}: {text} ({})", wall(saved.history.wall(*when)));
        at += usize::from(!matches!(answer, Answer::Busy { .. } | Answer::Later { .. }));
    }
    // the line about reuse tells that
    let is_shown = |(gate, _): &(&Gate, String)| !matches!(gate, Gate::Reuse { .. });
    admission.gates.iter().zip(words).filter(is_shown).map(|(_, words)| words).collect()
}

/// Lists at most three patterns.
fn listed(patterns: &[Box<str>]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> =
        patterns.iter().take(SHOWN).map(|pattern| format!("`{}`", visible(pattern))).collect();
    let more = patterns.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
