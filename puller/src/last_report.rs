//! What the service and the user learn when an executor has ended.

use crate::client::{ClientError, ServiceClient};
use crate::executor::AfterEnd;
use crate::pulled::Lease;
use pop_contract::Exit;
use pop_launchers::LaunchEnd;
use std::path::Path;
use std::time::Duration;
use tokio::time::sleep;

/// Attempts to report the end of an executor; the lease ends by itself afterwards.
const ATTEMPTS: u32 = 6;
/// Time between the first two attempts; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Reports to the service what became of an agenda, and tries again while the service does not answer. If the executor
/// should have reported its end by itself: whether that report has arrived.
pub(crate) async fn deliver(client: &ServiceClient, lease: &Lease, after: &AfterEnd) -> Option<bool> {
    let mut pause = FIRST_PAUSE;
    for _ in 0..ATTEMPTS {
        let answer = match after {
            AfterEnd::Nothing => match client.give_back(lease, Some(NOT_REPORTED)).await {
                // the service has taken the last report
                Err(error) if error.is_lease_lost() => return Some(true),
                Ok(()) => return Some(false),
                answer => answer,
            },
            AfterEnd::HandBack => client.give_back(lease, None).await,
            AfterEnd::Lost(why) => client.give_back(lease, Some(why)).await,
            AfterEnd::Fail { message, code } => client.fail(lease, message, code).await,
        };
        match answer {
            Err(ClientError::Unreachable { .. } | ClientError::Refused { status: 429 | 500.., .. }) => {
                sleep(pause).await;
                pause *= 2;
            }
            // the lease has ended, or everything is said
            _ => return None,
        }
    }
    None
}

/// How an executor ended by itself; a failure has the path of its log.
pub(crate) fn end_of(ended: &LaunchEnd, log: Option<&Path>) -> String {
    match (&ended.exit, log) {
        (Ok(Exit::Code(0)), _) | (_, None) => "has ended".to_owned(),
        (Ok(exit), Some(log)) => format!("has ended with {exit}; log: {}", log.display()),
        (Err(failure), Some(log)) => format!("has ended: {}; log: {}", failure.message, log.display()),
    }
}

/// Said when an executor has ended and its agenda has no outcome.
pub(crate) const NOT_REPORTED: &str = "the executor has ended, and its last report did not arrive";
