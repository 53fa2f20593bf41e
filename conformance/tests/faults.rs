//! A correct handler keeps every check; a handler with one fault breaks exactly the checks of that fault.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use pop_conformance::{CHECKS, CheckVerdict, Finding, Subject, examine};
use std::path::Path;
use std::time::Duration;

const FAULTY: &str = env!("CARGO_BIN_EXE_pop-faulty-handler");

fn subject(argv: &[&str]) -> Subject {
    Subject {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        payload: r#"{"name": "Ada"}"#.to_owned(),
        bad_payload: Some(r#"{"nmae": "Ada"}"#.to_owned()),
        limit: Duration::from_mins(5),
        grace: Duration::from_secs(10),
        path: std::env::var_os("PATH"),
    }
}

fn broken(findings: &[Finding]) -> Vec<&'static str> {
    let broken = findings.iter().filter(|finding| matches!(finding.verdict, CheckVerdict::Broken(_)));
    broken.map(|finding| finding.check.id).collect()
}

async fn breaks(faults: &[(&str, &[&str])]) {
    for (fault, wanted) in faults {
        let findings = examine(&subject(&[FAULTY, fault])).await.unwrap();
        let said = findings.iter().filter(|finding| matches!(finding.verdict, CheckVerdict::Broken(_)));
        let said: Vec<_> = said.map(|finding| &finding.verdict).collect();
        assert_eq!(broken(&findings), *wanted, "{fault}: {said:#?}");
    }
}

#[tokio::test]
async fn correct_handler_keeps_every_check() {
    let findings = examine(&subject(&[FAULTY, "none"])).await.unwrap();
    assert_eq!(findings.len(), CHECKS.len());
    for Finding { check, verdict } in findings {
        assert_eq!(verdict, CheckVerdict::Kept, "{}", check.id);
    }
}

#[tokio::test]
async fn faults_in_the_payload_are_found() {
    breaks(&[
        ("random-result", &["same-result"]),
        ("ignores-segments", &["payload-compressed"]),
        ("ignores-file", &["payload-file", "payload-large", "payload-file-unreadable"]),
        ("small-buffer", &["payload-large"]),
        ("falls-back", &["payload-file-unreadable"]),
        ("refuses-silently", &["payload-not-json"]),
        ("replaces-bytes", &["payload-not-utf8"]),
        ("forgives-payload", &["payload-not-json", "payload-refused"]),
    ])
    .await;
}

#[tokio::test]
async fn fr_a10_leftover_process_breaks_one_check() {
    for script in [
        "setsid sleep 60 & exit 0",
        "setsid sleep 60 >/dev/null 2>&1 & exit 0",
        "sleep 60 >/dev/null 2>&1 & exit 0",
    ] {
        for round in 0..7 {
            let findings = examine(&subject(&["/bin/sh", "-c", script])).await.unwrap();
            assert!(broken(&findings).contains(&"leaves-nothing-behind"), "{script}, round {round}");
        }
    }
    // a process about to end is not left behind
    let findings = examine(&subject(&["/bin/sh", "-c", "sleep 0.05 & exit 0"])).await.unwrap();
    assert!(!broken(&findings).contains(&"leaves-nothing-behind"));
}

#[tokio::test]
async fn faults_in_launch_data_are_found() {
    breaks(&[
        ("knows-no-kebab", &["argument-spellings"]),
        ("environment-first", &["payload-file-unreadable", "argument-over-environment"]),
        ("ignores-properties", &["property-file"]),
        ("forgives-properties", &["property-file-missing"]),
        ("accepts-launch-type", &["launch-type-unknown"]),
        ("describes-badly", &["describes-itself"]),
        ("counts-progress", &["last-progress"]),
        ("trusts-progress", &["last-progress-broken"]),
        ("needs-utf8", &["environment-not-utf8"]),
        ("needs-home", &["environment-unusual"]),
    ])
    .await;
}

#[tokio::test]
async fn faults_in_reports_are_found() {
    breaks(&[
        ("dies-silently", &["stdout-closed"]),
        ("loses-reports", &["stdout-closed"]),
        ("report-no-json", &["report-lines"]),
        ("above-100", &["percent-range"]),
        ("backwards", &["percent-grows"]),
        ("two-finals", &["final-report"]),
        ("no-final", &["final-report"]),
        ("failed-and-0", &["report-agrees"]),
    ])
    .await;
}

#[tokio::test]
async fn daemon_is_found_and_killed() {
    breaks(&[("leaves-daemon", &["leaves-nothing-behind"])]).await;
}

#[tokio::test]
async fn reader_of_standard_input_is_found() {
    let waits = Subject { limit: Duration::from_secs(3), ..subject(&[FAULTY, "reads-stdin"]) };
    assert_eq!(broken(&examine(&waits).await.unwrap()), ["stdin-unused"]);
}

#[tokio::test]
async fn program_that_ignores_sigterm_is_found() {
    let ignoring = ["sh", "-c", "trap '' TERM; exec \"$@\"", "sh", FAULTY, "none"];
    let ignoring = Subject { grace: Duration::from_secs(1), ..subject(&ignoring) };
    assert_eq!(broken(&examine(&ignoring).await.unwrap()), ["stops-when-asked"]);
}

#[tokio::test]
async fn program_that_never_ends_breaks_only_the_first_check() {
    let endless = Subject { limit: Duration::from_millis(500), ..subject(&[FAULTY, "never-ends"]) };
    let findings = examine(&endless).await.unwrap();
    assert_eq!(broken(&findings), ["payload-variable"]);
    let CheckVerdict::Broken(broken) = &findings[0].verdict else { unreachable!() };
    assert_eq!(broken.seen, "it was still running 500 ms");
    assert_eq!(findings[1].verdict, CheckVerdict::NotApplicable("it does not succeed with its payload"));
}

#[tokio::test]
async fn plain_program_is_bound_by_few_checks() {
    let findings = examine(&Subject { bad_payload: None, ..subject(&["true"]) }).await.unwrap();
    let kept = findings.iter().filter(|finding| finding.verdict == CheckVerdict::Kept);
    assert_eq!(
        kept.map(|finding| finding.check.id).collect::<Vec<_>>(),
        [
            "payload-variable",
            "same-result",
            "last-progress",
            "environment-not-utf8",
            "environment-unusual",
            "stdin-unused",
            "leaves-nothing-behind"
        ]
    );
    assert_eq!(broken(&findings), [""; 0]);
}

#[tokio::test]
async fn violation_can_be_repeated_by_hand() {
    let findings = examine(&subject(&[FAULTY, "replaces-bytes"])).await.unwrap();
    let broken = findings.iter().find_map(|finding| match &finding.verdict {
        CheckVerdict::Broken(broken) => Some(broken),
        _ => None,
    });
    let output = std::process::Command::new("sh").args(["-c", &broken.unwrap().command]).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("pop.report.payload {\"greeting\":\"hello, Ada\u{fffd}\"}"), "{said}");
}

#[test]
fn contract_page_lists_every_check() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/formats/contract.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows: Vec<_> =
        page.lines().skip_while(|line| *line != "| check | binds | promise |").skip(2).collect();
    let listed: Vec<_> = rows.into_iter().take_while(|line| line.starts_with('|')).collect();
    let row =
        |check: &pop_conformance::Check| format!("| `{}` | {} | {} |", check.id, check.binds, check.promise);
    assert_eq!(listed, CHECKS.iter().map(row).collect::<Vec<_>>());
}
