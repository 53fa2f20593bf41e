//! The log reporter: report lines for the launcher on standard output, and readable lines on the log.

use super::StatusReporter;
use pop_contract::{PROGRESS, PROGRESS_LOG, Progress, RESULT, RESULT_LOG};
use serde_json::Value;
use std::io::{self, Write};

/// Writes `pop.report.progress {…}` and `pop.report.payload {…}` to one stream, for programs. Writes POP's
/// `Progress: {…}` and `Payload: {…}` to another, for people and old tools.
#[derive(Debug)]
pub struct LogReporter<Out, Log> {
    out: Out,
    log: Log,
}

impl<Out: Write, Log: Write> LogReporter<Out, Log> {
    /// Creates a reporter that writes report lines to `out` and readable lines to `log`.
    pub fn new(out: Out, log: Log) -> Self {
        Self { out, log }
    }

    fn line(&mut self, name: &str, log_name: &str, json: &str) -> io::Result<()> {
        // one write per line, so that other writers of the stream cannot interrupt it
        let line = format!("{name} {json}\n");
        let outcome = self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush());
        let mut text = format!("{log_name}{json}\n");
        if let Err(error) = &outcome {
            text = format!("{text}WARN cannot write the report: {error}\n");
        }
        // an error of the log cannot be reported
        self.log.write_all(text.as_bytes()).ok();
        outcome
    }
}

impl<Out: Write, Log: Write> StatusReporter for LogReporter<Out, Log> {
    fn report(&mut self, progress: &Progress, result: Option<&Value>) -> io::Result<()> {
        let result = result.map_or(Ok(()), |result| self.line(RESULT, RESULT_LOG, &result.to_string()));
        let progress = self.line(PROGRESS, PROGRESS_LOG, &serde_json::to_string(progress)?);
        result.and(progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_contract::{ProcessingState, SUCCEEDED};
    use serde_json::json;

    #[test]
    fn result_precedes_the_final_progress_on_both_streams() {
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
    fn report_to_a_closed_stream_is_an_error_and_logged() {
        let (reader, closed) = io::pipe().unwrap();
        drop(reader);
        let mut log = Vec::new();
        let error =
            LogReporter::new(closed, &mut log).report(&Progress::default(), Some(&json!(1))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let log = String::from_utf8(log).unwrap();
        assert_eq!(log.matches("WARN cannot write the report").count(), 2, "{log}");
    }
}
