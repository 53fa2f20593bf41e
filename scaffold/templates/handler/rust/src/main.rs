//! Handler `{{name}}` as a program.

use {{crate}}::Repeat;

fn main() -> std::process::ExitCode {
    pop_handler_base::run_handler(&Repeat)
}
