//! How long films last: cut off, of unknown duration, with sound and no picture.

use crate::picture::held_and_late;
use crate::place::{Place, approximately, each_ffmpeg};
use serde_json::json;
use std::fs;

#[test]
fn fr_f1_a_film_that_is_cut_off_is_no_success() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        place.film("whole.mkv", &["-t", "4"]);
        place.film("whole.mp4", &["-t", "4", "-movflags", "+faststart"]);
        place.film("late-index.mp4", &["-t", "4"]);
        for (name, code) in
            [("whole.mkv", "too-short"), ("whole.mp4", "too-short"), ("late-index.mp4", "not-media")]
        {
            let bytes = fs::read(place.path(name)).unwrap();
            let half = format!("half-{name}");
            fs::write(place.path(&half), &bytes[..bytes.len() / 2]).unwrap();
            let payload = place.rendition(&half, &json!({"durationSeconds": 4}));
            assert_eq!(place.fails("transcode", &payload), code, "{name}");
            assert!(!place.has("out.mp4"), "{name}");
            let package = json!({"renditions": [{"path": place.path(&half), "height": 180}],
                "outputFolder": place.path("hls"), "segmentSeconds": 1});
            assert_eq!(place.fails("package", &package), code, "{name}");
            assert!(!place.has("hls/master.m3u8"));
        }
    });
}

#[test]
fn fr_f1_a_transport_stream_that_is_cut_off_keeps_no_promise_of_its_payload() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        place.film("whole.ts", &["-t", "4"]);
        let bytes = fs::read(place.path("whole.ts")).unwrap();
        fs::write(place.path("half.ts"), &bytes[..bytes.len() / 2]).unwrap();
        let payload = place.rendition("half.ts", &json!({"durationSeconds": 4}));
        assert_eq!(place.fails("transcode", &payload), "too-short");
        let rendition = json!({"path": place.path("half.ts"), "height": 180, "durationSeconds": 4.0});
        let package =
            json!({"renditions": [rendition], "outputFolder": place.path("hls"), "segmentSeconds": 1});
        assert_eq!(place.fails("package", &package), "too-short");
        // without a promise, what is there is all there is
        place.succeeds("transcode", &place.rendition("half.ts", &json!({})));
    });
}

/// The sum of the segments' durations in a playlist.
fn extinf(place: &Place, playlist: &str) -> f64 {
    let text = fs::read_to_string(place.path(playlist)).unwrap();
    let seconds =
        text.lines().filter_map(|line| line.strip_prefix("#EXTINF:")?.split(',').next()?.parse::<f64>().ok());
    seconds.sum()
}

#[test]
fn fr_f3_a_package_lasts_as_long_as_its_film_or_fails() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        held_and_late(&place);
        for name in ["held.mp4", "late.mp4", "held.mkv", "late.mkv", "held.ts", "late.ts"] {
            let direct = json!({"renditions": [{"path": place.path(name), "height": 90}],
                "outputFolder": place.path("hls"), "segmentSeconds": 2});
            assert_eq!(place.fails("package", &direct), "too-short", "{name}");
            // a rendition has its picture from the beginning to the end of the sound
            let rendition = place
                .succeeds("transcode", &place.rendition(name, &json!({"height": 90, "segmentSeconds": 2})));
            let package =
                json!({"renditions": [rendition], "outputFolder": place.path("hls"), "segmentSeconds": 2});
            place.succeeds("package", &package);
            let sum = extinf(&place, "hls/90p/playlist.m3u8");
            assert!((5.7..6.3).contains(&sum), "{name}: {sum}");
        }
        // sound that ends early is no fault
        place.film("quiet.mp4", &["-t", "3", "-af", "atrim=end=1"]);
        let rendition =
            place.succeeds("transcode", &place.rendition("quiet.mp4", &json!({"segmentSeconds": 1})));
        let package =
            json!({"renditions": [rendition], "outputFolder": place.path("hls"), "segmentSeconds": 1});
        place.succeeds("package", &package);
        let sum = extinf(&place, "hls/180p/playlist.m3u8");
        assert!((2.9..3.1).contains(&sum), "{sum}");
    });
}

#[test]
fn fr_f8_a_film_of_unknown_duration_is_made_without_a_percentage() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        place.film_in(
            "live.mkv",
            &["-t", "3"],
            &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-live", "1"],
        );
        let info = place.succeeds("probe", &json!({"input": place.path("live.mkv")}));
        assert_eq!(info.get("durationSeconds"), None);
        for fields in [json!({}), json!({"durationSeconds": 0}), json!({"durationSeconds": "0"})] {
            let made = place.succeeds("transcode", &place.rendition("live.mkv", &fields));
            approximately(made["durationSeconds"].as_f64().unwrap(), 3.0);
        }
        let payload =
            json!({"input": place.path("live.mkv"), "output": place.path("s.jpg"), "count": 3, "width": 80});
        approximately(place.succeeds("filmstrip", &payload)["intervalSeconds"].as_f64().unwrap(), 1.0);
    });
}

#[test]
fn fr_f10_percent_is_monotone_and_ends_at_100_only_with_success() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        place.film("whole.mkv", &["-t", "4"]);
        let bytes = fs::read(place.path("whole.mkv")).unwrap();
        fs::write(place.path("half.mkv"), &bytes[..bytes.len() / 2]).unwrap();
        let good = place.percents("transcode", &place.rendition("whole.mkv", &json!({})));
        assert!(good.is_sorted() && good.last() == Some(&100.0), "{good:?}");
        let bad = place.percents("transcode", &place.rendition("half.mkv", &json!({})));
        assert!(bad.is_sorted() && bad.last().is_none_or(|last| *last < 100.0), "{bad:?}");
    });
}
