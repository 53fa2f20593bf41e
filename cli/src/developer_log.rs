//! The log for developers of pop: what the driver takes in, records and does, on standard error. `POP_LOG` turns it on.

use crate::ui;
use tracing::Level;

/// The variable that names the level: `error`, `warn`, `info`, `debug` or `trace`.
const VARIABLE: &str = "POP_LOG";

/// Starts the log if `POP_LOG` asks for it. Without the variable, nothing is set up and nothing is formatted.
pub(crate) fn start() {
    let Some(level) = std::env::var_os(VARIABLE).filter(|level| !level.is_empty()) else { return };
    match level.to_string_lossy().parse::<Level>() {
        Ok(level) => tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(level).init(),
        Err(_) => ui::say(&format!(
            "warning: {VARIABLE} is ignored: `{}` is not a level (error, warn, info, debug, trace)",
            level.to_string_lossy()
        )),
    }
}
