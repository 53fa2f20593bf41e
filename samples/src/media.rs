//! The model of a media file: its video and sound as a player shows them, read from ffprobe's answer.

use crate::ffmpeg;
use pop_handler_base::{About, Exit, HandlerError, OperationContext};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::{self, File};

/// The most pictures a second that a stream may claim. Formats with a time base of milliseconds claim 1000.
const RATE_CREDIBLE: f64 = 240.0;

/// A media file, as far as these handlers ask.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Media {
    /// Time stamp in seconds at which the file begins. A transport stream may begin anywhere.
    pub(crate) begin: f64,
    /// Duration of picture and sound in seconds. None if the file does not say.
    pub(crate) seconds: Option<f64>,
    pub(crate) bytes: Option<u64>,
    pub(crate) bit_rate: Option<u64>,
    pub(crate) video: Video,
    pub(crate) audio: Option<Audio>,
}

/// The video stream that a player shows: the default one or the first, cover pictures left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Video {
    /// Number of the stream in the file.
    pub(crate) index: u32,
    pub(crate) codec: String,
    /// Width as displayed: turned upright, in square pixels.
    pub(crate) width: u32,
    /// Height as displayed.
    pub(crate) height: u32,
    /// Pictures a second. None if they vary and no average is known.
    pub(crate) frame_rate: Option<f64>,
    pub(crate) span: Span,
    /// Which field of an interlaced picture comes first. None for whole pictures.
    pub(crate) field_order: Option<FieldOrder>,
    /// None for standard colours.
    pub(crate) dynamic_range: Option<DynamicRange>,
    pub(crate) profile: Option<String>,
    pub(crate) level: Option<i64>,
}

/// The audio stream that a player plays: the default one or the first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Audio {
    /// Number of the stream in the file.
    pub(crate) index: u32,
    pub(crate) codec: String,
    pub(crate) span: Span,
    pub(crate) profile: Option<String>,
}

/// Begin and end of a stream, in seconds from the beginning of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Span {
    pub(crate) start: f64,
    /// None if the file does not say.
    pub(crate) end: Option<f64>,
}

/// Which field of an interlaced picture is displayed first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldOrder {
    TopFirst,
    BottomFirst,
}

/// Kind of high dynamic range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DynamicRange {
    Hdr10,
    Hlg,
}

impl DynamicRange {
    /// Its usual name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hdr10 => "HDR10",
            Self::Hlg => "HLG",
        }
    }
}

/// The same description with the codes of failures that every media handler reports about its input.
pub(crate) fn input_errors(about: About) -> About {
    about
        .error("payload", "the payload is not one of this handler")
        .error("no-input", "the input does not exist or cannot be opened")
        .error("not-media", "the input is no media file, is empty, or cannot be decoded")
        .error("no-video", "the input has no video stream")
}

/// Reads a file with ffprobe. A missing file, one that is no media and one without video are errors with a code.
pub(crate) async fn probe(path: &str, context: &mut OperationContext) -> Result<Media, HandlerError> {
    // reading a FIFO or a device could take for ever
    if !ffmpeg::is_url(path)
        && let Ok(metadata) = fs::metadata(path)
        && !metadata.is_file()
    {
        let what = if metadata.is_dir() { "it is a folder" } else { "it is not a regular file" };
        return Err(HandlerError::new(format!("`{path}` cannot be read as media: {what}")).code("not-media"));
    }
    let end = ffmpeg::ffprobe(path, context).await?;
    if end.exit != Exit::Code(0) {
        let (what, code) = match File::open(path) {
            Err(error) if !ffmpeg::is_url(path) => (format!("cannot be opened: {error}"), "no-input"),
            _ => ("cannot be read as media".to_owned(), "not-media"),
        };
        let why = end.last_errors.last().map(|line| format!(" ({line})")).unwrap_or_default();
        let error = HandlerError::new(format!("`{path}` {what}: ffprobe ended with {}{why}", end.exit));
        return Err(error.code(code).payload(end.last_errors));
    }
    let answer: Answer = serde_json::from_str(&end.stdout).map_err(|error| {
        HandlerError::new(format!("ffprobe's answer about `{path}` is not as expected: {error}"))
            .code("ffprobe")
    })?;
    let Some(video) = answer.stream("video") else {
        return Err(HandlerError::new(format!("`{path}` has no video stream")).code("no-video"));
    };
    answer.media(video).ok_or_else(|| {
        HandlerError::new(format!("`{path}` has a video stream without size, which cannot be decoded"))
            .code("not-media")
    })
}

impl Media {
    /// The duration. A file that does not say it is read to its end, without decoding.
    pub(crate) async fn measured_seconds(
        &self,
        path: &str,
        context: &mut OperationContext,
    ) -> Result<Option<f64>, HandlerError> {
        if self.seconds.is_some() {
            return Ok(self.seconds);
        }
        let mut arguments = ffmpeg::input(path);
        arguments.extend(self.maps());
        arguments.extend(["-c", "copy", "-f", "null", "-"].map(str::to_owned));
        Ok(ffmpeg::ffmpeg(context, arguments, None, 0.0..0.0).await?.seconds)
    }

    /// Arguments that choose the video and audio stream.
    pub(crate) fn maps(&self) -> Vec<String> {
        let streams = [Some(self.video.index), self.audio.as_ref().map(|audio| audio.index)];
        streams.into_iter().flatten().flat_map(|index| ["-map".to_owned(), format!("0:{index}")]).collect()
    }

    /// The codecs as RFC 6381 names them. None if one of them is unknown here.
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

/// ffprobe's answer. Most of its numbers are text.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    streams: Vec<AnswerStream>,
    #[serde(default)]
    format: AnswerFormat,
}

#[derive(Debug, Default, Deserialize)]
struct AnswerFormat {
    start_time: Option<String>,
    duration: Option<String>,
    size: Option<String>,
    bit_rate: Option<String>,
}

#[derive(Debug, Deserialize)]
struct AnswerStream {
    #[serde(default)]
    index: u32,
    codec_type: Option<String>,
    codec_name: Option<String>,
    profile: Option<String>,
    level: Option<i64>,
    width: Option<u32>,
    height: Option<u32>,
    sample_aspect_ratio: Option<String>,
    field_order: Option<String>,
    color_transfer: Option<String>,
    avg_frame_rate: Option<String>,
    r_frame_rate: Option<String>,
    start_time: Option<String>,
    duration: Option<String>,
    #[serde(default)]
    disposition: Disposition,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    side_data_list: Vec<SideData>,
}

#[derive(Debug, Default, Deserialize)]
struct Disposition {
    #[serde(default)]
    default: u8,
    #[serde(default)]
    attached_pic: u8,
}

#[derive(Debug, Deserialize)]
struct SideData {
    rotation: Option<f64>,
}

impl Answer {
    /// The stream of this kind that a player takes: the default one or the first. A cover picture is no video.
    fn stream(&self, kind: &str) -> Option<&AnswerStream> {
        let is_one = |stream: &&AnswerStream| {
            stream.disposition.attached_pic == 0 && stream.codec_type.as_deref() == Some(kind)
        };
        let mut streams = self.streams.iter().filter(is_one);
        streams.clone().find(|stream| stream.disposition.default != 0).or_else(|| streams.next())
    }

    /// The model of the file. None if its picture has no size.
    fn media(&self, video: &AnswerStream) -> Option<Media> {
        let begin = seconds(self.format.start_time.as_ref()).unwrap_or_default();
        let (width, height) = video.displayed()?;
        let video = Video {
            index: video.index,
            codec: video.codec_name.clone().unwrap_or_default(),
            width,
            height,
            frame_rate: [&video.avg_frame_rate, &video.r_frame_rate]
                .into_iter()
                .filter_map(|text| ratio(text.as_deref()?, '/'))
                .find(|rate| *rate <= RATE_CREDIBLE)
                .map(|rate| (rate * 1_000.0).round() / 1_000.0),
            span: video.span(begin),
            field_order: match video.field_order.as_deref() {
                Some("tt" | "bt") => Some(FieldOrder::TopFirst),
                Some("bb" | "tb") => Some(FieldOrder::BottomFirst),
                _ => None,
            },
            dynamic_range: match video.color_transfer.as_deref() {
                Some("smpte2084") => Some(DynamicRange::Hdr10),
                Some("arib-std-b67") => Some(DynamicRange::Hlg),
                _ => None,
            },
            profile: video.profile.clone(),
            level: video.level,
        };
        let audio = self.stream("audio").map(|stream| Audio {
            index: stream.index,
            codec: stream.codec_name.clone().unwrap_or_default(),
            span: stream.span(begin),
            profile: stream.profile.clone(),
        });
        Some(Media {
            begin,
            seconds: self.duration(&video, audio.as_ref()),
            bytes: number(self.format.size.as_ref()),
            bit_rate: number(self.format.bit_rate.as_ref()),
            video,
            audio,
        })
    }

    /// The end of picture and sound if both are known, for subtitles may last longer; otherwise what the file says.
    fn duration(&self, video: &Video, audio: Option<&Audio>) -> Option<f64> {
        let ends = match audio {
            None => video.span.end,
            Some(audio) => video.span.end.and_then(|end| Some(end.max(audio.span.end?))),
        };
        ends.or_else(|| seconds(self.format.duration.as_ref())).or(video.span.end).filter(|end| *end > 0.0)
    }
}

impl AnswerStream {
    /// Width and height as a player shows them.
    fn displayed(&self) -> Option<(u32, u32)> {
        let (width, height) = (self.width?, self.height?);
        if width == 0 || height == 0 {
            return None;
        }
        let aspect = self.sample_aspect_ratio.as_deref().and_then(|text| ratio(text, ':')).unwrap_or(1.0);
        let width = (f64::from(width) * aspect).round().max(1.0) as u32;
        let turns = self.side_data_list.iter().find_map(|data| data.rotation).unwrap_or_default() / 90.0;
        // what ffmpeg turns itself: quarters, to about a degree
        let is_quarter = (turns - turns.round()).abs() < 1.0 / 90.0 && turns.round() % 2.0 != 0.0;
        Some(if is_quarter { (height, width) } else { (width, height) })
    }

    /// Begin and end, in seconds from the beginning of the file.
    fn span(&self, begin: f64) -> Span {
        let start = seconds(self.start_time.as_ref()).unwrap_or(begin);
        let end = match seconds(self.duration.as_ref()) {
            Some(duration) => Some(start + duration),
            // Matroska tells the end of a stream, in a tag that may also name a language
            None => self
                .tags
                .iter()
                .find(|(name, _)| name.starts_with("DURATION"))
                .and_then(|(_, text)| clock(text)),
        };
        Span { start: start - begin, end: end.map(|end| end - begin).filter(|end| *end > 0.0) }
    }
}

fn number<T: std::str::FromStr>(text: Option<&String>) -> Option<T> {
    text?.parse().ok()
}

fn seconds(text: Option<&String>) -> Option<f64> {
    number(text).filter(|seconds: &f64| seconds.is_finite())
}

/// `00:00:10.023000000` as 10.023.
fn clock(text: &str) -> Option<f64> {
    text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))
}

/// `30000/1001` as 29.97, `64:45` as 1.42.
fn ratio(text: &str, separator: char) -> Option<f64> {
    let (one, other) = text.split_once(separator)?;
    let ratio = one.parse::<f64>().ok()? / other.parse::<f64>().ok()?;
    (ratio.is_finite() && ratio > 0.0).then_some(ratio)
}

#[cfg(test)]
#[path = "media/tests.rs"]
mod tests;
