//! Markdown for the summary of a CI job, such as `$GITHUB_STEP_SUMMARY`. Everything from the run is escaped, so it stays
//! text.

use crate::cut::{LINE, MESSAGE, cut};
use crate::facts::RunState;
use crate::model::{OperationReport, OperationState, Report};
use pop_contract::{how_long, visible};
use std::fmt::Write as _;

/// Most bytes of a summary: GitHub rejects a larger one.
const MOST_BYTES: usize = 1024 * 1024;
/// Bytes that are left for the end of the summary.
const RESERVE: usize = 16 * 1024;
/// Number of slow operations that are listed.
const SLOWEST: usize = 10;
/// Most inputs that are listed.
const MOST_INPUTS: usize = 50;

/// The report as Markdown, of at most 1 MiB.
pub fn markdown(report: &Report<'_>) -> String {
    let run = &report.run;
    let state = match (run.outcome, run.state) {
        (Some(outcome), _) => outcome.word(),
        (None, RunState::Running) => "running",
        (None, _) => "stopped",
    };
    let mark = match (run.exit_code, run.state) {
        (Some(0), _) => "✅",
        (Some(_), _) => "❌",
        (None, RunState::Running) => "⏳",
        (None, _) => "⏹️",
    };
    let mut text = format!("## {mark} {}: {state}\n\n", inline(run.agenda));
    let mut facts = vec![format!("run {}", code(run.name)), format!("took {}", how_long(run.took_ms))];
    facts.extend(run.rerun_of.map(|parent| format!("rerun of {}", code(parent))));
    if run.resumed > 0 {
        facts.push(format!("resumed {} times", run.resumed));
    }
    if run.outcome.is_none() {
        facts.push("the run has not ended".to_owned());
    }
    line(&mut text, format_args!("{}\n", facts.join(" · ")));
    line(&mut text, format_args!("| state | operations |\n|---|---:|"));
    for count in &report.counts {
        line(&mut text, format_args!("| {} | {} |", count.state.label(), count.count));
    }
    if let Some(command) = &run.next_command {
        line(&mut text, format_args!("\nContinue: {}", code(command)));
    }
    let mut end = String::new();
    slowest(&mut end, report);
    inputs(&mut end, report);
    let end = if end.len() > RESERVE { "" } else { &end };
    failures(&mut text, report, MOST_BYTES - RESERVE - end.len());
    text.push_str(end);
    text
}

fn failures(text: &mut String, report: &Report<'_>, most: usize) {
    let failed = report.failures();
    if failed.is_empty() {
        return;
    }
    text.push_str("\n### Failures\n");
    for (index, operation) in failed.iter().enumerate() {
        let one = failure(operation);
        if text.len() + one.len() > most {
            let left = failed.len() - index;
            line(text, format_args!("\n{left} more failures are not shown; `pop show` lists them."));
            break;
        }
        text.push_str(&one);
    }
}

fn failure(operation: &OperationReport<'_>) -> String {
    let mut text = String::new();
    let Some((attempt, failure)) = operation.failure() else { return text };
    let number = attempt.filter(|number| *number > 1).map(|number| format!(" (attempt {number})"));
    let state = if operation.state == OperationState::Failed { "" } else { ", dead-lettered" };
    line(
        &mut text,
        format_args!(
            "\n<details><summary>{}{}{state}: {}</summary>\n",
            html(operation.shown()),
            number.unwrap_or_default(),
            html(&failure.message)
        ),
    );
    line(&mut text, format_args!("code {}, blame: {}\n", code(&failure.code), failure.blame));
    if !failure.log_tail.is_empty() {
        let lines: Vec<_> = failure.log_tail.iter().map(|line| visible(&cut(line, LINE))).collect();
        let fence = "`".repeat(longest_ticks(&lines).max(2) + 1);
        line(&mut text, format_args!("{fence}text\n{}\n{fence}\n", lines.join("\n")));
    }
    if let Some(command) = &operation.repeat_command {
        line(&mut text, format_args!("Repeat: {}\n", code(command)));
    }
    text.push_str("</details>\n");
    text
}

fn longest_ticks(lines: &[String]) -> usize {
    let runs = lines.iter().flat_map(|line| line.split(|c| c != '`').map(str::len));
    runs.max().unwrap_or_default()
}

fn slowest(text: &mut String, report: &Report<'_>) {
    let took = |operation: &OperationReport<'_>| {
        operation.attempts.iter().map(|attempt| attempt.took_ms).sum::<u64>()
    };
    let mut slow: Vec<_> = report.operations.iter().map(|operation| (took(operation), operation)).collect();
    slow.retain(|(_, operation)| !operation.attempts.is_empty());
    slow.sort_by_key(|(took, operation)| (std::cmp::Reverse(*took), operation.op));
    if slow.is_empty() {
        return;
    }
    text.push_str("\n### Slowest operations\n\n| operation | type | state | took |\n|---|---|---|---:|\n");
    for (took, operation) in slow.iter().take(SLOWEST) {
        let (name, handler) = (inline(operation.shown()), inline(operation.handler_type));
        line(
            text,
            format_args!("| {name} | {handler} | {} | {} |", operation.state.label(), how_long(*took)),
        );
    }
}

fn inputs(text: &mut String, report: &Report<'_>) {
    if report.inputs.is_empty() {
        return;
    }
    text.push_str("\n### Inputs\n\n| input | value |\n|---|---|\n");
    for (name, value) in report.inputs.iter().take(MOST_INPUTS) {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        line(text, format_args!("| {} | {} |", inline(name), inline(&cut(&value, 200))));
    }
}

/// A text on one line in which no character has a meaning for Markdown.
fn inline(text: &str) -> String {
    let mut safe = String::new();
    for c in visible(&cut(text, MESSAGE)).chars() {
        // `@` and `#` would be references, a colon makes links
        if matches!(
            c,
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '+' | '!' | '|' | '~' | '$'
        ) {
            safe.push('\\');
        }
        match c {
            '@' => safe.push_str("&#64;"),
            ':' => safe.push_str("&#58;"),
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            _ => safe.push(c),
        }
    }
    safe.replace("www.", "www&#46;")
}

/// A text on one line as HTML.
fn html(text: &str) -> String {
    let safe = visible(&cut(text, MESSAGE)).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    safe.replace('@', "&#64;").replace("://", "&#58;//")
}

/// A text as code. In a table, it must have no vertical bar.
fn code(text: &str) -> String {
    let safe = visible(&cut(text, MESSAGE)).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let safe = safe.replace('@', "&#64;").replace('|', "&#124;").replace(':', "&#58;").replace('`', "&#96;");
    let quiet: String =
        safe.chars().flat_map(|c| if "*_[]\\~$!".contains(c) { vec!['\\', c] } else { vec![c] }).collect();
    format!("<code>{quiet}</code>")
}

fn line(text: &mut String, line: std::fmt::Arguments<'_>) {
    // writing to a string never fails
    writeln!(text, "{line}").ok();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stay_texts() {
        assert_eq!(inline("<b>|@me *x* [a](b)"), "&lt;b&gt;\\|&#64;me \\*x\\* \\[a\\]\\(b\\)");
        assert_eq!(inline("https://x.y\n# a"), "https&#58;//x.y⏎\\# a");
        assert_eq!(code("a`b|c"), "<code>a&#96;b&#124;c</code>");
        assert_eq!(longest_ticks(&["a```b".to_owned(), "`".to_owned()]), 3);
    }
}
