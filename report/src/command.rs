//! The exact commands that continue a run or repeat an operation, as a shell reads them.

use crate::facts::{RunFacts, RunState};
use crate::model::OperationState;
use pop_agenda::{History, RunOutcome};

/// A command line in shell syntax. An argument that a shell cannot be given, because it has a null character, is left out.
pub fn command<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted = words.into_iter().filter_map(|word| shlex::try_quote(word).ok());
    quoted.collect::<Vec<_>>().join(" ")
}

/// The command that repeats a failed operation; none if nothing is to be repeated.
pub fn repeat_command(facts: &RunFacts<'_>, state: OperationState, name: &str) -> Option<String> {
    let words = match (state, facts.replay_of, facts.state) {
        // a replay is repeated with its dead letter
        (OperationState::Failed | OperationState::Cancelled, Some((run, letter)), _) => {
            with_options(&["dlq", "replay", run, letter, "--again"], facts.options.of_new_run())
        }
        (OperationState::DeadLettered, ..) => with_options(&["dlq", "replay", facts.run, name], Vec::new()),
        (OperationState::Failed, None, RunState::Stopped) => resume(facts),
        // once the run has ended
        (OperationState::Failed, None, _) => {
            with_options(&["rerun", facts.run, name], facts.options.of_new_run())
        }
        _ => return None,
    };
    Some(with_runs(facts, &words))
}

/// The command that continues the run; none if it runs, or has succeeded.
pub(crate) fn next_command(facts: &RunFacts<'_>, history: &History) -> Option<String> {
    match (facts.state, history.ended) {
        (RunState::Running, _) | (_, Some((_, RunOutcome::Succeeded))) => None,
        _ => Some(with_runs(facts, &resume(facts))),
    }
}

fn resume(facts: &RunFacts<'_>) -> Vec<String> {
    with_options(&["resume", facts.run], facts.options.of_resume())
}

fn with_options(words: &[&str], options: Vec<String>) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).chain(options).collect()
}

fn with_runs(facts: &RunFacts<'_>, words: &[String]) -> String {
    let runs = facts.runs.map(|runs| ["--runs", runs]);
    let words = words.iter().map(String::as_str);
    command(std::iter::once("pop").chain(words).chain(runs.into_iter().flatten()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::RepeatedOptions;
    use serde_json::Map;

    #[test]
    fn commands_are_quoted_for_a_shell() {
        let inputs = Map::new();
        let facts = RunFacts {
            run: "r1",
            agenda: "a.yaml",
            launcher: "local",
            inputs: &inputs,
            replay_of: None,
            state: RunState::Ended,
            until: 0,
            now: 0,
            runs: Some("my runs"),
            options: RepeatedOptions::default(),
            pop: "0",
        };
        let repeat = |facts: &RunFacts<'_>, state| repeat_command(facts, state, "clip#0/it's");
        let failed = repeat(&facts, OperationState::Failed).unwrap();
        assert_eq!(failed, "pop rerun r1 \"clip#0/it's\" --runs 'my runs'");
        let letter = repeat(&RunFacts { runs: None, ..facts }, OperationState::DeadLettered).unwrap();
        assert_eq!(letter, "pop dlq replay r1 \"clip#0/it's\"");
        let stopped = RunFacts { state: RunState::Stopped, ..facts };
        assert_eq!(repeat(&stopped, OperationState::Failed).unwrap(), "pop resume r1 --runs 'my runs'");
        assert_eq!(repeat(&facts, OperationState::Succeeded), None);
        let options = RepeatedOptions {
            keep_going: true,
            parallel: Some(3),
            grace: Some(1),
            time_limit: Some(60),
            cleanup_limit: None,
        };
        let facts = RunFacts { options, runs: None, ..facts };
        let failed = repeat(&facts, OperationState::Failed).unwrap();
        assert_eq!(failed, "pop rerun r1 \"clip#0/it's\" -k -j 3 --grace 1 --time-limit 60");
        // a resumed run keeps -k and -j
        let stopped = RunFacts { state: RunState::Stopped, ..facts };
        let resume = "pop resume r1 --grace 1 --time-limit 60";
        assert_eq!(repeat(&stopped, OperationState::Failed).unwrap(), resume);
    }
}
