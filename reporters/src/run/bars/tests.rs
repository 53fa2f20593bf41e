//! Lines of the block at several widths.

use super::*;
use unicode_width::UnicodeWidthStr as _;

fn running(name: &str, percent: Option<f64>, since: Instant) -> Running {
    Running { op: OpIx(0), name: name.to_owned(), since, percent }
}

/// The lines of four operations and of the run, without colours.
fn screen(columns: usize) -> String {
    let start = Instant::now();
    let now = start + Duration::from_mins(121);
    let ago = |seconds: u64| start + Duration::from_secs(7_260 - seconds);
    let all = [
        running("probe", None, ago(3)),
        running("transcode-every-video-of-the-archive-into-three-renditions#12", Some(45.9), ago(125)),
        running("thumbnail#3", Some(100.0), ago(59)),
        running("日本語#1", None, start),
    ];
    let longest = all.iter().map(|one| one.name.width()).max().unwrap();
    let layout = Layout::of(columns - 1, longest);
    let mut lines: Vec<String> = all.iter().map(|one| layout.operation(one, now)).collect();
    lines.push(layout.run(117, 1_234, Duration::from_secs(3_700)));
    for line in &lines {
        assert!(width(line) < columns, "{columns}: {line}");
    }
    lines.join("\n").replace("\u{1b}[36m", "").replace("\u{1b}[0m", "")
}

#[test]
fn fr_g2_names_keep_their_end_and_only_reported_percentages_are_shown() {
    insta::assert_snapshot!(screen(120), @r"
    probe                                                         ⠹                             3s
    transcode-every-video-of-the-archive-into-three-renditions#12 ━━━━━━━━━             45%  2m05s
    thumbnail#3                                                   ━━━━━━━━━━━━━━━━━━━━ 100%    59s
    日本語#1                                                      ⠋                          2h01m
    run                                                           ━╸               117/1234  1h01m
    ");
    insta::assert_snapshot!(screen(80), @r"
    probe                                                    ⠹                   3s
    transcode-every-vi…-the-archive-into-three-renditions#12 ━━━━╸       45%  2m05s
    thumbnail#3                                              ━━━━━━━━━━ 100%    59s
    日本語#1                                                 ⠋                2h01m
    run                                                      ╸      117/1234  1h01m
    ");
    insta::assert_snapshot!(screen(40), @r"
    probe            ⠹                   3s
    trans…ditions#12 ━━━━╸       45%  2m05s
    thumbnail#3      ━━━━━━━━━━ 100%    59s
    日本語#1         ⠋                2h01m
    run              ╸      117/1234  1h01m
    ");
}

#[test]
fn line_of_the_run_has_what_fits() {
    let layout = |columns: usize| Layout::of(columns - 1, 5);
    let line = |columns: usize| {
        let layout = layout(columns);
        let (took, left) = (Duration::from_secs(65), Some(Duration::from_secs(125)));
        let line = layout.with_counts([12, 40], took, [3, 12], left);
        assert!(width(&line) < columns, "{columns}: {line}");
        line.replace("\u{1b}[36m", "").replace("\u{1b}[0m", "")
    };
    insta::assert_snapshot!([80, 60, 50, 45, 30].map(line).join("\n"), @r"
    run   ━━━━━╸              12/40  1m05s  3 failed, 12 waiting, ~2m05s left
    run 12/40  1m05s  3 failed, 12 waiting, ~2m05s left
    run 12/40  1m05s  3 failed, ~2m05s left
    run 12/40  1m05s  3 failed, ~2m05s left
    run 12/40  1m05s  3 failed
    ");
    for columns in 20..200 {
        line(columns);
    }
    let line = layout(40).run(1, 1, Duration::ZERO);
    // less than a second is left
    assert_eq!(
        layout(40).with_counts([1, 1], Duration::ZERO, [0, 0], Some(Duration::from_millis(900))),
        line
    );
}

#[test]
fn waiting_operation_has_its_reason_in_one_line() {
    let mut waits = Waits::default();
    let mut faults = Vec::new();
    let agenda = serde_json::json!({"operations": [{"name": "upload", "type": "sample"}]});
    let agenda = pop_agenda::Agenda::parse(agenda, &mut faults).unwrap();
    let catalog = pop_registry::Catalog::default();
    let plan = Plan::build(agenda, &catalog, pop_contract::LaunchType::Local, &mut faults).unwrap();
    let now = Instant::now();
    let event = RunEvent::BackedOff { op: OpIx(0), until: pop_agenda::RunTime(12_000) };
    waits.add(&plan, &EventRecord { at: pop_agenda::RunTime(0), event }, now);
    let wait = waits.iter().next().unwrap();
    for columns in 20..60 {
        let line = Layout::of(columns - 1, 6).waiting(wait, now);
        assert!(width(&line) < columns, "{columns}: {line}");
    }
    assert_eq!(Layout::of(79, 6).waiting(wait, now), "upload \u{1b}[2mnext attempt in 12s\u{1b}[0m");
    assert_eq!(Layout::of(19, 6).waiting(wait, now), "upload \u{1b}[2mnext attemp…\u{1b}[0m");
}

#[test]
fn f89_lines_fit_a_narrow_terminal() {
    for columns in 20..200 {
        screen(columns);
    }
}
