//! The expected end of a launch, and its comparison with the actual end.

use crate::launch_record::{LaunchRecord, shown};
use crate::trial_input::TrialInput;
use pop_contract::Exit;

/// The expected end of a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// It succeeds.
    Success,
    /// It succeeds with the result of the first launch, if that is the same each time.
    Same,
    /// It succeeds with the result of the first launch.
    SameResult,
    /// It fails.
    Failure,
    /// It fails with a message.
    ExplainedFailure,
    /// It ends with exit status 2.
    Refusal,
    /// It ends with exit status 0 and has printed a description.
    Description,
    /// It ends, but not with success: nobody receives its reports.
    Unheard,
    /// It ends in time after SIGTERM.
    Stop,
    /// Anything: the launch only shows what it does.
    Nothing,
}

/// The result of a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    /// No: the actual end.
    No(String),
    /// The launch could not show it, for this reason.
    Unknown(&'static str),
}

impl Expect {
    /// Whether the launch does the program's work; all other launches are rejected or answered at once.
    pub(crate) fn is_work(self) -> bool {
        !matches!(self, Self::Failure | Self::ExplainedFailure | Self::Refusal | Self::Description)
    }

    pub(crate) fn compare(self, seen: &LaunchRecord, input: &TrialInput) -> Fit {
        if let Some(limit) = seen.late.filter(|_| self != Self::Nothing) {
            let since = if seen.was_asked { " after SIGTERM" } else { "" };
            return Fit::No(format!("it was still running {} ms{since}", limit.as_millis()));
        }
        match self {
            Self::Nothing => Fit::Yes,
            Self::Success | Self::Same | Self::SameResult => self.good(seen, input),
            Self::Failure | Self::ExplainedFailure => match seen.judged() {
                Ok(_) => Fit::No(format!("it succeeded: {}", seen.ending())),
                Err(_) if self == Self::ExplainedFailure && !seen.explains_end() => {
                    Fit::No(format!("{}, without a message", seen.ending()))
                }
                Err(_) => Fit::Yes,
            },
            Self::Refusal if seen.exit == Ok(Exit::Code(2)) => Fit::Yes,
            Self::Refusal => Fit::No(seen.ending()),
            Self::Description => match &seen.described {
                _ if seen.exit != Ok(Exit::Code(0)) => Fit::No(seen.ending()),
                Err(error) => Fit::No(format!("its output cannot be parsed: {error}")),
                Ok(_) => Fit::Yes,
            },
            Self::Unheard => unheard(seen, input),
            Self::Stop if !seen.was_asked || seen.judged().is_ok() => {
                Fit::Unknown("it finished before it was stopped; give a payload that takes longer")
            }
            Self::Stop => Fit::Yes,
        }
    }

    fn good(self, seen: &LaunchRecord, input: &TrialInput) -> Fit {
        let compares = self == Self::SameResult || (self == Self::Same && input.is_repeatable);
        match seen.judged() {
            Err(_) => Fit::No(seen.ending()),
            Ok(result) if compares && result != input.result() => {
                let (result, first) = (result.to_string(), input.result().to_string());
                Fit::No(format!(
                    "its result is {}, not {}",
                    shown(result.as_bytes()),
                    shown(first.as_bytes())
                ))
            }
            Ok(_) => Fit::Yes,
        }
    }
}

fn unheard(seen: &LaunchRecord, input: &TrialInput) -> Fit {
    match seen.exit {
        Ok(Exit::Code(0)) => Fit::No("exit status 0, although its report was lost".to_owned()),
        // most programs end by SIGPIPE here; only launch data promises more
        _ if !input.claims.takes_launch_data => Fit::Yes,
        Ok(Exit::Signal(_)) => Fit::No(seen.ending()),
        _ if seen.is_silent => Fit::No(format!("{}, without a message", seen.ending())),
        _ => Fit::Yes,
    }
}
