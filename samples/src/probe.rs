//! Handler `probe`: says what a media file is.

use crate::media;
use crate::payload::Problems;
use pop_handler_base::{About, DiagnosticEvent, Handler, HandlerError, OperationContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The payload of `probe`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbePayload {
    /// The file to look at.
    pub input: String,
}

/// The result of `probe`; what the file does not tell is left out.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MediaInfo {
    /// The file, as the payload names it.
    pub path: String,
    /// Duration of picture and sound, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_seconds: Option<f64>,
    /// Width of the picture as displayed: turned upright, in square pixels.
    pub width: u32,
    /// Height of the picture as displayed.
    pub height: u32,
    /// ffmpeg's name of the video codec.
    pub video_codec: String,
    /// ffmpeg's name of the audio codec, if there is sound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio_codec: Option<String>,
    /// Pictures a second, to three decimals.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<f64>,
    /// Kind of high dynamic range: HDR10 or HLG.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamic_range: Option<String>,
    /// Bits a second, of everything in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bit_rate: Option<u64>,
    /// Its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// Says what a media file is.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProbeHandler;

impl Handler for ProbeHandler {
    type Input = ProbePayload;
    type Output = MediaInfo;

    fn about(&self) -> About {
        media::input_errors(About::new(env!("CARGO_PKG_VERSION"), "tells what is in a media file"))
    }

    fn validate(&self, input: &ProbePayload) -> Vec<DiagnosticEvent> {
        let mut problems = Problems::default();
        problems.path("input", &input.input);
        problems.into_diagnostics()
    }

    async fn run(
        &self,
        input: ProbePayload,
        context: &mut OperationContext,
    ) -> Result<MediaInfo, HandlerError> {
        let media = media::probe(&input.input, context).await?;
        Ok(MediaInfo {
            path: input.input,
            duration_seconds: media.seconds,
            width: media.video.width,
            height: media.video.height,
            video_codec: media.video.codec,
            audio_codec: media.audio.map(|audio| audio.codec),
            frame_rate: media.video.frame_rate,
            dynamic_range: media.video.dynamic_range.map(|range| range.name().to_owned()),
            bit_rate: media.bit_rate,
            size_bytes: media.bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{codes, failed, printed};
    use pop_handler_base::run_in_memory;
    use serde_json::json;

    #[tokio::test]
    async fn the_answer_of_ffprobe_becomes_the_result() {
        let answer = json!({
            "streams": [
                {"codec_type": "video", "codec_name": "h264", "width": 1280, "height": 720, "avg_frame_rate": "30/1"},
                {"codec_type": "audio", "codec_name": "aac"}],
            "format": {"duration": "20.5", "size": "1000", "bit_rate": "390"}});
        let run =
            run_in_memory(&ProbeHandler, &json!({"input": "a b.mp4"}), [printed(&answer.to_string())]).await;
        assert_eq!(
            run.external[0].argv,
            [
                "ffprobe",
                "-v",
                "error",
                "-of",
                "json",
                "-show_format",
                "-show_streams",
                "-protocol_whitelist",
                "file",
                "-i",
                "file:a b.mp4"
            ]
        );
        assert_eq!(
            run.report.result,
            Some(json!({"path": "a b.mp4", "durationSeconds": 20.5, "width": 1280, "height": 720,
                "videoCodec": "h264", "audioCodec": "aac", "frameRate": 30.0, "bitRate": 390, "sizeBytes": 1000}))
        );
    }

    #[tokio::test]
    async fn every_failure_has_its_code() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let real = json!({"input": file.path().to_str().unwrap()});
        let gone = json!({"input": "/nowhere/in.mp4"});
        let sound =
            json!({"streams": [{"codec_type": "audio", "codec_name": "aac"}], "format": {}}).to_string();
        for (payload, answer, code) in [
            (&real, failed(1, "Invalid data found when processing input"), "not-media"),
            (&gone, failed(1, "No such file or directory"), "no-input"),
            (&real, printed(&sound), "no-video"),
            (&real, printed("no JSON"), "ffprobe"),
        ] {
            let run = run_in_memory(&ProbeHandler, payload, [answer]).await;
            assert_eq!(codes(&run.report), [code]);
        }
        let run = run_in_memory(&ProbeHandler, &json!({"input": ""}), []).await;
        assert_eq!((codes(&run.report), run.external.len()), (vec!["payload".to_owned()], 0));
    }
}
