//! Frames: messages between executor and instance, each with its length in front.
//!
//! A frame is a line `KIND ID LENGTH` and a body of LENGTH bytes, so that a handler in any language can read it. ID is
//! the number of an operation in hand, or 0.

use memchr::memchr;
use pop_contract::VALUE_LIMIT;
use std::fmt;

/// Longest body of a frame, in bytes: the largest value, and room for the variables of an attempt.
pub const BODY_LIMIT: usize = VALUE_LIMIT + 2 * 1024 * 1024;
/// Longest first line of a frame, in bytes, with its line end.
const HEAD_LIMIT: usize = 48;

/// The kind of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Instance: it is ready. The body is a [`Hello`](crate::Hello).
    Hello,
    /// Executor: serve an operation. The body has the attempt's variables and its payload.
    Handle,
    /// Executor: cancel the operation.
    Cancel,
    /// Executor: end when the operations in hand have ended. None follows.
    Bye,
    /// Instance: bytes for the operation's log.
    Log,
    /// Instance: report lines of the operation, as a program prints them on standard output.
    Report,
    /// Instance: the operation has ended. The body is its exit status.
    End,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Hello, Self::Handle, Self::Cancel, Self::Bye, Self::Log, Self::Report, Self::End];

    /// The word in the first line of a frame.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Handle => "handle",
            Self::Cancel => "cancel",
            Self::Bye => "bye",
            Self::Log => "log",
            Self::Report => "report",
            Self::End => "end",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its kind.
    pub kind: Kind,
    /// The number of the operation, or 0.
    pub id: u64,
    /// Its content.
    pub body: Vec<u8>,
}

/// Why bytes are no frame. The stream cannot be read any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The first line is not `KIND ID LENGTH`.
    #[error("`{line}` is not the first line of a frame: it must be `KIND ID LENGTH`")]
    Head {
        /// The line as far as it was read, made printable.
        line: String,
    },
    /// The body is too long.
    #[error("a frame `{kind}` announces {length} bytes; the limit is {BODY_LIMIT}")]
    TooLong {
        /// The kind of the frame.
        kind: Kind,
        /// The announced length.
        length: u64,
    },
    /// The stream ended within a frame.
    #[error("the stream ended within a frame")]
    CutOff,
}

/// Appends a frame to `out`.
pub fn write(out: &mut Vec<u8>, kind: Kind, id: u64, body: &[u8]) {
    out.reserve(HEAD_LIMIT + body.len());
    out.extend_from_slice(kind.as_str().as_bytes());
    out.push(b' ');
    write_number(out, id);
    out.push(b' ');
    write_number(out, body.len() as u64);
    out.push(b'\n');
    out.extend_from_slice(body);
}

/// Appends a number in decimal. Every message has two: `format!` would be most of the cost of writing a short one.
fn write_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// Finds the frames in a stream, however it is cut into pieces.
///
/// It holds at most one incomplete frame and one piece. After an error it finds no further frame.
#[derive(Debug, Default)]
pub struct Decoder {
    held: Vec<u8>,
    /// Bytes of `held` that belong to frames already returned.
    used: usize,
    head: Option<Head>,
    error: Option<FrameError>,
}

/// The first line of a frame whose body is not complete.
#[derive(Debug, Clone, Copy)]
struct Head {
    kind: Kind,
    id: u64,
    length: usize,
}

impl Decoder {
    /// Takes a piece of the stream.
    pub fn take(&mut self, piece: &[u8]) {
        if self.error.is_some() {
            return;
        }
        self.held.drain(..self.used);
        self.used = 0;
        self.held.extend_from_slice(piece);
    }

    /// The next complete frame; `None` if more bytes are needed.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = &self.error {
            return Err(error.clone());
        }
        let found = self.find();
        if let Err(error) = &found {
            self.error = Some(error.clone());
            self.held = Vec::new();
            self.used = 0;
        }
        found
    }

    fn find(&mut self) -> Result<Option<Frame>, FrameError> {
        let head = match self.head {
            Some(head) => head,
            None => {
                let rest = &self.held[self.used..];
                let within = &rest[..rest.len().min(HEAD_LIMIT)];
                let Some(end) = memchr(b'\n', within) else {
                    // a line that never ends must not be gathered
                    return if within.len() < HEAD_LIMIT { Ok(None) } else { Err(bad_head(within)) };
                };
                let head = parse_head(&within[..end])?;
                self.used += end + 1;
                *self.head.insert(head)
            }
        };
        let rest = &self.held[self.used..];
        let Some(body) = rest.get(..head.length) else { return Ok(None) };
        let frame = Frame { kind: head.kind, id: head.id, body: body.to_vec() };
        self.used += head.length;
        self.head = None;
        if self.used == self.held.len() {
            self.held.clear();
            self.used = 0;
            // the buffer of a large frame is not kept
            self.held.shrink_to(64 * 1024);
        }
        Ok(Some(frame))
    }

    /// Checks at the end of the stream that no frame is cut off.
    pub fn finish(&self) -> Result<(), FrameError> {
        match &self.error {
            Some(error) => Err(error.clone()),
            None if self.head.is_some() || self.used < self.held.len() => Err(FrameError::CutOff),
            None => Ok(()),
        }
    }
}

fn parse_head(line: &[u8]) -> Result<Head, FrameError> {
    let read = || {
        let mut words = line.split(|byte| *byte == b' ');
        let (kind, id, length) = (words.next()?, words.next()?, words.next()?);
        let kind = Kind::ALL.into_iter().find(|known| known.as_str().as_bytes() == kind)?;
        let (id, length) = (read_number(id)?, read_number(length)?);
        words.next().is_none().then_some((kind, id, length))
    };
    let (kind, id, length) = read().ok_or_else(|| bad_head(line))?;
    match usize::try_from(length).ok().filter(|length| *length <= BODY_LIMIT) {
        Some(length) => Ok(Head { kind, id, length }),
        None => Err(FrameError::TooLong { kind, length }),
    }
}

/// A number of decimal digits only: `+1` is none.
fn read_number(text: &[u8]) -> Option<u64> {
    let digits = Some(text).filter(|text| !text.is_empty())?.iter();
    digits.map(|byte| u64::from(byte.wrapping_sub(b'0'))).try_fold(0_u64, |number, digit| {
        let number = number.checked_mul(10)?.checked_add(digit)?;
        (digit <= 9).then_some(number)
    })
}

fn bad_head(line: &[u8]) -> FrameError {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
    FrameError::Head { line: String::from_utf8_lossy(line).escape_debug().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(decoder: &mut Decoder) -> Result<Vec<Frame>, FrameError> {
        let mut frames = Vec::new();
        while let Some(frame) = decoder.next_frame()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    #[test]
    fn frames_are_the_same_wherever_the_stream_is_cut() {
        let mut stream = Vec::new();
        for kind in Kind::ALL {
            write(&mut stream, kind, 7, b"a 1\n\nlog 1 0\n");
            write(&mut stream, kind, u64::MAX, b"");
        }
        let mut whole = Decoder::default();
        whole.take(&stream);
        let wanted = all(&mut whole).unwrap();
        assert_eq!(wanted.len(), 2 * Kind::ALL.len());
        for cut in 0..=stream.len() {
            let mut decoder = Decoder::default();
            decoder.take(&stream[..cut]);
            let mut found = all(&mut decoder).unwrap();
            let is_between = found.iter().map(encoded_length).sum::<usize>() == cut;
            assert_eq!(decoder.finish().is_ok(), is_between, "cut at {cut}");
            decoder.take(&stream[cut..]);
            found.extend(all(&mut decoder).unwrap());
            assert!(found == wanted, "cut at {cut}");
        }
        let mut by_byte = Decoder::default();
        let mut found = Vec::new();
        for byte in stream {
            by_byte.take(&[byte]);
            found.extend(all(&mut by_byte).unwrap());
        }
        assert_eq!(found, wanted);
    }

    fn encoded_length(frame: &Frame) -> usize {
        let mut bytes = Vec::new();
        write(&mut bytes, frame.kind, frame.id, &frame.body);
        bytes.len()
    }

    #[test]
    fn a_bad_first_line_ends_the_stream() {
        let long = "x".repeat(HEAD_LIMIT);
        for head in [
            "\n",
            "hello\n",
            "hello 0\n",
            "hello 0 0 0\n",
            "Hello 0 0\n",
            "hello -1 0\n",
            "log 1 +2\n",
            "log  1 2\n",
            long.as_str(),
        ] {
            let mut decoder = Decoder::default();
            decoder.take(head.as_bytes());
            let error = decoder.next_frame().unwrap_err();
            assert!(matches!(error, FrameError::Head { .. }), "{head:?}: {error}");
            decoder.take(b"bye 0 0\n");
            assert_eq!(decoder.next_frame(), Err(error), "{head:?}");
        }
    }

    #[test]
    fn an_announced_length_reserves_no_memory_and_is_bounded() {
        let mut decoder = Decoder::default();
        decoder.take(format!("log 1 {BODY_LIMIT}\n").as_bytes());
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.held.capacity() < 1024);
        let mut decoder = Decoder::default();
        decoder.take(b"log 1 99999999999999\n");
        let message = decoder.next_frame().unwrap_err().to_string();
        assert_eq!(message, "a frame `log` announces 99999999999999 bytes; the limit is 18874368");
    }
}
