//! The expected end of a launch, and its comparison with the actual end.

use crate::seen::{Seen, shown};
use crate::subject::Given;
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
    ToldFailure,
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
pub(crate) enum Met {
    Yes,
    /// No: the actual end.
    No(String),
    /// The launch could not show it, for this reason.
    Unknown(&'static str),
}

impl Expect {
    /// Whether the launch does the program's work; all other launches are rejected or answered at once.
    pub(crate) fn is_work(self) -> bool {
        !matches!(self, Self::Failure | Self::ToldFailure | Self::Refusal | Self::Description)
    }

    pub(crate) fn met_by(self, seen: &Seen, given: &Given) -> Met {
        if let Some(limit) = seen.late.filter(|_| self != Self::Nothing) {
            let since = if seen.was_asked { " after SIGTERM" } else { "" };
            return Met::No(format!("it was still running {} ms{since}", limit.as_millis()));
        }
        match self {
            Self::Nothing => Met::Yes,
            Self::Success | Self::Same | Self::SameResult => self.good(seen, given),
            Self::Failure | Self::ToldFailure => match seen.judged() {
                Ok(_) => Met::No(format!("it succeeded: {}", seen.ending())),
                Err(_) if self == Self::ToldFailure && !seen.is_told() => {
                    Met::No(format!("{}, without a message", seen.ending()))
                }
                Err(_) => Met::Yes,
            },
            Self::Refusal if seen.exit == Ok(Exit::Code(2)) => Met::Yes,
            Self::Refusal => Met::No(seen.ending()),
            Self::Description => match &seen.described {
                _ if seen.exit != Ok(Exit::Code(0)) => Met::No(seen.ending()),
                Err(error) => Met::No(format!("its output cannot be parsed: {error}")),
                Ok(_) => Met::Yes,
            },
            Self::Unheard => unheard(seen, given),
            Self::Stop if !seen.was_asked || seen.judged().is_ok() => {
                Met::Unknown("it finished before it was stopped; give a payload that takes longer")
            }
            Self::Stop => Met::Yes,
        }
    }

    fn good(self, seen: &Seen, given: &Given) -> Met {
        let compares = self == Self::SameResult || (self == Self::Same && given.is_repeatable);
        match seen.judged() {
            Err(_) => Met::No(seen.ending()),
            Ok(result) if compares && result != given.result() => {
                let (result, first) = (result.to_string(), given.result().to_string());
                Met::No(format!(
                    "its result is {}, not {}",
                    shown(result.as_bytes()),
                    shown(first.as_bytes())
                ))
            }
            Ok(_) => Met::Yes,
        }
    }
}

fn unheard(seen: &Seen, given: &Given) -> Met {
    match seen.exit {
        Ok(Exit::Code(0)) => Met::No("exit status 0, although its report was lost".to_owned()),
        // most programs end by SIGPIPE here; only launch data promises more
        _ if !given.claims.takes_launch_data => Met::Yes,
        Ok(Exit::Signal(_)) => Met::No(seen.ending()),
        _ if seen.is_silent => Met::No(format!("{}, without a message", seen.ending())),
        _ => Met::Yes,
    }
}
