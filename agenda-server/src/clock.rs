//! The wall clock, and ids that no other process makes.

use pop_contract::Millis;
use pop_service::Ids;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// Milliseconds since 1970.
pub(crate) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}

/// Random ids, and sequence numbers that follow the clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct SystemIds {
    last: Arc<AtomicI64>,
}

impl Ids for SystemIds {
    fn id(&mut self) -> String {
        Uuid::new_v4().to_string()
    }

    fn sequence(&mut self) -> i64 {
        let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
        // a clock that goes back must not change the order
        let before =
            self.last.fetch_update(Ordering::AcqRel, Ordering::Acquire, |last| Some(micros.max(last + 1)));
        let before = before.unwrap_or_else(|last| last);
        micros.max(before + 1)
    }
}
