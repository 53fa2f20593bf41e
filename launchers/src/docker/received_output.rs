//! The received output of a container, stored as length and digest, so that reading can continue at the same place of
//! the Engine's log, or fails if the log differs. *Guarantees.* Output continued from a log follows byte for byte what
//! was received before. *Limits.* dockerd's `json-file` log has a replacement character for each byte that is not
//! UTF-8. After that place such bytes are detected, not restored.

use crate::port::Stream;
use crate::report_lines::REPORT_STEM;
use hyper::body::Bytes;
use std::cell::LazyCell;

/// Replacement of each byte that is not UTF-8 in a JSON log.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
/// Longest line that a JSON log holds as one message, in bytes.
const MESSAGE: usize = 16 * 1024;
/// Bytes of the end that are compared if the beginning is lost.
const TAIL: usize = 4 * 1024;

/// The received output of both streams.
#[derive(Debug, Default)]
pub(super) struct ReceivedOutput {
    streams: [ReceivedStream; 2],
}

/// The received output of one stream: as printed, and as a JSON log holds it.
#[derive(Debug, Default)]
struct ReceivedStream {
    printed: Digest,
    logged: Digest,
    /// The beginning of an incomplete character.
    pending: Vec<u8>,
    /// Bytes in the current message of the log.
    message: usize,
    tail: Tail,
}

/// A length, and a digest of that many bytes.
#[derive(Debug, Default, Clone)]
struct Digest {
    length: u64,
    hash: Box<blake3::Hasher>,
}

/// The last bytes of a stream.
#[derive(Debug, Default, Clone)]
struct Tail(Vec<u8>);

impl ReceivedOutput {
    /// Adds received bytes.
    pub(super) fn add(&mut self, stream: Stream, bytes: &[u8]) {
        self.streams[index(stream)].add(bytes);
    }

    /// Number of bytes received of a stream.
    pub(super) fn length(&self, stream: Stream) -> u64 {
        self.streams[index(stream)].printed.length
    }
}

fn index(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}

impl ReceivedStream {
    fn add(&mut self, bytes: &[u8]) {
        self.printed.add(bytes);
        self.tail.add(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = MESSAGE - self.message;
            let end = memchr::memchr(b'\n', &rest[..rest.len().min(room)]).map(|at| at + 1);
            let part = &rest[..end.unwrap_or(rest.len().min(room))];
            rest = &rest[part.len()..];
            self.message += part.len();
            self.log(part);
            if end.is_some() || self.message == MESSAGE {
                self.end_message();
            }
        }
    }

    /// Adds a part of a message to the form that a JSON log holds.
    fn log(&mut self, part: &[u8]) {
        let mut bytes = std::mem::take(&mut self.pending);
        bytes.extend_from_slice(part);
        let whole = bytes.len() - begun(&bytes);
        for chunk in bytes[..whole].utf8_chunks() {
            self.logged.add(chunk.valid().as_bytes());
            chunk.invalid().iter().for_each(|_| self.logged.add(REPLACEMENT));
        }
        self.pending = bytes.split_off(whole);
    }

    fn end_message(&mut self) {
        self.message = 0;
        for _ in std::mem::take(&mut self.pending) {
            self.logged.add(REPLACEMENT);
        }
    }

    /// The form that a JSON log holds if the current message ends here.
    fn logged_to_end(&self) -> Digest {
        let mut logged = self.logged.clone();
        self.pending.iter().for_each(|_| logged.add(REPLACEMENT));
        logged
    }
}

/// Number of bytes at the end that begin an incomplete character.
fn begun(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    (from..bytes.len())
        .find(|at| {
            std::str::from_utf8(&bytes[*at..])
                .is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
        })
        .map_or(0, |at| bytes.len() - at)
}

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        self.length += bytes.len() as u64;
        self.hash.update(bytes);
    }

    fn is_like(&self, other: &Self) -> bool {
        self.length == other.length && self.hash.finalize() == other.hash.finalize()
    }
}

impl Tail {
    fn add(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        if self.0.len() > 2 * TAIL {
            self.0.drain(..self.0.len() - TAIL);
        }
    }

    /// Whether both ends are equal, as far as both are known; ignores bytes that a log may replace.
    fn is_like(&self, other: &Self) -> bool {
        let plain = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().filter(u8::is_ascii).collect() };
        let (one, other) = (plain(&self.0), plain(&other.0));
        let length = one.len().min(other.len());
        one[one.len() - length..] == other[other.len() - length..]
    }
}

/// One reading of a log from its beginning, which skips output received before.
#[derive(Debug)]
pub(super) struct LogReading {
    streams: [Place; 2],
    /// Whether the log holds the printed bytes: known for some Engines, else detected at the first difference.
    is_faithful: bool,
}

#[derive(Debug)]
struct Place {
    read: Digest,
    tail: Tail,
    progress: Progress,
    /// The beginning of the current line, long enough to recognise a report.
    line_start: Vec<u8>,
    /// The last bytes of the current line, which may begin a replacement.
    last: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Within the output received before.
    Known,
    /// Beyond it.
    New,
    /// The log begins with other output.
    Other,
}

/// New output found in a piece of a log.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Addition {
    /// Bytes not received before.
    pub(super) bytes: Bytes,
    /// Whether it contains replacements for bytes that may have been others.
    pub(super) is_doubtful: bool,
    /// Whether such a replacement is in a line that begins like a report.
    pub(super) is_doubtful_report: bool,
}

impl LogReading {
    /// A new reading; `is_faithful` says whether the Engine's log has the printed bytes, if known.
    pub(super) fn new(is_faithful: bool) -> Self {
        let place = || Place {
            read: Digest::default(),
            tail: Tail::default(),
            progress: Progress::Known,
            line_start: Vec::new(),
            last: Vec::new(),
        };
        Self { streams: [place(), place()], is_faithful }
    }

    /// Reads a piece of the log.
    pub(super) fn take(&mut self, transcript: &ReceivedOutput, stream: Stream, piece: Bytes) -> Addition {
        let taken = &transcript.streams[index(stream)];
        let place = &mut self.streams[index(stream)];
        place.tail.add(&piece);
        if place.progress == Progress::New {
            return place.addition(piece, self.is_faithful);
        }
        let logged = LazyCell::new(|| taken.logged_to_end());
        let mut rest = piece;
        // the end of the received output in its two forms: as printed, and as a JSON log holds it
        for is_printed in [true, false] {
            if place.progress != Progress::Known {
                break;
            }
            let goal = if is_printed { &taken.printed } else { &*logged };
            let missing =
                usize::try_from(goal.length.saturating_sub(place.read.length)).unwrap_or(usize::MAX);
            place.read.add(&rest.split_to(missing.min(rest.len())));
            if place.read.is_like(goal) {
                place.progress = Progress::New;
                self.is_faithful |= !taken.printed.is_like(&logged) && goal.length == taken.printed.length;
            } else if rest.is_empty() && place.read.length < goal.length {
                return Addition::default();
            }
        }
        match place.progress {
            Progress::New => place.addition(rest, self.is_faithful),
            Progress::Known | Progress::Other => {
                place.progress = Progress::Other;
                Addition::default()
            }
        }
    }

    /// Whether the log does not begin with the received output, so that reading it again is no use.
    pub(super) fn is_other(&self) -> bool {
        self.streams.iter().any(|place| place.progress == Progress::Other)
    }

    /// Whether the log has reached the end of the received output.
    pub(super) fn is_caught_up(&self, transcript: &ReceivedOutput) -> bool {
        [Stream::Stdout, Stream::Stderr].into_iter().all(|stream| {
            transcript.length(stream) == 0 || self.streams[index(stream)].progress == Progress::New
        })
    }

    /// Whether a log without its beginning ends with the output received last.
    pub(super) fn ends_alike(&self, transcript: &ReceivedOutput) -> bool {
        self.streams.iter().zip(&transcript.streams).all(|(place, taken)| place.tail.is_like(&taken.tail))
            && self.streams.iter().any(|place| !place.tail.0.is_empty())
    }
}

impl Place {
    /// Bytes after the received output, and whether the log may have replaced some of them.
    fn addition(&mut self, bytes: Bytes, is_faithful: bool) -> Addition {
        let mut addition = Addition { bytes, ..Addition::default() };
        if is_faithful {
            return addition;
        }
        for line in addition.bytes.split_inclusive(|byte| *byte == b'\n') {
            let begins = line.len().min(REPORT_STEM.len() - self.line_start.len());
            self.line_start.extend_from_slice(&line[..begins]);
            // a character may be cut between two pieces
            let joined = [&self.last, line].concat();
            if memchr::memmem::find(&joined, REPLACEMENT).is_some() {
                addition.is_doubtful = true;
                addition.is_doubtful_report |= self.line_start == REPORT_STEM;
            }
            self.last.clear();
            if line.ends_with(b"\n") {
                self.line_start.clear();
            } else {
                self.last.extend_from_slice(&joined[joined.len().saturating_sub(REPLACEMENT.len() - 1)..]);
            }
        }
        addition
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The messages of dockerd's JSON log for a text.
    fn logged(text: &[u8]) -> Vec<Bytes> {
        let lines = text.split_inclusive(|byte| *byte == b'\n');
        let messages = lines.flat_map(|line| line.chunks(MESSAGE));
        let replaced = |message: &[u8]| -> Vec<u8> {
            let chunks = message.utf8_chunks();
            chunks
                .flat_map(|chunk| {
                    [chunk.valid().as_bytes().to_vec(), REPLACEMENT.repeat(chunk.invalid().len())].concat()
                })
                .collect()
        };
        messages.map(|message| replaced(message).into()).collect()
    }

    fn taken(text: &[u8], size: usize) -> ReceivedOutput {
        let mut transcript = ReceivedOutput::default();
        text.chunks(size).for_each(|piece| transcript.add(Stream::Stdout, piece));
        transcript
    }

    /// What a log adds to the received output: the bytes, whether they are doubtful, and whether the log fits.
    fn read(transcript: &ReceivedOutput, log: &[Bytes], is_faithful: bool) -> (Vec<u8>, bool, bool) {
        let mut reading = LogReading::new(is_faithful);
        let (mut bytes, mut is_doubtful) = (Vec::new(), false);
        for piece in log {
            let addition = reading.take(transcript, Stream::Stdout, piece.clone());
            bytes.extend_from_slice(&addition.bytes);
            is_doubtful |= addition.is_doubtful;
        }
        (bytes, is_doubtful, reading.is_caught_up(transcript))
    }

    #[test]
    fn fr_e5_log_reading_continues_where_the_connection_broke() {
        let text = b"plain\nLatin \xe9\xe8 and \xc3\xa9\n\xe2\x82 cut\nplain again\n";
        for cut in 0..=text.len() {
            let (before, after) = text.split_at(cut);
            for size in [1, 3, 99] {
                let transcript = taken(before, size);
                // Podman's log holds the printed bytes, cut in any way
                for piece in [1, 4, 99] {
                    let log: Vec<Bytes> = text.chunks(piece).map(Bytes::copy_from_slice).collect();
                    assert_eq!(read(&transcript, &log, true), (after.to_vec(), false, true), "{cut}");
                }
                // dockerd's log differs: the rest is identical, or known to be doubtful, or not taken
                let (bytes, is_doubtful, fits) = read(&transcript, &logged(text), false);
                assert!(
                    bytes == after && fits || is_doubtful || !fits && bytes.is_empty(),
                    "{cut}: {bytes:?}"
                );
                if cut == text.len() || (33..45).contains(&cut) {
                    assert_eq!((bytes.as_slice(), is_doubtful, fits), (after, false, true), "{cut}");
                }
            }
        }
    }

    #[test]
    fn fr_e5_long_line_is_recognised_across_log_messages() {
        let text = ["ä".repeat(MESSAGE).as_bytes(), b"\xe9\n", &b"x".repeat(3 * MESSAGE), b"\n"].concat();
        // one more byte in front, so that characters are cut at the ends of messages
        let text = [b"y", text.as_slice()].concat();
        for size in [1, 4_095, MESSAGE, 1 << 20] {
            assert_eq!(read(&taken(&text, size), &logged(&text), false), (Vec::new(), false, true), "{size}");
        }
    }

    #[test]
    fn fr_e5_log_without_its_beginning_is_compared_by_its_end() {
        let lines: Vec<Bytes> = (0..2_000).map(|n| Bytes::from(format!("line {n} \u{e9}\n"))).collect();
        let transcript = taken(&lines.concat(), 1_000);
        let ends_alike = |log: &[Bytes]| {
            let mut reading = LogReading::new(false);
            for piece in log {
                assert_eq!(reading.take(&transcript, Stream::Stdout, piece.clone()).bytes, b"".as_slice());
            }
            assert!(!reading.is_caught_up(&transcript));
            reading.ends_alike(&transcript)
        };
        assert!(ends_alike(&lines[1_990..]) && ends_alike(&lines[100..]));
        let more = [&lines[1_990..], &["more\n".into()]].concat();
        assert!(!ends_alike(&more) && !ends_alike(&lines[100..1_990]) && !ends_alike(&[]));
    }

    #[test]
    fn fr_e5_replaced_byte_in_a_report_line_is_detected() {
        let mut reading = LogReading::new(false);
        let transcript = ReceivedOutput::default();
        for (piece, is_doubtful, in_report) in [
            ("log \u{fffd}\npop.rep", true, false),
            ("ort.payload \"\u{fffd}\"\n", true, true),
            ("plain pop.report.\u{fffd}", true, false),
        ] {
            let addition = reading.take(&transcript, Stream::Stdout, piece.as_bytes().to_vec().into());
            assert_eq!(
                (addition.is_doubtful, addition.is_doubtful_report),
                (is_doubtful, in_report),
                "{piece}"
            );
        }
    }
}
