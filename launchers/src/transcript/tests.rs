//! The result does not depend on how the output is cut into pieces; what remains of a failed launch.

use super::*;
use pop_registry::Capture;
use serde_json::json;
use std::sync::LazyLock;

/// Report lines, secrets in several spellings, bytes that are not UTF-8, carriage returns, no final newline.
const STREAM: &[u8] = b"begin s3cret-value\r\n10%\r20%\r30% s3cret-value\npop.report.progress {\"percentComplete\": 40}\n\
    pop.report.payload {\"token\": \"s3cret-value\", \"n\": 5123456789}\n caf\xe9 czNjcmV0LXZhbHVl \xff\xfe\n\
    pop.reporter s3cret-valu\npop.report.payload\npop.report.payload {\"token\": \"s3cret-value\", \"n\": 5123456789}\r\n\
    pop.report.progress {\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"succeeded\"}\nlast s3cret";

/// Shared: building a mask takes longer than a launch.
static MASK: LazyLock<Mask> =
    LazyLock::new(|| Mask::new(["s3cret-value", "1234", "succeeded"].map(str::to_owned)));

fn order(captured: StdoutUse) -> LaunchOrder {
    LaunchOrder { captured, ..LaunchOrder::default() }
}

/// The end and the log file of a launch that printed these pieces.
fn launch(captured: StdoutUse, pieces: &[&[u8]], exit: Exit) -> (LaunchEnd, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let order = LaunchOrder { log: Some(log.clone()), ..order(captured) };
    let mut transcript = Transcript::new(&order, &MASK);
    let now = Instant::now();
    for piece in pieces {
        transcript.take(Stream::Stdout, piece, now);
    }
    let ended = transcript.finish(Ok(exit));
    (ended, std::fs::read(log).unwrap_or_default())
}

#[test]
fn launch_end_is_independent_of_cuts() {
    let kinds = [
        StdoutUse::Nothing,
        StdoutUse::Log,
        StdoutUse::Whole,
        StdoutUse::Value(Capture::Text),
        StdoutUse::Value(Capture::Lines),
        StdoutUse::Value(Capture::Json),
    ];
    for captured in kinds {
        for exit in [Exit::Code(0), Exit::Code(3)] {
            let whole = launch(captured, &[STREAM], exit);
            for cut in 0..STREAM.len() {
                let (left, right) = STREAM.split_at(cut);
                assert_eq!(launch(captured, &[left, right], exit), whole, "{captured:?} cut at {cut}");
            }
            let bytes: Vec<&[u8]> = STREAM.chunks(1).collect();
            assert_eq!(launch(captured, &bytes, exit), whole, "{captured:?} byte by byte");
            let shown = format!("{whole:?}");
            assert!(!shown.contains("s3cret-value"), "{shown}");
        }
    }
}

#[test]
fn fr_b2_captured_output_holds_no_reports() {
    let (ended, _) = launch(StdoutUse::Nothing, &[STREAM], Exit::Code(0));
    assert_eq!(ended.said.result, Some(json!({"token": "***", "n": 5_123_456_789_u64})));
    assert!(ended.said.progress.unwrap().is_succeeded());
    let notes = b"# Notes\npop.report.payload {\"width\": 720}\n";
    for captured in [StdoutUse::Value(Capture::Text), StdoutUse::Log, StdoutUse::Whole] {
        let (ended, log) = launch(captured, &[notes], Exit::Code(0));
        assert_eq!((ended.said.result, ended.said.progress), (None, None));
        let kept = match captured {
            StdoutUse::Log => log,
            StdoutUse::Whole => ended.stdout,
            // a captured text loses its last line end
            _ => format!("{}\n", ended.captured.unwrap().as_str().unwrap()).into_bytes(),
        };
        assert_eq!(kept, notes);
    }
}

#[test]
fn fr_b1_failure_shows_captured_output_in_tail_and_log() {
    let text: &[u8] = b"error: cannot open db.sqlite, token s3cret-value\n";
    let (ended, log) = launch(StdoutUse::Value(Capture::Text), &[text], Exit::Code(3));
    assert_eq!((ended.exit, ended.captured), (Ok(Exit::Code(3)), None));
    assert_eq!(ended.log_tail, ["error: cannot open db.sqlite, token ***"]);
    assert_eq!(log, b"error: cannot open db.sqlite, token ***\n");
    let (ended, log) = launch(StdoutUse::Value(Capture::Json), &[b"npm WARN old\n{\"a\": 1}"], Exit::Code(0));
    let failure = ended.exit.unwrap_err();
    assert_eq!((failure.code.as_str(), failure.exit), ("contract", Some(Exit::Code(0))));
    assert!(
        failure.message.contains("on line 1, column 2; it begins with `npm WARN old"),
        "{}",
        failure.message
    );
    assert_eq!(ended.log_tail, ["npm WARN old", "{\"a\": 1}"]);
    assert_eq!(log, b"npm WARN old\n{\"a\": 1}");
    // a success leaves no log
    let (ended, log) = launch(StdoutUse::Value(Capture::Json), &[b"{\"a\": 1}"], Exit::Code(0));
    assert_eq!((ended.captured, log.as_slice()), (Some(json!({"a": 1})), b"".as_slice()));
}

#[test]
fn success_exit_statuses_keep_the_captured_value() {
    let order = LaunchOrder { success: vec![0, 1], ..order(StdoutUse::Value(Capture::Text)) };
    let mut transcript = Transcript::new(&order, &Mask::none());
    transcript.take(Stream::Stdout, b"x", Instant::now());
    assert_eq!(transcript.finish(Ok(Exit::Code(1))).captured, Some(json!("x")));
}

#[test]
fn fr_b4_captured_lines_with_invalid_utf8_fail() {
    let (ended, _) = launch(StdoutUse::Value(Capture::Lines), &[b"a\ncaf\xe9.txt\n"], Exit::Code(0));
    let failure = ended.exit.unwrap_err();
    assert_eq!(failure.code, "contract");
    assert!(failure.message.contains("byte 5 (line 2) is 0xe9"), "{}", failure.message);
}

#[test]
fn fr_h11_captured_output_over_limit_fails_and_is_logged() {
    let piece = [b"x".repeat(65_535).as_slice(), b"\n"].concat();
    {
        let captured = StdoutUse::Value(Capture::Text);
        let mut pieces: Vec<&[u8]> = vec![&piece; 257];
        pieces.push(b"the end\n");
        let (ended, log) = launch(captured, &pieces, Exit::Code(0));
        assert_eq!(ended.exit.unwrap_err().code, "too-large");
        assert_eq!(log.len(), 257 * 65_536 + 8);
        assert_eq!(ended.log_tail.last().map(String::as_str), Some("the end"));
        let (ended, _) = launch(captured, &pieces, Exit::Code(3));
        assert_eq!(ended.exit, Ok(Exit::Code(3)));
    }
}

#[test]
fn silence_and_progress_become_events() {
    let start = Instant::now();
    let after = |ms| start + Duration::from_millis(ms);
    let order = LaunchOrder { silence: Some(Duration::from_millis(100)), ..LaunchOrder::default() };
    let mut transcript = Transcript::new(&order, &Mask::none());
    assert_eq!(transcript.due(), None);
    transcript.begin(start);
    transcript.take(Stream::Stdout, b"pop.report.progress {\"percentComplete\": 4}\n", after(50));
    assert!(matches!(transcript.events(after(50)).as_slice(), [LaunchEvent::Progress(_)]));
    transcript.postpone(Duration::from_millis(30));
    assert_eq!(transcript.due(), Some(after(180)));
    transcript.on_time(after(179));
    assert_eq!(transcript.events(after(179)), []);
    transcript.on_time(after(180));
    assert_eq!(transcript.events(after(180)), [LaunchEvent::Silent]);
    assert_eq!(transcript.due(), None);
}
