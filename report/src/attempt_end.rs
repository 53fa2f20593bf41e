//! When an attempt ended.

use pop_agenda::{Attempt, Ending, History, RunTime};

/// Time at which an attempt ended; none while it runs. An attempt that was lost with its executor ended with the last event
/// of that executor, although the loss is recorded only when the run is resumed.
pub(crate) fn attempt_end(history: &History, attempt: &Attempt) -> Option<RunTime> {
    let (at, ending) = attempt.ended.as_ref()?;
    let last_event =
        || history.executors.iter().rev().filter_map(|executor| executor.until).find(|until| until <= at);
    Some(match ending {
        Ending::Lost => last_event().map_or(*at, |until| until.max(attempt.started)),
        _ => *at,
    })
}
