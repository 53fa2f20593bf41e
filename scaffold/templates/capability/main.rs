//! Handler `{{name}}` as a program.

use {{crate}}::handler;

fn main() -> std::process::ExitCode {
    pop_handler_base::run_handler(&handler())
}
