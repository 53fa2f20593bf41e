//! Handler `{{name}}`: requests a restart by creating the file of the property `request`.

use pop_handler_base::{
    About, Capabilities, Conduit, HandlerError, Options, RebootReport, SystemHandler,
};
use serde_json::Value;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Requests a restart by a file; another program watches for the file and restarts the machine.
#[derive(Debug, Clone, Copy)]
pub struct Machine;

/// The handler with all its capabilities.
#[must_use]
pub fn handler() -> Capabilities<(), (), Machine> {
    Capabilities::new().system(Machine)
}

impl SystemHandler for Machine {
    fn about(&self) -> About {
        About::new(env!("CARGO_PKG_VERSION"), "requests a restart")
    }

    // restart only after the report: pop never gets the report of a process that restarts its own machine
    async fn reboot(
        &self,
        options: &Options,
        conduit: &mut Conduit<'_>,
    ) -> Result<RebootReport, HandlerError> {
        // configuration: a property of the registry entry
        let request: PathBuf = conduit
            .config("request")?
            .unwrap_or_else(|| "restart-required".into());
        let reason = options.get("reason").and_then(Value::as_str);
        let reason = reason.unwrap_or("no reason");
        let mut report = RebootReport::default();
        let changes = match fs::File::create_new(&request) {
            // an earlier call has requested the restart
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => 0,
            Err(error) => {
                let message = format!("cannot create `{}`: {error}", request.display());
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
        let launch = InMemory::default().property("request", &request.to_string_lossy());
        launch.run(&handler(), &call).await
    }

    #[tokio::test]
    async fn second_request_is_no_change() {
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
    async fn request_that_cannot_be_written_fails() {
        let folder = tempfile::tempdir().unwrap();
        let run = reboot(&folder.path().join("none/request")).await;
        let event = &run.report.progress.diagnostic_events[0];
        assert_eq!(event.status_code.as_deref(), Some("report"));
        let report = event.payload.as_ref().unwrap();
        assert_eq!(report["reboot_scheduled"], false);
    }
}
