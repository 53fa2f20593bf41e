//! The last lines of a log as a failure shows them: bounded in number and length.

use memchr::memchr2;
use pop_contract::{PROGRESS_LOG, RESULT_LOG};
use std::collections::VecDeque;

/// Number of last lines that a failure shows.
pub const LOG_TAIL_LINES: usize = 10;
/// Bytes shown of the beginning of a long line, and again of its end.
const HALF: usize = 500;

/// The last lines of a stream that are neither blank nor reports of the toolkit, however the stream is cut into pieces.
///
/// A program that draws progress on one line returns the carriage before each frame. Of such a line the last
/// frame that is not blank counts.
#[derive(Debug, Default)]
pub(crate) struct LastLines {
    lines: VecDeque<String>,
    frame: Frame,
    /// The last frame of the current line before `frame`.
    earlier: Frame,
    /// Whether the last byte was a carriage return.
    is_returned: bool,
}

/// The text since the start of the line, or since the last carriage return.
#[derive(Debug, Default)]
struct Frame {
    head: Vec<u8>,
    /// The text after `head`; only its last bytes count.
    tail: Vec<u8>,
    length: usize,
    has_ink: bool,
}

impl LastLines {
    /// Adds a piece of the stream.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = memchr2(b'\n', b'\r', bytes).unwrap_or(bytes.len());
            let (text, rest) = bytes.split_at(end);
            if !text.is_empty() {
                self.print(text);
            }
            let Some((control, rest)) = rest.split_first() else { return };
            if *control == b'\n' {
                self.end_line();
            } else {
                self.is_returned = true;
            }
            bytes = rest;
        }
    }

    fn print(&mut self, text: &[u8]) {
        if std::mem::take(&mut self.is_returned) {
            if self.frame.has_ink {
                std::mem::swap(&mut self.frame, &mut self.earlier);
            }
            self.frame.clear();
        }
        self.frame.push(text);
    }

    fn end_line(&mut self) {
        self.is_returned = false;
        let shown = if self.frame.has_ink { &self.frame } else { &self.earlier };
        if shown.has_ink && !shown.is_report() {
            if self.lines.len() == LOG_TAIL_LINES {
                self.lines.pop_front();
            }
            self.lines.push_back(shown.text());
        }
        self.frame.clear();
        self.earlier.clear();
    }

    /// The last lines; the final line needs no newline.
    pub(crate) fn finish(mut self) -> Vec<String> {
        self.end_line();
        self.lines.into()
    }
}

impl Frame {
    fn push(&mut self, text: &[u8]) {
        self.has_ink = self.has_ink || text.iter().any(|byte| !byte.is_ascii_whitespace());
        self.length += text.len();
        let (head, tail) = text.split_at(text.len().min(HALF - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend_from_slice(&tail[tail.len().saturating_sub(HALF)..]);
        // trimmed rarely, so that each byte moves only a few times
        if self.tail.len() > 4 * HALF {
            self.tail.drain(..self.tail.len() - HALF);
        }
    }

    fn clear(&mut self) {
        self.head.clear();
        self.tail.clear();
        (self.length, self.has_ink) = (0, false);
    }

    /// Whether a toolkit handler repeats a report in this line for people. The failure has the reports already.
    fn is_report(&self) -> bool {
        let is_json = |name: &str| {
            let json = self.head.strip_prefix(name.as_bytes()).and_then(<[u8]>::first);
            json.is_some_and(|first| b"{[\"".contains(first))
        };
        is_json(PROGRESS_LOG) || is_json(RESULT_LOG)
    }

    fn text(&self) -> String {
        if self.length <= 2 * HALF {
            return String::from_utf8_lossy(&[self.head.as_slice(), &self.tail].concat()).into_owned();
        }
        let tail = &self.tail[self.tail.len() - HALF..];
        // a cut may go through a character
        let cut = self.head.iter().rposition(|byte| !is_continuation(*byte)).unwrap_or_default();
        let head = if self.head[cut].is_ascii() { &self.head[..] } else { &self.head[..cut] };
        let skipped = tail.iter().take_while(|byte| is_continuation(**byte)).count();
        format!("{} … {}", String::from_utf8_lossy(head), String::from_utf8_lossy(&tail[skipped..]))
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0b1100_0000 == 0b1000_0000
}

/// The last lines of captured output and of the log beside it, which holds the errors. Each gets at least half
/// of the lines.
pub(crate) fn merged(captured: &[String], log: &[String]) -> Vec<String> {
    let for_log = log.len().min(LOG_TAIL_LINES - captured.len().min(LOG_TAIL_LINES / 2));
    let for_captured = captured.len().min(LOG_TAIL_LINES - for_log);
    let ends = [&captured[captured.len() - for_captured..], &log[log.len() - for_log..]];
    ends.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(pieces: &[&[u8]]) -> Vec<String> {
        let mut lines = LastLines::default();
        for piece in pieces {
            lines.take(piece);
        }
        lines.finish()
    }

    #[test]
    fn fr_b3_a_line_shows_its_last_frame() {
        let mut text: Vec<u8> = (1..=400).flat_map(|n| format!("\r{n} of 400").into_bytes()).collect();
        text.extend_from_slice(b"\rcannot write: disk full\nnext\r\n\r50%\r    \n");
        assert_eq!(last(&[&text]), ["cannot write: disk full", "next", "50%"]);
        assert_eq!(last(&[b"10%\r20%\r30%"]), ["30%"]);
        assert_eq!(last(&[b"10%\r20%\r"]), ["20%"]);
    }

    #[test]
    fn fr_b3_a_long_line_keeps_head_and_tail() {
        let line = format!("begin é{}é the end\n", "ä".repeat(3_000));
        let shown = &last(&[line.as_bytes()])[0];
        assert!(shown.starts_with("begin éä") && shown.ends_with("äé the end"), "{shown}");
        assert!(shown.contains("ä … ä") && shown.len() <= 2 * HALF + 5, "{shown}");
    }

    #[test]
    fn fr_g6_reports_in_the_log_are_no_last_lines() {
        let text =
            b"Traceback (most recent call last):\n  File \"a.py\", line 2\nKeyError: 'w'\nINFO Payload: {}\n\
            INFO Progress: {\"processingState\":\"COMPLETE\"}\n";
        assert_eq!(
            last(&[text]),
            ["Traceback (most recent call last):", "  File \"a.py\", line 2", "KeyError: 'w'"]
        );
        let own = b"INFO Payload: none\nINFO Progress: 40 %\n";
        assert_eq!(last(&[own]), ["INFO Payload: none", "INFO Progress: 40 %"]);
    }

    #[test]
    fn last_lines_are_independent_of_cuts() {
        let long = "é".repeat(700);
        let text = format!("a\r\nb\rc\r\n\r\n{long}\n\r\r{long}\rd\n caf\u{e9}\n{}\r \n", "x\n".repeat(5));
        let whole = last(&[text.as_bytes()]);
        for cut in 0..text.len() {
            let (left, right) = text.as_bytes().split_at(cut);
            assert_eq!(last(&[left, right]), whole, "cut at {cut}");
        }
        assert_eq!(last(&text.as_bytes().chunks(1).collect::<Vec<_>>()), whole);
    }

    #[test]
    fn captured_output_leaves_lines_for_errors() {
        let lines = |name: &str, count| (0..count).map(|n| format!("{name}{n}")).collect::<Vec<_>>();
        for (captured, log, first, count) in
            [(20, 20, "c15", 10), (20, 2, "c12", 10), (2, 20, "c0", 10), (1, 1, "c0", 2)]
        {
            let merged = merged(
                &lines("c", captured).split_off(captured.max(10) - 10),
                &lines("l", log).split_off(log.max(10) - 10),
            );
            assert_eq!((merged[0].as_str(), merged.len()), (first, count));
        }
        assert_eq!(merged(&[], &lines("l", 10)), lines("l", 10));
        assert_eq!(merged(&lines("c", 10), &[]), lines("c", 10));
    }
}
