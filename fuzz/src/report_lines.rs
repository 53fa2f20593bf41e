//! Report lines are separated from the log, however the stream is split.

use super::choices::Choices;
use pop_contract::{FinalReport, PROGRESS, RESULT};
use pop_launchers::{ReportLines, ReportState};

/// Every split of a stream gives the same reports and the same log as plain reading line by line.
pub fn report_lines(bytes: &[u8]) {
    let (cuts, stream) = bytes.split_at(bytes.len().min(8));
    let whole = split(std::iter::once(stream));
    let mut choices = Choices(cuts);
    let mut rest = stream;
    let pieces = std::iter::from_fn(|| {
        let size = usize::from(choices.byte()).clamp(1, rest.len().max(1));
        let (piece, after) = rest.split_at_checked(size)?;
        rest = after;
        Some(piece)
    });
    assert_eq!(split(pieces), whole, "split by {cuts:?}");
    assert_eq!(split(stream.chunks(1)), whole, "byte by byte");
    let log = stream.split_inclusive(|byte| *byte == b'\n').filter(|line| !is_report(line));
    assert_eq!(whole.1, log.collect::<Vec<_>>().concat(), "the log");
}

fn split<'s>(pieces: impl Iterator<Item = &'s [u8]>) -> (FinalReport, Vec<u8>) {
    let (mut lines, mut state, mut log) = (ReportLines::default(), ReportState::default(), Vec::new());
    let mut write_log = |bytes: &[u8]| log.extend_from_slice(bytes);
    for piece in pieces {
        lines.take(piece, &mut state, &mut write_log);
    }
    lines.finish(&mut state, &mut write_log);
    (state.into_said(), log)
}

fn is_report(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    [PROGRESS, RESULT].iter().any(|name| line.starts_with(format!("{name} ").as_bytes()))
}
