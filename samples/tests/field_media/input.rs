//! Inputs that are refused, and names that are data.

use crate::place::{Place, each_ffmpeg, muxer};
use serde_json::{Value, json};
use std::fs;

#[test]
fn fr_f4_a_rendition_that_nobody_can_play_is_refused() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        for (name, codec) in [
            ("vp9.webm", &["-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-an"][..]),
            ("vp8.webm", &["-c:v", "libvpx", "-deadline", "realtime", "-an"]),
            ("a.gif", &["-c:v", "gif", "-an"]),
            ("mpeg4.mp4", &["-c:v", "mpeg4", "-c:a", "aac"]),
            ("flac.mkv", &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "flac"]),
            ("opus.mp4", &["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "libopus"]),
            ("colours.mp4", &["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv444p"]),
        ] {
            place.film_in(name, &["-t", "1"], codec);
            let package = json!({"renditions": [{"path": place.path(name), "height": 180}],
                "outputFolder": place.path("hls"), "segmentSeconds": 1});
            assert_eq!(place.fails("package", &package), "codec", "{name}");
        }
    });
}

/// A payload of each handler for this input.
pub(crate) fn payloads(place: &Place, input: &str) -> [(&'static str, Value); 5] {
    let output = place.path("out");
    [
        ("probe", json!({"input": input})),
        (
            "transcode",
            json!({"input": input, "output": output, "durationSeconds": 1, "height": 90, "preset": "ultrafast"}),
        ),
        ("thumbnail", json!({"input": input, "output": output, "atSeconds": 0, "width": 160})),
        (
            "filmstrip",
            json!({"input": input, "output": output, "durationSeconds": 1, "count": 2, "width": 80}),
        ),
        (
            "package",
            json!({"renditions": [{"path": input, "height": 180}], "outputFolder": place.path("hls"),
            "segmentSeconds": 1}),
        ),
    ]
}

#[test]
fn fr_f7_every_handler_says_why_an_input_is_none() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        place.make("sound.m4a", &[&["-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac"]]);
        place.film("whole.mp4", &["-t", "1"]);
        fs::write(place.path("text.mp4"), "this is no film").unwrap();
        fs::write(place.path("empty.mp4"), "").unwrap();
        fs::create_dir(place.path("folder.mp4")).unwrap();
        place.command("mkfifo", &[&place.path("fifo.mp4")]);
        for (input, code) in [
            (place.path("sound.m4a"), "no-video"),
            (place.path("gone.mp4"), "no-input"),
            (place.path("text.mp4"), "not-media"),
            (place.path("empty.mp4"), "not-media"),
            (place.path("folder.mp4"), "not-media"),
            (place.path("fifo.mp4"), "not-media"),
            ("/dev/zero".to_owned(), "not-media"),
            // names that ffmpeg would take for protocols
            (format!("concat:{}", place.path("whole.mp4")), "no-input"),
            (format!("file:{}", place.path("whole.mp4")), "no-input"),
            (format!("async://{}", place.path("whole.mp4")), "no-input"),
            ("-version".to_owned(), "no-input"),
        ] {
            for (handler, payload) in payloads(&place, &input) {
                assert_eq!(place.fails(handler, &payload), code, "{handler} of {input}");
                assert!(!place.has("out"), "{handler} of {input}");
            }
        }
    });
}

#[test]
fn fr_f7_a_film_without_a_picture_that_can_be_decoded_is_no_media() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        place.film_in(
            "whole.mp4",
            &["-t", "1", "-movflags", "+faststart"],
            &["-c:v", "libx264", "-preset", "ultrafast", "-an"],
        );
        let mut bytes = fs::read(place.path("whole.mp4")).unwrap();
        let data = bytes.windows(4).position(|four| four == b"mdat").unwrap() + 4;
        bytes[data..].fill(0);
        fs::write(place.path("zeros.mp4"), bytes).unwrap();
        for (handler, payload) in &payloads(&place, &place.path("zeros.mp4"))[1..4] {
            assert_eq!(place.fails(handler, payload), "not-media", "{handler}");
            assert!(!place.has("out"), "{handler}");
        }
    });
}

#[test]
fn fr_f7_a_name_is_data() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        for name in [
            "-v.mp4",
            "50%d%%.mp4",
            "concat:a|b.mp4",
            "a:b 'c' \"d\".mp4",
            "*?[x]{y}.mp4",
            "shot%03d.jpg",
            "loop%d.gif",
        ] {
            let codec: &[&str] = match name.rsplit('.').next() {
                Some("jpg") => &[
                    "-c:v",
                    "mjpeg",
                    "-pix_fmt",
                    "yuvj420p",
                    "-frames:v",
                    "1",
                    "-an",
                    "-f",
                    "image2",
                    "-update",
                    "1",
                ],
                Some("gif") => &["-c:v", "gif", "-an"],
                _ => &["-c:v", "libx264", "-preset", "ultrafast", "-an"],
            };
            place.film_in("plain", &["-t", "1"], &[codec, &["-f", muxer(name)]].concat());
            fs::rename(place.path("plain"), place.path(name)).unwrap();
            let is_film = codec.contains(&"libx264");
            for (handler, mut payload) in payloads(&place, name) {
                if handler == "transcode" {
                    payload["durationSeconds"] = json!(0);
                }
                if handler == "package" {
                    payload["outputFolder"] = json!("50%d%% hls");
                }
                if handler != "package" || is_film {
                    place.succeeds(handler, &payload);
                }
            }
            if is_film {
                assert!(place.has("50%d%% hls/180p/segment_00000.ts"), "{name}");
            }
        }
    });
}
