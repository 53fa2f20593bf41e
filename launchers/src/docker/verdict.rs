//! Decides what the end of a container means, and whether the handler or the platform can fix a failure.

use super::api::Api;
use crate::active_launches::exit_of;
use crate::stop_request::StopRequest;
use pop_contract::{Blame, Exit, Failure};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::timeout;

/// Time until a container is gone after a kill that is part of its removal.
const REMOVING: Duration = Duration::from_secs(1);
/// Time until the Engine reports why a container ended: its out-of-memory event can come after the exit.
const TELLING: Duration = Duration::from_secs(1);
/// Largest delay of the Engine's clock that is expected.
const CLOCKS: Duration = Duration::from_hours(1);
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// The end of a container, with the facts needed to judge it.
pub(super) struct End {
    /// Exit status of the container.
    pub(super) code: i32,
    /// The stop that this process requested.
    pub(super) stop: StopRequest,
    /// Whether an earlier pop process started the container.
    pub(super) is_found: bool,
    /// Whether the Engine was unreachable meanwhile.
    pub(super) was_away: bool,
    /// Why an init could not start the program.
    pub(super) start_failure: Option<String>,
}

/// Why a container ended with a signal that pop did not send.
enum EndCause {
    OutOfMemory,
    /// Another client of the Engine removed the container.
    Removed,
    /// Another client of the Engine stopped the container.
    Stopped,
    ByItself,
}

/// Converts the end of a container to an end of the launch. A signal that pop did not send counts as a failure of the
/// program, unless the Engine reports another cause.
pub(super) async fn verdict(api: &Api, name: &str, end: End) -> Result<Exit, Failure> {
    if let (1.., Some(why)) = (end.code, &end.start_failure) {
        let message = format!("its program could not be started: {why}");
        return Err(Failure::new(Blame::Handler, "spawn", message));
    }
    let exit = exit_of(end.code);
    let Exit::Signal(signal) = exit else { return Ok(exit) };
    let found = api.inspect(name).await;
    let is_oom = matches!(&found, Ok(Some(container)) if container.is_out_of_memory());
    let ended = match (signal, end.stop) {
        _ if is_oom => EndCause::OutOfMemory,
        (SIGKILL | SIGTERM, StopRequest::None) if matches!(found, Ok(None)) => EndCause::Removed,
        (SIGKILL | SIGTERM, StopRequest::None) => end_cause(api, name).await,
        _ => return Ok(exit),
    };
    let (code, message) = match ended {
        EndCause::OutOfMemory => {
            ("oom", format!("ended with {exit}: its container's memory ran out (OOMKilled)"))
        }
        EndCause::Removed => {
            ("displaced", format!("ended with {exit}: another client removed its container"))
        }
        _ if end.is_found => {
            ("displaced", format!("had ended with {exit} while no launcher followed its container"))
        }
        _ if end.was_away => {
            ("displaced", format!("ended with {exit} while the Docker Engine was restarted"))
        }
        EndCause::Stopped => (
            "stopped-outside",
            format!("ended with {exit}, which pop did not send: another client stopped its container"),
        ),
        EndCause::ByItself if signal == SIGTERM => return Ok(exit),
        // Podman before version 5 does not report out of memory
        EndCause::ByItself => ("signal", format!("ended with {exit}, perhaps out of memory")),
    };
    let blame = if code == "signal" { Blame::Handler } else { Blame::Platform };
    let mut failure = Failure::new(blame, code, message);
    failure.exit = Some(exit);
    Err(failure)
}

/// The reason for the end of a container, if the Engine reports one within a short time.
async fn end_cause(api: &Api, name: &str) -> EndCause {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = now.saturating_sub(CLOCKS).as_secs();
    let cause = timeout(TELLING, async {
        let mut events = api.events(name, since).await.ok()?;
        while let Ok(Some(event)) = events.next().await {
            match event["Action"].as_str() {
                Some("oom") => return Some(EndCause::OutOfMemory),
                Some("kill" | "stop") => return Some(EndCause::Stopped),
                _ => {}
            }
        }
        None
    });
    match cause.await {
        Ok(Some(EndCause::Stopped)) if is_removed(api, name).await => EndCause::Removed,
        Ok(Some(ended)) => ended,
        Ok(None) | Err(_) => EndCause::ByItself,
    }
}

/// Whether the kill of a container was part of its removal.
async fn is_removed(api: &Api, name: &str) -> bool {
    match timeout(REMOVING, api.wait(name, "removed")).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => error.status() == Some(404),
        Err(_) => false,
    }
}
