//! Handler `transcode`: makes an H.264 and AAC rendition of a video, in MP4.

use crate::ffmpeg::{self, arguments, ffmpeg, file};
use crate::filter::{self, Fit, chain};
use crate::media::{self, Media};
use crate::output::Unfinished;
use crate::payload::{Number, Problems};
use crate::verify::Promise;
use pop_handler_base::{About, DiagnosticEvent, Handler, HandlerError, OperationContext};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// The presets of libx264.
const PRESETS: [&str; 9] =
    ["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];

/// The payload of `transcode`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TranscodePayload {
    /// The video.
    pub input: String,
    /// The MP4 file to make; its folder is made too.
    pub output: String,
    /// Duration of the video in seconds. A rendition that is much shorter is a failure. Without it, or with 0, the
    /// file is asked.
    pub duration_seconds: Option<Number>,
    /// Height of the rendition. Without a width, that follows; with one, black bars fill what the picture leaves.
    pub height: Option<Number>,
    /// Width of the rendition. Without a height, that follows.
    pub width: Option<Number>,
    /// Bits a second of the picture; without it, quality decides.
    pub video_bitrate: Option<BitRate>,
    /// Bits a second of the sound.
    pub audio_bitrate: Option<BitRate>,
    /// How much time libx264 takes to make it small.
    pub preset: Option<String>,
    /// A segment can be cut every so many seconds.
    pub segment_seconds: Option<Number>,
}

/// Bits a second as ffmpeg reads them: `2500000`, `2500k` or `2.5M`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitRate(String);

impl BitRate {
    fn is_good(&self) -> bool {
        let number = self.0.strip_suffix(['k', 'M']).unwrap_or(&self.0);
        let is_plain = number.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
        is_plain && number.parse::<f64>().is_ok_and(|rate| rate > 0.0)
    }
}

impl JsonSchema for BitRate {
    fn schema_name() -> Cow<'static, str> {
        "BitRate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "number"], "description": "bits a second: 2500000, 2500k or 2.5M"})
    }
}

impl<'de> Deserialize<'de> for BitRate {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Self(match Value::deserialize(from)? {
            Value::String(text) => text,
            other => other.to_string(),
        }))
    }
}

/// The result of `transcode`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Transcoded {
    /// The file that was made, as the payload names it.
    pub path: String,
    /// Width of its picture.
    pub width: u32,
    /// Height of its picture.
    pub height: u32,
    /// How long it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// ffmpeg's name of the video codec.
    pub video_codec: String,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// Makes an H.264 and AAC rendition of a video.
#[derive(Debug, Clone, Copy, Default)]
pub struct TranscodeHandler;

impl Handler for TranscodeHandler {
    type Input = TranscodePayload;
    type Output = Transcoded;

    fn about(&self) -> About {
        media::input_errors(About::new(env!("CARGO_PKG_VERSION"), "makes a rendition of a video"))
            .error(
                "too-short",
                "the rendition is much shorter than the video should be: the input is cut off",
            )
            .error("size", "the rendition has not the size that was asked for")
            .error("codec", "the rendition has not the codec that was asked for")
    }

    fn validate(&self, input: &TranscodePayload) -> Vec<DiagnosticEvent> {
        let mut problems = Problems::default();
        problems.output(&input.input, &input.output);
        problems.duration("durationSeconds", input.duration_seconds.as_ref());
        if input.height.is_none() && input.width.is_none() {
            problems.say("`height` or `width` must be given");
        }
        for (field, size) in [("height", &input.height), ("width", &input.width)] {
            if let Some(size) = size {
                problems.even(field, size);
            }
        }
        for (field, rate) in [("videoBitrate", &input.video_bitrate), ("audioBitrate", &input.audio_bitrate)]
        {
            if let Some(rate) = rate.as_ref().filter(|rate| !rate.is_good()) {
                problems.say(format!("`{field}` must be like 2500k or 2.5M, not `{}`", rate.0));
            }
        }
        if let Some(preset) = input.preset.as_deref().filter(|preset| !PRESETS.contains(preset)) {
            problems.say(format!("`preset` must be one of {}, not `{preset}`", PRESETS.join(", ")));
        }
        if let Some(seconds) = &input.segment_seconds {
            problems.above_zero("segmentSeconds", seconds);
        }
        problems.into_diagnostics()
    }

    async fn run(
        &self,
        input: TranscodePayload,
        context: &mut OperationContext,
    ) -> Result<Transcoded, HandlerError> {
        let media = media::probe(&input.input, context).await?;
        let unfinished = Unfinished::begin(&input.output)?;
        let part = unfinished.part();
        let seconds = input.duration_seconds.as_ref().and_then(Number::known).or(media.seconds);
        let size = |size: &Option<Number>| size.as_ref().map(Number::whole);
        let fit = Fit::new(&media.video, size(&input.width), size(&input.height));
        context.progress(0.0);
        let written = ffmpeg(context, arguments(&input, &media, fit, &part), seconds, 0.0..99.0).await?;
        written.must_have_frames(&input.input)?;
        let made = media::probe(&part, context).await?;
        let promise = Promise { codec: "h264", size: fit.frame, seconds, source: Some(&media) };
        promise.check(&input.output, &made)?;
        unfinished.finish()?;
        Ok(Transcoded {
            path: input.output,
            width: made.video.width,
            height: made.video.height,
            duration_seconds: made.seconds,
            video_codec: made.video.codec,
            size_bytes: made.bytes,
        })
    }
}

fn arguments(input: &TranscodePayload, media: &Media, fit: Fit, part: &str) -> Vec<String> {
    let filter = chain([
        filter::deinterlace(&media.video),
        filter::tone_map(&media.video),
        filter::hold(media),
        Some(fit.filter()),
    ]);
    // the same film on any machine: what x264 makes depends on how many threads it has and on the processor's kind
    let mut x264 = "cpu-independent=1".to_owned();
    if media.video.frame_rate.is_none() {
        // or its level follows from a time base of milliseconds, and devices refuse the film
        x264.push_str(":fps=60");
    }
    let mut arguments = ffmpeg::input(&input.input);
    arguments.extend(media.maps());
    arguments.extend(arguments![
        "-vf",
        filter,
        "-sws_flags",
        ffmpeg::BIT_EXACT,
        // pictures keep their times; none is repeated to fill a time base of milliseconds
        "-fps_mode",
        "vfr",
        "-c:v",
        "libx264",
        "-threads:v",
        "4",
        "-x264-params",
        x264,
        "-pix_fmt",
        "yuv420p",
        "-preset",
        input.preset.as_deref().unwrap_or("fast"),
    ]);
    if let Some(rate) = &input.video_bitrate {
        arguments.extend(arguments!["-b:v", rate.0.as_str()]);
    }
    if let Some(seconds) = &input.segment_seconds {
        let every = format!("expr:gte(t,n_forced*{})", seconds.value());
        arguments.extend(arguments!["-force_key_frames", every]);
    }
    arguments.extend(arguments!["-c:a", "aac"]);
    if let Some(rate) = &input.audio_bitrate {
        arguments.extend(arguments!["-b:a", rate.0.as_str()]);
    }
    arguments.extend(arguments!["-movflags", "+faststart", "-f", "mp4", file(part)]);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{codes, failed, messages, percents, picture, printed};
    use pop_handler_base::run_in_memory;
    use serde_json::json;
    use std::fs;

    #[tokio::test]
    async fn a_rendition_is_made_under_another_name_and_told_of_as_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.mp4");
        let output = output.to_str().unwrap();
        // stands for what ffmpeg would write
        fs::write(format!("{output}.part"), "film").unwrap();
        let payload = json!({"input": "in.mp4", "output": output, "durationSeconds": "10", "height": 360,
            "videoBitrate": "800k", "audioBitrate": 96000, "preset": "veryfast", "segmentSeconds": 4});
        let told =
            "frame=75\nout_time_us=2500000\nprogress=continue\nframe=225\nout_time_us=7500000\nprogress=end";
        let answers =
            [printed(&picture("h264", 1280, 720)), printed(told), printed(&picture("h264", 640, 360))];
        let run = run_in_memory(&TranscodeHandler, &payload, answers).await;
        let part = format!("file:{output}.part");
        let wanted = format!(
            "ffmpeg -hide_banner -nostdin -y -v error -nostats -progress pipe:1 -protocol_whitelist file \
             -i file:in.mp4 -map 0:0 -vf scale=640:360,setsar=1 -sws_flags +bitexact -fps_mode vfr -c:v libx264 -threads:v 4 \
             -x264-params cpu-independent=1 -pix_fmt yuv420p -preset veryfast -b:v 800k \
             -force_key_frames expr:gte(t,n_forced*4) -c:a aac -b:a 96000 -movflags +faststart -f mp4 {part}"
        );
        assert_eq!(run.external[1].argv.join(" "), wanted);
        assert_eq!(run.external[2].argv.last(), Some(&part));
        assert_eq!(percents(&run), [0, 24, 74, 99, 100]);
        assert_eq!(
            run.report.result,
            Some(json!({"path": output, "width": 640, "height": 360, "durationSeconds": 10.0,
                "videoCodec": "h264", "sizeBytes": 5000}))
        );
        assert_eq!(fs::read_to_string(output).unwrap(), "film");
    }

    #[tokio::test]
    async fn a_failure_leaves_the_earlier_output_and_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("out.mp4");
        fs::write(&output, "earlier").unwrap();
        fs::write(folder.path().join("out.mp4.part"), "half").unwrap();
        let payload = json!({"input": "in.mp4", "output": output.to_str().unwrap(), "durationSeconds": 10, "width": 640});
        let run = run_in_memory(
            &TranscodeHandler,
            &payload,
            [printed(&picture("h264", 1280, 720)), failed(234, "Conversion failed!")],
        )
        .await;
        assert_eq!(codes(&run.report), ["external"]);
        assert_eq!(messages(&run.report), ["`ffmpeg` ended with exit status 234: Conversion failed!"]);
        assert_eq!(fs::read_to_string(&output).unwrap(), "earlier");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn everything_wrong_is_said_at_once_and_nothing_is_begun() {
        let payload = json!({"input": "", "output": " ", "durationSeconds": "soon", "height": 361,
            "videoBitrate": "fast", "preset": "quick", "segmentSeconds": -1});
        let run = run_in_memory(&TranscodeHandler, &payload, []).await;
        assert_eq!(run.external, []);
        let fields: Vec<_> = messages(&run.report).iter().filter_map(|text| text.split('`').nth(1)).collect();
        assert_eq!(
            fields,
            ["input", "output", "durationSeconds", "height", "videoBitrate", "preset", "segmentSeconds"]
        );
        assert_eq!(codes(&run.report), ["payload"; 7]);
        let payload = json!({"input": "a.mp4", "output": "a.mp4", "durationSeconds": 1});
        let run = run_in_memory(&TranscodeHandler, &payload, []).await;
        assert_eq!(messages(&run.report).len(), 2);
    }

    #[test]
    fn bit_rates_are_those_of_ffmpeg() {
        for (text, good) in [
            ("800k", true),
            ("2.5M", true),
            ("96000", true),
            ("0", false),
            ("k", false),
            ("-1k", false),
            ("1e6", false),
            ("inf", false),
            ("NaN", false),
            ("1kk", false),
        ] {
            assert_eq!(BitRate(text.to_owned()).is_good(), good, "{text}");
        }
    }
}
