//! The examination: finds out what the program claims, then runs every check that binds it.

use crate::check::{By, CHECKS, Check, DESCRIBES, FIRST, SECOND};
use crate::error::ConformanceError;
use crate::expect::Fit;
use crate::launch_record::LaunchRecord;
use crate::outcome::{Breach, Outcome};
use crate::subject::{Claims, Subject};
use crate::trial::Trial;
use crate::trial_input::TrialInput;
use crate::trial_runner::{TrialRunner, is_marked};
use crate::trials;
use pop_contract::PayloadForm;

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
    let runner = TrialRunner::open(subject)?;
    let mut input = TrialInput::new(subject, runner.run())?;
    let mut outcomes = carry_out(&runner, of_check(FIRST, trials::payload_variable(&input))).await?;
    let is_good = outcomes.iter().all(|outcome| fit(outcome, &input) == Fit::Yes);
    if is_good {
        find_claims(&runner, &mut input, &mut outcomes).await?;
        let rest = CHECKS.iter().filter(|check| ![FIRST, SECOND, DESCRIBES].contains(&check.id));
        let rest = rest.filter(|check| check.binds.excuse(input.claims).is_none());
        let all = rest.flat_map(|check| match check.by {
            By::Trials(trials) => of_check(check.id, trials(&input)),
            By::All(_) | By::Warm(_) => Vec::new(),
        });
        let (work, refused): (Vec<_>, Vec<_>) = all.partition(|(_, trial)| trial.expect.is_work());
        let (work, refused) = tokio::join!(carry_out(&runner, work), carry_out(&runner, refused));
        outcomes.extend(work?.into_iter().chain(refused?));
    }
    let reports = outcomes.iter().any(|outcome| outcome.seen.has_reports());
    let heard = Claims { reports, ..input.claims };
    let finding = |check: &'static Check| {
        let verdict = match check.by {
            By::Trials(_) if !is_good && check.id != FIRST => {
                CheckVerdict::NotApplicable("it does not succeed with its payload")
            }
            By::Trials(_) => by_trials(check, subject, &input, &outcomes),
            By::Warm(_) => CheckVerdict::NotApplicable("it was not examined as a warm handler"),
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
    runner: &TrialRunner<'_>,
    trials: Vec<(&'static str, Trial)>,
) -> Result<Vec<Outcome>, ConformanceError> {
    let mut outcomes = Vec::new();
    for (check, trial) in trials {
        let seen = runner.launch(check, &trial).await?;
        outcomes.push(Outcome { check, trial, seen });
    }
    Ok(outcomes)
}

/// Finds out the claims of a program that succeeds.
async fn find_claims(
    runner: &TrialRunner<'_>,
    input: &mut TrialInput,
    outcomes: &mut Vec<Outcome>,
) -> Result<(), ConformanceError> {
    input.first = outcomes.first().map(|outcome| outcome.seen.clone()).unwrap_or_default();
    outcomes.extend(carry_out(runner, of_check(SECOND, trials::same_result(input))).await?);
    input.is_repeatable = outcomes.iter().all(|outcome| fit(outcome, input) == Fit::Yes);
    let without = carry_out(runner, of_check("no-check", vec![trials::without_payload(input)])).await?;
    let is_same = |seen: &LaunchRecord| {
        seen.judged().is_ok_and(|result| !input.is_repeatable || result == input.result())
    };
    input.claims = Claims {
        reports: input.first.has_reports(),
        reads_payload: !without.iter().all(|outcome| is_same(&outcome.seen)),
        takes_launch_data: is_marked(&input.first.log),
        ..Claims::default()
    };
    outcomes.extend(without);
    if input.claims.takes_launch_data {
        let described = carry_out(runner, of_check(DESCRIBES, trials::describes_itself(input))).await?;
        let said = described.first().filter(|outcome| fit(outcome, input) == Fit::Yes);
        if let Some(Ok(description)) = said.map(|outcome| &outcome.seen.described) {
            input.claims.leaves_out_compressed = !description.reads(PayloadForm::CompressedEnvVar);
            input.claims.leaves_out_files = !description.reads(PayloadForm::File);
        }
        outcomes.extend(described);
    }
    Ok(())
}

fn fit(outcome: &Outcome, input: &TrialInput) -> Fit {
    outcome.trial.expect.compare(&outcome.seen, input)
}

/// The verdict of a check with its own launches: the worst launch decides.
fn by_trials(check: &Check, subject: &Subject, input: &TrialInput, outcomes: &[Outcome]) -> CheckVerdict {
    if let Some(why) = check.binds.excuse(input.claims) {
        return CheckVerdict::NotApplicable(why);
    }
    let mut verdict = CheckVerdict::NotApplicable("no payload was given that it must refuse");
    for outcome in outcomes.iter().filter(|outcome| outcome.check == check.id) {
        match fit(outcome, input) {
            Fit::No(seen) => return broken(Some(&outcome.trial), seen, subject),
            Fit::Unknown(why) => verdict = CheckVerdict::NotApplicable(why),
            Fit::Yes => verdict = CheckVerdict::Kept,
        }
    }
    verdict
}

fn broken(trial: Option<&Trial>, seen: String, subject: &Subject) -> CheckVerdict {
    let done = trial.map(|trial| trial.done.clone()).unwrap_or_default();
    let command = trial.map(|trial| trial.command_line(subject)).unwrap_or_default();
    CheckVerdict::Broken(Box::new(Broken { done, seen, command }))
}
