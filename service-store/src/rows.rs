//! Rows of the database as values of the service.

use crate::sql::Cell;
use pop_service::{Kind, Lease, LedgerError, Object, RunState, Work, WorkOutcome, WorkState};

/// Columns of `work`, in the order of [`work_of`].
pub(crate) const WORK: &str = "agenda, progress, insight, customer, priority, round, sequence, queued, state, puller, until, length, \
                    started, epoch, generation, attempts, max_attempts, deliveries";

/// The object of a stored body.
pub(crate) fn object_of(body: Cell) -> Result<Object, LedgerError> {
    let damaged = |message: String| LedgerError { message, is_temporary: false };
    let value =
        serde_json::from_str(&body.text()).map_err(|error| damaged(format!("a stored object: {error}")))?;
    Object::of(value).ok_or_else(|| damaged("a stored object is not a map".to_owned()))
}

/// A time, or another number that is not negative.
pub(crate) fn unsigned(number: i64) -> u64 {
    number.try_into().unwrap_or_default()
}

/// A small number.
pub(crate) fn count(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Number of a kind of objects.
pub(crate) fn kind_number(kind: Kind) -> i64 {
    match kind {
        Kind::Agenda => 1,
        Kind::AgendaTemplate => 2,
        Kind::AgendaProgress => 3,
        Kind::OperationProgress => 4,
        Kind::ResourcePool => 5,
        Kind::Insight => 6,
        Kind::Customer => 7,
        Kind::Token => 8,
        Kind::Schedule => 9,
        Kind::Webhook => 10,
        Kind::Delivery => 11,
        Kind::RunReport => 12,
        Kind::OperationLog => 13,
    }
}

/// Number of a state of work; [`work_of`] reads it.
pub(crate) fn state_number(state: RunState) -> i64 {
    match state {
        RunState::Parked => 0,
        RunState::Waiting => 1,
        RunState::Running => 2,
        RunState::Succeeded => 3,
        RunState::Failed => 4,
        RunState::Cancelled => 5,
    }
}

/// The work of a row with the columns [`WORK`].
pub(crate) fn work_of(row: impl IntoIterator<Item = Cell>) -> Option<Work> {
    let mut row = row.into_iter();
    let mut next = || row.next();
    let (agenda, progress) = (next()?.text(), next()?.text());
    let (insight, customer) = (next()?.text(), next()?.text());
    let (priority, round, sequence, queued) =
        (next()?.int(), next()?.int(), next()?.int(), unsigned(next()?.int()));
    let (state, puller) = (next()?.int(), next()?.text());
    let (until, length, is_started) = (unsigned(next()?.int()), unsigned(next()?.int()), next()?.int() != 0);
    let state = match state {
        1 => WorkState::Waiting,
        2 => WorkState::Leased(Lease { puller, until, length, is_started }),
        3 => WorkState::Ended(WorkOutcome::Succeeded),
        4 => WorkState::Ended(WorkOutcome::Failed),
        5 => WorkState::Ended(WorkOutcome::Cancelled),
        _ => WorkState::Parked,
    };
    Some(Work {
        agenda,
        progress,
        insight,
        customer,
        priority,
        round,
        sequence,
        queued,
        state,
        epoch: next()?.int(),
        generation: next()?.int(),
        attempts: count(next()?.int()),
        max_attempts: count(next()?.int()),
        deliveries: count(next()?.int()),
    })
}
