//! The Engine's description of a container: state, labels, end. The code reads it by structure and does not enumerate
//! values, because newer Engines add values.

use crate::port::LaunchId;
use crate::port::label;
use serde_json::Value;

/// A container as the Engine describes it, inspected or listed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Container(pub(super) Value);

impl Container {
    /// Whether the container was ever started.
    pub(super) fn has_begun(&self) -> bool {
        self.is("Running") || is_time(&self.0["State"]["StartedAt"])
    }

    /// The exit status of the program; `None` if the container runs, or was not started.
    pub(super) fn exit_code(&self) -> Option<i64> {
        let is_over = !self.is("Running")
            && !self.is("Paused")
            && !self.is("Restarting")
            && self.has_begun()
            && is_time(&self.0["State"]["FinishedAt"]);
        is_over.then(|| self.0["State"]["ExitCode"].as_i64().unwrap_or(0))
    }

    /// When the program ended; for a container that was never started, when it was created. `None` if it runs.
    pub(super) fn ended_at(&self) -> Option<&str> {
        let time = match (self.exit_code(), self.has_begun()) {
            (Some(_), _) => &self.0["State"]["FinishedAt"],
            (None, false) => &self.0["Created"],
            (None, true) => return None,
        };
        time.as_str()
    }

    /// Whether the container ran out of memory, as far as the Engine knows.
    pub(super) fn is_out_of_memory(&self) -> bool {
        self.is("OOMKilled")
    }

    fn is(&self, what: &str) -> bool {
        self.0["State"][what] == true
    }

    /// A label; an inspected container has labels in its configuration, a listed one at the top level.
    pub(super) fn label(&self, name: &str) -> Option<&str> {
        self.0["Config"]["Labels"][name].as_str().or_else(|| self.0["Labels"][name].as_str())
    }

    /// The Engine's id of a container that was created or inspected.
    pub(super) fn id(&self) -> Option<&str> {
        self.0["Id"].as_str().filter(|id| !id.is_empty())
    }

    /// The name of a listed container.
    pub(super) fn name(&self) -> &str {
        self.0["Names"][0].as_str().unwrap_or_default().trim_start_matches('/')
    }

    /// The launch of the container.
    pub(super) fn launch_id(&self) -> Option<LaunchId> {
        self.label(label::LAUNCH_ID)?.parse().ok().map(LaunchId)
    }
}

/// Whether a time is set: Engines report an event that has not happened with the year 1.
fn is_time(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && !text.starts_with("0001-"))
}

/// The Engine's answer to a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WaitAnswer {
    /// The status, if it is valid: for a removed container Engines answer 0 and an error, or -1.
    code: Option<i64>,
}

impl WaitAnswer {
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let code = value["StatusCode"].as_i64()?;
        Some(Self { code: Some(code).filter(|code| *code >= 0 && value["Error"].is_null()) })
    }

    /// A status that needs no confirmation. Zero needs one, because Engines also report it for a removed container.
    pub(super) fn failure(self) -> Option<i64> {
        self.code.filter(|code| *code > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fr_e7_state_is_read_despite_unknown_words() {
        let (never, then) = ("0001-01-01T00:00:00Z", "2026-01-01T10:00:00.5Z");
        let state = |status: &str, running: bool, started: &str, finished: &str| {
            Container(json!({"State": {"Status": status, "Running": running, "ExitCode": 3,
                "StartedAt": started, "FinishedAt": finished, "Health": {"Status": "a new word"}}}))
        };
        for (container, has_begun, code) in [
            (state("created", false, never, never), false, None),
            (state("initialized", false, never, never), false, None),
            (state("running", true, then, never), true, None),
            (state("stopping", false, then, never), true, None),
            (state("stopped", false, then, then), true, Some(3)),
            (state("exited", false, then, then), true, Some(3)),
            (state("a new word", false, then, then), true, Some(3)),
            // ended before, then started again
            (state("running", true, then, then), true, None),
            (Container::default(), false, None),
        ] {
            assert_eq!((container.has_begun(), container.exit_code()), (has_begun, code), "{container:?}");
            assert_eq!(container.ended_at(), code.map(|_| then), "{container:?}");
        }
        let unused = Container(json!({"Created": then, "State": {"StartedAt": never, "FinishedAt": never}}));
        assert_eq!(unused.ended_at(), Some(then));
    }

    #[test]
    fn wait_answer_is_a_status_only_if_valid() {
        for (answer, wanted) in [
            (r#"{"StatusCode":7}"#, Some(7)),
            (r#"{"StatusCode":7,"Error":null}"#, Some(7)),
            (r#"{"StatusCode":0,"Error":null}"#, None),
            (r#"{"StatusCode":0,"Error":{"Message":"container has already been removed"}}"#, None),
            (r#"{"StatusCode":137,"Error":{"Message":"container has already been removed"}}"#, None),
            (r#"{"StatusCode":-1}"#, None),
        ] {
            assert_eq!(WaitAnswer::read(answer.as_bytes()).unwrap().failure(), wanted, "{answer}");
        }
        assert_eq!(WaitAnswer::read(b"{}"), None);
    }
}
