//! Handler `filmstrip`: pictures of a whole video side by side in one JPEG.

use crate::media::{self, arguments, file};
use crate::output::Unfinished;
use crate::payload::{Number, Problems};
use crate::thumbnail::one_jpeg;
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
    /// How long the video lasts.
    pub duration_seconds: Number,
    /// How many pictures.
    pub count: Number,
    /// Width of each picture; its height follows.
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
        About::new(env!("CARGO_PKG_VERSION"), "makes one picture of many out of a video")
            .error("payload", "the payload is not one of this handler")
    }

    fn validate(&self, input: &FilmstripPayload) -> Vec<DiagnosticEvent> {
        let mut problems = Problems::default();
        problems.output(&input.input, &input.output);
        problems.above_zero("durationSeconds", &input.duration_seconds);
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
        let (count, seconds) = (input.count.whole(), input.duration_seconds.value());
        let unfinished = Unfinished::begin(&input.output)?;
        let part = unfinished.part();
        let mut arguments = arguments!["-i", file(&input.input)];
        arguments.extend(one_jpeg(&filter(count, seconds, input.width.whole()), &part));
        media::ffmpeg(context, arguments, seconds, 0.0..100.0).await?;
        let made = media::probe(&part, context).await?;
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

/// One picture from the middle of each of `count` equal stretches; if the video is shorter than was said, its last
/// picture fills the rest.
fn filter(count: u32, seconds: f64, width: u32) -> String {
    format!("fps={count}/{seconds},scale={width}:-2,tpad=stop_mode=clone:stop={count},tile={count}x1")
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
        let answers = [printed("progress=end"), printed(&picture("mjpeg", 1600, 90))];
        let run = run_in_memory(&FilmstripHandler, &payload, answers).await;
        let wanted = "fps=10/20.5,scale=160:-2,tpad=stop_mode=clone:stop=10,tile=10x1";
        assert!(run.external[0].argv.iter().any(|argument| argument == wanted), "{:?}", run.external[0].argv);
        assert_eq!(
            run.report.result,
            Some(json!({"path": output, "width": 1600, "height": 90, "count": 10, "intervalSeconds": 2.05}))
        );
    }

    #[tokio::test]
    async fn wrong_numbers_are_all_said() {
        let payload =
            json!({"input": "in.mp4", "output": "s.jpg", "durationSeconds": 0, "count": 1.5, "width": 0});
        let run = run_in_memory(&FilmstripHandler, &payload, []).await;
        assert_eq!(messages(&run.report).len(), 3);
        let payload =
            json!({"input": "in.mp4", "output": "s.jpg", "durationSeconds": 9, "count": 1000, "width": 160});
        let run = run_in_memory(&FilmstripHandler, &payload, []).await;
        assert_eq!(messages(&run.report), ["`count` times `width` must be at most 65500, not 160000"]);
    }
}
