//! The port to the store. Its methods belong to one transaction, which the store commits or rolls back as a whole.

use crate::ledger_error::LedgerError;
use crate::object::{Kind, Object, Query};
use crate::run_list::{RunFilter, RunRow};
use crate::turn::Standing;
use crate::work::Work;
use pop_contract::Millis;

/// One transaction of the store.
///
/// *Guarantees.* [`work`](Self::work), [`waiting`](Self::waiting) and [`due`](Self::due) lock what they return until the
/// transaction ends, and never return what another transaction has locked and changed.
pub trait Ledger {
    /// An object.
    fn object(&mut self, kind: Kind, id: &str) -> Result<Option<Object>, LedgerError>;
    /// Stores an object, new or not.
    fn put(&mut self, kind: Kind, object: &Object) -> Result<(), LedgerError>;
    /// Deletes an object; false if there is none.
    fn delete(&mut self, kind: Kind, id: &str) -> Result<bool, LedgerError>;
    /// Objects that match a query.
    fn find(&mut self, kind: Kind, query: &Query) -> Result<Vec<Object>, LedgerError>;
    /// Ids of objects that belong to the progress of an agenda, with the times of their last changes. Their bodies, which may be
    /// long, are not read.
    fn of_progress(&mut self, kind: Kind, progress: &str) -> Result<Vec<(String, Millis)>, LedgerError>;
    /// Ids of objects in a processing state whose last change is older than `before`, the oldest first.
    fn old(
        &mut self,
        kind: Kind,
        state: &str,
        before: Millis,
        limit: u32,
    ) -> Result<Vec<String>, LedgerError>;

    /// The work of an agenda.
    fn work(&mut self, agenda: &str) -> Result<Option<Work>, LedgerError>;
    /// Stores work, new or not.
    fn put_work(&mut self, work: &Work) -> Result<(), LedgerError>;
    /// Deletes the work of an agenda.
    fn delete_work(&mut self, agenda: &str) -> Result<(), LedgerError>;
    /// Rounds of the agendas of an insight with this priority.
    fn standing(&mut self, insight: &str, customer: &str, priority: i64) -> Result<Standing, LedgerError>;
    /// Notes the round that a customer got; without a customer, the current round.
    fn note_round(
        &mut self,
        insight: &str,
        priority: i64,
        customer: Option<&str>,
        round: i64,
    ) -> Result<(), LedgerError>;
    /// The first waiting agendas of an insight, by priority (largest first), round and sequence.
    fn waiting(&mut self, insight: &str, limit: u32) -> Result<Vec<Work>, LedgerError>;
    /// Work whose lease has ended.
    fn due(&mut self, now: Millis, limit: u32) -> Result<Vec<Work>, LedgerError>;
    /// The next time at which a lease ends.
    fn next_due(&mut self) -> Result<Option<Millis>, LedgerError>;
    /// Sets the time at which an object is due; none: never.
    fn set_timer(&mut self, kind: Kind, id: &str, at: Option<Millis>) -> Result<(), LedgerError>;
    /// Ids of objects that are due, locked like work.
    fn due_timers(&mut self, kind: Kind, now: Millis, limit: u32) -> Result<Vec<String>, LedgerError>;
    /// The next time at which an object of a kind is due.
    fn next_timer(&mut self, kind: Kind) -> Result<Option<Millis>, LedgerError>;
    /// Agendas for a list. Nothing is locked.
    fn runs(&mut self, filter: &RunFilter) -> Result<Vec<RunRow>, LedgerError>;
    /// Number of waiting and of leased agendas of each insight.
    fn depth(&mut self) -> Result<Vec<QueueDepth>, LedgerError>;
    /// Number of objects of a kind in each processing state, by the name of the state.
    fn states(&mut self, kind: Kind) -> Result<Vec<(String, u64)>, LedgerError>;
}

/// How many agendas an insight has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueDepth {
    /// Id of the insight.
    pub insight: String,
    /// Agendas that wait.
    pub waiting: u32,
    /// Agendas that a puller has.
    pub leased: u32,
}
