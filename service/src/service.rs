//! What the service does for a request, in one transaction of the store.

mod agendas;
mod leases;
mod objects;
mod reports;
mod run_reports;
mod schedules;
mod views;
mod webhooks;

pub use agendas::CreatedAgenda;
pub use leases::{Loss, PullRequest, PulledAgenda};
pub use run_reports::{LONGEST_LOG, LONGEST_REPORT, LogTail, MOST_LOGS};
pub use views::{AgendaOverview, OperationStatus};
pub use webhooks::Delivery;

use crate::calendar::Calendar;
use crate::error::ServiceError;
use crate::insight;
use crate::ledger::Ledger;
use crate::ledger_error::LedgerError;
use crate::object::{Kind, Object};
use crate::turn::Algorithm;
use crate::work::{Work, WorkState};
use pop_contract::Millis;

/// Makes ids and sequence numbers that no other process makes.
pub trait Ids {
    /// A unique id.
    fn id(&mut self) -> String;
    /// A number larger than all earlier ones.
    fn sequence(&mut self) -> i64;
}

/// Limits of the service.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Length of a lease that the puller does not choose, in milliseconds.
    pub lease: Millis,
    /// Longest lease, in milliseconds.
    pub longest_lease: Millis,
}

impl Default for Rules {
    fn default() -> Self {
        Self { lease: 60_000, longest_lease: 3_600_000 }
    }
}

/// What others must hear of a transaction after its commit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Effects {
    /// Ids of insights in whose queue an agenda was put.
    pub queued: Vec<String>,
    /// Progress of agendas that got their outcome.
    pub ended: Vec<Object>,
    /// The earliest end of the leases that were given or renewed.
    pub lease_end: Option<Millis>,
    /// Whether the next time of a schedule or of a delivery may have changed.
    pub has_timer: bool,
    /// Whether something was stored that lists and pages show.
    pub is_change: bool,
}

/// The service within one transaction.
pub struct Service<'t> {
    ledger: &'t mut dyn Ledger,
    ids: &'t mut dyn Ids,
    calendar: &'t dyn Calendar,
    rules: Rules,
    now: Millis,
    effects: Effects,
}

impl<'t> Service<'t> {
    /// The service at the time `now`.
    pub fn new(
        ledger: &'t mut dyn Ledger,
        ids: &'t mut dyn Ids,
        calendar: &'t dyn Calendar,
        rules: Rules,
        now: Millis,
    ) -> Self {
        Self { ledger, ids, calendar, rules, now, effects: Effects::default() }
    }

    /// What others must hear of.
    pub fn into_effects(self) -> Effects {
        self.effects
    }

    /// Reads an object that must exist.
    fn existing(&mut self, kind: Kind, id: &str) -> Result<Object, ServiceError> {
        self.ledger.object(kind, id)?.ok_or_else(|| ServiceError::not_found(kind, id))
    }

    /// Stores an object with its times.
    fn store(&mut self, kind: Kind, object: &mut Object) -> Result<(), LedgerError> {
        if object.number("addedTime").is_none() {
            object.set("addedTime", self.now);
        }
        object.set("updatedTime", self.now);
        self.effects.is_change = true;
        self.ledger.put(kind, object)
    }

    /// Puts work into the queue of its insight, as a new run.
    fn queue(&mut self, work: &mut Work) -> Result<(), ServiceError> {
        let insight = self.existing(Kind::Insight, &work.insight)?;
        let algorithm = Algorithm::parse(insight.text("schedulingAlgorithm")).unwrap_or_default();
        let standing = self.ledger.standing(&work.insight, &work.customer, work.priority)?;
        let round = standing.round(algorithm);
        work.queue(round, self.ids.sequence(), self.now)?;
        if algorithm == Algorithm::RoundRobin {
            self.ledger.note_round(&work.insight, work.priority, Some(&work.customer), round)?;
        }
        self.ledger.put_work(work)?;
        self.effects.queued.push(work.insight.clone());
        self.effects.is_change = true;
        Ok(())
    }

    /// Notes when the lease of work ends.
    fn note_lease(&mut self, work: &Work) {
        if let WorkState::Leased(lease) = &work.state {
            let earlier = self.effects.lease_end.unwrap_or(lease.until);
            self.effects.lease_end = Some(earlier.min(lease.until));
        }
    }

    /// Puts work that comes back into its queue. It keeps its place, so it is among the first.
    fn queue_again(&mut self, work: &Work) -> Result<(), ServiceError> {
        self.ledger.put_work(work)?;
        self.effects.queued.push(work.insight.clone());
        self.effects.is_change = true;
        Ok(())
    }
}

/// The customer of an object that names none.
pub const DEFAULT_CUSTOMER: &str = "default";

/// Fields that are strings in each kind of object that has them.
const TEXTS: [&str; 11] = [
    "title",
    "customerId",
    "linkId",
    "cid",
    "resourcePoolId",
    "agendaTemplateId",
    "cron",
    "timeZone",
    "url",
    "secret",
    "progressId",
];

/// Problems of an object that is stored.
fn problems(kind: Kind, object: &Object, calendar: &dyn Calendar) -> Vec<String> {
    let mut problems = match kind {
        Kind::Insight => insight::check(object),
        Kind::Schedule => schedules::problems(object, calendar),
        Kind::Webhook => webhooks::problems(object),
        _ => Vec::new(),
    };
    let needed: &[&str] = match kind {
        Kind::Insight | Kind::Customer => &["resourcePoolId"],
        Kind::AgendaTemplate => &["agenda"],
        Kind::Schedule => &["cron", "agendaTemplateId"],
        _ => &[],
    };
    let is_other =
        |name: &&&str| object.0.get(**name).is_some_and(|value| !value.is_null() && !value.is_string());
    let not_texts = TEXTS.iter().filter(is_other);
    problems.extend(not_texts.map(|name| format!("`{name}` must be a string")));
    let missing = needed.iter().filter(|name| object.0.get(**name).is_none_or(serde_json::Value::is_null));
    problems.extend(missing.map(|name| format!("{} needs `{name}`", with_article(kind))));
    problems
}

fn with_article(kind: Kind) -> String {
    let name = kind.name();
    let article = if name.starts_with(['a', 'e', 'i', 'o']) { "an" } else { "a" };
    format!("{article} {name}")
}
