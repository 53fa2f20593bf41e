//! Report lines in a program's output: separates them from log output, parses them and limits their size.

use crate::Mask;
use crate::bounded::append;
use memchr::memchr;
use pop_contract::{
    FAILED, FinalReport, PENDING, PROGRESS, PROGRESS_LIMIT, Progress, REPORT_LINE_LIMIT, RESULT, SUCCEEDED,
    TOO_LARGE, read_value,
};
use serde_json::Value;

/// A result above this size (bytes) is parsed at the end of the launch, off the event loop.
const LARGE: usize = 256 * 1024;

/// Splits a stream into report lines and other output, however it is cut into pieces.
///
/// A report line begins with the name of one of the two annotations and a space. Only such lines are held in
/// memory.
#[derive(Debug, Default)]
pub struct ReportLines {
    /// The beginning of a line that is, or may become, a report.
    held: Vec<u8>,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the start of a line, or within the common prefix of report lines.
    #[default]
    Undecided,
    /// Within a report line.
    Report,
    /// Within a report line that is too long: the rest of it is dropped.
    TooLong,
    /// Within a line of other output.
    Rest,
}

/// Common prefix of all report lines.
pub(crate) const REPORT_STEM: &[u8] = b"pop.report.";

/// Whether a line may be a report, as far as its beginning shows.
fn begins_like_report(line: &[u8]) -> bool {
    let known = line.len().min(REPORT_STEM.len());
    line[..known] == REPORT_STEM[..known]
}

impl ReportLines {
    /// Takes a piece of the stream: reports go to `reports`, all other output to `rest`.
    pub fn take(&mut self, piece: &[u8], reports: &mut ReportState, rest: &mut impl FnMut(&[u8])) {
        // lines that are no reports are passed on together
        let (mut from, mut at) = (0, 0);
        while at < piece.len() {
            let line_end = memchr(b'\n', &piece[at..]);
            let end = line_end.map_or(piece.len(), |length| at + length + 1);
            let part = &piece[at..end];
            let is_begun = self.state != State::Undecided || !self.held.is_empty();
            if self.state == State::Rest || (!is_begun && !begins_like_report(part)) {
                self.state = if line_end.is_some() { State::Undecided } else { State::Rest };
            } else {
                if from < at {
                    rest(&piece[from..at]);
                }
                self.part(part, line_end.is_some(), reports, rest);
                from = end;
            }
            at = end;
        }
        if from < piece.len() {
            rest(&piece[from..]);
        }
    }

    /// Ends the stream; the final line needs no newline.
    pub fn finish(&mut self, reports: &mut ReportState, rest: &mut impl FnMut(&[u8])) {
        self.end_line(reports, rest);
    }

    fn part(&mut self, part: &[u8], ends: bool, reports: &mut ReportState, rest: &mut impl FnMut(&[u8])) {
        match self.state {
            State::Rest => rest(part),
            State::TooLong => {}
            State::Undecided | State::Report => {
                append(&mut self.held, part, REPORT_LINE_LIMIT + 1);
                self.decide(rest);
            }
        }
        if ends {
            self.end_line(reports, rest);
        }
    }

    fn decide(&mut self, rest: &mut impl FnMut(&[u8])) {
        if self.state == State::Undecided {
            if !begins_like_report(&self.held) {
                rest(&self.held);
                self.held.clear();
                self.state = State::Rest;
            } else if self.held.len() >= REPORT_STEM.len() {
                self.state = State::Report;
            }
        }
        if self.state == State::Report && self.held.len() > REPORT_LINE_LIMIT {
            self.held = Vec::new();
            self.state = State::TooLong;
        }
    }

    fn end_line(&mut self, reports: &mut ReportState, rest: &mut impl FnMut(&[u8])) {
        match std::mem::take(&mut self.state) {
            State::TooLong => {
                reports.said.is_too_large = true;
                reports.breach(format!("a report line is longer than {REPORT_LINE_LIMIT} bytes"));
            }
            State::Report if reports.line(&mut self.held) => {}
            _ => rest(&self.held),
        }
        self.held.clear();
    }
}

/// The annotations of a pod.
#[derive(Debug, Default)]
struct PodAnnotations {
    progress: Option<Progress>,
    result: Option<Value>,
    /// The annotation texts of the last reading.
    texts: [Option<String>; 2],
}

/// The reports of a program so far. Reports are parsed first; then secrets in their values are hidden.
#[derive(Debug, Default)]
pub struct ReportState {
    said: FinalReport,
    mask: Mask,
    /// The text of a large result that is not parsed yet.
    large: Option<Vec<u8>>,
    annotated: PodAnnotations,
    /// Whether progress changed since it was last sent.
    is_news: bool,
    percent: f64,
}

impl ReportState {
    /// Reports with these values hidden.
    pub fn masked(mask: Mask) -> Self {
        Self { mask, ..Self::default() }
    }

    /// Takes a line that begins like a report; false if it is not one. Moves the text of a result out of the line.
    fn line(&mut self, line: &mut Vec<u8>) -> bool {
        let text = line.trim_ascii_end();
        let after = |name: &str| text.strip_prefix(name.as_bytes())?.strip_prefix(b" ");
        if let Some(json) = after(PROGRESS) {
            if json.len() > PROGRESS_LIMIT {
                self.breach(format!("`{PROGRESS}` is longer than {PROGRESS_LIMIT} bytes"));
                return true;
            }
            match serde_json::from_slice(json) {
                Ok(progress) => self.progress(progress),
                Err(error) => self.breach(format!("`{PROGRESS}` is not a valid progress: {error}")),
            }
        } else if after(RESULT).is_some() {
            let end = text.len();
            let mut text = std::mem::take(line);
            text.truncate(end);
            text.drain(..=RESULT.len());
            self.result_text(text);
        } else {
            return false;
        }
        true
    }

    /// Takes a progress, from a line or from a handler in this process.
    pub fn progress(&mut self, mut progress: Progress) {
        hide(&self.mask, &mut progress);
        if self.said.progress.as_ref().is_some_and(Progress::is_final) {
            if progress.is_final() && self.said.progress.as_ref() != Some(&progress) {
                self.breach(format!("`{PROGRESS}` reported COMPLETE twice"));
            }
            return;
        }
        self.raise(&mut progress);
        self.said.progress = Some(progress);
    }

    /// Prevents the percentage from falling.
    fn raise(&mut self, progress: &mut Progress) {
        self.percent = progress.percent_after(self.percent);
        if progress.percent_complete.is_some() {
            progress.percent_complete = Some(self.percent);
        }
        self.is_news = true;
    }

    fn result_text(&mut self, text: Vec<u8>) {
        if self.large.as_ref() == Some(&text) {
            return;
        }
        self.settle();
        if text.len() > LARGE && self.said.result.is_none() {
            self.large = Some(text);
        } else {
            self.parse(text);
        }
    }

    /// Whether a result waits for parsing, which takes a while.
    pub fn is_large(&self) -> bool {
        self.large.is_some()
    }

    fn settle(&mut self) {
        if let Some(text) = self.large.take() {
            self.parse(text);
        }
    }

    fn parse(&mut self, text: Vec<u8>) {
        match read_value(text) {
            Ok(result) => self.result(result),
            Err(error) => {
                self.said.is_too_large |= error.code == TOO_LARGE;
                self.breach(format!("`{RESULT}` cannot be read: {error}"));
            }
        }
    }

    /// Takes a result, from a line or from a handler in this process.
    pub fn result(&mut self, mut result: Value) {
        self.mask.value(&mut result);
        if self.said.result.as_ref().is_some_and(|earlier| *earlier != result) {
            self.breach(format!("`{RESULT}` was reported twice with different values"));
            return;
        }
        self.said.result = Some(result);
    }

    /// Records a breach of the contract; stops recording after a few.
    pub fn breach(&mut self, sentence: String) {
        if self.said.breaches.len() < 4 {
            self.said.breaches.push(sentence);
        }
    }

    /// Whether there is progress that has not been sent.
    pub fn has_news(&self) -> bool {
        self.is_news
    }

    /// The last progress, if it has not been sent.
    pub fn take_news(&mut self) -> Option<Progress> {
        if !std::mem::take(&mut self.is_news) {
            return None;
        }
        self.annotated.progress.as_ref().or(self.said.progress.as_ref()).cloned()
    }

    /// Takes the current annotations of the program's pod. They override report lines.
    pub fn annotate(&mut self, progress: Option<String>, result: Option<String>) {
        if progress.is_some() && progress != self.annotated.texts[0] {
            let text = progress.as_deref().unwrap_or_default();
            match serde_json::from_str::<Progress>(text) {
                Ok(mut progress) => {
                    hide(&self.mask, &mut progress);
                    self.raise(&mut progress);
                    self.annotated.progress = Some(progress);
                }
                Err(error) => {
                    self.breach(format!("annotation `{PROGRESS}` is not a valid progress: {error}"));
                }
            }
            self.annotated.texts[0] = progress;
        }
        if result.is_some() && result != self.annotated.texts[1] {
            match read_value(result.clone().unwrap_or_default().into_bytes()) {
                Ok(mut value) => {
                    self.mask.value(&mut value);
                    self.annotated.result = Some(value);
                }
                Err(error) => self.breach(format!("annotation `{RESULT}` cannot be read: {error}")),
            }
            self.annotated.texts[1] = result;
        }
    }

    /// Whether success was reported.
    pub fn is_succeeded(&self) -> bool {
        let progress = self.annotated.progress.as_ref().or(self.said.progress.as_ref());
        progress.is_some_and(Progress::is_succeeded)
    }

    /// All reports.
    pub fn into_said(mut self) -> FinalReport {
        self.settle();
        let PodAnnotations { progress, result, .. } = self.annotated;
        FinalReport {
            progress: progress.or(self.said.progress),
            result: result.or(self.said.result),
            ..self.said
        }
    }
}

/// Hides secrets in the strings of a progress. The words of the contract are not hidden, because they decide how the
/// attempt ended.
fn hide(mask: &Mask, progress: &mut Progress) {
    if mask.is_empty() {
        return;
    }
    let hide = |text: &mut Option<String>| {
        if let Some(text) = text {
            *text = mask.text(text).into_owned();
        }
    };
    hide(&mut progress.id);
    hide(&mut progress.operation);
    let is_word =
        |text: &String| [SUCCEEDED, FAILED, PENDING].iter().any(|word| text.eq_ignore_ascii_case(word));
    if !progress.processing_state_message.as_ref().is_some_and(is_word) {
        hide(&mut progress.processing_state_message);
    }
    for event in &mut progress.diagnostic_events {
        event.message = mask.text(&event.message).into_owned();
        hide(&mut event.stack_trace);
        if let Some(payload) = &mut event.payload {
            mask.value(payload);
        }
    }
    if let Some(params) = progress.params.take() {
        let mut params = Value::Object(params);
        mask.value(&mut params);
        if let Value::Object(params) = params {
            progress.params = Some(params);
        }
    }
}

#[cfg(test)]
mod tests;
