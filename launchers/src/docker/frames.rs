//! The multiplexed stream of a container's output: each frame is a header with stream and length, and that many
//! bytes.

use crate::port::Stream;
use hyper::body::Bytes;

/// Length of a frame's header: the stream, three zeros, the length in big-endian order.
const HEADER: usize = 8;

/// Splits a multiplexed stream, however it is cut into pieces. A long frame is passed on in pieces, so that
/// only a header is held in memory.
#[derive(Debug, Default)]
pub(super) struct FrameDecoder {
    header: [u8; HEADER],
    /// Bytes of the header received so far.
    known: usize,
    /// Bytes of the frame still to come.
    left: usize,
}

/// The stream does not consist of frames.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl FrameDecoder {
    /// Takes the next output from `bytes`; `None` when they are used up.
    pub(super) fn next(&mut self, bytes: &mut Bytes) -> Result<Option<(Stream, Bytes)>, Malformed> {
        while !bytes.is_empty() {
            if self.known < HEADER {
                let count = bytes.len().min(HEADER - self.known);
                self.header[self.known..self.known + count].copy_from_slice(&bytes.split_to(count));
                self.known += count;
                if self.known == HEADER {
                    self.left = self.length()?;
                    self.forget_empty();
                }
            } else {
                let piece = bytes.split_to(bytes.len().min(self.left));
                self.left -= piece.len();
                // standard input (0) is never attached
                let stream = if self.header[0] == 2 { Stream::Stderr } else { Stream::Stdout };
                self.forget_empty();
                return Ok(Some((stream, piece)));
            }
        }
        Ok(None)
    }

    /// Whether the stream may end here.
    pub(super) fn is_between_frames(&self) -> bool {
        self.known == 0
    }

    fn length(&self) -> Result<usize, Malformed> {
        match self.header {
            [0..=2, 0, 0, 0, a, b, c, d] => Ok(u32::from_be_bytes([a, b, c, d]) as usize),
            _ => Err(Malformed),
        }
    }

    /// Makes a finished frame yield to the next header.
    fn forget_empty(&mut self) {
        if self.left == 0 {
            self.known = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mask;
    use crate::output::Output;
    use crate::port::{LaunchEnd, LaunchEvent, LaunchId, LaunchOrder, Line, StdoutUse};
    use pop_contract::Exit;
    use tokio::sync::mpsc;

    #[test]
    fn malformed_and_truncated_frames_are_detected() {
        let mut decoder = FrameDecoder::default();
        assert_eq!(decoder.next(&mut Bytes::from_static(b"plain text\n")), Err(Malformed));
        let whole = b"\x01\0\0\0\0\0\0\x02ab\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x01c";
        for end in 0..=whole.len() {
            let mut decoder = FrameDecoder::default();
            let mut bytes = Bytes::from_static(&whole[..end]);
            while decoder.next(&mut bytes).unwrap().is_some() {}
            assert_eq!(decoder.is_between_frames(), [0, 10, 18, 27].contains(&end), "{end}");
        }
    }

    /// The end and the reported lines of a launch whose log comes in these pieces.
    async fn result(pieces: &[&[u8]], captured: StdoutUse) -> (LaunchEnd, Vec<Line>) {
        let (sender, mut receiver) = mpsc::channel(256);
        let order = LaunchOrder { captured, ..LaunchOrder::default() };
        let mask = Mask::new(["canary-7f3a9b".to_owned()]);
        let mut output = Box::new(Output::new(LaunchId(1), order, &sender, &mask));
        let mut decoder = FrameDecoder::default();
        for piece in pieces {
            let mut bytes = Bytes::copy_from_slice(piece);
            while let Some((stream, bytes)) = decoder.next(&mut bytes).unwrap() {
                output.take(stream, &bytes);
                output.say_all().await;
            }
        }
        let ended = output.finish(Ok(Exit::Code(0))).await;
        let mut lines = Vec::new();
        while let Ok(launched) = receiver.try_recv() {
            if let LaunchEvent::Lines(said) = launched.event {
                lines.extend(said);
            }
        }
        (ended, lines)
    }

    #[tokio::test]
    async fn fr_e5_result_is_the_same_for_a_log_cut_at_any_byte() {
        let frame = |stream: u8, text: &[u8]| -> Vec<u8> {
            [&[stream, 0, 0, 0, 0, 0, 0, u8::try_from(text.len()).unwrap()], text].concat()
        };
        // report lines, a secret, invalid UTF-8, a character and a secret across two frames, no final newline
        let log = [
            frame(1, b"pop.report.progress {\"percentComplete\": 40}\nplain canary-7f3a9b \xff\xfe\n"),
            frame(2, b"error canary-7f"),
            frame(1, b"pop.report.payload {\"x\": \"canary-7f3a9b\"}\n\xc3"),
            frame(2, b"3a9b\n"),
            frame(1, b"\xa9 and \xe2\x82\nthe last line"),
        ]
        .concat();
        for captured in [StdoutUse::Nothing, StdoutUse::Log, StdoutUse::Whole, StdoutUse::Lines] {
            let whole = result(&[&log], captured).await;
            let told = format!("{whole:?}");
            assert!(!told.contains("canary") && told.contains("***"), "{told}");
            for cut in 0..=log.len() {
                assert_eq!(result(&[&log[..cut], &log[cut..]], captured).await, whole, "{cut}");
            }
            let bytes: Vec<&[u8]> = log.chunks(1).collect();
            assert_eq!(result(&bytes, captured).await, whole);
        }
    }
}
