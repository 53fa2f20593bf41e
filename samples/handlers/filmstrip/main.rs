//! Lays pictures of a whole video side by side.

fn main() -> std::process::ExitCode {
    pop_handler_base::run_handler(&pop_samples::FilmstripHandler)
}
