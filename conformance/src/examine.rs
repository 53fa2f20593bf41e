//! The examination: finds out what the program claims, then runs every check that binds it.

use crate::check::{By, CHECKS, Check, DESCRIBES, FIRST, SECOND};
use crate::expect::Met;
use crate::launch::{ConformanceError, Room, is_marked};
use crate::overall::Breach;
use crate::seen::Seen;
use crate::subject::{Claims, Given, Subject};
use crate::trial::Trial;
use crate::trials;
use pop_contract::PayloadForm;

/// A trial of a check, and its launch.
pub(crate) struct Outcome {
    pub(crate) check: &'static str,
    pub(crate) trial: Trial,
    pub(crate) seen: Seen,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// What was done to the program.
    pub done: String,
    /// What the program did.
    pub seen: String,
    /// Shell command that repeats it.
    pub command: String,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckVerdict {
    /// The program kept the promise.
    Kept,
    /// The program broke the promise.
    Broken(Box<Broken>),
    /// The promise does not bind the program, or could not be tested, for this reason.
    NotApplicable(&'static str),
}

/// A check and its result.
#[derive(Debug)]
pub struct Finding {
    /// The check.
    pub check: &'static Check,
    /// Its result.
    pub verdict: CheckVerdict,
}

/// Runs every check against a program.
pub async fn examine(subject: &Subject) -> Result<Vec<Finding>, ConformanceError> {
    let room = Room::open(subject)?;
    let mut given = Given::new(subject, room.run())?;
    let mut outcomes = carry_out(&room, of_check(FIRST, trials::payload_variable(&given))).await?;
    let is_good = outcomes.iter().all(|outcome| met(outcome, &given) == Met::Yes);
    if is_good {
        find_claims(&room, &mut given, &mut outcomes).await?;
        let rest = CHECKS.iter().filter(|check| ![FIRST, SECOND, DESCRIBES].contains(&check.id));
        let rest = rest.filter(|check| check.binds.excuse(given.claims).is_none());
        let all = rest.flat_map(|check| match check.by {
            By::Trials(trials) => of_check(check.id, trials(&given)),
            By::All(_) => Vec::new(),
        });
        let (work, refused): (Vec<_>, Vec<_>) = all.partition(|(_, trial)| trial.expect.is_work());
        let (work, refused) = tokio::join!(carry_out(&room, work), carry_out(&room, refused));
        outcomes.extend(work?.into_iter().chain(refused?));
    }
    let reports = outcomes.iter().any(|outcome| outcome.seen.has_reports());
    let heard = Claims { reports, ..given.claims };
    let finding = |check: &'static Check| {
        let verdict = match check.by {
            By::Trials(_) if !is_good && check.id != FIRST => {
                CheckVerdict::NotApplicable("it does not succeed with its payload")
            }
            By::Trials(_) => by_trials(check, subject, &given, &outcomes),
            By::All(look) => match check.binds.excuse(heard) {
                Some(why) => CheckVerdict::NotApplicable(why),
                None => look(heard, &outcomes).map_or(CheckVerdict::Kept, |Breach { at, seen }| {
                    broken(outcomes.get(at).map(|outcome| &outcome.trial), seen, subject)
                }),
            },
        };
        Finding { check, verdict }
    };
    Ok(CHECKS.iter().map(finding).collect())
}

fn of_check(check: &'static str, trials: Vec<Trial>) -> Vec<(&'static str, Trial)> {
    trials.into_iter().map(|trial| (check, trial)).collect()
}

/// Carries out trials one after another.
async fn carry_out(
    room: &Room<'_>,
    trials: Vec<(&'static str, Trial)>,
) -> Result<Vec<Outcome>, ConformanceError> {
    let mut outcomes = Vec::new();
    for (check, trial) in trials {
        let seen = room.launch(check, &trial).await?;
        outcomes.push(Outcome { check, trial, seen });
    }
    Ok(outcomes)
}

/// Finds out the claims of a program that succeeds.
async fn find_claims(
    room: &Room<'_>,
    given: &mut Given,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), ConformanceError> {
    given.first = outcomes.first().map(|outcome| outcome.seen.clone()).unwrap_or_default();
    outcomes.extend(carry_out(room, of_check(SECOND, trials::same_result(given))).await?);
    given.is_repeatable = outcomes.iter().all(|outcome| met(outcome, given) == Met::Yes);
    let without = carry_out(room, of_check("no-check", vec![trials::without_payload(given)])).await?;
    let is_same =
        |seen: &Seen| seen.judged().is_ok_and(|result| !given.is_repeatable || result == given.result());
    given.claims = Claims {
        reports: given.first.has_reports(),
        reads_payload: !without.iter().all(|outcome| is_same(&outcome.seen)),
        takes_launch_data: is_marked(&given.first.log),
        ..Claims::default()
    };
    outcomes.extend(without);
    if given.claims.takes_launch_data {
        let described = carry_out(room, of_check(DESCRIBES, trials::describes_itself(given))).await?;
        let said = described.first().filter(|outcome| met(outcome, given) == Met::Yes);
        if let Some(Ok(description)) = said.map(|outcome| &outcome.seen.described) {
            given.claims.leaves_out_compressed = !description.reads(PayloadForm::CompressedEnvVar);
            given.claims.leaves_out_files = !description.reads(PayloadForm::File);
        }
        outcomes.extend(described);
    }
    Ok(())
}

fn met(outcome: &Outcome, given: &Given) -> Met {
    outcome.trial.expect.met_by(&outcome.seen, given)
}

/// The verdict of a check with its own launches: the worst launch decides.
fn by_trials(check: &Check, subject: &Subject, given: &Given, outcomes: &[Outcome]) -> CheckVerdict {
    if let Some(why) = check.binds.excuse(given.claims) {
        return CheckVerdict::NotApplicable(why);
    }
    let mut verdict = CheckVerdict::NotApplicable("no payload was given that it must refuse");
    for outcome in outcomes.iter().filter(|outcome| outcome.check == check.id) {
        match met(outcome, given) {
            Met::No(seen) => return broken(Some(&outcome.trial), seen, subject),
            Met::Unknown(why) => verdict = CheckVerdict::NotApplicable(why),
            Met::Yes => verdict = CheckVerdict::Kept,
        }
    }
    verdict
}

fn broken(trial: Option<&Trial>, seen: String, subject: &Subject) -> CheckVerdict {
    let done = trial.map(|trial| trial.done.clone()).unwrap_or_default();
    let command = trial.map(|trial| trial.command_line(subject)).unwrap_or_default();
    CheckVerdict::Broken(Box::new(Broken { done, seen, command }))
}
