//! Webhooks: others hear that an agenda has its outcome. A delivery is stored with the outcome, and sent until it arrives.

use super::Service;
use crate::error::ServiceError;
use crate::object::{Kind, Object, Query};
use pop_contract::Millis;
use serde_json::{Value, json};

/// Attempts of a delivery. With the waits between them, the last one is two days after the first.
const MOST_ATTEMPTS: i64 = 20;
/// Wait after the first attempt, in milliseconds; each further wait is twice as long.
const FIRST_WAIT: Millis = 5_000;
/// Longest wait, in milliseconds.
const LONGEST_WAIT: Millis = 6 * 3_600_000;
/// Time in which no other process sends the same delivery, in milliseconds.
const CLAIM: Millis = 60_000;

/// A delivery that is to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Id; the same for each attempt.
    pub id: String,
    /// Address.
    pub url: String,
    /// The secret with which it is signed; none: it is not signed.
    pub secret: Option<String>,
    /// Body, as JSON text.
    pub body: String,
}

/// Problems of a webhook that is stored.
pub(super) fn problems(webhook: &Object) -> Vec<String> {
    let url = webhook.text("url").unwrap_or_default();
    if url.starts_with("https://") || url.starts_with("http://") {
        Vec::new()
    } else {
        vec!["`url` must begin with http:// or https://".to_owned()]
    }
}

/// Hides the secret of a webhook.
pub(super) fn hide_secret(webhook: &mut Object) {
    let has_secret = webhook.0.remove("secret").is_some_and(|secret| !secret.is_null());
    webhook.set("isSigned", has_secret);
}

/// The wait after an attempt, the first of which has the number 1.
fn wait_after(attempt: i64) -> Millis {
    let doublings = u32::try_from(attempt - 1).unwrap_or(u32::MAX).min(30);
    FIRST_WAIT.saturating_mul(1 << doublings).min(LONGEST_WAIT)
}

impl Service<'_> {
    /// An agenda has its outcome: its schedule continues, and each webhook gets a delivery.
    pub(super) fn announce_end(&mut self, progress: Object) -> Result<(), ServiceError> {
        if let Some(agenda) = progress.text("agendaId") {
            self.continue_schedule(agenda)?;
        }
        for webhook in self.ledger.find(Kind::Webhook, &Query::default())? {
            let customer = webhook.text("customerId");
            if customer.is_some() && customer != progress.text("customerId") {
                continue;
            }
            let id = self.ids.id();
            let mut body = json!({"event": "agenda.ended", "deliveryId": id, "progressId": progress.id()});
            for name in [
                "agendaId",
                "customerId",
                "cid",
                "linkId",
                "externalId",
                "title",
                "processingState",
                "processingStateMessage",
                "attemptsCompleted",
                "startedTime",
                "completedTime",
            ] {
                body[name] = progress.0.get(name).cloned().unwrap_or_default();
            }
            let mut delivery = Object::default();
            delivery.set("id", id.as_str());
            delivery.set("webhookId", webhook.id());
            delivery.set("attempts", 0);
            delivery.set("processingState", crate::WAITING);
            delivery.set("body", body);
            self.store(Kind::Delivery, &mut delivery)?;
            self.ledger.set_timer(Kind::Delivery, &id, Some(self.now))?;
            self.effects.has_timer = true;
        }
        self.effects.ended.push(progress);
        Ok(())
    }

    /// Deliveries whose time has come, at most `limit`, and the time of the next one. No other process gets them for a while.
    pub fn due_deliveries(&mut self, limit: u32) -> Result<(Vec<Delivery>, Option<Millis>), ServiceError> {
        let mut due = Vec::new();
        for id in self.ledger.due_timers(Kind::Delivery, self.now, limit)? {
            let delivery = self.ledger.object(Kind::Delivery, &id)?;
            let webhook = match &delivery {
                Some(delivery) => {
                    self.ledger.object(Kind::Webhook, delivery.text("webhookId").unwrap_or_default())?
                }
                None => None,
            };
            let (Some(delivery), Some(webhook)) = (delivery, webhook) else {
                // the webhook was deleted
                self.ledger.delete(Kind::Delivery, &id)?;
                self.ledger.set_timer(Kind::Delivery, &id, None)?;
                continue;
            };
            self.ledger.set_timer(Kind::Delivery, &id, Some(self.now + CLAIM))?;
            due.push(Delivery {
                id,
                url: webhook.text("url").unwrap_or_default().to_owned(),
                secret: webhook.text("secret").map(str::to_owned),
                body: delivery.0.get("body").map(Value::to_string).unwrap_or_default(),
            });
        }
        Ok((due, self.ledger.next_timer(Kind::Delivery)?))
    }

    /// The end of an attempt. A delivery that failed is sent again later; after the last attempt it stays, as failed.
    pub fn delivery_ended(&mut self, id: &str, result: Result<(), String>) -> Result<(), ServiceError> {
        let Some(mut delivery) = self.ledger.object(Kind::Delivery, id)? else { return Ok(()) };
        let next = match result {
            Ok(()) => {
                self.ledger.delete(Kind::Delivery, id)?;
                None
            }
            Err(problem) => {
                let attempts = delivery.number("attempts").unwrap_or_default() + 1;
                delivery.set("attempts", attempts);
                delivery.set("lastProblem", problem);
                let next = (attempts < MOST_ATTEMPTS).then(|| self.now + wait_after(attempts));
                if next.is_none() {
                    delivery.set("processingState", crate::COMPLETE);
                }
                self.store(Kind::Delivery, &mut delivery)?;
                next
            }
        };
        self.ledger.set_timer(Kind::Delivery, id, next)?;
        self.effects.has_timer = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_take_days_together() {
        assert_eq!([1, 2, 3].map(wait_after), [5_000, 10_000, 20_000]);
        assert_eq!(wait_after(i64::MAX), LONGEST_WAIT);
        let all: Millis = (1..MOST_ATTEMPTS).map(wait_after).sum();
        assert!((40 * 3_600_000..80 * 3_600_000).contains(&all), "{all}");
    }
}
