//! Outcome of an attempt: exit status and final report must agree, and a failure names who has to fix it.

use super::{DiagnosticEvent, Progress, TOO_LARGE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exit {
    /// Exit with this status.
    Code(i32),
    /// End by this signal.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit status {code}"),
            Self::Signal(number) => match signal_name(*number) {
                Some(name) => write!(f, "signal {name}"),
                None => write!(f, "signal {number}"),
            },
        }
    }
}

fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// Who has to fix a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Blame {
    /// The handler or its payload.
    Handler,
    /// The platform: the machine, Docker, the cluster.
    Platform,
    /// pop itself.
    Pop,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handler => "handler",
            Self::Platform => "platform",
            Self::Pop => "pop",
        })
    }
}

/// Failure of an attempt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    /// Who has to fix the failure.
    pub blame: Blame,
    /// Kind of failure: `exit`, `signal`, `failed`, `contract`, `timeout`, `stalled`, `pending`, `spawn`,
    /// `resources`, `oom`, `storage`, `reference`, `payload`, `killed`, `lost`, `displaced` and others
    /// (docs/formats/exit-codes.md).
    pub code: String,
    /// Message for people: one sentence.
    pub message: String,
    /// How the program ended, if one ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// Diagnostic events that the handler reported.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub diagnostics: Vec<DiagnosticEvent>,
    /// Last lines of the attempt's log.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
}

impl Failure {
    /// A failure with only a code and a message.
    pub fn new(blame: Blame, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            blame,
            code: code.into(),
            message: message.into(),
            exit: None,
            diagnostics: Vec::new(),
            log_tail: Vec::new(),
        }
    }

    /// Whether the platform removed the program before its end. It may restart without counting a failure.
    pub fn is_displaced(&self) -> bool {
        self.code == "displaced"
    }

    /// Whether a process of the program could not be stopped, so that it may still run.
    pub fn is_not_stopped(&self) -> bool {
        self.code == "not-stopped"
    }

    /// Whether the program was killed without reporting a failure.
    pub fn was_killed(&self) -> bool {
        // a shell exits with 137 if the program that it ran was killed
        matches!(self.exit, Some(Exit::Signal(9) | Exit::Code(137))) && self.code != "failed"
    }

    /// Turns the failure of a killed program into `oom`: the kernel killed it because memory ran out.
    pub fn blame_memory(&mut self) {
        self.blame = Blame::Platform;
        "oom".clone_into(&mut self.code);
        self.message.push_str(": killed by the kernel because memory ran out");
    }

    /// All codes by which `retry.on` and `ignoreErrors` match this failure.
    pub fn codes(&self) -> Vec<String> {
        let mut codes = vec![self.code.clone()];
        if let Some(Exit::Code(code)) = self.exit {
            codes.push(code.to_string());
        }
        codes.extend(self.diagnostics.iter().filter_map(|event| event.status_code.clone()));
        codes
    }

    /// Whether another attempt may succeed.
    pub fn is_repeatable(&self) -> bool {
        match self.code.as_str() {
            "reference" | "too-large" | "payload" | "expression" | "resources-exceeded" | "generated" => {
                false
            }
            // a handler that rejects its payload reports only diagnostics with the code `payload`
            "failed" if !self.diagnostics.is_empty() => {
                !self.diagnostics.iter().all(|event| event.status_code.as_deref() == Some("payload"))
            }
            _ => true,
        }
    }
}

/// What a program has reported by its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FinalReport {
    /// The last progress.
    pub progress: Option<Progress>,
    /// The result.
    pub result: Option<Value>,
    /// Contract violations of report lines, each as a sentence.
    pub breaches: Vec<String>,
    /// Whether one of the violations is a value beyond the limits.
    pub is_too_large: bool,
}

/// Decides the outcome of an attempt that ended by itself: exit status and final report must agree.
///
/// `success` lists the exit statuses that mean success; an empty list means only 0.
pub fn judge(exit: Exit, success: &[i32], reported: FinalReport) -> Result<Value, Failure> {
    let is_good_exit = match exit {
        Exit::Code(code) if success.is_empty() => code == 0,
        Exit::Code(code) => success.contains(&code),
        Exit::Signal(_) => false,
    };
    let report = reported.progress.filter(Progress::is_final);
    let fail = |code: &str, message: String, diagnostics: Vec<DiagnosticEvent>| Failure {
        exit: Some(exit),
        diagnostics,
        ..Failure::new(Blame::Handler, code, message)
    };
    match report {
        Some(report) if report.is_succeeded() && !is_good_exit => {
            let message = format!("reported success but ended with {exit}; both must agree");
            Err(fail("contract", message, report.diagnostic_events))
        }
        Some(report) if !report.is_succeeded() => {
            let first = report.diagnostic_events.first().map(|event| event.message.clone());
            let word = report.processing_state_message.clone().unwrap_or_default();
            let message = match first {
                Some(message) => message,
                None if word.eq_ignore_ascii_case(super::FAILED) => "reported failure".to_owned(),
                None => format!("reported COMPLETE with `{word}`, which is neither `succeeded` nor `failed`"),
            };
            let code = if word.eq_ignore_ascii_case(super::FAILED) { "failed" } else { "contract" };
            Err(fail(code, message, report.diagnostic_events))
        }
        _ if !is_good_exit => {
            let code = if matches!(exit, Exit::Signal(_)) { "signal" } else { "exit" };
            Err(fail(code, format!("ended with {exit}"), Vec::new()))
        }
        _ if !reported.breaches.is_empty() => {
            let code = if reported.is_too_large { TOO_LARGE } else { "contract" };
            Err(fail(code, reported.breaches.join("; "), Vec::new()))
        }
        _ => Ok(reported.result.unwrap_or_else(|| json!({}))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProcessingState;

    fn complete(word: &str) -> Progress {
        Progress {
            processing_state: Some(ProcessingState::Complete),
            processing_state_message: Some(word.to_owned()),
            ..Progress::default()
        }
    }

    #[test]
    fn f22_exit_status_and_report_must_agree() {
        let reported =
            |progress| FinalReport { progress, result: Some(json!({"w": 1})), ..FinalReport::default() };
        let code = |exit, progress| judge(exit, &[], reported(progress)).map_err(|failure| failure.code);
        let table = [
            (Exit::Code(0), None, Ok(json!({"w": 1}))),
            (Exit::Code(0), Some(complete("succeeded")), Ok(json!({"w": 1}))),
            (Exit::Code(0), Some(complete("Succeeded")), Ok(json!({"w": 1}))),
            (Exit::Code(0), Some(complete("failed")), Err("failed".to_owned())),
            (Exit::Code(0), Some(complete("Success")), Err("contract".to_owned())),
            (Exit::Code(1), Some(complete("succeeded")), Err("contract".to_owned())),
            (Exit::Code(1), Some(complete("failed")), Err("failed".to_owned())),
            (Exit::Code(1), None, Err("exit".to_owned())),
            (Exit::Signal(11), None, Err("signal".to_owned())),
            (Exit::Signal(9), Some(complete("succeeded")), Err("contract".to_owned())),
        ];
        for (exit, progress, wanted) in table {
            assert_eq!(code(exit, progress.clone()), wanted, "{exit} {progress:?}");
        }
    }

    #[test]
    fn f11_a_kill_while_memory_ran_out_has_the_code_oom() {
        let failure = |exit, progress| {
            judge(exit, &[], FinalReport { progress, ..FinalReport::default() }).unwrap_err()
        };
        assert!(failure(Exit::Code(137), None).was_killed());
        assert!(failure(Exit::Signal(9), Some(complete("succeeded"))).was_killed());
        assert!(!failure(Exit::Signal(9), Some(complete("failed"))).was_killed());
        assert!(!failure(Exit::Signal(11), None).was_killed() && !failure(Exit::Code(1), None).was_killed());
        let mut killed = failure(Exit::Signal(9), None);
        killed.blame_memory();
        assert_eq!((killed.code.as_str(), killed.blame), ("oom", Blame::Platform));
        assert_eq!(killed.message, "ended with signal SIGKILL: killed by the kernel because memory ran out");
    }

    #[test]
    fn exit_0_without_report_succeeds_with_empty_result() {
        assert_eq!(judge(Exit::Code(0), &[], FinalReport::default()), Ok(json!({})));
    }

    #[test]
    fn listed_exit_codes_are_success() {
        assert!(judge(Exit::Code(3), &[0, 3], FinalReport::default()).is_ok());
        assert!(judge(Exit::Code(0), &[3], FinalReport::default()).is_err());
    }

    #[test]
    fn codes_of_a_failure_include_exit_and_diagnostics() {
        let mut failure = Failure::new(Blame::Handler, "failed", "m");
        failure.exit = Some(Exit::Code(7));
        failure.diagnostics =
            vec![DiagnosticEvent { status_code: Some("11002".into()), ..Default::default() }];
        assert_eq!(failure.codes(), ["failed", "7", "11002"]);
        assert!(failure.is_repeatable());
        failure.diagnostics[0].status_code = Some("payload".into());
        assert!(!failure.is_repeatable());
        // the last diagnostics of a handler that timed out do not prevent a retry
        failure.code = "timeout".to_owned();
        assert!(failure.is_repeatable());
    }
}
