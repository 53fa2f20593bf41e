//! ffmpeg and ffprobe: how they are called, and what ffprobe's answer means.

use pop_handler_base::{Exit, FfmpegProgress, HandlerError, OperationContext, Program, Stream};
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;

/// What stands at the beginning of every call of ffmpeg: overwrite, ask nothing, tell errors and progress only.
const FFMPEG: [&str; 9] =
    ["ffmpeg", "-hide_banner", "-nostdin", "-y", "-v", "error", "-nostats", "-progress", "pipe:1"];
const FFPROBE: [&str; 7] = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams"];

/// For `-sws_flags`: pictures are scaled alike by any kind of processor.
pub(crate) const ALIKE: &str = "+bitexact";

/// An argument that ffmpeg takes for this path, whatever letters it has; a URL stays one.
pub(crate) fn file(path: &str) -> String {
    if path.contains("://") { path.to_owned() } else { format!("file:{path}") }
}

/// Owns arguments: what is written in the code and what is made there stand in one list.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => { vec![$(String::from($argument)),*] };
}
pub(crate) use arguments;

/// Runs ffmpeg. Its work lasts `seconds` of media and is this `share` of the operation's percentage.
pub(crate) async fn ffmpeg(
    context: &mut OperationContext,
    arguments: Vec<String>,
    seconds: f64,
    share: Range<f64>,
) -> Result<(), HandlerError> {
    let argv = FFMPEG.iter().map(|&argument| argument.to_owned()).chain(arguments).collect();
    let progress = FfmpegProgress::of_seconds(seconds);
    let tell = |line: &pop_handler_base::Line, context: &mut OperationContext| {
        if line.stream == Stream::Stdout
            && let Some(percent) = progress.percent(&line.text)
        {
            context.progress(share.start + percent / 100.0 * (share.end - share.start));
        }
    };
    context.external(Program { argv, ..Program::default() }).on_line(tell).run().await?;
    Ok(())
}

/// What a media file is, as far as these handlers ask.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Media {
    pub(crate) seconds: Option<f64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) bit_rate: Option<u64>,
    pub(crate) video: Video,
    pub(crate) audio: Option<Audio>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Video {
    pub(crate) codec: String,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) frame_rate: Option<f64>,
    profile: Option<String>,
    level: Option<i64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Audio {
    pub(crate) codec: String,
    profile: Option<String>,
}

/// Asks ffprobe what a file is; one without a video stream is an error.
pub(crate) async fn probe(path: &str, context: &mut OperationContext) -> Result<Media, HandlerError> {
    let argv = FFPROBE.iter().map(|&argument| argument.to_owned()).chain([file(path)]).collect();
    let end = context.external(Program { argv, ..Program::default() }).run_to_any_end().await?;
    if end.exit != Exit::Code(0) {
        let is_missing = !path.contains("://") && !Path::new(path).exists();
        let (what, code) = if is_missing {
            ("does not exist", "no-input")
        } else {
            ("cannot be read as media", "not-media")
        };
        let why = end.last_errors.last().map(|line| format!(" ({line})")).unwrap_or_default();
        let error = HandlerError::new(format!("`{path}` {what}: ffprobe ended with {}{why}", end.exit));
        return Err(error.code(code).payload(end.last_errors));
    }
    let answer: Answer = serde_json::from_str(&end.stdout).map_err(|error| {
        HandlerError::new(format!("ffprobe's answer about `{path}` is not as expected: {error}"))
            .code("ffprobe")
    })?;
    answer
        .into_media()
        .ok_or_else(|| HandlerError::new(format!("`{path}` has no video stream")).code("no-video"))
}

impl Media {
    /// The codecs as RFC 6381 names them; none if one of them is not known here.
    pub(crate) fn codecs(&self) -> Option<String> {
        let video = self.video.rfc6381()?;
        match &self.audio {
            None => Some(video),
            Some(audio) => Some(format!("{video},{}", audio.rfc6381()?)),
        }
    }
}

impl Video {
    fn rfc6381(&self) -> Option<String> {
        if self.codec != "h264" {
            return None;
        }
        let profile = match self.profile.as_deref()? {
            "Constrained Baseline" => "42c0",
            "Baseline" => "4200",
            "Main" => "4d40",
            "High" => "6400",
            "High 10" => "6e00",
            _ => return None,
        };
        let level = self.level.filter(|level| (1..=255).contains(level))?;
        Some(format!("avc1.{profile}{level:02x}"))
    }
}

impl Audio {
    fn rfc6381(&self) -> Option<String> {
        let object = match (self.codec.as_str(), self.profile.as_deref()) {
            ("aac", Some("LC")) => "40.2",
            ("aac", Some("HE-AAC")) => "40.5",
            ("aac", Some("HE-AACv2")) => "40.29",
            ("mp3", _) => "40.34",
            _ => return None,
        };
        Some(format!("mp4a.{object}"))
    }
}

/// ffprobe's answer; its numbers are mostly text.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<AnswerStream>,
    #[serde(default)]
    format: AnswerFormat,
}

#[derive(Debug, Default, Deserialize)]
struct AnswerFormat {
    duration: Option<String>,
    size: Option<String>,
    bit_rate: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AnswerStream {
    codec_type: Option<String>,
    codec_name: Option<String>,
    profile: Option<String>,
    level: Option<i64>,
    width: Option<u32>,
    height: Option<u32>,
    avg_frame_rate: Option<String>,
    r_frame_rate: Option<String>,
    duration: Option<String>,
    #[serde(default)]
    disposition: Disposition,
}

#[derive(Debug, Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    attached_pic: u8,
}

impl Answer {
    fn into_media(self) -> Option<Media> {
        let of_type = |kind: &str| {
            // a picture of the cover is no video
            let is_real = |stream: &&AnswerStream| stream.disposition.attached_pic == 0;
            self.streams.iter().filter(is_real).find(|stream| stream.codec_type.as_deref() == Some(kind))
        };
        let video = of_type("video")?;
        let audio = of_type("audio").map(|stream| Audio {
            codec: stream.codec_name.clone().unwrap_or_default(),
            profile: stream.profile.clone(),
        });
        let seconds =
            [&self.format.duration, &video.duration].into_iter().find_map(|text| number(text.as_ref()));
        Some(Media {
            seconds,
            bytes: number(self.format.size.as_ref()),
            bit_rate: number(self.format.bit_rate.as_ref()),
            video: Video {
                codec: video.codec_name.clone().unwrap_or_default(),
                width: video.width?,
                height: video.height?,
                frame_rate: [&video.avg_frame_rate, &video.r_frame_rate]
                    .into_iter()
                    .find_map(|text| frames_a_second(text.as_deref()?)),
                profile: video.profile.clone(),
                level: video.level,
            },
            audio,
        })
    }
}

fn number<T: std::str::FromStr>(text: Option<&String>) -> Option<T> {
    text?.parse().ok()
}

/// `30000/1001` as 29.97.
fn frames_a_second(text: &str) -> Option<f64> {
    let (frames, seconds) = text.split_once('/')?;
    let rate = frames.parse::<f64>().ok()? / seconds.parse::<f64>().ok()?;
    (rate.is_finite() && rate > 0.0).then(|| (rate * 1_000.0).round() / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn media(answer: serde_json::Value) -> Option<Media> {
        serde_json::from_value::<Answer>(answer).unwrap().into_media()
    }

    #[test]
    fn frame_rates_are_fractions() {
        for (text, rate) in [("30/1", Some(30.0)), ("30000/1001", Some(29.97)), ("0/0", None), ("25", None)] {
            assert_eq!(frames_a_second(text), rate, "{text}");
        }
    }

    #[test]
    fn a_cover_picture_is_no_video() {
        let cover = json!({"codec_type": "video", "codec_name": "mjpeg", "width": 600, "height": 600,
            "disposition": {"attached_pic": 1}});
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

    #[test]
    fn a_path_is_no_option_and_no_protocol() {
        assert_eq!(file("-v"), "file:-v");
        assert_eq!(file("a:b.mp4"), "file:a:b.mp4");
        assert_eq!(file("https://example.org/in.mp4"), "https://example.org/in.mp4");
    }
}
