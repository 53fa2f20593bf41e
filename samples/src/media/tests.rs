//! ffprobe's answers and what they mean.

use super::*;
use serde_json::{Value, json};

fn media(answer: Value) -> Option<Media> {
    let answer = serde_json::from_value::<Answer>(answer).unwrap();
    answer.media(answer.stream("video")?)
}

/// The model of a file with one video stream that has these fields.
fn film(fields: &Value) -> Video {
    let mut stream = json!({"codec_type": "video", "codec_name": "h264", "width": 640, "height": 360});
    stream.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    media(json!({"streams": [stream]})).unwrap().video
}

#[test]
fn frame_rates_are_fractions() {
    for (text, rate) in [("30/1", Some(30.0)), ("30000/1001", Some(29.97)), ("0/0", None), ("25", None)] {
        assert_eq!(film(&json!({"avg_frame_rate": text})).frame_rate, rate, "{text}");
    }
}

#[test]
fn fr_f5_a_time_base_of_milliseconds_is_no_frame_rate() {
    for (average, base, rate) in [
        ("0/0", "1000/1", None),
        ("85/7", "1000/1", Some(12.143)),
        ("0/0", "90000/1", None),
        ("0/0", "50/1", Some(50.0)),
    ] {
        assert_eq!(
            film(&json!({"avg_frame_rate": average, "r_frame_rate": base})).frame_rate,
            rate,
            "{average} {base}"
        );
    }
}

#[test]
fn fr_f6_the_size_is_the_displayed_one() {
    let turned =
        |degrees: f64| json!({"side_data_list": [{"side_data_type": "Display Matrix", "rotation": degrees}]});
    for (fields, size) in [
        (json!({}), (640, 360)),
        (turned(90.0), (360, 640)),
        (turned(-90.0), (360, 640)),
        (turned(180.0), (640, 360)),
        (turned(-270.0), (360, 640)),
        (turned(45.0), (640, 360)),
        (json!({"sample_aspect_ratio": "4:3"}), (853, 360)),
        (json!({"sample_aspect_ratio": "0:1"}), (640, 360)),
        (json!({"sample_aspect_ratio": "N/A"}), (640, 360)),
        (json!({"sample_aspect_ratio": "1:2", "side_data_list": [{}, {"rotation": 90}]}), (360, 320)),
    ] {
        let video = film(&fields);
        assert_eq!((video.width, video.height), size, "{fields}");
    }
}

#[test]
fn fr_f9_field_order_and_dynamic_range_are_read() {
    for (order, wanted) in [
        ("tt", Some(FieldOrder::TopFirst)),
        ("bt", Some(FieldOrder::TopFirst)),
        ("bb", Some(FieldOrder::BottomFirst)),
        ("tb", Some(FieldOrder::BottomFirst)),
        ("progressive", None),
        ("unknown", None),
    ] {
        assert_eq!(film(&json!({"field_order": order})).field_order, wanted, "{order}");
    }
    for (transfer, wanted) in
        [("smpte2084", Some("HDR10")), ("arib-std-b67", Some("HLG")), ("bt709", None), ("unknown", None)]
    {
        let found = film(&json!({"color_transfer": transfer})).dynamic_range;
        assert_eq!(found.map(DynamicRange::name), wanted, "{transfer}");
    }
}

#[test]
fn fr_f9_the_default_track_is_taken_or_the_first() {
    let sound = |index: u32, is_default: u8| json!({"index": index, "codec_type": "audio", "codec_name": "aac", "disposition": {"default": is_default}});
    let film = json!({"index": 0, "codec_type": "video", "width": 2, "height": 2});
    for (defaults, wanted) in [([0, 1], 2), ([1, 0], 1), ([0, 0], 1), ([1, 1], 1)] {
        let streams = json!({"streams": [film, sound(1, defaults[0]), sound(2, defaults[1])]});
        assert_eq!(media(streams).unwrap().audio.unwrap().index, wanted, "{defaults:?}");
    }
}

#[test]
fn fr_f8_a_cover_picture_is_no_video() {
    let cover = json!({"codec_type": "video", "codec_name": "mjpeg", "width": 600, "height": 600,
        "disposition": {"attached_pic": 1, "default": 1}});
    let film = json!({"codec_type": "video", "codec_name": "h264", "width": 640, "height": 360,
        "avg_frame_rate": "0/0", "r_frame_rate": "25/1", "duration": "2.5"});
    let sound = json!({"codec_type": "audio", "codec_name": "mp3"});
    assert_eq!(media(json!({"streams": [cover, sound], "format": {}})), None);
    let media =
        media(json!({"streams": [cover, film], "format": {"size": "10", "bit_rate": "N/A"}})).unwrap();
    assert_eq!((media.video.width, media.video.frame_rate, media.seconds), (640, Some(25.0), Some(2.5)));
    assert_eq!((media.bytes, media.bit_rate, media.audio), (Some(10), None, None));
}

#[test]
fn fr_f3_streams_have_a_begin_and_an_end() {
    let file = |format: Value, video: Value, audio: Value| {
        let stream = |kind: &str, fields: Value| {
            let mut stream = json!({"codec_type": kind, "width": 2, "height": 2});
            stream.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            stream
        };
        let media =
            media(json!({"streams": [stream("video", video), stream("audio", audio)], "format": format}))
                .unwrap();
        let round = |number: f64| (number * 1e3).round() / 1e3;
        let span = media.video.span;
        (round(span.start), span.end.map(round), media.seconds.map(round))
    };
    // a transport stream begins at 1.4 s; subtitles last longer
    let transport = file(
        json!({"start_time": "1.400000", "duration": "30.0"}),
        json!({"start_time": "4.423222", "duration": "4.0"}),
        json!({"start_time": "1.4", "duration": "6.8"}),
    );
    assert_eq!(transport, (3.023, Some(7.023), Some(7.023)));
    // Matroska has the end of a stream in a tag
    let matroska = file(
        json!({"start_time": "0.0", "duration": "10.023"}),
        json!({"start_time": "0.023", "tags": {"DURATION-eng": "00:00:02.023000000"}}),
        json!({"tags": {"DURATION": "00:01:10.023000000"}}),
    );
    assert_eq!(matroska, (0.023, Some(2.023), Some(70.023)));
    assert_eq!(file(json!({"duration": "N/A"}), json!({}), json!({})), (0.0, None, None));
    assert_eq!(file(json!({"duration": "9.5"}), json!({}), json!({"duration": "3"})), (0.0, None, Some(9.5)));
}

#[test]
fn codecs_are_named_only_if_all_are_known() {
    let streams = |profile: &str, audio: &str| {
        let media = media(json!({"streams": [
            {"codec_type": "video", "codec_name": "h264", "profile": profile, "level": 31, "width": 2, "height": 2},
            {"codec_type": "audio", "codec_name": audio, "profile": "LC"}]}));
        media.unwrap().codecs()
    };
    assert_eq!(streams("High", "aac").as_deref(), Some("avc1.64001f,mp4a.40.2"));
    assert_eq!(streams("Constrained Baseline", "mp3").as_deref(), Some("avc1.42c01f,mp4a.40.34"));
    assert_eq!(streams("High", "opus"), None);
    assert_eq!(streams("High 4:4:4 Predictive", "aac"), None);
}
