//! Checks that evaluate all launches.

use crate::launch_record::LaunchRecord;
use crate::outcome::{Breach, Outcome};
use crate::subject::Claims;
use pop_contract::Exit;

/// The first launch with a fault.
fn first(outcomes: &[Outcome], fault: impl Fn(&LaunchRecord) -> Option<String>) -> Option<Breach> {
    let mut found = outcomes.iter().enumerate().filter_map(|(at, outcome)| Some((at, fault(&outcome.seen)?)));
    found.next().map(|(at, seen)| Breach { at, seen })
}

pub(crate) fn leaves_nothing_behind(_: Claims, outcomes: &[Outcome]) -> Option<Breach> {
    first(outcomes, |seen| {
        (seen.left > 0).then(|| format!("processes still running after its end: {}", seen.left))
    })
}

pub(crate) fn report_lines(_: Claims, outcomes: &[Outcome]) -> Option<Breach> {
    first(outcomes, |seen| seen.faults.first().cloned())
}

fn percents(seen: &LaunchRecord) -> impl Iterator<Item = f64> {
    seen.progress.iter().filter_map(|progress| progress.percent_complete)
}

pub(crate) fn percent_range(_: Claims, outcomes: &[Outcome]) -> Option<Breach> {
    first(outcomes, |seen| {
        let outside = percents(seen).find(|percent| !(0.0..=100.0).contains(percent))?;
        Some(format!("percentComplete {outside}"))
    })
}

pub(crate) fn percent_grows(_: Claims, outcomes: &[Outcome]) -> Option<Breach> {
    first(outcomes, |seen| {
        let (from, to) = percents(seen).zip(percents(seen).skip(1)).find(|(from, to)| to < from)?;
        Some(format!("percentComplete {from}, then {to}"))
    })
}

pub(crate) fn final_report(claims: Claims, outcomes: &[Outcome]) -> Option<Breach> {
    let more = first(outcomes, |seen| {
        let count = finals(seen);
        (count > 1).then(|| format!("final reports: {count}"))
    });
    // the first launch succeeded, and its reports were read
    let is_owed = claims.takes_launch_data && outcomes.first().is_some_and(|first| finals(&first.seen) == 0);
    more.or_else(|| is_owed.then(|| Breach { at: 0, seen: "no final report".to_owned() }))
}

fn finals(seen: &LaunchRecord) -> usize {
    seen.progress.iter().filter(|progress| progress.is_final()).count()
}

pub(crate) fn report_agrees(_: Claims, outcomes: &[Outcome]) -> Option<Breach> {
    first(outcomes, |seen| {
        let report = seen.said.progress.as_ref().filter(|progress| progress.is_final())?;
        // a killed program did not choose its exit status
        let exit = seen.exit.as_ref().ok().filter(|_| seen.late.is_none())?;
        let word = report.processing_state_message.as_deref().unwrap_or_default();
        let is_known = report.is_succeeded() || word.eq_ignore_ascii_case(pop_contract::FAILED);
        let agrees = is_known && report.is_succeeded() == (*exit == Exit::Code(0));
        (!agrees).then(|| seen.ending())
    })
}
