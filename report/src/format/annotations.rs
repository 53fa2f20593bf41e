//! GitHub workflow commands, which show failures beside the job that ran pop.

use crate::cut::{MESSAGE, cut};
use crate::model::{OperationState, Report};
use pop_contract::visible;

/// Most annotations: GitHub shows no more errors of one step.
const MOST: usize = 10;

/// One command line for each failure, and one for those beyond the number that GitHub shows.
pub fn annotations(report: &Report<'_>) -> String {
    let failures = report.failures();
    let most = if failures.len() > MOST { MOST - 1 } else { MOST };
    let mut lines = Vec::new();
    for failed in failures.iter().take(most) {
        let Some((_, failure)) = failed.failure() else { continue };
        let level = if failed.state == OperationState::Failed { "error" } else { "warning" };
        let title = format!("{}: {}", failed.shown(), failed.state.label());
        let repeat =
            failed.repeat_command.as_ref().map(|command| format!("\nrepeat: {command}")).unwrap_or_default();
        let message =
            format!("{} [{}; blame: {}]", cut(&failure.message, MESSAGE), failure.code, failure.blame);
        lines.push(format!(
            "::{level} title={}::{}\n",
            property(&title),
            data(&format!("{message}{repeat}"))
        ));
    }
    if let Some(more) = failures.len().checked_sub(most).filter(|more| *more > 0) {
        let message = format!("{more} more operations of run {} failed", report.run.name);
        lines.push(format!("::error title=More failures::{}\n", data(&message)));
    }
    lines.concat()
}

/// A text that cannot end the command or begin another one.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&visible(&cut(text, 200))).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_within_its_command() {
        assert_eq!(data("50%\n::error::x\r"), "50%25%0A::error::x%0D");
        assert_eq!(property("a:b,c\n::d"), "a%3Ab%2Cc⏎%3A%3Ad");
    }
}
