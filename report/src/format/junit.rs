//! JUnit XML, as test views of CI systems read it: one test case for each operation without parts.
//!
//! A failure that the handler has to fix is a `failure`, any other an `error`. An attempt that failed before a success is
//! a `flakyFailure`, one that failed before another failure a `rerunFailure`.

use super::instant::instant;
use crate::cut::{LINE, MESSAGE, cut};
use crate::model::{AttemptReport, OperationReport, OperationState, Report};
use pop_agenda::OpIx;
use pop_contract::{Blame, Failure};
use std::collections::HashSet;
use std::fmt::Write as _;

/// The report as JUnit XML.
pub fn junit(report: &Report<'_>) -> String {
    let cases = test_cases(report);
    let count = |wanted: fn(&OperationReport<'_>) -> bool| cases.iter().filter(|case| wanted(case)).count();
    let failures = count(|case| verdict(case) == Verdict::Failure);
    let errors = count(|case| verdict(case) == Verdict::Error);
    let skipped = count(|case| verdict(case) == Verdict::Skipped);
    let counts = format!(
        "tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\" time=\"{}\" timestamp=\"{}\"",
        cases.len(),
        seconds(report.run.took_ms),
        instant(report.run.started_time).trim_end_matches('Z'),
    );
    let name = escape(report.run.agenda);
    let mut text =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"pop\" {counts}>\n");
    line(&mut text, format_args!("  <testsuite name=\"{name}\" {counts}>"));
    properties(&mut text, report);
    for case in cases {
        test_case(&mut text, report, case);
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
}

/// The operations without parts. One that was to have parts but failed before counts, too.
fn test_cases<'c, 'r>(report: &'c Report<'r>) -> Vec<&'c OperationReport<'r>> {
    let wholes: HashSet<OpIx> = report.operations.iter().filter_map(|part| part.of).collect();
    let is_case = |operation: &&OperationReport<'_>| {
        !operation.is_whole || (operation.state.is_failure() && !wholes.contains(&operation.op))
    };
    report.operations.iter().filter(is_case).collect()
}

#[derive(PartialEq, Eq)]
enum Verdict {
    Success,
    Failure,
    Error,
    Skipped,
}

fn verdict(operation: &OperationReport<'_>) -> Verdict {
    match operation.state {
        OperationState::Succeeded | OperationState::FromCache => Verdict::Success,
        OperationState::Failed | OperationState::DeadLettered => match operation.failure() {
            Some((_, failure)) if failure.blame == Blame::Handler => Verdict::Failure,
            _ => Verdict::Error,
        },
        // nobody knows whether it would have failed
        OperationState::Stopped => Verdict::Error,
        _ => Verdict::Skipped,
    }
}

fn properties(text: &mut String, report: &Report<'_>) {
    let outcome = report.run.outcome.map(pop_agenda::RunOutcome::word);
    let mut properties = vec![("run", report.run.name), ("launcher", report.run.launcher)];
    properties.extend(outcome.map(|outcome| ("outcome", outcome)));
    properties.extend(report.run.rerun_of.map(|run| ("rerunOf", run)));
    text.push_str("    <properties>\n");
    for (name, value) in properties {
        line(text, format_args!("      <property name=\"{name}\" value=\"{}\"/>", escape(value)));
    }
    text.push_str("    </properties>\n");
}

fn test_case(text: &mut String, report: &Report<'_>, case: &OperationReport<'_>) {
    let class = case.of.map_or(report.run.agenda, |of| report.operations[of.index()].shown());
    let took = case.attempts.iter().map(|attempt| attempt.took_ms).sum();
    let mut head = format!(
        "    <testcase classname=\"{}\" name=\"{}\" time=\"{}\"",
        escape(&cut(class, MESSAGE)),
        escape(&cut(case.shown(), MESSAGE)),
        seconds(took)
    );
    if let Some(first) = case.attempts.first() {
        write!(head, " timestamp=\"{}\"", instant(first.started_time).trim_end_matches('Z')).ok();
    }
    let mut body = String::new();
    let last = match verdict(case) {
        Verdict::Success => None,
        Verdict::Skipped => {
            line(
                &mut body,
                format_args!("      <skipped message=\"{}\"/>", escape(&cut(&skip_reason(case), MESSAGE))),
            );
            None
        }
        verdict => {
            let word = if verdict == Verdict::Failure { "failure" } else { "error" };
            let failed = case.failure();
            match failed {
                Some((_, failure)) if case.state != OperationState::Stopped => {
                    add_failure(&mut body, word, failure, case.repeat_command.as_deref());
                }
                _ if case.state == OperationState::Stopped => {
                    line(&mut body, format_args!("      <{word} message=\"stopped: its executor died\"/>"));
                }
                _ => line(&mut body, format_args!("      <{word} message=\"failed\"/>")),
            }
            failed.filter(|_| case.state != OperationState::Stopped).and_then(|(attempt, _)| attempt)
        }
    };
    let word = if last.is_some() { "rerunFailure" } else { "flakyFailure" };
    let earlier = |attempt: &&AttemptReport<'_>| Some(attempt.number) != last;
    for failure in case.attempts.iter().filter(earlier).filter_map(|attempt| attempt.failure) {
        add_failure(&mut body, word, failure, None);
    }
    let tail = case.failure().map(|(_, failure)| failure.log_tail.as_slice()).unwrap_or_default();
    if !tail.is_empty() {
        let lines: Vec<_> = tail.iter().map(|line| escape_lines(&cut(line, LINE))).collect();
        line(&mut body, format_args!("      <system-out>{}</system-out>", lines.join("\n")));
    }
    if body.is_empty() {
        line(text, format_args!("{head}/>"));
    } else {
        line(text, format_args!("{head}>\n{body}    </testcase>"));
    }
}

fn skip_reason(case: &OperationReport<'_>) -> String {
    match (case.state, &case.skipped_by) {
        (OperationState::Skipped, Some(by)) => format!("skipped: {by}"),
        (state, _) => state.label().to_owned(),
    }
}

fn add_failure(text: &mut String, word: &str, failure: &Failure, command: Option<&str>) {
    let message = cut(&failure.message, MESSAGE);
    let blame = failure.blame;
    let repeat = command.map(|command| format!("\nrepeat: {}", escape_lines(command))).unwrap_or_default();
    line(
        text,
        format_args!(
            "      <{word} message=\"{}\" type=\"{}\">{}\nblame: {blame}{repeat}</{word}>",
            escape(&message),
            escape(&cut(&failure.code, MESSAGE)),
            escape_lines(&message),
        ),
    );
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1_000, ms % 1_000)
}

/// The text of an attribute. A line end in it would become a space.
fn escape(text: &str) -> String {
    escaped(text, true)
}

/// The text of an element.
fn escape_lines(text: &str) -> String {
    escaped(text, false)
}

fn escaped(text: &str, is_attribute: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\n' | '\t' if is_attribute => {
                write!(safe, "&#{};", c as u32).ok();
            }
            '\n' | '\t' => safe.push(c),
            // XML 1.0 has no such characters, not even as references
            '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            _ => safe.push(c),
        }
    }
    safe
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // writing to a string never fails
    writeln!(text, "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_xml_cannot_have_are_replaced() {
        assert_eq!(
            escape("a\u{0}\u{1b}<\"&>\n\u{ffff}"),
            "a\u{fffd}\u{fffd}&lt;&quot;&amp;&gt;&#10;\u{fffd}"
        );
        assert_eq!(escape_lines("]]>\na"), "]]&gt;\na");
    }
}
