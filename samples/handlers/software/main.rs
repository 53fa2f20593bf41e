//! The handlers `software` and `repositories` as one program.

use pop_handler_base::{Capabilities, run_handler};
use pop_samples::{Repositories, Software};

fn main() -> std::process::ExitCode {
    run_handler(&Capabilities::new().content(Software).bind(Repositories))
}
