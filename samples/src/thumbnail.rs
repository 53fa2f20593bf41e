//! Handler `thumbnail`: takes one picture out of a video, as JPEG.

use crate::ffmpeg::{self, arguments, ffmpeg, file};
use crate::filter::{self, Fit, chain};
use crate::media::{self, Media};
use crate::output::Unfinished;
use crate::payload::{Number, Problems};
use crate::verify::Promise;
use pop_handler_base::{About, DiagnosticEvent, Handler, HandlerError, OperationContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The payload of `thumbnail`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ThumbnailPayload {
    /// The video.
    pub input: String,
    /// The JPEG file to make; its folder is made too.
    pub output: String,
    /// Time of the picture in seconds, from the beginning of the video.
    pub at_seconds: Number,
    /// Width of the picture. Its height follows from the displayed shape.
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
        media::input_errors(About::new(env!("CARGO_PKG_VERSION"), "takes one picture out of a video"))
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
        let media = media::probe(&input.input, context).await?;
        let end = media.measured_seconds(&input.input, context).await?;
        if end.is_some_and(|end| at > end + END_ROUNDING) {
            let message = format!("`{}` has no picture at {at} seconds", input.input);
            return Err(HandlerError::new(message).code("no-picture"));
        }
        let unfinished = Unfinished::begin(&input.output)?;
        let part = unfinished.part();
        let fit = Fit::new(&media.video, Some(input.width.whole()), None);
        let shown = Shown::find(&input.input, &media, at, context).await?;
        let written =
            ffmpeg(context, shown.arguments(&input.input, &media, fit, &part), None, 50.0..99.0).await?;
        written.must_have_frames(&input.input)?;
        let made = media::probe(&part, context).await?;
        Promise { codec: "mjpeg", size: fit.frame, ..Promise::default() }.check(&input.output, &made)?;
        unfinished.finish()?;
        Ok(Thumbnail { path: input.output, width: made.video.width, height: made.video.height })
    }
}

/// Seconds by which files round their end.
const END_ROUNDING: f64 = 0.1;
/// How many seconds before the wanted time decoding begins, one attempt after the other. The last attempt begins at the
/// beginning of the file.
const LEADS: [f64; 3] = [2.0, 20.0, f64::INFINITY];

/// The picture that is shown at a time: the last one that begins before it.
///
/// A seek is not exact. In a transport stream it may lead behind the key picture that is needed, and a picture may be
/// shown for any time. So this decodes from an earlier place up to the wanted time and counts the pictures. Without any,
/// it begins earlier.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Shown {
    /// Where decoding begins, in seconds.
    from: f64,
    /// Number of the picture among those that are decoded.
    number: u64,
}

impl Shown {
    async fn find(
        path: &str,
        media: &Media,
        at: f64,
        context: &mut OperationContext,
    ) -> Result<Self, HandlerError> {
        for lead in LEADS {
            let from = (at - lead).max(0.0);
            let mut arguments = seek(from);
            arguments.extend(ffmpeg::input(path));
            // a millisecond more, for times are rounded
            let until = Some(format!("trim=end={:.6}", media.begin + at + 0.001));
            let filter = chain([filter::deinterlace(&media.video), until]);
            let map = format!("0:{}", media.video.index);
            arguments.extend(arguments![
                "-map",
                map,
                "-vf",
                filter,
                "-fps_mode",
                "passthrough",
                "-f",
                "null",
                "-"
            ]);
            let counted = ffmpeg(context, arguments, None, 0.0..50.0).await;
            if context.cancellation().is_cancelled() {
                counted?;
            } else if let Some(last) = counted.ok().and_then(|written| written.frames.checked_sub(1)) {
                return Ok(Self { from, number: last });
            }
            if from <= 0.0 {
                break;
            }
        }
        // no picture begins before: the first one is shown
        Ok(Self { from: 0.0, number: 0 })
    }

    /// Arguments that make it a JPEG file.
    fn arguments(&self, path: &str, media: &Media, fit: Fit, part: &str) -> Vec<String> {
        let mut arguments = seek(self.from);
        arguments.extend(ffmpeg::input(path));
        let filter = chain([
            filter::deinterlace(&media.video),
            Some(format!("select=eq(n\\,{})", self.number)),
            filter::tone_map(&media.video),
            Some(fit.filter()),
        ]);
        arguments.extend(one_jpeg(media, &filter, part));
        arguments
    }
}

/// Arguments before the input by which decoding begins at the key picture before this time. Time stamps stay: in a
/// transport stream of which only the video is read, ffmpeg would count from the first picture.
fn seek(from: f64) -> Vec<String> {
    let mut arguments = arguments!["-copyts"];
    if from > 0.0 {
        arguments.extend(arguments!["-noaccurate_seek", "-ss", from.to_string()]);
    }
    arguments
}

/// Arguments that make one JPEG file out of the video stream.
pub(crate) fn one_jpeg(media: &Media, filter: &str, part: &str) -> Vec<String> {
    arguments![
        "-map",
        format!("0:{}", media.video.index),
        "-vf",
        filter,
        "-sws_flags",
        ffmpeg::BIT_EXACT,
        "-fps_mode",
        "passthrough",
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
    use std::path::Path;

    #[tokio::test]
    async fn one_picture_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("t.jpg");
        let output = output.to_str().unwrap();
        fs::write(format!("{output}.part"), "picture").unwrap();
        let payload = json!({"input": "in.mp4", "output": output, "atSeconds": 8.5, "width": "320"});
        let answers = [
            printed(&picture("h264", 1280, 720)),
            printed("frame=0\nprogress=end"),
            printed("frame=196\nprogress=end"),
            printed("frame=1\nprogress=end"),
            printed(&picture("mjpeg", 320, 180)),
        ];
        let run = run_in_memory(&ThumbnailHandler, &payload, answers).await;
        let argv = |index: usize| run.external[index].argv.join(" ");
        let count = "-copyts -noaccurate_seek -ss 6.5 -protocol_whitelist file -i file:in.mp4 -map 0:0 -vf trim=end=8.501000 \
                     -fps_mode passthrough -f null -";
        assert!(argv(1).ends_with(count), "{}", argv(1));
        // nothing can be decoded from there, so from the beginning
        let count = "pipe:1 -copyts -protocol_whitelist file -i file:in.mp4 -map 0:0 -vf trim=end=8.501000 -fps_mode passthrough -f null -";
        assert!(argv(2).ends_with(count), "{}", argv(2));
        let wanted = format!(
            "pipe:1 -copyts -protocol_whitelist file -i file:in.mp4 -map 0:0 -vf select=eq(n\\,195),scale=320:180,setsar=1 \
             -sws_flags +bitexact -fps_mode passthrough -frames:v 1 -c:v mjpeg -pix_fmt yuvj420p -q:v 3 -update 1 \
             -f image2 file:{output}.part"
        );
        assert!(argv(3).ends_with(&wanted), "{}", argv(3));
        assert_eq!(run.report.result, Some(json!({"path": output, "width": 320, "height": 180})));
        assert!(Path::new(output).exists());
    }

    #[tokio::test]
    async fn no_picture_at_that_time_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("t.jpg");
        let payload =
            json!({"input": "in.mp4", "output": output.to_str().unwrap(), "atSeconds": 99, "width": 320});
        let run = run_in_memory(&ThumbnailHandler, &payload, [printed(&picture("h264", 1280, 720))]).await;
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
