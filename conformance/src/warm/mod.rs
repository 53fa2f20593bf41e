//! The warm clause of the handler contract: checks of a program that serves many operations (docs/warm.md).

mod session;

use crate::check::{Binds, By, Check, WarmTrial};
use crate::error::ConformanceError;
use crate::examine::{Broken, CheckVerdict, Finding};
use crate::subject::Subject;
use pop_contract::Exit;
use serde_json::Value;
use session::Session;
use std::path::Path;

/// Size of the largest payload that is tried, in bytes.
const LARGE: usize = 16 << 20;
const NO_JSON: &str = "{no JSON";
/// Starts the program after output that is no part of the protocol.
const STRAY_OUTPUT: &str = "echo 'hello 0 0'; echo stray >&2; exec \"$@\"";

const fn check(id: &'static str, trial: WarmTrial, promise: &'static str, hint: &'static str) -> Check {
    Check { id, promise, binds: Binds::Every, hint, by: By::Warm(trial) }
}

/// Every check of a program that serves, in the order of the report.
pub static WARM_CHECKS: &[Check] = &[
    check(
        "warm-hello",
        WarmTrial::Hello,
        "it says hello over the socket of POP_WARM_SOCKET",
        "if POP_WARM_SOCKET is set, send `hello 0 LENGTH` and {\"version\":1} over that descriptor, before any payload",
    ),
    check(
        "warm-same-result",
        WarmTrial::Repeat,
        "an operation has the same result after another one, also after a failed one",
        "keep no state of an operation in global variables, the working directory or the environment",
    ),
    check(
        "warm-large-payload",
        WarmTrial::Large,
        "it reads a payload of 16 MiB from the socket",
        "read exactly LENGTH bytes after the first line, however they are cut",
    ),
    check(
        "warm-stray-output",
        WarmTrial::Stray,
        "it uses the socket only, whatever is on standard output",
        "send frames over the descriptor of POP_WARM_SOCKET, never over standard output",
    ),
    check(
        "warm-cancel",
        WarmTrial::Cancel,
        "a cancelled operation ends within the grace",
        "answer `cancel` with `end`; without `cancels` in its hello, the program must end after SIGTERM",
    ),
    check(
        "warm-crash",
        WarmTrial::Crash,
        "a killed instance leaves no process behind",
        "let external programs end with the instance (PR_SET_PDEATHSIG), or do not start daemons",
    ),
    check(
        "warm-half-close",
        WarmTrial::HalfClose,
        "it finishes its operation when pop closes its half of the socket, and then ends with 0",
        "treat the end of the stream as `bye`: end the operation in hand first",
    ),
    check(
        "warm-bye",
        WarmTrial::Bye,
        "it ends with 0 after bye",
        "leave the loop at `bye`, and wait for nothing else",
    ),
];

/// Runs every warm check against a program. The others do not apply if it does not say hello.
pub async fn examine_warm(subject: &Subject) -> Result<Vec<Finding>, ConformanceError> {
    let folder = tempfile::Builder::new().prefix("pop-check-").tempdir()?;
    let mut findings: Vec<Finding> = Vec::new();
    for check in WARM_CHECKS {
        let By::Warm(trial) = check.by else { continue };
        let serves = findings.first().is_none_or(|first| first.verdict == CheckVerdict::Kept);
        let verdict = if serves {
            let name = folder.path().file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{name}-{}", check.id);
            match carry_out(trial, subject, folder.path(), &name).await? {
                Seen::Kept => CheckVerdict::Kept,
                Seen::NotApplicable(why) => CheckVerdict::NotApplicable(why),
                Seen::Broken(seen) => broken(trial, seen, subject),
            }
        } else {
            CheckVerdict::NotApplicable("it does not say hello")
        };
        findings.push(Finding { check, verdict });
    }
    Ok(findings)
}

/// What a trial showed.
enum Seen {
    Kept,
    NotApplicable(&'static str),
    Broken(String),
}

impl From<Result<(), String>> for Seen {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Broken, |()| Self::Kept)
    }
}

fn broken(trial: WarmTrial, seen: String, subject: &Subject) -> CheckVerdict {
    let done = match trial {
        WarmTrial::Hello => "started with POP_WARM_SOCKET",
        WarmTrial::Repeat => "given the payload, then a bad one, then the payload again",
        WarmTrial::Large => "given the payload with spaces after it, 16 MiB in all",
        WarmTrial::Stray => "started by a shell that had printed `hello 0 0`, and given the payload",
        WarmTrial::Cancel => "given the payload and then cancelled, by `cancel` or SIGTERM as its hello says",
        WarmTrial::Crash => "given the payload, and killed",
        WarmTrial::HalfClose => "given the payload, and the examiner's half of the socket closed",
        WarmTrial::Bye => "sent `bye`",
    };
    let argv = shlex::try_join(subject.argv.iter().map(String::as_str)).unwrap_or_default();
    let command = format!("pop handler check --warm -- {argv}");
    CheckVerdict::Broken(Box::new(Broken { done: done.to_owned(), seen, command }))
}

async fn carry_out(
    trial: WarmTrial,
    subject: &Subject,
    folder: &Path,
    name: &str,
) -> Result<Seen, ConformanceError> {
    let payload = subject.payload.trim();
    let wrapper = (trial == WarmTrial::Stray).then_some(STRAY_OUTPUT);
    let mut session = match Session::open(subject, folder, name, wrapper).await? {
        Ok(session) => session,
        Err(seen) => return Ok(Seen::Broken(seen)),
    };
    match trial {
        WarmTrial::Hello => session.kill().await.map(|()| Seen::Kept),
        WarmTrial::Repeat => {
            let fresh = match Session::open(subject, folder, &format!("{name}-fresh"), None).await? {
                Ok(mut fresh) => {
                    let result = success(&mut fresh, payload).await;
                    fresh.kill().await?;
                    result
                }
                Err(seen) => Err(seen),
            };
            let seen = repeat(&mut session, subject, fresh).await;
            session.kill().await?;
            Ok(seen)
        }
        WarmTrial::Large => {
            let padded = format!("{payload}{}", " ".repeat(LARGE.saturating_sub(payload.len())));
            let result = success(&mut session, &padded).await.map(drop);
            session.kill().await?;
            Ok(result.into())
        }
        WarmTrial::Stray => {
            let result = success(&mut session, payload).await.map(drop);
            session.kill().await?;
            Ok(result.into())
        }
        WarmTrial::Cancel => cancel(session, subject).await,
        WarmTrial::Crash => {
            if let Err(seen) = session.handle(payload).await {
                session.kill().await?;
                return Ok(Seen::Broken(seen));
            }
            if session.crash() {
                return Ok(ended(session, subject, None).await?.into());
            }
            session.kill().await?;
            Ok(Seen::NotApplicable("its hello names no process of it as `pid`"))
        }
        WarmTrial::HalfClose => {
            let worked = async {
                let id = session.handle(payload).await?;
                session.half_close().await?;
                session.end_of(id, subject.limit).await
            };
            match worked.await {
                Ok(_) => Ok(ended(session, subject, Some(0)).await?.into()),
                Err(seen) => {
                    session.kill().await?;
                    Ok(Seen::Broken(seen))
                }
            }
        }
        WarmTrial::Bye => match session.bye().await {
            Ok(()) => Ok(ended(session, subject, Some(0)).await?.into()),
            Err(seen) => {
                session.kill().await?;
                Ok(Seen::Broken(seen))
            }
        },
    }
}

/// The result of an operation that must succeed.
async fn success(session: &mut Session<'_>, payload: &str) -> Result<Value, String> {
    let operation = session.run(payload).await?;
    operation.judged().map_err(|failure| format!("the operation failed: {}", failure.message))
}

/// A, B, A: the second A has the result of the first.
async fn repeat(session: &mut Session<'_>, subject: &Subject, fresh: Result<Value, String>) -> Seen {
    let payload = subject.payload.trim();
    let results = async {
        let first = success(session, payload).await?;
        let bad = subject.bad_payload.as_deref().unwrap_or(NO_JSON);
        let other = session.run(bad).await?;
        if subject.bad_payload.is_some() && other.status == 0 {
            return Err("it ended the bad payload with status 0".to_owned());
        }
        Ok((first, success(session, payload).await?))
    };
    match (results.await, fresh) {
        (Err(seen), _) | (_, Err(seen)) => Seen::Broken(seen),
        (Ok((first, _)), Ok(fresh)) if first != fresh => {
            Seen::NotApplicable("its results differ without an earlier operation")
        }
        (Ok((first, second)), _) if first != second => {
            Seen::Broken(format!("the result was {first} before and {second} after another operation"))
        }
        _ => Seen::Kept,
    }
}

async fn cancel(mut session: Session<'_>, subject: &Subject) -> Result<Seen, ConformanceError> {
    let id = match session.handle(subject.payload.trim()).await {
        Ok(id) => id,
        Err(seen) => {
            session.kill().await?;
            return Ok(Seen::Broken(seen));
        }
    };
    if !session.hello.cancels {
        session.stop(false);
        return Ok(ended(session, subject, None).await?.into());
    }
    let answered = async {
        session.cancel(id).await?;
        session.end_of(id, subject.grace).await?;
        // it goes on with other work
        let next = session.run(subject.payload.trim()).await?;
        next.judged().map(drop).map_err(|failure| format!("the next operation failed: {}", failure.message))
    };
    let answered = answered.await;
    session.kill().await?;
    Ok(answered.into())
}

/// The end of an instance within the grace, with this status if one is given, and without leftovers.
async fn ended(
    session: Session<'_>,
    subject: &Subject,
    status: Option<i32>,
) -> Result<Result<(), String>, ConformanceError> {
    let Some(end) = session.ended(subject.grace).await? else {
        return Ok(Err(format!("it did not end within {} ms", subject.grace.as_millis())));
    };
    Ok(match (end.exit, status) {
        _ if end.left > 0 => Err(format!("{} of its processes outlived it", end.left)),
        (Ok(exit), Some(status)) if exit != Exit::Code(status) => Err(format!("it ended with {exit}")),
        (Err(failure), _) => Err(failure.message),
        _ => Ok(()),
    })
}
