//! Takes one picture out of a video.

fn main() -> std::process::ExitCode {
    pop_handler_base::run_handler(&pop_samples::ThumbnailHandler)
}
