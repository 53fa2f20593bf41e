//! Checks a made file against what was promised, so that a truncated or unplayable file is never a success.

use crate::media::Media;
use pop_handler_base::HandlerError;

/// Seconds by which a made file may be shorter than promised: a tenth, at least the length of a few frames, at
/// most a second.
fn tolerance(promised: f64) -> f64 {
    (promised * 0.1).clamp(0.15, 1.0)
}

/// What a made file must be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promise<'m> {
    /// ffmpeg's name of the video codec.
    pub(crate) codec: &'static str,
    /// Width and height of the displayed picture.
    pub(crate) size: (u32, u32),
    /// Duration in seconds. None if it is unknown.
    pub(crate) seconds: Option<f64>,
    /// The file of which picture and sound must be there to their ends.
    pub(crate) source: Option<&'m Media>,
}

impl Promise<'_> {
    /// Compares the made file, named `path` in messages, with the promise.
    pub(crate) fn check(&self, path: &str, made: &Media) -> Result<(), HandlerError> {
        if made.video.codec != self.codec {
            let message = format!("`{path}` was made with {} pictures, not {}", made.video.codec, self.codec);
            return Err(HandlerError::new(message).code("codec"));
        }
        let (width, height) = (made.video.width, made.video.height);
        if (width, height) != self.size {
            let (wanted_width, wanted_height) = self.size;
            let message = format!(
                "`{path}` is displayed with {width}x{height} pixels, not {wanted_width}x{wanted_height}"
            );
            return Err(HandlerError::new(message).code("size"));
        }
        self.check_duration(path, made)
    }

    fn check_duration(&self, path: &str, made: &Media) -> Result<(), HandlerError> {
        let source_picture = self.source.and_then(|source| source.video.span.end);
        let source_sound = self.source.and_then(|source| source.audio.as_ref()?.span.end);
        if self.source.is_some_and(|source| source.audio.is_some()) && made.audio.is_none() {
            return Err(HandlerError::new(format!("`{path}` was made without sound")).code("too-short"));
        }
        let made_sound = made.audio.as_ref().and_then(|audio| audio.span.end);
        for (what, is, promised) in [
            ("", made.seconds, self.seconds),
            ("the picture of ", made.video.span.end, source_picture),
            ("the sound of ", made_sound, source_sound),
        ] {
            if let Some(promised) = promised {
                lasts(&format!("{what}`{path}`"), is.unwrap_or_default(), promised)?;
            }
        }
        Ok(())
    }
}

/// Checks that what was made is not much shorter than promised.
pub(crate) fn lasts(what: &str, seconds: f64, promised: f64) -> Result<(), HandlerError> {
    if seconds >= promised - tolerance(promised) {
        return Ok(());
    }
    let message =
        format!("{what} lasts {seconds:.2} s, not {promised:.2} s: the input is cut off or damaged");
    Err(HandlerError::new(message).code("too-short"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_file_may_lack_a_few_frames_and_no_more() {
        for (made, promised, is_good) in [
            (10.0, 10.02, true),
            (9.2, 10.0, true),
            (5.0, 10.0, false),
            (0.9, 1.0, true),
            (0.5, 1.0, false),
            (7199.5, 7200.0, true),
            (7190.0, 7200.0, false),
            (0.04, 0.04, true),
            (20.0, 10.0, true),
        ] {
            assert_eq!(lasts("a", made, promised).is_ok(), is_good, "{made} of {promised}");
        }
        let error = lasts("`a.mp4`", 5.0, 10.0).unwrap_err();
        assert_eq!(error.message(), "`a.mp4` lasts 5.00 s, not 10.00 s: the input is cut off or damaged");
    }
}
