//! The time stamps before the lines of a pod's log: taken off, and used to go on where a log broke off.

use k8s_openapi::jiff::Timestamp;

/// The longest time stamp, with the space behind it.
const LONGEST_STAMP: usize = 40;

/// Takes the time stamps off a log. After it broke off and is read again, leaves out what was read before: whole lines,
/// and the beginning of a line in which it broke off.
#[derive(Debug, Default)]
pub(super) struct Stamped {
    /// The beginning of a line whose stamp is not whole yet.
    held: Vec<u8>,
    is_in_line: bool,
    /// How many bytes of the line are to be left out.
    left_out: usize,
    /// The stamp of the last line, how many lines in a row bear it, and how many bytes of the last were given.
    last: Option<(Timestamp, usize, usize)>,
    /// How many lines with that stamp come again, while what was read before comes again.
    again: Option<usize>,
}

impl Stamped {
    /// From when on a log is to be asked for that goes on where this one broke off; what was read comes again first.
    pub(super) fn since(&mut self) -> Option<Timestamp> {
        self.held.clear();
        self.is_in_line = false;
        let (stamp, count, _) = self.last?;
        self.again = Some(count);
        // servers differ in what they make of a part of a second
        Timestamp::from_second(stamp.as_second()).ok()
    }

    /// Takes a piece; what is to be read goes to `rest`.
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
        // without a stamp it is all line
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

    /// Gives a part of a line, but for what was given before.
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

    fn read(stamped: &mut Stamped, text: &str, at: usize) -> String {
        let mut out = Vec::new();
        for piece in text.as_bytes().chunks(at) {
            stamped.take(piece, &mut |rest| out.extend_from_slice(rest));
        }
        String::from_utf8(out).unwrap()
    }

    const LOG: &str = "2026-01-02T03:04:05.000000001Z one\n2026-01-02T03:04:05.000000002Z two words\n\
        2026-01-02T03:04:05.000000002Z three\n2026-01-02T03:04:05.000000003Z \n2026-01-02T03:04:06Z end";

    #[test]
    fn f67_time_stamps_are_taken_off_however_the_log_is_cut() {
        for at in 1..LOG.len() {
            assert_eq!(read(&mut Stamped::default(), LOG, at), "one\ntwo words\nthree\n\nend", "{at}");
        }
    }

    #[test]
    fn f67_a_log_that_broke_off_goes_on_without_a_line_twice_or_missing() {
        // within a line too, and twice
        for first in 0..LOG.len() {
            for second in [first, LOG.len() / 2, LOG.len()] {
                let mut stamped = Stamped::default();
                let mut all = read(&mut stamped, &LOG[..first], 7);
                stamped.since();
                all += &read(&mut stamped, &LOG[..second], 5);
                stamped.since();
                all += &read(&mut stamped, LOG, 11);
                assert_eq!(all, "one\ntwo words\nthree\n\nend", "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn f67_a_line_with_an_older_stamp_is_a_line_like_others() {
        let text = "2026-01-02T03:04:06Z later\n2026-01-02T03:04:05Z earlier\n";
        assert_eq!(read(&mut Stamped::default(), text, 3), "later\nearlier\n");
    }

    #[test]
    fn a_log_without_time_stamps_is_read_as_it_is() {
        let text = format!("plain\n{}\n", "x".repeat(100));
        assert_eq!(read(&mut Stamped::default(), &text, 9), text);
    }
}
