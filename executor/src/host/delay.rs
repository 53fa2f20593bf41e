//! Delays with names: between the starts of operations that share one lies at least its time, of whichever run.

use super::short_lock::{Shared, ShortLock};
use super::{Host, HostError, at};
use crate::whole_file::{Synced, replace};
use pop_contract::Millis;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;

/// Whether an operation may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DelayTurn {
    /// Now, and this is on record: the next one waits from here.
    Now,
    /// Not before this time; then it has to ask again, for another may have come first.
    NotBefore(Millis),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Last {
    name: String,
    started: Millis,
}

impl Host {
    /// Asks for the turn of an operation that starts at least `delay_ms` after the last of the same name.
    ///
    /// A clock that was set back, or a file that cannot be read, costs one delay at most.
    pub fn turn(
        &self,
        name: &str,
        delay_ms: u64,
        clock: impl FnOnce() -> Millis,
    ) -> Result<DelayTurn, HostError> {
        let lock = self.short_lock(Shared::Delay, name)?;
        Self::turn_locked(&lock, name, delay_ms, clock)
    }

    /// The same for a caller that holds the delay's short lock.
    pub(crate) fn turn_locked(
        lock: &ShortLock,
        name: &str,
        delay_ms: u64,
        clock: impl FnOnce() -> Millis,
    ) -> Result<DelayTurn, HostError> {
        let path = &lock.path;
        // read under the lock: with an earlier time, the last start could seem to be in the future
        let now = clock();
        let last = match fs::read(path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_or(Millis::MAX, |last: Last| last.started)),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(at(path)(error)),
        };
        let put = |started| {
            let last = Last { name: name.to_owned(), started };
            replace(path, Synced::No, |file| Ok(serde_json::to_writer(file, &last)?)).map_err(at(path))
        };
        match last {
            Some(last) if last > now => {
                // nobody starts in the future; from now on it counts as started now
                put(now)?;
                Ok(DelayTurn::NotBefore(now.saturating_add(delay_ms)))
            }
            Some(last) if last.saturating_add(delay_ms) > now => {
                Ok(DelayTurn::NotBefore(last.saturating_add(delay_ms)))
            }
            _ => put(now).map(|()| DelayTurn::Now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r5_starts_of_one_name_lie_apart_and_those_of_another_do_not_wait() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        let turn = |name, now| host.turn(name, 500, || now).unwrap();
        assert_eq!(turn("api_x", 1_000), DelayTurn::Now);
        assert_eq!(turn("api_x", 1_000), DelayTurn::NotBefore(1_500));
        assert_eq!(turn("api_y", 1_000), DelayTurn::Now);
        assert_eq!(turn("api_x", 1_499), DelayTurn::NotBefore(1_500));
        assert_eq!(turn("api_x", 1_500), DelayTurn::Now);
        assert_eq!(turn("api_x", 1_600), DelayTurn::NotBefore(2_000));
        // each operation has a delay of its own under the same name
        assert_eq!(host.turn("api_x", 100, || 1_600).unwrap(), DelayTurn::Now);
    }

    #[test]
    fn r5_a_clock_set_back_and_a_torn_file_cost_one_delay_at_most() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::of_runs(folder.path());
        assert_eq!(host.turn("d", 500, || 1_000_000).unwrap(), DelayTurn::Now);
        assert_eq!(host.turn("d", 500, || 1_000).unwrap(), DelayTurn::NotBefore(1_500));
        assert_eq!(host.turn("d", 500, || 1_200).unwrap(), DelayTurn::NotBefore(1_500));
        assert_eq!(host.turn("d", 500, || 1_500).unwrap(), DelayTurn::Now);
        let path = host.shared_file(Shared::Delay, "d");
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(host.turn("d", 500, || 9_000).unwrap(), DelayTurn::NotBefore(9_500), "{length}");
            assert_eq!(host.turn("d", 500, || 9_500).unwrap(), DelayTurn::Now, "{length}");
        }
    }
}
