//! Named delays: the shortest time between the starts of operations, across all runs of the host.

use super::short_lock::{Shared, ShortLock};
use super::{Host, HostError, at};
use crate::atomic_file::{Durability, replace};
use pop_contract::Millis;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;

/// When an operation may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelayTurn {
    /// Now. The start is recorded, and the delay of the next operation counts from it.
    Now,
    /// Not before this time, in epoch milliseconds. The operation must request its turn again at that time, because
    /// another operation may start first.
    NotBefore(Millis),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LastStart {
    name: String,
    started: Millis,
}

impl Host {
    /// Requests the turn of an operation that must start at least `delay_ms` after the last start under the same name.
    ///
    /// A clock that was set back, or a damaged file, costs one delay at most.
    pub fn turn(
        &self,
        name: &str,
        delay_ms: u64,
        clock: impl FnOnce() -> Millis,
    ) -> Result<DelayTurn, HostError> {
        let lock = self.short_lock(Shared::Delay, name)?;
        Self::turn_locked(&lock, name, delay_ms, clock)
    }

    /// [`Host::turn`] for a caller that holds the delay's short lock.
    pub(crate) fn turn_locked(
        lock: &ShortLock,
        name: &str,
        delay_ms: u64,
        clock: impl FnOnce() -> Millis,
    ) -> Result<DelayTurn, HostError> {
        let path = &lock.path;
        // read the clock under the lock: with an earlier time, the last start could seem to be in the future
        let now = clock();
        let last = match fs::read(path) {
            Ok(bytes) => {
                Some(serde_json::from_slice(&bytes).map_or(Millis::MAX, |last: LastStart| last.started))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(at(path)(error)),
        };
        let record = |started| {
            let last = LastStart { name: name.to_owned(), started };
            replace(path, Durability::Unsynced, |file| Ok(serde_json::to_writer(file, &last)?))
                .map_err(at(path))
        };
        match last {
            Some(last) if last > now => {
                // a start in the future counts as a start now
                record(now)?;
                Ok(DelayTurn::NotBefore(now.saturating_add(delay_ms)))
            }
            Some(last) if last.saturating_add(delay_ms) > now => {
                Ok(DelayTurn::NotBefore(last.saturating_add(delay_ms)))
            }
            _ => record(now).map(|()| DelayTurn::Now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5_only_starts_of_the_same_name_are_delayed() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        let turn = |name, now| host.turn(name, 500, || now).unwrap();
        assert_eq!(turn("api_x", 1_000), DelayTurn::Now);
        assert_eq!(turn("api_x", 1_000), DelayTurn::NotBefore(1_500));
        assert_eq!(turn("api_y", 1_000), DelayTurn::Now);
        assert_eq!(turn("api_x", 1_499), DelayTurn::NotBefore(1_500));
        assert_eq!(turn("api_x", 1_500), DelayTurn::Now);
        assert_eq!(turn("api_x", 1_600), DelayTurn::NotBefore(2_000));
        // operations may set different delays under the same name
        assert_eq!(host.turn("api_x", 100, || 1_600).unwrap(), DelayTurn::Now);
    }

    #[test]
    fn r5_clock_set_back_or_torn_file_costs_one_delay() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        assert_eq!(host.turn("d", 500, || 1_000_000).unwrap(), DelayTurn::Now);
        assert_eq!(host.turn("d", 500, || 1_000).unwrap(), DelayTurn::NotBefore(1_500));
        assert_eq!(host.turn("d", 500, || 1_200).unwrap(), DelayTurn::NotBefore(1_500));
        assert_eq!(host.turn("d", 500, || 1_500).unwrap(), DelayTurn::Now);
        let path = host.shared_file(Shared::Delay, "d");
        let complete = fs::read(&path).unwrap();
        for length in 0..complete.len() {
            fs::write(&path, &complete[..length]).unwrap();
            assert_eq!(host.turn("d", 500, || 9_000).unwrap(), DelayTurn::NotBefore(9_500), "{length}");
            assert_eq!(host.turn("d", 500, || 9_500).unwrap(), DelayTurn::Now, "{length}");
        }
    }
}
