//! Frames of a warm handler are the same, however the stream is split, and are written as they were read.

use super::choices::Choices;
use pop_warm::frame::{Decoder, Frame, FrameError, Kind, write};
use pop_warm::{Hello, attempt_body, parse_attempt, parse_end};

/// Every split of a stream gives the same frames and the same end; a frame and the body of an attempt are read back.
pub fn warm_frames(bytes: &[u8]) {
    let (cuts, stream) = bytes.split_at(bytes.len().min(8));
    let whole = decode(std::iter::once(stream));
    let mut choices = Choices(cuts);
    let mut rest = stream;
    let pieces = std::iter::from_fn(|| {
        let size = usize::from(choices.byte()).clamp(1, rest.len().max(1));
        let (piece, after) = rest.split_at_checked(size)?;
        rest = after;
        Some(piece)
    });
    assert_eq!(decode(pieces), whole, "split by {cuts:?}");
    assert_eq!(decode(stream.chunks(1)), whole, "byte by byte");
    let mut written = Vec::new();
    for Frame { kind, id, body } in &whole.0 {
        write(&mut written, *kind, *id, body);
        read_body(*kind, body);
    }
    assert_eq!(decode(std::iter::once(written.as_slice())), (whole.0, Ok(())), "written again");
}

fn read_body(kind: Kind, body: &[u8]) {
    match kind {
        Kind::Hello => drop(Hello::parse(body)),
        Kind::End => drop(parse_end(body)),
        _ => {}
    }
    if let Ok(attempt) = parse_attempt(body) {
        let variables = attempt.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let again = attempt_body(variables, attempt.payload);
        assert_eq!(parse_attempt(&again).as_ref(), Ok(&attempt));
    }
}

fn decode<'s>(pieces: impl Iterator<Item = &'s [u8]>) -> (Vec<Frame>, Result<(), FrameError>) {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    for piece in pieces {
        decoder.take(piece);
        while let Ok(Some(frame)) = decoder.next_frame() {
            frames.push(frame);
        }
    }
    (frames, decoder.finish())
}
