//! Which pictures are made, in which shape and colours.

use crate::input::payloads;
use crate::place::{Place, each_ffmpeg};
use serde_json::{Value, json};

/// 20 s of picture that grows lighter with time, a key picture every 2 s, and sound.
const LIGHTER: &str = "color=black:s=160x90:r=25,format=gray,geq=lum='20+T*10'";

/// The second that the thumbnail shows, by its lightness.
fn shown_at(place: &Place, name: &str, at: f64) -> f64 {
    let payload =
        json!({"input": place.path(name), "output": place.path("t.jpg"), "atSeconds": at, "width": 160});
    place.succeeds("thumbnail", &payload);
    (place.lightness("t.jpg") - 20.0) / 10.0
}

#[test]
fn fr_f2_the_picture_that_is_shown_at_a_time_is_taken() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        let x264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50"];
        place.make("gop2.ts", &[&["-f", "lavfi", "-i", LIGHTER, "-t", "20"], &x264[..]]);
        let between =
            ["-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-g", "1000", "-pix_fmt", "yuv420p"];
        place.make("long.ts", &[&["-f", "lavfi", "-i", LIGHTER, "-t", "8"], &between[..]]);
        place.make("between.mp4", &[&["-i", &place.path("long.ts"), "-c", "copy"]]);
        place.make(
            "live.mkv",
            &[&["-i", &place.path("long.ts"), "-c", "copy", "-f", "matroska", "-live", "1"]],
        );
        place.make("cut.mp4", &[&["-ss", "3.3", "-i", &place.path("between.mp4"), "-c", "copy"]]);
        for (name, at, wanted) in [
            ("gop2.ts", 0.0, 0.0),
            ("gop2.ts", 11.0, 11.0),
            ("gop2.ts", 19.0, 19.0),
            ("gop2.ts", 20.0, 19.96),
            ("long.ts", 5.0, 5.0),
            ("between.mp4", 7.0, 7.0),
            ("between.mp4", 8.0, 7.96),
            ("live.mkv", 6.0, 6.0),
            ("cut.mp4", 1.0, 4.3),
        ] {
            let shown = shown_at(&place, name, at);
            // JPEG and the limited range cost a step of lightness
            assert!((shown - wanted).abs() < 0.25, "{name} at {at}: {shown} instead of {wanted}");
        }
        let late = json!({"input": place.path("live.mkv"), "output": place.path("t.jpg"), "atSeconds": 30, "width": 160});
        assert_eq!(place.fails("thumbnail", &late), "no-picture");
    });
}

/// `held.mp4`: 2 s of picture and 6 s of sound. `late.mp4`: a picture that begins after 3 s of 6.
pub(crate) fn held_and_late(place: &Place) {
    let x264 =
        ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-fps_mode", "vfr"];
    let sound = ["-f", "lavfi", "-i", "sine=d=6"];
    place
        .make("held.mp4", &[&["-f", "lavfi", "-i", &format!("{LIGHTER},trim=end=2")], &sound[..], &x264[..]]);
    let late = ["-itsoffset", "3", "-f", "lavfi", "-i", &format!("{LIGHTER},trim=end=3")];
    place.make("late.mp4", &[&late[..], &sound[..], &x264[..]]);
    for name in ["held", "late"] {
        for format in ["mkv", "ts"] {
            let input = place.path(&format!("{name}.mp4"));
            place.make(&format!("{name}.{format}"), &[&["-i", &input, "-c", "copy"]]);
        }
    }
}

#[test]
fn fr_f2_a_held_last_picture_and_a_late_first_one_are_shown() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        held_and_late(&place);
        for (name, at, wanted) in [
            ("held.mp4", 5.0, 1.96),
            ("held.mkv", 5.0, 1.96),
            ("held.ts", 5.0, 1.96),
            ("late.mp4", 1.0, 0.0),
            ("late.mp4", 4.0, 1.0),
            ("late.ts", 1.0, 0.0),
        ] {
            let shown = shown_at(&place, name, at);
            assert!((shown - wanted).abs() < 0.25, "{name} at {at}: {shown} instead of {wanted}");
        }
    });
}

#[test]
fn fr_f5_pictures_are_not_multiplied() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        // a screen recording: 30 pictures in the first second, then one a second, times in milliseconds
        let screen = "testsrc2=s=160x90:r=30:d=5,settb=1/1000,setpts='PTS+floor(random(0)*25)',\
                      select='lt(t,1)+not(mod(n,30))'";
        let variable = ["-f", "lavfi", "-i", screen, "-fps_mode", "passthrough", "-enc_time_base", "1:1000"];
        place.make(
            "screen.mkv",
            &[&variable, &["-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-pix_fmt", "yuv420p"]],
        );
        place.make(
            "one.mp4",
            &[&["-f", "lavfi", "-i", "testsrc2=s=160x90:d=0.04", "-c:v", "libx264", "-pix_fmt", "yuv420p"]],
        );
        for (name, most) in [("screen.mkv", 40), ("one.mp4", 1)] {
            let rendition = place.succeeds("transcode", &place.rendition(name, &json!({"height": 90})));
            let stream = &place.looked_at(rendition["path"].as_str().unwrap())["streams"][0];
            let frames: u32 = stream["nb_frames"].as_str().unwrap().parse().unwrap();
            assert!((1..=most).contains(&frames), "{name}: {frames}");
            // the level of a film with 1000 pictures a second is one that devices refuse
            assert!(stream["level"].as_u64().unwrap() <= 20, "{name}: {}", stream["level"]);
        }
    });
}

#[test]
fn fr_f6_pictures_are_made_as_they_are_displayed() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        place.film_in(
            "wide.mp4",
            &["-t", "1", "-vf", "scale=160:90"],
            &["-c:v", "libx264", "-preset", "ultrafast"],
        );
        for degrees in [90, 180, 270] {
            place.rotate("wide.mp4", &format!("turned{degrees}.mp4"), degrees);
        }
        place.film_in(
            "anamorphic.mp4",
            &["-t", "1", "-vf", "scale=180:144,setsar=64/45"],
            &["-c:v", "libx264", "-preset", "ultrafast"],
        );
        place.film_in(
            "odd.mkv",
            &["-t", "1", "-vf", "scale=161:91,setsar=1,format=yuv444p"],
            &["-c:v", "libx264", "-preset", "ultrafast"],
        );
        for (name, shown, thumbnail, rendition) in [
            ("turned90.mp4", [90, 160], [80, 142], [50, 90]),
            ("turned180.mp4", [160, 90], [80, 46], [160, 90]),
            ("turned270.mp4", [90, 160], [80, 142], [50, 90]),
            ("anamorphic.mp4", [256, 144], [80, 46], [160, 90]),
            ("odd.mkv", [161, 91], [80, 46], [160, 90]),
        ] {
            let size =
                |result: &Value| [result["width"].as_u64().unwrap(), result["height"].as_u64().unwrap()];
            let input = place.path(name);
            assert_eq!(size(&place.succeeds("probe", &json!({"input": input}))), shown, "{name}");
            let payload =
                json!({"input": input, "output": place.path("t.jpg"), "atSeconds": 0.5, "width": 80});
            assert_eq!(size(&place.succeeds("thumbnail", &payload)), thumbnail, "{name}");
            let payload = json!({"input": input, "output": place.path("s.jpg"), "count": 2, "width": 80});
            assert_eq!(size(&place.succeeds("filmstrip", &payload)), [160, thumbnail[1]], "{name}");
            let made = place.succeeds("transcode", &place.rendition(name, &json!({"height": 90})));
            assert_eq!(size(&made), rendition, "{name}");
            let stream = &place.looked_at(made["path"].as_str().unwrap())["streams"][0];
            assert_eq!(stream["sample_aspect_ratio"], "1:1", "{name}");
            assert_eq!([&stream["width"], &stream["height"]], [rendition[0], rendition[1]], "{name}");
        }
        // a picture of another shape gets bars, and is not squeezed
        let both = place.rendition("turned90.mp4", &json!({"width": 160, "height": 90}));
        assert_eq!(place.succeeds("transcode", &both)["width"], 160);
        // MPEG-TS knows no rotation
        let package = json!({"renditions": [{"path": place.path("turned90.mp4"), "height": 160}],
            "outputFolder": place.path("hls"), "segmentSeconds": 1});
        assert_eq!(place.fails("package", &package), "size");
    });
}

#[test]
fn fr_f8_the_last_picture_fills_the_strip() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        let one =
            ["-f", "lavfi", "-i", "color=white:s=160x90:d=0.04", "-c:v", "libx264", "-pix_fmt", "yuv420p"];
        place.make("one.mp4", &[&one[..]]);
        place.make("still.png", &[&["-f", "lavfi", "-i", "color=white:s=160x90:d=0.04"]]);
        let sound = ["-f", "lavfi", "-i", "sine=d=4", "-c:a", "aac"];
        place.make("sound.mp4", &[&one[..4], &sound, &one[4..]]);
        for name in ["one.mp4", "still.png", "sound.mp4"] {
            let payload = json!({"input": place.path(name), "output": place.path("s.jpg"), "durationSeconds": 20,
                "count": 10, "width": 80});
            assert_eq!(place.succeeds("filmstrip", &payload)["width"], 800, "{name}");
            assert!(place.lightness("s.jpg") > 230.0, "{name}: the strip has holes");
        }
        // a cover picture is no video
        place.make(
            "cover.mp3",
            &[
                &["-f", "lavfi", "-i", "sine=d=1", "-i", &place.path("still.png")],
                &[
                    "-map",
                    "0",
                    "-map",
                    "1",
                    "-c:v",
                    "copy",
                    "-c:a",
                    "libmp3lame",
                    "-disposition:v",
                    "attached_pic",
                ],
            ],
        );
        for (handler, payload) in payloads(&place, &place.path("cover.mp3")) {
            assert_eq!(place.fails(handler, &payload), "no-video", "{handler}");
        }
    });
}

#[test]
fn fr_f9_interlaced_pictures_are_made_whole() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        // a bar that moves fast: its fields form a comb
        let bar =
            "color=black:s=160x96:r=50:d=1,format=gray,geq=lum='if(lt(mod(X-T*400\\,160)\\,40)\\,235\\,16)'";
        for (name, order) in [("top.mp4", "tff"), ("bottom.mp4", "bff")] {
            let mode = if order == "tff" { "interleave_top" } else { "interleave_bottom" };
            let weave = format!("{bar},tinterlace={mode},setfield={order},format=yuv420p");
            let x264 = format!("{order}=1");
            place.make(
                name,
                &[&[
                    "-f",
                    "lavfi",
                    "-i",
                    &weave,
                    "-c:v",
                    "libx264",
                    "-preset",
                    "veryfast",
                    "-flags",
                    "+ildct+ilme",
                    "-x264-params",
                    &x264,
                ]],
            );
            let combed = place.combing(name);
            let made = place
                .succeeds("transcode", &place.rendition(name, &json!({"height": 96, "preset": "veryfast"})));
            let whole = place.combing(made["path"].as_str().unwrap());
            assert!(whole * 3.0 < combed, "{name}: {whole} of {combed}");
            let payload = json!({"input": place.path(name), "output": place.path("t.jpg"), "atSeconds": 0.5, "width": 160});
            place.succeeds("thumbnail", &payload);
            let whole = place.combing("t.jpg");
            assert!(whole * 3.0 < combed, "{name}: {whole} of {combed}");
        }
    });
}

#[test]
fn fr_f9_the_default_track_is_heard() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        let inputs = [
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=160x90:d=1",
            "-f",
            "lavfi",
            "-i",
            "sine=d=1,volume=-40dB",
            "-f",
            "lavfi",
            "-i",
            "sine=d=1",
        ];
        let streams = [
            "-map",
            "0",
            "-map",
            "1",
            "-map",
            "2",
            "-c:v",
            "libx264",
            "-preset",
            "ultrafast",
            "-pix_fmt",
            "yuv420p",
            "-c:a",
            "aac",
            "-disposition:a",
            "0",
        ];
        place.make("second.mkv", &[&inputs, &streams, &["-disposition:a:1", "default"]]);
        place.make("none.mkv", &[&inputs, &streams, &["-default_mode", "passthrough"]]);
        let loudness = |name: &str| {
            let made = place.succeeds("transcode", &place.rendition(name, &json!({"height": 90})));
            place.loudness(made["path"].as_str().unwrap())
        };
        assert!(loudness("second.mkv") > -30.0);
        assert!(loudness("none.mkv") < -40.0);
    });
}

#[test]
fn fr_f9_a_high_dynamic_range_is_told_and_mapped() {
    each_ffmpeg(|ffmpeg| {
        let place = Place::new(ffmpeg);
        for (transfer, name) in [("smpte2084", "HDR10"), ("arib-std-b67", "HLG")] {
            let x265 = format!("log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc");
            let colours = [
                "-pix_fmt",
                "yuv420p10le",
                "-color_primaries",
                "bt2020",
                "-color_trc",
                transfer,
                "-colorspace",
                "bt2020nc",
            ];
            let codec = ["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", &x265];
            place.make("hdr.mp4", &[&["-f", "lavfi", "-i", "testsrc2=s=160x90:d=0.4"], &codec, &colours]);
            let info = place.succeeds("probe", &json!({"input": place.path("hdr.mp4")}));
            assert_eq!(info["dynamicRange"], name);
            let made = place.succeeds("transcode", &place.rendition("hdr.mp4", &json!({"height": 90})));
            let stream = &place.looked_at(made["path"].as_str().unwrap())["streams"][0];
            assert_eq!(
                (&stream["color_transfer"], &stream["pix_fmt"]),
                (&json!("bt709"), &json!("yuv420p")),
                "{name}"
            );
            let payload = json!({"input": place.path("hdr.mp4"), "output": place.path("t.jpg"), "atSeconds": 0, "width": 160});
            place.succeeds("thumbnail", &payload);
        }
    });
}
