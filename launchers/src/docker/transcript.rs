//! What was taken of a container's output, told by length and digest, so that reading can go on in the log that the Engine
//! keeps: at the same place, or not at all.
//!
//! *Guarantees.* What goes on in a log follows byte for byte what was taken before. *Cannot do.* dockerd's `json-file` log
//! has a replacement character for each byte that is not UTF-8; behind the place such bytes are noticed, not mended.

use crate::port::Stream;
use hyper::body::Bytes;

/// What each byte that is not UTF-8 becomes in a log of JSON.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();
/// The longest line that a log of JSON holds as one message.
const MESSAGE: usize = 16 * 1024;
/// How much of the end is compared when the beginning is not there any more.
const TAIL: usize = 4 * 1024;

/// What was taken of the two streams.
#[derive(Debug, Default)]
pub(super) struct Transcript {
    streams: [Taken; 2],
}

/// What was taken of one stream: as it was printed, and as a log of JSON has it.
#[derive(Debug, Default, Clone)]
struct Taken {
    printed: Digest,
    logged: Digest,
    /// The beginning of a character that is not whole yet.
    pending: Vec<u8>,
    /// How many bytes the current message of the log has.
    message: usize,
    tail: Tail,
}

/// A length, and a digest of so many bytes.
#[derive(Debug, Default, Clone)]
struct Digest {
    length: u64,
    hash: Box<blake3::Hasher>,
}

/// The last bytes of a stream.
#[derive(Debug, Default, Clone)]
struct Tail(Vec<u8>);

impl Transcript {
    /// Adds what was taken.
    pub(super) fn add(&mut self, stream: Stream, bytes: &[u8]) {
        self.streams[index(stream)].add(bytes);
    }

    /// How many bytes of a stream were taken.
    pub(super) fn length(&self, stream: Stream) -> u64 {
        self.streams[index(stream)].printed.length
    }
}

fn index(stream: Stream) -> usize {
    usize::from(stream == Stream::Stderr)
}

impl Taken {
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

    /// Adds a part of a message to what a log of JSON has.
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
}

/// How many bytes at the end are the beginning of a character.
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

    /// Whether both end alike, as far as both are known; bytes that a log may replace are not compared.
    fn is_like(&self, other: &Self) -> bool {
        let plain = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().filter(u8::is_ascii).collect() };
        let (one, other) = (plain(&self.0), plain(&other.0));
        let length = one.len().min(other.len());
        one[one.len() - length..] == other[other.len() - length..]
    }
}

/// One reading of a log from its beginning: what was taken before is left out.
#[derive(Debug)]
pub(super) struct LogReading {
    streams: [Place; 2],
    /// Whether the log has the bytes that were printed; known of some Engines, or seen where they differ.
    is_faithful: bool,
}

#[derive(Debug)]
struct Place {
    read: Digest,
    tail: Tail,
    progress: Progress,
    /// The beginning of the current line, as far as it tells a report.
    line_start: Vec<u8>,
    /// The last bytes of the current line, which may begin a replacement.
    last: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Within what was taken before.
    Known,
    /// Behind it.
    New,
    /// The log begins otherwise.
    Other,
}

/// What a piece of a log adds to what was taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Addition {
    /// What was not taken before.
    pub(super) bytes: Bytes,
    /// Whether something stands in it for bytes that may have been others.
    pub(super) is_doubtful: bool,
    /// Whether that is so in a line that begins like a report.
    pub(super) is_doubtful_report: bool,
}

impl LogReading {
    /// A reading that is to begin; `is_faithful` is what is known of the Engine.
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

    /// Takes a piece of the log.
    pub(super) fn take(&mut self, transcript: &Transcript, stream: Stream, piece: Bytes) -> Addition {
        let taken = &transcript.streams[index(stream)];
        let place = &mut self.streams[index(stream)];
        place.tail.add(&piece);
        if place.progress == Progress::New {
            return place.addition(piece, self.is_faithful);
        }
        let mut logged = taken.clone();
        logged.end_message();
        let mut rest = piece;
        // where the two ways to read the beginning end: as it was printed, and as a log of JSON has it
        for goal in [&taken.printed, &logged.logged] {
            if place.progress != Progress::Known {
                break;
            }
            let missing =
                usize::try_from(goal.length.saturating_sub(place.read.length)).unwrap_or(usize::MAX);
            place.read.add(&rest.split_to(missing.min(rest.len())));
            if place.read.is_like(goal) {
                place.progress = Progress::New;
                self.is_faithful |=
                    !taken.printed.is_like(&logged.logged) && goal.length == taken.printed.length;
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

    /// Whether the log begins otherwise than what was taken: to read it later is no use.
    pub(super) fn is_other(&self) -> bool {
        self.streams.iter().any(|place| place.progress == Progress::Other)
    }

    /// Whether all that was taken before stands in the log.
    pub(super) fn is_caught_up(&self, transcript: &Transcript) -> bool {
        [Stream::Stdout, Stream::Stderr].into_iter().all(|stream| {
            transcript.length(stream) == 0 || self.streams[index(stream)].progress == Progress::New
        })
    }

    /// Whether the log, whose beginning is gone, ends with what was taken last.
    pub(super) fn ends_alike(&self, transcript: &Transcript) -> bool {
        self.streams.iter().zip(&transcript.streams).all(|(place, taken)| place.tail.is_like(&taken.tail))
            && self.streams.iter().any(|place| !place.tail.0.is_empty())
    }
}

/// What report lines begin with.
const REPORT: &[u8] = b"pop.report.";

impl Place {
    /// Bytes behind what was taken before, and whether a log that replaces bytes may have replaced some of them.
    fn addition(&mut self, bytes: Bytes, is_faithful: bool) -> Addition {
        let mut addition = Addition { bytes, ..Addition::default() };
        if is_faithful {
            return addition;
        }
        for line in addition.bytes.split_inclusive(|byte| *byte == b'\n') {
            let begins = line.len().min(REPORT.len() - self.line_start.len());
            self.line_start.extend_from_slice(&line[..begins]);
            // a character may be cut between two pieces
            let joined = [&self.last, line].concat();
            if memchr::memmem::find(&joined, REPLACEMENT).is_some() {
                addition.is_doubtful = true;
                addition.is_doubtful_report |= self.line_start == REPORT;
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

    /// What dockerd's log of JSON has of a text, message by message.
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

    fn taken(text: &[u8], size: usize) -> Transcript {
        let mut transcript = Transcript::default();
        text.chunks(size).for_each(|piece| transcript.add(Stream::Stdout, piece));
        transcript
    }

    /// What a log adds to a transcript: the bytes, whether they are doubtful, and whether the log fits.
    fn read(transcript: &Transcript, log: &[Bytes], is_faithful: bool) -> (Vec<u8>, bool, bool) {
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
    fn fr_e5_reading_goes_on_in_a_log_at_the_same_place_wherever_the_connection_broke() {
        let text = b"plain\nLatin \xe9\xe8 and \xc3\xa9\n\xe2\x82 cut\nplain again\n";
        for cut in 0..=text.len() {
            let (before, after) = text.split_at(cut);
            for size in [1, 3, 99] {
                let transcript = taken(before, size);
                // Podman's log has what was printed, cut in any way
                for piece in [1, 4, 99] {
                    let log: Vec<Bytes> = text.chunks(piece).map(Bytes::copy_from_slice).collect();
                    assert_eq!(read(&transcript, &log, true), (after.to_vec(), false, true), "{cut}");
                }
                // dockerd's has other bytes: then what follows is the same, or is known not to be, or is not taken
                let (bytes, is_doubtful, fits) = read(&transcript, &logged(text), false);
                assert!(
                    bytes == after && fits || is_doubtful || !fits && bytes.is_empty(),
                    "{cut}: {bytes:?}"
                );
                if cut == text.len() || cut >= 33 && cut < 45 {
                    assert_eq!((bytes.as_slice(), is_doubtful, fits), (after, false, true), "{cut}");
                }
            }
        }
    }

    #[test]
    fn fr_e5_a_long_line_is_known_again_in_the_messages_that_a_log_makes_of_it() {
        let text = ["ä".repeat(MESSAGE).as_bytes(), b"\xe9\n", &b"x".repeat(3 * MESSAGE), b"\n"].concat();
        // one byte before, so that characters are cut at the ends of messages
        let text = [b"y", text.as_slice()].concat();
        for size in [1, 4_095, MESSAGE, 1 << 20] {
            assert_eq!(read(&taken(&text, size), &logged(&text), false), (Vec::new(), false, true), "{size}");
        }
    }

    #[test]
    fn fr_e5_a_log_whose_beginning_is_gone_is_judged_by_its_end() {
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
    fn fr_e5_a_replaced_byte_in_a_report_line_is_noticed() {
        let mut reading = LogReading::new(false);
        let transcript = Transcript::default();
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
