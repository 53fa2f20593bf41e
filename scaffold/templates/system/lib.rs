//! Handler `{{name}}`: asks for a restart by the file that the property `request` names.

use pop_handler_base::{
    About, Capabilities, Conduit, HandlerError, Options, RebootReport, SystemHandler,
};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Asks for a restart; whoever restarts the machine looks for the file.
#[derive(Debug, Clone, Copy)]
pub struct Machine;

/// The handler with all its capabilities.
#[must_use]
pub fn handler() -> Capabilities<(), (), Machine> {
    Capabilities::new().system(Machine)
}

impl SystemHandler for Machine {
    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "asks for a restart")
    }

    // the restart must come later than the report: a process that restarts its machine is not heard of
    async fn reboot(
        &self,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<RebootReport, HandlerError> {
        // configuration comes as properties of the registry entry
        let request: PathBuf = conduit
            .config("request")?
            .unwrap_or_else(|| "restart-required".into());
        let reason = options.get("reason").and_then(Value::as_str);
        let reason = reason.unwrap_or("no reason was given");
        let mut report = RebootReport::default();
        let changes = match fs::File::create_new(&request) {
            // it is asked for already
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => 0,
            Err(error) => {
                let message = format!("`{}`: {error}", request.display());
                report.set_failed([("message", message)]);
                return Ok(report);
            }
            Ok(mut file) => {
                io::Write::write_all(&mut file, reason.as_bytes())?;
                1
            }
        };
        report.set_succeeded([("request", request.to_string_lossy())], changes);
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pop_handler_base::{InMemory, InMemoryRun};
    use serde_json::json;
    use std::path::Path;

    async fn reboot(request: &Path) -> InMemoryRun {
        let call = json!({"capability": "system", "method": "reboot", "type": "Linux",
            "options": {"reason": "new kernel"}});
        let place = InMemory::default().property("request", &request.to_string_lossy());
        place.run(&handler(), &call).await
    }

    #[tokio::test]
    async fn a_restart_is_asked_for_once() {
        let folder = tempfile::tempdir().unwrap();
        let request = folder.path().join("request");
        for changes in [1, 0] {
            let report = reboot(&request).await.report.result.unwrap();
            assert_eq!(report["num_changes"], changes);
            assert_eq!(report["reboot_scheduled"], true);
        }
        assert_eq!(fs::read_to_string(request).unwrap(), "new kernel");
    }

    #[tokio::test]
    async fn one_that_cannot_be_asked_for_fails() {
        let folder = tempfile::tempdir().unwrap();
        let run = reboot(&folder.path().join("none/request")).await;
        let event = &run.report.progress.diagnostic_events[0];
        assert_eq!(event.status_code.as_deref(), Some("report"));
        let report = event.payload.as_ref().unwrap();
        assert_eq!(report["reboot_scheduled"], false);
    }
}
