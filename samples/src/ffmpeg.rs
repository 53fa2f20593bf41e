//! Calls of ffmpeg and ffprobe: arguments, progress and failures.

use pop_handler_base::{
    Exit, ExternalEnd, FfmpegProgress, HandlerError, Line, OperationContext, Program, Stream,
};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The first arguments of every call of ffmpeg: overwrite, ask nothing, print errors and progress only.
const FFMPEG: [&str; 9] =
    ["ffmpeg", "-hide_banner", "-nostdin", "-y", "-v", "error", "-nostats", "-progress", "pipe:1"];
const FFPROBE: [&str; 7] = ["ffprobe", "-v", "error", "-of", "json", "-show_format", "-show_streams"];

/// For `-sws_flags`: scaling gives the same pictures on every kind of processor.
pub(crate) const BIT_EXACT: &str = "+bitexact";

/// Names that end so are opened by ffmpeg's image reader, which takes `%d` and `*` for patterns.
const IMAGE_EXTENSIONS: [&str; 11] =
    ["jpg", "jpeg", "png", "bmp", "tif", "tiff", "webp", "jp2", "jxl", "tga", "ppm"];

/// Makes a list of owned arguments.
macro_rules! arguments {
    ($($argument:expr),* $(,)?) => { vec![$(String::from($argument)),*] };
}
pub(crate) use arguments;

/// Whether an input is read over the network. Every other name is a path, whatever colons it has.
pub(crate) fn is_url(path: &str) -> bool {
    path.starts_with("http://") || path.starts_with("https://")
}

/// The argument by which ffmpeg opens this path as a file. A path may begin with `-` or look like a protocol.
pub(crate) fn file(path: &str) -> String {
    format!("file:{path}")
}

/// The arguments by which ffmpeg and ffprobe read an input.
pub(crate) fn input(path: &str) -> Vec<String> {
    if is_url(path) {
        let protocols = "http,https,httpproxy,tcp,tls,crypto,data";
        return arguments!["-protocol_whitelist", protocols, "-i", path];
    }
    let mut arguments = arguments!["-protocol_whitelist", "file"];
    let extension =
        Path::new(path).extension().map(|end| end.to_string_lossy().to_lowercase()).unwrap_or_default();
    if path.contains(['%', '*', '?', '{', '[']) {
        if IMAGE_EXTENSIONS.contains(&extension.as_str()) {
            arguments.extend(arguments!["-f", "image2", "-pattern_type", "none"]);
        } else if extension == "gif" {
            arguments.extend(arguments!["-f", "gif"]);
        }
    }
    arguments.extend(arguments!["-i", file(path)]);
    arguments
}

/// What ffmpeg wrote, by its last progress block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Written {
    /// Pictures written.
    pub(crate) frames: u64,
    /// Seconds of media written. None if ffmpeg does not know.
    pub(crate) seconds: Option<f64>,
}

impl Written {
    /// ffmpeg may succeed and have written nothing, for example when no picture can be decoded.
    pub(crate) fn must_have_frames(&self, input: &str) -> Result<(), HandlerError> {
        if self.frames > 0 {
            return Ok(());
        }
        let message = format!("`{input}` has no picture that can be decoded");
        Err(HandlerError::new(message).code("not-media"))
    }
}

/// Runs ffmpeg. Its work lasts `seconds` of media, if that is known, and is this `share` of the operation's
/// percentage.
pub(crate) async fn ffmpeg(
    context: &mut OperationContext,
    arguments: Vec<String>,
    seconds: Option<f64>,
    share: Range<f64>,
) -> Result<Written, HandlerError> {
    ffmpeg_in(None, context, arguments, seconds, share).await
}

/// The same, started in a folder.
pub(crate) async fn ffmpeg_in(
    working_directory: Option<PathBuf>,
    context: &mut OperationContext,
    arguments: Vec<String>,
    seconds: Option<f64>,
    share: Range<f64>,
) -> Result<Written, HandlerError> {
    let argv = FFMPEG.iter().map(|&argument| argument.to_owned()).chain(arguments).collect();
    let mut progress = seconds.map_or_else(FfmpegProgress::of_unknown_duration, FfmpegProgress::of_seconds);
    let report = |line: &Line, context: &mut OperationContext| {
        if line.stream == Stream::Stdout
            && let Some(percent) = progress.percent(&line.text)
        {
            context.progress(share.start + percent / 100.0 * (share.end - share.start));
        }
    };
    let program = Program { argv, working_directory, ..Program::default() };
    let end = context.external(program).on_line(report).run_to_any_end().await?;
    if end.exit != Exit::Code(0) {
        return Err(failure(end, progress.frames().unwrap_or_default()));
    }
    context.progress(share.end);
    Ok(Written { frames: progress.frames().unwrap_or_default(), seconds: progress.seconds() })
}

/// Why ffmpeg failed after it wrote this many pictures. Input that it cannot read has the same code in every handler.
fn failure(end: ExternalEnd, frames: u64) -> HandlerError {
    let is_unreadable =
        end.last_errors.iter().any(|line| line.contains("Invalid data found when processing input"));
    let code = match (is_unreadable, frames) {
        (false, _) => "external",
        (true, 0) => "not-media",
        // cut off or damaged after a good beginning
        (true, _) => "too-short",
    };
    let last = end.last_errors.last().map(|line| format!(": {line}")).unwrap_or_default();
    let error = HandlerError::new(format!("`ffmpeg` ended with {}{last}", end.exit));
    error.code(code).payload(end.last_errors)
}

/// Runs ffprobe on a file and returns its JSON, or how it failed.
pub(crate) async fn ffprobe(path: &str, context: &mut OperationContext) -> Result<ExternalEnd, HandlerError> {
    let argv = FFPROBE.iter().map(|&argument| argument.to_owned()).chain(input(path)).collect();
    context.external(Program { argv, ..Program::default() }).run_to_any_end().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fr_f7_a_path_is_no_option_no_protocol_and_no_pattern() {
        for (path, wanted) in [
            ("-v", "-i file:-v"),
            ("a:b.mp4", "-i file:a:b.mp4"),
            ("file:a.mp4", "-i file:file:a.mp4"),
            ("concat:a|b", "-i file:concat:a|b"),
            ("subfile://a.mp4", "-i file:subfile://a.mp4"),
            ("%d.mp4", "-i file:%d.mp4"),
            ("50%d.jpg", "-f image2 -pattern_type none -i file:50%d.jpg"),
            ("a*.GIF", "-f gif -i file:a*.GIF"),
        ] {
            assert_eq!(input(path).join(" "), format!("-protocol_whitelist file {wanted}"));
        }
        let url = input("https://example.org/in.mp4");
        assert_eq!(url[2..], ["-i", "https://example.org/in.mp4"]);
        assert!(!url[1].contains("file"), "a page of the network names no files of this machine");
    }
}
