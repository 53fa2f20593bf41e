//! Cuts renditions into HLS segments with their playlists.

fn main() -> std::process::ExitCode {
    pop_handler_base::run_handler(&pop_samples::PackageHandler)
}
