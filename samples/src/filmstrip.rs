//! Handler `filmstrip`: pictures of a whole video side by side in one JPEG.

use crate::ffmpeg::{self, ffmpeg};
use crate::filter::{self, Fit, chain};
use crate::media::{self, Media};
use crate::output::Unfinished;
use crate::payload::{Number, Problems};
use crate::thumbnail::one_jpeg;
use crate::verify::Promise;
use pop_handler_base::{About, DiagnosticEvent, Handler, HandlerError, OperationContext};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The widest JPEG that ffmpeg makes.
const WIDEST: f64 = 65_500.0;

/// The payload of `filmstrip`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FilmstripPayload {
    /// The video.
    pub input: String,
    /// The JPEG file to make; its folder is made too.
    pub output: String,
    /// Duration of the video in seconds. Without it, or with 0, the file is asked.
    pub duration_seconds: Option<Number>,
    /// How many pictures.
    pub count: Number,
    /// Width of each picture. Its height follows from the displayed shape.
    pub width: Number,
}

/// The result of `filmstrip`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Filmstrip {
    /// The file that was made, as the payload names it.
    pub path: String,
    /// Width of the whole strip.
    pub width: u32,
    /// Height of the strip.
    pub height: u32,
    /// How many pictures it has.
    pub count: u32,
    /// The time from one picture to the next.
    pub interval_seconds: f64,
}

/// Lays pictures of a whole video side by side.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilmstripHandler;

impl Handler for FilmstripHandler {
    type Input = FilmstripPayload;
    type Output = Filmstrip;

    fn about(&self) -> About {
        media::input_errors(About::new(env!("CARGO_PKG_VERSION"), "makes one picture of many out of a video"))
            .error("no-duration", "nobody knows how long the video lasts")
    }

    fn validate(&self, input: &FilmstripPayload) -> Vec<DiagnosticEvent> {
        let mut problems = Problems::default();
        problems.output(&input.input, &input.output);
        problems.duration("durationSeconds", input.duration_seconds.as_ref());
        problems.count("count", &input.count);
        problems.even("width", &input.width);
        let whole = input.count.value() * input.width.value();
        if whole > WIDEST {
            problems.say(format!("`count` times `width` must be at most {WIDEST}, not {whole}"));
        }
        problems.into_diagnostics()
    }

    async fn run(
        &self,
        input: FilmstripPayload,
        context: &mut OperationContext,
    ) -> Result<Filmstrip, HandlerError> {
        let media = media::probe(&input.input, context).await?;
        let seconds = match input.duration_seconds.as_ref().and_then(Number::known) {
            Some(seconds) => seconds,
            None => media.measured_seconds(&input.input, context).await?.ok_or_else(|| {
                let message =
                    format!("`{}` does not say how long it lasts: give `durationSeconds`", input.input);
                HandlerError::new(message).code("no-duration")
            })?,
        };
        let count = input.count.whole();
        let fit = Fit::new(&media.video, Some(input.width.whole()), None);
        let unfinished = Unfinished::begin(&input.output)?;
        let part = unfinished.part();
        // time stamps stay as the file has them
        let mut arguments = vec!["-copyts".to_owned()];
        arguments.extend(ffmpeg::input(&input.input));
        arguments.extend(one_jpeg(&media, &strip(&media, count, seconds, fit), &part));
        let written = ffmpeg(context, arguments, Some(seconds), 0.0..99.0).await?;
        written.must_have_frames(&input.input)?;
        let made = media::probe(&part, context).await?;
        let size = (fit.frame.0 * count, fit.frame.1);
        Promise { codec: "mjpeg", size, ..Promise::default() }.check(&input.output, &made)?;
        unfinished.finish()?;
        Ok(Filmstrip {
            path: input.output,
            width: made.video.width,
            height: made.video.height,
            count,
            interval_seconds: seconds / f64::from(count),
        })
    }
}

/// The picture that is shown in the middle of each of `count` equal stretches. If the video is shorter than `seconds`,
/// its last picture fills the rest.
fn strip(media: &Media, count: u32, seconds: f64, fit: Fit) -> String {
    let interval = seconds / f64::from(count);
    let middle = media.begin + interval / 2.0;
    chain([
        filter::deinterlace(&media.video),
        // `fps` drops a video that ends before the first stretch is over, so one more picture goes in front
        Some(format!("setpts=PTS-({middle})/TB,fps={count}/{seconds}:start_time=-{interval}:round=up")),
        Some(format!("tpad=stop_mode=clone:stop={},trim=start_frame=1", count + 1)),
        filter::tone_map(&media.video),
        Some(fit.filter()),
        Some(format!("tile={count}x1")),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::{messages, picture, printed};
    use pop_handler_base::run_in_memory;
    use serde_json::json;
    use std::fs;

    #[tokio::test]
    async fn a_row_of_pictures_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("strip.jpg");
        let output = output.to_str().unwrap();
        fs::write(format!("{output}.part"), "pictures").unwrap();
        let payload =
            json!({"input": "in.mp4", "output": output, "durationSeconds": 20.5, "count": 10, "width": 160});
        let answers = [
            printed(&picture("h264", 1280, 720)),
            printed("frame=1\nprogress=end"),
            printed(&picture("mjpeg", 1600, 90)),
        ];
        let run = run_in_memory(&FilmstripHandler, &payload, answers).await;
        let wanted = "setpts=PTS-(1.025)/TB,fps=10/20.5:start_time=-2.05:round=up,tpad=stop_mode=clone:stop=11,\
                      trim=start_frame=1,scale=160:90,setsar=1,tile=10x1";
        assert!(run.external[1].argv.iter().any(|argument| argument == wanted), "{:?}", run.external[1].argv);
        assert_eq!(
            run.report.result,
            Some(json!({"path": output, "width": 1600, "height": 90, "count": 10, "intervalSeconds": 2.05}))
        );
    }

    #[tokio::test]
    async fn wrong_numbers_are_all_said() {
        let payload =
            json!({"input": "in.mp4", "output": "s.jpg", "durationSeconds": -1, "count": 1.5, "width": 0});
        let run = run_in_memory(&FilmstripHandler, &payload, []).await;
        assert_eq!(messages(&run.report).len(), 3);
        let payload =
            json!({"input": "in.mp4", "output": "s.jpg", "durationSeconds": 9, "count": 1000, "width": 160});
        let run = run_in_memory(&FilmstripHandler, &payload, []).await;
        assert_eq!(messages(&run.report), ["`count` times `width` must be at most 65500, not 160000"]);
    }
}
