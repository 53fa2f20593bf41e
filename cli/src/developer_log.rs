//! Developer log on standard error: inputs, events and effects of the driver. `POP_LOG` turns it on.

use crate::ui;
use tracing::Level;

/// Environment variable with the level: `error`, `warn`, `info`, `debug` or `trace`.
const VARIABLE: &str = "POP_LOG";

/// Starts the log with warnings and notices, for a command that runs for ever, unless `POP_LOG` has set a level.
pub(crate) fn start_by_default() {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(Level::INFO);
    // it fails if `start` has started one
    log.try_init().ok();
}

/// Starts the log if `POP_LOG` is set. Without it, nothing is set up or formatted.
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
