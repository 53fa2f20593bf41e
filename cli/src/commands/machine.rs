//! Clock and processors of this machine.

use pop_contract::Millis;
use std::sync::LazyLock;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// The time in epoch milliseconds.
pub(crate) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as Millis)
}

/// Number of processors that this process may use.
pub(crate) fn processors() -> u32 {
    static COUNT: LazyLock<u32> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, |count| count.get() as u32));
    *COUNT
}
