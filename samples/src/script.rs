//! What external programs answer in tests.

use pop_handler_base::{Exit, InMemoryRun, LaunchEnd, LaunchEvent, Line, Report, Stream};

fn lines(stream: Stream, text: &str) -> LaunchEvent {
    LaunchEvent::Lines(text.lines().map(|line| Line { stream, text: line.to_owned() }).collect())
}

fn ended(code: i32) -> LaunchEvent {
    LaunchEvent::Ended(Box::new(LaunchEnd::exited(Exit::Code(code))))
}

/// A program that prints this and succeeds: as lines for who looks at them, as a whole for who does not.
pub(crate) fn printed(text: &str) -> Vec<LaunchEvent> {
    let ended = LaunchEnd { stdout: text.as_bytes().to_vec(), ..LaunchEnd::exited(Exit::Code(0)) };
    vec![lines(Stream::Stdout, text), LaunchEvent::Ended(Box::new(ended))]
}

/// A program that complains and fails.
pub(crate) fn failed(code: i32, complaint: &str) -> Vec<LaunchEvent> {
    vec![lines(Stream::Stderr, complaint), ended(code)]
}

/// The status codes of a report's diagnostics.
pub(crate) fn codes(report: &Report) -> Vec<String> {
    report.progress.diagnostic_events.iter().filter_map(|event| event.status_code.clone()).collect()
}

/// The messages of a report's diagnostics.
pub(crate) fn messages(report: &Report) -> Vec<&str> {
    report.progress.diagnostic_events.iter().map(|event| event.message.as_str()).collect()
}

/// The percentages that were reported, rounded down.
pub(crate) fn percents(run: &InMemoryRun) -> Vec<u64> {
    run.progress
        .iter()
        .filter_map(|progress| progress.percent_complete)
        .map(|percent| percent as u64)
        .collect()
}

/// What ffprobe says about a file with one picture stream.
pub(crate) fn picture(codec: &str, width: u32, height: u32) -> String {
    serde_json::json!({
        "streams": [{"codec_type": "video", "codec_name": codec, "profile": "High", "level": 31, "width": width,
            "height": height, "avg_frame_rate": "30/1"}],
        "format": {"duration": "10.0", "size": "5000", "bit_rate": "4000"}})
    .to_string()
}
