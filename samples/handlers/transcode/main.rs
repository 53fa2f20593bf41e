//! Makes an H.264 and AAC rendition of a video.

fn main() -> std::process::ExitCode {
    pop_handler_base::run_handler(&pop_samples::TranscodeHandler)
}
