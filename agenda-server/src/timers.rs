//! Schedules and webhooks: what the service does by itself when a time comes.

use crate::clock::now;
use crate::desk::Desk;
use pop_service::Delivery;
use ring::hmac;
use std::fmt::Write as _;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Longest time of one attempt to deliver.
const PATIENCE: Duration = Duration::from_secs(30);
/// Schedules or deliveries in one transaction.
const BATCH: u32 = 20;
/// Wait after a failure of the store.
const PAUSE: Duration = Duration::from_secs(1);

/// A request to a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRequest {
    /// Address.
    pub url: String,
    /// Headers with their values.
    pub headers: Vec<(&'static str, String)>,
    /// Body, as JSON text.
    pub body: String,
}

/// Sends a request to a webhook, and returns the HTTP status.
pub type SendWebhook =
    Arc<dyn Fn(WebhookRequest) -> Pin<Box<dyn Future<Output = Result<u16, String>> + Send>> + Send + Sync>;

/// Makes the agendas of schedules, for ever.
pub(crate) async fn run_schedules(desk: &Desk) {
    let mut changes = desk.timer_changes();
    loop {
        match desk.transact(|service| service.run_schedules(BATCH)).await {
            Ok((0, next)) => desk.wait_for_timer(next, &mut changes).await,
            Ok(_) => {}
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Sends deliveries to webhooks, for ever.
pub(crate) async fn deliver(desk: &Desk, send: &SendWebhook) {
    let mut changes = desk.timer_changes();
    loop {
        let Ok((due, next)) = desk.transact(|service| service.due_deliveries(BATCH)).await else {
            sleep(PAUSE).await;
            continue;
        };
        if due.is_empty() {
            desk.wait_for_timer(next, &mut changes).await;
            continue;
        }
        let attempts: Vec<_> = due
            .into_iter()
            .map(|delivery| {
                let send = Arc::clone(send);
                tokio::spawn(async move { (delivery.id.clone(), attempt(&delivery, &send).await) })
            })
            .collect();
        for attempt in attempts {
            let Ok((id, result)) = attempt.await else { continue };
            // if the store fails, the delivery is sent again later
            desk.transact(move |service| service.delivery_ended(&id, result.clone())).await.ok();
        }
    }
}

async fn attempt(delivery: &Delivery, send: &SendWebhook) -> Result<(), String> {
    let sent = timeout(PATIENCE, send(request(delivery, now()))).await;
    match sent.map_err(|_| "there is no answer".to_owned())?? {
        200..=299 => Ok(()),
        status => Err(format!("the answer is {status}")),
    }
}

/// The request of a delivery. Its signature covers the time, so that an old request cannot be sent again by others.
fn request(delivery: &Delivery, now: u64) -> WebhookRequest {
    let mut headers = vec![
        ("content-type", "application/json".to_owned()),
        ("x-pop-delivery", delivery.id.clone()),
        ("x-pop-timestamp", now.to_string()),
    ];
    if let Some(secret) = &delivery.secret {
        headers.push(("x-pop-signature", signature(secret, now, &delivery.body)));
    }
    WebhookRequest { url: delivery.url.clone(), headers, body: delivery.body.clone() }
}

/// `sha256=` and the HMAC-SHA256 of the time, a full stop and the body.
fn signature(secret: &str, now: u64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let tag = hmac::sign(&key, format!("{now}.{body}").as_bytes());
    tag.as_ref().iter().fold("sha256=".to_owned(), |mut text, byte| {
        // writing to a text cannot fail
        write!(text, "{byte:02x}").ok();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_signed_with_its_time() {
        // printf '1700000000000.{"a":1}' | openssl dgst -sha256 -hmac key
        let wanted = "sha256=2c8bc12f88d77789404ce0a63cf69acf735ba98832f7a7d36147f537be556f3e";
        assert_eq!(signature("key", 1_700_000_000_000, r#"{"a":1}"#), wanted);
        let delivery = Delivery { id: "d".into(), url: "u".into(), secret: None, body: "{}".into() };
        assert!(!request(&delivery, 1).headers.iter().any(|(name, _)| *name == "x-pop-signature"));
    }
}
