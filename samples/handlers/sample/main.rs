//! Logs, fails or calls a program, as its payload says.

fn main() -> std::process::ExitCode {
    pop_handler_base::run_handler(&pop_handler_base::SampleHandler)
}
