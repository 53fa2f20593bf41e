//! The handler `probe` as a program.

fn main() -> std::process::ExitCode {
    pop_handler_base::run_handler(&pop_samples::ProbeHandler)
}
