//! The log reporter: report lines for the launcher on standard output, the same in words on the log.

use super::StatusReporter;
use pop_contract::{PROGRESS, Progress, RESULT};
use serde_json::Value;
use std::io::{self, Write};

/// Reports by lines: `pop.report.progress {…}` and `pop.report.payload {…}` on one stream, for programs; POP's
/// `Progress: {…}` and `Payload: {…}` on another, for people and old tools.
#[derive(Debug)]
pub struct LogReporter<Out, Log> {
    out: Out,
    log: Log,
}

impl<Out: Write, Log: Write> LogReporter<Out, Log> {
    /// A reporter that writes report lines to `out` and readable lines to `log`.
    pub fn new(out: Out, log: Log) -> Self {
        Self { out, log }
    }

    fn line(&mut self, name: &str, word: &str, json: &str) -> io::Result<()> {
        // one write a line: other writers of the same stream cannot come in between
        let line = format!("{name} {json}\n");
        let told = self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush());
        let mut words = format!("INFO {word}: {json}\n");
        if let Err(error) = &told {
            words = format!("{words}WARN the report could not be written: {error}\n");
        }
        // when the log is gone too, nobody is left to tell
        self.log.write_all(words.as_bytes()).ok();
        told
    }
}

impl<Out: Write, Log: Write> StatusReporter for LogReporter<Out, Log> {
    fn report(&mut self, progress: &Progress, result: Option<&Value>) -> io::Result<()> {
        let result = result.map_or(Ok(()), |result| self.line(RESULT, "Payload", &result.to_string()));
        let progress = self.line(PROGRESS, "Progress", &serde_json::to_string(progress)?);
        result.and(progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_contract::{ProcessingState, SUCCEEDED};
    use serde_json::json;

    #[test]
    fn p4_the_result_comes_before_the_final_progress_on_both_streams() {
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let progress = Progress {
            processing_state: Some(ProcessingState::Complete),
            processing_state_message: Some(SUCCEEDED.to_owned()),
            percent_complete: Some(100.0),
            ..Progress::default()
        };
        LogReporter::new(&mut out, &mut log).report(&progress, Some(&json!({"w": 1}))).unwrap();
        let json =
            r#"{"processingState":"COMPLETE","processingStateMessage":"succeeded","percentComplete":100.0}"#;
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, format!("pop.report.payload {{\"w\":1}}\npop.report.progress {json}\n"));
        let log = String::from_utf8(log).unwrap();
        assert_eq!(log, format!("INFO Payload: {{\"w\":1}}\nINFO Progress: {json}\n"));
    }

    #[test]
    fn a_report_that_nobody_takes_is_an_error_and_stands_in_the_log() {
        let (reader, gone) = io::pipe().unwrap();
        drop(reader);
        let mut log = Vec::new();
        let error =
            LogReporter::new(gone, &mut log).report(&Progress::default(), Some(&json!(1))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let log = String::from_utf8(log).unwrap();
        assert_eq!(log.matches("WARN the report could not be written").count(), 2, "{log}");
    }
}
