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
fn f89_lines_fit_a_narrow_terminal() {
    for columns in 20..200 {
        screen(columns);
    }
}
