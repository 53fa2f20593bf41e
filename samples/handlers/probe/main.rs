//! Says what a media file is.

fn main() -> std::process::ExitCode {
    pop_handler_base::run_handler(&pop_samples::ProbeHandler)
}
