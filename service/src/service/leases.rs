//! Leases: agendas given to pullers, renewed, given back and lost.

use super::Service;
use crate::error::ServiceError;
use crate::object::{Kind, Object};
use crate::progress;
use crate::work::{Fence, Work, WorkState};
use pop_contract::Millis;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Most agendas of one request.
const MOST_PULLED: u32 = 1_000;

/// A request for agendas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullRequest {
    /// Id of the insight.
    pub insight: String,
    /// Most agendas.
    pub count: i64,
    /// Name of the puller, for people.
    pub puller: String,
    /// Length of the lease in milliseconds; none: the default of the service.
    pub lease: Option<Millis>,
}

/// An agenda that a puller got.
#[derive(Debug, Clone, PartialEq)]
pub struct PulledAgenda {
    /// The agenda. Its `progressId` carries the lease.
    pub agenda: Object,
    /// Its progress, if an operation has begun.
    pub progress: Option<Object>,
    /// Number of new runs of the agenda, from 1.
    pub generation: i64,
    /// Length of the lease in milliseconds.
    pub lease: Millis,
}

/// Why an agenda comes back without an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Loss {
    /// The puller stops; it has stopped the executor.
    HandedBack,
    /// The executor ended without its final report, for this reason.
    ExecutorLost(String),
}

impl Service<'_> {
    /// Gives waiting agendas of an insight to a puller, in the order of its scheduling algorithm.
    pub fn pull(&mut self, request: &PullRequest) -> Result<Vec<PulledAgenda>, ServiceError> {
        let insight = self
            .ledger
            .object(Kind::Insight, &request.insight)?
            .ok_or_else(|| ServiceError::invalid(format!("there is no insight `{}`", request.insight)))?;
        let count = u32::try_from(request.count).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| ServiceError::invalid("`count` must be 1 or more"))?;
        let size = insight.number("queueSize").and_then(|size| u32::try_from(size).ok());
        let limit = count.min(size.unwrap_or(MOST_PULLED)).min(MOST_PULLED);
        let lease = request.lease.unwrap_or(self.rules.lease).clamp(1, self.rules.longest_lease);
        let mut pulled = Vec::new();
        let mut rounds = BTreeMap::new();
        for mut work in self.ledger.waiting(&request.insight, limit)? {
            let Some(agenda) = self.ledger.object(Kind::Agenda, &work.agenda)? else {
                // deleted by hand in the store
                self.ledger.delete_work(&work.agenda)?;
                continue;
            };
            work.lease(&request.puller, self.now, lease);
            rounds.insert(work.priority, work.round);
            self.ledger.put_work(&work)?;
            self.note_lease(&work);
            self.effects.is_change = true;
            pulled.push(self.pulled(agenda, &work, lease)?);
        }
        for (priority, round) in rounds {
            // it never goes back: an agenda that came back has an old round
            if round > self.ledger.standing(&request.insight, "", priority)?.current {
                self.ledger.note_round(&request.insight, priority, None, round)?;
            }
        }
        Ok(pulled)
    }

    fn pulled(
        &mut self,
        mut agenda: Object,
        work: &Work,
        lease: Millis,
    ) -> Result<PulledAgenda, ServiceError> {
        let fence = Fence::text(&work.progress, work.epoch);
        agenda.set("progressId", fence.as_str());
        let params = agenda.0.entry("params").or_insert_with(|| json!({}));
        if params.is_null() {
            *params = json!({});
        }
        if let Some(params) = params.as_object_mut() {
            params.insert("added".to_owned(), json!(work.queued));
        }
        let mut progress = self.read(Kind::AgendaProgress, &work.progress)?;
        let has_begun =
            |operation: &Value| operation.get("processingState") != Some(&json!(progress::WAITING));
        let has_begun = progress.list("operationProgress").iter().any(has_begun);
        progress.set("id", fence);
        let progress = has_begun.then_some(progress);
        Ok(PulledAgenda { agenda, progress, generation: work.generation, lease })
    }

    /// The work of the lease that an id carries.
    pub(super) fn leased(&mut self, fence: Fence<'_>) -> Result<(Object, Work), ServiceError> {
        let progress = self.existing(Kind::AgendaProgress, fence.progress)?;
        let agenda = progress.text("agendaId").unwrap_or_default();
        let work = self.ledger.work(agenda)?.ok_or_else(|| ServiceError::not_found(Kind::Agenda, agenda))?;
        Ok((progress, work))
    }

    /// Renews a lease, and returns its length.
    pub fn renew(&mut self, fence: &str) -> Result<Millis, ServiceError> {
        let (mut work, epoch) = self.held(fence)?;
        work.renew(epoch, self.now)?;
        self.ledger.put_work(&work)?;
        self.note_lease(&work);
        Ok(match &work.state {
            WorkState::Leased(lease) => lease.length,
            _ => self.rules.lease,
        })
    }

    fn held(&mut self, fence: &str) -> Result<(Work, i64), ServiceError> {
        let parsed = Fence::parse(fence);
        let epoch = parsed.epoch.ok_or_else(|| {
            ServiceError::BadRequest(format!(
                "`{fence}` names no lease; use the `progressId` that getAgenda returned"
            ))
        })?;
        let (_, work) = self.leased(parsed)?;
        Ok((work, epoch))
    }

    /// Takes an agenda back from its puller.
    pub fn give_back(&mut self, fence: &str, loss: &Loss) -> Result<(), ServiceError> {
        let (mut work, epoch) = self.held(fence)?;
        match loss {
            Loss::HandedBack => {
                work.hand_back(epoch)?;
                self.queue_again(&work)
            }
            Loss::ExecutorLost(why) => {
                work.renew(epoch, self.now)?;
                self.lose(work, why)
            }
        }
    }

    /// Ends leases that were not renewed in time, at most `limit`; returns their number and the next time at which one ends.
    pub fn end_leases(&mut self, limit: u32) -> Result<(usize, Option<Millis>), ServiceError> {
        let due = self.ledger.due(self.now, limit)?;
        let count = due.len();
        for work in due {
            self.lose(work, "timed out: neither the puller nor the executor renewed the lease")?;
        }
        Ok((count, self.ledger.next_due()?))
    }

    /// The executor or the puller of an agenda is lost.
    fn lose(&mut self, mut work: Work, why: &str) -> Result<(), ServiceError> {
        let before = work.attempts;
        let next = work.lose();
        self.settle_loss(&work, before, next, why)
    }
}
