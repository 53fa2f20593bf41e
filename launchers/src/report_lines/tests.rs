//! Report lines found in output that is cut anywhere.

use super::*;

#[test]
fn f62_annotations_win_and_a_large_result_comes_by_line() {
    let mut reports = ReportState::default();
    let text = |text: &str| Some(text.to_owned());
    reports.annotate(text(r#"{"processingState":"EXECUTING","percentComplete":40.0}"#), None);
    assert_eq!(reports.take_news().unwrap().percent_complete, Some(40.0));
    // a repeated or lower progress is not sent
    reports.annotate(text(r#"{"processingState":"EXECUTING","percentComplete":40.0}"#), None);
    assert!(!reports.has_news());
    assert!(reports.line(&mut b"pop.report.payload {\"by\":\"line\"}".to_vec()));
    let complete = r#"{"processingState":"COMPLETE","processingStateMessage":"succeeded"}"#;
    reports.annotate(text(complete), None);
    let said = ReportState { annotated: PodAnnotations::default(), ..ReportState::default() }.into_said();
    assert!(said.result.is_none() && said.progress.is_none());
    reports.annotate(text(complete), text(r#"{"by":"annotation"}"#));
    let said = reports.into_said();
    assert!(said.progress.unwrap().is_succeeded());
    assert_eq!(said.result.unwrap()["by"], "annotation");
}
use serde_json::json;

/// All reports and the other output of a text cut into pieces of `size` bytes.
fn split(text: &[u8], size: usize) -> (FinalReport, String) {
    let mut lines = ReportLines::default();
    let mut reports = ReportState::default();
    let mut log = Vec::new();
    let mut rest = |bytes: &[u8]| log.extend_from_slice(bytes);
    for piece in text.chunks(size) {
        lines.take(piece, &mut reports, &mut rest);
    }
    lines.finish(&mut reports, &mut rest);
    (reports.into_said(), String::from_utf8_lossy(&log).into_owned())
}

#[test]
fn reports_are_separated_from_log_for_any_cut() {
    let text = "hello\npop.report.progress {\"percentComplete\": 40}\n pop.report.payload {}\npop.reporter\n\
                pop.report.payload {\"w\": 1}\npop.rep";
    for size in 1..text.len() {
        let (said, log) = split(text.as_bytes(), size);
        assert_eq!(said.progress.unwrap().percent_complete, Some(40.0), "{size}");
        assert_eq!(said.result, Some(json!({"w": 1})), "{size}");
        assert_eq!(log, "hello\n pop.report.payload {}\npop.reporter\npop.rep", "{size}");
        assert_eq!(said.breaches, Vec::<String>::new());
    }
}

#[test]
fn f22_breaches_are_reported() {
    let text = "pop.report.payload {\npop.report.progress 7\npop.report.payload 1\npop.report.payload 2\n";
    let (said, log) = split(text.as_bytes(), 7);
    assert_eq!(log, "");
    assert_eq!(said.result, Some(json!(1)));
    assert_eq!(said.breaches.len(), 3);
    assert!(said.breaches[2].contains("reported twice"));
    let twice = "pop.report.progress {\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"succeeded\"}\n\
                 pop.report.progress {\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"failed\"}\n";
    assert!(split(twice.as_bytes(), 99).0.breaches[0].contains("COMPLETE twice"));
}

#[test]
fn f19_an_endless_line_is_not_held_in_memory() {
    let mut lines = ReportLines::default();
    let mut reports = ReportState::default();
    let mut count = 0_usize;
    let piece = vec![b'x'; 65_536];
    for _ in 0..200 {
        lines.take(&piece, &mut reports, &mut |bytes| count += bytes.len());
        assert!(lines.held.capacity() <= 65_536);
    }
    assert_eq!(count, 200 * 65_536);
}

#[test]
fn fr_h4_reports_are_parsed_before_secrets_are_hidden() {
    let secrets = ["1234", "true", "COMPLETE", "payload", "succeeded"].map(str::to_owned);
    let mut reports = ReportState::masked(Mask::new(secrets));
    let mut lines = ReportLines::default();
    let text = "pop.report.payload {\"bytes\": 51234567, \"done\": true, \"note\": \"pin 1234\"}\n\
                pop.report.progress {\"processingState\":\"COMPLETE\",\"processingStateMessage\":\"succeeded\",\
                \"diagnosticEvents\":[{\"message\":\"pin 1234\",\"statusCode\":\"1234\"}]}\n";
    lines.take(text.as_bytes(), &mut reports, &mut |_| {});
    let said = reports.into_said();
    assert_eq!(said.breaches, Vec::<String>::new());
    assert_eq!(said.result, Some(json!({"bytes": 51_234_567, "done": true, "note": "pin ***"})));
    let progress = said.progress.unwrap();
    assert!(progress.is_succeeded());
    assert_eq!(progress.diagnostic_events[0].message, "pin ***");
}

#[test]
fn large_results_are_parsed_and_compared_at_the_end() {
    let large = |letter: &str| format!("pop.report.payload \"{}\"\n", letter.repeat(LARGE));
    let said = split(format!("{0}{0}", large("x")).as_bytes(), 4_096).0;
    assert_eq!((said.breaches.len(), said.result.unwrap().as_str().unwrap().len()), (0, LARGE));
    for text in [format!("{}{}", large("x"), large("y")), format!("pop.report.payload 1\n{}", large("x"))] {
        assert!(split(text.as_bytes(), 4_096).0.breaches[0].contains("reported twice"));
    }
}

#[test]
fn f24_a_report_line_is_bounded() {
    let mut text = b"pop.report.payload \"".to_vec();
    text.resize(REPORT_LINE_LIMIT + 100, b'x');
    text.extend_from_slice(b"\"\nnext\n");
    let (said, log) = split(&text, 1 << 16);
    assert_eq!((said.result, log.as_str()), (None, "next\n"));
    assert!(said.is_too_large && said.breaches[0].contains("longer than"));
}
