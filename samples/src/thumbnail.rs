//! Handler `thumbnail`: takes one picture out of a video, as JPEG.

use crate::media::{self, arguments, file};
use crate::output::Unfinished;
use crate::payload::{Number, Problems};
use pop_handler_base::{About, DiagnosticEvent, Handler, HandlerError, OperationContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The payload of `thumbnail`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ThumbnailPayload {
    /// The video.
    pub input: String,
    /// The JPEG file to make; its folder is made too.
    pub output: String,
    /// The time of the picture.
    pub at_seconds: Number,
    /// Width of the picture; its height follows.
    pub width: Number,
}

/// The result of `thumbnail`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Thumbnail {
    /// The file that was made, as the payload names it.
    pub path: String,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

/// Takes one picture out of a video.
#[derive(Debug, Clone, Copy, Default)]
pub struct ThumbnailHandler;

impl Handler for ThumbnailHandler {
    type Input = ThumbnailPayload;
    type Output = Thumbnail;

    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "takes one picture out of a video")
            .error("payload", "the payload is not one of this handler")
            .error("no-picture", "the video has no picture at that time")
    }

    fn validate(&self, input: &ThumbnailPayload) -> Vec<DiagnosticEvent> {
        let mut problems = Problems::default();
        problems.output(&input.input, &input.output);
        problems.not_negative("atSeconds", &input.at_seconds);
        problems.even("width", &input.width);
        problems.into_diagnostics()
    }

    async fn run(
        &self,
        input: ThumbnailPayload,
        context: &mut OperationContext,
    ) -> Result<Thumbnail, HandlerError> {
        let at = input.at_seconds.value();
        let unfinished = Unfinished::begin(&input.output)?;
        let part = unfinished.part();
        let mut arguments = arguments!["-ss", at.to_string(), "-i", file(&input.input)];
        arguments.extend(one_jpeg(&format!("scale={}:-2", input.width.whole()), &part));
        media::ffmpeg(context, arguments, 1.0, 0.0..100.0).await?;
        // ffmpeg finds it no error that there was nothing to write
        if !Path::new(&part).exists() {
            let message = format!("`{}` has no picture at {at} seconds", input.input);
            return Err(HandlerError::new(message).code("no-picture"));
        }
        let made = media::probe(&part, context).await?;
        unfinished.finish()?;
        Ok(Thumbnail { path: input.output, width: made.video.width, height: made.video.height })
    }
}

/// Arguments that make one JPEG file out of the first video stream.
pub(crate) fn one_jpeg(filter: &str, part: &str) -> Vec<String> {
    arguments![
        "-map",
        "0:V:0",
        "-vf",
        filter,
        "-sws_flags",
        media::ALIKE,
        "-frames:v",
        "1",
        "-c:v",
        "mjpeg",
        "-pix_fmt",
        "yuvj420p",
        "-q:v",
        "3",
        // the name of the output is no pattern
        "-update",
        "1",
        "-f",
        "image2",
        file(part),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{codes, messages, picture, printed};
    use pop_handler_base::run_in_memory;
    use serde_json::json;
    use std::fs;

    #[tokio::test]
    async fn one_picture_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("t.jpg");
        let output = output.to_str().unwrap();
        fs::write(format!("{output}.part"), "picture").unwrap();
        let payload = json!({"input": "in.mp4", "output": output, "atSeconds": 1.5, "width": "320"});
        let answers = [printed("progress=end"), printed(&picture("mjpeg", 320, 180))];
        let run = run_in_memory(&ThumbnailHandler, &payload, answers).await;
        let argv = run.external[0].argv.join(" ");
        let wanted = format!(
            "-ss 1.5 -i file:in.mp4 -map 0:V:0 -vf scale=320:-2 -sws_flags +bitexact -frames:v 1 -c:v mjpeg \
             -pix_fmt yuvj420p -q:v 3 -update 1 -f image2 file:{output}.part"
        );
        assert!(argv.ends_with(&wanted), "{argv}");
        assert_eq!(run.report.result, Some(json!({"path": output, "width": 320, "height": 180})));
        assert!(Path::new(output).exists());
    }

    #[tokio::test]
    async fn no_picture_at_that_time_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("t.jpg");
        let payload =
            json!({"input": "in.mp4", "output": output.to_str().unwrap(), "atSeconds": 99, "width": 320});
        let run = run_in_memory(&ThumbnailHandler, &payload, [printed("progress=end")]).await;
        assert_eq!(messages(&run.report), ["`in.mp4` has no picture at 99 seconds"]);
        assert_eq!(codes(&run.report), ["no-picture"]);
    }

    #[tokio::test]
    async fn wrong_numbers_are_all_said() {
        let payload = json!({"input": "in.mp4", "output": "t.jpg", "atSeconds": -1, "width": 319});
        let run = run_in_memory(&ThumbnailHandler, &payload, []).await;
        assert_eq!(codes(&run.report), ["payload", "payload"]);
        assert_eq!(run.external, []);
    }
}
