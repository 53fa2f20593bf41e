//! Handler `transcode`: makes an H.264 and AAC rendition of a video, in MP4.

use crate::media::{self, arguments, file};
use crate::output::Unfinished;
use crate::payload::{Number, Problems};
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
    /// How long the video lasts: what 100 percent is.
    pub duration_seconds: Number,
    /// Height of the rendition; without a width, that follows.
    pub height: Option<Number>,
    /// Width of the rendition; without a height, that follows.
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
        About::new(env!("CARGO_PKG_VERSION"), "makes a rendition of a video")
            .error("payload", "the payload is not one of this handler")
    }

    fn validate(&self, input: &TranscodePayload) -> Vec<DiagnosticEvent> {
        let mut problems = Problems::default();
        problems.output(&input.input, &input.output);
        problems.above_zero("durationSeconds", &input.duration_seconds);
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
        let unfinished = Unfinished::begin(&input.output)?;
        let part = unfinished.part();
        let seconds = input.duration_seconds.value();
        context.progress(0.0);
        media::ffmpeg(context, arguments(&input, &part), seconds, 0.0..100.0).await?;
        let made = media::probe(&part, context).await?;
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

fn arguments(input: &TranscodePayload, part: &str) -> Vec<String> {
    // -2: what keeps the shape, rounded to an even size
    let size = |size: &Option<Number>| size.as_ref().map_or("-2".to_owned(), |size| size.whole().to_string());
    let scale = format!("scale={}:{}", size(&input.width), size(&input.height));
    let mut arguments = arguments![
        "-i",
        file(&input.input),
        "-map",
        "0:V:0",
        "-map",
        "0:a:0?",
        "-vf",
        scale,
        "-sws_flags",
        media::ALIKE,
        "-c:v",
        "libx264",
        // the same film on any machine: what x264 makes depends on how many threads it has and on the processor's kind
        "-threads:v",
        "4",
        "-x264-params",
        "cpu-independent=1",
        "-pix_fmt",
        "yuv420p",
        "-preset",
        input.preset.as_deref().unwrap_or("fast"),
    ];
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
        let told = "out_time_us=2500000\nprogress=continue\nout_time_us=7500000\nprogress=end";
        let answers = [printed(told), printed(&picture("h264", 640, 360))];
        let run = run_in_memory(&TranscodeHandler, &payload, answers).await;
        let part = format!("file:{output}.part");
        let wanted = format!(
            "ffmpeg -hide_banner -nostdin -y -v error -nostats -progress pipe:1 -i file:in.mp4 -map 0:V:0 \
             -map 0:a:0? -vf scale=-2:360 -sws_flags +bitexact -c:v libx264 -threads:v 4 \
             -x264-params cpu-independent=1 -pix_fmt yuv420p -preset veryfast -b:v 800k \
             -force_key_frames expr:gte(t,n_forced*4) -c:a aac -b:a 96000 -movflags +faststart -f mp4 {part}"
        );
        assert_eq!(run.external[0].argv.join(" "), wanted);
        assert_eq!(run.external[1].argv.last(), Some(&part));
        assert_eq!(percents(&run), [0, 25, 75, 100, 100]);
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
        let run = run_in_memory(&TranscodeHandler, &payload, [failed(234, "Conversion failed!")]).await;
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
