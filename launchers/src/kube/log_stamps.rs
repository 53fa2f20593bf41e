//! The timestamps before the lines of a pod's log. They are removed, and used to continue a log stream that broke off.

use k8s_openapi::jiff::Timestamp;

/// Longest timestamp in bytes, with the space after it.
const LONGEST_STAMP: usize = 40;

/// Removes the timestamps of a log. When a log that broke off is read again, skips the part read before: whole
/// lines, and the beginning of a line.
#[derive(Debug, Default)]
pub(super) struct TimestampFilter {
    /// The beginning of a line whose timestamp is incomplete.
    held: Vec<u8>,
    is_in_line: bool,
    /// Bytes of the current line to skip.
    left_out: usize,
    /// The timestamp of the last line, the number of consecutive lines with it, and the bytes passed on of the
    /// last one.
    last: Option<(Timestamp, usize, usize)>,
    /// Number of lines with that timestamp seen again, while the log is read again.
    again: Option<usize>,
}

impl TimestampFilter {
    /// Start time for a request that continues the log; the part read before comes again first.
    pub(super) fn since(&mut self) -> Option<Timestamp> {
        self.held.clear();
        self.is_in_line = false;
        let (stamp, count, _) = self.last?;
        self.again = Some(count);
        // servers handle fractions of a second differently
        Timestamp::from_second(stamp.as_second()).ok()
    }

    /// Takes a piece; passes new output to `rest`.
    pub(super) fn take(&mut self, piece: &[u8], rest: &mut impl FnMut(&[u8])) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let ends = part.last() == Some(&b'\n');
            if self.is_in_line {
                self.give(part, rest);
            } else {
                self.held.extend_from_slice(part);
                let space = self.held.iter().position(|byte| *byte == b' ');
                if space.is_some() || ends || self.held.len() > LONGEST_STAMP {
                    self.begin_line(space, rest);
                }
            }
            if ends {
                self.is_in_line = false;
            }
        }
    }

    fn begin_line(&mut self, space: Option<usize>, rest: &mut impl FnMut(&[u8])) {
        let held = std::mem::take(&mut self.held);
        let (stamp, line) = match space {
            Some(at) => (&held[..at], &held[at + 1..]),
            None => (held.trim_ascii_end(), &held[held.trim_ascii_end().len()..]),
        };
        let stamp = std::str::from_utf8(stamp).ok().and_then(|text| text.parse::<Timestamp>().ok());
        self.is_in_line = true;
        self.left_out = 0;
        // a line without a timestamp
        let Some(stamp) = stamp else { return rest(&held) };
        match (self.again, &mut self.last) {
            (Some(_), Some((last, _, _))) if stamp < *last => self.left_out = usize::MAX,
            (Some(again), Some((last, _, _))) if stamp == *last && again > 1 => {
                self.again = Some(again - 1);
                self.left_out = usize::MAX;
            }
            (Some(_), Some((last, _, given))) if stamp == *last => {
                self.again = None;
                self.left_out = *given;
            }
            (None, Some((last, count, given))) if stamp == *last => {
                *count += 1;
                *given = 0;
            }
            (_, last) => {
                self.again = None;
                *last = Some((stamp, 1, 0));
            }
        }
        self.give(line, rest);
    }

    /// Passes on the new part of a line.
    fn give(&mut self, part: &[u8], rest: &mut impl FnMut(&[u8])) {
        let known = self.left_out.min(part.len());
        if self.left_out < usize::MAX {
            self.left_out -= known;
        }
        let part = &part[known..];
        if !part.is_empty() {
            if let Some((_, _, given)) = &mut self.last {
                *given += part.len();
            }
            rest(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(timestamps: &mut TimestampFilter, text: &str, at: usize) -> String {
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(at) {
            timestamps.take(piece, &mut |rest| out.extend_from_slice(rest));
        }
        String::from_utf8(out).unwrap()
    }

    const LOG: &str = "2026-01-02T03:04:05.000000001Z one\n2026-01-02T03:04:05.000000002Z two words\n\
        2026-01-02T03:04:05.000000002Z three\n2026-01-02T03:04:05.000000003Z \n2026-01-02T03:04:06Z end";

    #[test]
    fn f67_timestamps_are_removed_for_any_cut() {
        for at in 1..LOG.len() {
            assert_eq!(
                read(&mut TimestampFilter::default(), LOG, at),
                "one\ntwo words\nthree\n\nend",
                "{at}"
            );
        }
    }

    #[test]
    fn f67_broken_log_continues_without_gap_or_repetition() {
        // also within a line, and twice
        for first in 0..LOG.len() {
            for second in [first, LOG.len() / 2, LOG.len()] {
                let mut timestamps = TimestampFilter::default();
                let mut all = read(&mut timestamps, &LOG[..first], 7);
                timestamps.since();
                all += &read(&mut timestamps, &LOG[..second], 5);
                timestamps.since();
                all += &read(&mut timestamps, LOG, 11);
                assert_eq!(all, "one\ntwo words\nthree\n\nend", "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn f67_line_with_an_older_timestamp_is_ordinary() {
        let text = "2026-01-02T03:04:06Z later\n2026-01-02T03:04:05Z earlier\n";
        assert_eq!(read(&mut TimestampFilter::default(), text, 3), "later\nearlier\n");
    }

    #[test]
    fn log_without_timestamps_is_unchanged() {
        let text = format!("plain\n{}\n", "x".repeat(100));
        assert_eq!(read(&mut TimestampFilter::default(), &text, 9), text);
    }
}
