//! The record of one launch.

use pop_contract::{
    Description, Exit, Failure, FinalReport, HANDLER_COMPLETE, PROGRESS, PROGRESS_LIMIT, Progress,
    REPORT_LINE_LIMIT, RESULT, judge, read_json,
};
use serde_json::Value;
use std::time::Duration;

/// Longest text shown in a message, in bytes.
const SHOWN: usize = 200;

/// The record of one launch.
#[derive(Debug, Clone)]
pub(crate) struct LaunchRecord {
    /// How it ended, or why it could not be started.
    pub(crate) exit: Result<Exit, Box<Failure>>,
    /// The limit that it exceeded, if it had to be killed.
    pub(crate) late: Option<Duration>,
    /// Whether it received SIGTERM before it ended.
    pub(crate) was_asked: bool,
    /// Every progress report, in order.
    pub(crate) progress: Vec<Progress>,
    /// Its final reports; breaches are in `faults`.
    pub(crate) said: FinalReport,
    /// Faults in its report lines.
    pub(crate) faults: Vec<String>,
    /// The last lines of its log.
    pub(crate) log: Vec<String>,
    /// The description that it printed, if one was expected.
    pub(crate) described: Result<Description, String>,
    /// Whether it printed nothing except report lines.
    pub(crate) is_silent: bool,
    /// Number of processes that it left behind.
    pub(crate) left: usize,
}

impl Default for LaunchRecord {
    fn default() -> Self {
        Self {
            exit: Ok(Exit::Code(0)),
            late: None,
            was_asked: false,
            progress: Vec::new(),
            said: FinalReport::default(),
            faults: Vec::new(),
            log: Vec::new(),
            described: Ok(Description::default()),
            is_silent: true,
            left: 0,
        }
    }
}

impl LaunchRecord {
    /// Evaluates the whole standard output.
    pub(crate) fn read(&mut self, stdout: &[u8]) {
        for line in stdout.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end) {
            let after = |name: &str| line.strip_prefix(name.as_bytes())?.strip_prefix(b" ");
            if let Some(json) = after(PROGRESS) {
                self.progress_line(json);
            } else if let Some(json) = after(RESULT) {
                self.result_line(json);
            } else if !line.is_empty() {
                self.is_silent = false;
            }
        }
        // the first final report counts, otherwise the last report
        let counts = self.progress.iter().find(|progress| progress.is_final()).or(self.progress.last());
        self.said.progress = counts.cloned();
    }

    fn progress_line(&mut self, json: &[u8]) {
        if json.len() > PROGRESS_LIMIT {
            self.faults.push(format!("a progress of {} bytes", json.len()));
        }
        match serde_json::from_slice(json) {
            Ok(progress) => self.progress.push(progress),
            Err(error) => self.faults.push(format!("`{PROGRESS} {}`: {error}", shown(json))),
        }
    }

    fn result_line(&mut self, json: &[u8]) {
        if json.len() > REPORT_LINE_LIMIT {
            self.faults.push(format!("a result of {} bytes", json.len()));
        }
        match read_json(json) {
            Err(error) => self.faults.push(format!("`{RESULT} {}`: {error}", shown(json))),
            Ok(result) if self.said.result.as_ref().is_some_and(|earlier| *earlier != result) => {
                self.faults.push("two results that differ".to_owned());
            }
            Ok(result) => self.said.result = Some(result),
        }
    }

    /// Whether it printed a report line.
    pub(crate) fn has_reports(&self) -> bool {
        self.said.progress.is_some() || self.said.result.is_some() || !self.faults.is_empty()
    }

    /// Whether the handler explained its end, by a final report or in its log.
    pub(crate) fn explains_end(&self) -> bool {
        !self.is_silent || self.said.progress.as_ref().is_some_and(Progress::is_final)
    }

    /// The attempt as pop would judge it, except for faulty report lines.
    pub(crate) fn judged(&self) -> Result<Value, String> {
        match &self.exit {
            Ok(exit) => judge(*exit, &[], self.said.clone()).map_err(|failure| failure.message),
            Err(failure) => Err(failure.message.clone()),
        }
    }

    /// How it ended, as text.
    pub(crate) fn ending(&self) -> String {
        let mut words = match &self.exit {
            Ok(exit) => exit.to_string(),
            Err(failure) => failure.message.clone(),
        };
        if let Some(report) = self.said.progress.as_ref().filter(|progress| progress.is_final()) {
            let word = report.processing_state_message.as_deref().unwrap_or_default();
            words.push_str(&format_args!(", reported `{}`", shown(word.as_bytes())).to_string());
            if let Some(event) = report.diagnostic_events.first() {
                words.push_str(&format_args!(": {}", shown(event.message.as_bytes())).to_string());
            }
        }
        // the end marker tells nothing
        if let Some(last) = self.log.iter().rfind(|line| !line.ends_with(HANDLER_COMPLETE)) {
            words.push_str(&format_args!("; its log ends with `{}`", shown(last.as_bytes())).to_string());
        }
        words
    }
}

/// The part of a text that messages show.
pub(crate) fn shown(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut letters = text.chars();
    let mut short: String = letters.by_ref().take(SHOWN).collect();
    if letters.next().is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(stdout: &str) -> LaunchRecord {
        let mut seen = LaunchRecord::default();
        seen.read(stdout.as_bytes());
        seen
    }

    #[test]
    fn reports_are_recorded_as_printed() {
        let seen = read(
            "log\npop.report.progress {\"percentComplete\":120}\r\npop.report.progress {\"percentComplete\":-1}\n\
             pop.report.progress {\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"succeeded\"}\n\
             pop.report.progress {\"processingState\":\"COMPLETE\"}\npop.report.payload 7",
        );
        let percents: Vec<_> =
            seen.progress.iter().filter_map(|progress| progress.percent_complete).collect();
        assert_eq!(percents, [120.0, -1.0]);
        assert_eq!((seen.judged(), seen.faults.len()), (Ok(json!(7)), 0));
    }

    #[test]
    fn faulty_report_lines_are_recorded() {
        for (line, words) in [
            ("pop.report.progress {", "EOF while parsing"),
            ("pop.report.progress {\"percentComplete\":\"7\"}", "invalid type"),
            ("pop.report.payload no", "this is not JSON"),
            ("pop.report.payload {\"a\":1,\"a\":1}", "duplicate key `a`"),
            ("pop.report.payload 1\npop.report.payload 2", "two results that differ"),
        ] {
            let seen = read(line);
            assert!(seen.faults[0].contains(words), "{:?}", seen.faults);
        }
        let long = format!("pop.report.progress {{\"processingStateMessage\":\"{}\"}}", "x".repeat(65_536));
        assert!(read(&long).faults[0].starts_with("a progress of"));
        assert!(!read("pop.report.progress{}\n pop.report.payload 1\npop.report.other 1").has_reports());
    }
}
